//! What Customer Details V2 said, as of a moment (contract section 7).

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::CustomerHashId;
use super::status::{Compliance, Standing, Status};

/// Longest time text that is kept from Nium, in characters (`YYYY-MM-DD hh:mm:ss` has 19).
const TIME_CHARS_MAX: usize = 40;

/// A time as Nium writes it: `YYYY-MM-DD hh:mm:ss`, UTC, no zone (contract section 2). The text is kept beside the
/// moment, so that "differs" can be answered even for a form that we cannot read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NiumTime {
    text: String,
    at: Option<Timestamp>,
}

impl NiumTime {
    /// Reads Nium's form, and RFC 3339 in case a newer release sends that.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let text: String = text.trim().chars().take(TIME_CHARS_MAX).collect();
        let at = text.parse::<Timestamp>().ok().or_else(|| {
            let civil: DateTime = text.parse().ok()?;
            civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
        });
        Self { text, at }
    }

    /// The text as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The moment, if the text could be read.
    #[must_use]
    pub fn at(&self) -> Option<Timestamp> {
        self.at
    }
}

/// Who set a block (`blockUpdatedBy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BlockedBy {
    /// We, the client.
    Client,
    /// Nium.
    Nium,
    /// Nium did not say, or said a word we do not know.
    Unsaid,
}

/// Person or company.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CustomerKind {
    /// A person.
    Individual,
    /// A company.
    Corporate,
}

/// The part of a snapshot that is not personal: statuses, times, who blocked. Kept in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// `complianceStatus`.
    pub compliance: Option<Compliance>,
    /// `status`, or `kycStatus` where only that came.
    pub status: Option<Status>,
    /// `updatedAt`.
    pub updated_at: Option<NiumTime>,
    /// `blockUpdatedBy`, where the customer is suspended or blocked.
    pub blocked_by: Option<BlockedBy>,
    /// `customerType`; a missing word counts as a person unless company data came.
    pub kind: CustomerKind,
}

impl Facts {
    /// What a look saw, as the list would show it.
    #[must_use]
    pub fn listed(&self, id: CustomerHashId) -> Listed {
        let (status, compliance, updated_at) =
            (self.status.clone(), self.compliance.clone(), self.updated_at.clone());
        Listed { id, status, compliance, updated_at }
    }

    /// What the two status words mean together.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing::of(self.compliance.as_ref(), self.status.as_ref())
    }
}

/// One customer of Nium's list. Less than a look sees, and no older than the page: it says whether to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Who.
    pub id: CustomerHashId,
    /// `status`, or `kycStatus` where only that came.
    pub status: Option<Status>,
    /// `complianceStatus`; `None` also where it came as something that is not a word.
    pub compliance: Option<Compliance>,
    /// `updatedAt`.
    pub updated_at: Option<NiumTime>,
}

/// What Nium says beside what we hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Nothing new.
    Nothing,
    /// Something is new, of which no callback is expected.
    Changed,
    /// The compliance status moved: a callback should have said so (contract section 3, trigger).
    Untold,
}

impl Listed {
    /// What is new about this customer. What the list leaves out is not compared; where it leaves out everything that
    /// can be compared, only a look tells.
    #[must_use]
    pub fn difference(&self, held: Option<&Facts>) -> Difference {
        let Some(held) = held else {
            // Whoever is still at the beginning may never have had a change to be told of.
            let begun = !matches!(
                self.compliance,
                None | Some(Compliance::Initiated | Compliance::InProgress | Compliance::Unknown(_))
            );
            return if begun { Difference::Untold } else { Difference::Changed };
        };
        let moved = self.compliance.is_some() && self.compliance != held.compliance;
        // A change to these may be the answer to a request of our own.
        let by_us = matches!(self.compliance, Some(Compliance::Initiated | Compliance::InProgress));
        if moved && !by_us && is_newer(self.updated_at.as_ref(), held.updated_at.as_ref()) {
            return Difference::Untold;
        }
        let status_moved = self.status.is_some() && self.status != held.status;
        let updated = match (&self.updated_at, &held.updated_at) {
            (Some(now), Some(then)) => now != then,
            (Some(_), None) => true,
            (None, Some(_) | None) => self.compliance.is_none(),
        };
        if moved || status_moved || updated { Difference::Changed } else { Difference::Nothing }
    }
}

/// Whether `updatedAt` moved forward; where a time is missing or unreadable, it is taken to have.
fn is_newer(now: Option<&NiumTime>, then: Option<&NiumTime>) -> bool {
    match (now.and_then(NiumTime::at), then.and_then(NiumTime::at)) {
        (Some(now), Some(then)) => now > then,
        (Some(_) | None, None) | (None, Some(_)) => true,
    }
}

/// What Nium said about one customer. Holds personal data: it is kept sealed, and never prints itself.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The part in clear.
    pub facts: Facts,
    /// `remarks`: the system's remark.
    pub remarks: Option<String>,
    /// `complianceRemarks`: the officer's remark. For operators only, it may hold what a customer must not read.
    pub compliance_remarks: Option<String>,
    /// `blockReason`.
    pub block_reason: Option<String>,
    /// `blockComment`.
    pub block_comment: Option<String>,
    /// What Nium has on file, under the names of Unified Add Customer, masked values left out.
    pub profile: Map<String, Value>,
    /// A company's names at Nium; persons have none.
    #[serde(default)]
    pub company: Option<CompanyIds>,
}

/// How Nium names a company beside its `customerHashId`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompanyIds {
    /// `clientId`, such as `NIM…`.
    pub client_id: Option<String>,
    /// `caseId` of its compliance.
    pub case_id: Option<String>,
    /// The region under whose rules it was onboarded.
    pub region: Option<String>,
}

impl Snapshot {
    /// The tags that Nium has, by key.
    #[must_use]
    pub fn tags(&self) -> Map<String, Value> {
        let tags = self.profile.get("tags").and_then(Value::as_array);
        let pairs = tags.into_iter().flatten();
        pairs
            .filter_map(|tag| Some((tag.get("key")?.as_str()?.to_owned(), tag.get("value")?.clone())))
            .collect()
    }

    /// Both remarks, for classifying and for telling whether anything moved.
    #[must_use]
    pub fn remark_text(&self) -> String {
        [self.remarks.as_deref(), self.compliance_remarks.as_deref()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// What one look saw, kept to compare later looks with: has Nium moved since?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sighting {
    /// `complianceStatus` then.
    pub compliance: Option<Compliance>,
    /// `status` then.
    pub status: Option<Status>,
    /// `updatedAt` then.
    pub updated_at: Option<NiumTime>,
    /// A keyed fingerprint of the remarks then; the remarks themselves are personal and stay sealed.
    pub remarks_mark: String,
    /// When the look began, on our clock.
    pub begun_at: Timestamp,
}

impl Sighting {
    /// Whether anything that a submission would change differs from `earlier`. A `status` that lagged behind a rejection
    /// and has caught up is the old rejection still.
    #[must_use]
    pub fn moved_since(&self, earlier: &Sighting) -> bool {
        let lagged = (earlier.status.as_ref(), self.status.as_ref())
            == (Some(&Status::Pending), Some(&Status::Failed))
            && self.compliance == Some(Compliance::Reject);
        self.compliance != earlier.compliance
            || (self.status != earlier.status && !lagged)
            || self.updated_at != earlier.updated_at
            || self.remarks_mark != earlier.remarks_mark
    }

    /// Whether Nium's `updatedAt` is later than it was in `earlier`. Unreadable times are never later.
    #[must_use]
    pub fn updated_after(&self, earlier: &Sighting) -> bool {
        let moment = |sighting: &Sighting| sighting.updated_at.as_ref().and_then(NiumTime::at);
        match (moment(self), moment(earlier)) {
            (Some(now), Some(then)) => now > then,
            (Some(_) | None, None) | (None, Some(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Difference::{Changed, Nothing, Untold};

    const ID: CustomerHashId = CustomerHashId::NOBODY;

    fn facts(compliance: &str, status: &str, updated_at: &str) -> Facts {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Facts {
            compliance: said(compliance).map(|word| Compliance::parse(&word)),
            status: said(status).map(|word| Status::parse(&word)),
            updated_at: said(updated_at).map(|text| NiumTime::read(&text)),
            blocked_by: None,
            kind: CustomerKind::Individual,
        }
    }

    #[test]
    fn what_is_new_is_told_apart_from_what_a_callback_should_have_said() {
        const THEN: &str = "2026-01-12 09:30:00";
        const LATER: &str = "2026-01-12 09:31:00";
        let held = facts("IN_PROGRESS", "Pending", THEN);
        for (compliance, status, updated_at, expected) in [
            ("IN_PROGRESS", "Pending", THEN, Nothing),
            ("REJECT", "Failed", LATER, Untold),
            ("REJECT", "Failed", THEN, Changed),
            ("REJECT", "Failed", "", Untold),
            ("REJECT", "Failed", "soon", Untold),
            ("INITIATED", "Pending", LATER, Changed),
            ("PONDERING", "Pending", LATER, Untold),
            ("IN_PROGRESS", "Suspended", THEN, Changed),
            ("IN_PROGRESS", "Pending", LATER, Changed),
            ("IN_PROGRESS", "", THEN, Nothing),
            ("IN_PROGRESS", "Pending", "", Nothing),
            ("", "Pending", THEN, Nothing),
            ("", "Pending", "", Changed),
        ] {
            let listed = facts(compliance, status, updated_at).listed(ID);
            assert_eq!(listed.difference(Some(&held)), expected, "{compliance} {status} {updated_at}");
        }
        for (compliance, expected) in [
            ("REJECT", Untold),
            ("COMPLETED", Untold),
            ("INITIATED", Changed),
            ("IN_PROGRESS", Changed),
            ("", Changed),
        ] {
            assert_eq!(facts(compliance, "", "").listed(ID).difference(None), expected, "{compliance}");
        }
    }

    #[test]
    fn nium_times_are_utc_without_a_zone() {
        let read = NiumTime::read("2026-01-12 09:30:00");
        assert_eq!(read.at().map(|at| at.to_string()).as_deref(), Some("2026-01-12T09:30:00Z"));
        assert_eq!(NiumTime::read("2026-01-12T09:30:00Z").at(), read.at());
        assert_eq!(NiumTime::read("yesterday").at(), None);
        assert_eq!(NiumTime::read("yesterday").as_str(), "yesterday");
    }
}
