//! Requests for information: what Nium asks of a customer (contract section 12.4), in plain words, and what an answer must
//! hold. The names differ from Unified Add Customer's: `addressLine1`, `postcode`, `isPep` as text, one document an item.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::documents;
use super::fields::{Field, FieldProblem, Group, Kind, PROBLEMS_MAX};

/// Most items of one request, and of one answer.
pub const ITEMS_MAX: usize = 50;
/// Bytes of one item of a company's answer, files included.
const COMPANY_ITEM_BYTES_MAX: usize = 14 * 1024 * 1024;
/// The document of an item.
const DOCUMENT: &str = "identificationDoc";
/// The files of a document.
const FILES: &str = "identificationDocument";
/// What a company's answer may hold beside `rfiHashId`; Nium takes both names of the first (section 12.4).
const COMPANY_PARTS: [&str; 5] =
    ["businessInfo", "businessDetails", "expectedAccountUsage", "natureOfBusiness", "riskAssessmentInfo"];

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, group: Group::Identity, kind }
}

/// What a person's answer may hold beside the document.
pub const FIELDS: [Field; 17] = [
    field("firstName", Kind::Text(40)),
    field("middleName", Kind::Text(40)),
    field("lastName", Kind::Text(40)),
    field("dateOfBirth", Kind::Date),
    field("gender", Kind::OneOf(&["Male", "Female", "Others"])),
    field("nationality", Kind::Country),
    field("addressLine1", Kind::Text(40)),
    field("addressLine2", Kind::Text(40)),
    field("city", Kind::Text(30)),
    field("state", Kind::Text(30)),
    field("postcode", Kind::Text(10)),
    field("country", Kind::Country),
    field("billingCountry", Kind::Country),
    field("employmentStatus", Kind::Text(30)),
    field("industryType", Kind::Text(30)),
    field("sourceOfFunds", Kind::Text(30)),
    field("intendedUseOfAccount", Kind::Text(30)),
];

/// Plain words for what is asked, by Nium's word for it. Everything else is asked by its labels.
const QUESTIONS: [(&str, &str); 14] = [
    ("passport", "Send a photo or scan of your passport"),
    ("driverslicence", "Send a photo or scan of your driving licence"),
    ("nationalid", "Send a photo or scan of your national identity card"),
    ("bankstatement", "Send a recent bank statement that shows your name and address"),
    ("utilitybill", "Send a recent utility bill that shows your name and address"),
    ("proofofaddress", "Send a document that proves your address"),
    ("firstname", "Tell us your first name as it stands in your identity document"),
    ("middlename", "Tell us your middle name as it stands in your identity document"),
    ("lastname", "Tell us your last name as it stands in your identity document"),
    ("dateofbirth", "Tell us your date of birth"),
    ("gender", "Tell us your gender"),
    ("nationality", "Tell us your nationality"),
    ("sourceoffunds", "Tell us where the money that you will use comes from"),
    ("ispep", "Tell us whether you hold a prominent public function, or are close to somebody who does"),
];

/// One thing that an item wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The field of the answer, in Nium's spelling.
    pub name: String,
    /// Nium's label for people.
    pub label: Option<String>,
    /// A file, not a text.
    pub file: bool,
}

/// One item of a request, as Nium gave it; everything but the id may be missing there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RfiItem {
    /// `rfiHashId`.
    pub id: String,
    /// What it is about: a field, a document, or the name of a template.
    pub about: Option<String>,
    /// Nium's officer's words. They may be about the customer.
    pub remarks: Option<String>,
    /// Nium insists; `None` where it does not say.
    pub mandatory: Option<bool>,
    /// `POI`, `POA`, `NA`, or a newer word.
    pub document_type: Option<String>,
    /// It waits for an answer.
    pub open: bool,
    /// What must be answered, all of it together. Empty: shown only (section 16).
    pub wanted: Vec<Wanted>,
}

impl fmt::Debug for RfiItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RfiItem").field("id", &self.id).field("open", &self.open).finish_non_exhaustive()
    }
}

impl RfiItem {
    /// Whether somebody has to answer it.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.open && !self.wanted.is_empty()
    }

    /// What is asked, in plain words.
    #[must_use]
    pub fn question(&self) -> String {
        let plain = |text: &str| -> String {
            text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
        };
        let about = self.about.as_deref().map(plain).unwrap_or_default();
        if let Some((_, question)) = QUESTIONS.iter().find(|(word, _)| *word == about) {
            return (*question).to_owned();
        }
        match self.document_type.as_deref() {
            Some("POI") => return "Send a document that proves who you are".to_owned(),
            Some("POA") => return "Send a document that proves your address".to_owned(),
            Some(_) | None => {}
        }
        let labels: Vec<&str> =
            self.wanted.iter().map(|wanted| wanted.label.as_deref().unwrap_or(&wanted.name)).collect();
        if labels.is_empty() {
            return "Nium checks something by itself; there is nothing to answer".to_owned();
        }
        format!("Tell us: {}", labels.join(", "))
    }

    /// The item as it is shown.
    #[must_use]
    pub fn view(&self) -> Value {
        let fields = self.wanted.iter().map(|wanted| {
            json!({
                "name": wanted.name, "label": wanted.label, "required": true,
                "kind": if wanted.file { "document" } else { "data" },
            })
        });
        json!({
            "rfiHashId": self.id, "question": self.question(), "about": self.about, "remarks": self.remarks,
            "mandatory": self.mandatory, "documentType": self.document_type,
            "status": if self.open { "RFI_REQUESTED" } else { "RFI_RESPONDED" },
            "fields": fields.collect::<Vec<_>>(),
        })
    }
}

/// Tells one request from the next: a fingerprint of the items that are open. `None` when none is.
#[must_use]
pub fn mark_of(items: &[RfiItem]) -> Option<u32> {
    let mut open: Vec<&str> = items.iter().filter(|item| item.open).map(|item| item.id.as_str()).collect();
    open.sort_unstable();
    let mut hash = Sha256::new();
    for id in &open {
        hash.update(id.as_bytes());
        hash.update([0]);
    }
    let [a, b, c, d, ..]: [u8; 32] = hash.finalize().into();
    (!open.is_empty()).then(|| u32::from_be_bytes([a, b, c, d]))
}

/// An answer to every item that waits, as Nium takes it. Holds personal data: it does not print itself.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Answers {
    items: Vec<Map<String, Value>>,
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("items", &self.items.len()).finish()
    }
}

impl Answers {
    /// Reads `{"answers": [{"rfiHashId", "fields": {…}}]}`, or Nium's own `{"rfiResponseRequest": [{"rfiHashId", …}]}`,
    /// against what is asked. Every item that waits is answered, each with all that it wants.
    pub fn parse(body: &Value, asked: &[RfiItem], company: bool) -> Result<Self, Vec<FieldProblem>> {
        let given = listed(body)?;
        let mut read = Reading { asked, company, items: Vec::new(), problems: Vec::new() };
        for (place, item) in given.iter().enumerate() {
            read.item(place, item);
        }
        for missing in asked.iter().filter(|item| item.waits()) {
            if !given.iter().any(|item| id_of(item) == Some(missing.id.as_str())) {
                read.problem(&format!("answers.{}", missing.id), "answer this item too: all go together");
            }
        }
        read.problems.truncate(PROBLEMS_MAX);
        if read.problems.is_empty() { Ok(Self { items: read.items }) } else { Err(read.problems) }
    }

    /// `rfiResponseRequest`.
    #[must_use]
    pub fn items(&self) -> &[Map<String, Value>] {
        &self.items
    }

    /// The items that are answered.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| item.get("rfiHashId").and_then(Value::as_str))
    }
}

/// The items of a body, in either of its forms, each flat.
fn listed(body: &Value) -> Result<Vec<Map<String, Value>>, Vec<FieldProblem>> {
    let wrong = |message: &str| vec![FieldProblem::new("answers", message)];
    let outer = body.as_object().filter(|outer| outer.len() == 1);
    let (list, nested) = match outer.and_then(|outer| outer.iter().next()) {
        Some((name, list)) if name == "answers" => (list, true),
        Some((name, list)) if name == "rfiResponseRequest" => (list, false),
        Some(_) | None => {
            return Err(wrong("give {\"answers\": [{\"rfiHashId\", \"fields\": {…}}]} and nothing else"));
        }
    };
    let list = list.as_array().filter(|list| (1..=ITEMS_MAX).contains(&list.len()));
    let Some(list) = list else { return Err(wrong(&format!("is a list of 1 to {ITEMS_MAX} items"))) };
    let flat = |item: &Value| {
        let item = item.as_object()?;
        if !nested {
            return Some(item.clone());
        }
        let mut fields = item.get("fields")?.as_object()?.clone();
        fields.insert("rfiHashId".to_owned(), item.get("rfiHashId")?.clone());
        (item.len() == 2).then_some(fields)
    };
    let items: Option<Vec<_>> = list.iter().map(flat).collect();
    items.ok_or_else(|| wrong("each item has an rfiHashId and an object of fields, and nothing else"))
}

fn id_of(item: &Map<String, Value>) -> Option<&str> {
    item.get("rfiHashId").and_then(Value::as_str)
}

struct Reading<'a> {
    asked: &'a [RfiItem],
    company: bool,
    items: Vec<Map<String, Value>>,
    problems: Vec<FieldProblem>,
}

impl Reading<'_> {
    fn problem(&mut self, at: &str, message: &str) {
        self.problems.push(FieldProblem::new(at, message));
    }

    fn item(&mut self, place: usize, given: &Map<String, Value>) {
        let id = id_of(given).unwrap_or_default().to_owned();
        let asked = self.asked;
        let Some(asked) = asked.iter().find(|item| item.open && item.id == id) else {
            return self.problem(&format!("answers[{place}].rfiHashId"), "is not an item that is open");
        };
        if self.items.iter().any(|item| id_of(item) == Some(id.as_str())) {
            return self.problem(&format!("answers.{id}"), "is answered twice");
        }
        let at = format!("answers.{id}");
        let fields = given.iter().filter(|(name, _)| *name != "rfiHashId");
        let kept = if self.company { self.of_company(&at, fields) } else { self.of_person(&at, fields) };
        for wanted in &asked.wanted {
            if !holds(&kept, wanted, self.company) && !self.is_about(&at, &wanted.name) {
                self.problem(
                    &format!("{at}.{}", wanted.name),
                    "is wanted too: an item is answered as a whole",
                );
            }
        }
        let mut item = kept;
        item.insert("rfiHashId".to_owned(), json!(id));
        self.items.push(item);
    }

    /// Whether a field of this item was given, and is wrong: then that is what to say about it.
    fn is_about(&self, at: &str, name: &str) -> bool {
        self.problems.iter().any(|problem| {
            problem.field.strip_prefix(at).is_some_and(|rest| rest.contains(name) || rest.contains(DOCUMENT))
        })
    }

    fn of_person<'a>(
        &mut self,
        at: &str,
        fields: impl Iterator<Item = (&'a String, &'a Value)>,
    ) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in fields {
            match checked(name, value) {
                Ok(value) => drop(kept.insert(name.clone(), value)),
                Err(problem) => {
                    self.problem(&format!("{at}.{}", problem.field), &problem.message);
                }
            }
        }
        kept
    }

    fn of_company<'a>(
        &mut self,
        at: &str,
        fields: impl Iterator<Item = (&'a String, &'a Value)>,
    ) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in fields {
            let known = COMPANY_PARTS.contains(&name.as_str()) && value.is_object();
            if !known {
                let message = format!("is an object under one of: {}", COMPANY_PARTS.join(", "));
                self.problem(&format!("{at}.{name}"), &message);
            } else if value.to_string().len() > COMPANY_ITEM_BYTES_MAX {
                self.problem(&format!("{at}.{name}"), "is too large: files may have 10 MiB together");
            } else {
                kept.insert(name.clone(), value.clone());
            }
        }
        kept
    }
}

/// One field of a person's answer, in the form in which it is sent.
fn checked(name: &str, value: &Value) -> Result<Value, FieldProblem> {
    if name == "isPep" {
        let word = match value {
            Value::Bool(pep) => Some(*pep),
            Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let word = word.ok_or_else(|| FieldProblem::new(name, "is true or false"))?;
        // Nium wants it as text here.
        return Ok(json!(word.to_string()));
    }
    if name == DOCUMENT {
        if !value.is_object() {
            return Err(FieldProblem::new(name, "is one document, as an object"));
        }
        let list = documents::check(DOCUMENT, &json!([value]));
        let list = list.map_err(|problem| {
            FieldProblem::new(&problem.field.replacen("identificationDoc[0]", DOCUMENT, 1), problem.message)
        })?;
        return Ok(list.get(0).cloned().unwrap_or_default());
    }
    match FIELDS.iter().find(|field| field.name == name) {
        Some(field) => field.check(value),
        None => Err(FieldProblem::new(name, "is not a field that an answer can hold")),
    }
}

/// Whether an answer holds what is wanted. A name that no answer can hold cannot be insisted on: Nium's own refusal tells.
fn holds(kept: &Map<String, Value>, wanted: &Wanted, company: bool) -> bool {
    let name = wanted.name.as_str();
    if company {
        let last = name.rsplit(['.', '/']).next().unwrap_or(name);
        return last.is_empty() || kept.values().any(|value| has_key(value, last));
    }
    let document = kept.get(DOCUMENT);
    if wanted.file || name == "document" || name == FILES {
        return document.is_some_and(|document| document.get(FILES).is_some());
    }
    if name.starts_with("identification") {
        return document.is_some_and(|document| document.get(name).is_some());
    }
    let known = name == "isPep" || FIELDS.iter().any(|field| field.name == name);
    !known || kept.contains_key(name)
}

fn has_key(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(fields) => {
            fields.iter().any(|(known, value)| (known == name && !value.is_null()) || has_key(value, name))
        }
        Value::Array(items) => items.iter().any(|item| has_key(item, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PNG: &str = "iVBORw0KGgo=";

    fn item(id: &str, about: &str, wanted: &[(&str, bool)]) -> RfiItem {
        let wanted = wanted.iter().map(|(name, file)| Wanted {
            name: (*name).to_owned(),
            label: Some(format!("Label of {name}")),
            file: *file,
        });
        RfiItem {
            id: id.to_owned(),
            about: Some(about.to_owned()),
            remarks: None,
            mandatory: Some(true),
            document_type: None,
            open: true,
            wanted: wanted.collect(),
        }
    }

    fn asked() -> Vec<RfiItem> {
        let mut silent = item("silent", "internal", &[]);
        silent.remarks = Some("we look into it".to_owned());
        let mut done = item("done", "gender", &[("gender", false)]);
        done.open = false;
        vec![
            item("name", "firstName", &[("firstName", false)]),
            item("pass", "passport", &[("identificationValue", false), ("document", true)]),
            silent,
            done,
        ]
    }

    fn passport() -> Value {
        json!({ "identificationType": "Passport", "identificationValue": "X0000001",
            "identificationDocument": [{ "fileName": "p.png", "fileType": "image/png", "document": PNG }] })
    }

    fn whole() -> Value {
        json!({ "answers": [
            { "rfiHashId": "name", "fields": { "firstName": " Ada Mary " } },
            { "rfiHashId": "pass", "fields": { "identificationDoc": passport() } } ] })
    }

    fn problems(body: &Value) -> Vec<String> {
        let problems = Answers::parse(body, &asked(), false).err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn both_forms_become_what_nium_takes() {
        let answers = Answers::parse(&whole(), &asked(), false).unwrap();
        assert_eq!(answers.ids().collect::<Vec<_>>(), ["name", "pass"]);
        assert_eq!(json!(answers.items())[0], json!({ "rfiHashId": "name", "firstName": "Ada Mary" }));
        assert!(json!(answers.items())[1]["identificationDoc"].is_object());
        let flat = json!({ "rfiResponseRequest": answers.items() });
        assert_eq!(Answers::parse(&flat, &asked(), false).unwrap(), answers);
        assert_eq!(format!("{answers:?}"), "Answers { items: 2 }");
    }

    #[test]
    fn an_item_is_answered_as_a_whole_and_all_go_together() {
        let mut lacking = whole();
        lacking["answers"].as_array_mut().unwrap().pop();
        assert_eq!(problems(&lacking), ["answers.pass"]);
        let mut half = whole();
        half["answers"][1]["fields"]["identificationDoc"]
            .as_object_mut()
            .unwrap()
            .remove("identificationDocument");
        assert_eq!(problems(&half), ["answers.pass.document"]);
        let mut half = whole();
        half["answers"][1]["fields"]["identificationDoc"]
            .as_object_mut()
            .unwrap()
            .remove("identificationValue");
        assert_eq!(problems(&half), ["answers.pass.identificationValue"]);
        let mut strange = whole();
        strange["answers"][0]["rfiHashId"] = json!("done");
        assert_eq!(problems(&strange), ["answers[0].rfiHashId", "answers.name"]);
        let mut twice = whole();
        twice["answers"][1] = twice["answers"][0].clone();
        assert_eq!(problems(&twice), ["answers.name", "answers.pass"]);
    }

    #[test]
    fn fields_keep_their_limits() {
        for (name, most) in FIELDS.iter().filter_map(|field| match field.kind {
            Kind::Text(most) => Some((field.name, most)),
            _ => None,
        }) {
            assert!(checked(name, &json!("n".repeat(most))).is_ok(), "{name}");
            assert!(checked(name, &json!("n".repeat(most + 1))).is_err(), "{name}");
        }
        for (given, kept) in [(json!(true), "true"), (json!("False"), "false"), (json!(" true "), "true")] {
            assert_eq!(checked("isPep", &given).unwrap(), kept);
        }
        for wrong in [json!("yes"), json!(1), json!(null)] {
            assert!(checked("isPep", &wrong).is_err(), "{wrong}");
        }
        assert!(checked("identificationDoc", &json!([passport()])).is_err(), "one object, not a list");
        assert!(checked("billingAddress1", &json!("1 Example Street")).is_err(), "another name here");
        for body in [
            json!({}),
            json!([]),
            json!({ "answers": [] }),
            json!({ "answers": [1] }),
            json!({ "answers": {} }),
        ] {
            assert_eq!(problems(&body), ["answers"], "{body}");
        }
    }

    #[test]
    fn a_company_answers_under_its_own_names() {
        let asked =
            [item("reg", "Registration", &[("businessDetails.documentDetails", true), ("tradeName", false)])];
        let answer = |fields: Value| {
            let body = json!({ "answers": [{ "rfiHashId": "reg", "fields": fields }] });
            let problems = Answers::parse(&body, &asked, true).err().unwrap_or_default();
            problems.into_iter().map(|problem| problem.field).collect::<Vec<_>>()
        };
        assert!(
            answer(
                json!({ "businessInfo": { "tradeName": "S", "documentDetails": { "documentType": "X" } } })
            )
            .is_empty()
        );
        assert_eq!(
            answer(json!({ "businessInfo": { "tradeName": "S" } })),
            ["answers.reg.businessDetails.documentDetails"]
        );
        assert_eq!(answer(json!({ "firstName": "Ada" })).len(), 3);
    }

    #[test]
    fn questions_are_in_plain_words() {
        let question = |about: &str| item("a", about, &[("x", false)]).question();
        assert_eq!(question("First Name"), QUESTIONS[6].1);
        assert_eq!(question("driversLicence"), QUESTIONS[1].1);
        assert_eq!(question("shoeSize"), "Tell us: Label of x");
        let mut silent = item("a", "shoeSize", &[]);
        assert!(silent.question().contains("nothing to answer") && !silent.waits());
        silent.document_type = Some("POA".to_owned());
        assert!(silent.question().contains("address"));
    }

    #[test]
    fn the_next_request_has_another_mark() {
        let mut items = asked();
        let first = mark_of(&items);
        items.reverse();
        assert_eq!(mark_of(&items), first);
        items.retain(|item| item.id != "pass");
        assert_ne!(mark_of(&items), first);
        assert_eq!(mark_of(&[]), None);
    }

    proptest! {
        #[test]
        fn any_json_is_read_without_a_panic(body in super::super::application::tests::any_json(), company: bool) {
            let _ = Answers::parse(&body, &asked(), company);
            let _ = Answers::parse(&json!({ "answers": [{ "rfiHashId": "name", "fields": body }] }), &asked(), company);
        }
    }
}
