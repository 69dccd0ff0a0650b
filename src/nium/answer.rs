//! Every reader of what Nium answers, behind one door: for tests that throw whatever comes at all of them.

use serde_json::Value;

use super::list::{Release, listed, page_in};
use super::{find, onboard, parse, rfi};

/// Which readers could make something of `body`, by name; no body may make one of them fail otherwise than by saying so.
#[must_use]
pub fn readers_of(body: &[u8]) -> Vec<&'static str> {
    // A refusal is read from the bytes: Nium's may be HTML.
    let refusal = parse::refusal(body);
    let mut readers = Vec::new();
    let mut note = |reader: &'static str, reads: bool| {
        if reads {
            readers.push(reader);
        }
    };
    note("refusal", refusal != super::error::Refusal::default());
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return readers;
    };
    note("details", parse::snapshot(&answer).is_some());
    note("add_customer", parse::taken(&answer).is_some());
    note("onboard", onboard::onboarded(&answer).is_some());
    note("regenerate", onboard::regenerated(&answer).is_some());
    note("rfi", rfi::items(&answer).is_some());
    for release in [Release::V3, Release::V2] {
        note("list", page_in(&answer, 0, release, listed).is_some());
        note("search", page_in(&answer, 0, release, find::candidate).is_some());
    }
    readers
}
