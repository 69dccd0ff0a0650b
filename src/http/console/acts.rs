//! What is asked for on a case page: words, blocks, tags, links, a look, and what is personal. Each handler takes a form apart,
//! calls `ops`, and leads back to the case with a word about what came of it.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::case::nobody;
use super::door::trouble;
use super::form::Form;
use super::shell::{Frame, Here, words};
use super::{Console, ConsoleState, Signed};
use crate::domain::id::CustomerHashId;
use crate::http::web::page;
use crate::ops::acts::Asking;
use crate::ops::dossier::{Change, Corrected};
use crate::ops::officer::{Saying, Word, note};
use crate::ops::once::Answered;
use crate::ops::{Ops, OpsError};

/// The case that a path names, with the way back to it.
pub(super) struct Place {
    pub(super) id: CustomerHashId,
    pub(super) back: String,
}

impl Place {
    pub(super) fn of(path: &str) -> Option<Self> {
        let id = CustomerHashId::parse(path)?;
        Some(Self { id, back: format!("/cases/{id}") })
    }
}

/// What is said about an error that whoever asked can do something about; the page of trouble for any other.
pub(super) fn refused(state: &ConsoleState, who: &Signed, back: &str, error: &OpsError) -> Response {
    let word = match error {
        OpsError::NoSuchCustomer => return nobody(state, who),
        OpsError::Erased => return state.see(back),
        OpsError::Held => "is-held",
        OpsError::Moved => "moved",
        OpsError::UnderWay => "under-way",
        OpsError::ActRefused(_) => "refused",
        OpsError::Invalid(_) | OpsError::UnknownKeys(_) => "incomplete",
        OpsError::KeyReused => "twice",
        OpsError::WrongState(_)
        | OpsError::NotParked(_)
        | OpsError::ApprovalOpen(_)
        | OpsError::NothingOpen
        | OpsError::NoPage
        | OpsError::Company
        | OpsError::NoRfi => "not-now",
        _ => return trouble(state, error),
    };
    state.say(back, word)
}

/// What came of an act: done, on its way, or waiting for a second person.
fn came_of(state: &ConsoleState, back: &str, answered: &Answered) -> Response {
    let waits = answered.body.get("approvalId").is_some();
    let word = match (waits, answered.status) {
        (true, _) => "approval",
        (false, 200) => "done",
        (false, _) => "stored",
    };
    state.say(back, word)
}

/// `POST /cases/{id}/word`
pub(super) async fn word(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(path): Path<String>,
    form: Form,
) -> Response {
    let Some(place) = Place::of(&path) else { return nobody(&state, &who) };
    let said = form.get("word").and_then(Word::parse);
    let noted = form.get("note").map(|text| Value::String(text.to_owned()));
    let (Some(word), Ok(note)) = (said, note(noted.as_ref())) else {
        return state.say(&place.back, "incomplete");
    };
    let body = json!({ "decision": form.get("word"), "note": note }).to_string();
    let once = form.once(&who, "decision", place.id);
    let saying = Saying { word, note, by: &who.name, body: body.as_bytes(), once: once.as_ref() };
    match state.ops.word(place.id, saying).await {
        Ok(answered) if answered.body.get("approvalId").is_some() => state.say(&place.back, "approval"),
        Ok(_) if word == Word::TakeOver => state.say(&place.back, "taken"),
        Ok(_) => state.say(&place.back, "word"),
        Err(error) => refused(&state, &who, &place.back, &error),
    }
}

/// What a permanent block would do, to be confirmed.
#[derive(Template)]
#[template(path = "console_block.html")]
struct Confirm<'a> {
    frame: Frame<'a>,
    id: CustomerHashId,
    form: &'a str,
    once: String,
    reason: &'a str,
    comment: &'a str,
    receipt: &'a str,
    state: String,
    becomes: &'a str,
    second_person: bool,
}

/// `POST /cases/{id}/block`
pub(super) async fn block(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(path): Path<String>,
    form: Form,
) -> Response {
    let Some(place) = Place::of(&path) else { return nobody(&state, &who) };
    let (Some(action), Some(reason), Some(comment)) =
        (form.get("action"), form.get("reason"), form.get("comment"))
    else {
        return state.say(&place.back, "incomplete");
    };
    let mut value = json!({ "action": action, "reason": reason, "comment": comment });
    if let (Some(receipt), Some(value)) = (form.get("receipt"), value.as_object_mut()) {
        value.insert("receipt".to_owned(), json!(receipt));
    }
    let body = value.to_string();
    let once = form.once(&who, "block", place.id);
    let asking = Asking { by: &who.name, body: body.as_bytes(), once: once.as_ref(), dry_run: false };
    let answered = match state.ops.block(place.id, &value, &asking).await {
        Ok(answered) => answered,
        Err(error) => return refused(&state, &who, &place.back, &error),
    };
    let Some(receipt) = answered.body.get("receipt").and_then(Value::as_str) else {
        return came_of(&state, &place.back, &answered);
    };
    let text = |pointer: &str| answered.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let confirm = Confirm {
        frame: state.frame(&who, Here::Cases, format!("Block {} for good?", place.id.short())),
        id: place.id,
        form: &who.form,
        once: (state.ops.fresh_id)().to_string(),
        reason,
        comment,
        receipt,
        state: words(text("/would/state")),
        becomes: text("/would/becomes"),
        second_person: state.ops.second_person.permanent_block,
    };
    page(StatusCode::OK, &confirm)
}

/// `POST /cases/{id}/tags`
pub(super) async fn tags(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(path): Path<String>,
    form: Form,
) -> Response {
    let Some(place) = Place::of(&path) else { return nobody(&state, &who) };
    let Some(key) = form.get("key") else { return state.say(&place.back, "incomplete") };
    let value = match form.get("value") {
        Some(value) => json!({ "set": { key: value } }),
        None => json!({ "delete": [key] }),
    };
    let body = value.to_string();
    let once = form.once(&who, "tags", place.id);
    let asking = Asking { by: &who.name, body: body.as_bytes(), once: once.as_ref(), dry_run: false };
    match state.ops.tags(place.id, &value, &asking).await {
        Ok(answered) => came_of(&state, &place.back, &answered),
        Err(error) => refused(&state, &who, &place.back, &error),
    }
}

/// `POST /cases/{id}/refresh`
pub(super) async fn refresh(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(path): Path<String>,
    _form: Form,
) -> Response {
    let Some(place) = Place::of(&path) else { return nobody(&state, &who) };
    // Somebody whom we do not know is no case to look at.
    let asked = match state.ops.standing(place.id).await {
        Ok(_) => state.ops.refresh(place.id, &who.name).await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(true) => state.say(&place.back, "asked"),
        Ok(false) => state.say(&place.back, "silent"),
        Err(error) => refused(&state, &who, &place.back, &error),
    }
}

/// A link that was made, shown once.
#[derive(Template)]
#[template(path = "console_link.html")]
struct Made<'a> {
    frame: Frame<'a>,
    id: CustomerHashId,
    url: &'a str,
    ends: &'a str,
}

/// `POST /cases/{id}/link`
pub(super) async fn link(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(path): Path<String>,
    _form: Form,
) -> Response {
    let Some(place) = Place::of(&path) else { return nobody(&state, &who) };
    let link = match state.ops.issue_link(place.id, &who.name, None).await {
        Ok(link) => link,
        Err(error) => return refused(&state, &who, &place.back, &error),
    };
    let text = |name: &str| link.get(name).and_then(Value::as_str).unwrap_or_default();
    let frame = state.frame(&who, Here::Cases, "A link for the customer");
    page(StatusCode::OK, &Made { frame, id: place.id, url: text("url"), ends: text("expiresAt") })
}

/// `POST /cases/{id}/link/revoke`
pub(super) async fn revoke(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(path): Path<String>,
    _form: Form,
) -> Response {
    let Some(place) = Place::of(&path) else { return nobody(&state, &who) };
    match state.ops.revoke_links(place.id, &who.name).await {
        Ok(_) => state.say(&place.back, "link-revoked"),
        Err(error) => refused(&state, &who, &place.back, &error),
    }
}

/// A field with its values: on file with us, and at Nium.
struct OnFile {
    field: String,
    ours: String,
    nium: String,
}

/// A correction in words.
struct Told {
    title: String,
    changes: Vec<(String, String, String)>,
    is_kept: bool,
}

#[derive(Template)]
#[template(path = "console_personal.html")]
struct Shown<'a> {
    frame: Frame<'a>,
    id: CustomerHashId,
    fields: Vec<OnFile>,
    corrections: Vec<Told>,
    nothing_sealed: bool,
}

/// `POST /cases/{id}/personal`: what is personal, for whoever decides; that they read it is on record.
pub(super) async fn personal(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(path): Path<String>,
    _form: Form,
) -> Response {
    let Some(place) = Place::of(&path) else { return nobody(&state, &who) };
    let personal = match state.ops.personal(place.id, &who.name).await {
        Ok(personal) => personal,
        Err(error) => return refused(&state, &who, &place.back, &error),
    };
    let mut names: Vec<&String> = personal.application.keys().chain(personal.at_nium.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let value = |value: Option<&Value>| value.map(said).unwrap_or_default();
    let fields = names.into_iter().map(|name| OnFile {
        field: name.clone(),
        ours: value(personal.application.get(name)),
        nium: value(personal.at_nium.get(name)),
    });
    let shown = Shown {
        frame: state.frame(&who, Here::Cases, format!("What is personal about {}", place.id.short())),
        id: place.id,
        fields: fields.collect(),
        corrections: personal.corrections.iter().map(|one| told(&state.ops, one)).collect(),
        nothing_sealed: personal.nothing_sealed,
    };
    page(StatusCode::OK, &shown)
}

fn told(ops: &Ops, correction: &Corrected) -> Told {
    let at = super::shell::Moment::new(correction.at, ops.clock.now());
    let outcome =
        correction.outcome.as_deref().map(|outcome| format!(", {}", words(outcome))).unwrap_or_default();
    let of = |change: &Change| {
        let value = |value: &Option<Value>| value.as_ref().map(said).unwrap_or_default();
        (change.field.clone(), value(&change.from), value(&change.to))
    };
    Told {
        title: format!("Handed in {} ({}): {}{outcome}", at.text, at.age, words(correction.status.as_str())),
        changes: correction.changes.iter().flatten().map(of).collect(),
        is_kept: correction.changes.is_some(),
    }
}

/// A value as people read it.
fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(said).collect::<Vec<_>>().join("; "),
        Value::Object(parts) => {
            let parts = parts.iter().map(|(name, value)| format!("{name}: {}", said(value)));
            parts.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// `POST /cases/{id}/bundle`: everything that proves what happened, as a file; that it was given out is on record.
pub(super) async fn bundle(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(path): Path<String>,
    _form: Form,
) -> Response {
    let Some(place) = Place::of(&path) else { return nobody(&state, &who) };
    match state.ops.bundle(place.id, &who.name).await {
        Ok(bundle) => {
            let name = format!("attachment; filename=\"bundle-{}.json\"", place.id);
            let name = HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("attachment"));
            let headers = [(header::CONTENT_DISPOSITION, name)];
            axum::response::IntoResponse::into_response((headers, axum::Json(bundle)))
        }
        Err(error) => refused(&state, &who, &place.back, &error),
    }
}
