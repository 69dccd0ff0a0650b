//! The last caller at the intake who was not answered 200, as they were seen: whether a proxy stands in front, and for whom it
//! spoke. `doctor` knocks itself and reads it.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;

/// The header in which proxies name the addresses a request came through.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// Characters of that header that are kept.
const FORWARDED_CHARS_MAX: usize = 200;

/// A caller.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Knock {
    /// When they came.
    pub at: Timestamp,
    /// Who held the connection.
    pub peer: IpAddr,
    /// What stood in `X-Forwarded-For`, the newest line.
    pub forwarded_for: Option<String>,
    /// Why they were not answered 200.
    pub why: &'static str,
}

/// The last one.
#[derive(Debug, Default)]
pub struct LastKnock(Mutex<Option<Knock>>);

impl LastKnock {
    /// Remembers a caller in the place of the one before.
    pub fn note(&self, at: Timestamp, peer: IpAddr, headers: &HeaderMap, why: &'static str) {
        let line = headers.get_all(FORWARDED_FOR).iter().next_back();
        let forwarded_for = line.map(|line| {
            let line = line.to_str().unwrap_or("unreadable");
            line.chars().take(FORWARDED_CHARS_MAX).collect()
        });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Knock { at, peer, forwarded_for, why });
    }

    /// The last caller who was not answered 200 since the service began.
    #[must_use]
    pub fn last(&self) -> Option<Knock> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
