//! Our own work on the customer, step by step as `worker::inbox` and `worker::outbox` do it, and the commit as
//! `store::sqlite::work` does it. What is decided comes from the real `flow::decide`.

use jiff::Timestamp;
use reinstate::domain::case::{Case, CaseState};
use reinstate::domain::decision::{Decision, NextWhat, Observation, Policy};
use reinstate::domain::effect::{EffectKey, EffectStatus};
use reinstate::flow::timers;

use super::step::{Act, Reply, Rule, Rules};
use super::world::{
    Air, BACKOFF, CALL, Disk, Facts, Hand, Kept, Phase, Planned, SETTLE, Time, Word, World, at, customer,
    look, policy, time_of,
};

/// `flow::decide`, or a broken twin of it.
pub(super) type Decide = fn(&Case, &Observation, Timestamp, &Policy) -> Decision;

pub(super) fn unseen(now: Time) -> Kept {
    Kept::new(Case::unseen(customer(), at(now)))
}

pub(super) fn work(world: &mut World, index: usize, act: Act, rules: &Rules) {
    let hand = world.hands[index].clone();
    match (act, &hand.phase) {
        (Act::Begin, _) => begin(world, index, &hand, rules),
        (Act::Read, Phase::Looking { begun, counted }) => {
            let facts = world.nium.facts;
            world.hands[index].phase = Phase::Seen { begun: *begun, counted: *counted, facts };
        }
        (Act::Fail, _) => {
            world.left.mishaps -= 1;
            let due = Some(world.now + BACKOFF);
            let failures = hand.failures + 1;
            commit(world, index, &Writing { due, failures, ..Writing::default() }, rules);
        }
        (Act::Decide, Phase::Seen { begun, counted, facts }) => {
            seen(world, index, &hand, (*begun, *counted, *facts), rules);
        }
        (Act::Send, _) => send(world, index, &hand, rules),
        (Act::Hear(reply), Phase::Called { .. }) => hear(world, index, &hand, reply, rules),
        _ => panic!("{act:?} does not follow {:?}", hand.phase),
    }
}

/// `Worker::attend`, as far as the first commit or the beginning of a look.
fn begin(world: &mut World, index: usize, hand: &Hand, rules: &Rules) {
    let beside = Beside::default();
    if hand.is_sending() {
        return conclude(world, index, hand, &Observation::Interrupted, beside, rules);
    }
    let is_submitting = hand.kept.state.name() == "submitting";
    match (hand.word, hand.submission) {
        (Some(said), _) => return officer(world, index, hand, said, rules),
        (None, Some(submission)) if !is_submitting => {
            let seen = Observation::Corrected(world.disk.submissions[submission].key());
            // With the lease kept, the next thing is the look that releases the submission.
            let hold = hand.kept.state.name() == "awaiting_correction";
            return conclude(world, index, hand, &seen, Beside { hold, ..beside }, rules);
        }
        (None, None) if let Some(seen) = timers::ripe(&hand.kept, at(world.now)) => {
            return conclude(world, index, hand, &seen, beside, rules);
        }
        (None, _) => {}
    }
    let is_due = hand.next.is_some_and(|next| next.is_look && next.at <= world.now);
    if hand.first || hand.nudged || is_submitting || is_due || hand.failures > 0 {
        if hand.has_time(world.now) {
            let (begun, counted) = (world.now, world.disk.wanted);
            world.hands[index].phase = Phase::Looking { begun, counted };
            return;
        }
        let writing = Writing { due: Some(world.now), failures: hand.failures, ..Writing::default() };
        commit(world, index, &writing, rules);
        return;
    }
    let due = hand.next.map(|next| next.at);
    commit(world, index, &Writing { due, ..Writing::default() }, rules);
}

fn officer(world: &mut World, index: usize, hand: &Hand, said: Word, rules: &Rules) {
    let seen = Observation::Officer(said.officer());
    let beside = Beside { says: Some(said), ..Beside::default() };
    conclude(world, index, hand, &seen, beside, rules);
}

/// `Worker::seen`: a look that releases a submission keeps the lease.
fn seen(world: &mut World, index: usize, hand: &Hand, saw: (Time, u8, Facts), rules: &Rules) {
    let (begun, counted, facts) = saw;
    let seen = Observation::Looked(look(facts, begun, hand.kept.version));
    let hand = Hand { failures: 0, ..hand.clone() };
    let beside = Beside { looked: Some((counted, facts)), ..Beside::default() };
    conclude(world, index, &hand, &seen, beside, rules);
}

/// `Worker::submit`, as far as the first byte.
fn send(world: &mut World, index: usize, hand: &Hand, rules: &Rules) {
    if !hand.has_time(world.now) {
        let seen = Observation::Answered(Reply::NotTaken.answer());
        return conclude(world, index, hand, &seen, Beside::default(), rules);
    }
    let submission = hand.submission.expect("what is sent was handed in");
    world.air.push(Air { submission, epoch: hand.epoch, sure: false, until: world.now + CALL + SETTLE - 1 });
    world.hands[index].phase = Phase::Called { arrived: false };
}

/// `Worker::submit`, from the answer on.
fn hear(world: &mut World, index: usize, hand: &Hand, reply: Reply, rules: &Rules) {
    let until = world.now + SETTLE - 1;
    world.left.mishaps -= u8::from(reply == Reply::NotTaken);
    match reply {
        // Nium did not act, and will not.
        Reply::Refused | Reply::NotTaken => world.air.retain(|air| air.epoch != hand.epoch),
        Reply::Taken | Reply::TakenAnd(_) | Reply::Unclear => {
            for air in world.air.iter_mut().filter(|air| air.epoch == hand.epoch) {
                air.sure |= reply != Reply::Unclear;
                air.until = air.until.min(until);
            }
        }
    }
    conclude(world, index, hand, &Observation::Answered(reply.answer()), Beside::default(), rules);
}

/// What to write beside a decision.
#[derive(Clone, Copy, Default)]
struct Beside {
    looked: Option<(u8, Facts)>,
    says: Option<Word>,
    hold: bool,
}

/// What one transaction writes.
#[derive(Default)]
struct Writing {
    decision: Option<Decision>,
    /// How many nudges had come when the look began, and what it saw.
    looked: Option<(u8, Facts)>,
    /// The officer's word that is done with.
    says: Option<Word>,
    due: Option<Time>,
    failures: u8,
    hold: bool,
}

fn conclude(world: &mut World, index: usize, hand: &Hand, seen: &Observation, beside: Beside, rules: &Rules) {
    let decision = (rules.decide)(&hand.kept, seen, at(world.now), &policy());
    let mut after = Hand { kept: Kept::new(decision.case.clone()), ..hand.clone() };
    let releases = beside.looked.is_some() && after.is_sending();
    after.phase = if releases { Phase::Ready } else { Phase::Claimed };
    let owed = (rules.hold(Rule::Owe) && hand.failures > 0).then_some(world.now + BACKOFF);
    let next = decision.next.map(|next| time_of(next.at));
    let writing = Writing {
        due: owed.into_iter().chain(next).min(),
        looked: beside.looked,
        says: beside.says,
        failures: hand.failures,
        hold: beside.hold || releases,
        decision: Some(decision),
    };
    if commit(world, index, &writing, rules) && writing.hold {
        world.hands.insert(index, after);
    }
}

/// One transaction: all of it, or nothing. Whoever commits lets go; who holds on is put back by the caller.
fn commit(world: &mut World, index: usize, writing: &Writing, rules: &Rules) -> bool {
    let hand = world.hands.remove(index);
    let disk = &mut world.disk;
    if rules.hold(Rule::Fence) && (hand.epoch != disk.epoch || !disk.leased) {
        return false;
    }
    if let Some(decision) = &writing.decision {
        let version = decision.case.version;
        let follows = disk.version() <= version && version <= disk.version() + 1;
        if rules.hold(Rule::Guard) && !follows {
            return false;
        }
        disk.kept = Some(Kept::new(decision.case.clone()));
        disk.next =
            decision.next.map(|next| Planned { is_look: next.what == NextWhat::Look, at: time_of(next.at) });
        if let Some((key, status)) = &decision.effect {
            change_effect(disk, key, *status);
        }
        if !decision.tells.is_empty() {
            world.retold |= version <= world.told;
            world.told = world.told.max(version);
        }
    }
    if let Some((counted, facts)) = writing.looked {
        disk.handled =
            disk.handled.max(if rules.hold(Rule::CountAtClaim) { hand.wanted } else { disk.wanted });
        disk.snapshot = Some(facts);
        world.seen = world.seen.max(counted);
    }
    if disk.word == writing.says {
        disk.word = None;
    }
    disk.failures = writing.failures;
    if !writing.hold {
        disk.leased = false;
        let is_owed = disk.failures == 0 && disk.wanted > disk.handled;
        disk.due = if is_owed { Some(world.now) } else { writing.due };
    }
    true
}

/// An effect that has ended stays as it is.
fn change_effect(disk: &mut Disk, key: &EffectKey, status: EffectStatus) {
    let open =
        disk.submissions.iter_mut().find(|submission| submission.key() == *key && submission.is_open());
    if let Some(submission) = open {
        submission.status = status;
    }
}

/// Whether nothing but Nium or a person leads on from here.
pub(super) fn rests(state: &CaseState) -> bool {
    ["reinstated", "approved", "finally_rejected", "needs_officer"].contains(&state.name())
}
