//! Claiming a customer, and writing what was decided. Each function is the inside of one transaction.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, params};

use super::column::{case_of, effect_key, ms, next_of, timestamp};
use super::{findings, onboard, rfi, search, sweeps};
use crate::domain::act::{ActKind, ActStage};
use crate::domain::case::Case;
use crate::domain::decision::{Next, OfficerWord};
use crate::domain::effect::EffectStatus;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::{
    Claimed, Commit, EffectChange, Finished, HistoryLine, Lease, LookTrouble, NewTell, OpenEffect, OpenKind,
    Seats,
};

// differs: one writer at a time, so nothing has to be skipped or locked; the index gives the oldest due row at once.
const DUE: &str = "SELECT customer, wanted, handled, epoch, failures, unreadable, historic, rank FROM head
     WHERE rank = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?3";

const HOLD: &str = "UPDATE head SET epoch = ?2, lease_until = ?3, due_at = ?3 WHERE customer = ?1";

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
pub(super) fn touch(connection: &Connection) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO callback_log (at, customer, looks, source) VALUES (0, zeroblob(16), 0, 'callback')",
        )?
        .execute([])?;
    connection
        .prepare_cached("DELETE FROM callback_log WHERE id = ?1")?
        .execute([connection.last_insert_rowid()])?;
    Ok(())
}

/// Law: a claimed customer is due for nobody else until `until`; ranks are served in order, and none starves.
pub(super) fn claim(
    connection: &Connection,
    now: Timestamp,
    until: Timestamp,
    seats: Seats,
) -> Result<Vec<Claimed>, StoreError> {
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
        for (customer, head) in due_heads(connection, rank, left, now)? {
            match head.and_then(|head| hold(connection, &head, until)) {
                Ok(held) => claimed.push(held),
                // One row that cannot be believed must not keep everybody else waiting.
                Err(error @ StoreError::Corrupt { .. }) => set_aside(connection, &customer, now, &error)?,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(claimed)
}

/// The due rows of a rank, each with its key as it stands there: one that cannot be read still has to be set aside.
type Head = (Vec<u8>, Result<HeadRow, StoreError>);

fn due_heads(
    connection: &Connection,
    rank: i64,
    most: usize,
    now: Timestamp,
) -> Result<Vec<Head>, StoreError> {
    let mut due = connection.prepare_cached(DUE)?;
    let mut rows = due.query(params![rank, ms(now), i64::try_from(most).unwrap_or(i64::MAX)])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        let key: Vec<u8> = row.get(0)?;
        let head = head_of(row).map_err(|error| StoreError::from(error).in_row("head", &hex::encode(&key)));
        heads.push((key, head));
    }
    Ok(heads)
}

fn head_of(row: &Row<'_>) -> rusqlite::Result<HeadRow> {
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

fn hold(connection: &Connection, head: &HeadRow, until: Timestamp) -> Result<Claimed, StoreError> {
    let epoch = head.epoch + 1;
    connection.prepare_cached(HOLD)?.execute(params![head.customer.as_bytes(), epoch, ms(until)])?;
    let (case, next) =
        case(connection, head.customer)?.map_or((None, None), |(case, next)| (Some(case), next));
    Ok(Claimed {
        lease: Lease { customer: head.customer, epoch, until, wanted: head.wanted },
        case,
        next,
        nudged: head.wanted > head.handled,
        trouble: head.trouble,
        historic: head.historic,
        swept: head.rank == RANK_SWEPT,
        open: open_effect(connection, head.customer)
            .map_err(|error| error.in_row("effect", &head.customer))?,
    })
}

/// Leaves a customer whose row cannot be read alone for a while; the log names the row.
fn set_aside(
    connection: &Connection,
    customer: &[u8],
    now: Timestamp,
    error: &StoreError,
) -> Result<(), StoreError> {
    tracing::error!(%error, "a row cannot be read; the customer is left alone for a while");
    let again_at = now.saturating_add(SET_ASIDE).unwrap_or(Timestamp::MAX);
    connection
        .prepare_cached(
            "UPDATE head SET lease_until = NULL, due_at = ?2, failures = 1, unreadable = 0 WHERE customer = ?1",
        )?
        .execute(params![customer, ms(again_at)])?;
    Ok(())
}

/// The case of one customer, with what happens next.
pub(super) fn case(
    connection: &Connection,
    customer: CustomerHashId,
) -> Result<Option<(Case, Option<Next>)>, StoreError> {
    let mut read = connection.prepare_cached(CASE)?;
    let mut rows = read.query(params![customer.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let next = next_of(row).map_err(|error| error.in_row("cases", &customer))?;
    Ok(Some((case_of(row)?, next)))
}

fn open_effect(connection: &Connection, customer: CustomerHashId) -> Result<Option<OpenEffect>, StoreError> {
    let mut read = connection.prepare_cached(OPEN)?;
    let mut rows = read.query(params![customer.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
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
    let stage = match row.get::<_, Option<String>>(5)? {
        Some(text) => serde_json::from_str(&text).map_err(|_| corrupt("its progress cannot be read"))?,
        None => ActStage::default(),
    };
    let status = EffectStatus::parse(&status).ok_or_else(|| corrupt("its status is not known"))?;
    Ok(Some(OpenEffect { kind, status, sealed: row.get(4)?, key, stage, approved: row.get(6)? }))
}

/// Law: nothing is written unless the lease is still ours; then everything is, or nothing.
pub(super) fn commit(
    connection: &Connection,
    lease: &Lease,
    commit: &Commit,
    now: Timestamp,
) -> Result<Finished, StoreError> {
    if !settle_head(connection, lease, commit, now)? {
        return Ok(Finished::LeaseLost);
    }
    let customer = lease.customer;
    let mut version = 0;
    if let Some((case, next)) = &commit.case {
        version = case.version;
        put_case(connection, case, *next)?;
        if !case.state.is_with_nium() {
            onboard::drop_redirect(connection, customer)?;
        }
    }
    if let Some(redirect) = &commit.redirect {
        onboard::put_redirect(connection, customer, redirect, now)?;
    }
    if let Some(snapshot) = &commit.snapshot {
        if let Some(judge_at) = commit.unasked {
            findings::note_look(connection, customer, &snapshot.facts, judge_at, now)?;
        }
        let facts = serde_json::to_string(&snapshot.facts)
            .map_err(|error| unwritable("snapshot", customer, &error))?;
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO snapshot (customer, looked_at, facts, sealed, marked) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                customer.as_bytes(),
                ms(snapshot.looked_at),
                facts,
                snapshot.sealed,
                commit.marks.is_some()
            ])?;
        if let Some(marks) = &commit.marks {
            search::replace(connection, customer, marks)?;
        }
    }
    if let Some(sealed) = &commit.application {
        put_application(connection, customer, sealed, now)?;
    }
    rfi::change(connection, customer, &commit.rfi, now)?;
    for line in &commit.history {
        put_history(connection, customer, version, line, now)?;
    }
    for tell in &commit.tells {
        put_tell(connection, customer, tell, now)?;
    }
    if let Some(change) = &commit.effect {
        change_effect(connection, change, now)?;
    }
    Ok(Finished::Done)
}

/// Gives the customer back (or keeps the lease) and answers the nudges counted at the claim. False: not ours any more.
fn settle_head(
    connection: &Connection,
    lease: &Lease,
    commit: &Commit,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (customer, epoch) = (lease.customer.as_bytes(), lease.epoch);
    let handled = if commit.looked { lease.wanted } else { 0 };
    let LookTrouble { failures, unreadable } = commit.trouble;
    if commit.look_again {
        connection
            .prepare_cached(
                "UPDATE head SET wanted = wanted + 1 WHERE customer = ?1 AND epoch = ?2 AND lease_until IS NOT NULL",
            )?
            .execute(params![customer, epoch])?;
    }
    let changed = if commit.hold {
        connection
            .prepare_cached(
                "UPDATE head SET handled = max(handled, ?3), failures = ?4, unreadable = ?5
                 WHERE customer = ?1 AND epoch = ?2 AND lease_until IS NOT NULL",
            )?
            .execute(params![customer, epoch, handled, failures, unreadable])?
    } else {
        // Nudges that came after the claim make the customer due at once, unless Nium is being given a rest.
        connection
            .prepare_cached(
                "UPDATE head SET handled = max(handled, ?3), failures = ?4, unreadable = ?5, lease_until = NULL,
                     rank = CASE WHEN rank = 0 OR ?6 THEN 1 ELSE rank END,
                     due_at = CASE WHEN ?4 = 0 AND wanted > max(handled, ?3) THEN ?8 ELSE ?7 END
                 WHERE customer = ?1 AND epoch = ?2 AND lease_until IS NOT NULL",
            )?
            .execute(params![
                customer,
                epoch,
                handled,
                failures,
                unreadable,
                commit.case.is_some(),
                commit.due_at.map(ms),
                ms(now)
            ])?
    };
    Ok(changed == 1)
}

fn put_case(connection: &Connection, case: &Case, next: Option<Next>) -> Result<(), StoreError> {
    let data = serde_json::to_string(&case.state).map_err(|error| unwritable("case", case.id, &error))?;
    let beside = serde_json::to_string(&case.beside).map_err(|error| unwritable("case", case.id, &error))?;
    // The version guards against a writer that decided on an older case, whatever happened to its lease.
    let changed = connection
        .prepare_cached(
            "INSERT INTO cases (customer, version, state, data, since, attempts_used, beside, next_what, next_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (customer) DO UPDATE SET version = excluded.version, state = excluded.state,
                 data = excluded.data, since = excluded.since, attempts_used = excluded.attempts_used,
                 beside = excluded.beside, next_what = excluded.next_what, next_at = excluded.next_at
             WHERE cases.version <= excluded.version AND excluded.version <= cases.version + 1",
        )?
        .execute(params![
            case.id.as_bytes(),
            i64::try_from(case.version).unwrap_or(i64::MAX),
            case.state.name(),
            data,
            ms(case.since),
            case.attempts_used,
            beside,
            next.map(|next| next.what.as_str()),
            next.map(|next| ms(next.at)),
        ])?;
    if changed == 1 {
        return Ok(());
    }
    let why = format!("version {} does not follow what is stored", case.version);
    Err(StoreError::Corrupt { table: "cases", row: case.id.to_string(), why })
}

pub(super) fn put_application(
    connection: &Connection,
    customer: CustomerHashId,
    sealed: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO application (customer, sealed, stored_at) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![customer.as_bytes(), sealed, ms(now)])?;
    Ok(())
}

pub(super) fn put_history(
    connection: &Connection,
    customer: CustomerHashId,
    version: u64,
    line: &HistoryLine,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO history (customer, at, version, what, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            customer.as_bytes(),
            ms(now),
            i64::try_from(version).unwrap_or(i64::MAX),
            line.what,
            line.detail.to_string()
        ])?;
    Ok(())
}

/// Stores a notification, due at once.
pub(super) fn put_tell(
    connection: &Connection,
    customer: CustomerHashId,
    tell: &NewTell,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO effect (key, customer, lane, kind, status, due_at, created_at, payload)
             VALUES (?1, ?2, 'webhook', ?3, 'pending', ?4, ?4, ?5)",
        )?
        .execute(params![tell.key.as_str(), customer.as_bytes(), tell.event.as_str(), ms(now), tell.body])?;
    Ok(())
}

/// Moves an effect of the `nium` or `officer` lane; one that has ended stays as it is.
pub(super) fn change_effect(
    connection: &Connection,
    change: &EffectChange,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ended = matches!(
        change.status,
        EffectStatus::Done | EffectStatus::Refused | EffectStatus::Overtaken | EffectStatus::Failed
    );
    connection
        .prepare_cached(
            "UPDATE effect SET status = ?2, ended_at = ?3, said = coalesce(?4, said), outcome = coalesce(?5, outcome),
                 sealed = CASE WHEN ?3 IS NULL THEN sealed END, attempts = attempts + ?6,
                 progress = coalesce(?7, progress)
             WHERE key = ?1 AND ended_at IS NULL",
        )?
        .execute(params![
            change.key.as_str(),
            change.status.as_str(),
            ended.then(|| ms(now)),
            change.said,
            change.outcome,
            i64::from(change.attempt.is_some()),
            change.stage.as_ref().and_then(|stage| serde_json::to_string(stage).ok()),
        ])?;
    if let Some(outcome) = &change.attempt {
        connection
            .prepare_cached(
                "INSERT INTO attempt (effect, number, at, outcome)
                 SELECT seq, attempts, ?2, ?3 FROM effect WHERE key = ?1 ON CONFLICT DO NOTHING",
            )?
            .execute(params![change.key.as_str(), ms(now), outcome])?;
    }
    Ok(())
}

/// Law: a customer whom Nium does not know leaves nothing but the callback that named them.
pub(super) fn forget(connection: &Connection, lease: &Lease, now: Timestamp) -> Result<Finished, StoreError> {
    let (customer, epoch) = (lease.customer.as_bytes(), lease.epoch);
    // A nudge that came during the look is owed one of its own.
    let again = connection
        .prepare_cached(
            "UPDATE head SET handled = ?3, lease_until = NULL, due_at = ?4
             WHERE customer = ?1 AND epoch = ?2 AND lease_until IS NOT NULL AND wanted > ?3",
        )?
        .execute(params![customer, epoch, lease.wanted, ms(now)])?;
    let gone = connection
        .prepare_cached("DELETE FROM head WHERE customer = ?1 AND epoch = ?2 AND lease_until IS NOT NULL")?
        .execute(params![customer, epoch])?;
    Ok(if again + gone > 0 { Finished::Done } else { Finished::LeaseLost })
}

/// Law: only for the one process that owns the database. Whoever held a lease is dead, so their customers are due now;
/// what they were sending is then found out by looking.
pub(super) fn release_the_dead(connection: &Connection, now: Timestamp) -> Result<usize, StoreError> {
    let customers = connection
        .prepare_cached("UPDATE head SET lease_until = NULL, due_at = ?1 WHERE lease_until IS NOT NULL")?
        .execute(params![ms(now)])?;
    let tells = connection
        .prepare_cached("UPDATE effect SET lease_until = NULL, due_at = ?1 WHERE lease_until IS NOT NULL")?
        .execute(params![ms(now)])?;
    sweeps::resume(connection, now)?;
    Ok(customers + tells)
}

/// When the next customer or notification becomes due, after `now`. What is due already waits for something else than
/// time: a permit, or an older notification of its customer.
pub(super) fn next_due(connection: &Connection, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let earliest = |sql: &str, rank: i64| -> Result<Option<i64>, StoreError> {
        Ok(connection.prepare_cached(sql)?.query_row(params![ms(now), rank], |row| row.get(0))?)
    };
    let mut dues = Vec::new();
    for rank in RANKS {
        dues.extend(earliest("SELECT min(due_at) FROM head WHERE rank = ?2 AND due_at > ?1", rank)?);
    }
    let tells = "SELECT min(due_at) FROM effect WHERE lane = 'webhook' AND status = 'pending' AND due_at > ?1 AND ?2 = ?2";
    dues.extend(earliest(tells, 0)?);
    dues.into_iter().min().map(timestamp).transpose()
}

fn unwritable(table: &'static str, customer: CustomerHashId, error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt { table, row: customer.to_string(), why: error.to_string() }
}
