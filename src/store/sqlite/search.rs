//! Finding customers. Every search goes along one index in the order of ids, so that a page costs what it looks at.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::Sqlite;
use super::column::ms;
use super::read::{CASE_ROW, case_row_of, readable, snapshot_of};
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::CustomerKind;
use crate::store::error::StoreError;
use crate::store::rows::search::{CaseFilter, FoundCases, Mark, NewMarks, SCAN_MAX, Unmarked};

/// As the indexes of migration 6 have it, word for word.
const COMPLIANCE: &str = "CASE WHEN json_valid(facts) THEN facts ->> 'compliance' END";
const STATUS: &str = "CASE WHEN json_valid(facts) THEN facts ->> 'status' END";
const KIND: &str = "CASE WHEN json_valid(facts) THEN facts ->> 'kind' END";

impl Sqlite {
    pub(in crate::store) async fn find(
        &self,
        filter: CaseFilter,
        after: Option<CustomerHashId>,
        most: usize,
    ) -> Result<FoundCases, StoreError> {
        self.read(move |connection| find(connection, &filter, after, most)).await
    }

    pub(in crate::store) async fn states(
        &self,
        customers: Vec<CustomerHashId>,
    ) -> Result<Vec<(CustomerHashId, String)>, StoreError> {
        self.read(move |connection| states(connection, &customers)).await
    }

    pub(in crate::store) async fn unmarked(
        &self,
        after: Option<CustomerHashId>,
        most: usize,
    ) -> Result<Vec<Unmarked>, StoreError> {
        self.read(move |connection| unmarked(connection, after, most)).await
    }

    pub(in crate::store) async fn put_marks(&self, marks: Vec<NewMarks>) -> Result<usize, StoreError> {
        self.writer.run(move |connection| put_marks(connection, &marks)).await
    }
}

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
fn window(filter: &CaseFilter, after: Option<CustomerHashId>, most: usize) -> (String, Vec<Value>) {
    let mut conditions = Conditions::default();
    let table = if let Some(mark) = filter.marks.first() {
        conditions.add("mark = ?", mark.to_vec());
        "mark"
    } else if let Some(compliance) = &filter.compliance {
        conditions.add(&format!("{COMPLIANCE} = ?"), word(compliance));
        "snapshot"
    } else if let Some(status) = &filter.status {
        conditions.add(&format!("{STATUS} = ?"), word(status));
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
fn conditions(filter: &CaseFilter) -> Conditions {
    let mut conditions = Conditions::default();
    for mark in &filter.marks {
        let holds = "EXISTS (SELECT 1 FROM mark WHERE mark.mark = ? AND mark.customer = c.customer)";
        conditions.add(holds, mark.to_vec());
    }
    if let Some(state) = &filter.state {
        conditions.add("c.state = ?", state.clone());
    }
    if let Some(compliance) = &filter.compliance {
        conditions.add(&format!("{COMPLIANCE} = ?"), word(compliance));
    }
    if let Some(status) = &filter.status {
        conditions.add(&format!("{STATUS} = ?"), word(status));
    }
    match filter.kind {
        Some(CustomerKind::Corporate) => conditions.add(&format!("{KIND} = ?"), "CORPORATE".to_owned()),
        // Whoever was never looked at counts as a person, as everywhere.
        Some(CustomerKind::Individual) => {
            conditions.add(&format!("coalesce({KIND}, '') <> ?"), "CORPORATE".to_owned());
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

fn find(
    connection: &Connection,
    filter: &CaseFilter,
    after: Option<CustomerHashId>,
    most: usize,
) -> Result<FoundCases, StoreError> {
    let Conditions { mut sql, values: more } = conditions(filter);
    // Whoever stands in the index of the only condition fits; otherwise some of them are looked at in vain.
    let goes_by_index = filter.kind.is_none() && filter.since_until.is_none() && filter.since_from.is_none();
    let looked_at = if goes_by_index && sql.len() <= 1 { most } else { SCAN_MAX };
    let (window, mut values) = window(filter, after, looked_at);
    let (end, count): (Option<[u8; 16]>, i64) = connection
        .prepare_cached(&format!("SELECT max(customer), count(*) FROM ({window})"))?
        .query_row(params_from_iter(&values), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let is_cut = usize::try_from(count).is_ok_and(|count| count >= looked_at);
    sql.insert(0, format!("c.customer IN ({window})"));
    values.extend(more);
    let wanted = sql.join(" AND ");
    let mut read = connection.prepare_cached(&format!("{CASE_ROW} WHERE {wanted} ORDER BY c.customer"))?;
    let mut rows = read.query(params_from_iter(&values))?;
    let rows = readable(&mut rows, most, case_row_of)?;
    let looked_to = end.filter(|_| is_cut).map(CustomerHashId::from_bytes);
    let unmarked = !filter.marks.is_empty()
        && connection.prepare_cached("SELECT 1 FROM snapshot WHERE marked = 0 LIMIT 1")?.exists([])?;
    Ok(FoundCases { rows, looked_to, unmarked })
}

fn states(
    connection: &Connection,
    customers: &[CustomerHashId],
) -> Result<Vec<(CustomerHashId, String)>, StoreError> {
    let mut read = connection.prepare_cached("SELECT state FROM cases WHERE customer = ?1")?;
    let mut found = Vec::new();
    for customer in customers {
        let state = read.query_row(params![customer.as_bytes()], |row| row.get(0)).optional()?;
        found.extend(state.map(|state| (*customer, state)));
    }
    Ok(found)
}

/// Those that cannot be read are left out; whoever shows them says so.
fn unmarked(
    connection: &Connection,
    after: Option<CustomerHashId>,
    most: usize,
) -> Result<Vec<Unmarked>, StoreError> {
    let mut read = connection.prepare_cached(
        "SELECT customer, 0, 0, 0, 0, 0, 0, 0, looked_at, facts, sealed FROM snapshot
         WHERE marked = 0 AND customer > ?1 ORDER BY customer",
    )?;
    let mut rows = read.query(params![after.map_or_else(Vec::new, |id| id.as_bytes().to_vec())])?;
    let found = readable(&mut rows, most, |row| {
        let customer = CustomerHashId::from_bytes(row.get(0)?);
        let snapshot = snapshot_of(row).map_err(|error| error.in_row("snapshot", &customer))?;
        Ok(snapshot.map(|snapshot| Unmarked { customer, snapshot }))
    })?;
    Ok(found.into_iter().flatten().collect())
}

fn put_marks(connection: &Connection, new: &[NewMarks]) -> Result<usize, StoreError> {
    let mut written = 0;
    for NewMarks { customer, looked_at, marks } in new {
        let is_same = connection
            .prepare_cached(
                "UPDATE snapshot SET marked = 1 WHERE customer = ?1 AND looked_at = ?2 AND marked = 0",
            )?
            .execute(params![customer.as_bytes(), ms(*looked_at)])?
            == 1;
        if is_same {
            replace(connection, *customer, marks)?;
            written += 1;
        }
    }
    Ok(written)
}

/// The marks of a snapshot in place of those of the one before.
pub(super) fn replace(
    connection: &Connection,
    customer: CustomerHashId,
    marks: &[Mark],
) -> Result<(), StoreError> {
    let mut wanted = marks.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let mut there: Vec<Mark> = connection
        .prepare_cached("SELECT mark FROM mark WHERE customer = ?1")?
        .query_map(params![customer.as_bytes()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    there.sort_unstable();
    // Most looks see the same person again.
    if there == wanted {
        return Ok(());
    }
    connection
        .prepare_cached("DELETE FROM mark WHERE customer = ?1")?
        .execute(params![customer.as_bytes()])?;
    let mut put = connection.prepare_cached("INSERT INTO mark (mark, customer) VALUES (?1, ?2)")?;
    for mark in wanted {
        put.execute(params![mark, customer.as_bytes()])?;
    }
    Ok(())
}
