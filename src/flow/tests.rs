//! The whole table of decisions: every state against every observation, as one snapshot that a person can read, and
//! the laws that hold for all of it.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use super::decide;
use crate::domain::case::{Beside, Block, Case, CaseState, FinalReason, OfficerReason, Stage};
use crate::domain::decision::{Answer, Decision, Look, Observation, OfficerWord, Policy, UnknownRemark};
use crate::domain::effect::{EffectKey, EffectStatus, Event};
use crate::domain::id::CustomerHashId;
use crate::domain::remark::{Grounds, RemarkClass};
use crate::domain::snapshot::{BlockedBy, CustomerKind, NiumTime, Sighting};
use crate::domain::status::{Compliance, Standing, Status};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

/// The moment of every decision in these tests.
const NOW: i64 = 100_000;

fn id() -> CustomerHashId {
    CustomerHashId::parse("0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01").unwrap()
}

fn key() -> EffectKey {
    EffectKey::new(id(), 7, "s")
}

fn policy() -> Policy {
    Policy {
        submissions_max: 3,
        correction_days: 14,
        remind_after_days: vec![3, 10],
        rfi_days: 14,
        active_every: SignedDuration::from_mins(15),
        unknown_remark: UnknownRemark::Offer,
        settle: SignedDuration::from_secs(5),
    }
}

fn nium_time(second: i64) -> NiumTime {
    NiumTime::read(&at(second).to_string())
}

/// What the look before sending saw: rejected a while ago.
fn before() -> Sighting {
    sighting(Some(Compliance::Reject), Some(Status::Failed), 10)
}

fn sighting(compliance: Option<Compliance>, status: Option<Status>, updated: i64) -> Sighting {
    Sighting {
        compliance,
        status,
        updated_at: Some(nium_time(updated)),
        remarks_mark: "same".to_owned(),
        begun_at: at(NOW),
    }
}

fn grounds() -> Grounds {
    Grounds::bare(RemarkClass::Unknown)
}

fn states() -> Vec<(&'static str, CaseState)> {
    let submitting =
        |stage| CaseState::Submitting { grounds: grounds(), deadline: at(NOW + 50), effect: key(), stage };
    let request_id = Uuid::nil();
    vec![
        ("watching", CaseState::Watching { after_rejection: false }),
        ("watching again", CaseState::Watching { after_rejection: true }),
        ("rejected", CaseState::Rejected { grounds: grounds(), reread_at: at(NOW) }),
        (
            "awaiting",
            CaseState::AwaitingCorrection {
                grounds: grounds(),
                deadline: at(NOW),
                reminders: vec![at(NOW - 5), at(NOW + 5)],
            },
        ),
        ("intended", submitting(Stage::Intended { sends: 0 })),
        (
            "sending",
            submitting(Stage::Sending { before: before(), request_id, sent_at: at(NOW - 60), sends: 1 }),
        ),
        (
            "unclear",
            submitting(Stage::Unclear { before: before(), request_id, settled_at: at(NOW - 50), sends: 1 }),
        ),
        ("in review", CaseState::UnderReview { before: before(), taken_at: at(NOW - 60), moved: false }),
        (
            "in review, moved",
            CaseState::UnderReview { before: before(), taken_at: at(NOW - 60), moved: true },
        ),
        ("reinstated", CaseState::Reinstated),
        ("approved", CaseState::Approved),
        ("final", CaseState::FinallyRejected { why: FinalReason::AttemptsSpent }),
        ("final: historic", CaseState::FinallyRejected { why: FinalReason::Historic }),
        ("officer: RFI", CaseState::NeedsOfficer { why: OfficerReason::RfiOverdue, after_rejection: true }),
        ("officer: word", CaseState::NeedsOfficer { why: OfficerReason::UnknownWord, after_rejection: true }),
        (
            "officer: remark",
            CaseState::NeedsOfficer { why: OfficerReason::UnclearRemark, after_rejection: true },
        ),
    ]
}

fn look(compliance: Option<&str>, status: Option<&str>, updated: i64) -> Look {
    let (compliance, status) = (compliance.map(Compliance::parse), status.map(Status::parse));
    Look {
        standing: Standing::of(compliance.as_ref(), status.as_ref()),
        sighting: sighting(compliance, status, updated),
        grounds: grounds(),
        kind: CustomerKind::Individual,
        blocked_by: None,
        historic: false,
        rfi_mark: None,
        fresh_request_id: Uuid::nil(),
    }
}

fn observations() -> Vec<(&'static str, Observation)> {
    let looked = |compliance, status, updated| Observation::Looked(look(compliance, status, updated));
    vec![
        ("COMPLETED/Clear", looked(Some("COMPLETED"), Some("Clear"), 20)),
        ("COMPLETED/Pending", looked(Some("COMPLETED"), Some("Pending"), 20)),
        ("COMPLETED/Suspended", looked(Some("COMPLETED"), Some("Suspended"), 20)),
        ("ACTION_REQUIRED/Pending", looked(Some("ACTION_REQUIRED"), Some("Pending"), 20)),
        ("ACTION_REQUIRED/Clear", looked(Some("ACTION_REQUIRED"), Some("Clear"), 20)),
        ("RFI_REQUESTED/Pending", looked(Some("RFI_REQUESTED"), Some("Pending"), 20)),
        ("RFI_REQUESTED/Clear", looked(Some("RFI_REQUESTED"), Some("Clear"), 20)),
        ("REJECT/Failed, as before", looked(Some("REJECT"), Some("Failed"), 10)),
        ("REJECT/Failed, later", looked(Some("REJECT"), Some("Failed"), NOW - 30)),
        ("REJECT/Pending, later", looked(Some("REJECT"), Some("Pending"), NOW - 30)),
        ("EXPIRED/Pending", looked(Some("EXPIRED"), Some("Pending"), 20)),
        ("CLOSED/Pending", looked(Some("CLOSED"), Some("Pending"), 20)),
        ("COMPLETED/Blocked", looked(Some("COMPLETED"), Some("Blocked"), 20)),
        ("COMPLETED/Blocked, later", looked(Some("COMPLETED"), Some("Blocked"), NOW - 30)),
        ("ACTION_REQUIRED/Blocked", looked(Some("ACTION_REQUIRED"), Some("Blocked"), NOW - 30)),
        ("REJECT/Blocked", looked(Some("REJECT"), Some("Blocked"), NOW - 30)),
        ("MYSTERY/Pending", looked(Some("MYSTERY"), Some("Pending"), 20)),
        ("nothing/Pending", looked(None, Some("Pending"), 20)),
        ("404", Observation::Missing),
        ("unreadable", Observation::LooksFail),
        ("corrected", Observation::Corrected(EffectKey::new(id(), 8, "s"))),
        ("taken, COMPLETED", Observation::Answered(Answer::Taken(Some(Standing::Approved)))),
        ("taken, REJECT", Observation::Answered(Answer::Taken(Some(Standing::Rejected { lagging: false })))),
        ("taken, no word", Observation::Answered(Answer::Taken(None))),
        ("refused", Observation::Answered(Answer::Refused)),
        ("not taken", Observation::Answered(Answer::NotTaken)),
        ("unclear", Observation::Answered(Answer::Unclear)),
        ("no such customer", Observation::Answered(Answer::NoSuchCustomer)),
        ("interrupted", Observation::Interrupted),
        ("deadline", Observation::DeadlinePassed),
        ("reminder", Observation::ReminderDue),
        ("RFI deadline", Observation::RfiDeadlinePassed),
        ("officer: offer", Observation::Officer(OfficerWord::Offer)),
        ("officer: final", Observation::Officer(OfficerWord::Final)),
        ("officer: retry", Observation::Officer(OfficerWord::Retry)),
        ("officer: close", Observation::Officer(OfficerWord::Close)),
        ("officer: reapply", Observation::Officer(OfficerWord::Reapply)),
        ("not approved", Observation::NotApproved),
    ]
}

fn case(state: CaseState, attempts_used: u32) -> Case {
    Case { id: id(), version: 7, state, since: at(0), attempts_used, beside: Beside::default() }
}

fn outcome(decision: &Decision) -> String {
    let mut text = match &decision.case.state {
        CaseState::Submitting { stage: Stage::Intended { .. }, .. } => "submitting:intended".to_owned(),
        CaseState::Submitting { stage: Stage::Sending { .. }, .. } => "submitting:sending".to_owned(),
        CaseState::Submitting { stage: Stage::Unclear { .. }, .. } => "submitting:unclear".to_owned(),
        CaseState::FinallyRejected { why } => format!("finally_rejected:{}", why.as_str()),
        CaseState::NeedsOfficer { why, .. } => format!("needs_officer:{}", why.as_str()),
        other => other.name().to_owned(),
    };
    for tell in &decision.tells {
        let _ = write!(text, " +{}", tell.event.as_str().trim_start_matches("customer."));
    }
    if let Some((_, status)) = &decision.effect {
        let _ = write!(text, " [{}]", status.as_str());
    }
    if decision.case.attempts_used != 1 {
        let _ = write!(text, " attempts={}", decision.case.attempts_used);
    }
    text
}

#[test]
fn the_whole_table() {
    let mut table = String::new();
    for (state_name, state) in states() {
        let _ = writeln!(table, "{state_name}");
        for (seen_name, seen) in observations() {
            let decision = decide(&case(state.clone(), 1), &seen, at(NOW), &policy());
            let stays = decision.case.version == 7;
            let text = if stays { "-".to_owned() } else { outcome(&decision) };
            let _ = writeln!(table, "  {seen_name:<26} {text}");
        }
    }
    insta::assert_snapshot!(table);
}

/// A case that was blocked for good, and whose way back an officer has opened all the same.
fn reapplied(state: CaseState, attempts_used: u32) -> Case {
    let block = Some(Block { permanent: true, by: BlockedBy::Client });
    Case { beside: Beside { block, reapplication: true, rfi: None }, ..case(state, attempts_used) }
}

/// The states that a re-application can be in, and those it begins from.
fn states_of_a_reapplication() -> Vec<(&'static str, CaseState)> {
    let blocked = || sighting(Some(Compliance::Completed), Some(Status::Blocked), 20);
    let submitting =
        |stage| CaseState::Submitting { grounds: grounds(), deadline: at(NOW + 50), effect: key(), stage };
    let request_id = Uuid::nil();
    let review = |taken_at, moved| CaseState::UnderReview { before: blocked(), taken_at, moved };
    let day = 24 * 3_600;
    let mut found: Vec<_> = states()
        .into_iter()
        .filter(|(name, _)| ["awaiting", "intended", "reinstated", "approved", "final"].contains(name))
        .collect();
    found.extend([
        (
            "unclear",
            submitting(Stage::Unclear { before: blocked(), request_id, settled_at: at(NOW - 50), sends: 1 }),
        ),
        ("in review", review(at(NOW - 60), false)),
        ("in review for a day", review(at(NOW - day), false)),
        ("final: blocked", CaseState::FinallyRejected { why: FinalReason::Blocked }),
        (
            "officer: cannot tell",
            CaseState::NeedsOfficer { why: OfficerReason::CannotTell, after_rejection: true },
        ),
        ("officer: gone", CaseState::NeedsOfficer { why: OfficerReason::NotAtNium, after_rejection: true }),
    ]);
    found
}

#[test]
fn the_table_of_a_reapplication() {
    let mut table = String::new();
    for (state_name, state) in states_of_a_reapplication() {
        let _ = writeln!(table, "{state_name}");
        for (seen_name, seen) in observations() {
            let decision = decide(&reapplied(state.clone(), 1), &seen, at(NOW), &policy());
            let stays = decision.case.version == 7;
            let mut text = if stays { "-".to_owned() } else { outcome(&decision) };
            if decision.case.beside.reapplication {
                text.push_str(" (re-applies)");
            }
            let _ = writeln!(table, "  {seen_name:<26} {text}");
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_state_from_an_older_release_reads_as_no_reapplication() {
    let beside: Beside =
        serde_json::from_str(r#"{"rfi":null,"block":{"permanent":true,"by":"CLIENT"}}"#).unwrap();
    assert!(!beside.reapplication && beside.block.is_some_and(|block| block.permanent));
}

#[test]
fn a_first_rejection_offers_the_way_back_and_a_final_remark_does_not() {
    let mut seen = look(Some("REJECT"), Some("Failed"), 10);
    let fresh = case(CaseState::Watching { after_rejection: false }, 0);
    let offered = decide(&fresh, &Observation::Looked(seen.clone()), at(NOW), &policy());
    assert_eq!(offered.case.state.name(), "awaiting_correction");
    let told: Vec<_> = offered.tells.iter().map(|tell| tell.event).collect();
    assert_eq!(told, [Event::Rejected, Event::CorrectionRequested]);

    seen.grounds.class = RemarkClass::Final;
    let refused = decide(&fresh, &Observation::Looked(seen), at(NOW), &policy());
    assert_eq!(refused.case.state, CaseState::FinallyRejected { why: FinalReason::RemarkIsFinal });
}

#[test]
fn an_unknown_remark_waits_for_an_officer_if_the_policy_says_so() {
    let policy = Policy { unknown_remark: UnknownRemark::Officer, ..policy() };
    let seen = Observation::Looked(look(Some("REJECT"), Some("Failed"), 10));
    let decision = decide(&case(CaseState::Watching { after_rejection: false }, 0), &seen, at(NOW), &policy);
    assert_eq!(decision.case.state.name(), "needs_officer");
}

#[test]
fn a_company_is_an_officers_matter() {
    let mut seen = look(Some("REJECT"), Some("Failed"), 10);
    seen.kind = CustomerKind::Corporate;
    let watching = case(CaseState::Watching { after_rejection: false }, 0);
    let decision = decide(&watching, &Observation::Looked(seen), at(NOW), &policy());
    let why = OfficerReason::CorporateRejection;
    assert_eq!(decision.case.state, CaseState::NeedsOfficer { why, after_rejection: true });
}

#[test]
fn the_last_attempt_is_the_last() {
    let again = Observation::Looked(look(Some("REJECT"), Some("Failed"), NOW - 30));
    let review = CaseState::UnderReview { before: before(), taken_at: at(NOW - 60), moved: true };
    let one_left = decide(&case(review.clone(), 2), &again, at(NOW), &policy());
    assert_eq!(one_left.case.state.name(), "awaiting_correction");
    let none_left = decide(&case(review, 3), &again, at(NOW), &policy());
    assert_eq!(none_left.case.state, CaseState::FinallyRejected { why: FinalReason::AttemptsSpent });
}

#[test]
fn a_submission_waits_until_the_second_of_the_rejection_has_passed() {
    let state = states().into_iter().find(|(name, _)| *name == "intended").unwrap().1;
    let fresh = Observation::Looked(look(Some("REJECT"), Some("Failed"), NOW - 1));
    let waits = decide(&case(state.clone(), 0), &fresh, at(NOW), &policy());
    assert_eq!((waits.case.state.clone(), waits.next.unwrap().at), (state.clone(), at(NOW + 1)));
    // A clock of Nium's that is far ahead cannot be waited for.
    let ahead = Observation::Looked(look(Some("REJECT"), Some("Failed"), NOW + 3_600));
    assert_eq!(outcome(&decide(&case(state, 1), &ahead, at(NOW), &policy())), "submitting:sending [sending]");
}

#[test]
fn an_unclear_submission_is_resent_with_the_same_request_id_only_if_nium_has_not_moved() {
    let request_id = Uuid::from_u128(9);
    let stage = Stage::Unclear { before: before(), request_id, settled_at: at(NOW - 50), sends: 1 };
    let case_state = CaseState::Submitting { grounds: grounds(), deadline: at(NOW), effect: key(), stage };
    let same = Observation::Looked(look(Some("REJECT"), Some("Failed"), 10));
    let decision = decide(&case(case_state.clone(), 0), &same, at(NOW), &policy());
    let CaseState::Submitting { stage: Stage::Sending { request_id: again, sends, .. }, .. } =
        decision.case.state
    else {
        panic!("it is sent again");
    };
    assert_eq!((again, sends), (request_id, 2));

    let mut early = look(Some("REJECT"), Some("Failed"), 10);
    early.sighting.begun_at = at(NOW - 51);
    let waits = decide(&case(case_state.clone(), 0), &Observation::Looked(early), at(NOW), &policy());
    assert_eq!(waits.case.state, case_state, "a look begun before Nium had settled is no evidence");

    let mut blind = look(Some("REJECT"), Some("Failed"), 10);
    blind.sighting.updated_at = None;
    blind.sighting.remarks_mark = "same".to_owned();
    let mut unreadable = before();
    unreadable.updated_at = None;
    let stage = Stage::Unclear { before: unreadable, request_id, settled_at: at(NOW - 50), sends: 1 };
    let case_state = CaseState::Submitting { grounds: grounds(), deadline: at(NOW), effect: key(), stage };
    let asks = decide(&case(case_state, 0), &Observation::Looked(blind), at(NOW), &policy());
    assert_eq!(
        asks.case.state,
        CaseState::NeedsOfficer { why: OfficerReason::CannotTell, after_rejection: true }
    );
}

#[test]
fn blocks_and_requests_for_information_come_and_go_beside_the_state() {
    let approved = case(CaseState::Approved, 0);
    let suspended = decide(
        &approved,
        &Observation::Looked(look(Some("COMPLETED"), Some("Suspended"), 20)),
        at(NOW),
        &policy(),
    );
    assert_eq!(suspended.case.state, CaseState::Approved);
    assert_eq!(suspended.tells[0].event, Event::Suspended);
    let lifted = decide(
        &suspended.case,
        &Observation::Looked(look(Some("COMPLETED"), Some("Clear"), 30)),
        at(NOW),
        &policy(),
    );
    assert_eq!((lifted.case.beside.block, lifted.tells[0].event), (None, Event::Unblocked));
    let asked = decide(
        &lifted.case,
        &Observation::Looked(look(Some("RFI REQUESTED"), Some("Clear"), 40)),
        at(NOW),
        &policy(),
    );
    assert_eq!((asked.case.state.clone(), asked.case.beside.rfi.is_some()), (CaseState::Approved, true));
    let again = decide(
        &asked.case,
        &Observation::Looked(look(Some("RFI_REQUESTED"), Some("Clear"), 40)),
        at(NOW),
        &policy(),
    );
    assert!(again.tells.is_empty(), "the same request is told once");
}

fn any_pair() -> impl Strategy<Value = (Case, Observation)> {
    (select(states()), select(observations()), 0_u32..5, proptest::bool::ANY).prop_map(
        |((_, state), (_, seen), attempts, blocked)| {
            (if blocked { reapplied(state, attempts) } else { case(state, attempts) }, seen)
        },
    )
}

proptest! {
    #[test]
    fn the_version_grows_by_one_exactly_when_something_changed((case, seen) in any_pair()) {
        let decision = decide(&case, &seen, at(NOW), &policy());
        let mut same = decision.case.clone();
        same.version = case.version;
        let changed = same != case || !decision.tells.is_empty() || decision.effect.is_some();
        prop_assert_eq!(decision.case.version, case.version + u64::from(changed));
    }

    #[test]
    fn the_same_observation_twice_tells_nobody_twice((case, seen) in any_pair()) {
        prop_assume!(matches!(seen, Observation::Looked(_)));
        let once = decide(&case, &seen, at(NOW), &policy());
        let twice = decide(&once.case, &seen, at(NOW), &policy());
        let thrice = decide(&twice.case, &seen, at(NOW), &policy());
        // One more decision may follow (a rejection first waits for its second read), then all is quiet.
        prop_assert!(thrice.tells.is_empty(), "{:?}", thrice.tells);
    }

    #[test]
    fn only_a_look_releases_a_submission((case, seen) in any_pair()) {
        let decision = decide(&case, &seen, at(NOW), &policy());
        if matches!(decision.effect, Some((_, EffectStatus::Sending))) {
            prop_assert!(matches!(seen, Observation::Looked(_)));
            prop_assert_eq!(case.state.name(), "submitting");
        }
    }

    #[test]
    fn every_state_that_is_not_final_has_an_exit_in_time_or_an_officer((case, seen) in any_pair()) {
        let decision = decide(&case, &seen, at(NOW), &policy());
        let resting = matches!(
            decision.case.state,
            CaseState::Approved | CaseState::Reinstated | CaseState::FinallyRejected { .. } | CaseState::NeedsOfficer { .. }
        );
        prop_assert!(resting || decision.next.is_some());
    }

    #[test]
    fn attempts_never_pass_the_limit_into_another_offer((case, seen) in any_pair()) {
        let decision = decide(&case, &seen, at(NOW), &policy());
        let entered = decision.case.state.name() == "awaiting_correction" && case.state.name() != "awaiting_correction";
        let returned = matches!(seen, Observation::Answered(Answer::Refused));
        if entered && !returned {
            prop_assert!(decision.case.attempts_used < policy().submissions_max);
        }
    }
}

/// Found by the model: a status that caught up was taken for Nium's answer to a submission that never arrived.
#[test]
fn a_status_that_catches_up_is_no_sign_that_a_submission_arrived() {
    let before = sighting(Some(Compliance::Reject), Some(Status::Pending), 10);
    let unclear = Stage::Unclear { before, request_id: Uuid::nil(), settled_at: at(NOW - 50), sends: 1 };
    let state =
        CaseState::Submitting { grounds: grounds(), deadline: at(NOW + 50), effect: key(), stage: unclear };
    let seen = Observation::Looked(look(Some("REJECT"), Some("Failed"), 10));
    let decision = decide(&case(state, 1), &seen, at(NOW), &policy());
    assert_eq!(outcome(&decision), "submitting:sending [sending]");
}
