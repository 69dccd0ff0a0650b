//! `GET /settings`: everything that is configured, without its secrets; who is signed in and may sign in; how endpoints do.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde_json::Value;

use super::door::trouble;
use super::form::Form;
use super::shell::{Frame, Here, Said, words};
use super::table::{Cell, Table, Tone};
use super::{Console, ConsoleState, Setting, Signed};
use crate::domain::role::Need;
use crate::http::web::page;
use crate::ops::OpsError;
use crate::store::rows::people::SessionRow;

/// A button beside a row.
struct Button {
    value: String,
    label: String,
}

#[derive(Template)]
#[template(path = "console_settings.html")]
struct Settings<'a> {
    frame: Frame<'a>,
    form: &'a str,
    sessions: Vec<(Vec<Cell>, Option<Button>)>,
    people: Table,
    endpoints: Vec<(Vec<Cell>, Option<Button>)>,
    configuration: &'a [Setting],
}

/// `GET /settings`
pub(super) async fn show(State(state): Console, Extension(who): Extension<Signed>, uri: Uri) -> Response {
    let rows = match rows(&state, &who).await {
        Ok(rows) => rows,
        Err(error) => return trouble(&state, &error),
    };
    let (sessions, people, endpoints) = rows;
    let mut frame = state.frame(&who, Here::Settings, "Settings");
    frame.said = Said::of(&uri);
    let configuration = state.settings.load_full();
    let configuration = configuration.as_slice();
    page(StatusCode::OK, &Settings { frame, form: &who.form, sessions, people, endpoints, configuration })
}

type Rows = Vec<(Vec<Cell>, Option<Button>)>;

async fn rows(state: &ConsoleState, who: &Signed) -> Result<(Rows, Table, Rows), OpsError> {
    let now = state.ops.clock.now();
    // Others' sessions are an administrator's business.
    let is_shown = |session: &SessionRow| who.may(Need::Manage) || session.actor == *who.name;
    let sessions = state.ops.sessions().await?.into_iter().filter(is_shown).map(|session| {
        let label = if session.id == who.session { "End this session" } else { "End" };
        let cells = vec![
            Cell::Text(session.actor),
            Cell::Text(session.role),
            Cell::Text(words(session.source.as_str())),
            Cell::at(session.begun_at, now),
            Cell::at(session.seen_at, now),
            Cell::at(session.ends_at, now),
        ];
        (cells, Some(Button { value: session.id, label: label.to_owned() }))
    });
    let sessions = sessions.collect();
    let people = state.ops.people().await?.into_iter().map(|person| {
        vec![
            Cell::Text(person.name),
            Cell::Text(person.role),
            Cell::at(person.made_at, now),
            Cell::at(person.changed_at, now),
        ]
    });
    let people = Table {
        caption: "People with a password; `reinstate people` adds, changes and removes them.".to_owned(),
        heads: vec!["Name", "Role", "Added", "Changed"],
        rows: people.collect(),
        empty: "Nobody has a password; people sign in with a token, or through a proxy. `reinstate people add` adds one.",
        next: None,
    };
    let endpoints = state.ops.endpoints().await?;
    let endpoints = endpoints.get("items").and_then(Value::as_array).into_iter().flatten();
    let endpoints = endpoints.map(|endpoint| endpoint_row(endpoint, who, now)).collect();
    Ok((sessions, people, endpoints))
}

fn endpoint_row(endpoint: &Value, who: &Signed, now: jiff::Timestamp) -> (Vec<Cell>, Option<Button>) {
    let text = |name: &str| endpoint.get(name).and_then(Value::as_str);
    let at = |name: &str| Cell::maybe_at(text(name).and_then(|at| at.parse().ok()), now);
    let name = text("name").unwrap_or_default().to_owned();
    let wants: Vec<&str> = endpoint
        .get("events")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let standing = if text("disabledSince").is_some() {
        Cell::Badge(Tone::Bad, "left alone".to_owned())
    } else if text("failingSince").is_some() {
        Cell::Badge(Tone::Warn, "failing".to_owned())
    } else {
        Cell::Badge(Tone::Good, "well".to_owned())
    };
    let cells = vec![
        Cell::Text(name.clone()),
        Cell::Code(text("host").unwrap_or_default().to_owned()),
        Cell::Text(if wants.is_empty() { "everything".to_owned() } else { wants.join(", ") }),
        standing,
        at("lastSuccessAt"),
        at("oldestPendingSince"),
    ];
    let button =
        who.may(Need::Correct).then(|| Button { value: name, label: "Send a test event".to_owned() });
    (cells, button)
}

/// `POST /settings/sessions/end`
pub(super) async fn end_session(
    State(state): Console,
    Extension(who): Extension<Signed>,
    form: Form,
) -> Response {
    let Some(id) = form.get("session") else { return state.say("/settings", "incomplete") };
    let own = match state.ops.sessions().await {
        Ok(sessions) => sessions.iter().any(|session| session.id == id && session.actor == *who.name),
        Err(error) => return trouble(&state, &error),
    };
    if !own && !who.may(Need::Manage) {
        return state.say("/settings", "gone");
    }
    match state.ops.end_session(id, &who.name).await {
        Ok(Some(_)) => state.say("/settings", "session-ended"),
        Ok(None) => state.say("/settings", "gone"),
        Err(error) => trouble(&state, &error),
    }
}

/// `POST /settings/endpoints/test`
pub(super) async fn test_endpoint(
    State(state): Console,
    Extension(who): Extension<Signed>,
    form: Form,
) -> Response {
    let Some(name) = form.get("endpoint") else { return state.say("/settings", "incomplete") };
    match state.ops.try_endpoint(name, &who.name).await {
        Ok(tried) if tried.get("delivered") == Some(&Value::Bool(true)) => {
            state.say("/settings", "endpoint-took")
        }
        Ok(_) => state.say("/settings", "endpoint-failed"),
        Err(OpsError::NoSuchEndpoint) => state.say("/settings", "gone"),
        Err(error) => trouble(&state, &error),
    }
}
