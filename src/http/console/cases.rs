//! `/cases`: customers by what lies open, which stands in the address and can be kept, and by what is personal, which comes in a
//! form and stands in no address. Saved views are tabs.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::door::trouble;
use super::form::Form;
use super::shell::{Frame, Here, Moment, Said, words};
use super::table::{Asked, Cell, Field, ROWS, Table, Tone, encoded};
use super::{Console, ConsoleState, Signed};
use crate::domain::case::CaseState;
use crate::domain::remark::RemarkClass;
use crate::domain::role::Need;
use crate::domain::view::View;
use crate::http::web::page;
use crate::ops::search::{VIEW_COUNT_MAX, Wish};
use crate::ops::{Ops, OpsError};
use crate::store::rows::CaseRow;
use crate::store::rows::search::Place;

/// What customers are looked for by, as somebody wrote it.
pub(super) struct Conditions {
    pairs: Vec<(&'static str, String)>,
}

impl Conditions {
    /// Names of conditions that may stand in an address.
    fn open() -> impl Iterator<Item = &'static str> {
        Wish::OPEN.into_iter().chain(["tag"])
    }

    fn of<'a>(names: impl Iterator<Item = &'static str>, get: impl Fn(&str) -> Option<&'a str>) -> Self {
        Self { pairs: names.filter_map(|name| Some((name, get(name)?.to_owned()))).collect() }
    }

    /// Of a form, which may say anything.
    pub(super) fn of_form(form: &Form) -> Self {
        Self::of(Self::open().chain(Wish::PERSONAL), |name| form.get(name))
    }

    /// What the store looks for, and a sentence about each that cannot be read and was left out.
    pub(super) fn wish(&self, ops: &Ops) -> (Wish, Vec<String>) {
        let (mut wish, mut unread) = (ops.wish(), Vec::new());
        for (name, text) in &self.pairs {
            let set = match (*name, text.split_once(':')) {
                ("tag", Some((key, value))) => wish.tag(key, Some(value)),
                ("tag", None) => wish.tag(text, None),
                _ => wish.set(name, text),
            };
            if let Err(why) = set {
                unread.push(format!("{} was left out: it {why}.", label(name)));
            }
        }
        (wish, unread)
    }

    /// As hidden fields of a form.
    pub(super) fn hidden(&self) -> Vec<(&'static str, String)> {
        self.pairs.clone()
    }

    /// As they go on record: of what is personal, a tag among it, only that it was asked for.
    pub(super) fn on_record(&self) -> Value {
        let is_open = |name: &str| Wish::OPEN.contains(&name);
        let mut record: Map<String, Value> = self
            .pairs
            .iter()
            .filter(|(name, _)| is_open(name))
            .map(|(name, text)| ((*name).to_owned(), json!(text)))
            .collect();
        let personal: Vec<&str> =
            self.pairs.iter().map(|(name, _)| *name).filter(|name| !is_open(name)).collect();
        if !personal.is_empty() {
            record.insert("personal".to_owned(), json!(personal));
        }
        Value::Object(record)
    }

    /// In words, for whoever is about to act on those who fit.
    pub(super) fn told(&self) -> String {
        Self::in_words(self.pairs.iter())
    }

    /// The same of what the form that filters says.
    fn filtered(&self) -> String {
        Self::in_words(self.pairs.iter().filter(|(name, _)| *name != "view"))
    }

    fn in_words<'a>(pairs: impl Iterator<Item = &'a (&'static str, String)>) -> String {
        let told = pairs.map(|(name, text)| format!("{}: {}", label(name), words(text)));
        told.collect::<Vec<_>>().join(" · ")
    }
}

/// What a condition is called.
fn label(name: &str) -> &'static str {
    match name {
        "view" => "View",
        "state" => "State",
        "status" => "Nium's status",
        "complianceStatus" => "Nium's compliance",
        "kind" => "Kind",
        "class" => "Remark",
        "olderThan" => "For longer than",
        "newerThan" => "For less than",
        "deadlineWithin" => "Deadline within",
        "tag" => "Tag",
        "email" => "E-mail",
        "mobile" => "Mobile",
        "text" => "Name or id",
        _ => "A condition",
    }
}

/// A view's tab.
struct Tab {
    href: String,
    name: &'static str,
    count: Option<String>,
    is_here: bool,
}

/// A word that many can be told.
pub(super) const WORDS: [(&str, &str); 4] = [
    ("offer", "Offer reinstatement"),
    ("retry", "Look at Nium, and start over"),
    ("final", "Close as final"),
    ("close", "Close"),
];

#[derive(Template)]
#[template(path = "console_cases.html")]
struct Cases<'a> {
    frame: Frame<'a>,
    form: &'a str,
    tabs: Vec<Tab>,
    lead: &'static str,
    unread: Vec<String>,
    view: Option<&'static str>,
    fields: Vec<Field>,
    /// What the form that filters says, in words.
    filtered: String,
    personal: Vec<(&'static str, &'static str, String)>,
    /// The list has no address of its own.
    is_personal: bool,
    hidden: Vec<(&'static str, String)>,
    may_tell: bool,
    words: [(&'static str, &'static str); 4],
    table: Table,
    /// Where the next page of a list without an address begins.
    more: Option<String>,
}

/// `GET /cases?view=&state=&…&cursor=`
pub(super) async fn list(State(state): Console, Extension(who): Extension<Signed>, uri: Uri) -> Response {
    let mut asked = Asked::of(&uri);
    let conditions = Conditions::of(Conditions::open(), |name| asked.get(name));
    let cursor = asked.cursor();
    let mut frame = state.frame(&who, Here::Cases, "Cases");
    (frame.said, frame.live) = (Said::of(&uri), Some(String::new()));
    match read(&state, &conditions, cursor).await {
        Ok(found) => show(&state, &who, frame, (conditions, Some(asked)), found),
        Err(error) => trouble(&state, &error),
    }
}

/// `POST /cases`: the same by what is personal.
pub(super) async fn find(State(state): Console, Extension(who): Extension<Signed>, form: Form) -> Response {
    let conditions = Conditions::of_form(&form);
    let cursor = form.get("cursor").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let frame = state.frame(&who, Here::Cases, "Cases");
    match read(&state, &conditions, cursor).await {
        Ok(found) => show(&state, &who, frame, (conditions, None), found),
        Err(error) => trouble(&state, &error),
    }
}

/// What a page of the list shows.
struct Read {
    rows: Vec<CaseRow>,
    next: Option<Place>,
    notes: Vec<String>,
    views: Vec<(View, usize)>,
    /// Everything that was asked for was read, and it was something.
    is_exact: bool,
}

async fn read(
    state: &ConsoleState,
    conditions: &Conditions,
    cursor: Option<Vec<u8>>,
) -> Result<Read, OpsError> {
    let (wish, mut notes) = conditions.wish(&state.ops);
    let is_exact = notes.is_empty() && !wish.is_empty();
    let after = cursor.and_then(|bytes| Place::read(wish.order(), &bytes));
    let found = state.ops.find_rows(wish, after, ROWS).await?;
    notes.extend(found.notes);
    Ok(Read { rows: found.items, next: found.next, notes, views: state.ops.views().await?, is_exact })
}

fn show(
    state: &ConsoleState,
    who: &Signed,
    frame: Frame<'_>,
    (conditions, asked): (Conditions, Option<Asked>),
    found: Read,
) -> Response {
    let now = state.ops.clock.now();
    let said =
        |name: &str| conditions.pairs.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str());
    let view = said("view").and_then(View::parse);
    let next = found.next.as_ref().map(Place::bytes);
    let table = Table {
        caption: caption(view, said("deadlineWithin").is_some()).to_owned(),
        heads: vec!["Customer", "State", "Since", "Nium's words", "Why", "Deadline", "In hand of", "Next"],
        rows: found.rows.iter().map(|row| cells(row, now)).collect(),
        empty: if next.is_some() { "Nobody so far; go on to the next page." } else { "Nobody fits." },
        next: next.as_ref().and_then(|cursor| Some(asked.as_ref()?.onward("/cases", cursor))),
    };
    let blank = Asked::of(&Uri::from_static("/cases"));
    let personal = [("text", "Name, or the start of an id"), ("email", "E-mail"), ("mobile", "Mobile")];
    let cases = Cases {
        form: &who.form,
        tabs: tabs(view, &found.views),
        lead: view.map_or("Everybody of whom a callback has told us.", View::means),
        unread: found.notes,
        view: view.map(View::as_str),
        filtered: asked.as_ref().map(|_| conditions.filtered()).unwrap_or_default(),
        fields: fields(asked.as_ref().unwrap_or(&blank)),
        personal: personal
            .map(|(name, label)| (name, label, said(name).unwrap_or_default().to_owned()))
            .to_vec(),
        is_personal: asked.is_none(),
        may_tell: who.may(Need::Decide) && found.is_exact && !found.rows.is_empty(),
        words: WORDS,
        more: next.filter(|_| asked.is_none()).map(|cursor| URL_SAFE_NO_PAD.encode(cursor)),
        hidden: conditions.hidden(),
        frame,
        table,
    };
    page(StatusCode::OK, &cases)
}

fn caption(view: Option<View>, has_deadline: bool) -> &'static str {
    match view {
        Some(View::NeedsOfficer) => "Those who have waited longest come first.",
        Some(View::Deadline) => "The nearest deadline comes first.",
        Some(View::Stuck) => "Those who have been stuck longest come first.",
        None if has_deadline => "The nearest deadline comes first.",
        None => "In the order of their ids.",
    }
}

fn tabs(here: Option<View>, views: &[(View, usize)]) -> Vec<Tab> {
    let all = Tab { href: "/cases".to_owned(), name: "All", count: None, is_here: here.is_none() };
    let tab = |(view, count): &(View, usize)| Tab {
        href: format!("/cases?view={}", encoded(view.as_str())),
        name: view.title(),
        // More are as good as this many to whoever reads it.
        count: Some(if *count >= VIEW_COUNT_MAX {
            format!("{}+", VIEW_COUNT_MAX - 1)
        } else {
            count.to_string()
        }),
        is_here: here == Some(*view),
    };
    std::iter::once(all).chain(views.iter().map(tab)).collect()
}

fn fields(asked: &Asked) -> Vec<Field> {
    let text = |name: &'static str| Field::text(name, label(name), asked);
    vec![
        Field::choice("state", label("state"), asked, CaseState::NAMES),
        text("complianceStatus"),
        text("status"),
        Field::choice("class", label("class"), asked, RemarkClass::ALL.map(RemarkClass::as_str)),
        Field::choice("kind", label("kind"), asked, ["individual", "corporate"]),
        text("olderThan"),
        text("newerThan"),
        text("deadlineWithin"),
        text("tag"),
    ]
}

fn cells(row: &CaseRow, now: Timestamp) -> Vec<Cell> {
    let case = &row.case;
    let name = case.state.name();
    let (why, deadline) = match &case.state {
        CaseState::AwaitingCorrection { grounds, deadline, .. } => {
            (Some(grounds.class.as_str()), Some(*deadline))
        }
        CaseState::Rejected { grounds, .. } | CaseState::Submitting { grounds, .. } => {
            (Some(grounds.class.as_str()), None)
        }
        CaseState::FinallyRejected { why } => (Some(why.as_str()), None),
        CaseState::NeedsOfficer { why, .. } => (Some(why.as_str()), None),
        CaseState::Watching { .. }
        | CaseState::UnderReview { .. }
        | CaseState::Reinstated
        | CaseState::Approved => (None, None),
    };
    let asked = case.beside.rfi.filter(|rfi| !rfi.overdue).map(|rfi| rfi.deadline);
    let age = |at: Timestamp| Cell::Age(Moment::new(at, now));
    vec![
        Cell::Case(case.id),
        Cell::Badge(Tone::of_state(name), words(name)),
        age(case.since),
        Cell::maybe(at_nium(row)),
        Cell::maybe(why.map(words)),
        deadline.or(asked).map_or(Cell::Nothing, age),
        Cell::maybe(row.in_hand.as_ref().map(|hand| hand.by.clone())),
        row.next.map_or(Cell::Nothing, |next| {
            Cell::Text(format!("{}, {}", words(next.what.as_str()), Moment::new(next.at, now).age))
        }),
    ]
}

/// Nium's two words in one.
fn at_nium(row: &CaseRow) -> Option<String> {
    let facts = &row.snapshot.as_ref()?.facts;
    let said =
        [facts.compliance.as_ref().map(ToString::to_string), facts.status.as_ref().map(ToString::to_string)];
    let said: Vec<String> = said.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(" / "))
}
