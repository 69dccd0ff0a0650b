//! Finding customers. Every search goes along one index, in the order of ids or that of a view, so that a page costs what
//! it looks at.

use std::sync::LazyLock;

use jiff::Timestamp;
use rusqlite::params;
use rusqlite::types::{ToSql, Value};

use super::column::{corrupt, ms};
use super::read::{AFTER_CASE, CASE_COLUMNS, CASE_TABLES, case_row_of, snapshot_of};
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::CustomerKind;
use crate::domain::view::{NEAR, STUCK_AFTER, STUCK_FAILURES, View};
use crate::store::dialect::Dialect;
use crate::store::error::StoreError;
use crate::store::rows::search::{
    CaseFilter, DEADLINE_CHARS, Everybody, FoundCase, FoundCases, LeanCase, Mark, NewMarks, Place,
    SCAN_IN_TURN_MAX, SCAN_MAX, SORT_MAX, Turn, Unmarked,
};
use crate::store::tx::{Lock, Row, Tx};

/// Who is stuck, and since when, from every source of [`View::Stuck`]; each takes the moment before which something
/// should have happened. Those whom the sweep alone has named, or nobody knows yet, wait for their turn by design.
static STUCK: LazyLock<[String; 6]> = LazyLock::new(|| {
    let oldest = |from: &str, at: &str| {
        format!(
            "SELECT * FROM (SELECT customer, {at} AS at FROM {from} AND {at} <= ? ORDER BY {at} LIMIT {SORT_MAX}) AS oldest"
        )
    };
    [
        oldest("head WHERE rank = 0", "due_at"),
        oldest("head WHERE rank = 1", "due_at"),
        oldest("effect WHERE lane = 'nium' AND ended_at IS NULL", "created_at"),
        oldest("effect WHERE lane = 'officer' AND ended_at IS NULL", "created_at"),
        oldest("cases WHERE state = 'rejected'", "since"),
        oldest("cases WHERE state = 'submitting'", "since"),
    ]
});

/// Those whose looks fail come first: since when is not worth looking up for each of them.
static FAILING: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT * FROM (SELECT customer, 0 AS at FROM head WHERE failures > 0 AND failures >= {STUCK_FAILURES}
             ORDER BY customer LIMIT {SORT_MAX}) AS failing"
    )
});

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

/// What a query looks at, and in which order.
struct Looking {
    /// Tables beside those of the case.
    tables: String,
    /// From WHERE on.
    wanted: String,
    values: Vec<Value>,
    /// The column that the list goes by.
    turn: &'static str,
    /// The last one of the window, if there may be more behind it.
    last: String,
    last_values: Vec<Value>,
}

fn looking(
    dialect: &Dialect,
    filter: &CaseFilter,
    after: Option<&Place>,
    now: Timestamp,
    most: usize,
) -> Looking {
    let Conditions { mut sql, values: more } = conditions(dialect, filter);
    let order = filter.order();
    // Whoever stands in the index of the only condition fits; otherwise some of them are looked at in vain.
    let is_open = filter.kind.is_some() || filter.since_until.is_some() || filter.since_from.is_some();
    let fits_by_index = !is_open && sql.len() <= usize::from(order.is_none());
    let scan = if order.is_some() { SCAN_IN_TURN_MAX } else { SCAN_MAX };
    let looked_at = if fits_by_index { most } else { scan };
    let (window, window_values) = match order {
        None => window(dialect, filter, after.map(|place| place.customer), looked_at),
        Some(view) => window_in_turn(dialect, filter, view, after, now, looked_at),
    };
    let last = format!("{window} OFFSET {}", looked_at.saturating_sub(1));
    let last_values = window_values.clone();
    let (tables, turn, by) = if order.is_some() {
        (format!("JOIN ({window}) AS w ON w.customer = c.customer"), "w.turn", "w.turn, c.customer")
    } else {
        sql.insert(0, format!("c.customer IN ({window})"));
        (String::new(), "NULL", "c.customer")
    };
    let wanted = if sql.is_empty() { String::new() } else { format!("WHERE {}", sql.join(" AND ")) };
    let values = [window_values, more].concat();
    Looking { tables, wanted: format!("{wanted} ORDER BY {by}"), values, turn, last, last_values }
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
    } else if let Some(class) = filter.class {
        conditions.add(&format!("{} = ?", dialect.class), class.as_str().to_owned());
        conditions.sql.push(format!("{} IS NOT NULL", dialect.class));
        "cases"
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

/// Those of a view with what it goes by, in its order: along its index, or out of few that are sorted.
fn window_in_turn(
    dialect: &Dialect,
    filter: &CaseFilter,
    view: View,
    after: Option<&Place>,
    now: Timestamp,
    most: usize,
) -> (String, Vec<Value>) {
    let place = |least: Value| match after {
        Some(Place { turn, customer }) => {
            let turn = match turn {
                Some(Turn::Since(ms)) => (*ms).into(),
                Some(Turn::Until(text)) => text.clone().into(),
                None => least,
            };
            [turn, customer.as_bytes().to_vec().into()]
        }
        None => [least, Vec::new().into()],
    };
    match view {
        View::NeedsOfficer => {
            let sql = format!(
                "SELECT customer, since AS turn FROM cases WHERE state = 'needs_officer' AND (since, customer) > (?, ?)
                 ORDER BY since, customer LIMIT {most}"
            );
            (sql, place(i64::MIN.into()).to_vec())
        }
        View::Deadline => {
            let deadline = dialect.deadline;
            let near = now.saturating_add(NEAR).unwrap_or(Timestamp::MAX);
            let until = filter.deadline_until.unwrap_or(near);
            let sql = format!(
                // An index on an expression is not entered by two columns at once: the first has a bound of its own.
                "SELECT customer, {deadline} AS turn FROM cases WHERE {deadline} IS NOT NULL AND {deadline} <= ?
                     AND {deadline} >= ? AND ({deadline}, customer) > (?, ?)
                 ORDER BY {deadline}, customer LIMIT {most}"
            );
            let [turn, customer] = place(String::new().into());
            (sql, vec![to_the_second(until).into(), turn.clone(), turn, customer])
        }
        View::Stuck => {
            let before = now.saturating_sub(STUCK_AFTER).unwrap_or(Timestamp::MIN);
            let sources = STUCK.join(" UNION ALL ");
            let failing = FAILING.as_str();
            let sql = format!(
                "SELECT customer, min(at) AS turn FROM ({failing} UNION ALL {sources}) AS late GROUP BY customer
                 HAVING (min(at), customer) > (?, ?) ORDER BY min(at), customer LIMIT {most}"
            );
            let mut values: Vec<Value> = STUCK.iter().map(|_| ms(before).into()).collect();
            values.extend(place(i64::MIN.into()));
            (sql, values)
        }
    }
}

/// A moment as deadlines are compared.
fn to_the_second(at: Timestamp) -> String {
    at.to_string().chars().take(DEADLINE_CHARS).collect()
}

/// Everything that must hold for whoever stands in the window, and is not what the window is.
fn conditions(dialect: &Dialect, filter: &CaseFilter) -> Conditions {
    let mut conditions = Conditions::default();
    for mark in &filter.marks {
        let holds = "EXISTS (SELECT 1 FROM mark WHERE mark.mark = ? AND mark.customer = c.customer)";
        conditions.add(holds, mark.to_vec());
    }
    if let Some(state) = &filter.state {
        conditions.add("c.state = ?", state.clone());
    }
    if let Some(class) = filter.class {
        conditions.add(&format!("{} = ?", dialect.class), class.as_str().to_owned());
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
    let order = filter.order();
    if let Some(until) = filter.deadline_until.filter(|_| order != Some(View::Deadline)) {
        conditions.add(&format!("{} <= ?", dialect.deadline), to_the_second(until));
    }
    if let Some((from, to)) = filter.ids.filter(|_| order.is_some()) {
        conditions.add("c.customer >= ?", from.as_bytes().to_vec());
        conditions.add("c.customer <= ?", to.as_bytes().to_vec());
    }
    conditions
}

pub(in crate::store) fn find(
    tx: &Tx<'_>,
    filter: &CaseFilter,
    after: Option<&Place>,
    most: usize,
    now: Timestamp,
) -> Result<FoundCases, StoreError> {
    let look = looking(tx.dialect(), filter, after, now, most);
    let Looking { tables, wanted, turn, .. } = &look;
    let rows = tx.readable(
        &format!("SELECT {CASE_COLUMNS}, {turn} FROM {CASE_TABLES} {tables} {wanted}"),
        &refs(&look.values),
        most,
        |row| {
            let found = case_row_of(row)?;
            let place = Place { turn: turn_of(row, AFTER_CASE)?, customer: found.case.id };
            Ok(FoundCase { row: found, place })
        },
    )?;
    Ok(FoundCases { rows, looked_to: looked_to(tx, filter, &look)?, unmarked: unmarked_yet(tx, filter)? })
}

/// Those who fit, as far as one window reaches, with what an act on many needs.
pub(in crate::store) fn everybody(
    tx: &Tx<'_>,
    filter: &CaseFilter,
    after: Option<&Place>,
    now: Timestamp,
) -> Result<Everybody, StoreError> {
    let look = looking(tx.dialect(), filter, after, now, SCAN_IN_TURN_MAX);
    let Looking { tables, wanted, .. } = &look;
    let kind = tx.dialect().kind;
    let sql = format!(
        "SELECT c.customer, c.version, c.data, c.beside, {kind} FROM cases AS c
             LEFT JOIN snapshot AS s ON s.customer = c.customer {tables} {wanted}"
    );
    let cases = tx.readable(&sql, &refs(&look.values), SCAN_MAX, lean_case_of)?;
    Ok(Everybody { cases, looked_to: looked_to(tx, filter, &look)?, unmarked: unmarked_yet(tx, filter)? })
}

/// How many stand in a view, counted to `most` at most.
pub(in crate::store) fn count_view(
    tx: &Tx<'_>,
    view: View,
    most: usize,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let filter = CaseFilter { view: Some(view), ..CaseFilter::default() };
    let (window, values) = window_in_turn(tx.dialect(), &filter, view, None, now, most);
    let sql = format!("SELECT count(*) FROM ({window}) AS w JOIN cases AS c ON c.customer = w.customer");
    let count: i64 = tx.one(&sql, &refs(&values), |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// A case from the columns of [`everybody`].
pub(in crate::store) fn lean_case_of(row: &Row) -> Result<LeanCase, StoreError> {
    let customer = CustomerHashId::from_bytes(row.get(0)?);
    let unreadable = |error: serde_json::Error| corrupt("cases", &customer.to_string(), &error.to_string());
    Ok(LeanCase {
        customer,
        version: u64::try_from(row.get::<i64>(1)?).unwrap_or_default(),
        state: serde_json::from_slice(row.bytes(2)?).map_err(unreadable)?,
        beside: serde_json::from_slice(row.bytes(3)?).map_err(unreadable)?,
        is_company: row.get::<Option<String>>(4)?.as_deref() == Some("CORPORATE"),
    })
}

fn looked_to(tx: &Tx<'_>, filter: &CaseFilter, look: &Looking) -> Result<Option<Place>, StoreError> {
    let in_turn = filter.order().is_some();
    tx.first(&look.last, &refs(&look.last_values), |row| {
        let turn = if in_turn { turn_of(row, 1)? } else { None };
        Ok(Place { turn, customer: CustomerHashId::from_bytes(row.get(0)?) })
    })
}

/// What a view goes by, in a column.
fn turn_of(row: &Row, index: usize) -> Result<Option<Turn>, StoreError> {
    Ok(match row.get::<Value>(index)? {
        Value::Integer(ms) => Some(Turn::Since(ms)),
        Value::Text(text) => Some(Turn::Until(text)),
        Value::Null | Value::Real(_) | Value::Blob(_) => None,
    })
}

fn unmarked_yet(tx: &Tx<'_>, filter: &CaseFilter) -> Result<bool, StoreError> {
    Ok(!filter.marks.is_empty() && tx.exists("SELECT 1 FROM snapshot WHERE marked = 0 LIMIT 1", params![])?)
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
