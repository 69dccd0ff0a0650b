//! The attack journal: what was tried against the service, and which test tries it again. Each is refused with the right
//! status, counted, and without effect.
//!
//! | Attack | Tried again by |
//! | --- | --- |
//! | a signed callback is replayed, cut short, or signed for another | `attacks::a_signature_that_is_replayed_only_makes_us_look_and_a_part_of_one_opens_nothing` |
//! | the time of a check tells how much of a secret was right | `attacks::the_time_of_a_check_does_not_tell_how_much_was_right` |
//! | an address is forged in X-Forwarded-For | `attacks_network::whoever_is_no_proxy_of_ours_says_in_vain_who_it_is`, `attacks_network::behind_a_proxy_of_ours_only_what_the_proxy_wrote_counts` |
//! | heads that are too large or too many, bodies that are compressed or have a gigabyte, both byte by byte | `attacks_network::heads_that_are_too_much_are_refused_and_counted`, `attacks_network::what_is_compressed_is_not_unfolded_on_any_route`, `attacks_network::heads_and_bodies_that_come_byte_by_byte_are_cut_off_while_others_are_served`, `attacks_flood::bodies_of_a_gigabyte_are_refused_and_memory_stays_bounded` |
//! | ten thousand idle connections, floods of HTTP/2 | `attacks_flood::ten_thousand_idle_and_slow_connections_do_not_slow_an_ack_down`, `attacks_flood::floods_of_http2_end_their_own_connection_and_no_other` |
//! | answers are asked for and not read, or no room is made for them | `listener::who_takes_nothing_of_an_answer_is_left_and_who_reads_gets_all_of_it`, `listener::who_makes_no_room_for_an_answer_by_http2_is_left_whatever_else_it_asks`, `doors::a_peer_that_waits_for_many_answers_at_once_gets_its_share_and_others_are_served` |
//! | paths and headers write lines of the log | `attacks_network::no_word_of_a_stranger_makes_a_line_of_the_log` |
//! | Nium's words or the customer's drive an officer's terminal | `attacks::what_was_written_elsewhere_does_not_drive_the_terminal` |
//! | … become HTML in the console or on the page | `console::nium_s_words_and_the_customers_are_text_and_nothing_else`, `page_attacks::niums_words_and_the_customers_are_text_and_nothing_else` |
//! | … add lines or headers to a mail | `smtp::a_customers_fields_add_no_line_to_a_message` |
//! | links are guessed, opened again, too late, or for another customer | `page::strangers_and_foreign_forms_get_nowhere`, `page::opening_a_link_changes_nothing_and_it_ends_when_it_should`, `page_attacks::a_link_and_a_visit_end_with_their_customer_and_reach_nobody_else` |
//! | every route of the API with every role | `openapi::every_role_may_do_what_is_described_and_no_more` |
//! | every page and form of the console with every role, signed out, and with a token of the API | `console_roles::every_page_and_form_does_for_each_role_what_it_may_and_nothing_for_the_others`, `console_roles::a_method_that_is_no_route_is_none_for_anybody` |
//! | what belongs to one customer under another's path: a block's receipt, what Nium asks; a session of somebody else's | `console_roles::what_belongs_to_one_customer_or_person_is_of_no_use_at_another` |
//! | bodies of a wrong kind, compressed or too large, tokens that are missing, wrong or of another role, at every part | `attacks_refused::what_is_refused_is_counted_once_where_it_was_refused_and_leaves_nothing` |
//! | a form of another site, or of another session | `console::a_form_of_another_site_or_session_does_nothing`, `console_roles::every_page_and_form_does_for_each_role_what_it_may_and_nothing_for_the_others` |
//! | passwords and tokens are tried one after the other | `console::passwords_are_not_guessed_and_the_backends_token_opens_no_page`, `peers::bug_10_a_token_that_is_none_of_ours_opens_nothing` |
//! | an event's destination, or where it redirects, is a private place | `reach::private_places_are_refused_in_any_spelling_before_anybody_is_called`, `reach::a_redirect_is_an_answer_and_is_not_followed` |
//! | an answer of Nium's or a backend's never ends, or is not what it should be | `reach::an_answer_without_an_end_or_with_too_much_of_it_holds_up_nobody`, `fuzz::no_input_that_was_ever_found_makes_a_target_fail` |

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use reinstate::http::access::{Access, Options};
use serde_json::json;

use crate::callback::sign;
use crate::house::{House, Plan};

const HEADER: HeaderName = HeaderName::from_static("x-gateway-signature");
const KEY: &[u8] = b"a key of the gateway in front";

#[test]
fn every_attack_of_the_journal_is_tried_again() {
    let rows = include_str!("attacks.rs").lines().filter(|line| line.starts_with("//! | "));
    let named =
        rows.flat_map(|line| line.split('`').skip(1).step_by(2)).filter_map(|name| name.split_once("::"));
    let mut seen = 0;
    for (module, test) in named {
        assert!(crate::promises::is_there(module, test), "{module}::{test}");
        seen += 1;
    }
    assert!(seen > 14, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_is_replayed_only_makes_us_look_and_a_part_of_one_opens_nothing() {
    use base64::Engine;
    let key = base64::engine::general_purpose::STANDARD.encode(KEY);
    let env = vec![("CALLBACK__HMAC_HEADER", HEADER.to_string()), ("CALLBACK__HMAC_SECRETS", key)];
    let house = House::build(Plan { env, ..Plan::default() }).await;
    let id = house.onboard("Ana").await;
    let target = format!("/callback/compliance?customerHashId={id}");
    let knock = async |target: &str, tag: &str| {
        let request =
            house.http.post(format!("http://{}{target}", house.public)).header("x-request-id", "one");
        request.header(HEADER, tag).send().await.unwrap().status().as_u16()
    };
    let counted = async || -> u64 {
        let url = format!("http://{}/metrics", house.admin);
        let metrics = house.http.get(url).send().await.unwrap().text().await.unwrap();
        let series = "reinstate_intake_refused_total{reason=\"signature\"} ";
        metrics.lines().find_map(|line| line.strip_prefix(series)).unwrap().parse().unwrap()
    };
    let whole = sign(KEY, &target, "");
    assert_eq!(knock(&target, &whole).await, 200);
    let before = house.until(&id, "watching").await;
    for _ in 1..20 {
        assert_eq!(knock(&target, &whole).await, 200);
    }
    let already = counted().await;
    let other = target.replace(&id, "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01");
    let refused = [
        (&target, whole[..62].to_owned()),
        (&target, whole[..2].to_owned()),
        (&target, String::new()),
        (&target, format!("{whole}00")),
        (&target, format!("sha256={whole}")),
        (&target, whole.replace(|c: char| c.is_ascii_hexdigit(), "0")),
        (&target, sign(b"another key of somebody", &target, "")),
        (&other, whole.clone()),
        (&format!("{target}&x=1"), whole.clone()),
    ];
    for (target, tag) in &refused {
        assert_eq!(knock(target, tag).await, 401, "{target} {tag}");
    }
    house
        .eventually("the evidence is filed", async || {
            let (_, page) = house.get("/v1/callbacks").await;
            let items = page["items"].as_array().unwrap();
            let replayed = items.iter().find(|callback| callback["requestId"] == "one");
            replayed.is_some_and(|callback| callback["deliveries"] == 20)
                && items.iter().all(|callback| callback["customerHashId"] == id)
        })
        .await;
    let after = house.until(&id, "watching").await;
    assert_eq!(
        (&after["state"], &after["version"]),
        (&before["state"], &before["version"]),
        "nothing but looks"
    );
    assert_eq!(counted().await - already, u64::try_from(refused.len()).unwrap());
    house.close().await;
}

/// The median time of one check, of many that take turns.
fn medians(checks: &[&dyn Fn() -> bool]) -> Vec<Duration> {
    const ROUNDS: usize = 2_001;
    const EACH: u32 = 20;
    let mut times = vec![Vec::with_capacity(ROUNDS); checks.len()];
    for _ in 0..ROUNDS {
        for (check, times) in checks.iter().zip(&mut times) {
            let begun = Instant::now();
            for _ in 0..EACH {
                assert!(!std::hint::black_box(check()));
            }
            times.push(begun.elapsed() / EACH);
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    times.into_iter().map(median).collect()
}

/// How much longer the slowest check takes than the fastest.
fn spread(checks: &[&dyn Fn() -> bool]) -> f64 {
    let medians = medians(checks);
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    most.as_secs_f64() / least.as_secs_f64()
}

/// Values that agree with the secret for ever longer: in nothing, in half, in all but the last character.
fn nearly(secret: &str) -> [String; 3] {
    let half = secret.len() / 2;
    let last = secret.len() - 1;
    [
        "~".repeat(secret.len()),
        format!("{}{}", &secret[..half], "~".repeat(half)),
        format!("{}~", &secret[..last]),
    ]
}

#[test]
fn the_time_of_a_check_does_not_tell_how_much_was_right() {
    const MOST: f64 = 1.5;
    let secret = "s3cret-0".repeat(512);
    let guesses = nearly(&secret);
    let careless = |guess: &str| {
        guess.bytes().zip(secret.bytes()).all(|(one, other)| std::hint::black_box(one) == other)
    };
    let checks = [0, 1, 2].map(|guess| {
        let guess = &guesses[guess];
        move || careless(guess)
    });
    let told = spread(&[&checks[0], &checks[1], &checks[2]]);
    assert!(told > 10.0 * MOST, "a check that stops at the first difference would not be noticed: {told}");

    let peer: IpAddr = "192.0.2.1".parse().unwrap();
    let header = Access::new(Options {
        static_header: Some((HEADER, vec!["another".to_owned().into(), secret.clone().into()])),
        ..Options::default()
    });
    let path = Access::new(Options { secret_path: Some(secret.clone().into()), ..Options::default() });
    let signed =
        Access::new(Options { hmac: Some((HEADER, vec![KEY.to_vec().into()])), ..Options::default() });
    let with = |value: &str| HeaderMap::from_iter([(HEADER, HeaderValue::from_str(value).unwrap())]);
    let headers = guesses.clone().map(|guess| with(&guess));
    let by_header = [0, 1, 2].map(|guess| {
        let (header, headers) = (&header, &headers[guess]);
        move || header.check_head(peer, headers, None).is_ok()
    });
    let by_path = [0, 1, 2].map(|guess| {
        let (path, guess) = (&path, &guesses[guess]);
        move || path.check_head(peer, &HeaderMap::new(), Some(guess)).is_ok()
    });
    let tag = sign(KEY, "/", "");
    let tags = [flipped(&tag, 0), flipped(&tag, 32), flipped(&tag, 63)].map(|tag| with(&tag));
    let by_tag = [0, 1, 2].map(|tag| {
        let (signed, tag) = (&signed, &tags[tag]);
        move || signed.check_signature(tag, "/", b"").is_ok()
    });
    for (what, spread) in [
        ("fixed header", spread(&[&by_header[0], &by_header[1], &by_header[2]])),
        ("secret path", spread(&[&by_path[0], &by_path[1], &by_path[2]])),
        ("signature", spread(&[&by_tag[0], &by_tag[1], &by_tag[2]])),
    ] {
        println!(
            "{what}: the slowest check takes {spread:.2} times as long as the fastest; a careless one {told:.0}"
        );
        assert!(spread < MOST, "{what}: {spread}");
    }
}

/// A signature with one digit changed.
fn flipped(tag: &str, digit: usize) -> String {
    let other = if tag.as_bytes()[digit] == b'0' { "1" } else { "0" };
    format!("{}{other}{}", &tag[..digit], &tag[digit + 1..])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_elsewhere_does_not_drive_the_terminal() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    // Clears the screen, forges a line, sets the title by C1, turns the text around.
    let hostile =
        "name mismatch\u{1b}[2J\u{1b}[31m\nstate              reinstated\u{9b}2J\u{202e}drawkcab\u{7}\r";
    house
        .nium_says(
            &id,
            json!({ "complianceStatus": "REJECT", "remarks": hostile, "complianceRemarks": hostile }),
        )
        .await;
    house.until(&id, "awaiting_correction").await;
    for args in [
        vec!["customers", "show", &id],
        vec!["customers", "timeline", &id],
        vec!["customers", "list"],
        vec!["jobs", "list"],
    ] {
        let done = tokio::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
            .args(&args)
            .envs(house.env())
            .env("REINSTATE__ADMIN__LISTEN", house.admin.to_string())
            .output()
            .await
            .unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        let said = String::from_utf8(done.stdout).unwrap();
        let moves = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!said.contains(moves), "{args:?}: {said:?}");
        assert!(
            !said.lines().any(|line| line.starts_with("state") && line.ends_with("reinstated")),
            "{said}"
        );
    }
    house.close().await;
}
