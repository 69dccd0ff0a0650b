//! What every page of the hosted correction has around it: the client's look, the language, cookies, and the headers that keep
//! strangers out.

use askama::Template;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::domain::texts::{Language, Texts};

/// Nothing but our own style, script and logo; no frame, no foreign form.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);
/// Browsers keep to https for two years once they were there.
const STRICT: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");
/// What the page may use of a device: nothing. Taking a photo is the file control's own affair.
const PERMISSIONS: HeaderValue =
    HeaderValue::from_static("camera=(), microphone=(), geolocation=(), payment=(), usb=()");
/// The cookie that remembers the language; nothing personal is in it.
const LANGUAGE_COOKIE: &str = "correct-lang";

/// The client's look.
#[derive(Clone, Debug)]
pub struct Brand {
    /// The client's name.
    pub name: String,
    /// Its logo: media type and bytes.
    pub logo: Option<(&'static str, Vec<u8>)>,
    /// Its colour: red, green, blue.
    pub colour: [u8; 3],
    /// Where customers may ask: an e-mail address or an address of the web.
    pub contact: Option<String>,
    /// The language where neither link nor browser names one.
    pub language: Language,
    /// Documents that customers are offered, in the words that Nium is told.
    pub documents: Vec<String>,
}

impl Brand {
    /// Whether there is a logo.
    #[must_use]
    pub fn has_logo(&self) -> bool {
        self.logo.is_some()
    }

    /// Where the contact leads.
    #[must_use]
    pub fn contact_href(&self) -> String {
        match self.contact.as_deref() {
            Some(contact) if contact.starts_with("https://") => contact.to_owned(),
            Some(contact) => format!("mailto:{contact}"),
            None => String::new(),
        }
    }

    /// The style sheet in the client's colour. What is written on the colour is black or white, whichever is read better: one
    /// of them always has a contrast of at least 4.5 (WCAG 2.2, 1.4.3).
    pub(super) fn style(&self) -> String {
        let [red, green, blue] = self.colour;
        let on = if luminance(self.colour) > 0.179 { "#000000" } else { "#ffffff" };
        format!(
            ":root{{--brand:#{red:02x}{green:02x}{blue:02x};--on-brand:{on}}}\n{}",
            include_str!("page.css")
        )
    }
}

/// Relative luminance (WCAG 2.2).
fn luminance(colour: [u8; 3]) -> f64 {
    let [red, green, blue] = colour.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// What is around the content of one page.
pub(super) struct Shell<'a> {
    pub(super) texts: &'static Texts,
    pub(super) brand: &'a Brand,
    /// What stands before every path: the path of the public address.
    pub(super) base: &'a str,
    /// The languages to choose from here: none on the answer to a POST.
    pub(super) languages: &'static [Language],
}

/// The language of a request: what it asks for, what was chosen before, what the browser likes, what the client chose.
pub(super) fn language(uri: &Uri, headers: &HeaderMap, brand: &Brand) -> Language {
    let asked = asked_language(uri);
    let kept = || cookie(headers, LANGUAGE_COOKIE).and_then(Language::parse);
    let accepted = || {
        let header = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
        Language::accepted(header)
    };
    asked.or_else(kept).or_else(accepted).unwrap_or(brand.language)
}

/// `?lang=de`
pub(super) fn asked_language(uri: &Uri) -> Option<Language> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == "lang").find_map(|(_, tag)| Language::parse(tag))
}

/// How cookies are called and set: over https with the name that browsers tie to the host and to https.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookies {
    /// The page is reached over https.
    pub(super) secure: bool,
}

impl Cookies {
    fn visit_name(self) -> &'static str {
        if self.secure { "__Host-correct" } else { "correct" }
    }

    /// The visit's token.
    pub(super) fn visit(self, headers: &HeaderMap) -> Option<&str> {
        cookie(headers, self.visit_name())
    }

    /// Sets the visit's cookie; it goes with the browser.
    pub(super) fn set_visit(self, token: &str) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{}={token}; Path=/; HttpOnly; SameSite=Strict{secure}", self.visit_name());
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Remembers the language.
    pub(super) fn set_language(self, language: Language) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let tag = language.tag();
        HeaderValue::from_str(&format!(
            "{LANGUAGE_COOKIE}={tag}; Path=/correct; HttpOnly; SameSite=Lax{secure}"
        ))
        .ok()
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(known, value)| (known == name).then_some(value))
}

/// What a form of this visit carries, so that a form of somebody else's page does nothing here.
pub(super) fn form_token(visit: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"form of a visit");
    hash.update(visit.as_bytes());
    hex::encode(hash.finalize())
}

/// Whether a form is one of ours.
pub(super) fn is_our_form(headers: &HeaderMap, visit: &str, given: Option<&str>) -> bool {
    is_from_here(headers)
        && given.is_some_and(|given| {
            let expected = form_token(visit);
            aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), given.as_bytes()).is_ok()
        })
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
pub(super) fn headers(secure: bool) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![
        (header::CONTENT_SECURITY_POLICY, POLICY),
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
    fn black_or_white_is_read_on_every_colour() {
        for colour in [
            [0, 0, 0],
            [255, 255, 255],
            [255, 0, 0],
            [0, 128, 0],
            [118, 118, 118],
            [0, 0, 255],
            [255, 200, 0],
        ] {
            let light = luminance(colour);
            let on = if light > 0.179 { 0.0 } else { 1.0 };
            let (high, low) = (light.max(on), light.min(on));
            assert!((high + 0.05) / (low + 0.05) >= 4.5, "{colour:?}");
        }
    }

    #[test]
    fn cookies_are_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; correct=x; __Host-correct=secret"));
        assert_eq!(Cookies { secure: true }.visit(&headers), Some("secret"));
        assert_eq!(Cookies { secure: false }.visit(&headers), Some("x"));
        headers.clear();
        headers.append(header::COOKIE, HeaderValue::from_static("; =; correct"));
        assert_eq!(Cookies { secure: false }.visit(&headers), None);
    }

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
