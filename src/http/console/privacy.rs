//! What is kept of a person: the legal hold, erasing, and handing everything out. Each handler takes a form apart, calls
//! `ops`, and leads back to the case with a word about what came of it.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::acts::{Place, refused};
use super::case::nobody;
use super::form::Form;
use super::shell::{Here, Moment, notice};
use super::{Console, ConsoleState, Signed};
use crate::domain::case::CaseState;
use crate::domain::role::Need;
use crate::ops::acts::Asking;
use crate::ops::privacy::HoldWish;
use crate::store::rows::CaseRow;
use crate::store::rows::privacy::{Erasure, HoldRow};

/// What a case page says about keeping and erasing.
pub(super) struct Keeping {
    /// Who holds the case, and since when.
    pub(super) hold: Option<(String, Moment)>,
    /// Why, in the words of whoever set it.
    pub(super) why: Option<String>,
    /// Why nothing is erased.
    pub(super) why_not: Option<&'static str>,
}

impl Keeping {
    pub(super) fn of(
        row: &CaseRow,
        hold: Option<&HoldRow>,
        why: Option<String>,
        who: &Signed,
        state: &ConsoleState,
    ) -> Self {
        let now = state.ops.clock.now();
        let why_not = if hold.is_some() {
            Some("A legal hold is set; lift it first.")
        } else if matches!(row.case.state, CaseState::Submitting { .. }) {
            Some("A submission is on its way; erase when Nium has answered.")
        } else if !who.may(Need::Manage) {
            Some("Your role decides about cases; admins erase.")
        } else {
            None
        };
        Self { hold: hold.map(|hold| (hold.by.clone(), Moment::new(hold.since, now))), why, why_not }
    }
}

/// The page of somebody who was erased.
pub(super) fn gone(state: &ConsoleState, who: &Signed, erasure: &Erasure) -> Response {
    let at = Moment::new(erasure.erased_at, state.ops.clock.now());
    let frame = state.frame(who, Here::Cases, format!("Case {}: erased", erasure.customer_hash_id.short()));
    let text = format!(
        "The customer was erased by {} at {} ({}). Nothing is kept about them; callbacks about them are counted.",
        erasure.erased_by, at.text, at.age
    );
    notice(StatusCode::GONE, frame, &text, Some(("/cases", "All cases")))
}

/// `POST /cases/{id}/hold`
pub(super) async fn hold(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(path): Path<String>,
    form: Form,
) -> Response {
    let Some(place) = Place::of(&path) else { return nobody(&state, &who) };
    let value = json!({ "action": form.get("action"), "reason": form.get("reason") });
    let Ok(wish) = HoldWish::parse(&value) else { return state.say(&place.back, "incomplete") };
    let body = value.to_string();
    let once = form.once(&who, "hold", place.id);
    let asking = Asking { by: &who.name, body: body.as_bytes(), once: once.as_ref(), dry_run: false };
    match state.ops.change_hold(place.id, &wish, &asking).await {
        Ok(_) => state.say(&place.back, if wish.set { "held" } else { "not-held" }),
        Err(error) => refused(&state, &who, &place.back, &error),
    }
}

/// `POST /cases/{id}/erase`
pub(super) async fn erase(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(path): Path<String>,
    form: Form,
) -> Response {
    let Some(place) = Place::of(&path) else { return nobody(&state, &who) };
    if form.get("sure") != Some("yes") {
        return state.say(&place.back, "incomplete");
    }
    let once = form.once(&who, "erase", place.id);
    let asking = Asking { by: &who.name, body: b"", once: once.as_ref(), dry_run: false };
    match state.ops.erase(place.id, &asking).await {
        Ok(_) => state.see(&place.back),
        Err(error) => refused(&state, &who, &place.back, &error),
    }
}

/// `POST /cases/{id}/export`: everything on file, opened, as a file; that it was given out is on record.
pub(super) async fn export(
    State(state): Console,
    Extension(who): Extension<Signed>,
    Path(path): Path<String>,
    _form: Form,
) -> Response {
    let Some(place) = Place::of(&path) else { return nobody(&state, &who) };
    match state.ops.export(place.id, &who.name).await {
        Ok(export) => {
            let name = format!("attachment; filename=\"export-{}.json\"", place.id);
            let name = HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("attachment"));
            ([(header::CONTENT_DISPOSITION, name)], axum::Json(export)).into_response()
        }
        Err(error) => refused(&state, &who, &place.back, &error),
    }
}
