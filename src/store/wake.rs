//! Wake-ups are hints: they carry no data, and the poll alone must suffice.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// A bell that anybody may ring and one loop listens to.
#[derive(Clone, Debug, Default)]
pub struct Wake {
    bell: Arc<Notify>,
    silent: bool,
}

impl Wake {
    /// A bell that never rings: for proving that the poll alone suffices.
    #[must_use]
    pub fn silent() -> Self {
        Self { bell: Arc::default(), silent: true }
    }

    /// Rings. A listener that is not waiting right now hears it when it next waits.
    pub fn wake(&self) {
        if !self.silent {
            self.bell.notify_one();
        }
    }

    /// Whether it never rings.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// Waits for a ring.
    pub fn rung(&self) -> Notified<'_> {
        self.bell.notified()
    }
}
