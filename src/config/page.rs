//! `[page]`: how the hosted page and e-mails look to customers.

use std::fs;

use super::address::web_url;
use super::problem::shown;
use super::reader::{Reader, Told};
use crate::domain::documents::{DOCUMENTS_MAX, TYPE_CHARS_MAX};
use crate::domain::texts::Language;

/// Longest name and contact, in characters: they stand in one line on a phone.
const CHARS_MAX: usize = 80;

/// Largest logo, in bytes; every visitor loads it.
const LOGO_BYTES_MAX: usize = 256 * 1024;

/// How customers see the client.
#[derive(Clone, Debug)]
pub struct Page {
    /// The client's name.
    pub name: String,
    /// Its logo: media type and bytes.
    pub logo: Option<Logo>,
    /// Its colour: red, green, blue.
    pub colour: [u8; 3],
    /// Where customers may ask: an e-mail address, or an address that begins with https://.
    pub contact: Option<String>,
    /// The language where neither link nor browser names one.
    pub language: Language,
    /// Documents that customers are offered, in the words that Nium is told.
    pub documents: Vec<String>,
}

/// A logo that was read when the configuration was.
#[derive(Clone)]
pub struct Logo {
    /// Its media type.
    pub kind: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Logo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logo").field("kind", &self.kind).field("bytes", &self.bytes.len()).finish()
    }
}

pub(super) fn read(reader: &mut Reader) -> Result<Page, Told> {
    let name = reader.value("page.name", line);
    let logo = reader.optional("page.logo", read_logo);
    let colour = reader.value("page.colour", parse_colour);
    let contact = reader.optional("page.contact", parse_contact);
    let language = reader.value("page.language", |text| {
        let tags: Vec<&str> = Language::ALL.iter().map(|language| language.tag()).collect();
        Language::parse(text)
            .ok_or_else(|| format!("must be one of {}, not {}", tags.join(", "), shown(text)))
    });
    let documents = reader.list("page.documents", |text| {
        let fits = (1..=TYPE_CHARS_MAX).contains(&text.chars().count());
        if fits { line(text) } else { Err(format!("must have 1 to {TYPE_CHARS_MAX} characters")) }
    });
    let documents = documents.and_then(|documents| match documents.len() {
        1..=DOCUMENTS_MAX => Ok(documents),
        _ => Err(reader.tell("page.documents", format!("must have 1 to {DOCUMENTS_MAX} entries"))),
    });
    Ok(Page {
        name: name?,
        logo: logo?,
        colour: colour?,
        contact: contact?,
        language: language?,
        documents: documents?,
    })
}

/// One line of text.
fn line(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > CHARS_MAX || text.chars().any(char::is_control) {
        return Err(format!("must be one line of 1 to {CHARS_MAX} characters"));
    }
    Ok(text.to_owned())
}

fn parse_colour(text: &str) -> Result<[u8; 3], String> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
    let bytes = digits.and_then(|digits| hex::decode(digits).ok()).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| format!("must be # and six hexadecimal digits, such as #1a4d8f, not {}", shown(text)))
}

fn parse_contact(text: &str) -> Result<String, String> {
    let text = line(text)?;
    let is_web = text.starts_with("https://") && web_url(&text).is_ok();
    let is_mail = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && domain.contains('.')
            && !text.contains(|c: char| c.is_whitespace() || "<>\"?&".contains(c))
    });
    if is_web || is_mail {
        Ok(text)
    } else {
        Err("must be an e-mail address, or a web address that begins with https://".to_owned())
    }
}

fn read_logo(path: &str) -> Result<Logo, String> {
    let bytes = fs::read(path)
        .map_err(|error| format!("names a file that cannot be read, {}: {error}", shown(path)))?;
    if bytes.len() > LOGO_BYTES_MAX {
        return Err(format!("names a file of {} bytes; at most {LOGO_BYTES_MAX} are allowed", bytes.len()));
    }
    let start = bytes.trim_ascii_start();
    let is_svg =
        start.starts_with(b"<svg") || (start.starts_with(b"<?xml") && bytes.windows(4).any(|w| w == b"<svg"));
    let kind = match infer::get(&bytes).map(|found| found.mime_type()) {
        Some("image/png") => "image/png",
        Some("image/jpeg") => "image/jpeg",
        _ if is_svg => "image/svg+xml",
        _ => return Err("names a file that is no PNG, JPEG or SVG".to_owned()),
    };
    Ok(Logo { kind, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_six_digits() {
        assert_eq!(parse_colour("#1A4d8f"), Ok([0x1a, 0x4d, 0x8f]));
        for wrong in ["1a4d8f", "#fff", "#1a4d8g", "red", "#1a4d8f00", "#éa4d8"] {
            assert!(parse_colour(wrong).unwrap_err().contains("#1a4d8f"), "{wrong}");
        }
    }

    #[test]
    fn a_contact_leads_somewhere() {
        assert!(
            parse_contact("help@example.test").is_ok() && parse_contact("https://example.test/help").is_ok()
        );
        for wrong in [
            "javascript:alert(1)",
            "http://example.test",
            "help",
            "a@b",
            "a b@example.test",
            "a@example.test?bcc=x",
        ] {
            assert!(parse_contact(wrong).is_err(), "{wrong}");
        }
    }
}
