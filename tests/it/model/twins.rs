//! Broken twins: one rule of the world, or one line of `decide`, is wrong, and the search must find where that hurts.
//! A law that no twin can break would prove nothing.

use jiff::{SignedDuration, Timestamp};
use reinstate::domain::case::{Case, CaseState, Stage};
use reinstate::domain::decision::{Answer, Decision, Observation, Policy};
use reinstate::domain::status::Standing;
use reinstate::flow::decide;

use super::laws::Law;
use super::step::{Rule, Rules};
use super::world::Left;
use super::{explore, explore_blocked};

/// One correction, and time for it.
const CORRECTION: Left = Left { corrections: 1, waits: 3, ..Left::NOTHING };

fn must_break(law: Law, rules: &Rules, left: Left) {
    let Err(broken) = explore(rules, &[law], 0, left) else {
        panic!("nothing breaks {law:?}");
    };
    assert_eq!(broken.law, law);
    println!("{}", broken.trace);
}

fn blind(case: &Case, seen: &Observation, now: Timestamp, policy: &Policy) -> Decision {
    let unclear = Observation::Answered(Answer::Unclear);
    let seen = if *seen == unclear { &Observation::Answered(Answer::NotTaken) } else { seen };
    decide(case, seen, now, policy)
}

#[test]
fn whoever_resends_after_a_lost_answer_applies_it_twice() {
    must_break(Law::OneEffect, &Rules::deciding(blind), CORRECTION);
}

fn careless(case: &Case, seen: &Observation, now: Timestamp, policy: &Policy) -> Decision {
    let interrupted = *seen == Observation::Interrupted;
    let seen = if interrupted { &Observation::Answered(Answer::NotTaken) } else { seen };
    decide(case, seen, now, policy)
}

#[test]
fn whoever_resends_after_a_crash_applies_it_twice() {
    let left = Left { mishaps: 1, ..CORRECTION };
    must_break(Law::OneEffect, &Rules::deciding(careless), left);
}

fn early(case: &Case, seen: &Observation, now: Timestamp, policy: &Policy) -> Decision {
    let mut seen = seen.clone();
    if let (
        Observation::Looked(look),
        CaseState::Submitting { stage: Stage::Unclear { settled_at, .. }, .. },
    ) = (&mut seen, &case.state)
    {
        look.sighting.begun_at = *settled_at;
    }
    decide(case, &seen, now, policy)
}

#[test]
fn whoever_believes_a_look_from_before_nium_had_settled_applies_it_twice() {
    let left = Left { nudges: 1, ..CORRECTION };
    must_break(Law::OneEffect, &Rules::deciding(early), left);
}

fn hasty(case: &Case, seen: &Observation, now: Timestamp, policy: &Policy) -> Decision {
    let intended = matches!(case.state, CaseState::Submitting { stage: Stage::Intended { .. }, .. });
    // To whom it is ten seconds later, every rejection is old enough.
    let later = if intended { now + SignedDuration::from_secs(10) } else { now };
    decide(case, seen, later, policy)
}

#[test]
fn whoever_sends_within_the_second_of_the_rejection_cannot_tell_the_next_one_from_it() {
    must_break(Law::OneEffect, &Rules::deciding(hasty), CORRECTION);
}

fn hopeful(case: &Case, seen: &Observation, now: Timestamp, policy: &Policy) -> Decision {
    let mut seen = seen.clone();
    if let (Observation::Looked(look), CaseState::Submitting { stage: Stage::Unclear { before, .. }, .. }) =
        (&mut seen, &case.state)
        && look.standing == Standing::Blocked
    {
        look.sighting.updated_at.clone_from(&before.updated_at);
    }
    decide(case, &seen, now, policy)
}

#[test]
fn whoever_takes_a_block_that_is_still_shown_for_proof_that_nothing_arrived_applies_it_twice() {
    let left = Left { words: 1, mishaps: 1, ..CORRECTION };
    let Err(broken) = explore_blocked(&Rules::deciding(hopeful), &[Law::OneEffect], 0, left) else {
        panic!("nothing breaks it");
    };
    println!("{}", broken.trace);
}

#[test]
fn whoever_answers_all_nudges_at_the_commit_misses_one() {
    let left = Left { nudges: 1, ..Left::NOTHING };
    must_break(Law::EveryNudgeIsSeen, &Rules::without(&[Rule::CountAtClaim]), left);
}

#[test]
fn whoever_forgets_a_failed_look_never_sees_its_nudge() {
    let left = Left { nudges: 1, words: 1, moves: 1, mishaps: 1, waits: 1, corrections: 0 };
    must_break(Law::EveryNudgeIsSeen, &Rules::without(&[Rule::Owe]), left);
}

#[test]
fn whoever_commits_with_a_lost_lease_changes_something() {
    let left = Left { mishaps: 1, waits: 1, ..Left::NOTHING };
    must_break(Law::LostLeaseChangesNothing, &Rules::without(&[Rule::Fence]), left);
}

#[test]
fn whoever_checks_neither_lease_nor_version_goes_back_in_time() {
    let left = Left { mishaps: 1, waits: 2, words: 1, ..Left::NOTHING };
    must_break(Law::VersionGrows, &Rules::without(&[Rule::Fence, Rule::Guard]), left);
}

fn idle(case: &Case, seen: &Observation, now: Timestamp, policy: &Policy) -> Decision {
    let mut decision = decide(case, seen, now, policy);
    if decision.case.state.name() == "under_review" {
        decision.next = None;
    }
    decision
}

#[test]
fn whoever_waits_for_nium_without_a_timer_waits_for_ever() {
    must_break(Law::EveryStateHasAnExit, &Rules::deciding(idle), CORRECTION);
}

fn repeating(case: &Case, seen: &Observation, now: Timestamp, policy: &Policy) -> Decision {
    let mut decision = decide(case, seen, now, policy);
    decision.case.version = decision.case.version.min(2);
    decision
}

#[test]
fn whoever_tells_twice_with_one_version_uses_a_key_twice() {
    must_break(Law::KeysAreDistinct, &Rules::deciding(repeating), CORRECTION);
}

#[test]
fn whoever_never_sweeps_stands_elsewhere_after_a_lost_callback() {
    let left = Left { moves: 2, ..Left::NOTHING };
    must_break(Law::AgreesAtRest, &Rules::without(&[Rule::Sweep]), left);
}

fn stubborn(case: &Case, seen: &Observation, now: Timestamp, policy: &Policy) -> Decision {
    let mut decision = decide(case, seen, now, policy);
    if case.state.name() == "awaiting_correction" && decision.case.state.name() == "reinstated" {
        decision.case.state = case.state.clone();
    }
    decision
}

#[test]
fn whoever_overlooks_an_approval_stands_elsewhere() {
    let left = Left { moves: 1, ..Left::NOTHING };
    must_break(Law::AgreesAtRest, &Rules::deciding(stubborn), left);
}
