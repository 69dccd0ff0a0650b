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
