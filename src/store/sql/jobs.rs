//! Work that waits, is held, fails, was given up or is parked: what is listed, and what a retry does to it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;
use serde_json::Value;

use super::ask::{Rank, once};
use super::audit;
use super::column::{corrupt, maybe_timestamp, ms, timestamp};
use super::officer::{Said, put_word};
use super::read::in_hand_of;
use super::tells::revive;
use super::work::case;
use crate::domain::case::CaseState;
use crate::domain::decision::OfficerWord;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::watch::{JobFilter, JobKind, JobPlace, JobRow, JobStatus, Retried};
use crate::store::rows::{Once, Recorder};
use crate::store::tx::{Lock, Tx};

/// Between two retried notifications, so that a receiver that was down is not met by all of them at once.
const STAGGER: SignedDuration = SignedDuration::from_millis(50);

/// Jobs after a place, at most `most`: customers an officer has to decide about, looks, then effects.
pub(in crate::store) fn list(
    tx: &Tx<'_>,
    filter: &JobFilter,
    after: Option<&JobPlace>,
    most: usize,
    now: Timestamp,
) -> Result<Vec<JobRow>, StoreError> {
    let mut jobs = Vec::new();
    if filter.wants(JobKind::Decision) {
        let customer = match after {
            None => Some(None),
            Some(JobPlace::Decision(customer)) => Some(Some(*customer)),
            Some(JobPlace::Look(_) | JobPlace::Effect(_)) => None,
        };
        if let Some(customer) = customer {
            jobs.extend(parked(tx, filter, customer, most)?);
        }
    }
    if filter.wants(JobKind::Look) && jobs.len() < most {
        let customer = match after {
            None | Some(JobPlace::Decision(_)) => Some(None),
            Some(JobPlace::Look(customer)) => Some(Some(*customer)),
            Some(JobPlace::Effect(_)) => None,
        };
        if let Some(customer) = customer {
            jobs.extend(looks(tx, filter, customer, most - jobs.len(), now)?);
        }
    }
    let is_effect = |kind: &JobKind| !matches!(kind, JobKind::Decision | JobKind::Look);
    let wants_effects = JobKind::ALL.iter().filter(|kind| is_effect(kind)).any(|kind| filter.wants(*kind));
    if wants_effects && jobs.len() < most {
        let seq = match after {
            Some(JobPlace::Effect(seq)) => *seq,
            None | Some(JobPlace::Decision(_) | JobPlace::Look(_)) => 0,
        };
        jobs.extend(effects(tx, filter, seq, most - jobs.len(), now)?);
    }
    Ok(jobs)
}

fn bytes_of(customer: Option<CustomerHashId>) -> Vec<u8> {
    customer.map_or_else(Vec::new, |id| id.as_bytes().to_vec())
}

fn parked(
    tx: &Tx<'_>,
    filter: &JobFilter,
    after: Option<CustomerHashId>,
    most: usize,
) -> Result<Vec<JobRow>, StoreError> {
    if filter.status.is_some_and(|status| status != JobStatus::Parked) {
        return Ok(Vec::new());
    }
    let only = filter.customer.as_ref().map(CustomerHashId::as_bytes);
    let rows = tx.query(
        "SELECT c.customer, c.data, c.since, h.taken_by, h.since, h.note
         FROM cases AS c LEFT JOIN in_hand AS h ON h.customer = c.customer
         WHERE c.state = 'needs_officer' AND c.customer > ?1 AND c.customer = coalesce(?2, c.customer)
         ORDER BY c.customer LIMIT ?3",
        params![bytes_of(after), only, limit(most)],
    )?;
    let mut found = Vec::new();
    for row in &rows {
        let customer = CustomerHashId::from_bytes(row.get(0)?);
        let reason = match serde_json::from_slice(row.bytes(1)?) {
            Ok(CaseState::NeedsOfficer { why, .. }) => Some(why.as_str().to_owned()),
            Ok(_) => None,
            Err(_) => Some("unreadable_row".to_owned()),
        };
        found.push(JobRow {
            place: JobPlace::Decision(customer),
            kind: JobKind::Decision,
            status: JobStatus::Parked,
            customer,
            since: timestamp(row.get(2)?)?,
            due_at: None,
            attempts: 0,
            reason,
            in_hand: in_hand_of(row, 3)?,
        });
    }
    Ok(found)
}

/// So many customers that are due, held or failing are few.
const FEW: i64 = 2_000;
// Whoever holds a customer has a name; it says which index fits.
const FEW_LOOKS: &str = "SELECT (SELECT count(*) FROM
             (SELECT 1 FROM head WHERE rank IN (0, 1, 2, 3) AND due_at <= ?1 LIMIT ?2) AS due)
         + (SELECT count(*) FROM (SELECT 1 FROM head WHERE lease_until IS NOT NULL AND holder >= '' LIMIT ?2) AS held)
         + (SELECT count(*) FROM (SELECT 1 FROM head WHERE failures > 0 LIMIT ?2) AS failing) < ?2";
const AMONG_FEW: &str =
    "AND customer IN (SELECT customer FROM head WHERE rank IN (0, 1, 2, 3) AND due_at <= ?4
     UNION SELECT customer FROM head WHERE lease_until IS NOT NULL AND holder >= ''
     UNION SELECT customer FROM head WHERE failures > 0)";

fn looks(
    tx: &Tx<'_>,
    filter: &JobFilter,
    after: Option<CustomerHashId>,
    most: usize,
    now: Timestamp,
) -> Result<Vec<JobRow>, StoreError> {
    let status = match filter.status {
        None => "lease_until IS NOT NULL OR failures > 0 OR due_at <= ?4",
        Some(JobStatus::Held) => "lease_until > ?4",
        Some(JobStatus::Failing) => "failures > 0 AND coalesce(lease_until, 0) <= ?4",
        Some(JobStatus::Waiting) => "failures = 0 AND lease_until IS NULL AND due_at <= ?4",
        Some(JobStatus::Failed | JobStatus::Parked) => return Ok(Vec::new()),
    };
    let only = filter.customer.as_ref().map(CustomerHashId::as_bytes);
    // Where very many are at rest and few are not, those few are found by their own indexes; else the next is never far.
    let is_spread = matches!(filter.status, None | Some(JobStatus::Waiting | JobStatus::Held));
    let few = is_spread && tx.one(FEW_LOOKS, params![ms(now), FEW], |row| row.get(0))?;
    let among = if few { AMONG_FEW } else { "" };
    let rows = tx.query(
        &format!(
            "SELECT customer, due_at, lease_until, failures FROM head
         WHERE customer > ?1 AND customer = coalesce(?2, customer) AND ({status}) {among} ORDER BY customer LIMIT ?3"
        ),
        params![bytes_of(after), only, limit(most), ms(now)],
    )?;
    let mut found = Vec::new();
    for row in &rows {
        let customer = CustomerHashId::from_bytes(row.get(0)?);
        let (lease_until, failures): (Option<i64>, u32) = (row.get(2)?, row.get(3)?);
        let due_at = maybe_timestamp(row.get(1)?)?;
        let held = lease_until.is_some_and(|until| until > ms(now));
        let (first, reason) = if failures > 0 { last_failures(tx, customer)? } else { (None, None) };
        found.push(JobRow {
            place: JobPlace::Look(customer),
            kind: JobKind::Look,
            status: match (held, failures) {
                (true, _) => JobStatus::Held,
                (false, 0) => JobStatus::Waiting,
                (false, _) => JobStatus::Failing,
            },
            customer,
            since: first.or(due_at).unwrap_or(now).min(now),
            due_at,
            attempts: failures,
            reason: reason.or_else(|| (failures > 0).then(|| "nium_in_trouble".to_owned())),
            in_hand: None,
        });
    }
    Ok(found)
}

/// When the failures in a row about this customer began, and what the last was. Failures that were Nium's trouble, not
/// the customer's, leave no line.
fn last_failures(
    tx: &Tx<'_>,
    customer: CustomerHashId,
) -> Result<(Option<Timestamp>, Option<String>), StoreError> {
    let newest = "SELECT at, detail FROM history WHERE customer = ?1 AND what = 'look_failed'
         ORDER BY id DESC LIMIT 1 OFFSET ?2";
    let id = customer.as_bytes();
    let last = tx.first(newest, params![id, 0], |row| Ok((row.get(0)?, row.bytes(1)?.to_vec())))?;
    let Some((at, detail)) = last else { return Ok((None, None)) };
    let detail: Value = serde_json::from_slice(&detail).unwrap_or_default();
    let why = detail.get("why").and_then(Value::as_str).map(str::to_owned);
    let before = detail.get("inARow").and_then(Value::as_i64).unwrap_or(1).saturating_sub(1).max(0);
    let first: Option<i64> = tx.first(newest, params![id, before], |row| row.get(0))?;
    Ok((Some(timestamp(first.unwrap_or(at))?), why))
}

fn effects(
    tx: &Tx<'_>,
    filter: &JobFilter,
    after: i64,
    most: usize,
    now: Timestamp,
) -> Result<Vec<JobRow>, StoreError> {
    let only = filter.customer.as_ref().map(CustomerHashId::as_bytes);
    let (kind, status) = (filter.kind.map(JobKind::as_str), filter.status.map(JobStatus::as_str));
    let mut rows = Vec::new();
    for (is_failed, among) in EFFECTS_AMONG {
        if filter.status.is_none_or(|wanted| (wanted == JobStatus::Failed) == is_failed) {
            let sql = EFFECTS.replace("{among}", among);
            rows.extend(tx.query(&sql, params![after, only, kind, status, limit(most), ms(now)])?);
        }
    }
    let mut found = Vec::new();
    for row in &rows {
        let seq: i64 = row.get(0)?;
        let unknown = |what: &str| corrupt("effect", &seq.to_string(), what);
        let (kind, status): (String, String) = (row.get(2)?, row.get(3)?);
        found.push(JobRow {
            place: JobPlace::Effect(seq),
            kind: JobKind::parse(&kind).ok_or_else(|| unknown("its kind is not known"))?,
            status: JobStatus::parse(&status).ok_or_else(|| unknown("its status is not known"))?,
            customer: CustomerHashId::from_bytes(row.get(1)?),
            since: timestamp(row.get(4)?)?,
            due_at: maybe_timestamp(row.get(5)?)?,
            attempts: row.get(6)?,
            reason: row.get(7)?,
            in_hand: None,
        });
    }
    found.sort_by_key(|job| match job.place {
        JobPlace::Effect(seq) => seq,
        JobPlace::Decision(_) | JobPlace::Look(_) => i64::MIN,
    });
    found.truncate(most);
    Ok(found)
}

/// Among very many effects, those that have not ended and those that were given up each have an index of their own.
const EFFECTS_AMONG: [(bool, &str); 2] =
    [(false, "ended_at IS NULL"), (true, "status = 'failed' AND destination IS NOT NULL")];

const EFFECTS: &str = "SELECT seq, customer, kind, status, created_at, due_at, attempts, outcome FROM (
         SELECT seq, customer, created_at, due_at, attempts - forgiven AS attempts, outcome,
             CASE WHEN lane IN ('webhook', 'email', 'officer') THEN lane ELSE kind END AS kind,
             CASE WHEN status = 'failed' THEN 'failed' WHEN status = 'sending' OR lease_until > ?6 THEN 'held'
                  WHEN attempts > forgiven THEN 'failing' ELSE 'waiting' END AS status
         FROM effect WHERE {among} AND seq > ?1
             AND customer = coalesce(?2, customer)) AS job
     WHERE kind = coalesce(?3, kind) AND status = coalesce(?4, status) ORDER BY seq LIMIT ?5";

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// The jobs of a filter that a retry can do something about.
fn retriable(tx: &Tx<'_>, filter: &JobFilter, now: Timestamp) -> Result<Vec<JobRow>, StoreError> {
    let mut found = Vec::new();
    for status in [JobStatus::Parked, JobStatus::Failing, JobStatus::Failed] {
        if filter.status.is_none_or(|wanted| wanted == status) {
            let filter = JobFilter { status: Some(status), ..filter.clone() };
            found.extend(list(tx, &filter, None, JobFilter::RETRY_MAX + 1, now)?);
        }
    }
    found.retain(|job| {
        matches!(job.kind, JobKind::Decision | JobKind::Look | JobKind::Webhook | JobKind::Email)
    });
    found.truncate(JobFilter::RETRY_MAX);
    Ok(found)
}

/// How many jobs a retry would take now, at most [`JobFilter::RETRY_MAX`].
pub(in crate::store) fn count(tx: &Tx<'_>, filter: &JobFilter, now: Timestamp) -> Result<usize, StoreError> {
    Ok(retriable(tx, filter, now)?.len())
}

/// Law: a retry takes just as many jobs as were counted, or none; each begins with a fresh budget of attempts.
pub(in crate::store) fn retry_once(
    tx: &Tx<'_>,
    filter: &JobFilter,
    expected: usize,
    by: &str,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<Retried>, StoreError> {
    once(tx, recorder, now, || {
        tx.lock(Lock::Name("retry"))?;
        let retried = retry(tx, filter, expected, by, now)?;
        let answer = match retried {
            Retried::Done(count) => {
                let detail = serde_json::json!({
                    "kind": filter.kind.map(JobKind::as_str), "status": filter.status.map(JobStatus::as_str),
                    "retried": count,
                });
                audit::note(tx, by, filter.customer, "jobs_retried", &detail, now)?;
                Some(serde_json::json!({ "retried": count }))
            }
            Retried::Moved(_) => None,
        };
        Ok((retried, answer))
    })
}

fn retry(
    tx: &Tx<'_>,
    filter: &JobFilter,
    expected: usize,
    by: &str,
    now: Timestamp,
) -> Result<Retried, StoreError> {
    let jobs = retriable(tx, filter, now)?;
    if jobs.len() != expected {
        return Ok(Retried::Moved(jobs.len()));
    }
    let now_due = tx.due(now, now)?;
    let (mut due_at, mut tells) = (now_due, Vec::new());
    // Whatever is done to them is done in the order of the customers, as everywhere; they are all ours before it begins.
    for customer in jobs.iter().map(|job| job.customer).collect::<BTreeSet<_>>() {
        tx.lock(Lock::Customer(customer))?;
    }
    let mut in_order: Vec<_> = jobs.iter().collect();
    in_order.sort_by_key(|job| job.customer);
    for job in in_order {
        match job.place {
            JobPlace::Decision(customer) => {
                if let Some((case, _)) = case(tx, customer)? {
                    let said =
                        Said { word: OfficerWord::Retry, by, note: None, approved_by: None, bulk: None };
                    put_word(tx, &case, &said, Rank::Known, now)?;
                }
            }
            JobPlace::Look(customer) => {
                tx.execute(
                    "UPDATE head SET failures = 0, unreadable = 0, wanted = wanted + 1, due_at = ?2
                         WHERE customer = ?1 AND lease_until IS NULL",
                    params![customer.as_bytes(), ms(now_due)],
                )?;
            }
            JobPlace::Effect(_) => {}
        }
    }
    // The oldest first, whoever's it is.
    for job in &jobs {
        if let JobPlace::Effect(seq) = job.place {
            due_at = due_at.saturating_add(STAGGER).unwrap_or(Timestamp::MAX);
            tells.push((seq, job.customer, due_at));
        }
    }
    revive(tx, &tells)?;
    Ok(Retried::Done(jobs.len()))
}
