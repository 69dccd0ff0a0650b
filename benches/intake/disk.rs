//! What the disk can do, and what is on it in the end.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OpenFlags};

/// The service's database, in the folder of the run.
pub(crate) const DATABASE: &str = "reinstate.db";

/// How many flushes are timed.
const FLUSHES: usize = 500;

/// Bytes written before each flush: one page of a file system.
const FLUSH_BYTES: usize = 4096;

/// The median time of writing one page and flushing it.
pub(crate) fn flush_median(dir: &Path) -> Result<Duration> {
    let mut file = File::create(dir.join("flush")).context("creating a file to flush")?;
    let mut took = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        let begun = Instant::now();
        file.write_all(&[b'x'; FLUSH_BYTES])?;
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took.get(FLUSHES / 2).copied().context("no flush was timed")
}

/// Fails unless the database holds at least as many callbacks as were answered 200; whatever the speed, that is the
/// promise.
pub(crate) fn check_callbacks_on_file(dir: &Path, acked: u64) -> Result<()> {
    let path = dir.join(DATABASE);
    ensure!(path.exists(), "{acked} callbacks were answered 200, and there is no database file");
    let database = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .context("opening the service's database")?;
    let rows: i64 = database
        .query_row("SELECT count(*) FROM callback_log", [], |row| row.get(0))
        .context("counting the callbacks on file")?;
    ensure!(u64::try_from(rows)? >= acked, "LOST: {acked} callbacks answered 200, {rows} on file");
    println!("durable: {acked} callbacks answered 200, {rows} on file after kill -9");
    Ok(())
}

/// The same for a PostgreSQL database: rows that wait in the log, and those that were folded.
pub(crate) async fn check_callbacks_in_postgres(url: &str, acked: u64) -> Result<()> {
    let url = url.replace("sslmode=disable", "");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
    let driver = async move { connection.await.context("the connection to the database") };
    let count = async move {
        let sql = "SELECT (SELECT count(*) FROM callback_log) + (SELECT coalesce(sum(deliveries), 0)::bigint FROM callback)";
        anyhow::Result::<i64>::Ok(client.query_one(sql, &[]).await?.try_get(0)?)
    };
    let (counted, _) = tokio::join!(count, driver);
    let rows = counted?;
    ensure!(u64::try_from(rows)? >= acked, "LOST: {acked} callbacks answered 200, {rows} on file");
    println!("durable: {acked} callbacks answered 200, {rows} in the database after kill -9");
    Ok(())
}
