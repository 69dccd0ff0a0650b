//! Proofs of identity and address: the items of `identificationDoc` (contract section 9).
//!
//! - A *document* is one item: a type (`Passport`), details (number, expiry…) and files.
//! - A *file* is an image or a PDF in base64. Its content is never decoded as an image, only its first bytes are compared
//!   with the type that was declared.
//! - A *descriptor* stands for a file wherever one is shown: name, type, size and SHA-256, no bytes.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::fields::values::{country, date, entries, list, one_of, text};
use super::fields::{FieldProblem, TEXT_CHARS_MAX, is_silent};

/// Largest file, in bytes before base64 (contract section 2: "original file ≤ 2 MB").
pub const FILE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most bytes of all files of a customer together, before base64 (contract section 2: "≤ 10 MB per array").
pub const FILES_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Most documents of a customer. Nium states none; every kind it names, twice, is fewer.
pub const DOCUMENTS_MAX: usize = 20;
/// Most files of one document. Nium states none; both sides, and pages of a letter.
pub const FILES_MAX: usize = 10;
/// Longest name of a file, in characters. Nium states none; file systems stop at 255 bytes.
pub const FILE_NAME_CHARS_MAX: usize = 120;
/// Longest `identificationType`, in characters. Nium states none; its longest has 17.
pub const TYPE_CHARS_MAX: usize = 64;

/// The field of Unified Add Customer that holds the documents.
pub const FIELD: &str = "identificationDoc";
const TYPE: &str = "identificationType";
const FILES: &str = "identificationDocument";
const FILE_KEYS: &[&str] = &["fileName", "fileType", "document"];
const KEYS: &[&str] = &[
    TYPE,
    "identificationValue",
    "identificationDocExpiry",
    "identificationIssuingDate",
    "identificationIssuingAuthority",
    "identificationDocIssuanceCountry",
    "identificationDocHolderName",
    "identificationDocReferenceNumber",
    "identificationDocColor",
    FILES,
];
const FILE_TYPES: &[&str] =
    &["jpg", "jpeg", "png", "pdf", "image/jpg", "image/jpeg", "image/png", "application/pdf"];
/// Colours of an Australian Medicare card: green, blue, yellow.
const CARD_COLOURS: &[&str] = &["G", "B", "Y"];

/// One item of `identificationDoc`, checked. Holds personal data: it does not print itself.
#[derive(Clone, PartialEq)]
pub struct Document {
    item: Map<String, Value>,
    file_bytes: usize,
}

impl Document {
    /// Checks one item; `at` is its path, for the problem.
    pub fn parse(at: &str, value: &Value) -> Result<Self, FieldProblem> {
        let given = entries(at, value, KEYS)?;
        let mut item = Map::new();
        let mut file_bytes = 0;
        for (key, value) in given.iter().filter(|(_, value)| !is_silent(value)) {
            let at = format!("{at}.{key}");
            let kept = match key.as_str() {
                TYPE => text(&at, value, 1, TYPE_CHARS_MAX)?.into(),
                "identificationDocExpiry" | "identificationIssuingDate" => date(&at, value)?.into(),
                "identificationDocIssuanceCountry" => country(&at, value)?.into(),
                "identificationDocColor" => one_of(&at, value, CARD_COLOURS)?.into(),
                FILES => files(&at, value, &mut file_bytes)?,
                _ => text(&at, value, 1, TEXT_CHARS_MAX)?.into(),
            };
            item.insert(key.clone(), kept);
        }
        if !item.contains_key(TYPE) {
            let message = "say what the document is, such as Passport";
            return Err(FieldProblem::new(&format!("{at}.{TYPE}"), message));
        }
        Ok(Self { item, file_bytes })
    }

    /// Checks a list of items: the strict bounds of each, their number, and the size of all files together.
    pub fn parse_all(at: &str, value: &Value) -> Result<Vec<Self>, FieldProblem> {
        let mut documents = Vec::new();
        let mut bytes: usize = 0;
        for (position, item) in list(at, value, DOCUMENTS_MAX)?.iter().enumerate() {
            let document = Self::parse(&format!("{at}[{position}]"), item)?;
            bytes = bytes.saturating_add(document.file_bytes);
            if bytes > FILES_BYTES_MAX {
                return Err(FieldProblem::new(at, "use smaller files: all together may have 10 MiB"));
            }
            documents.push(document);
        }
        Ok(documents)
    }

    /// What the document is, as its sender spelled it.
    #[must_use]
    pub fn kind(&self) -> &str {
        kind(&self.item)
    }

    /// The item, as it is sent.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.item
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

/// Checks an `identificationDoc` array and gives it back in the form in which it is kept.
pub(super) fn check(at: &str, value: &Value) -> Result<Value, FieldProblem> {
    let documents = Document::parse_all(at, value)?;
    Ok(documents.into_iter().map(|document| Value::Object(document.item)).collect())
}

/// Whether two types mean the same document: vendors spell `Passport` and `PASSPORT`.
#[must_use]
pub fn same_kind(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// What a checked item is.
pub(super) fn kind(item: &Map<String, Value>) -> &str {
    item.get(TYPE).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a checked item has a file.
pub(super) fn has_file(item: &Map<String, Value>) -> bool {
    item.contains_key(FILES)
}

/// A checked `identificationDoc` array with every file replaced by its descriptor
/// `{fileName, fileType, bytes, sha256}`.
#[must_use]
pub fn describe(documents: &Value) -> Value {
    let items = documents.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_object).map(describe_item).collect()
}

fn describe_item(item: &Map<String, Value>) -> Value {
    let described = item.iter().map(|(key, value)| match (key.as_str(), value) {
        (FILES, Value::Array(files)) => (key.clone(), files.iter().map(describe_file).collect()),
        _ => (key.clone(), value.clone()),
    });
    Value::Object(described.collect())
}

fn describe_file(file: &Value) -> Value {
    let part = |key: &str| file.get(key).and_then(Value::as_str).unwrap_or_default();
    // What was checked decodes; what was not is described as no bytes rather than shown.
    let content = STANDARD.decode(part("document")).unwrap_or_default();
    let sha256 = Sha256::digest(&content).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    json!({ "fileName": part("fileName"), "fileType": part("fileType"), "bytes": content.len(), "sha256": sha256 })
}

/// Checks the files of one document and adds their size to `bytes`.
fn files(at: &str, value: &Value, bytes: &mut usize) -> Result<Value, FieldProblem> {
    let mut kept = Vec::new();
    for (position, file) in list(at, value, FILES_MAX)?.iter().enumerate() {
        let at = format!("{at}[{position}]");
        let file = entries(&at, file, FILE_KEYS)?;
        let part = |key: &str| file.get(key).unwrap_or(&Value::Null);
        let name = file_name(&format!("{at}.fileName"), part("fileName"))?;
        let file_type = one_of(&format!("{at}.fileType"), part("fileType"), FILE_TYPES)?;
        let content = content(&format!("{at}.document"), part("document"))?;
        if !content_is(&file_type, &content) {
            let message = "give the type that the file really has: JPEG, PNG or PDF";
            return Err(FieldProblem::new(&format!("{at}.fileType"), message));
        }
        *bytes = bytes.saturating_add(content.len());
        kept.push(json!({ "fileName": name, "fileType": file_type, "document": part("document") }));
    }
    Ok(Value::Array(kept))
}

fn file_name(at: &str, value: &Value) -> Result<String, FieldProblem> {
    let name = text(at, value, 1, FILE_NAME_CHARS_MAX)?;
    if name.contains(['/', '\\']) || name.chars().all(|c| c == '.') {
        return Err(FieldProblem::new(at, "give the file's name without folders"));
    }
    Ok(name)
}

/// The bytes of a file. Only the canonical form is taken, so that equal files are equal texts.
fn content(at: &str, value: &Value) -> Result<Vec<u8>, FieldProblem> {
    let too_large = || FieldProblem::new(at, "use a smaller file: one file may have 2 MiB");
    let wrong = || {
        FieldProblem::new(at, "give the file in base64 with padding, without line breaks or a data: prefix")
    };
    let encoded = value.as_str().filter(|encoded| !encoded.is_empty()).ok_or_else(wrong)?;
    // Four letters for three bytes: a longer text cannot fit, and is not worth decoding.
    if encoded.len() > FILE_BYTES_MAX.div_ceil(3).saturating_mul(4) {
        return Err(too_large());
    }
    let content = STANDARD.decode(encoded).map_err(|_| wrong())?;
    if content.len() > FILE_BYTES_MAX { Err(too_large()) } else { Ok(content) }
}

/// Whether the first bytes are those of the declared type.
fn content_is(file_type: &str, content: &[u8]) -> bool {
    let found = infer::get(content).map(|found| found.mime_type());
    let declared = match file_type {
        "png" | "image/png" => "image/png",
        "pdf" | "application/pdf" => "application/pdf",
        _ => "image/jpeg",
    };
    found == Some(declared)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nsynthetic";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0synthetic";
    const PDF: &[u8] = b"%PDF-1.7 synthetic";

    fn file(name: &str, file_type: &str, content: &[u8]) -> Value {
        json!({ "fileName": name, "fileType": file_type, "document": STANDARD.encode(content) })
    }

    fn passport(files: &[Value]) -> Value {
        json!({ "identificationType": "Passport", "identificationDocument": files })
    }

    fn problem(item: &Value) -> String {
        let problem = check(FIELD, &json!([item])).unwrap_err();
        format!("{}: {}", problem.field, problem.message)
    }

    fn png_of(bytes: usize) -> Value {
        let mut content = PNG.to_vec();
        content.resize(bytes, 0);
        file("large.png", "png", &content)
    }

    #[test]
    fn content_must_be_what_was_declared() {
        let contents = [("image/png", PNG), ("image/jpeg", JPEG), ("application/pdf", PDF)];
        for declared in FILE_TYPES {
            for (mime, content) in contents {
                let extension = mime.rsplit('/').next().unwrap();
                let agrees = declared.replace("jpg", "jpeg").ends_with(extension);
                let item = passport(&[file("a.bin", declared, content)]);
                assert_eq!(check(FIELD, &json!([item])).is_ok(), agrees, "{declared} {mime}");
            }
        }
        insta::assert_snapshot!(problem(&passport(&[file("a.png", "png", b"<html>")])), @"identificationDoc[0].identificationDocument[0].fileType: give the type that the file really has: JPEG, PNG or PDF");
        insta::assert_snapshot!(problem(&passport(&[file("a.gif", "gif", b"GIF89a")])), @"identificationDoc[0].identificationDocument[0].fileType: choose one of jpg, jpeg, png, pdf, image/jpg, image/jpeg, image/png, application/pdf");
    }

    #[test]
    fn two_mebibytes_fit_in_a_file_and_ten_in_all() {
        assert!(check(FIELD, &json!([passport(&[png_of(FILE_BYTES_MAX)])])).is_ok());
        for bytes in [FILE_BYTES_MAX + 1, FILE_BYTES_MAX + 3] {
            insta::allow_duplicates! {
                insta::assert_snapshot!(problem(&passport(&[png_of(bytes)])), @"identificationDoc[0].identificationDocument[0].document: use a smaller file: one file may have 2 MiB");
            }
        }
        let mut five = vec![passport(&[png_of(FILE_BYTES_MAX)]); 5];
        assert!(check(FIELD, &json!(five)).is_ok());
        five.push(passport(&[file("small.png", "png", PNG)]));
        insta::assert_snapshot!(check(FIELD, &json!(five)).unwrap_err().message, @"use smaller files: all together may have 10 MiB");
    }

    #[test]
    fn only_canonical_base64_is_taken() {
        let right = STANDARD.encode(PNG);
        let data_url = format!("data:image/png;base64,{right}");
        let broken = format!("{}\n{}", &right[..8], &right[8..]);
        let trailing_bits = right.replace("aWM=", "aWN=");
        let unpadded = right.trim_end_matches('=');
        let takes = |document: &str| {
            let item = passport(&[json!({ "fileName": "a.png", "fileType": "png", "document": document })]);
            check(FIELD, &json!([item])).is_ok()
        };
        assert!(takes(&right));
        for wrong in [unpadded, &data_url, &broken, &trailing_bits, "", "%%%%"] {
            assert!(wrong != right && !takes(wrong), "{wrong}");
        }
    }

    #[test]
    fn names_have_no_folders_and_an_end() {
        assert!(
            check(FIELD, &json!([passport(&[file(&"n".repeat(FILE_NAME_CHARS_MAX), "png", PNG)])])).is_ok()
        );
        for name in ["", "..", "a/b.png", "a\\b.png", "a\u{0}.png", &"n".repeat(FILE_NAME_CHARS_MAX + 1)] {
            assert!(problem(&passport(&[file(name, "png", PNG)])).contains("fileName"), "{name}");
        }
    }

    #[test]
    fn details_are_checked_and_blanks_left_out() {
        let item = json!({ "identificationType": " SelfieWithId ", "identificationValue": "", "identificationDocColor": "G" });
        let kept = check(FIELD, &json!([item])).unwrap();
        assert_eq!(kept, json!([{ "identificationType": "SelfieWithId", "identificationDocColor": "G" }]));
        insta::assert_snapshot!(problem(&json!({ "identificationValue": "X0000001" })), @"identificationDoc[0].identificationType: say what the document is, such as Passport");
        for wrong in [
            json!({ "identificationType": "Passport", "identificationDocExpiry": "04/05/2031" }),
            json!({ "identificationType": "Passport", "identificationDocColor": "R" }),
            json!({ "identificationType": "Passport", "identificationDocIssuanceCountry": "Atlantis" }),
            json!({ "identificationType": "Passport", "somethingElse": "x" }),
            json!("Passport"),
        ] {
            assert!(check(FIELD, &json!([wrong])).is_err(), "{wrong}");
        }
        assert!(check(FIELD, &json!(vec![passport(&[]); DOCUMENTS_MAX])).is_ok());
        assert!(check(FIELD, &json!(vec![passport(&[]); DOCUMENTS_MAX + 1])).is_err());
        assert!(check(FIELD, &json!([passport(&vec![file("a.png", "png", PNG); FILES_MAX + 1])])).is_err());
    }

    #[test]
    fn a_descriptor_has_no_bytes() {
        let kept = check(FIELD, &json!([passport(&[file("a.png", "png", PNG)])])).unwrap();
        let descriptor = json!({
            "fileName": "a.png", "fileType": "png", "bytes": PNG.len(),
            "sha256": "1f967b6f87c062d157d8b26611c162f0f4031415aeb5a03356f7323f60ca3ee7",
        });
        let item = json!({ "identificationType": "Passport", "identificationDocument": [descriptor] });
        assert_eq!(describe(&kept), json!([item]));
        assert_eq!(format!("{:?}", Document::parse("", &kept[0]).unwrap()), "Document { .. }");
    }
}
