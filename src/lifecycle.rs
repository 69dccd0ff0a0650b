//! Stopping in two steps. Soft: take nothing new, finish what is held. Hard: drop what is left. A second signal, or the
//! end of the grace period, turns soft into hard; a task that ends before it was asked to is a failure of the service.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The life of one service: its two stop signals, its tasks, and whether one of them ended early.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
}

impl Lifecycle {
    /// A life that has just begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when nothing new should be taken.
    #[must_use]
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled when what is left should be dropped.
    #[must_use]
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Runs a task for as long as the service lives. If it ends before it was asked to, the service stops and fails.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = Result<(), String>> + Send + 'static) {
        let life = self.clone();
        // A second task watches the first, so that a panic is noticed too.
        let running = self.tasks.spawn(task);
        self.tasks.spawn(async move {
            let ended = running.await;
            let asked = life.soft.is_cancelled();
            match ended {
                Ok(Ok(())) if asked => {}
                Ok(Ok(())) => life.fail(name, "it ended before it was asked to"),
                Ok(Err(error)) => life.fail(name, &error),
                Err(_) => life.fail(name, "it panicked"),
            }
        });
    }

    fn fail(&self, name: &'static str, why: &str) {
        tracing::error!(task = name, why, "a task failed; the service stops");
        self.failed.store(true, Ordering::Relaxed);
        self.soft.cancel();
    }

    /// Waits until every task has ended. True if none failed.
    pub async fn finished(&self) -> bool {
        self.tasks.close();
        self.tasks.wait().await;
        !self.failed.load(Ordering::Relaxed)
    }
}

/// SIGTERM and SIGINT, heard from the moment this is made: one that comes while the service is still starting counts.
#[derive(Debug)]
pub struct StopSignals(Mutex<(Signal, Signal)>);

impl StopSignals {
    /// Begins to listen. Fails where the system gives no handlers.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self(Mutex::new((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))))
    }

    /// Waits for the next signal.
    pub async fn next(&self) {
        let mut signals = self.0.lock().await;
        let (term, interrupt) = &mut *signals;
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// SIGHUP, heard from the moment this is called: the wish that the configuration be read again.
pub fn reload_signal() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Waits for SIGTERM or SIGINT.
pub async fn stop_signal() {
    match StopSignals::listen() {
        Ok(signals) => signals.next().await,
        // Without handlers the default applies: the signal ends the process.
        Err(_) => std::future::pending().await,
    }
}
