//! Moving house: everything from one database into another, in pages, from where an earlier attempt stopped, and compared
//! at the end by counts and checksums of both sides.
//!
//! The log of callbacks stays behind: it is folded first, and what it says is in `callback`. Duties and the pace towards
//! Nium begin anew.

mod still;
mod tables;

use jiff::Timestamp;
use rusqlite::params;
use rusqlite::types::{ToSql, Value};
use sha2::{Digest, Sha256};

use self::still::Still;
pub use self::tables::{LEFT, TABLES, Table};
use super::error::StoreError;
use super::sql::read;
use super::tx::{Row, Tx};
use super::{Backend, Store};
use crate::domain::audit::COMMAND_LINE;

/// Rows in one transaction.
const PAGE: usize = 1_000;
/// Bytes of what is sealed in one transaction, unless one row alone has more: it may be documents.
const PAGE_BYTES: i64 = 16 * 1024 * 1024;
/// Rows in one statement.
const AT_ONCE: usize = 100;

const PROGRESS: &str = "CREATE TABLE IF NOT EXISTS copy_progress
     (name TEXT PRIMARY KEY, place TEXT NOT NULL, done BIGINT NOT NULL)";

/// How far a copy has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The table.
    pub table: &'static str,
    /// Rows of it that are done.
    pub rows: u64,
    /// Rows it has.
    pub of: u64,
    /// They are compared; before that they are copied.
    pub compares: bool,
}

/// What was copied, or compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Tables.
    pub tables: usize,
    /// Rows of all of them.
    pub rows: u64,
}

/// Why a copy ended.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the databases.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Somebody works on it.
    #[error("replicas still work on {0}: stop all of them first")]
    InUse(&'static str),
    /// The target is not empty.
    #[error("the target holds {0} rows of {1} already: copy into an empty database")]
    NotEmpty(u64, &'static str),
    /// The target is half a copy of something else.
    #[error("the target holds an unfinished copy of {0}: finish that one, or empty the target")]
    Another(String),
    /// The two sides differ.
    #[error("{table} differs: {from} rows in the source, {to} in the target{because}; do not use the target")]
    Differs {
        /// The table.
        table: &'static str,
        /// Rows of the source.
        from: u64,
        /// Rows of the target.
        to: u64,
        /// What else is known.
        because: &'static str,
    },
}

/// Copies everything, or what an earlier attempt left to copy, and compares both sides. `source` names the source for
/// whoever tries again; it holds no password.
pub async fn copy(
    from: &Store,
    to: &Store,
    source: &str,
    tell: impl Fn(Progress),
) -> Result<Done, CopyError> {
    let now = from.clock.now();
    let still = Still::of(from);
    from.quieten(now, &tell).await?;
    still.please().await?;
    to.begin_copy(source).await?;
    // In the source, so that both sides have it; the record is copied later.
    let engine = match &to.backend {
        Backend::Sqlite(_) => "sqlite",
        Backend::Postgres(_) => "postgres",
    };
    let detail = serde_json::json!({ "to": engine });
    from.note(COMMAND_LINE, None, "store_copied", detail).await?;
    for table in TABLES {
        let of = from.count(table).await?;
        loop {
            still.please().await?;
            let (after, rows) = to.copied(table).await?;
            tell(Progress { table: table.name, rows, of, compares: false });
            let page = from.page(table, after).await?;
            if page.is_empty() {
                break;
            }
            to.put_page(table, page, rows).await?;
        }
    }
    let done = compare_all(from, to, &tell, Some(&still)).await?;
    let last = from.read(read::last_callback).await?;
    to.end_copy(last).await?;
    still.thanks().await?;
    Ok(done)
}

/// Compares both sides, table by table.
pub async fn compare(from: &Store, to: &Store, tell: impl Fn(Progress)) -> Result<Done, CopyError> {
    compare_all(from, to, &tell, None).await
}

async fn compare_all(
    from: &Store,
    to: &Store,
    tell: &impl Fn(Progress),
    still: Option<&Still<'_>>,
) -> Result<Done, CopyError> {
    let mut done = Done::default();
    for table in TABLES {
        let of = from.count(table).await?;
        let (theirs, ours) =
            (from.sum(table, of, tell, still).await?, to.sum(table, of, &|_| (), still).await?);
        if theirs != ours {
            let same = theirs.rows == ours.rows;
            let because =
                if same { ", and not the same ones: the source has changed, or the target" } else { "" };
            return Err(CopyError::Differs { table: table.name, from: theirs.rows, to: ours.rows, because });
        }
        done.tables += 1;
        done.rows += theirs.rows;
    }
    Ok(done)
}

/// The rows of one side: how many, and the sum of their hashes, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    hashes: u128,
}

impl Sum {
    fn add(&mut self, row: &[Value]) {
        let mut hash = Sha256::new();
        for value in row {
            let (kind, bytes) = match value {
                Value::Null => (0, Vec::new()),
                Value::Integer(number) => (1, number.to_le_bytes().to_vec()),
                Value::Real(number) => (2, number.to_le_bytes().to_vec()),
                // As it arrives in a database whose texts cannot hold it.
                Value::Text(text) => (3, text.replace('\0', "\u{fffd}").into_bytes()),
                Value::Blob(bytes) => (4, bytes.clone()),
            };
            hash.update([kind]);
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(&bytes);
        }
        let first = hash.finalize().first_chunk().copied().unwrap_or_default();
        self.hashes = self.hashes.wrapping_add(u128::from_le_bytes(first));
        self.rows += 1;
    }
}

type Key = Vec<Value>;

impl Table {
    fn key_columns(&self) -> String {
        self.columns.get(..self.key).unwrap_or_default().join(", ")
    }

    fn key_of(&self, row: &[Value]) -> Key {
        row.get(..self.key).unwrap_or_default().to_vec()
    }
}

fn refs(values: &[Value]) -> Vec<&dyn ToSql> {
    values.iter().map(|value| -> &dyn ToSql { value }).collect()
}

fn page(tx: &Tx<'_>, table: &Table, after: Option<&Key>) -> Result<Vec<Vec<Value>>, StoreError> {
    let (columns, key) = (table.columns.join(", "), table.key_columns());
    let marks = vec!["?"; table.key].join(", ");
    let wanted = if after.is_some() { format!("WHERE ({key}) > ({marks})") } else { String::new() };
    let values = after.cloned().unwrap_or_default();
    let mut limit = PAGE;
    if table.columns.contains(&"sealed") {
        let sql = format!(
            "SELECT CAST(coalesce(octet_length(sealed), 0) AS BIGINT) FROM {} {wanted} ORDER BY {key} LIMIT {PAGE}",
            table.name
        );
        let sizes: Vec<i64> = tx.all(&sql, &refs(&values), |row| row.get(0))?;
        let mut bytes = 0;
        let fitting = sizes.iter().take_while(|size| {
            bytes += **size;
            bytes <= PAGE_BYTES
        });
        limit = fitting.count().max(1);
    }
    let sql = format!("SELECT {columns} FROM {} {wanted} ORDER BY {key} LIMIT {limit}", table.name);
    tx.all(&sql, &refs(&values), |row: &Row| (0..table.columns.len()).map(|index| row.get(index)).collect())
}

fn put(tx: &Tx<'_>, table: &Table, rows: &[Vec<Value>]) -> Result<(), StoreError> {
    let one = format!("({})", vec!["?"; table.columns.len()].join(", "));
    for some in rows.chunks(AT_ONCE) {
        let sql = format!(
            "INSERT INTO {} ({}) VALUES {}",
            table.name,
            table.columns.join(", "),
            vec![one.as_str(); some.len()].join(", ")
        );
        let values: Vec<Value> = some.concat();
        tx.execute(&sql, &refs(&values))?;
    }
    Ok(())
}

/// A key as text: it is read back by [`key_from`].
fn key_text(key: &[Value]) -> String {
    let parts = key.iter().map(|value| match value {
        Value::Integer(number) => format!("i{number}"),
        Value::Blob(bytes) => format!("b{}", hex::encode(bytes)),
        Value::Text(text) => format!("t{}", hex::encode(text)),
        Value::Null | Value::Real(_) => String::new(),
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn key_from(text: &str) -> Option<Key> {
    let part = |part: &str| match part.split_at_checked(1)? {
        ("i", number) => number.parse().ok().map(Value::Integer),
        ("b", bytes) => hex::decode(bytes).ok().map(Value::Blob),
        ("t", bytes) => String::from_utf8(hex::decode(bytes).ok()?).ok().map(Value::Text),
        _ => None,
    };
    text.split(' ').map(part).collect()
}

impl Store {
    /// Law: a target is empty, or a copy of the same source that was not finished.
    async fn begin_copy(&self, source: &str) -> Result<(), CopyError> {
        let there = source.to_owned();
        let before = self
            .write(move |tx| {
                tx.execute(PROGRESS, params![])?;
                tx.first(
                    "SELECT place FROM copy_progress
                         WHERE name = ''",
                    params![],
                    |row| row.get::<String>(0),
                )
            })
            .await?;
        match before {
            Some(before) if before == there => return Ok(()),
            Some(before) => return Err(CopyError::Another(before)),
            None => {}
        }
        for table in TABLES {
            let rows = self.count(table).await?;
            if rows > 0 {
                self.write(|tx| tx.execute("DROP TABLE copy_progress", params![])).await?;
                return Err(CopyError::NotEmpty(rows, table.name));
            }
        }
        let put = "INSERT INTO copy_progress (name, place, done) VALUES ('', ?1, 0)";
        self.write(move |tx| tx.execute(put, params![there])).await?;
        Ok(())
    }

    async fn count(&self, table: &'static Table) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM {}", table.name);
        let count: i64 = self.read(move |tx| tx.one(&sql, params![], |row| row.get(0))).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// The last key that was copied, and how many rows there are before it.
    async fn copied(&self, table: &'static Table) -> Result<(Option<Key>, u64), StoreError> {
        let sql = "SELECT place, done FROM copy_progress WHERE name = ?1";
        let read = |row: &Row| Ok((row.get::<String>(0)?, row.get::<i64>(1)?));
        let found = self.read(move |tx| tx.first(sql, params![table.name], read)).await?;
        Ok(found
            .map_or((None, 0), |(place, done)| (key_from(&place), u64::try_from(done).unwrap_or_default())))
    }

    async fn page(&self, table: &'static Table, after: Option<Key>) -> Result<Vec<Vec<Value>>, StoreError> {
        self.read(move |tx| page(tx, table, after.as_ref())).await
    }

    /// Law: rows and how far they reach are written together.
    async fn put_page(
        &self,
        table: &'static Table,
        rows: Vec<Vec<Value>>,
        before: u64,
    ) -> Result<(), StoreError> {
        let place = rows.last().map(|row| key_text(&table.key_of(row))).unwrap_or_default();
        let done = i64::try_from(before)
            .unwrap_or(i64::MAX)
            .saturating_add(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        self.write(move |tx| {
            put(tx, table, &rows)?;
            tx.execute(
                "INSERT INTO copy_progress (name, place, done) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET place = excluded.place, done = excluded.done",
                params![table.name, place, done],
            )
            .map(drop)
        })
        .await
    }

    async fn sum(
        &self,
        table: &'static Table,
        of: u64,
        tell: &impl Fn(Progress),
        still: Option<&Still<'_>>,
    ) -> Result<Sum, StoreError> {
        let (mut sum, mut after) = (Sum::default(), None);
        loop {
            if let Some(still) = still {
                still.please().await?;
            }
            let rows = self.page(table, after).await?;
            for row in &rows {
                sum.add(row);
            }
            tell(Progress { table: table.name, rows: sum.rows, of, compares: true });
            match rows.last() {
                Some(last) => after = Some(table.key_of(last)),
                None => return Ok(sum),
            }
        }
    }

    /// New numbers go on after the old ones, and the database may be served from.
    async fn end_copy(&self, last_callback: Option<Timestamp>) -> Result<(), StoreError> {
        let last = last_callback.map_or(0, Timestamp::as_millisecond);
        let on_postgres = matches!(self.backend, Backend::Postgres(_));
        self.write(move |tx| {
            if on_postgres {
                for table in TABLES {
                    let Some((of, column)) = table.numbers else { continue };
                    let key = table.key_columns();
                    let sql = format!(
                        "SELECT setval(pg_get_serial_sequence('{of}', '{column}'), max({key})) FROM {}
                         HAVING max({key}) > 0",
                        table.name
                    );
                    tx.query(&sql, params![])?;
                }
                tx.execute("UPDATE cursor SET position = ?1 WHERE name = 'last_callback'", params![last])?;
            } else if last > 0 {
                // The newest row of the log tells when the last callback came; it is folded already.
                let id: i64 =
                    tx.one("SELECT coalesce(max(id), 0) + 1 FROM callback", params![], |row| row.get(0))?;
                tx.execute(
                    "INSERT INTO callback_log (id, at, looks, source) VALUES (?1, ?2, 0, 'callback')",
                    params![id, last],
                )?;
                tx.execute("UPDATE cursor SET position = ?1 WHERE name = 'fold'", params![id])?;
            }
            tx.execute("DROP TABLE copy_progress", params![]).map(drop)
        })
        .await
    }
}
