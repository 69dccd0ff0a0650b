//! Laws about what is done once, in order, and for a while only.

use reinstate::domain::effect::EffectKey;
use reinstate::store::rows::events::EventFilter;
use reinstate::store::rows::{FirstAnswer, Remember};

use super::*;

law!(
    a_customers_notifications_go_out_one_after_the_other,
    Broken::row("effect", "INSERT", &[("behind", "0")])
);
law!(
    a_place_in_the_feed_is_given_once_and_none_is_left_out,
    Broken::row("event", "UPDATE", &[("position", "@position * 2")])
);
law!(
    a_missing_callback_is_judged_once_and_not_before_its_time,
    Broken::row("finding", "INSERT", &[("judge_at", "0")])
);
law!(
    the_first_answer_to_a_key_stays,
    Broken::Sql(if on_postgres() {
        "ALTER TABLE idempotency DROP CONSTRAINT idempotency_pkey;
         CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN NEW.key := sha256(NEW.key); RETURN NEW; END $$;
         CREATE TRIGGER broken BEFORE INSERT ON idempotency FOR EACH ROW EXECUTE FUNCTION broken()"
            .to_owned()
    } else {
        "CREATE TRIGGER broken AFTER INSERT ON idempotency
         BEGIN UPDATE idempotency SET key = randomblob(32) WHERE key = NEW.key; END"
            .to_owned()
    })
);
law!(
    old_callbacks_go_and_newer_ones_stay,
    Broken::row("callback", "INSERT", &[("last_at", "9000000000000000")])
);

fn tell(customer: CustomerHashId, version: u64) -> NewTell {
    NewTell {
        key: EffectKey::new(customer, version, "t0"),
        event: Event::ALL[0],
        version,
        body: b"{}".to_vec(),
        to: vec!["default".to_owned()],
    }
}

/// A decision about the customer, with something to tell.
async fn decided(ground: &Ground, customer: CustomerHashId, version: u64) {
    ground.nudge(customer, None).await;
    let lease = ground.claim().await.unwrap();
    assert_eq!(lease.customer, customer);
    let commit =
        Commit { tells: vec![tell(customer, version)], ..looked(&lease, version, ground.clock.now()) };
    assert_eq!(ground.store.commit(&lease, commit).await.unwrap(), Finished::Done);
}

async fn a_customers_notifications_go_out_one_after_the_other(ground: Ground) {
    for version in 1..=3 {
        decided(&ground, id(1), version).await;
    }
    for version in 1..=3 {
        let claimed = ground.store.claim_tells(LEASE, tell_seats(9)).await.unwrap();
        let events: Vec<_> = claimed.iter().map(|lease| lease.event_id.as_str().to_owned()).collect();
        assert_eq!(events, [EffectKey::new(id(1), version, "t0").as_str()]);
        assert!(ground.store.claim_tells(LEASE, tell_seats(9)).await.unwrap().is_empty());
        let done = ground.store.finish_tell(&claimed[0], TellOutcome::Delivered).await.unwrap();
        assert_eq!(done, Finished::Done);
    }
}

async fn a_place_in_the_feed_is_given_once_and_none_is_left_out(ground: Ground) {
    let feed = async |after| ground.store.events(after, EventFilter::default(), 10).await.unwrap();
    let mut seen = Vec::new();
    let mut after = 0;
    for round in 1..=3 {
        for customer in 1..=round {
            decided(&ground, id(customer), u64::from(round - customer + 1)).await;
        }
        let page = feed(after).await;
        after = page.next;
        seen.extend(page.items.into_iter().map(|event| event.position));
        assert!(feed(after).await.items.is_empty());
    }
    assert_eq!(seen, (1..=6).collect::<Vec<_>>());
}

async fn a_missing_callback_is_judged_once_and_not_before_its_time(ground: Ground) {
    ground.store.ready().await.unwrap();
    let bytes = if on_postgres() { r"'\x01010101010101010101010101010101'" } else { "zeroblob(16)" };
    let now = ground.clock.now().as_millisecond();
    let sql = format!(
        "INSERT INTO finding (customer, found_by, found_at, since, judge_at)
         VALUES ({bytes}, 'look', {now}, 0, {})",
        now + 60_000
    );
    ground.sql(&sql).unwrap();
    let judged = async || {
        let judged = ground.store.judge(9).await.unwrap();
        (judged.told, judged.missing)
    };
    assert_eq!(judged().await, (0, 0), "a callback may still come");
    ground.pass(Duration::from_mins(1));
    assert_eq!((judged().await, judged().await), ((0, 1), (0, 0)));
}

async fn the_first_answer_to_a_key_stays(ground: Ground) {
    let keep = async |sealed: &[u8], status| {
        let answer = FirstAnswer { body_mark: "m".to_owned(), status, sealed: vec![7] };
        let remember = Remember { key: [3; 32], answer };
        ground.store.keep_application(id(1), "app", sealed.to_vec(), Some(remember)).await.unwrap()
    };
    assert!(keep(b"one", 201).await.is_none());
    let again = keep(b"two", 409).await.expect("the key was used before");
    assert_eq!((again.status, again.sealed), (201, vec![7]));
    assert_eq!(ground.store.application(id(1)).await.unwrap().unwrap(), b"one");
}

async fn old_callbacks_go_and_newer_ones_stay(ground: Ground) {
    ground.nudge(id(1), Some("old")).await;
    ground.pass(Duration::from_hours(24 * 10));
    ground.nudge(id(2), Some("new")).await;
    let mut after = Some(0);
    while let Some(place) = after {
        after = ground.store.drop_callbacks(Duration::from_hours(24 * 5), place, 1).await.unwrap();
    }
    let left = ground.store.callbacks(None, None, 9).await.unwrap();
    assert_eq!(left.iter().map(|row| row.customer_hash_id).collect::<Vec<_>>(), [Some(id(2))]);
}
