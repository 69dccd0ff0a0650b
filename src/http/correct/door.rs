//! The links themselves: what one opens, the visit that it begins, and the end of reminders.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;

use super::shell::{asked_language, language};
use super::view::Landing;
use super::{CorrectState, Page, missing, trouble};
use crate::domain::texts::Language;
use crate::http::web::{is_from_here, page};

/// What a link opens. Nothing changes, and nothing of the customer's is shown.
pub(super) async fn land(
    State(state): Page,
    Path(token): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let chosen = language(&uri, &headers, &state.brand);
    let texts = &chosen.texts().page;
    match state.ops.link_is_open(&token).await {
        Ok(Some(_)) => {
            let landing = Landing {
                shell: state.shell(chosen, true),
                title: texts.landing_title,
                text: texts.landing_lead,
                button: texts.landing_button,
                note: Some(texts.landing_note),
            };
            page(StatusCode::OK, &landing)
        }
        Ok(None) => ended(&state, chosen),
        Err(error) => trouble(&state, chosen, &error),
    }
}

fn ended(state: &CorrectState, chosen: Language) -> Response {
    let texts = &chosen.texts().page;
    state.notice(StatusCode::GONE, chosen, texts.ended_title, texts.ended_text)
}

/// The first POST: a visit begins.
pub(super) async fn enter(
    State(state): Page,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let given: Option<Uri> = format!("/?{body}").parse().ok();
    let asked = given.as_ref().and_then(asked_language);
    let chosen = asked.unwrap_or_else(|| language(&Uri::default(), &headers, &state.brand));
    if !is_from_here(&headers) {
        return missing(&state, chosen);
    }
    match state.ops.begin_visit(&token).await {
        Ok(Ok(cookie)) => {
            let mut response = state.see("/correct");
            let set = [state.cookies.set_visit(&cookie), state.cookies.set_language(chosen)];
            for cookie in set.into_iter().flatten() {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            response
        }
        Ok(Err(_)) => ended(&state, chosen),
        Err(error) => trouble(&state, chosen, &error),
    }
}

/// `GET /correct/stop/{token}`: the page on which reminders are stopped. Reading it changes nothing.
pub(super) async fn ask_stop(
    State(state): Page,
    Path(token): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let chosen = language(&uri, &headers, &state.brand);
    let texts = &chosen.texts().page;
    match state.ops.link_is_open(&token).await {
        Ok(Some(_)) => {
            let landing = Landing {
                shell: state.shell(chosen, true),
                title: texts.stop_title,
                text: texts.stop_text,
                button: texts.stop_button,
                note: None,
            };
            page(StatusCode::OK, &landing)
        }
        Ok(None) => ended(&state, chosen),
        Err(error) => trouble(&state, chosen, &error),
    }
}

/// `POST /correct/stop/{token}`: no more reminders. Mail programs send it by themselves when their reader says so (RFC 8058).
pub(super) async fn stop(State(state): Page, Path(token): Path<String>, headers: HeaderMap) -> Response {
    let chosen = language(&Uri::default(), &headers, &state.brand);
    let texts = &chosen.texts().page;
    match state.ops.stop_reminders(&token).await {
        Ok(true) => state.notice(StatusCode::OK, chosen, texts.stop_title, texts.stop_done),
        Ok(false) => ended(&state, chosen),
        Err(error) => trouble(&state, chosen, &error),
    }
}
