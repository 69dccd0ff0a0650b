//! Lists: what their address asks for, the form that filters them, the table, the way to the next page.

use axum::extract::Query;
use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use super::shell::Moment;
use crate::domain::id::CustomerHashId;

/// Rows on a page.
pub(super) const ROWS: usize = 50;

/// What the address of a list asks for. What cannot be read is left out, and said.
pub(super) struct Asked {
    pairs: Vec<(String, String)>,
    /// Sentences about what was left out.
    pub(super) unread: Vec<String>,
}

impl Asked {
    pub(super) fn of(uri: &Uri) -> Self {
        match Query::<Vec<(String, String)>>::try_from_uri(uri) {
            Ok(Query(pairs)) => Self { pairs, unread: Vec::new() },
            Err(_) => Self {
                pairs: Vec::new(),
                unread: vec!["The address cannot be read; everything is shown.".to_owned()],
            },
        }
    }

    /// What is asked for under a name, without the blanks around it; `None` where that is nothing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// What `parse` makes of it.
    pub(super) fn read<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let read = parse(self.get(name)?);
        if read.is_none() {
            self.unread.push(format!("What stands under {name} is not known here, and was left out."));
        }
        read
    }

    pub(super) fn customer(&mut self) -> Option<CustomerHashId> {
        self.read("customer", CustomerHashId::parse)
    }

    /// Where the page begins.
    pub(super) fn cursor(&mut self) -> Option<Vec<u8>> {
        self.read("cursor", |text| URL_SAFE_NO_PAD.decode(text).ok())
    }

    /// Where the page of a list begins that goes by numbers.
    pub(super) fn number(&mut self) -> Option<i64> {
        self.read("cursor", |text| {
            Some(i64::from_be_bytes(URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?))
        })
    }

    /// The same list from another place on.
    pub(super) fn onward(&self, path: &str, cursor: &[u8]) -> String {
        let mut href = format!("{path}?");
        for (name, value) in &self.pairs {
            if name != "cursor" && name != "said" && !value.is_empty() {
                href.push_str(&[&encoded(name), "=", &encoded(value), "&"].concat());
            }
        }
        href + "cursor=" + &URL_SAFE_NO_PAD.encode(cursor)
    }
}

/// A text as a value in an address.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => {
                encoded.push('%');
                encoded.push_str(&hex::encode_upper([other]));
            }
        }
    }
    encoded
}

/// How much something matters, in colour and never in colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Calm,
    Good,
    Warn,
    Bad,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Calm => "badge",
            Self::Good => "badge good",
            Self::Warn => "badge warn",
            Self::Bad => "badge bad",
        }
    }

    /// Of a state of a case.
    pub(super) fn of_state(state: &str) -> Self {
        match state {
            "reinstated" | "approved" => Self::Good,
            "awaiting_correction" | "rejected" => Self::Warn,
            "needs_officer" | "finally_rejected" => Self::Bad,
            _ => Self::Calm,
        }
    }
}

/// One cell.
pub(super) enum Cell {
    Text(String),
    /// Beside the matter.
    Soft(String),
    Number(String),
    /// An id, or another word of machines.
    Code(String),
    Badge(Tone, String),
    /// To a customer.
    Customer(CustomerHashId),
    /// The same by the beginning of the id.
    Case(CustomerHashId),
    Link(String, String),
    Time(Moment),
    /// How long ago, or how far ahead.
    Age(Moment),
    Nothing,
}

impl Cell {
    pub(super) fn at(at: Timestamp, now: Timestamp) -> Self {
        Self::Time(Moment::new(at, now))
    }

    pub(super) fn maybe_at(at: Option<Timestamp>, now: Timestamp) -> Self {
        at.map_or(Self::Nothing, |at| Self::at(at, now))
    }

    pub(super) fn maybe(text: Option<impl Into<String>>) -> Self {
        text.map_or(Self::Nothing, |text| Self::Text(text.into()))
    }

    pub(super) fn customer(id: Option<CustomerHashId>) -> Self {
        id.filter(|id| *id != CustomerHashId::NOBODY).map_or(Self::Nothing, Self::Customer)
    }
}

/// A table with what is around it.
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) heads: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// What is said where there are no rows.
    pub(super) empty: &'static str,
    /// The way to the next page.
    pub(super) next: Option<String>,
}

impl Table {
    /// The cells of a row with their heads.
    pub(super) fn named<'a>(&'a self, row: &'a [Cell]) -> impl Iterator<Item = (&'static str, &'a Cell)> {
        self.heads.iter().copied().zip(row)
    }
}

/// One field of a form that filters a list.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) value: String,
    /// What may be chosen, as it is sent and as it is read; nothing for a text.
    pub(super) choices: Vec<(&'static str, String)>,
}

impl Field {
    pub(super) fn text(name: &'static str, label: &'static str, asked: &Asked) -> Self {
        Self { name, label, value: asked.get(name).unwrap_or_default().to_owned(), choices: Vec::new() }
    }

    pub(super) fn choice(
        name: &'static str,
        label: &'static str,
        asked: &Asked,
        words: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let choices = words.into_iter().map(|word| (word, super::shell::words(word))).collect();
        Self { choices, ..Self::text(name, label, asked) }
    }
}

/// One row more than is shown tells whether there is a next page. Gives what is shown, and the last of it if there is more.
pub(super) fn cut<T>(mut rows: Vec<T>) -> (Vec<T>, bool) {
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    (rows, more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_asks_for_the_same() {
        let asked = Asked::of(&Uri::from_static("/jobs?kind=look&status=&cursor=AAAA&said=word&x=%22%26"));
        assert_eq!(asked.onward("/jobs", &[1, 2, 3]), "/jobs?kind=look&x=%22%26&cursor=AQID");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let mut asked = Asked::of(&Uri::from_static("/jobs?customer=nobody&cursor=%%%"));
        assert_eq!(asked.customer(), None);
        assert_eq!(asked.unread.len(), 1);
        let mut asked = Asked::of(&Uri::from_static("/jobs?cursor=AAAA"));
        assert_eq!((asked.number(), asked.unread.len()), (None, 1));
    }
}
