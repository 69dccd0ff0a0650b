//! Finding customers. Every search goes along one index in the order of ids, so that a page costs what it looks at.

use rusqlite::params;
use rusqlite::types::{ToSql, Value};

use super::column::ms;
use super::read::{CASE_ROW, case_row_of, snapshot_of};
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::CustomerKind;
use crate::store::dialect::Dialect;
use crate::store::error::StoreError;
use crate::store::rows::search::{CaseFilter, FoundCases, Mark, NewMarks, SCAN_MAX, Unmarked};
use crate::store::tx::{Lock, Tx};

/// A condition with what stands in it.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, sql: &str, value: impl Into<Value>) {
        self.sql.push(sql.to_owned());
        self.values.push(value.into());
    }

    fn text(&self) -> String {
        self.sql.join(" AND ")
    }
}

/// Nium's word as it stands in the facts: a known one is a text, an unknown one an object.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// The ids to look at, in order: along the index of whatever is rarest, `most` of them.
fn window(
    dialect: &Dialect,
    filter: &CaseFilter,
    after: Option<CustomerHashId>,
    most: usize,
) -> (String, Vec<Value>) {
    let mut conditions = Conditions::default();
    let table = if let Some(mark) = filter.marks.first() {
        conditions.add("mark = ?", mark.to_vec());
        "mark"
    } else if let Some(compliance) = &filter.compliance {
        conditions.add(&format!("{} = ?", dialect.compliance), word(compliance));
        "snapshot"
    } else if let Some(status) = &filter.status {
        conditions.add(&format!("{} = ?", dialect.status), word(status));
        "snapshot"
    } else if let Some(state) = &filter.state {
        conditions.add("state = ?", state.clone());
        "cases"
    } else {
        "cases"
    };
    conditions.add("customer > ?", after.map_or_else(Vec::new, |id| id.as_bytes().to_vec()));
    if let Some((from, to)) = &filter.ids {
        conditions.add("customer >= ?", from.as_bytes().to_vec());
        conditions.add("customer <= ?", to.as_bytes().to_vec());
    }
    let wanted = conditions.text();
    let sql = format!("SELECT customer FROM {table} WHERE {wanted} ORDER BY customer LIMIT {most}");
    (sql, conditions.values)
}

/// Everything that must hold for whoever stands in the window.
fn conditions(dialect: &Dialect, filter: &CaseFilter) -> Conditions {
    let mut conditions = Conditions::default();
    for mark in &filter.marks {
        let holds = "EXISTS (SELECT 1 FROM mark WHERE mark.mark = ? AND mark.customer = c.customer)";
        conditions.add(holds, mark.to_vec());
    }
    if let Some(state) = &filter.state {
        conditions.add("c.state = ?", state.clone());
    }
    if let Some(compliance) = &filter.compliance {
        conditions.add(&format!("{} = ?", dialect.compliance), word(compliance));
    }
    if let Some(status) = &filter.status {
        conditions.add(&format!("{} = ?", dialect.status), word(status));
    }
    match filter.kind {
        Some(CustomerKind::Corporate) => {
            conditions.add(&format!("{} = ?", dialect.kind), "CORPORATE".to_owned());
        }
        // Whoever was never looked at counts as a person, as everywhere.
        Some(CustomerKind::Individual) => {
            conditions.add(&format!("coalesce({}, '') <> ?", dialect.kind), "CORPORATE".to_owned());
        }
        None => {}
    }
    if let Some(until) = filter.since_until {
        conditions.add("c.since <= ?", ms(until));
    }
    if let Some(from) = filter.since_from {
        conditions.add("c.since >= ?", ms(from));
    }
    conditions
}

pub(in crate::store) fn find(
    tx: &Tx<'_>,
    filter: &CaseFilter,
    after: Option<CustomerHashId>,
    most: usize,
) -> Result<FoundCases, StoreError> {
    let Conditions { mut sql, values: more } = conditions(tx.dialect(), filter);
    // Whoever stands in the index of the only condition fits; otherwise some of them are looked at in vain.
    let goes_by_index = filter.kind.is_none() && filter.since_until.is_none() && filter.since_from.is_none();
    let looked_at = if goes_by_index && sql.len() <= 1 { most } else { SCAN_MAX };
    let (window, mut values) = window(tx.dialect(), filter, after, looked_at);
    let last = format!("{window} OFFSET {}", looked_at.saturating_sub(1));
    let looked_to: Option<[u8; 16]> = tx.first(&last, &refs(&values), |row| row.get(0))?;
    sql.insert(0, format!("c.customer IN ({window})"));
    values.extend(more);
    let wanted = sql.join(" AND ");
    let rows = tx.readable(
        &format!("{CASE_ROW} WHERE {wanted} ORDER BY c.customer"),
        &refs(&values),
        most,
        case_row_of,
    )?;
    let unmarked = !filter.marks.is_empty()
        && tx.exists("SELECT 1 FROM snapshot WHERE marked = 0 LIMIT 1", params![])?;
    Ok(FoundCases { rows, looked_to: looked_to.map(CustomerHashId::from_bytes), unmarked })
}

fn refs(values: &[Value]) -> Vec<&dyn ToSql> {
    values.iter().map(|value| -> &dyn ToSql { value }).collect()
}

pub(in crate::store) fn states(
    tx: &Tx<'_>,
    customers: &[CustomerHashId],
) -> Result<Vec<(CustomerHashId, String)>, StoreError> {
    let mut found = Vec::new();
    for customer in customers {
        let sql = "SELECT state FROM cases WHERE customer = ?1";
        let state = tx.first(sql, params![customer.as_bytes()], |row| row.get(0))?;
        found.extend(state.map(|state| (*customer, state)));
    }
    Ok(found)
}

/// Those that cannot be read are left out; whoever shows them says so.
pub(in crate::store) fn unmarked(
    tx: &Tx<'_>,
    after: Option<CustomerHashId>,
    most: usize,
) -> Result<Vec<Unmarked>, StoreError> {
    let sql = "SELECT customer, 0, 0, 0, 0, 0, 0, 0, looked_at, facts, sealed FROM snapshot
         WHERE marked = 0 AND customer > ?1 ORDER BY customer";
    let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    let found = tx.readable(sql, params![after], most, |row| {
        let customer = CustomerHashId::from_bytes(row.get(0)?);
        let snapshot = snapshot_of(row).map_err(|error| error.in_row("snapshot", &customer))?;
        Ok(snapshot.map(|snapshot| Unmarked { customer, snapshot }))
    })?;
    Ok(found.into_iter().flatten().collect())
}

pub(in crate::store) fn put_marks(tx: &Tx<'_>, new: &[NewMarks]) -> Result<usize, StoreError> {
    let mut written = 0;
    for NewMarks { customer, looked_at, marks } in new {
        tx.lock(Lock::Customer(*customer))?;
        let is_same = tx.execute(
            "UPDATE snapshot SET marked = 1 WHERE customer = ?1 AND looked_at = ?2 AND marked = 0",
            params![customer.as_bytes(), ms(*looked_at)],
        )? == 1;
        if is_same {
            replace(tx, *customer, marks)?;
            written += 1;
        }
    }
    Ok(written)
}

/// The marks of a snapshot in place of those of the one before.
pub(in crate::store) fn replace(
    tx: &Tx<'_>,
    customer: CustomerHashId,
    marks: &[Mark],
) -> Result<(), StoreError> {
    let mut wanted = marks.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let mut there: Vec<Mark> =
        tx.all("SELECT mark FROM mark WHERE customer = ?1", params![customer.as_bytes()], |row| row.get(0))?;
    there.sort_unstable();
    // Most looks see the same person again.
    if there == wanted {
        return Ok(());
    }
    tx.execute("DELETE FROM mark WHERE customer = ?1", params![customer.as_bytes()])?;
    for mark in wanted {
        tx.execute("INSERT INTO mark (mark, customer) VALUES (?1, ?2)", params![mark, customer.as_bytes()])?;
    }
    Ok(())
}
