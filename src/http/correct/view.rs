//! What the pages show: entries with what is on file and what is wrong, documents, differences. The templates are beside it.

use std::collections::BTreeMap;

use askama::Template;
use serde_json::{Map, Value};

use super::draft::{Draft, is_of_document};
use super::fields::{autocomplete, heading, is_masked, label, plain, shown_on_file};
use super::problems::{Problems, of_entry};
use super::shell::Shell;
use crate::domain::documents::same_kind;
use crate::domain::fields::{FIELDS, Field, Group, Kind, TEXT_CHARS_MAX};
use crate::domain::remark::{Grounds, RemarkClass};
use crate::domain::rfi::{self, RfiItem};
use crate::domain::texts::Texts;

/// The first page of a link, and the page that stops reminders: a sentence and one button.
#[derive(Template)]
#[template(path = "landing.html")]
pub(super) struct Landing<'a> {
    pub(super) shell: Shell<'a>,
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    pub(super) button: &'a str,
    pub(super) note: Option<&'a str>,
}

/// A sentence.
#[derive(Template)]
#[template(path = "notice.html")]
pub(super) struct Notice<'a> {
    pub(super) shell: Shell<'a>,
    pub(super) title: &'a str,
    pub(super) text: &'a str,
}

/// The correction's form.
#[derive(Template)]
#[template(path = "correct.html")]
pub(super) struct Correct<'a> {
    pub(super) shell: Shell<'a>,
    pub(super) form: String,
    pub(super) why: &'static str,
    pub(super) deadline: String,
    pub(super) problems: Vec<Told>,
    pub(super) cannot_ask: bool,
    pub(super) first: Vec<Entry>,
    pub(super) others: Vec<Heap>,
    pub(super) others_open: bool,
    pub(super) documents: Papers,
}

/// The difference, before it is sent.
#[derive(Template)]
#[template(path = "review.html")]
pub(super) struct Review<'a> {
    pub(super) shell: Shell<'a>,
    pub(super) form: String,
    pub(super) changes: Vec<Change>,
}

/// The form of a request for information.
#[derive(Template)]
#[template(path = "asked.html")]
pub(super) struct Asked<'a> {
    pub(super) shell: Shell<'a>,
    pub(super) form: String,
    pub(super) deadline: String,
    pub(super) problem: bool,
    pub(super) items: Vec<Item>,
    pub(super) countries: Vec<Choice>,
}

/// A problem in the list above the form.
pub(super) struct Told {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) text: String,
}

/// Entries under one heading.
pub(super) struct Heap {
    pub(super) heading: &'static str,
    pub(super) entries: Vec<Entry>,
}

/// One entry of a form.
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) label: String,
    pub(super) input: Input,
    pub(super) value: String,
    pub(super) on_file: Option<String>,
    pub(super) problem: Option<String>,
    pub(super) autocomplete: &'static str,
    pub(super) countries: bool,
}

impl Entry {
    pub(super) fn is_described(&self) -> bool {
        self.on_file.is_some() || self.problem.is_some()
    }
}

/// How an entry is filled in.
pub(super) enum Input {
    /// Type, input mode, most characters.
    Line(&'static str, &'static str, usize),
    /// One of these.
    Choice(Vec<Choice>),
    /// Some of these.
    Many(Vec<Choice>),
    /// A country and a number.
    Tax(Vec<Choice>, String),
}

/// Something to choose.
#[derive(Clone)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) chosen: bool,
}

/// The documents of the form.
pub(super) struct Papers {
    pub(super) first: bool,
    pub(super) problem: Option<String>,
    pub(super) on_file: String,
    pub(super) attached: Vec<Paper>,
    pub(super) kinds: Vec<Choice>,
    pub(super) countries: Vec<Choice>,
}

/// A document that is attached.
pub(super) struct Paper {
    pub(super) kind: String,
    pub(super) files: String,
}

/// One line of the difference.
pub(super) struct Change {
    pub(super) label: String,
    pub(super) was: String,
    pub(super) new: String,
}

/// One item of a request for information.
pub(super) struct Item {
    pub(super) question: String,
    pub(super) prefix: String,
    pub(super) entries: Vec<Entry>,
    pub(super) document: bool,
    pub(super) details: bool,
    pub(super) attached: Option<String>,
    pub(super) problem: Option<String>,
    pub(super) kinds: Vec<Choice>,
}

/// What went wrong, in plain words.
pub(super) fn why(grounds: &Grounds, texts: &'static Texts) -> &'static str {
    let whys = &texts.whys;
    match (grounds.class, grounds.rule.as_deref()) {
        (RemarkClass::Lapsed, _) => whys.lapsed,
        (_, Some("name")) => whys.name,
        (_, Some("date-of-birth")) => whys.birth,
        (_, Some("nationality")) => whys.nationality,
        (_, Some("selfie")) => whys.selfie,
        (_, Some("proof-of-address")) => whys.proof_of_address,
        (_, Some("contact")) => whys.contact,
        (_, Some("address")) => whys.address,
        (_, Some("document")) => whys.document,
        (_, Some("tax")) => whys.tax,
        (RemarkClass::Fixable, _) => whys.incomplete,
        (RemarkClass::Unknown | RemarkClass::Final, _) => whys.unknown,
    }
}

/// Everything the form is made of.
pub(super) struct Sheet<'a> {
    pub(super) texts: &'static Texts,
    pub(super) on_file: &'a Map<String, Value>,
    pub(super) draft: &'a Draft,
    pub(super) problems: &'a Problems,
}

impl Sheet<'_> {
    /// The fields to correct first, in the order of the rule.
    pub(super) fn first(&self, names: &[String]) -> Vec<Entry> {
        names.iter().filter_map(|name| self.entry(Field::named(name)?)).collect()
    }

    /// All other fields, by what they are about. Addresses beside the home are only offered where there are any.
    pub(super) fn others(&self, but: &[String]) -> Vec<Heap> {
        let mut heaps: Vec<(Group, Heap)> = Vec::new();
        for field in FIELDS.iter().filter(|field| !but.iter().any(|name| name == field.name)) {
            let seldom = matches!(field.group, Group::Delivery | Group::Correspondence | Group::Funding);
            if seldom && !self.on_file.contains_key(field.name) && !self.problems.contains_key(field.name) {
                continue;
            }
            let Some(entry) = self.entry(field) else { continue };
            if let Some((_, heap)) = heaps.iter_mut().find(|(group, _)| *group == field.group) {
                heap.entries.push(entry);
            } else {
                let heading = heading(self.texts, field.group);
                heaps.push((field.group, Heap { heading, entries: vec![entry] }));
            }
        }
        heaps.into_iter().map(|(_, heap)| heap).collect()
    }

    fn entry(&self, field: &Field) -> Option<Entry> {
        let label = label(self.texts, field.name)?;
        let masked = is_masked(field.name);
        let there = self.on_file.get(field.name).and_then(plain).unwrap_or_default();
        let untouched = if masked { String::new() } else { there };
        let value = self.draft.fields.get(field.name).cloned().unwrap_or(untouched);
        Some(Entry {
            id: format!("f-{}", field.name),
            name: format!("f-{}", field.name),
            label: label.to_owned(),
            input: input(field.kind, &value, self.texts),
            on_file: if masked { shown_on_file(self.on_file, field.name) } else { None },
            problem: self.problems.get(field.name).cloned(),
            autocomplete: autocomplete(field.name),
            countries: matches!(field.kind, Kind::Country),
            value,
        })
    }

    /// The documents; `offered` in the words that Nium is told.
    pub(super) fn papers(&self, first: bool, offered: &[String]) -> Papers {
        let there = self.on_file.get("identificationDoc").and_then(Value::as_array);
        let kinds = there.into_iter().flatten().map(|item| paper(item, self.texts).kind);
        Papers {
            first,
            problem: self.problems.get("documents").cloned(),
            on_file: kinds.collect::<Vec<_>>().join(", "),
            attached: self.draft.documents.iter().map(|item| paper(item, self.texts)).collect(),
            kinds: kinds_of(offered, self.texts),
            countries: countries(""),
        }
    }

    /// The list of problems above the form, in the order of the table of fields.
    pub(super) fn told(&self, nothing_changed: bool) -> Vec<Told> {
        let mut told = Vec::new();
        if nothing_changed {
            let text = self.texts.page.nothing_changed.to_owned();
            told.push(Told { id: String::new(), label: String::new(), text });
        }
        let own = self.problems.iter().filter(|(name, _)| name.as_str() != "documents");
        for (name, text) in own {
            let (id, label) = match label(self.texts, name) {
                Some(label) => (format!("f-{name}"), label.to_owned()),
                None => (String::new(), String::new()),
            };
            let text = if id.is_empty() { self.texts.page.cannot_ask.to_owned() } else { text.clone() };
            told.push(Told { id, label, text });
        }
        if let Some(text) = self.problems.get("documents") {
            let label = self.texts.page.documents.to_owned();
            told.push(Told { id: "documents".to_owned(), label, text: text.clone() });
        }
        told
    }
}

fn input(kind: Kind, value: &str, texts: &Texts) -> Input {
    let choices = |pairs: &[(&str, &str)]| {
        let choice = |(word, label): &(&str, &str)| Choice {
            value: (*word).to_owned(),
            label: (*label).to_owned(),
            chosen: *word == value,
        };
        Input::Choice(pairs.iter().map(choice).collect())
    };
    match kind {
        Kind::Text(most) => Input::Line("text", "", most),
        Kind::Email => Input::Line("email", "email", 60),
        Kind::Mobile => Input::Line("tel", "tel", 20),
        Kind::Date => Input::Line("date", "", 10),
        Kind::Currency => Input::Line("text", "", 3),
        Kind::Country => Input::Choice(countries(value)),
        Kind::Countries => Input::Many(countries(value)),
        Kind::Flag => choices(&[("true", texts.page.yes), ("false", texts.page.no)]),
        Kind::OneOf(words) => {
            let named: Vec<(&str, &str)> = words.iter().map(|word| (*word, word_for(word, texts))).collect();
            choices(&named)
        }
        Kind::TaxDetails => {
            let (country, number) = value.split_once(',').unwrap_or((value, ""));
            Input::Tax(countries(country), number.to_owned())
        }
        Kind::Occupation | Kind::Tags | Kind::Texts | Kind::Documents => {
            Input::Line("text", "", TEXT_CHARS_MAX)
        }
    }
}

/// Nium's word, as a customer reads it (contract section 9: the amounts behind `MF001` to `MF005`).
fn word_for(word: &'static str, texts: &Texts) -> &'static str {
    match word {
        "Male" => texts.page.male,
        "Female" => texts.page.female,
        "Others" => texts.page.others_gender,
        "MF001" => "< 1000",
        "MF002" => "1000 – 5000",
        "MF003" => "5001 – 10000",
        "MF004" => "10001 – 20000",
        "MF005" => "> 20000",
        other => other,
    }
}

/// Every country; `chosen` holds codes with commas between.
pub(super) fn countries(chosen: &str) -> Vec<Choice> {
    let chosen: Vec<&str> = chosen.split(',').collect();
    let choice = |country: &rust_iso3166::CountryCode| Choice {
        value: country.alpha2.to_owned(),
        label: country.name.to_owned(),
        chosen: chosen.contains(&country.alpha2),
    };
    rust_iso3166::ALL.iter().map(choice).collect()
}

fn kinds_of(offered: &[String], texts: &Texts) -> Vec<Choice> {
    let choice = |(place, word): (usize, &String)| Choice {
        value: word.clone(),
        label: kind_label(word, texts),
        chosen: place == 0,
    };
    offered.iter().enumerate().map(choice).collect()
}

/// What a kind of document is called; one that nobody knows is shown as it is written.
fn kind_label(kind: &str, texts: &Texts) -> String {
    let known = &texts.documents;
    let plain: String = kind.chars().filter(|c| c.is_alphanumeric()).collect();
    let names = [
        ("passport", known.passport),
        ("nationalid", known.national_id),
        ("drivinglicence", known.driving_licence),
        ("driverslicence", known.driving_licence),
        ("selfiewithid", known.selfie),
        ("selfie", known.selfie),
        ("utilitybill", known.utility_bill),
        ("bankstatement", known.bank_statement),
        ("proofofaddress", known.proof_of_address),
        ("governmentid", known.government_id),
    ];
    let found = names.iter().find(|(word, _)| same_kind(word, &plain));
    found.map_or_else(|| kind.to_owned(), |(_, name)| (*name).to_owned())
}

fn paper(item: &Value, texts: &Texts) -> Paper {
    let kind = item.get("identificationType").and_then(Value::as_str).unwrap_or_default();
    let files = item.get("identificationDocument").and_then(Value::as_array);
    let names = files.into_iter().flatten().filter_map(|file| file.get("fileName")?.as_str());
    Paper { kind: kind_label(kind, texts), files: names.collect::<Vec<_>>().join(", ") }
}

/// The difference, as `ops` tells it, in the visitor's words.
pub(super) fn changes(difference: &Value, texts: &'static Texts) -> Vec<Change> {
    let list = difference.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|change| change_of(change, texts)).collect()
}

fn change_of(change: &Value, texts: &'static Texts) -> Option<Change> {
    let name = change.get("field")?.as_str()?;
    let side = |which: &str| change.get(which).filter(|value| !value.is_null());
    let (was, new) = (side("from"), side("to"));
    if name == "identificationDoc" {
        let listed = |value: Option<&Value>| {
            let items = value.and_then(Value::as_array).into_iter().flatten();
            let papers = items.map(|item| paper(item, texts));
            let named = papers.map(|paper| {
                if paper.files.is_empty() { paper.kind } else { format!("{} ({})", paper.kind, paper.files) }
            });
            named.collect::<Vec<_>>().join(", ")
        };
        let was = was.map_or_else(|| texts.page.review_none.to_owned(), |was| listed(Some(was)));
        return Some(Change { label: texts.page.documents.to_owned(), was, new: listed(new) });
    }
    let on_file: Map<String, Value> = was.map(|was| (name.to_owned(), was.clone())).into_iter().collect();
    let was = shown_on_file(&on_file, name).map(|text| spoken(name, &text, texts));
    let new = new.map(|new| match (name, plain(new)) {
        (_, Some(text)) => spoken(name, &text, texts),
        (_, None) => texts.labels.tax.to_owned(),
    });
    Some(Change {
        label: label(texts, name).unwrap_or(texts.labels.other).to_owned(),
        was: was.unwrap_or_else(|| texts.page.review_none.to_owned()),
        new: new.unwrap_or_else(|| texts.page.review_removed.to_owned()),
    })
}

/// A value as a customer reads it.
fn spoken(name: &str, text: &str, texts: &'static Texts) -> String {
    match Field::named(name).map(|field| field.kind) {
        Some(Kind::Country | Kind::Countries) => {
            let names = text.split(',').map(|code| {
                rust_iso3166::from_alpha2(code).map_or_else(|| code.to_owned(), |found| found.name.to_owned())
            });
            names.collect::<Vec<_>>().join(", ")
        }
        Some(Kind::Flag) if text == "true" => texts.page.yes.to_owned(),
        Some(Kind::Flag) if text == "false" => texts.page.no.to_owned(),
        Some(Kind::OneOf(words)) => {
            let word = words.iter().find(|word| **word == text);
            word.map_or_else(|| text.to_owned(), |word| word_for(word, texts).to_owned())
        }
        _ => text.to_owned(),
    }
}

/// The items of a request for information, with what was answered so far.
pub(super) fn items(
    asked: &[RfiItem],
    draft: &Draft,
    found: &BTreeMap<String, Vec<String>>,
    offered: &[String],
    texts: &'static Texts,
) -> Vec<Item> {
    let none = super::draft::Answer::default();
    let item = |(place, item): (usize, &RfiItem)| {
        let answer = draft.answers.get(&item.id).unwrap_or(&none);
        let wrong = found.get(&item.id).map(Vec::as_slice).unwrap_or_default();
        let plain = item.wanted.iter().filter(|wanted| !is_of_document(wanted));
        let entries = plain.map(|wanted| {
            let typed = answer.fields.get(&wanted.name).cloned().unwrap_or_default();
            let id = format!("r{place}-{}", wanted.name);
            let known = rfi::FIELDS.iter().find(|field| field.name == wanted.name);
            let kind = known.map_or(Kind::Text(TEXT_CHARS_MAX), |field| field.kind);
            let kind = if wanted.name == "isPep" { Kind::Flag } else { kind };
            let is_wrong = wrong.contains(&wanted.name);
            Entry {
                name: id.clone(),
                id,
                label: answer_label(&wanted.name, wanted.label.as_deref(), texts),
                input: input(kind, &typed, texts),
                on_file: None,
                problem: is_wrong.then(|| of_entry(kind, &wanted.name, &typed, texts)),
                autocomplete: "off",
                countries: matches!(kind, Kind::Country),
                value: typed,
            }
        });
        let document = item.wanted.iter().any(is_of_document);
        let wants = |name: &str| item.wanted.iter().any(|wanted| wanted.name == name);
        let bad = wrong.iter().any(|name| name.starts_with("identification") || name == "document");
        Item {
            question: question(item, texts),
            prefix: format!("r{place}-"),
            entries: entries.collect(),
            document,
            details: wants("identificationValue")
                || wants("identificationDocExpiry")
                || wants("identificationDocIssuanceCountry"),
            attached: answer.document.as_ref().map(|item| paper(item, texts).files),
            problem: (answer.bad_file || (document && bad)).then(|| texts.problems.document.to_owned()),
            kinds: kinds_for(item, offered, texts),
        }
    };
    asked.iter().enumerate().map(item).collect()
}

/// The kinds of document that answer an item, the likeliest first.
fn kinds_for(item: &RfiItem, offered: &[String], texts: &Texts) -> Vec<Choice> {
    let about = item.about.as_deref().unwrap_or_default();
    let mut kinds = offered.to_vec();
    kinds.sort_by_key(|kind| !same_kind(&kind.replace(' ', ""), &about.replace(' ', "")));
    kinds_of(&kinds, texts)
}

/// What an answer's field is called: in our words where we have them, else by Nium's own label.
fn answer_label(name: &str, given: Option<&str>, texts: &Texts) -> String {
    let labels = &texts.labels;
    let ours = match name {
        "firstName" => labels.first_name,
        "middleName" => labels.middle_name,
        "lastName" => labels.last_name,
        "dateOfBirth" => labels.date_of_birth,
        "gender" => labels.gender,
        "nationality" => labels.nationality,
        "addressLine1" => labels.address1,
        "addressLine2" => labels.address2,
        "city" => labels.city,
        "state" => labels.state,
        "postcode" => labels.zip,
        "country" | "billingCountry" => labels.country,
        "employmentStatus" => labels.employment,
        "industryType" => labels.industry,
        "sourceOfFunds" => labels.source_of_funds,
        "intendedUseOfAccount" => labels.use_of_account,
        "isPep" => labels.pep,
        other => return given.unwrap_or(other).to_owned(),
    };
    ours.to_owned()
}

/// What is asked, in plain words.
fn question(item: &RfiItem, texts: &Texts) -> String {
    let questions = &texts.questions;
    let about: String =
        item.about.as_deref().unwrap_or_default().chars().filter(|c| c.is_alphanumeric()).collect();
    let text = match about.to_lowercase().as_str() {
        "passport" => questions.passport,
        "driverslicence" => questions.driving_licence,
        "nationalid" => questions.national_id,
        "bankstatement" => questions.bank_statement,
        "utilitybill" => questions.utility_bill,
        "proofofaddress" => questions.proof_of_address,
        "firstname" => questions.first_name,
        "middlename" => questions.middle_name,
        "lastname" => questions.last_name,
        "dateofbirth" => questions.date_of_birth,
        "gender" => questions.gender,
        "nationality" => questions.nationality,
        "sourceoffunds" => questions.source_of_funds,
        "ispep" => questions.pep,
        _ => match item.document_type.as_deref() {
            Some("POI") => questions.proof_of_identity,
            Some("POA") => questions.proof_of_address,
            Some(_) | None => questions.other,
        },
    };
    text.to_owned()
}
