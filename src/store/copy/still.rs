//! A source that holds still while it is copied: nobody works on it, everything is folded, and nobody begins to serve.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::params;

use super::{CopyError, Progress};
use crate::store::error::StoreError;
use crate::store::sql::{duty, work};
use crate::store::{Backend, Store};

/// How long the source keeps replicas from starting without hearing from us again.
const STILL: Duration = Duration::from_mins(2);
/// How often it hears from us.
const STILL_AGAIN: Duration = Duration::from_secs(20);
/// How long the fold may stand still while callbacks wait.
const FOLD_WAIT: Duration = Duration::from_mins(5);
/// How often it is looked whether the fold is done.
const FOLD_LOOK: Duration = Duration::from_millis(20);

/// The source while it is copied: no replica begins to serve from it. Where it is a file, nobody else can have it anyway.
pub(super) struct Still<'a> {
    from: &'a Store,
    told: Mutex<Option<Instant>>,
}

impl<'a> Still<'a> {
    pub(super) fn of(from: &'a Store) -> Self {
        Self { from, told: Mutex::default() }
    }

    /// Keeps replicas from starting for a while longer.
    pub(super) async fn please(&self) -> Result<(), StoreError> {
        let is_told = |told: &Option<Instant>| told.is_some_and(|at| at.elapsed() < STILL_AGAIN);
        if matches!(self.from.backend, Backend::Sqlite(_))
            || is_told(&self.told.lock().unwrap_or_else(PoisonError::into_inner))
        {
            return Ok(());
        }
        let local = self.from.clock.now();
        self.from.write(move |tx| duty::move_out(tx, local, STILL)).await?;
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    }

    /// They may start.
    pub(super) async fn thanks(&self) -> Result<(), StoreError> {
        match self.from.backend {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(_) => self.from.write(duty::moved_out).await,
        }
    }
}

impl Store {
    /// Folds what waits and frees what the dead held; fails if somebody alive works on it.
    pub(super) async fn quieten(&self, now: Timestamp, tell: &impl Fn(Progress)) -> Result<(), CopyError> {
        if matches!(self.backend, Backend::Postgres(_)) {
            let busy = "SELECT 1 FROM duty
                     WHERE name <> 'copy' AND until > ?1 UNION ALL SELECT 1 FROM head WHERE lease_until > ?1 LIMIT 1";
            // By the database's clock, as they took their leases.
            if self.read(move |tx| tx.exists(busy, params![tx.now(now)?.as_millisecond()])).await? {
                return Err(CopyError::InUse("the source"));
            }
        }
        self.write(move |tx| work::release_the_dead(tx, None, now)).await?;
        let (mut before, mut since) = (0, Instant::now());
        loop {
            let waiting =
                self.read(|tx| tx.one(tx.dialect().unfolded, params![], |row| row.get::<i64>(0))).await?;
            if waiting == 0 {
                return Ok(());
            }
            if waiting != before {
                (before, since) = (waiting, Instant::now());
                let of = u64::try_from(waiting).unwrap_or_default();
                tell(Progress { table: "callback_log", rows: 0, of, compares: false });
            }
            if since.elapsed() > FOLD_WAIT {
                let why = format!("{waiting} callbacks in the log are not taken out of it");
                return Err(StoreError::Unavailable(why).into());
            }
            tokio::time::sleep(FOLD_LOOK).await;
        }
    }
}
