//! People who sign in with a password, and sessions. Each function is the inside of one transaction.

use jiff::Timestamp;
use rusqlite::params;
use serde_json::json;

use super::audit;
use super::column::{corrupt, ms, timestamp};
use crate::store::error::{StoreError, UNNAMED};
use crate::store::rows::people::{KnownPerson, NewPerson, NewSession, PersonRow, SessionRow, SessionSource};
use crate::store::tx::{Row, Tx};

/// Law: a name is one person's. False: somebody has it.
pub(in crate::store) fn add(
    tx: &Tx<'_>,
    person: &NewPerson,
    by: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO person (name, role, password, made_at, changed_at) VALUES (?1, ?2, ?3, ?4, ?4)
         ON CONFLICT (name) DO NOTHING",
        params![person.name, person.role, person.password, ms(now)],
    )?;
    if added == 1 {
        let detail = json!({ "person": person.name, "role": person.role });
        audit::note(tx, by, None, "person_added", &detail, now)?;
    }
    Ok(added == 1)
}

/// Law: whoever is changed has to sign in again. False: there is no such person.
pub(in crate::store) fn change(
    tx: &Tx<'_>,
    person: &NewPerson,
    by: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE person SET role = coalesce(CAST(?2 AS TEXT), role), password = coalesce(CAST(?3 AS TEXT), password),
             changed_at = ?4, version = version + 1 WHERE name = ?1",
        params![person.name, person.role, person.password, ms(now)],
    )?;
    if changed == 1 {
        end_all(tx, SessionSource::Password, &person.name)?;
        let detail =
            json!({ "person": person.name, "role": person.role, "password": person.password.is_some() });
        audit::note(tx, by, None, "person_changed", &detail, now)?;
    }
    Ok(changed == 1)
}

/// Law: whoever goes is out at once. False: there is no such person.
pub(in crate::store) fn remove(
    tx: &Tx<'_>,
    name: &str,
    by: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let removed = tx.execute("DELETE FROM person WHERE name = ?1", params![name])?;
    if removed == 1 {
        end_all(tx, SessionSource::Password, name)?;
        audit::note(tx, by, None, "person_removed", &json!({ "person": name }), now)?;
    }
    Ok(removed == 1)
}

fn end_all(tx: &Tx<'_>, source: SessionSource, source_id: &str) -> Result<usize, StoreError> {
    let sql = "DELETE FROM session WHERE source = ?1 AND source_id = ?2";
    tx.execute(sql, params![source.as_str(), source_id])
}

/// The hash of a person's password, and what they may do.
pub(in crate::store) fn password(tx: &Tx<'_>, name: &str) -> Result<Option<KnownPerson>, StoreError> {
    let sql = "SELECT password, role, version FROM person WHERE name = ?1";
    tx.first(sql, params![name], |row| {
        Ok(KnownPerson { password: row.get(0)?, role: row.get(1)?, version: row.get(2)? })
    })
}

/// Everybody, by name.
pub(in crate::store) fn list(tx: &Tx<'_>) -> Result<Vec<PersonRow>, StoreError> {
    tx.all("SELECT name, role, made_at, changed_at FROM person ORDER BY name", params![], |row| {
        Ok(PersonRow {
            name: row.get(0)?,
            role: row.get(1)?,
            made_at: timestamp(row.get(2)?)?,
            changed_at: timestamp(row.get(3)?)?,
        })
    })
}

/// Law: a session begins once, and the record says so.
pub(in crate::store) fn begin(tx: &Tx<'_>, session: &NewSession, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO session (hash, id, actor, role, source, source_id, version, begun_at, seen_at, ends_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?9, ?7, ?7, ?8)",
        params![
            session.hash,
            session.id,
            session.actor,
            session.role,
            session.source.as_str(),
            session.source_id,
            ms(now),
            ms(session.ends_at),
            session.version
        ],
    )?;
    let detail = json!({ "session": session.id, "with": session.source.as_str(), "role": session.role });
    audit::note(tx, &session.actor, None, "signed_in", &detail, now)
}

/// A session with the role that its person or token has now; nothing where that is gone or was changed since. The release
/// before this one revokes tokens and knows no sessions: so they are asked for each time.
const SESSION: &str =
    "SELECT s.id, s.actor, coalesce(p.role, t.role, s.role), s.source, s.source_id, s.begun_at, s.seen_at,
         s.ends_at
     FROM session AS s
         LEFT JOIN person AS p ON s.source = 'password' AND p.name = s.source_id AND p.version = s.version
         LEFT JOIN token AS t ON s.source = 'token' AND t.id = s.source_id AND t.revoked_at IS NULL
     WHERE s.ends_at > ?1 AND s.seen_at > ?2
         AND (s.source IN ('bootstrap', 'proxy') OR p.name IS NOT NULL OR t.id IS NOT NULL)";

fn session_of(row: &Row) -> Result<SessionRow, StoreError> {
    let source: String = row.get(3)?;
    Ok(SessionRow {
        id: row.get(0)?,
        actor: row.get(1)?,
        role: row.get(2)?,
        source: SessionSource::parse(&source)
            .ok_or_else(|| corrupt("session", UNNAMED, "its source is not known"))?,
        source_id: row.get(4)?,
        begun_at: timestamp(row.get(5)?)?,
        seen_at: timestamp(row.get(6)?)?,
        ends_at: timestamp(row.get(7)?)?,
    })
}

/// The session of this cookie, while it lasts and was used after `idle_since`.
pub(in crate::store) fn session(
    tx: &Tx<'_>,
    hash: &[u8; 32],
    idle_since: Timestamp,
    now: Timestamp,
) -> Result<Option<SessionRow>, StoreError> {
    let sql = format!("{SESSION} AND s.hash = ?3");
    tx.first(&sql, params![ms(now), ms(idle_since), hash], session_of)
}

/// Sessions that last, newest first, at most `most`.
pub(in crate::store) fn sessions(
    tx: &Tx<'_>,
    idle_since: Timestamp,
    most: usize,
    now: Timestamp,
) -> Result<Vec<SessionRow>, StoreError> {
    let sql = format!("{SESSION} ORDER BY s.begun_at DESC, s.id LIMIT ?3");
    tx.all(&sql, params![ms(now), ms(idle_since), i64::try_from(most).unwrap_or(i64::MAX)], session_of)
}

/// Remembers that a session is in use.
pub(in crate::store) fn seen(tx: &Tx<'_>, hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE session SET seen_at = ?2 WHERE hash = ?1 AND seen_at < ?2";
    tx.execute(sql, params![hash, ms(now)]).map(drop)
}

/// Law: a session that is ended opens nothing any more. `None`: there is none of this name; else whose it was.
pub(in crate::store) fn end(
    tx: &Tx<'_>,
    id: &str,
    by: &str,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let whose = tx.first("SELECT actor FROM session WHERE id = ?1", params![id], |row| row.get(0))?;
    let Some(whose): Option<String> = whose else { return Ok(None) };
    if tx.execute("DELETE FROM session WHERE id = ?1", params![id])? == 1 {
        let detail = json!({ "session": id, "whose": whose });
        audit::note(tx, by, None, "session_ended", &detail, now)?;
    }
    Ok(Some(whose))
}

/// Sessions that are over go, at most `most` at a time. Gives how many.
pub(in crate::store) fn drop_ended(tx: &Tx<'_>, before: Timestamp, most: usize) -> Result<usize, StoreError> {
    let sql = "DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE ends_at < ?1 LIMIT ?2)";
    tx.execute(sql, params![ms(before), i64::try_from(most).unwrap_or(i64::MAX)])
}
