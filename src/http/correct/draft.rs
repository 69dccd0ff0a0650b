//! What a visitor has written so far. It is kept sealed between two pages, so that nothing is typed or photographed twice, and
//! is turned into a correction, or into answers, when it is sent. Entries are kept as they were typed, right or wrong.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::fields::{is_masked, label, may_be_emptied, plain};
use super::form::{File, Form};
use crate::domain::documents::{DOCUMENTS_MAX, FILES_BYTES_MAX};
use crate::domain::fields::{Field, Kind};
use crate::domain::rfi::{RfiItem, Wanted};
use crate::domain::texts::Language;

/// How the entries of a correction are called in the form.
pub(super) const FIELD: &str = "f-";
/// How the entries of a new document are called in the form.
pub(super) const DOCUMENT: &str = "doc-";
/// The document of an answer, in Nium's words.
const ITEM: &str = "identificationDoc";
/// Bytes of all files that a draft keeps, as base64: no more than may be sent at once. A draft is read whole for every page.
const KEPT_BYTES_MAX: usize = FILES_BYTES_MAX.div_ceil(3) * 4;
/// What a document is sent as where Nium's item does not say.
const ANY_DOCUMENT: &str = "Government Id";

/// What was written. Personal: it does not print itself.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Draft {
    /// Entries of the correction by field name, as typed.
    pub(super) fields: BTreeMap<String, String>,
    /// Documents as they will be sent.
    pub(super) documents: Vec<Value>,
    /// Answers by the id of the item.
    pub(super) answers: BTreeMap<String, Answer>,
    /// A file could not be taken.
    pub(super) bad_file: bool,
    /// The visitor wanted to go on: what is wrong is shown.
    pub(super) tried: bool,
    /// Nium refused the answers: they are to be looked at again.
    pub(super) refused: bool,
}

/// What was written for one item of a request for information.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    /// Entries, as typed.
    pub(super) fields: BTreeMap<String, String>,
    /// The document.
    pub(super) document: Option<Value>,
    /// A file could not be taken.
    pub(super) bad_file: bool,
}

impl Draft {
    /// A draft that was kept; a newer or older form of it is none.
    pub(super) fn of(kept: Option<Value>) -> Self {
        kept.and_then(|kept| serde_json::from_value(kept).ok()).unwrap_or_default()
    }

    /// Takes up what a form of the correction says.
    pub(super) fn take(&mut self, form: &mut Form) {
        let names: Vec<String> = form.names(FIELD).map(str::to_owned).collect();
        for name in names.iter().filter(|name| is_asked(name)) {
            let entry = format!("{FIELD}{name}");
            let text = form.all(&entry).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(",");
            self.fields.insert(name.clone(), text);
        }
        let dropped: Vec<usize> = form.all("drop").filter_map(|place| place.parse().ok()).collect();
        let mut place = 0;
        self.documents.retain(|_| {
            place += 1;
            !dropped.contains(&(place - 1))
        });
        let (document, bad_file) = document_of(form, DOCUMENT);
        self.bad_file = bad_file;
        if let Some(document) = document {
            let bytes: usize = self.documents.iter().chain([&document]).map(weight).sum();
            if self.documents.len() < DOCUMENTS_MAX && bytes <= KEPT_BYTES_MAX {
                self.documents.push(document);
            } else {
                self.bad_file = true;
            }
        }
    }

    /// The correction: what differs from what is on file, and the new documents.
    pub(super) fn correction(&self, on_file: &Map<String, Value>) -> Value {
        let mut fields = Map::new();
        for (name, typed) in self.fields.iter().filter(|(name, _)| is_asked(name)) {
            let Some(field) = Field::named(name) else { continue };
            let there = on_file.get(name).and_then(plain);
            if typed.is_empty() {
                // A masked entry that is left empty stays as it is; one that was seen and emptied is taken out.
                if there.is_some() && may_be_emptied(field) {
                    fields.insert(name.clone(), Value::Null);
                }
            } else if is_masked(name) || there.as_deref() != Some(typed.as_str()) {
                fields.insert(name.clone(), value_of(field.kind, typed));
            }
        }
        let mut correction = Map::new();
        if !fields.is_empty() {
            correction.insert("fields".to_owned(), Value::Object(fields));
        }
        if !self.documents.is_empty() {
            correction.insert("documents".to_owned(), Value::Array(self.documents.clone()));
        }
        Value::Object(correction)
    }

    /// Takes up what a form of answers says; entries carry the place of their item.
    pub(super) fn take_answers(&mut self, items: &[RfiItem], form: &mut Form) {
        for (place, item) in items.iter().enumerate() {
            let prefix = format!("r{place}-");
            let answer = self.answers.entry(item.id.clone()).or_default();
            for wanted in item.wanted.iter().filter(|wanted| !is_of_document(wanted)) {
                if let Some(text) = form.text(&format!("{prefix}{}", wanted.name)) {
                    answer.fields.insert(wanted.name.clone(), text.to_owned());
                }
            }
            let (document, bad_file) = document_of(form, &prefix);
            answer.bad_file = bad_file;
            if let Some(document) = document {
                let before = answer.document.replace(document);
                if self
                    .answers
                    .values()
                    .filter_map(|answer| answer.document.as_ref())
                    .map(weight)
                    .sum::<usize>()
                    > KEPT_BYTES_MAX
                    && let Some(answer) = self.answers.get_mut(&item.id)
                {
                    (answer.document, answer.bad_file) = (before, true);
                }
            }
        }
        self.answers.retain(|id, _| items.iter().any(|item| item.id == *id));
        self.refused = false;
    }

    /// The answers, as `ops` takes them.
    pub(super) fn answers(&self, items: &[RfiItem]) -> Value {
        let answers = items.iter().map(|item| {
            let mut fields = Map::new();
            if let Some(answer) = self.answers.get(&item.id) {
                for (name, typed) in answer.fields.iter().filter(|(_, typed)| !typed.is_empty()) {
                    fields.insert(name.clone(), json!(typed));
                }
                if let Some(document) = &answer.document {
                    fields.insert(ITEM.to_owned(), document.clone());
                }
            }
            json!({ "rfiHashId": item.id, "fields": fields })
        });
        json!({ "answers": answers.collect::<Vec<_>>() })
    }
}

/// Whether the page asks for this field at all. Whoever writes a form by hand may not change more than whoever reads it.
fn is_asked(name: &str) -> bool {
    label(Language::En.texts(), name).is_some()
}

/// How much room the files of a document take as they are kept.
fn weight(document: &Value) -> usize {
    let files = document.get("identificationDocument").and_then(Value::as_array);
    files.into_iter().flatten().filter_map(|file| file.get("document")?.as_str()).map(str::len).sum()
}

/// Whether what is wanted is a part of a document.
pub(super) fn is_of_document(wanted: &Wanted) -> bool {
    wanted.file || wanted.name == "document" || wanted.name.starts_with("identification")
}

/// What was typed, as the API takes it. What cannot be right is left as text: the check says so.
fn value_of(kind: Kind, typed: &str) -> Value {
    match kind {
        Kind::Flag => typed.parse::<bool>().map_or_else(|_| json!(typed), Value::Bool),
        Kind::Countries => typed.split(',').map(Value::from).collect(),
        Kind::TaxDetails => {
            let (country, number) = typed.split_once(',').unwrap_or((typed, ""));
            json!([{ "countryOfResidence": country, "taxIdNumber": number }])
        }
        Kind::Text(_)
        | Kind::Email
        | Kind::Mobile
        | Kind::Country
        | Kind::Currency
        | Kind::Date
        | Kind::OneOf(_)
        | Kind::Occupation
        | Kind::Tags
        | Kind::Texts
        | Kind::Documents => json!(typed),
    }
}

/// A document of the form, if there is any of it, and whether a file of it could not be taken.
fn document_of(form: &mut Form, prefix: &str) -> (Option<Value>, bool) {
    let names = ["photo", "file"].map(|name| format!("{prefix}{name}"));
    let mut files = Vec::new();
    let mut bad_file = false;
    for file in form.take_files(&names) {
        match file {
            File::Whole(name, bytes) => match infer::get(&bytes).map(|found| found.mime_type()) {
                Some(kind @ ("image/jpeg" | "image/png" | "application/pdf")) => {
                    let document = STANDARD.encode(&bytes);
                    files.push(json!({ "fileName": name, "fileType": kind, "document": document }));
                }
                Some(_) | None => bad_file = true,
            },
            File::TooLarge => bad_file = true,
        }
    }
    let entry = |name: &str| form.text(&format!("{prefix}{name}")).filter(|text| !text.is_empty());
    let kind = entry("kind");
    let details = [
        ("identificationValue", entry("number")),
        ("identificationDocExpiry", entry("expiry")),
        ("identificationDocIssuanceCountry", entry("country")),
    ];
    let mut item = Map::new();
    for (name, text) in details {
        if let Some(text) = text {
            item.insert(name.to_owned(), json!(text));
        }
    }
    if !files.is_empty() {
        item.insert("identificationDocument".to_owned(), Value::Array(files));
    }
    // A kind alone is what the page itself chose.
    if item.is_empty() {
        return (None, bad_file);
    }
    item.insert("identificationType".to_owned(), json!(kind.unwrap_or(ANY_DOCUMENT)));
    (Some(Value::Object(item)), bad_file)
}
