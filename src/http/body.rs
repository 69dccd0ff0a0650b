//! Reads the body of a request within a size and a time. Nium's callback has none; whatever somebody sends in its
//! place must cost little.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};

/// Largest body the intake reads, in bytes. Nium's webhooks are well under 4 KiB; this is room for a mistake.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;

/// How much of a larger body is read and thrown away, in bytes. Most clients write their whole request before they
/// read: an answer that closes the connection under them would show as a broken pipe instead of a 413.
const DISCARD_BYTES_MAX: usize = 1024 * 1024;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFault {
    /// It is, or says it is, larger than [`BODY_BYTES_MAX`].
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// The connection broke, or the framing is wrong.
    Broken,
}

/// Reads `body` to its end within `wait`. Its bytes are kept only if `keep` says that somebody needs them; otherwise
/// they are counted and dropped, and the answer is empty.
pub(super) async fn read(body: Body, keep: bool, wait: Duration) -> Result<Vec<u8>, BodyFault> {
    if body.is_end_stream() {
        return Ok(Vec::new());
    }
    // The lower bound of a body that has a Content-Length is that length: a huge one is refused unread.
    if usize::try_from(body.size_hint().lower()).map_or(true, |length| length > DISCARD_BYTES_MAX) {
        return Err(BodyFault::TooLarge);
    }
    tokio::time::timeout(wait, drain(body, keep)).await.unwrap_or(Err(BodyFault::TooSlow))
}

async fn drain(mut body: Body, keep: bool) -> Result<Vec<u8>, BodyFault> {
    let mut kept = Vec::new();
    let mut length = 0_usize;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| BodyFault::Broken)?;
        let Some(data) = frame.data_ref() else { continue };
        length = length.saturating_add(data.len());
        if length > DISCARD_BYTES_MAX {
            return Err(BodyFault::TooLarge);
        }
        if length > BODY_BYTES_MAX {
            kept = Vec::new();
        } else if keep {
            kept.extend_from_slice(data);
        }
    }
    if length > BODY_BYTES_MAX { Err(BodyFault::TooLarge) } else { Ok(kept) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG_ENOUGH: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn the_bound_itself_is_still_read() {
        let full = vec![b'x'; BODY_BYTES_MAX];
        let read_back = read(Body::from(full.clone()), true, LONG_ENOUGH).await;
        assert_eq!(read_back.as_ref(), Ok(&full));
        assert_eq!(read(Body::from(full), false, LONG_ENOUGH).await, Ok(Vec::new()));
        let over = vec![b'x'; BODY_BYTES_MAX + 1];
        assert_eq!(read(Body::from(over), true, LONG_ENOUGH).await, Err(BodyFault::TooLarge));
    }
}
