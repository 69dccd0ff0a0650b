//! A database of very many customers, as years of service leave it.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use reinstate::clock::Clock;
use reinstate::config::{Config, StoreUrl};
use reinstate::domain::case::{Beside, CaseState};
use reinstate::domain::snapshot::Facts;
use reinstate::store::wake::Wake;
use reinstate::store::{Place, PostgresOptions, PostgresTls, Store, Use};

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// States, how many in a thousand customers are in each, and what the state holds.
const STATES: [(&str, u32, &str); 6] = [
    ("approved", 620, r#"{"state":"approved"}"#),
    ("watching", 80, r#"{"state":"watching","after_rejection":false}"#),
    ("reinstated", 150, r#"{"state":"reinstated"}"#),
    ("finally_rejected", 100, r#"{"state":"finally_rejected","why":"deadline_passed"}"#),
    (
        "awaiting_correction",
        45,
        r#"{"state":"awaiting_correction","grounds":{"class":"unknown","rule":null,"fields":[]},"deadline":"2030-01-01T00:00:00Z","reminders":[]}"#,
    ),
    ("needs_officer", 5, r#"{"state":"needs_officer","why":"unclear_remark","after_rejection":true}"#),
];

/// The body of an event.
const TOLD: &str = r#"{"type":"customer.rejected","timestamp":"2026-01-02T03:04:05Z","data":{"customerHashId":"00000000-0000-0000-0000-00000001b112","state":"awaiting_correction","version":3,"reason":"unknown"}}"#;

const BESIDE: &str = r#"{"rfi":null,"block":null,"reapplication":false}"#;

/// How many rows a statement makes. Each is number `i`, counted from 1, and about one customer.
#[derive(Clone, Copy)]
enum Rows {
    /// So many for each customer.
    OfAll(u64),
    /// So many for each customer who was ever rejected.
    OfRejected(u64),
    /// For one customer in so many.
    OneIn(u64),
    /// So many, however many customers.
    Fixed(u64),
}

/// Statements for both databases. `{id}` is the customer, `{text}` the same as text, `{n}` how many there are, `{r}` how many of
/// them were ever rejected, `{now}` the present moment; the rest as it is replaced below.
const ROWS: &[(Rows, &str)] = &[
    (Rows::OfAll(1), "INSERT INTO cases (customer, version, state, data, since, attempts_used, beside, next_what, next_at)
     SELECT {id}, 3, {state}, {data}, {now} - (i % 2000) * 3600000 - i % 3600000, 0, '{beside}',
         CASE WHEN {state} = 'awaiting_correction' THEN 'deadline' END,
         CASE WHEN {state} = 'awaiting_correction' THEN {now} + (i % 336 + 1) * 3600000 END"),
    (Rows::OfAll(1), "INSERT INTO snapshot (customer, looked_at, facts, sealed, marked)
     SELECT {id}, {now} - (i % 1000) * 60000, {facts}, {blob 400}, 1"),
    (Rows::OfAll(1), "INSERT INTO mark (mark, customer) SELECT {mark}, {id}"),
    (Rows::OfAll(1), "INSERT INTO head (customer, rank, wanted, handled, due_at, failures)
     SELECT {id}, 1, 2, 2, {now} + 31536000000 + i, CASE WHEN i % 20000 = 0 THEN 3 ELSE 0 END"),
    (Rows::OfAll(3), "INSERT INTO history (customer, at, version, what, detail)
     SELECT {id}, {now} - (i % 2000) * 3600000, 1 + i % 3, 'decided',
         '{\"to\":\"watching\",\"because\":\"Nium is working\"}'"),
    (Rows::OfAll(1), "INSERT INTO callback (id, customer, request_id, source, template, first_at, last_at, deliveries)
     SELECT i, {id}, 'request-' || i, 'callback', NULL, {now} - ({n} - i) * 2000, {now} - ({n} - i) * 2000, 1 + i % 2"),
    (Rows::OfRejected(4), "INSERT INTO event (position, id, customer, kind, version, at, body)
     SELECT i, {text} || '-' || (1 + (i - 1) / {r}) || '-0', {id},
         CASE (i - 1) / {r} WHEN 0 THEN 'customer.rejected' WHEN 1 THEN 'customer.correction_requested'
             WHEN 2 THEN 'customer.correction_received' ELSE 'customer.submitted' END,
         1 + (i - 1) / {r}, {now} - ({r} * 4 - i) * 1000, {told}"),
    (Rows::OfRejected(4), "INSERT INTO effect (key, customer, lane, kind, status, due_at, attempts, created_at, ended_at, destination, event_id, outcome)
     SELECT {text} || '-' || (1 + (i - 1) / {r}) || '-0', {id}, 'webhook', 'customer.rejected',
         CASE WHEN i % 500 = 0 THEN 'pending' WHEN i % 251 = 0 THEN 'failed' ELSE 'done' END,
         CASE WHEN i % 500 = 0 THEN {now} + 2592000000 END,
         CASE WHEN i % 500 = 0 THEN 3 ELSE 1 END, {now} - ({r} * 4 - i) * 1000,
         CASE WHEN i % 500 <> 0 THEN {now} - ({r} * 4 - i) * 1000 END, 'default',
         {text} || '-' || (1 + (i - 1) / {r}) || '-0', 'delivered'"),
    (Rows::OfRejected(1), "INSERT INTO journey (customer, number, rejected_at, offered_at, corrected_at, submitted_at, ended_at, outcome)
     SELECT {id}, 1, {began}, {began} + 10, CASE WHEN i % 10 < 6 THEN {began} + 7200000 END,
         CASE WHEN i % 10 < 6 THEN {began} + 7260000 END, CASE WHEN i % 10 < 6 THEN {began} + 90000000 END,
         CASE WHEN i % 10 < 5 THEN 'reinstated' WHEN i % 10 = 5 THEN 'finally_rejected' END"),
    (Rows::Fixed(1), "INSERT INTO feed_reader (name, position) SELECT 'tally', {r} * 4"),
    // Every day, measure and bucket: more rows than there will ever be.
    (Rows::Fixed(90 * 800), "INSERT INTO tally (day, measure, bucket, count)
     SELECT {now} / 86400000 - i / 800, CASE i / 100 % 8 WHEN 0 THEN 'rejected' WHEN 1 THEN 'offered' WHEN 2 THEN 'corrected'
         WHEN 3 THEN 'submitted' WHEN 4 THEN 'reinstated' WHEN 5 THEN 'finally_rejected' WHEN 6 THEN 'unaided'
         ELSE 'whole_way' END, i % 100, 10"),
    (Rows::Fixed(90 * 24 * 12), "INSERT INTO hourly (hour, what, count)
     SELECT {now} / 3600000 - i / 12, CASE i % 12 WHEN 0 THEN 'callback' WHEN 1 THEN 'redelivery' WHEN 2 THEN 'found_late'
         WHEN 3 THEN 'found_missing' WHEN 4 THEN 'nium_ok' WHEN 5 THEN 'nium_timeout' ELSE 'nium_' || (i % 12) END, 100 + i % 60"),
    (Rows::OneIn(50), "INSERT INTO finding (customer, found_by, found_at, since, missing)
     SELECT {id}, 'list', {now} - i * 60000, 0, CASE WHEN i % 20 = 0 THEN 1 ELSE 0 END"),
    (Rows::OneIn(200), "INSERT INTO rfi (customer, sealed, fetched_at) SELECT {id}, {blob 400}, {now} - i * 60000"),
    (Rows::OneIn(5_000), "INSERT INTO approval (id, customer, version, what, asked_by, asked_at, expires_at)
     SELECT 'approval-' || i, {id}, 3, 'offer', 'ana', {now} - i * 60000, {now} + 259200000"),
    // The chain begins after them: what is measured is listing.
    (Rows::OfAll(1), "INSERT INTO audit (at, customer, actor, what, detail, seq, salt, commitment, mac, key_id)
     SELECT {now} - ({n} - i) * 1000, {id}, CASE WHEN i % 1000 = 0 THEN 'ana' ELSE 'service' END,
         CASE WHEN i % 1000 = 0 THEN 'officer' ELSE 'decided' END, '{}', i - {n} - 1, {blob 16}, {blob 32}, {blob 32}, 'bench'"),
    (Rows::Fixed(400), "INSERT INTO sweep (kind, asked_by, asked_at, page, seen, ended_at, outcome)
     SELECT 'full', 'service', {now} - (400 - i) * 1000, 10, 1000, {now}, 'complete'"),
];

/// Fills the database, unless it was filled before.
pub(crate) async fn fill(config: &Config, customers: u64) -> Result<()> {
    check()?;
    let place = place(config);
    let store = Store::open(&place, Use::Serve, Clock::System, Wake::silent())?;
    store.ready().await?;
    tokio::task::spawn_blocking(move || store.close()).await?;
    let begun = Instant::now();
    let now = Clock::System.now().as_millisecond();
    match &place {
        Place::Sqlite(file) => {
            let file = file.clone();
            tokio::task::spawn_blocking(move || sqlite(&file, customers, now)).await??;
        }
        Place::Postgres(options) => postgres(options, customers, now).await?,
    }
    eprintln!("{customers} customers after {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// What is written must read as the service would have written it.
fn check() -> Result<()> {
    for (name, _, data) in STATES {
        let state: CaseState = serde_json::from_str(data).context(name)?;
        if state.name() != name {
            bail!("{name} is {}", state.name());
        }
        serde_json::from_str::<Facts>(&facts_of(name)).context(name)?;
    }
    serde_json::from_str::<Beside>(BESIDE)?;
    Ok(())
}

fn facts_of(state: &str) -> String {
    let (compliance, status) = match state {
        "approved" | "reinstated" => ("COMPLETED", "Clear"),
        "watching" => ("IN_PROGRESS", "Pending"),
        _ => ("REJECT", "Failed"),
    };
    format!(
        r#"{{"compliance":"{compliance}","status":"{status}","updatedAt":null,"blockedBy":null,"kind":"INDIVIDUAL"}}"#
    )
}

fn place(config: &Config) -> Place {
    match &config.store.url {
        StoreUrl::Sqlite(path) => Place::Sqlite(path.clone()),
        StoreUrl::Postgres(address) => Place::Postgres(Box::new(PostgresOptions {
            url: address.url.expose().to_owned(),
            tls: PostgresTls::Off,
            listen: None,
            wake_ups: true,
            connections: config.store.connections,
        })),
    }
}

/// What both databases say in their own words.
struct Words {
    /// The customer `i`, with ids far from each other.
    id: &'static str,
    text: &'static str,
    mark: &'static str,
    blob: fn(&str) -> String,
    /// A text as bytes.
    bytes: fn(&str) -> String,
    series: fn(u64) -> String,
}

const SQLITE: Words = Words {
    id: "unhex(printf('%032x', {i} * 7919))",
    text: "printf('00000000-0000-0000-0000-%012x', {i} * 7919)",
    mark: "unhex(printf('%016x%016x', {i} * 104729 % 1000003, {i}))",
    blob: |bytes| format!("randomblob({bytes})"),
    bytes: |text| format!("CAST('{text}' AS BLOB)"),
    series: |count| {
        format!(
            "FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n)"
        )
    },
};

const POSTGRES: Words = Words {
    id: "decode(lpad(to_hex({i} * 7919), 32, '0'), 'hex')",
    text: "('00000000-0000-0000-0000-' || lpad(to_hex({i} * 7919), 12, '0'))",
    mark: "decode(lpad(to_hex({i} * 104729 % 1000003), 16, '0') || lpad(to_hex({i}), 16, '0'), 'hex')",
    blob: |bytes| format!("decode(repeat('5a', {bytes}), 'hex')"),
    bytes: |text| format!("convert_to('{text}', 'UTF8')"),
    series: |count| format!("FROM generate_series(1, CAST({count} AS BIGINT)) AS n (i)"),
};

/// One statement in the words of one database.
fn written((rows, statement): &(Rows, &str), words: &Words, customers: u64, now: i64) -> String {
    let rejected = customers * 3 / 10;
    let (count, whose) = match rows {
        Rows::OfAll(times) => (customers * times, format!("(1 + (i - 1) % {customers})")),
        Rows::OfRejected(times) => (rejected * times, format!("(1 + (i - 1) % {rejected})")),
        Rows::OneIn(share) => (customers / share, "i".to_owned()),
        Rows::Fixed(count) => (*count, "i".to_owned()),
    };
    let mut sql = format!("{statement} {}", (words.series)(count));
    while let Some((head, rest)) = sql.split_once("{blob ") {
        let (bytes, tail) = rest.split_once('}').unwrap_or((rest, ""));
        sql = format!("{head}{}{tail}", (words.blob)(bytes));
    }
    let between = 90 * 24 * HOUR / i64::try_from(rejected.max(1)).unwrap_or(1);
    sql.replace("{state}", &by_state(|name, _| name.to_owned()))
        .replace("{data}", &by_state(|_, data| data.to_owned()))
        .replace("{facts}", &by_state(|name, _| facts_of(name)))
        .replace("{beside}", BESIDE)
        .replace("{told}", &(words.bytes)(TOLD))
        .replace("{began}", &format!("({now} - i * {between})"))
        .replace("{id}", &words.id.replace("{i}", &whose))
        .replace("{text}", &words.text.replace("{i}", &whose))
        .replace("{mark}", &words.mark.replace("{i}", &whose))
        .replace("{n}", &customers.to_string())
        .replace("{r}", &rejected.to_string())
        .replace("{now}", &now.to_string())
}

/// Something that depends on the state of customer `i`.
fn by_state(shown: impl Fn(&str, &str) -> String) -> String {
    let mut upto = 0;
    let cases = STATES.map(|(name, share, data)| {
        upto += share;
        format!("WHEN i * 7919 % 1000 < {upto} THEN '{}'", shown(name, data))
    });
    format!("CASE {} END", cases.join(" "))
}

fn sqlite(file: &std::path::Path, customers: u64, now: i64) -> Result<()> {
    let connection = rusqlite::Connection::open(file)?;
    let there: i64 = connection.query_row("SELECT count(*) FROM sweep", [], |row| row.get(0))?;
    if there > 0 {
        return Ok(());
    }
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000")?;
    for statement in ROWS {
        told(statement.1);
        let sql = written(statement, &SQLITE, customers, now);
        connection.execute(&sql, []).with_context(|| sql.clone())?;
    }
    let last = i64::try_from(customers)? + 1;
    connection.execute(
        "INSERT INTO callback_log (id, at, looks, source) VALUES (?1, ?2, 0, 'callback')",
        [last, now],
    )?;
    connection.execute("UPDATE cursor SET position = ?1 WHERE name = 'fold'", [last])?;
    connection.execute_batch("ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

async fn postgres(options: &PostgresOptions, customers: u64, now: i64) -> Result<()> {
    let (client, connection) = tokio_postgres::connect(&options.url, tokio_postgres::NoTls).await?;
    let work = async move {
        if client.query_one("SELECT count(*) FROM sweep", &[]).await?.try_get::<_, i64>(0)? > 0 {
            return Ok(());
        }
        client.batch_execute("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'").await?;
        for statement in ROWS {
            told(statement.1);
            let sql = written(statement, &POSTGRES, customers, now);
            client.batch_execute(&sql).await.with_context(|| sql.clone())?;
        }
        let last = format!(
            "UPDATE cursor SET position = {now} WHERE name = 'last_callback';
             SELECT setval(pg_get_serial_sequence('callback_log', 'id'), {customers} + 1)"
        );
        client.batch_execute(&last).await?;
        // As autovacuum would have left it.
        client.batch_execute("VACUUM (ANALYZE)").await?;
        Ok(())
    };
    let (done, _) = tokio::join!(work, connection);
    done
}

fn told(statement: &str) {
    eprintln!("  {}", statement.split('(').next().unwrap_or_default());
}
