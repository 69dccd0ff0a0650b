//! Finding customers: among ours, by what lies open and by marks of what is sealed; and in Nium's own list.
//!
//! What is looked for may be personal. It is marked before it reaches the store, and neither logged nor kept.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::customer::CustomerView;
use super::{Ops, OpsError};
use crate::domain::act::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX};
use crate::domain::case::CaseState;
use crate::domain::id::CustomerHashId;
use crate::domain::remark::RemarkClass;
use crate::domain::search::{TERM_CHARS_MAX, Term, WORDS_MAX};
use crate::domain::snapshot::{CustomerKind, NiumTime};
use crate::domain::status::{Compliance, Status};
use crate::domain::view::View;
use crate::nium::error::{ListError, TroubleKind};
use crate::nium::find::{Candidate, ListFilter, word};
use crate::nium::list::PAGE_CUSTOMERS_MAX;
use crate::store::rows::CaseRow;
use crate::store::rows::search::{CaseFilter, Place};

/// How long a caller waits for Nium's list, the wait for the pace included.
const NIUM_WAIT: Duration = Duration::from_secs(25);
/// Characters of a `customerHashId` from which on a text is taken for the start of one: its first group.
const ID_CHARS_LEAST: usize = 8;

/// So many are counted in a view at most: more are as good as this many to whoever reads it.
pub const VIEW_COUNT_MAX: usize = 100;

/// Said beside a search by what is sealed while some are not marked.
pub(super) const UNMARKED: &str =
    "Some customers from before this release cannot be found by e-mail, mobile, tag or text yet.";

/// Customers on one page of Nium's list, at most.
pub const NIUM_PAGE_MAX: u32 = PAGE_CUSTOMERS_MAX;

/// Why Nium could not be asked for something that somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NiumTrouble {
    /// What a caller can do about it.
    pub kind: NiumTroubleKind,
    /// How long Nium asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// The kinds of trouble, by what a caller can do about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NiumTroubleKind {
    /// Wait: too many calls.
    TooMany,
    /// Try again: no answer in time.
    Silent,
    /// Try again: Nium says that it is not available.
    Unavailable,
    /// Correct key, client id or address.
    RefusesUs,
    /// Try again: Nium failed, or cannot be reached.
    InTrouble,
    /// Ask for something else: the answer cannot be used; the text is a class of fault.
    Unreadable(&'static str),
}

impl From<ListError> for NiumTrouble {
    fn from(error: ListError) -> Self {
        let trouble = match error {
            ListError::Unreadable(fault) => {
                return Self { kind: NiumTroubleKind::Unreadable(fault), retry_after: None };
            }
            ListError::Trouble(trouble) => trouble,
        };
        let kind = match trouble.kind {
            TroubleKind::TooMany => NiumTroubleKind::TooMany,
            TroubleKind::Timeout => NiumTroubleKind::Silent,
            TroubleKind::Server(503) => NiumTroubleKind::Unavailable,
            TroubleKind::Unauthorized | TroubleKind::Forbidden => NiumTroubleKind::RefusesUs,
            TroubleKind::Connect | TroubleKind::Server(_) | TroubleKind::ConnectionLost => {
                NiumTroubleKind::InTrouble
            }
        };
        Self { kind, retry_after: trouble.retry_after }
    }
}

/// What one of our customers must be like. Everything that is said must hold.
#[derive(Debug)]
pub struct Wish {
    now: Timestamp,
    filter: CaseFilter,
    terms: Vec<Term>,
}

/// A page of customers that were found.
#[derive(Debug)]
pub struct Found<T, C> {
    /// The customers.
    pub items: Vec<T>,
    /// Where to go on; `None` at the end.
    pub next: Option<C>,
    /// What the caller should know about this answer.
    pub notes: Vec<String>,
}

impl Wish {
    /// Names of what lies open: these may stand in an address.
    pub const OPEN: [&'static str; 9] = [
        "view",
        "state",
        "status",
        "complianceStatus",
        "kind",
        "class",
        "olderThan",
        "newerThan",
        "deadlineWithin",
    ];
    /// Names of what is personal.
    pub const PERSONAL: [&'static str; 3] = ["email", "mobile", "text"];

    /// Adds one condition; the error says what its text must be.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        let text = text.trim();
        if !(1..=TERM_CHARS_MAX).contains(&text.chars().count()) {
            return Err(format!("has 1 to {TERM_CHARS_MAX} characters"));
        }
        match name {
            "state" if CaseState::NAMES.contains(&text) => self.filter.state = Some(text.to_owned()),
            "state" => return Err(format!("is one of: {}", CaseState::NAMES.join(", "))),
            // Words of Nium's that we do not know are kept as they came, so they can be asked for.
            "status" => self.filter.status = Some(Status::parse(text)),
            "complianceStatus" => self.filter.compliance = Some(Compliance::parse(text)),
            "kind" => self.filter.kind = Some(kind(text).ok_or("is one of: individual, corporate")?),
            "class" => {
                let known = || format!("is one of: {}", RemarkClass::ALL.map(RemarkClass::as_str).join(", "));
                self.filter.class = Some(RemarkClass::parse(text).ok_or_else(known)?);
            }
            "view" => {
                let known = || format!("is one of: {}", View::ALL.map(View::as_str).join(", "));
                self.filter.view = Some(View::parse(text).ok_or_else(known)?);
            }
            "deadlineWithin" => self.filter.deadline_until = Some(until(text, self.now)?),
            "olderThan" => self.filter.since_until = Some(moment(text, self.now)?),
            "newerThan" => self.filter.since_from = Some(moment(text, self.now)?),
            "email" => self.terms.extend(Some(Term::email(text).ok_or("is an e-mail address")?)),
            "mobile" => self.terms.extend(Some(Term::mobile(text).ok_or("is a number, with digits")?)),
            "text" => return self.text(text),
            _ => return Err("is not known here".to_owned()),
        }
        Ok(())
    }

    /// Adds a tag, with its value or with any.
    pub fn tag(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        tag_bounds(key, value)?;
        let term = value.map_or_else(|| Term::tag(key), |value| Term::tag_value(key, value));
        self.terms.push(term.ok_or("has a key and a value that are not blank")?);
        Ok(())
    }

    /// The view in whose order those who fit come; `None` is that of ids.
    #[must_use]
    pub fn order(&self) -> Option<View> {
        self.filter.order()
    }

    /// Nothing is said: everybody fits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.filter == CaseFilter::default()
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        if let Some(range) = id_range(text) {
            self.filter.ids = Some(range);
            return Ok(());
        }
        let words: Vec<Term> = Term::words(text).take(WORDS_MAX + 1).collect();
        if !(1..=WORDS_MAX).contains(&words.len()) {
            return Err(format!("is 1 to {WORDS_MAX} whole words, or the start of a customerHashId"));
        }
        self.terms.extend(words);
        Ok(())
    }
}

/// What a customer in Nium's list must be like.
#[derive(Debug, Default)]
pub struct NiumWish(ListFilter);

impl NiumWish {
    /// Names of its conditions, beside `tag`.
    pub const NAMES: [&'static str; 6] =
        ["email", "mobile", "businessRegistrationNumber", "customerType", "parentCustomerHashId", "order"];

    /// Adds one condition; the error says what its text must be.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        let text = text.trim();
        if !(1..=TERM_CHARS_MAX).contains(&text.chars().count()) {
            return Err(format!("has 1 to {TERM_CHARS_MAX} characters"));
        }
        let filter = &mut self.0;
        match name {
            "email" => filter.email = Some(text.to_owned()),
            "mobile" => filter.mobile = Some(text.to_owned()),
            "businessRegistrationNumber" => filter.business_registration_number = Some(text.to_owned()),
            "customerType" => {
                filter.customer_type = Some(kind(text).ok_or("is one of: INDIVIDUAL, CORPORATE")?);
            }
            "parentCustomerHashId" => {
                filter.parent = Some(CustomerHashId::parse(text).ok_or("is a UUID with hyphens")?);
            }
            "order" => {
                filter.newest_first = match text {
                    "ASC" => false,
                    "DESC" => true,
                    _ => return Err("is one of: ASC, DESC".to_owned()),
                }
            }
            _ => return Err("is not known here".to_owned()),
        }
        Ok(())
    }

    /// Adds a tag, with a value or a part of one, or with any.
    pub fn tag(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        tag_bounds(key, value)?;
        self.0.tag_key = Some(key.to_owned());
        self.0.tag_value = value.map(str::to_owned);
        Ok(())
    }
}

fn tag_bounds(key: &str, value: Option<&str>) -> Result<(), String> {
    let fits = |text: &str, most: usize| (1..=most).contains(&text.chars().count());
    let value_fits = value.is_none_or(|value| fits(value, TAG_VALUE_CHARS_MAX));
    if fits(key, TAG_KEY_CHARS_MAX) && value_fits {
        return Ok(());
    }
    Err(format!("has a key of 1 to {TAG_KEY_CHARS_MAX} and a value of 1 to {TAG_VALUE_CHARS_MAX} characters"))
}

fn kind(text: &str) -> Option<CustomerKind> {
    match text.to_ascii_lowercase().as_str() {
        "individual" => Some(CustomerKind::Individual),
        "corporate" => Some(CustomerKind::Corporate),
        _ => None,
    }
}

/// A moment as somebody writes it: a time, or how long ago (`24h`, `3d`). The error is the end of a sentence.
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    Ok(now.saturating_sub(span(text)?).unwrap_or(Timestamp::MIN))
}

/// The same for a moment to come: a time, or how far away.
fn until(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    Ok(now.saturating_add(span(text)?).unwrap_or(Timestamp::MAX))
}

fn span(text: &str) -> Result<SignedDuration, String> {
    let wrong = || "is a number with s, m, h, d or w, or an RFC 3339 time".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(wrong()),
    };
    // `parse` would take a sign.
    let count: i64 = Some(number)
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|number| number.parse().ok())
        .ok_or_else(wrong)?;
    Ok(SignedDuration::from_secs(count.checked_mul(seconds).ok_or_else(wrong)?))
}

/// The ids that begin with this text; `None` when it is not the start of one.
fn id_range(text: &str) -> Option<(CustomerHashId, CustomerHashId)> {
    const LOWEST: &str = "00000000-0000-0000-0000-000000000000";
    const HIGHEST: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";
    let length = text.len();
    if !(text.is_ascii() && (ID_CHARS_LEAST..=LOWEST.len()).contains(&length)) {
        return None;
    }
    let filled = |rest: &str| CustomerHashId::parse(&format!("{text}{}", rest.get(length..)?));
    Some((filled(LOWEST)?, filled(HIGHEST)?))
}

impl Ops {
    /// A wish for any of our customers.
    #[must_use]
    pub fn wish(&self) -> Wish {
        Wish { now: self.clock.now(), filter: CaseFilter::default(), terms: Vec::new() }
    }

    /// What the store looks for: what is personal is marked.
    pub(super) async fn filter_of(&self, wish: Wish) -> Result<CaseFilter, OpsError> {
        let mut filter = wish.filter;
        if !wish.terms.is_empty() {
            let key = self.data_key(CustomerHashId::NOBODY).await?;
            filter.marks = wish.terms.iter().map(|term| key.mark_bytes(&term.bytes())).collect();
        }
        Ok(filter)
    }

    /// Our customers who fit, in the order of their ids or of a view, after `after`; remarks are left to [`Ops::show`].
    pub async fn find(
        &self,
        wish: Wish,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Found<CustomerView, Place>, OpsError> {
        let Found { items, next, notes } = self.find_rows(wish, after, limit).await?;
        Ok(Found { items: items.iter().map(|row| self.view(row, None)).collect(), next, notes })
    }

    /// The same as they are on file.
    pub async fn find_rows(
        &self,
        wish: Wish,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Found<CaseRow, Place>, OpsError> {
        let filter = self.filter_of(wish).await?;
        // One more than is shown tells whether there is a next page.
        let mut found = self.store.find(filter, after, limit.saturating_add(1)).await?;
        let more = found.rows.len() > limit;
        found.rows.truncate(limit);
        let last = found.rows.last().map(|found| found.place.clone()).filter(|_| more);
        let notes = if found.unmarked { vec![UNMARKED.to_owned()] } else { Vec::new() };
        let next = last.or(found.looked_to);
        Ok(Found { items: found.rows.into_iter().map(|found| found.row).collect(), next, notes })
    }

    /// Every view with how many stand in it, counted to [`VIEW_COUNT_MAX`] at most.
    pub async fn views(&self) -> Result<Vec<(View, usize)>, OpsError> {
        let counts = self.store.count_views(VIEW_COUNT_MAX).await?;
        Ok(View::ALL.into_iter().zip(counts).collect())
    }

    /// A page of Nium's own list, each customer with the state of our case if there is one.
    pub async fn find_at_nium(
        &self,
        wish: &NiumWish,
        page: u32,
        size: u32,
    ) -> Result<Found<Value, u32>, OpsError> {
        let asked = self.nium.find(&wish.0, page, size, (self.fresh_id)());
        let found = tokio::time::timeout(NIUM_WAIT, asked).await;
        let silent = NiumTrouble { kind: NiumTroubleKind::Silent, retry_after: None };
        let found = found.map_err(|_| OpsError::Nium(silent))?;
        let found = found.map_err(|error| OpsError::Nium(error.into()))?;
        let ids = found.page.customers.iter().map(|item| item.listed.id).collect();
        let states = self.store.states(ids).await?;
        let state = |id| states.iter().find(|(known, _)| *known == id).map(|(_, state)| state.as_str());
        let items = found.page.customers.iter().map(|item| shown(item, state(item.listed.id))).collect();
        let mut notes = Vec::new();
        if !found.left_to_us.is_empty() {
            notes.push(format!(
                "Nium's Customer List V3 is not there, and V2 cannot filter by {}: customers that do not fit were left \
                 out here, so pages may hold fewer.",
                found.left_to_us.join(" and ")
            ));
        }
        if found.page.unreadable > 0 {
            notes.push(format!("{} items of Nium's page could not be read.", found.page.unreadable));
        }
        let next = (!found.page.last).then(|| page.saturating_add(1));
        Ok(Found { items, next, notes })
    }
}

fn shown(item: &Candidate, state: Option<&str>) -> Value {
    let listed = &item.listed;
    let mut shown = json!({
        "customerHashId": listed.id, "customerType": word(item.kind), "tags": item.tags, "state": state,
        "status": listed.status.as_ref().map(ToString::to_string),
        "complianceStatus": listed.compliance.as_ref().map(ToString::to_string),
        "updatedAt": listed.updated_at.as_ref().map(NiumTime::as_str),
    });
    if let Some(shown) = shown.as_object_mut() {
        shown.extend(item.said.clone());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-10T12:00:00Z".parse().unwrap()
    }

    fn wish() -> Wish {
        Wish { now: now(), filter: CaseFilter::default(), terms: Vec::new() }
    }

    #[test]
    fn ages_are_spans_or_moments_and_nothing_else() {
        for (text, at) in [
            ("24h", "2026-03-09T12:00:00Z"),
            ("3d", "2026-03-07T12:00:00Z"),
            ("0s", "2026-03-10T12:00:00Z"),
            ("2w", "2026-02-24T12:00:00Z"),
            ("90m", "2026-03-10T10:30:00Z"),
            ("2026-01-01T00:00:00+08:00", "2025-12-31T16:00:00Z"),
        ] {
            assert_eq!(moment(text, now()).map(|at| at.to_string()).as_deref(), Ok(at), "{text}");
        }
        assert_eq!(moment("9999999w", now()), Ok(Timestamp::MIN), "longer ago than time is");
        for text in [
            "",
            "h",
            "-1h",
            "+1h",
            "1.5h",
            "1y",
            "soon",
            "99999999999999999999s",
            "9223372036854775807w",
            "1é",
        ] {
            assert!(moment(text, now()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_start_of_an_id_is_no_word_and_a_word_is_no_id() {
        let (from, to) = id_range("0D6A1C54-7c").unwrap();
        assert_eq!(from.to_string(), "0d6a1c54-7c00-0000-0000-000000000000");
        assert_eq!(to.to_string(), "0d6a1c54-7cff-ffff-ffff-ffffffffffff");
        let whole = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";
        assert_eq!(id_range(whole).map(|(from, to)| from == to), Some(true));
        for text in ["ada", "0d6a1c5", "0d6a1c547", "0d6a1c54-7g", "0d6a1c54 7", "Zebedeee", "éééééééé"]
        {
            assert!(id_range(text).is_none(), "{text}");
        }
        assert!(id_range(&format!("{whole}0")).is_none());
    }

    #[test]
    fn each_bound_holds_and_one_past_it_is_refused() {
        let longest = "x".repeat(TERM_CHARS_MAX);
        assert_eq!(wish().set("email", &longest), Ok(()));
        assert!(wish().set("email", &format!("{longest}x")).is_err());
        let words = |count: usize| vec!["word"; count].join(" ");
        assert_eq!(wish().set("text", &words(WORDS_MAX)), Ok(()));
        assert!(wish().set("text", &words(WORDS_MAX + 1)).is_err());
        let (key, value) = ("k".repeat(TAG_KEY_CHARS_MAX), "v".repeat(TAG_VALUE_CHARS_MAX));
        assert_eq!(wish().tag(&key, Some(&value)), Ok(()));
        assert!(wish().tag(&format!("{key}k"), None).is_err());
        assert!(wish().tag("k", Some(&format!("{value}v"))).is_err());
        for (name, text) in [
            ("mobile", "none"),
            ("text", "- -"),
            ("kind", "robot"),
            ("state", "lost"),
            ("colour", "red"),
            ("email", " "),
        ] {
            assert!(wish().set(name, text).is_err(), "{name}");
        }
        for (name, text) in
            [("order", "asc"), ("customerType", "robot"), ("parentCustomerHashId", "1"), ("text", "a")]
        {
            assert!(NiumWish::default().set(name, text).is_err(), "{name}");
        }
    }
}
