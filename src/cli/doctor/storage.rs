//! Disks, the database and the keys: how long a write takes to be durable, what room is left, and whether everything that
//! is sealed could be opened.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::report::Report;
use crate::app;
use crate::clock::Clock;
use crate::config::{Config, StoreUrl};
use crate::store::wake::Wake;
use crate::store::{Store, Use};
use crate::vault::WrappedKey;

/// Writes that are timed.
const WRITES: usize = 16;
/// Bytes of one of them: a page.
const WRITE_BYTES: usize = 4096;
/// A durable write that takes longer holds up every callback: Nium may give up.
const SLOW: Duration = Duration::from_millis(100);
/// How long the database may take for everything that is asked of it.
const DATABASE_WAIT: Duration = Duration::from_secs(20);
/// Room that must be left, in mebibytes: weeks of callbacks, and the work files of the database.
const ROOM_MIB: u64 = 1024;

/// The disks that callbacks are kept on.
pub(super) fn disks(config: &Config, report: &mut Report) {
    let mut folders = vec![("spool", config.store.spool_dir.clone())];
    if let StoreUrl::Sqlite(file) = &config.store.url {
        folders.push(("database", file.parent().map_or_else(PathBuf::new, Path::to_path_buf)));
    }
    for (what, folder) in folders {
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        let shown = folder.display().to_string();
        if !folder.is_dir() {
            report.note(what, format!("{shown} is not there yet; the service makes it at its start"));
            continue;
        }
        room(what, &folder, &shown, report);
        match timed_writes(&folder) {
            Ok(times) => told(what, &format!("a durable write in {shown}"), &times, report),
            Err(error) => report.bad(
                what,
                format!("nothing can be written in {shown}: {error}"),
                "whose the folder is, and whether the disk is mounted read-only or full",
            ),
        }
    }
}

fn room(what: &'static str, folder: &Path, shown: &str, report: &mut Report) {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return report.note(what, format!("the room in {shown} cannot be asked for"));
    };
    let mib = disk.f_bavail.saturating_mul(disk.f_frsize) / (1024 * 1024);
    if mib < ROOM_MIB {
        report.bad(what, format!("{mib} MiB are left in {shown}"), "make room, or move it to a larger disk");
    } else {
        report.good(what, format!("{mib} MiB are left in {shown}"));
    }
}

/// How long writes to a file of our own took, each with fsync; the file is gone afterwards.
fn timed_writes(folder: &Path) -> std::io::Result<Vec<Duration>> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let timed = std::fs::OpenOptions::new().write(true).create_new(true).open(&path).and_then(|mut file| {
        (0..WRITES)
            .map(|_| {
                let begun = Instant::now();
                file.write_all(&[0; WRITE_BYTES])?;
                file.sync_data()?;
                Ok(begun.elapsed())
            })
            .collect()
    });
    let _ = std::fs::remove_file(&path);
    timed
}

fn told(about: &'static str, what: &str, times: &[Duration], report: &mut Report) {
    let mut times = times.to_vec();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let longest = times.last().copied().unwrap_or_default();
    let text = format!(
        "{what} takes {:.1} ms, at most {:.1} ms",
        median.as_secs_f64() * 1_000.0,
        longest.as_secs_f64() * 1_000.0
    );
    if median > SLOW {
        report.bad(about, text, "a faster disk, or one that nothing else uses");
    } else {
        report.good(about, text);
    }
}

/// The database from within. Only where the service runs: opening a database may bring its schema forward.
pub(super) async fn database(config: &Config, report: &mut Report) {
    let opened = app::open_store(&config.store, Use::Tool, Clock::System, Wake::silent());
    let store = match opened {
        Ok(store) => store,
        Err(error) => return unreachable(&format!("{error:#}"), report),
    };
    let examined = async {
        store.ready().await.map_err(|error| error.to_string())?;
        let (version, schema) = store.version().await.map_err(|error| error.to_string())?;
        report.good("database", format!("{version}, schema {schema}, at {}", config.store.url));
        let mut times = Vec::new();
        for _ in 0..WRITES {
            let begun = Instant::now();
            store.ping().await.map_err(|error| error.to_string())?;
            times.push(begun.elapsed());
        }
        told("database", "a commit", &times, report);
        keys(&store, config, report).await
    };
    match tokio::time::timeout(DATABASE_WAIT, examined).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => unreachable(&why, report),
        Err(_) => unreachable("it does not answer in time", report),
    }
    let _ = tokio::task::spawn_blocking(move || store.close()).await;
}

fn unreachable(why: &str, report: &mut Report) {
    let fix = "store.url; whether the server runs and lets us in; locks and room";
    report.bad("database", format!("it cannot be used: {why}"), fix);
}

/// Whether every data key could be opened with the master keys that are configured.
async fn keys(store: &Store, config: &Config, report: &mut Report) -> Result<(), String> {
    const FIX: &str = "put that key back into privacy.master_keys, after the first; without it nothing of those \
                       customers can be read";
    let keys = &config.privacy.master_keys;
    let vault = app::open_vault(keys).map_err(|error| format!("{error:#}"))?;
    let used = store.masters(false).await.map_err(|error| error.to_string())?;
    for key in keys {
        let example = used.iter().find(|used| used.id == key.id).and_then(|used| used.examples.first());
        let Some(example) = example else {
            report.note("keys", format!("the master key {} has wrapped nothing", key.id));
            continue;
        };
        let wrapped = WrappedKey::from_bytes(example.wrapped.clone());
        match vault.unwrap(&example.customer.to_string(), &wrapped) {
            Ok(_) => report.good("keys", format!("the master key {} opens what it has wrapped", key.id)),
            Err(_) => {
                report.bad("keys", format!("the master key {} is not the one that wrapped", key.id), FIX);
            }
        }
    }
    match used.iter().find(|used| keys.iter().all(|key| key.id != used.id)) {
        None => report.good("keys", "every data key was wrapped by a master key that is configured"),
        Some(strange) => {
            report.bad(
                "keys",
                format!("the master key {} has wrapped data keys and is not configured", strange.id),
                FIX,
            );
        }
    }
    Ok(())
}
