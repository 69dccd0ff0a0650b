//! Claiming a customer, and writing what was decided. Each function is the inside of one transaction.

use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

use super::column::{case_of, effect_key, ms, next_of, timestamp};
use super::{audit, events, findings, links, onboard, retain, rfi, search};
use crate::domain::act::{ActKind, ActStage};
use crate::domain::audit::SERVICE;
use crate::domain::case::{Case, CaseState};
use crate::domain::decision::{Next, OfficerWord};
use crate::domain::effect::EffectStatus;
use crate::domain::id::CustomerHashId;
use crate::store::end_of;
use crate::store::error::StoreError;
use crate::store::rows::{
    Claimed, Commit, EffectChange, Finished, HistoryLine, Lease, LookTrouble, OpenEffect, OpenKind, Seats,
};
use crate::store::tx::{Lock, Row, Tx};

// The index gives the oldest due row of a rank at once, however many wait.
const DUE: &str = "SELECT customer, wanted, handled, epoch, failures, unreadable, historic, rank FROM head
     WHERE rank = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?3";

const HOLD: &str =
    "UPDATE head SET epoch = ?2, lease_until = ?3, due_at = ?3, holder = ?4 WHERE customer = ?1";

const CASE: &str = "SELECT customer, version, data, since, attempts_used, beside, next_what, next_at
     FROM cases WHERE customer = ?1";

const OPEN: &str = "SELECT key, lane, kind, status, sealed, progress, payload IS NOT NULL FROM effect
     WHERE customer = ?1 AND lane IN ('nium', 'officer') AND status IN ('pending', 'sending', 'unclear')
     ORDER BY lane = 'officer' DESC, seq LIMIT 1";

/// Ranks, first served first: somebody's act, known customers, unknown ones, those whom the sweep alone has named.
const RANKS: [i64; 4] = [0, 1, 2, 3];
/// The rank of the last.
const RANK_SWEPT: i64 = 3;
/// Every so many claims begin with the rank (place in [`RANKS`]), so that each has a share.
const SHARES: [(u64, usize); 3] = [(16, 3), (8, 2), (4, 1)];

/// How long a customer or notification whose row cannot be read is left alone.
pub(super) const SET_ASIDE: SignedDuration = SignedDuration::from_mins(15);

/// How long a claim lasts: until then by the clock of the database, and by that of this process. The second was read
/// before the claim was made, so that whoever holds it never thinks that they have it longer than they do.
#[derive(Clone, Copy)]
struct Term {
    until: Timestamp,
    shown: Timestamp,
}

struct HeadRow {
    customer: CustomerHashId,
    wanted: i64,
    handled: i64,
    epoch: i64,
    trouble: LookTrouble,
    historic: bool,
    rank: i64,
}

/// Writes what a callback would, and takes it back in the same transaction: a disk that is full or gone shows itself,
/// and the fold sees nothing.
pub(in crate::store) fn touch(tx: &Tx<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO callback_log (at, looks, source) VALUES (0, 0, 'callback') RETURNING id";
    let id: i64 = tx.one(sql, params![], |row| row.get(0))?;
    tx.execute("DELETE FROM callback_log WHERE id = ?1", params![id])?;
    Ok(())
}

/// Law: a claimed customer is due for nobody else until `until`; ranks are served in order, and none starves.
pub(in crate::store) fn claim(
    tx: &Tx<'_>,
    local: Timestamp,
    span: Duration,
    seats: Seats,
    holder: &str,
) -> Result<Vec<Claimed>, StoreError> {
    let now = tx.now(local)?;
    let term = Term { until: end_of(now, span), shown: end_of(local, span) };
    let mut ranks = RANKS;
    if let Some((_, place)) = SHARES.iter().find(|(every, _)| seats.turn.is_multiple_of(*every))
        && let Some(ahead) = ranks.get_mut(..=*place)
    {
        ahead.rotate_right(1);
    }
    let mut claimed = Vec::new();
    for rank in ranks {
        let left = seats.all.saturating_sub(claimed.len());
        let left = if rank == RANK_SWEPT { left.min(seats.swept) } else { left };
        if left == 0 {
            continue;
        }
        for (customer, head) in due_heads(tx, rank, left, now)? {
            match head.and_then(|head| hold(tx, &head, term, holder)) {
                Ok(held) if held.case.is_none() && leave_the_erased(tx, &customer)? => {}
                Ok(held) => claimed.push(held),
                // One row that cannot be believed must not keep everybody else waiting.
                Err(error @ StoreError::Corrupt { .. }) => set_aside(tx, &customer, now, &error)?,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(claimed)
}

/// Somebody who was erased is not attended to: what named them stays on file, and is counted. True if they were.
fn leave_the_erased(tx: &Tx<'_>, customer: &[u8]) -> Result<bool, StoreError> {
    let gone = tx.execute(
        "DELETE FROM head WHERE customer = ?1 AND customer IN (SELECT customer FROM erasure WHERE customer = ?1)",
        params![customer],
    )?;
    Ok(gone > 0)
}

/// The due rows of a rank, each with its key as it stands there: one that cannot be read still has to be set aside.
type Head = (Vec<u8>, Result<HeadRow, StoreError>);

fn due_heads(tx: &Tx<'_>, rank: i64, most: usize, now: Timestamp) -> Result<Vec<Head>, StoreError> {
    let sql = format!("{DUE} {}", tx.dialect().skip_locked);
    let rows = tx.query(&sql, params![rank, ms(now), i64::try_from(most).unwrap_or(i64::MAX)])?;
    let mut heads = Vec::new();
    for row in &rows {
        let key: Vec<u8> = row.get(0)?;
        let head = head_of(row).map_err(|error| error.in_row("head", &hex::encode(&key)));
        heads.push((key, head));
    }
    Ok(heads)
}

fn head_of(row: &Row) -> Result<HeadRow, StoreError> {
    Ok(HeadRow {
        customer: CustomerHashId::from_bytes(row.get(0)?),
        wanted: row.get(1)?,
        handled: row.get(2)?,
        epoch: row.get(3)?,
        trouble: LookTrouble { failures: row.get(4)?, unreadable: row.get(5)? },
        historic: row.get(6)?,
        rank: row.get(7)?,
    })
}

fn hold(tx: &Tx<'_>, head: &HeadRow, term: Term, holder: &str) -> Result<Claimed, StoreError> {
    // Never one that was given out before, also where the row was gone in between.
    let epoch = (head.epoch + 1).max(ms(term.until));
    tx.execute(HOLD, params![head.customer.as_bytes(), epoch, ms(term.until), holder])?;
    let (case, next) = case(tx, head.customer)?.map_or((None, None), |(case, next)| (Some(case), next));
    Ok(Claimed {
        lease: Lease { customer: head.customer, epoch, until: term.shown, wanted: head.wanted },
        case,
        next,
        nudged: head.wanted > head.handled,
        trouble: head.trouble,
        historic: head.historic,
        swept: head.rank == RANK_SWEPT,
        open: open_effect(tx, head.customer).map_err(|error| error.in_row("effect", &head.customer))?,
    })
}

/// Leaves a customer whose row cannot be read alone for a while; the log names the row.
fn set_aside(tx: &Tx<'_>, customer: &[u8], now: Timestamp, error: &StoreError) -> Result<(), StoreError> {
    tracing::error!(%error, "a row cannot be read; the customer is left alone for a while");
    let again_at = now.saturating_add(SET_ASIDE).unwrap_or(Timestamp::MAX);
    tx.execute(
        "UPDATE head SET lease_until = NULL, due_at = ?2, failures = 1, unreadable = 0 WHERE customer = ?1",
        params![customer, ms(again_at)],
    )?;
    Ok(())
}

/// The case of one customer, with what happens next.
pub(in crate::store) fn case(
    tx: &Tx<'_>,
    customer: CustomerHashId,
) -> Result<Option<(Case, Option<Next>)>, StoreError> {
    let rows = tx.query(CASE, params![customer.as_bytes()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let next = next_of(row).map_err(|error| error.in_row("cases", &customer))?;
    Ok(Some((case_of(row)?, next)))
}

fn open_effect(tx: &Tx<'_>, customer: CustomerHashId) -> Result<Option<OpenEffect>, StoreError> {
    let rows = tx.query(OPEN, params![customer.as_bytes()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let key = effect_key(row, 0)?;
    let (kind, status): (String, String) = (row.get(2)?, row.get(3)?);
    let corrupt =
        |why: &str| StoreError::Corrupt { table: "effect", row: key.to_string(), why: why.to_owned() };
    let kind = match kind.as_str() {
        "submit" => OpenKind::Submit,
        other => match (OfficerWord::parse(other), ActKind::parse(other)) {
            (Some(word), _) => OpenKind::Officer(word),
            (None, Some(kind)) => OpenKind::Act(kind),
            (None, None) => return Err(corrupt("its kind is not known")),
        },
    };
    let stage = match row.get::<Option<String>>(5)? {
        Some(text) => serde_json::from_str(&text).map_err(|_| corrupt("its progress cannot be read"))?,
        None => ActStage::default(),
    };
    let status = EffectStatus::parse(&status).ok_or_else(|| corrupt("its status is not known"))?;
    Ok(Some(OpenEffect { kind, status, sealed: row.get(4)?, key, stage, approved: row.get(6)? }))
}

/// Law: nothing is written unless the lease is still ours; then everything is, or nothing.
pub(in crate::store) fn commit(
    tx: &Tx<'_>,
    lease: &Lease,
    commit: &Commit,
    now: Timestamp,
) -> Result<Finished, StoreError> {
    tx.lock(Lock::Customer(lease.customer))?;
    if !settle_head(tx, lease, commit, now)? {
        return Ok(Finished::LeaseLost);
    }
    let customer = lease.customer;
    let mut version = 0;
    if let Some((case, next)) = &commit.case {
        version = case.version;
        put_case(tx, case, *next)?;
        if matches!(case.state, CaseState::Approved | CaseState::Reinstated) {
            retain::accept_documents(tx, customer, now)?;
        }
        if !case.state.is_with_nium() {
            onboard::drop_redirect(tx, customer)?;
        }
    }
    if let Some(redirect) = &commit.redirect {
        onboard::put_redirect(tx, customer, redirect, now)?;
    }
    if let Some(snapshot) = &commit.snapshot {
        if let Some(judge_at) = commit.unasked {
            findings::note_look(tx, customer, &snapshot.facts, judge_at, now)?;
        }
        let facts = serde_json::to_string(&snapshot.facts)
            .map_err(|error| unwritable("snapshot", customer, &error))?;
        tx.execute(
            "INSERT INTO snapshot (customer, looked_at, facts, sealed, marked) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (customer) DO UPDATE SET looked_at = excluded.looked_at, facts = excluded.facts,
                     sealed = excluded.sealed, marked = excluded.marked",
            params![
                customer.as_bytes(),
                ms(snapshot.looked_at),
                facts,
                snapshot.sealed,
                commit.marks.is_some()
            ],
        )?;
        if let Some(marks) = &commit.marks {
            search::replace(tx, customer, marks)?;
        }
    }
    if let Some(sealed) = &commit.application {
        put_application(tx, customer, sealed, now)?;
    }
    rfi::change(tx, customer, &commit.rfi, now)?;
    for line in &commit.history {
        put_history(tx, customer, version, SERVICE, line, now)?;
    }
    for tell in &commit.tells {
        events::put_tell(tx, customer, tell, now)?;
    }
    for mail in &commit.mails {
        if let Some(link) = &mail.link {
            links::insert(tx, link, SERVICE, now)?;
        }
        events::put_delivery(tx, customer, &mail.delivery, now)?;
    }
    if let Some(change) = &commit.effect {
        change_effect(tx, change, now)?;
    }
    Ok(Finished::Done)
}

/// Gives the customer back (or keeps the lease) and answers the nudges counted at the claim. False: not ours any more.
fn settle_head(tx: &Tx<'_>, lease: &Lease, commit: &Commit, now: Timestamp) -> Result<bool, StoreError> {
    let (customer, epoch) = (lease.customer.as_bytes(), lease.epoch);
    let handled = if commit.looked { lease.wanted } else { 0 };
    let LookTrouble { failures, unreadable } = commit.trouble;
    if commit.look_again {
        tx.execute(
            "UPDATE head SET wanted = wanted + 1
                 WHERE customer = ?1 AND epoch = ?2 AND lease_until IS NOT NULL",
            params![customer, epoch],
        )?;
    }
    let changed = if commit.hold {
        tx.execute(
            "UPDATE head SET handled = CASE WHEN handled < ?3 THEN ?3 ELSE handled END, failures = ?4,
                     unreadable = ?5
                 WHERE customer = ?1 AND epoch = ?2 AND lease_until IS NOT NULL",
            params![customer, epoch, handled, failures, unreadable],
        )?
    } else {
        let due_at = commit.due_at.map(|at| tx.due(at, now)).transpose()?;
        // Nudges that came after the claim make the customer due at once, unless Nium is being given a rest.
        tx.execute(
            "UPDATE head SET handled = CASE WHEN handled < ?3 THEN ?3 ELSE handled END, failures = ?4,
                     unreadable = ?5, lease_until = NULL,
                     rank = CASE WHEN rank = 0 OR ?6 = 1 THEN 1 ELSE rank END,
                     due_at = CASE WHEN ?4 = 0 AND wanted > handled AND wanted > ?3 THEN CAST(?8 AS BIGINT)
                         ELSE CAST(?7 AS BIGINT) END
                 WHERE customer = ?1 AND epoch = ?2 AND lease_until IS NOT NULL",
            params![
                customer,
                epoch,
                handled,
                failures,
                unreadable,
                commit.case.is_some(),
                due_at.map(ms),
                ms(tx.due(now, now)?)
            ],
        )?
    };
    Ok(changed == 1)
}

fn put_case(tx: &Tx<'_>, case: &Case, next: Option<Next>) -> Result<(), StoreError> {
    let data = serde_json::to_string(&case.state).map_err(|error| unwritable("case", case.id, &error))?;
    let beside = serde_json::to_string(&case.beside).map_err(|error| unwritable("case", case.id, &error))?;
    // The version guards against a writer that decided on an older case, whatever happened to its lease.
    let changed = tx.execute(
        "INSERT INTO cases (customer, version, state, data, since, attempts_used, beside, next_what, next_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (customer) DO UPDATE SET version = excluded.version, state = excluded.state,
                 data = excluded.data, since = excluded.since, attempts_used = excluded.attempts_used,
                 beside = excluded.beside, next_what = excluded.next_what, next_at = excluded.next_at
             WHERE cases.version <= excluded.version AND excluded.version <= cases.version + 1",
        params![
            case.id.as_bytes(),
            i64::try_from(case.version).unwrap_or(i64::MAX),
            case.state.name(),
            data,
            ms(case.since),
            case.attempts_used,
            beside,
            next.map(|next| next.what.as_str()),
            next.map(|next| ms(next.at)),
        ],
    )?;
    if changed == 1 {
        return Ok(());
    }
    let why = format!("version {} does not follow what is stored", case.version);
    Err(StoreError::Corrupt { table: "cases", row: case.id.to_string(), why })
}

/// Keeps the newest application of a customer. Of one whom Nium has accepted already the documents are of no more use.
pub(in crate::store) fn put_application(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    sealed: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO application (customer, sealed, stored_at, accepted_at) VALUES (?1, ?2, ?3,
                 (SELECT CAST(?3 AS BIGINT) FROM cases WHERE customer = ?1 AND state IN ('approved', 'reinstated')))
             ON CONFLICT (customer) DO UPDATE SET sealed = excluded.sealed, stored_at = excluded.stored_at,
                 documents = 1, accepted_at = excluded.accepted_at",
        params![customer.as_bytes(), sealed, ms(now)],
    )?;
    Ok(())
}

/// Writes a line of the timeline, and who did it into the audit record.
pub(in crate::store) fn put_history(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    version: u64,
    actor: &str,
    line: &HistoryLine,
    now: Timestamp,
) -> Result<(), StoreError> {
    audit::note(tx, actor, Some(customer), line.what, &line.detail, now)?;
    tx.execute(
        "INSERT INTO history (customer, at, version, what, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            customer.as_bytes(),
            ms(now),
            i64::try_from(version).unwrap_or(i64::MAX),
            line.what,
            line.detail.to_string()
        ],
    )?;
    Ok(())
}

/// Moves an effect of the `nium` or `officer` lane; one that has ended stays as it is.
pub(in crate::store) fn change_effect(
    tx: &Tx<'_>,
    change: &EffectChange,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ended = matches!(
        change.status,
        EffectStatus::Done | EffectStatus::Refused | EffectStatus::Overtaken | EffectStatus::Failed
    );
    tx.execute("UPDATE effect SET status = ?2, ended_at = ?3, said = coalesce(?4, said), outcome = coalesce(?5, outcome),
                 sealed = CASE WHEN ?8 = 0 THEN sealed END, attempts = attempts + ?6,
                 progress = coalesce(?7, progress)
             WHERE key = ?1 AND ended_at IS NULL", params![
            change.key.as_str(),
            change.status.as_str(),
            ended.then(|| ms(now)),
            change.said,
            change.outcome,
            i64::from(change.attempt.is_some()),
            change.stage.as_ref().and_then(|stage| serde_json::to_string(stage).ok()),
            ended,
        ])?;
    if let Some(outcome) = &change.attempt {
        tx.execute(
            "INSERT INTO attempt (effect, number, at, outcome)
                 SELECT seq, attempts, ?2, ?3 FROM effect WHERE key = ?1 ON CONFLICT DO NOTHING",
            params![change.key.as_str(), ms(now), outcome],
        )?;
    }
    Ok(())
}

/// Law: a customer whom Nium does not know leaves nothing but the callback that named them.
pub(in crate::store) fn forget(tx: &Tx<'_>, lease: &Lease, now: Timestamp) -> Result<Finished, StoreError> {
    tx.lock(Lock::Customer(lease.customer))?;
    let (customer, epoch) = (lease.customer.as_bytes(), lease.epoch);
    // A nudge that came during the look is owed one of its own, also one whose fold has not ended yet: the row is only taken away
    // as it was when it was claimed.
    let gone = tx.execute(
        "DELETE FROM head WHERE customer = ?1 AND epoch = ?2 AND lease_until IS NOT NULL AND wanted <= ?3",
        params![customer, epoch, lease.wanted],
    )?;
    let again = match gone {
        0 => tx.execute(
            "UPDATE head SET handled = ?3, lease_until = NULL, due_at = ?4
                 WHERE customer = ?1 AND epoch = ?2 AND lease_until IS NOT NULL",
            params![customer, epoch, lease.wanted, ms(now)],
        )?,
        _ => 0,
    };
    Ok(if again + gone > 0 { Finished::Done } else { Finished::LeaseLost })
}

/// Law: what a dead process held is due now; what it was sending is then found out by looking. Only for whoever knows that
/// it is dead: the one process that owns an SQLite database (`holder` is `None`), or a replica about its own past.
pub(in crate::store) fn release_the_dead(
    tx: &Tx<'_>,
    holder: Option<&str>,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let mut released = 0;
    for table in ["head", "effect"] {
        let free =
            format!("UPDATE {table} SET lease_until = NULL, due_at = ?1 WHERE lease_until IS NOT NULL");
        released += match holder {
            None => tx.execute(&free, params![ms(now)])?,
            Some(holder) => tx.execute(&format!("{free} AND holder = ?2"), params![ms(now), holder])?,
        };
    }
    Ok(released)
}

/// Law: what is held under this name and is not in these hands is due now.
pub(in crate::store) fn release_lost(
    tx: &Tx<'_>,
    holder: &str,
    customers: &HashSet<CustomerHashId>,
    tells: &HashSet<i64>,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let mut released = 0;
    let held = "SELECT customer, epoch FROM head WHERE lease_until IS NOT NULL AND holder = ?1";
    let free = "UPDATE head SET lease_until = NULL, due_at = ?3
         WHERE customer = ?1 AND epoch = ?2 AND lease_until IS NOT NULL";
    for (customer, epoch) in tx
        .all(held, params![holder], |row| Ok((CustomerHashId::from_bytes(row.get(0)?), row.get::<i64>(1)?)))?
    {
        if !customers.contains(&customer) {
            released += tx.execute(free, params![customer.as_bytes(), epoch, ms(now)])?;
        }
    }
    let held = "SELECT seq, epoch FROM effect WHERE lease_until IS NOT NULL AND holder = ?1";
    let free = "UPDATE effect SET lease_until = NULL, due_at = ?3
         WHERE seq = ?1 AND epoch = ?2 AND lease_until IS NOT NULL";
    for (seq, epoch) in tx.all(held, params![holder], |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?)))? {
        if !tells.contains(&seq) {
            released += tx.execute(free, params![seq, epoch, ms(now)])?;
        }
    }
    Ok(released)
}

/// When the next customer or notification becomes due, after `now`. What is due already waits for something else than
/// time: a permit, or an older notification of its customer.
pub(in crate::store) fn next_due(tx: &Tx<'_>, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let earliest = |sql: &str, rank: i64| -> Result<Option<i64>, StoreError> {
        tx.one(sql, params![ms(now), rank], |row| row.get(0))
    };
    let mut dues = Vec::new();
    for rank in RANKS {
        dues.extend(earliest("SELECT min(due_at) FROM head WHERE rank = ?2 AND due_at > ?1", rank)?);
    }
    let tells = "SELECT min(due_at) FROM effect
             WHERE destination IS NOT NULL AND status = 'pending' AND behind = 0 AND due_at > ?1 AND ?2 = ?2";
    dues.extend(earliest(tells, 0)?);
    dues.into_iter().min().map(timestamp).transpose()
}

fn unwritable(table: &'static str, customer: CustomerHashId, error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt { table, row: customer.to_string(), why: error.to_string() }
}
