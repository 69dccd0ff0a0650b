//! What is around every page of the console: who is signed in, the ways to the other pages, what just happened.

use std::borrow::Cow;

use askama::Template;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;

use super::Signed;
use crate::domain::role::Need;
use crate::http::web::page;

/// The places that the bar leads to, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Here {
    Overview,
    Cases,
    Approvals,
    Callbacks,
    Jobs,
    Sweeps,
    Audit,
    Settings,
    /// A page that is none of these.
    Elsewhere,
}

impl Here {
    /// What the bar shows, with its way.
    const BAR: [(Self, &'static str, &'static str); 8] = [
        (Self::Overview, "/", "Overview"),
        (Self::Cases, "/cases", "Cases"),
        (Self::Approvals, "/approvals", "Approvals"),
        (Self::Callbacks, "/callbacks", "Callbacks"),
        (Self::Jobs, "/jobs", "Jobs"),
        (Self::Sweeps, "/sweeps", "Sweeps"),
        (Self::Audit, "/audit", "Audit"),
        (Self::Settings, "/settings", "Settings"),
    ];

    fn is_open_to(self, who: &Signed) -> bool {
        self != Self::Audit || who.role.may(Need::Decide)
    }
}

/// One way of the bar.
pub(super) struct Way {
    pub(super) href: &'static str,
    pub(super) name: &'static str,
    pub(super) is_here: bool,
}

/// What stands around the content of a page.
pub(super) struct Frame<'a> {
    pub(super) title: Cow<'a, str>,
    /// What stands before every path.
    pub(super) base: &'a str,
    /// Nobody, on the page that lets people in.
    pub(super) who: Option<&'a Signed>,
    pub(super) here: Here,
    /// What became of what was just asked for.
    pub(super) said: Option<Said>,
    /// Whose changes make the page read itself anew; `None` for a page that somebody writes on.
    pub(super) live: Option<String>,
}

impl Frame<'_> {
    /// The ways that are open to whoever is signed in.
    pub(super) fn ways(&self) -> Vec<Way> {
        let Some(who) = self.who else { return Vec::new() };
        let open = Here::BAR.into_iter().filter(|(here, ..)| here.is_open_to(who));
        open.map(|(here, href, name)| Way { href, name, is_here: here == self.here }).collect()
    }
}

/// What is said about what was just asked for: a closed list, since it comes back in an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The word in the address.
    pub(super) word: &'static str,
    /// The sentence.
    pub(super) text: &'static str,
    /// Nothing was done.
    pub(super) is_bad: bool,
}

const fn good(word: &'static str, text: &'static str) -> Said {
    Said { word, text, is_bad: false }
}

const fn bad(word: &'static str, text: &'static str) -> Said {
    Said { word, text, is_bad: true }
}

/// Everything that can be said.
const SAID: &[Said] = &[
    good("word", "Your word is on record. What comes of it appears in the timeline."),
    good("taken", "The case is in your hands."),
    good("approval", "It waits for a second person now."),
    good("decided", "Your verdict is on record."),
    good("done", "Nium has taken it."),
    good("stored", "It is on its way to Nium. What comes of it appears in the timeline."),
    good("asked", "Nium was asked just now."),
    good("link-revoked", "Every link of this customer is closed."),
    good("held", "A legal hold is set: nothing about this customer is erased, or goes by a rule."),
    good("not-held", "The legal hold is lifted."),
    good("bulk-begun", "It has begun. This page shows how far it came."),
    good("bulk-cancelled", "No further word is said; what was said stands."),
    good("retried", "They were set going again."),
    good("swept", "Nium's list is being read."),
    good("session-ended", "The session is over."),
    good("endpoint-took", "The endpoint took the test event."),
    bad("endpoint-failed", "The endpoint did not take the test event; its last answer stands beside it."),
    bad("silent", "Nium has not answered within a few seconds; what is on file is shown."),
    bad("moved", "The customer has moved meanwhile. Look again before you decide."),
    bad("count", "Their number has changed meanwhile. Look again before you confirm."),
    bad("under-way", "A write about this customer is on its way already. Wait for what becomes of it."),
    bad("refused", "Nium or a rule refused it; the timeline says why. Nothing was changed."),
    bad("not-now", "That does not fit how the customer stands now. Nothing was done."),
    bad("is-held", "A legal hold is set; lift it before anything is erased."),
    bad("incomplete", "Something was missing or too long. Nothing was done."),
    bad("same-person", "Whoever asked cannot decide. Somebody else has to."),
    bad("closed", "It was decided before, or its time is over."),
    bad("gone", "It is not there any more."),
    bad("twice", "This form was sent before. What it did then stands."),
];

impl Said {
    /// What goes with a word; words that nobody gave say nothing.
    pub(super) fn parse(word: &str) -> Option<Self> {
        SAID.iter().find(|said| said.word == word).copied()
    }

    /// What the address of a page says, `?said=…`.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, _)| *name == "said").find_map(|(_, word)| Self::parse(word))
    }
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "console_notice.html")]
pub(super) struct Notice<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) text: &'a str,
    pub(super) back: Option<(&'a str, &'a str)>,
}

/// A page that says one thing.
pub(super) fn notice(
    status: StatusCode,
    frame: Frame<'_>,
    text: &str,
    back: Option<(&str, &str)>,
) -> Response {
    page(status, &Notice { frame, text, back })
}

/// A moment as pages show it, to be read by people and by the script.
pub(super) struct Moment {
    /// RFC 3339.
    pub(super) iso: String,
    /// `2026-03-10 12:00:05`, UTC.
    pub(super) text: String,
    /// `3 h ago`, `in 2 d`.
    pub(super) age: String,
}

impl Moment {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        let utc = at.to_zoned(jiff::tz::TimeZone::UTC);
        let text = utc.strftime("%Y-%m-%d %H:%M:%S").to_string();
        Self { iso: format!("{at:.0}"), text, age: age(at, now) }
    }
}

/// How long ago, or how far ahead, in one unit.
fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    let text = span(seconds.abs());
    match seconds {
        -1..=1 => "now".to_owned(),
        2.. => format!("{text} ago"),
        _ => format!("in {text}"),
    }
}

/// A span in one unit: `45 s`, `12 min`, `5 h`, `3 d`.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        ..=89 => format!("{seconds} s"),
        90..=5_399 => format!("{} min", (seconds + 30) / 60),
        5_400..=129_599 => format!("{} h", (seconds + 1_800) / 3_600),
        _ => format!("{} d", (seconds + 43_200) / 86_400),
    }
}

/// A state or another of our words as people read it: `awaiting_correction` is "awaiting correction".
pub(super) fn words(word: &str) -> String {
    word.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_said_in_one_unit() {
        let now: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        for (at, said) in [
            ("2026-03-10T12:00:00Z", "now"),
            ("2026-03-10T11:59:00Z", "60 s ago"),
            ("2026-03-10T11:45:00Z", "15 min ago"),
            ("2026-03-10T07:00:00Z", "5 h ago"),
            ("2026-03-07T12:00:00Z", "3 d ago"),
            ("2026-03-12T12:00:00Z", "in 2 d"),
        ] {
            assert_eq!(Moment::new(at.parse().unwrap(), now).age, said, "{at}");
        }
    }

    #[test]
    fn each_word_says_one_thing() {
        for said in SAID {
            assert_eq!(Said::parse(said.word), Some(*said), "{} stands twice", said.word);
        }
        assert_eq!(Said::of(&Uri::from_static("/cases?x=1&said=word")).map(|said| said.word), Some("word"));
        assert_eq!(Said::of(&Uri::from_static("/cases?said=%3Cscript%3E")), None);
    }
}
