//! What every page for people needs, the hosted page's and the console's: cookies, forms that are our own, and headers by
//! which browsers keep strangers out.

use askama::Template;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use sha2::{Digest, Sha256};

/// Nothing but our own style, script and logo; no frame, no foreign form.
pub(super) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);
/// Browsers keep to https for two years once they were there.
const STRICT: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");
/// What the page may use of a device: nothing. Taking a photo is the file control's own affair.
const PERMISSIONS: HeaderValue =
    HeaderValue::from_static("camera=(), microphone=(), geolocation=(), payment=(), usb=()");

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(known, value)| (known == name).then_some(value))
}

/// What a form carries that was made for the holder of this cookie, so that a form of somebody else's page does nothing
/// here.
pub(super) fn form_token(visit: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"form of a visit");
    hash.update(visit.as_bytes());
    hex::encode(hash.finalize())
}

/// Whether a form is one that was made for the holder of this cookie.
pub(super) fn is_our_form(headers: &HeaderMap, visit: &str, given: Option<&str>) -> bool {
    carries(headers, &form_token(visit), given)
}

/// Whether a form comes from here, and carries this token.
pub(super) fn carries(headers: &HeaderMap, token: &str, given: Option<&str>) -> bool {
    let is_same = |given: &str| {
        aws_lc_rs::constant_time::verify_slices_are_equal(token.as_bytes(), given.as_bytes()).is_ok()
    };
    is_from_here(headers) && given.is_some_and(is_same)
}

/// What browsers say of where a request began; those that say nothing are held to the form's token.
pub(super) fn is_from_here(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => true,
        Some(_) => false,
    }
}

/// A page, or the apology for one that could not be made.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What every answer carries: nobody keeps it, frames it, learns its address, or adds to it.
pub(super) fn headers(secure: bool, policy: HeaderValue) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow")),
    ];
    if secure {
        headers.push((header::STRICT_TRANSPORT_SECURITY, STRICT));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_another_visit_or_site_is_none_of_ours() {
        let mut headers = HeaderMap::new();
        let token = form_token("visit");
        assert!(is_our_form(&headers, "visit", Some(&token)));
        assert!(!is_our_form(&headers, "another", Some(&token)));
        assert!(!is_our_form(&headers, "visit", None));
        headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        assert!(!is_our_form(&headers, "visit", Some(&token)));
    }
}
