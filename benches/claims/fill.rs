//! Many rows at once, beside the store.

use std::path::Path;

use anyhow::{Context, Result};
use reinstate::store::{Place, PostgresOptions};
use rusqlite::Connection;

/// Makes customers `from + 1` to `to` wait, all of them due since long ago, each at a moment of their own.
pub(crate) async fn heads(place: &Place, from: u64, to: u64) -> Result<()> {
    eprintln!("making {} waiting customers", to - from);
    match place {
        Place::Sqlite(file) => {
            let connection = open(file)?;
            connection.execute(
                "INSERT INTO head (customer, rank, wanted, due_at)
                 WITH RECURSIVE n(i) AS (SELECT ?1 + 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
                 SELECT unhex(printf('%032x', i * 7919)), 2, 1, i FROM n",
                [i64::try_from(from)?, i64::try_from(to)?],
            )?;
            connection.execute_batch("ANALYZE")?;
        }
        Place::Postgres(options) => {
            let sql = format!(
                "INSERT INTO head (customer, rank, wanted, due_at)
                 SELECT decode(lpad(to_hex(i * 7919), 32, '0'), 'hex'), 2, 1, i
                 FROM generate_series({from}::bigint + 1, {to}::bigint) AS n (i)"
            );
            run(options, &[&sql, "VACUUM (ANALYZE) head"]).await?;
        }
    }
    Ok(())
}

/// Runs a statement for the numbers 1 to `most`, each of them `i`; `{id}` in it is that customer.
pub(crate) async fn each(place: &Place, most: u32, statement: &str) -> Result<()> {
    match place {
        Place::Sqlite(file) => {
            let id = "unhex(printf('%032x', i))";
            let numbers =
                format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})");
            let statement = statement.replace("{blob}", "randomblob(2000)").replace("{id}", id);
            open(file)?.execute_batch(&statement.replacen("SELECT", &format!("{numbers} SELECT"), 1))?;
        }
        Place::Postgres(options) => {
            let id = "decode(lpad(to_hex(i), 32, '0'), 'hex')";
            let statement =
                statement.replace("{blob}", "decode(repeat('0b', 2000), 'hex')").replace("{id}", id);
            let numbers = format!("FROM generate_series(1, {most}) AS n (i)");
            run(options, &[&statement.replace("FROM n", &numbers)]).await?;
        }
    }
    Ok(())
}

/// A number that the database gives.
pub(crate) async fn number(place: &Place, sql: &str) -> Result<i64> {
    match place {
        Place::Sqlite(file) => Ok(open(file)?.query_row(sql, [], |row| row.get(0))?),
        Place::Postgres(options) => {
            let rows = run(options, &[sql]).await?;
            Ok(rows.first().and_then(|row| row.first()).context("no row")?.parse()?)
        }
    }
}

fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(std::time::Duration::from_mins(10))?;
    Ok(connection)
}

/// Runs statements one after the other. Gives the rows of the last.
pub(crate) async fn run(options: &PostgresOptions, statements: &[&str]) -> Result<Vec<Vec<String>>> {
    let (client, connection) = tokio_postgres::connect(&options.url, tokio_postgres::NoTls).await?;
    let work = async move {
        let mut rows = Vec::new();
        for statement in statements {
            let messages = client.simple_query(statement).await.context((*statement).to_owned())?;
            rows = messages
                .iter()
                .filter_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                })
                .map(|row| (0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect())
                .collect();
        }
        Ok(rows)
    };
    let (rows, _) = tokio::join!(work, connection);
    rows
}
