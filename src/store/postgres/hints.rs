//! Hints between replicas, by LISTEN and NOTIFY: they carry no data, they may be lost, and the poll alone suffices.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio_postgres::AsyncMessage;

use super::connect::Connector;
use super::intake::Line;
use crate::store::error::StoreError;
use crate::store::wake::Wake;

/// Between two hints at least; all that happened in between is one.
const BETWEEN: Duration = Duration::from_millis(100);
/// The pause before a lost connection is made again.
const AGAIN: Duration = Duration::from_secs(1);

/// Who hears, and who is to be told.
pub(super) struct Hints {
    /// A connection on which LISTEN works; `None` where replicas do not wake each other.
    pub(super) listener: Option<Connector>,
    /// The bell of this replica.
    pub(super) wake: Wake,
    /// Something happened that the others should hear of.
    pub(super) rings: Arc<Notify>,
}

impl Hints {
    /// There may be something to do, here or in another replica.
    pub(super) fn ring(&self) {
        self.wake.wake();
        self.rings.notify_one();
    }
}

/// Tells and listens for as long as the intake lives.
pub(super) async fn run(hints: &Hints) {
    match &hints.listener {
        Some(listener) if !hints.wake.is_silent() => {
            tokio::join!(tell(hints, listener), listen(hints, listener));
        }
        _ => std::future::pending().await,
    }
}

async fn tell(hints: &Hints, listener: &Connector) {
    let mut line = Line::new(listener);
    loop {
        hints.rings.notified().await;
        let told =
            async { Ok::<_, StoreError>(line.client().await?.batch_execute("NOTIFY reinstate").await?) };
        if let Err(error) = told.await {
            tracing::debug!(%error, "the other replicas were not woken; they poll");
            line.hang_up();
            tokio::time::sleep(AGAIN).await;
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

async fn listen(hints: &Hints, listener: &Connector) {
    loop {
        if let Err(error) = hear(hints, listener).await {
            tracing::debug!(%error, "hints of other replicas are not heard; we poll");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn hear(hints: &Hints, listener: &Connector) -> Result<(), StoreError> {
    let (client, mut connection) = listener.connect().await?;
    let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
    let listening = client.batch_execute("LISTEN reinstate");
    tokio::pin!(listening);
    let mut asked = false;
    loop {
        tokio::select! {
            answer = &mut listening, if !asked => {
                answer?;
                asked = true;
                // What happened before we listened.
                hints.wake.wake();
            }
            message = messages.next() => match message {
                Some(Ok(AsyncMessage::Notification(_))) => hints.wake.wake(),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
        }
    }
}
