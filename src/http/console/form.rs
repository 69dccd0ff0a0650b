//! What a form of the console says. A form is read only if it is one of ours, made for the session that sends it.

use std::sync::Arc;

use axum::Form as Pairs;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;

use super::shell::{Frame, Here, notice};
use super::{ConsoleState, Signed};
use crate::domain::id::CustomerHashId;
use crate::http::web::carries;
use crate::ops::once::Once;

/// Longest value of `once`, in characters.
const ONCE_CHARS_MAX: usize = 64;

/// The fields of a form.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// A field without the blanks around it; `None` where it is left out or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// A form that is sent twice, by two fingers or by going back, does what it says once.
    pub(super) fn once(&self, who: &Signed, route: &str, customer: CustomerHashId) -> Option<Once> {
        let once = self.get("once").filter(|once| once.len() <= ONCE_CHARS_MAX)?;
        Some(Once::new(&who.name, &format!("console {route}"), customer, once))
    }
}

impl FromRequest<Arc<ConsoleState>> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, state: &Arc<ConsoleState>) -> Result<Self, Response> {
        let who = request.extensions().get::<Signed>().cloned();
        let headers = request.headers().clone();
        let pairs = Pairs::<Vec<(String, String)>>::from_request(request, state).await;
        let refused = |status: StatusCode, text: &str| {
            let frame = Frame {
                title: "Not taken".into(),
                base: &state.base,
                who: who.as_ref(),
                here: Here::Elsewhere,
                said: None,
                live: None,
            };
            notice(status, frame, text, Some(("/", "Back to the overview")))
        };
        let Pairs(pairs) = pairs.map_err(|rejection| {
            let status = axum::response::IntoResponse::into_response(rejection).status();
            refused(status, "The form is too large, or cannot be read. Nothing was done.")
        })?;
        let form = Self(pairs);
        let given = form.get("form");
        let is_ours = who.as_ref().is_some_and(|who| carries(&headers, &who.form, given));
        if !is_ours {
            let text = "The form is not one of this session. Nothing was done; go back, read the page anew, and try again.";
            return Err(refused(StatusCode::FORBIDDEN, text));
        }
        Ok(form)
    }
}
