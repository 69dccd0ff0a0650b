//! Officers' words, notes and approvals. Each function is the inside of one transaction.

use jiff::Timestamp;
use rusqlite::params;
use serde_json::{Value, json};

use super::ask::{Rank, make_due, once, open_write, put_effect};
use super::column::{corrupt, maybe_timestamp, ms, timestamp};
use super::work::{case, put_history};
use crate::domain::audit::SERVICE;
use crate::domain::case::{Case, CaseState};
use crate::domain::decision::OfficerWord;
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::officer::{
    ApprovalAsked, ApprovalKind, ApprovalPlace, ApprovalRow, ApprovalStatus, Decided, NewApproval, NewNote,
    NewVerdict, NewWord, TakenOver,
};
use crate::store::rows::{HistoryLine, Once, Recorder};
use crate::store::tx::{Lock, Row, Tx};

/// Stands in the payload of a word that a second person has approved.
const APPROVED: &[u8] = b"approved";

/// Sealed notes about a customer, by their ids.
pub(in crate::store) fn notes(
    tx: &Tx<'_>,
    customer: CustomerHashId,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let sql = "SELECT id, sealed FROM note WHERE customer = ?1";
    tx.all(sql, params![customer.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// What an approval that was decided is answered with; `None` where nothing was done.
fn answer_of(id: &str, decided: &Decided) -> Option<Value> {
    match decided {
        Decided::Approved(effect) => {
            Some(json!({ "approvalId": id, "status": "approved", "effectId": effect }))
        }
        Decided::Refused => Some(json!({ "approvalId": id, "status": "refused" })),
        Decided::NoSuch
        | Decided::SamePerson
        | Decided::Closed(_)
        | Decided::Moved
        | Decided::Expired
        | Decided::UnderWay => None,
    }
}

/// Law: an officer's word is stored before it is decided about. `None`: there is no such case.
pub(in crate::store) fn word(
    tx: &Tx<'_>,
    new: &NewWord,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<Option<EffectKey>>, StoreError> {
    once(tx, recorder, now, || {
        tx.lock(Lock::Customer(new.customer))?;
        let Some((case, _)) = case(tx, new.customer)? else { return Ok((None, None)) };
        let note = put_note(tx, new.customer, new.note.as_ref())?;
        let said = Said { word: new.word, by: &new.by, note, approved_by: None, bulk: None };
        let key = put_word(tx, &case, &said, Rank::Act, now)?;
        let answer = json!({ "effectId": key });
        Ok((Some(key), Some(answer)))
    })
}

/// An officer's word, and who stands behind it.
pub(in crate::store) struct Said<'a> {
    pub(in crate::store) word: OfficerWord,
    pub(in crate::store) by: &'a str,
    pub(in crate::store) note: Option<String>,
    pub(in crate::store) approved_by: Option<&'a str>,
    /// The act on many customers that it is a part of, by its id.
    pub(in crate::store) bulk: Option<&'a str>,
}

/// Stores an officer's word; two words are decided about in order.
pub(in crate::store) fn put_word(
    tx: &Tx<'_>,
    case: &Case,
    said: &Said<'_>,
    rank: Rank,
    now: Timestamp,
) -> Result<EffectKey, StoreError> {
    let customer = case.id;
    let nth: i64 = tx.one(
        "SELECT count(*) FROM effect WHERE customer = ?1 AND lane = 'officer'",
        params![customer.as_bytes()],
        |row| row.get(0),
    )?;
    let key = EffectKey::new(customer, case.version, &format!("o{nth}"));
    put_effect(tx, customer, &key, ("officer", said.word.as_str()), None, now)?;
    let mut detail = json!({ "word": said.word.as_str(), "by": said.by, "effectId": key });
    put_part(&mut detail, "noteId", said.note.as_deref());
    put_part(&mut detail, "bulkId", said.bulk);
    if let Some(second) = said.approved_by {
        put_part(&mut detail, "approvedBy", Some(second));
        tx.execute("UPDATE effect SET payload = ?2 WHERE key = ?1", params![key.as_str(), APPROVED])?;
    }
    put_history(tx, customer, case.version, said.by, &HistoryLine { what: "officer", detail }, now)?;
    make_due(tx, customer, rank, now)?;
    Ok(key)
}

fn put_part(detail: &mut Value, name: &str, value: Option<&str>) {
    if let (Some(detail), Some(value)) = (detail.as_object_mut(), value) {
        detail.insert(name.to_owned(), json!(value));
    }
}

/// Stores a note. Gives its id.
pub(super) fn put_note(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    note: Option<&NewNote>,
) -> Result<Option<String>, StoreError> {
    let Some(note) = note else { return Ok(None) };
    let id = note.id.to_string();
    tx.execute(
        "INSERT INTO note (id, customer, sealed) VALUES (?1, ?2, ?3)",
        params![id, customer.as_bytes(), note.sealed],
    )?;
    Ok(Some(id))
}

type Answered<T> = Result<(T, Option<Value>), StoreError>;

/// Law: only a case that stands before the officers is taken in hand; whoever comes last has it.
pub(in crate::store) fn take_over(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    by: &str,
    note: Option<&NewNote>,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<TakenOver>, StoreError> {
    once(tx, recorder, now, || {
        tx.lock(Lock::Customer(customer))?;
        put_in_hand(tx, customer, by, note, now)
    })
}

fn put_in_hand(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    by: &str,
    note: Option<&NewNote>,
    now: Timestamp,
) -> Answered<TakenOver> {
    let Some((case, _)) = case(tx, customer)? else { return Ok((TakenOver::NoCase, None)) };
    if !matches!(case.state, CaseState::NeedsOfficer { .. }) {
        return Ok((TakenOver::NotParked(case.state.name().to_owned()), None));
    }
    let note = put_note(tx, customer, note)?;
    tx.execute(
        "INSERT INTO in_hand (customer, taken_by, since, note) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (customer) DO UPDATE SET taken_by = excluded.taken_by, since = excluded.since,
             note = excluded.note",
        params![customer.as_bytes(), by, ms(now), note],
    )?;
    let mut detail = json!({ "by": by });
    put_part(&mut detail, "noteId", note.as_deref());
    put_history(tx, customer, case.version, by, &HistoryLine { what: "taken_over", detail }, now)?;
    // As it is stored: whole milliseconds.
    let since = timestamp(ms(now))?;
    let answer = json!({ "customerHashId": customer, "officer": { "by": by, "since": since } });
    Ok((TakenOver::Done(since), Some(answer)))
}

/// Law: one approval of a kind is open for a customer, for the version of the case that was seen.
pub(in crate::store) fn ask(
    tx: &Tx<'_>,
    new: &NewApproval,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<ApprovalAsked>, StoreError> {
    once(tx, recorder, now, || {
        tx.lock(Lock::Customer(new.customer))?;
        put_approval(tx, new, now)
    })
}

fn put_approval(tx: &Tx<'_>, new: &NewApproval, now: Timestamp) -> Answered<ApprovalAsked> {
    let Some((case, _)) = case(tx, new.customer)? else {
        return Ok((ApprovalAsked::NoCase, None));
    };
    if case.version != new.version {
        return Ok((ApprovalAsked::Moved, None));
    }
    let there: Option<String> = tx.first(
        "SELECT id FROM approval WHERE customer = ?1 AND what = ?2 AND status = 'open'",
        params![new.customer.as_bytes(), new.kind.as_str()],
        |row| row.get(0),
    )?;
    if let Some(there) = there.map(|id| approval(tx, &id)).transpose()?.flatten() {
        match there.status_at(now) {
            // It is open on file only.
            ended @ (ApprovalStatus::Lapsed | ApprovalStatus::Expired) => {
                close(tx, &there, ended, None, now)?;
            }
            ApprovalStatus::Open | ApprovalStatus::Approved | ApprovalStatus::Refused => {
                return Ok((ApprovalAsked::Open(there.id), None));
            }
        }
    }
    let (id, note) = (new.id.to_string(), put_note(tx, new.customer, new.note.as_ref())?);
    tx.execute(
        "INSERT INTO approval (id, customer, version, what, asked_by, asked_at, expires_at, sealed, note)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            id,
            new.customer.as_bytes(),
            i64::try_from(new.version).unwrap_or(i64::MAX),
            new.kind.as_str(),
            new.by,
            ms(now),
            ms(new.expires_at),
            new.sealed,
            note,
        ],
    )?;
    let mut detail = json!({ "approvalId": id, "what": new.kind, "by": new.by, "expiresAt": new.expires_at });
    put_part(&mut detail, "noteId", note.as_deref());
    put_history(
        tx,
        new.customer,
        case.version,
        &new.by,
        &HistoryLine { what: "approval_asked", detail },
        now,
    )?;
    let answer = json!({ "approvalId": id, "needs": "second person" });
    Ok((ApprovalAsked::Stored, Some(answer)))
}

/// Law: an approval is decided once, by another person than asked, in time, and for the very version of the case that
/// was seen; what it lets happen is stored in the same transaction.
pub(in crate::store) fn decide(
    tx: &Tx<'_>,
    verdict: &NewVerdict,
    recorder: Option<&Recorder>,
    now: Timestamp,
) -> Result<Once<Decided>, StoreError> {
    once(tx, recorder, now, || {
        if let Some(row) = approval(tx, &verdict.id)? {
            tx.lock(Lock::Customer(row.customer))?;
        }
        let decided = put_verdict(tx, verdict, now)?;
        let answer = answer_of(&verdict.id, &decided);
        Ok((decided, answer))
    })
}

fn put_verdict(tx: &Tx<'_>, verdict: &NewVerdict, now: Timestamp) -> Result<Decided, StoreError> {
    let Some(row) = approval(tx, &verdict.id)? else { return Ok(Decided::NoSuch) };
    if row.asked_by == verdict.by {
        return Ok(Decided::SamePerson);
    }
    match (row.status, row.status_at(now)) {
        (ApprovalStatus::Open, ApprovalStatus::Open) => {}
        (ApprovalStatus::Open, ended) => {
            close(tx, &row, ended, None, now)?;
            let moved = ended == ApprovalStatus::Lapsed;
            return Ok(if moved { Decided::Moved } else { Decided::Expired });
        }
        (status, _) => return Ok(decided_before(row, verdict, status)),
    }
    let Some((case, _)) = case(tx, row.customer)? else { return Ok(Decided::NoSuch) };
    let under_way = open_write(tx, row.customer)? || matches!(case.state, CaseState::Submitting { .. });
    if verdict.approve && under_way {
        return Ok(Decided::UnderWay);
    }
    let note = put_note(tx, row.customer, verdict.note.as_ref())?;
    let by = Some((verdict.by.as_str(), note.as_deref()));
    if !verdict.approve {
        close(tx, &row, ApprovalStatus::Refused, by, now)?;
        return Ok(Decided::Refused);
    }
    put_end(tx, &row, ApprovalStatus::Approved, by, now)?;
    let key = perform(tx, &row, verdict, &case, now)?;
    mark_ended(tx, &row, ApprovalStatus::Approved, by, Some(&key), now)?;
    Ok(Decided::Approved(key.to_string()))
}

/// The same verdict of the same person again gives the same answer; any other comes too late.
fn decided_before(row: ApprovalRow, verdict: &NewVerdict, status: ApprovalStatus) -> Decided {
    let mine = row.decided_by.as_deref() == Some(verdict.by.as_str());
    match (status, row.effect) {
        (ApprovalStatus::Approved, Some(effect)) if mine && verdict.approve => Decided::Approved(effect),
        (ApprovalStatus::Refused, None) if mine && !verdict.approve => Decided::Refused,
        (
            ApprovalStatus::Open
            | ApprovalStatus::Approved
            | ApprovalStatus::Refused
            | ApprovalStatus::Lapsed
            | ApprovalStatus::Expired,
            Some(_) | None,
        ) => Decided::Closed(status),
    }
}

/// Stores what was approved, with both names.
fn perform(
    tx: &Tx<'_>,
    row: &ApprovalRow,
    verdict: &NewVerdict,
    case: &Case,
    now: Timestamp,
) -> Result<EffectKey, StoreError> {
    let (by, second) = (row.asked_by.as_str(), verdict.by.as_str());
    if let Some(word) = row.kind.word() {
        let said = Said { word, by, note: None, approved_by: Some(second), bulk: None };
        return put_word(tx, case, &said, Rank::Act, now);
    }
    let act = verdict.act.as_ref().ok_or_else(|| corrupt("approval", &row.id, "it holds no act"))?;
    put_effect(tx, row.customer, &act.key, ("nium", act.kind.as_str()), Some(&act.sealed), now)?;
    let detail = json!({
        "kind": act.kind.as_str(), "by": by, "approvedBy": second, "effectId": act.key, "what": act.summary,
    });
    put_history(tx, row.customer, case.version, by, &HistoryLine { what: "act_asked", detail }, now)?;
    make_due(tx, row.customer, Rank::Act, now)?;
    Ok(act.key.clone())
}

/// Who decided, and their note.
type Second<'a> = Option<(&'a str, Option<&'a str>)>;

/// Ends an approval without anything being done: by a second person, or by itself.
fn close(
    tx: &Tx<'_>,
    row: &ApprovalRow,
    status: ApprovalStatus,
    by: Second<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    put_end(tx, row, status, by, now)?;
    mark_ended(tx, row, status, by, None, now)
}

/// The line in the timeline; it stands before what was approved.
fn put_end(
    tx: &Tx<'_>,
    row: &ApprovalRow,
    status: ApprovalStatus,
    by: Second<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut detail =
        json!({ "approvalId": row.id, "what": row.kind, "became": status, "askedBy": row.asked_by });
    put_part(&mut detail, "by", by.map(|(by, _)| by));
    put_part(&mut detail, "noteId", by.and_then(|(_, note)| note));
    let version = row.case_version.unwrap_or(row.version);
    let actor = by.map_or(SERVICE, |(by, _)| by);
    put_history(tx, row.customer, version, actor, &HistoryLine { what: "approval", detail }, now)
}

fn mark_ended(
    tx: &Tx<'_>,
    row: &ApprovalRow,
    status: ApprovalStatus,
    by: Second<'_>,
    effect: Option<&EffectKey>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (second, note) = by.map_or((None, None), |(by, note)| (Some(by), note));
    tx.execute(
        "UPDATE approval SET status = ?2, decided_by = ?3, decided_at = ?4, decided_note = ?5, effect = ?6
             WHERE id = ?1 AND status = 'open'",
        params![row.id, status.as_str(), second, ms(now), note, effect.map(EffectKey::as_str)],
    )?;
    Ok(())
}

const APPROVAL: &str =
    "SELECT a.seq, a.id, a.customer, a.what, a.version, c.version, a.asked_by, a.asked_at, a.expires_at,
         a.sealed, a.note, a.status, a.decided_by, a.decided_at, a.decided_note, a.effect
     FROM approval AS a LEFT JOIN cases AS c ON c.customer = a.customer";

/// One approval.
pub(in crate::store) fn approval(tx: &Tx<'_>, id: &str) -> Result<Option<ApprovalRow>, StoreError> {
    let rows = tx.query(&format!("{APPROVAL} WHERE a.id = ?1"), params![id])?;
    rows.first().map(approval_of).transpose()
}

/// Approvals after a place, the open ones first.
pub(in crate::store) fn approvals(
    tx: &Tx<'_>,
    after: Option<ApprovalPlace>,
    most: usize,
) -> Result<Vec<ApprovalRow>, StoreError> {
    let page = |wanted: &str, place: i64, most: usize| -> Result<Vec<ApprovalRow>, StoreError> {
        tx.readable(&format!("{APPROVAL} WHERE {wanted}"), params![place], most, approval_of)
    };
    let (open, closed) = match after {
        None => (Some(0), i64::MAX),
        Some(ApprovalPlace::Open(seq)) => (Some(seq), i64::MAX),
        Some(ApprovalPlace::Closed(seq)) => (None, seq),
    };
    let mut found = match open {
        Some(seq) => page("a.status = 'open' AND a.seq > ?1 ORDER BY a.seq", seq, most)?,
        None => Vec::new(),
    };
    let left = most.saturating_sub(found.len());
    found.extend(page("a.status <> 'open' AND a.seq < ?1 ORDER BY a.seq DESC", closed, left)?);
    Ok(found)
}

/// Every approval about a customer, oldest first.
pub(in crate::store) fn approvals_about(
    tx: &Tx<'_>,
    customer: CustomerHashId,
) -> Result<Vec<ApprovalRow>, StoreError> {
    tx.all(
        &format!("{APPROVAL} WHERE a.customer = ?1 ORDER BY a.seq"),
        params![customer.as_bytes()],
        approval_of,
    )
}

fn approval_of(row: &Row) -> Result<ApprovalRow, StoreError> {
    let id: String = row.get(1)?;
    let unknown = |why: &str| corrupt("approval", &id, why);
    let (what, status): (String, String) = (row.get(3)?, row.get(11)?);
    let version = |at: usize| -> Result<Option<u64>, StoreError> {
        Ok(row.get::<Option<i64>>(at)?.and_then(|version| u64::try_from(version).ok()))
    };
    Ok(ApprovalRow {
        seq: row.get(0)?,
        customer: CustomerHashId::from_bytes(row.get(2)?),
        kind: ApprovalKind::parse(&what).ok_or_else(|| unknown("what it is about is not known"))?,
        version: version(4)?.unwrap_or_default(),
        case_version: version(5)?,
        asked_by: row.get(6)?,
        asked_at: timestamp(row.get(7)?)?,
        expires_at: timestamp(row.get(8)?)?,
        sealed: row.get(9)?,
        note: row.get(10)?,
        status: ApprovalStatus::parse(&status).ok_or_else(|| unknown("its status is not known"))?,
        decided_by: row.get(12)?,
        decided_at: maybe_timestamp(row.get(13)?)?,
        decided_note: row.get(14)?,
        effect: row.get(15)?,
        id,
    })
}

/// Law: an approval that nobody decided in time expires, with a line in the timeline.
pub(in crate::store) fn expire(tx: &Tx<'_>, most: usize, now: Timestamp) -> Result<usize, StoreError> {
    let due = format!("{APPROVAL} WHERE a.status = 'open' AND a.expires_at <= ?1 ORDER BY a.expires_at");
    let ended = tx.readable(&due, params![ms(now)], most, approval_of)?;
    for row in &ended {
        tx.lock(Lock::Customer(row.customer))?;
        close(tx, row, ApprovalStatus::Expired, None, now)?;
    }
    Ok(ended.len())
}
