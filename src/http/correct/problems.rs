//! What is wrong with what was written, in the visitor's language. The checks speak English to programmers; which text a
//! visitor reads follows from the entry itself.

use std::collections::BTreeMap;

use crate::domain::correction::FieldProblem;
use crate::domain::fields::{Field, Kind};
use crate::domain::texts::Texts;

/// A problem for each entry, by its name.
pub(super) type Problems = BTreeMap<String, String>;

/// Says what the checks found.
pub(super) fn told(found: &[FieldProblem], typed: &BTreeMap<String, String>, texts: &Texts) -> Problems {
    let mut problems = Problems::new();
    for problem in found {
        let (name, text) = one(&problem.field, typed, texts);
        problems.entry(name).or_insert(text);
    }
    problems
}

fn one(path: &str, typed: &BTreeMap<String, String>, texts: &Texts) -> (String, String) {
    let say = &texts.problems;
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let name = path.get(..end).unwrap_or(path);
    if matches!(name, "documents" | "identificationDoc") {
        let text = match path.rsplit('.').next().unwrap_or_default() {
            "identificationDocExpiry" => say.date,
            "identificationDocIssuanceCountry" | "identificationType" => say.choose,
            _ => say.document,
        };
        return ("documents".to_owned(), text.to_owned());
    }
    let Some(field) = Field::named(name) else { return (name.to_owned(), say.other.to_owned()) };
    let entry = typed.get(name).map_or("", String::as_str);
    (name.to_owned(), of_entry(field.kind, name, entry, texts))
}

/// What is wrong with an entry of this kind.
pub(super) fn of_entry(kind: Kind, name: &str, entry: &str, texts: &Texts) -> String {
    let say = &texts.problems;
    if entry.is_empty() {
        return say.required.to_owned();
    }
    match kind {
        Kind::Text(most) if entry.chars().count() > most => {
            format!("{} {most}{}", say.too_long, texts.full_stop)
        }
        Kind::Text(_) if name == "billingAddress1" && entry.chars().all(|c| !c.is_control()) => {
            say.australia.to_owned()
        }
        Kind::Text(_) => say.characters.to_owned(),
        Kind::Email => say.email.to_owned(),
        Kind::Mobile => say.mobile.to_owned(),
        Kind::Currency => say.currency.to_owned(),
        Kind::Date if crate::domain::fields::read_date(entry).is_some() => say.age.to_owned(),
        Kind::Date => say.date.to_owned(),
        Kind::Country | Kind::Flag | Kind::OneOf(_) | Kind::Occupation | Kind::Countries => {
            say.choose.to_owned()
        }
        Kind::TaxDetails => say.required.to_owned(),
        Kind::Tags | Kind::Texts | Kind::Documents => say.other.to_owned(),
    }
}
