//! May this act go to Nium now? Nium's rules, applied to what a look has just seen (contract sections 8, 12.1, 12.3).

use serde_json::{Map, Value};

use crate::domain::act::{Act, BlockAction, TAGS_MAX, may_change_when_completed};
use crate::domain::rfi::{Answers, RfiItem};
use crate::domain::snapshot::{BlockedBy, Snapshot};
use crate::domain::status::Compliance;
use crate::domain::word::{BlockFit, block_fits};

/// What follows for an act from a fresh look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to Nium.
    Send,
    /// Nium has it so already: nothing is sent.
    Already,
    /// Nium's rules forbid it: the rule's stable name, and a sentence.
    Refuse(&'static str, &'static str),
}

/// Judges an act. `sent`: it was sent before, and nobody knows whether it arrived; then what it wants is evidence that it
/// did. `asked` is what Nium asks of the customer now; `widened` is the setting about addresses of completed customers.
#[must_use]
pub fn judge(act: &Act, seen: &Snapshot, asked: &[RfiItem], sent: bool, widened: bool) -> Verdict {
    match act {
        Act::Block { action, .. } => block(*action, seen, sent),
        Act::Tags { changes } => tags(changes, seen),
        Act::Update { fields } => update(fields, seen, widened),
        // Nobody is there to be looked at; the worker looks for a double instead.
        Act::Onboard { .. } => Verdict::Send,
        Act::Regenerate => regenerate(seen),
        Act::Rfi { answers, .. } => rfi(answers, seen, asked, sent),
    }
}

/// Answers are taken only while Nium asks, and only for all that it asks (contract section 12.4). Once they were sent, a
/// customer of whom something else is asked, or nothing, shows that they arrived.
fn rfi(answers: &Answers, seen: &Snapshot, asked: &[RfiItem], sent: bool) -> Verdict {
    if seen.facts.compliance != Some(Compliance::RfiRequested) {
        return if sent {
            Verdict::Already
        } else {
            Verdict::Refuse("no_rfi_open", "Nium does not ask this customer for anything now.")
        };
    }
    let is_open = |id: &str| asked.iter().any(|item| item.open && item.id == id);
    let is_answered = |item: &RfiItem| answers.ids().any(|id| id == item.id);
    if answers.ids().all(is_open) && asked.iter().filter(|item| item.waits()).all(is_answered) {
        Verdict::Send
    } else if sent {
        Verdict::Already
    } else {
        Verdict::Refuse("rfi_changed", "Nium asks for something else by now; look at it and answer that.")
    }
}

/// A new address helps whoever is in the middle of a vendor's check, or too late for it (contract sections 11.3, 11.4).
/// Asked for twice, the second one counts: nothing is harmed.
fn regenerate(seen: &Snapshot) -> Verdict {
    let compliance = seen.facts.compliance.as_ref();
    match compliance {
        Some(
            Compliance::Completed
            | Compliance::Reject
            | Compliance::Closed
            | Compliance::ActionRequired
            | Compliance::RfiRequested
            | Compliance::RfiResponded,
        ) => Verdict::Refuse(
            "no_check_under_way",
            "The customer is not in the middle of a check at a vendor; there is no address to renew.",
        ),
        Some(
            Compliance::Initiated
            | Compliance::InProgress
            | Compliance::Error
            | Compliance::Expired
            | Compliance::Unknown(_),
        )
        | None => Verdict::Send,
    }
}

fn block(action: BlockAction, seen: &Snapshot, sent: bool) -> Verdict {
    let facts = &seen.facts;
    match block_fits(action, facts.status.as_ref(), facts.blocked_by.unwrap_or(BlockedBy::Unsaid)) {
        BlockFit::Sends => Verdict::Send,
        BlockFit::Already => Verdict::Already,
        // It was lifted: by what was sent, as far as anybody can tell.
        BlockFit::NotBlocked(_) if sent => Verdict::Already,
        BlockFit::NotBlocked(why) => Verdict::Refuse("not_blocked", why),
        BlockFit::Forbidden(rule, why) => Verdict::Refuse(rule, why),
    }
}

fn tags(changes: &Map<String, Value>, seen: &Snapshot) -> Verdict {
    let before = seen.tags();
    let mut after = before.clone();
    for (key, value) in changes {
        match value {
            Value::Null => drop(after.remove(key)),
            value => drop(after.insert(key.clone(), value.clone())),
        }
    }
    if after == before {
        Verdict::Already
    } else if after.len() > TAGS_MAX {
        Verdict::Refuse("too_many_tags", "A customer has at most 15 tags, those on file included.")
    } else {
        Verdict::Send
    }
}

fn update(fields: &Map<String, Value>, seen: &Snapshot, widened: bool) -> Verdict {
    let completed = seen.facts.compliance == Some(Compliance::Completed);
    if completed && !fields.keys().all(|name| may_change_when_completed(name, widened)) {
        return Verdict::Refuse(
            "completed_allows_contact_only",
            "Compliance is COMPLETED: only e-mail and mobile can be changed.",
        );
    }
    let wanted = fields.iter().filter(|(name, _)| *name != "authenticationCode");
    let is_so = |(name, value): (&String, &Value)| seen.profile.get(name) == Some(value);
    if wanted.into_iter().all(is_so) { Verdict::Already } else { Verdict::Send }
}

/// What became of each tag, by a look afterwards.
#[must_use]
pub fn tag_outcomes(changes: &Map<String, Value>, seen: &Snapshot) -> Map<String, Value> {
    let now = seen.tags();
    let outcome = |(key, wanted): (&String, &Value)| {
        let done = match wanted {
            Value::Null => !now.contains_key(key),
            value => now.get(key) == Some(value),
        };
        (key.clone(), Value::from(if done { "done" } else { "not_seen_at_nium" }))
    };
    changes.iter().map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::domain::act::{PermanentReason, TemporaryReason, UnblockReason};
    use crate::domain::snapshot::{CustomerKind, Facts};
    use crate::domain::status::Status;

    fn seen(compliance: &str, status: &str, by: Option<BlockedBy>, profile: Value) -> Snapshot {
        let facts = Facts {
            compliance: Some(Compliance::parse(compliance)),
            status: Some(Status::parse(status)),
            updated_at: None,
            blocked_by: by,
            kind: CustomerKind::Individual,
        };
        let Value::Object(profile) = profile else { unreachable!() };
        Snapshot {
            facts,
            remarks: None,
            compliance_remarks: None,
            block_reason: None,
            block_comment: None,
            profile,
            company: None,
        }
    }

    fn order(action: BlockAction) -> Act {
        Act::Block { action, comment: "case 1".to_owned() }
    }

    fn word(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Send => "send",
            Verdict::Already => "already",
            Verdict::Refuse(rule, _) => rule,
        }
    }

    #[test]
    fn every_action_against_every_status() {
        let actions = [
            BlockAction::TemporaryBlock(TemporaryReason::ClientRequest),
            BlockAction::PermanentBlock(PermanentReason::Deceased),
            BlockAction::Unblock(UnblockReason::CustomerRequest),
        ];
        let mut table = Vec::new();
        for action in actions {
            for status in ["Clear", "Pending", "Failed", "Blocked", "ODD"] {
                let seen = seen("COMPLETED", status, None, json!({}));
                table.push(format!(
                    "{} {status}: {}",
                    action.words().0,
                    word(&judge(&order(action), &seen, &[], false, false))
                ));
            }
            for by in [BlockedBy::Client, BlockedBy::Nium, BlockedBy::Unsaid] {
                let seen = seen("COMPLETED", "Suspended", Some(by), json!({}));
                let verdict = judge(&order(action), &seen, &[], false, false);
                table.push(format!("{} Suspended by {by:?}: {}", action.words().0, word(&verdict)));
            }
        }
        insta::assert_snapshot!(table.join("\n"), @r"
        TEMPORARY_BLOCK Clear: send
        TEMPORARY_BLOCK Pending: send
        TEMPORARY_BLOCK Failed: send
        TEMPORARY_BLOCK Blocked: permanently_blocked
        TEMPORARY_BLOCK ODD: send
        TEMPORARY_BLOCK Suspended by Client: already
        TEMPORARY_BLOCK Suspended by Nium: already
        TEMPORARY_BLOCK Suspended by Unsaid: already
        PERMANENT_BLOCK Clear: send
        PERMANENT_BLOCK Pending: send
        PERMANENT_BLOCK Failed: send
        PERMANENT_BLOCK Blocked: already
        PERMANENT_BLOCK ODD: send
        PERMANENT_BLOCK Suspended by Client: send
        PERMANENT_BLOCK Suspended by Nium: send
        PERMANENT_BLOCK Suspended by Unsaid: send
        UNBLOCK Clear: not_blocked
        UNBLOCK Pending: send
        UNBLOCK Failed: send
        UNBLOCK Blocked: permanently_blocked
        UNBLOCK ODD: send
        UNBLOCK Suspended by Client: send
        UNBLOCK Suspended by Nium: blocked_by_nium
        UNBLOCK Suspended by Unsaid: blocker_unknown
        ");
    }

    #[test]
    fn every_field_against_every_compliance_status() {
        for compliance in [
            "INITIATED",
            "IN_PROGRESS",
            "ACTION_REQUIRED",
            "RFI_REQUESTED",
            "REJECT",
            "ERROR",
            "EXPIRED",
            "COMPLETED",
        ] {
            for (field, contact, address) in [
                ("email", true, false),
                ("mobile", true, false),
                ("countryCode", true, false),
                ("deliveryCity", false, true),
                ("correspondenceCity", false, true),
                ("billingCity", false, false),
                ("occupation", false, false),
                ("nativeLanguageName", false, false),
            ] {
                let fields = json!({ field: "new" }).as_object().unwrap().clone();
                let act = Act::Update { fields };
                let seen = seen(compliance, "Clear", None, json!({ field: "old" }));
                for widened in [false, true] {
                    let allowed = compliance != "COMPLETED" || contact || (address && widened);
                    let verdict = judge(&act, &seen, &[], false, widened);
                    assert_eq!(verdict == Verdict::Send, allowed, "{compliance} {field} {widened}");
                }
            }
        }
    }

    #[test]
    fn fifteen_tags_fit_and_sixteen_do_not() {
        let on_file: Vec<Value> = (0..14).map(|n| json!({ "key": format!("k{n}"), "value": "v" })).collect();
        let seen = seen("COMPLETED", "Clear", None, json!({ "tags": on_file }));
        let judged = |set: Value| word(&judge(&Act::tags(&set).unwrap(), &seen, &[], false, false));
        assert_eq!(judged(json!({ "set": { "a": "1" } })), "send");
        assert_eq!(judged(json!({ "set": { "a": "1", "b": "2" } })), "too_many_tags");
        assert_eq!(judged(json!({ "set": { "a": "1", "b": "2" }, "delete": ["k0"] })), "send");
        assert_eq!(judged(json!({ "set": { "k0": "v" }, "delete": ["none"] })), "already");
    }

    #[test]
    fn every_action_with_every_reason() {
        let words: Vec<&str> = PermanentReason::ALL.iter().map(|reason| reason.as_str()).collect();
        for action in BlockAction::WORDS {
            for reason in words.iter().chain(&["", "client_request", "NO_OBJECTION", "NON_COMPLIANCE"]) {
                let documented = match action {
                    "TEMPORARY_BLOCK" => TemporaryReason::parse(reason).is_some(),
                    "PERMANENT_BLOCK" => {
                        PermanentReason::parse(reason).is_some_and(|reason| !reason.is_newer())
                    }
                    _ => UnblockReason::parse(reason).is_some(),
                };
                assert_eq!(
                    BlockAction::parse(action, reason, false).is_ok(),
                    documented,
                    "{action} {reason}"
                );
            }
        }
        assert_eq!((TemporaryReason::ALL.len(), UnblockReason::ALL.len()), (4, 2));
        assert_eq!(PermanentReason::ALL.iter().filter(|reason| !reason.is_newer()).count(), 9);
        assert!(BlockAction::parse("PERMANENT_BLOCK", "DORMANCY", true).is_ok());
        assert!(BlockAction::parse("TERMINATE", "CLIENT_REQUEST", true).is_err());
    }
}
