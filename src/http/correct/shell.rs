//! What every page of the hosted correction has around it: the client's look, the language, cookies, and the headers that keep
//! strangers out.

use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, Uri};

use crate::domain::texts::{Language, Texts};
use crate::http::web::cookie;

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
}
