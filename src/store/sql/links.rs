//! Links to the hosted page, visits that began with one, and drafts. Each function is the inside of one transaction.

use jiff::Timestamp;
use rusqlite::params;

use super::column::{maybe_timestamp, ms, timestamp};
use super::erase::refuse_the_erased;
use super::work::{case, put_history};
use crate::domain::audit::CUSTOMER;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;
use crate::store::rows::HistoryLine;
use crate::store::rows::links::{Exchange, KeptDraft, LinkRow, NewLink, NewVisit, VISITS_MAX, VisitRow};
use crate::store::tx::{Lock, Row, Tx};

const LINK: &str = "SELECT id, customer, expires_at, revoked_at, visits FROM link WHERE hash = ?1";

fn link_of(row: &Row) -> Result<LinkRow, StoreError> {
    Ok(LinkRow {
        id: row.get(0)?,
        customer: CustomerHashId::from_bytes(row.get(1)?),
        expires_at: timestamp(row.get(2)?)?,
        revoked_at: maybe_timestamp(row.get(3)?)?,
        visits: row.get(4)?,
    })
}

/// Writes a line into the timeline, under the version that the case has.
fn tell(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    actor: &str,
    line: &HistoryLine,
    now: Timestamp,
) -> Result<(), StoreError> {
    let version = case(tx, customer)?.map_or(0, |(case, _)| case.version);
    put_history(tx, customer, version, actor, line, now)
}

/// Law: a new link replaces those that the same one made for the customer before.
pub(in crate::store) fn put(tx: &Tx<'_>, link: &NewLink, now: Timestamp) -> Result<(), StoreError> {
    tx.lock(Lock::Customer(link.customer))?;
    refuse_the_erased(tx, link.customer)?;
    tx.execute(
        "UPDATE link SET revoked_at = ?3 WHERE customer = ?1 AND made_by = ?2 AND revoked_at IS NULL",
        params![link.customer.as_bytes(), link.made_by, ms(now)],
    )?;
    insert(tx, link, &link.made_by, now)
}

/// Stores a link beside others; `actor` asked for it.
pub(in crate::store) fn insert(
    tx: &Tx<'_>,
    link: &NewLink,
    actor: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO link (id, customer, hash, made_by, made_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![link.id, link.customer.as_bytes(), link.hash, link.made_by, ms(now), ms(link.expires_at)],
    )?;
    let detail = serde_json::json!({ "linkId": link.id, "by": link.made_by, "expiresAt": link.expires_at });
    tell(tx, link.customer, actor, &HistoryLine { what: "link_made", detail }, now)
}

/// Law: every link of the customer ends now, and so do the visits that began with one. Gives how many were open.
pub(in crate::store) fn revoke(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    by: &str,
    now: Timestamp,
) -> Result<usize, StoreError> {
    tx.lock(Lock::Customer(customer))?;
    let ended = tx.execute(
        "UPDATE link SET revoked_at = ?2 WHERE customer = ?1 AND revoked_at IS NULL AND expires_at > ?2",
        params![customer.as_bytes(), ms(now)],
    )?;
    let of_links = "DELETE FROM visit WHERE link IN (SELECT id FROM link WHERE customer = ?1)";
    tx.execute(of_links, params![customer.as_bytes()])?;
    if ended > 0 {
        let detail = serde_json::json!({ "by": by, "links": ended });
        tell(tx, customer, by, &HistoryLine { what: "links_revoked", detail }, now)?;
    }
    Ok(ended)
}

/// The link of this hash, however it stands.
pub(in crate::store) fn link(tx: &Tx<'_>, hash: &[u8; 32]) -> Result<Option<LinkRow>, StoreError> {
    tx.query(LINK, params![hash])?.first().map(link_of).transpose()
}

/// Law: a link is exchanged for a visit only while it is open, and only so many times.
pub(in crate::store) fn exchange(
    tx: &Tx<'_>,
    hash: &[u8; 32],
    visit: &NewVisit,
    now: Timestamp,
) -> Result<Exchange, StoreError> {
    let Some(found) = link(tx, hash)? else { return Ok(Exchange::Unknown) };
    tx.lock(Lock::Customer(found.customer))?;
    // What was read before the lock may have changed.
    let Some(found) = link(tx, hash)? else { return Ok(Exchange::Unknown) };
    if found.revoked_at.is_some() || found.expires_at <= now {
        return Ok(Exchange::Ended);
    }
    if found.visits >= VISITS_MAX {
        return Ok(Exchange::Spent);
    }
    tx.execute("UPDATE link SET visits = visits + 1 WHERE id = ?1", params![found.id])?;
    tx.execute(
        "INSERT INTO visit (hash, link, customer, ends_at) VALUES (?1, ?2, ?3, ?4)",
        params![visit.hash, found.id, found.customer.as_bytes(), ms(visit.ends_at)],
    )?;
    let detail = serde_json::json!({ "linkId": found.id, "visit": found.visits + 1 });
    tell(tx, found.customer, CUSTOMER, &HistoryLine { what: "link_opened", detail }, now)?;
    Ok(Exchange::Begun(found))
}

/// The visit of this hash, while it lasts and its link is open.
pub(in crate::store) fn visit(
    tx: &Tx<'_>,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<VisitRow>, StoreError> {
    let rows = tx.query(
        "SELECT visit.link, visit.customer FROM visit JOIN link ON link.id = visit.link
             WHERE visit.hash = ?1 AND visit.ends_at > ?2 AND link.expires_at > ?2 AND link.revoked_at IS NULL",
        params![hash, ms(now)],
    )?;
    let visit_of =
        |row: &Row| Ok(VisitRow { link: row.get(0)?, customer: CustomerHashId::from_bytes(row.get(1)?) });
    rows.first().map(visit_of).transpose()
}

/// Law: the last draft of a link is the one that counts.
pub(in crate::store) fn put_draft(
    tx: &Tx<'_>,
    visit: &VisitRow,
    sealed: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.lock(Lock::Customer(visit.customer))?;
    refuse_the_erased(tx, visit.customer)?;
    tx.execute(
        "INSERT INTO draft (link, customer, sealed, stored_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (link) DO UPDATE SET sealed = excluded.sealed, stored_at = excluded.stored_at",
        params![visit.link, visit.customer.as_bytes(), sealed, ms(now)],
    )?;
    Ok(())
}

/// The draft of a link.
pub(in crate::store) fn draft(tx: &Tx<'_>, link: &str) -> Result<Option<Vec<u8>>, StoreError> {
    tx.first("SELECT sealed FROM draft WHERE link = ?1", params![link], |row| row.get(0))
}

/// Every draft about a customer, oldest first.
pub(in crate::store) fn drafts(tx: &Tx<'_>, customer: CustomerHashId) -> Result<Vec<KeptDraft>, StoreError> {
    let sql = "SELECT link, stored_at, sealed FROM draft WHERE customer = ?1 ORDER BY stored_at, link";
    tx.all(sql, params![customer.as_bytes()], |row| {
        Ok(KeptDraft { link: row.get(0)?, at: timestamp(row.get(1)?)?, sealed: row.get(2)? })
    })
}

/// Takes a draft away: it was sent, or is not wanted any more.
pub(in crate::store) fn drop_draft(tx: &Tx<'_>, link: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM draft WHERE link = ?1", params![link]).map(drop)
}

/// Law: whoever wants no reminders gets none, until they are told otherwise. False if that was known.
pub(in crate::store) fn be_quiet(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    tx.lock(Lock::Customer(customer))?;
    refuse_the_erased(tx, customer)?;
    let new = tx.execute(
        "INSERT INTO quiet (customer, since) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![customer.as_bytes(), ms(now)],
    )?;
    if new == 1 {
        tell(
            tx,
            customer,
            CUSTOMER,
            &HistoryLine { what: "reminders_stopped", detail: serde_json::json!({}) },
            now,
        )?;
    }
    Ok(new == 1)
}

/// Whether the customer wants no reminders.
pub(in crate::store) fn is_quiet(tx: &Tx<'_>, customer: CustomerHashId) -> Result<bool, StoreError> {
    tx.exists("SELECT 1 FROM quiet WHERE customer = ?1", params![customer.as_bytes()])
}

/// Law: visits that are over, drafts that nobody sent before `drafts_before`, and links that ended before `links_before`
/// go, at most `most` of each; of a customer under a legal hold only visits. Gives the most that went of one kind.
pub(in crate::store) fn drop_ended(
    tx: &Tx<'_>,
    (links_before, drafts_before): (Timestamp, Timestamp),
    now: Timestamp,
    most: usize,
) -> Result<usize, StoreError> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let visits = tx.execute(
        "DELETE FROM visit WHERE hash IN (SELECT hash FROM visit WHERE ends_at <= ?1 LIMIT ?2)",
        params![ms(now), limit],
    )?;
    let drafts = tx.execute(
        "DELETE FROM draft WHERE link IN (SELECT link FROM draft WHERE stored_at < ?1
             AND NOT EXISTS (SELECT 1 FROM legal_hold WHERE legal_hold.customer = draft.customer) LIMIT ?2)",
        params![ms(drafts_before), limit],
    )?;
    let links = tx.execute(
        "DELETE FROM link WHERE id IN (SELECT id FROM link WHERE expires_at < ?1
             AND NOT EXISTS (SELECT 1 FROM legal_hold WHERE legal_hold.customer = link.customer) LIMIT ?2)",
        params![ms(links_before), limit],
    )?;
    Ok(visits.max(drafts).max(links))
}
