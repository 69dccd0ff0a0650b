//! What a correction makes of what is on file.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Correction;
use crate::domain::application::Application;
use crate::domain::documents::{self, Document};
use crate::domain::fields::{Field, Kind, is_silent};

const TAGS: &str = "tags";

/// One field that a correction changes. Holds personal data: only its name is printed.
#[derive(Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The field, by its name in Unified Add Customer.
    pub field: String,
    /// What is on file; absent if nothing is. Files are shown by their descriptors.
    pub from: Option<Value>,
    /// What would be sent; absent if the field is taken out. Files are shown by their descriptors.
    pub to: Option<Value>,
}

impl fmt::Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Difference").field("field", &self.field).finish_non_exhaustive()
    }
}

/// A correction put together with what is on file. Holds personal data: it does not print itself.
#[derive(Clone, PartialEq)]
pub struct Merged {
    /// What would be sent, without `customerHashId`.
    pub request: Map<String, Value>,
    /// What it changes, by field name.
    pub difference: Vec<Difference>,
}

impl Merged {
    /// The request with every file replaced by its descriptor, to be shown.
    #[must_use]
    pub fn preview(&self) -> Map<String, Value> {
        self.request.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect()
    }
}

impl fmt::Debug for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merged").field("difference", &self.difference).finish_non_exhaustive()
    }
}

/// Puts a correction over what is on file. `snapshot_profile` is what Nium has, under the names of Unified Add Customer,
/// masked values left out.
///
/// Tags are merged by key. A document of the correction replaces those of the same type; others are kept. Every other
/// field is replaced whole.
#[must_use]
pub fn merge(
    application: Option<&Application>,
    snapshot_profile: &Map<String, Value>,
    correction: &Correction,
) -> Merged {
    let base = on_file(application, snapshot_profile);
    let mut request = base.clone();
    for (name, value) in &correction.fields {
        if value.is_null() {
            request.remove(name);
        } else {
            put(&mut request, name, value.clone());
        }
    }
    if !correction.documents.is_empty() {
        let kept = request.remove(documents::FIELD);
        request.insert(documents::FIELD.to_owned(), replace_documents(kept, &correction.documents));
    }
    let difference = difference(&base, &request);
    Merged { request, difference }
}

/// What is on file: the application, and over it what Nium has. Nium's record speaks only where it can be sent back: what it
/// leaves blank, spells in another way than a request does, or has no field for, stays as the application has it.
#[must_use]
pub fn on_file(
    application: Option<&Application>,
    snapshot_profile: &Map<String, Value>,
) -> Map<String, Value> {
    let mut base = application.map(|application| application.as_map().clone()).unwrap_or_default();
    for (name, value) in snapshot_profile {
        let field = Field::named(name).filter(|field| field.kind != Kind::Documents && !is_silent(value));
        if let Some(Ok(value)) = field.map(|field| field.check(value)) {
            put(&mut base, name, value);
        }
    }
    base
}

/// Sets a field; tags are added to those that are there.
fn put(fields: &mut Map<String, Value>, name: &str, value: Value) {
    match (fields.get_mut(name), value) {
        (Some(Value::Array(old)), Value::Array(new)) if name == TAGS => merge_tags(old, new),
        (_, value) => drop(fields.insert(name.to_owned(), value)),
    }
}

fn merge_tags(old: &mut Vec<Value>, new: Vec<Value>) {
    for tag in new {
        match old.iter_mut().find(|there| there.get("key") == tag.get("key")) {
            Some(there) => *there = tag,
            None => old.push(tag),
        }
    }
}

/// Each document of the correction takes the place of one of the same type; places that are left over fall away, and
/// documents that found no place come last. So a correction that repeats what is there changes nothing, not even order.
fn replace_documents(kept: Option<Value>, corrected: &[Document]) -> Value {
    let mut waiting: VecDeque<&Document> = corrected.iter().collect();
    let kept = match kept {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    let mut items = Vec::new();
    for item in kept {
        let kind = item.as_object().map(documents::kind).unwrap_or_default();
        if !corrected.iter().any(|document| documents::same_kind(document.kind(), kind)) {
            items.push(item);
        } else if let Some(next) =
            waiting.iter().position(|document| documents::same_kind(document.kind(), kind))
        {
            items.extend(waiting.remove(next).map(item_of));
        }
    }
    items.extend(waiting.into_iter().map(item_of));
    Value::Array(items)
}

fn item_of(document: &Document) -> Value {
    Value::Object(document.as_map().clone())
}

fn difference(base: &Map<String, Value>, request: &Map<String, Value>) -> Vec<Difference> {
    let names: BTreeSet<&String> = base.keys().chain(request.keys()).collect();
    let changed = names.into_iter().filter(|name| base.get(*name) != request.get(*name));
    let side = |fields: &Map<String, Value>, name: &str| fields.get(name).map(|value| shown(name, value));
    changed
        .map(|name| Difference { field: name.clone(), from: side(base, name), to: side(request, name) })
        .collect()
}

fn shown(name: &str, value: &Value) -> Value {
    if name == documents::FIELD { documents::describe(value) } else { value.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::option;
    use proptest::prelude::*;
    use serde_json::json;

    fn application(body: &Value) -> Application {
        Application::parse(body).unwrap()
    }

    fn correction(body: &Value) -> Correction {
        Correction::parse(body).unwrap()
    }

    fn map(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    /// A document with a file that begins like a PNG and goes on with `content`.
    fn document(kind: &str, content: u8) -> Value {
        // 8 bytes of signature and one of content: nine bytes need no padding in base64.
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let last = char::from(letters[usize::from(content) % letters.len()]);
        let file =
            json!({ "fileName": "a.png", "fileType": "png", "document": format!("iVBORw0KGgo{last}") });
        json!({ "identificationType": kind, "identificationDocument": [file] })
    }

    #[test]
    fn the_application_is_below_the_snapshot_and_the_correction_on_top() {
        let application = application(&json!({
            "firstName": "Ada", "lastName": "Sample", "deliveryCity": "Singapore", "middleName": "Mary",
            "mobile": "80000000", "gender": "Female", "expectedCountriesToSendReceiveFrom": ["FR"],
            "tags": [{ "key": "tier", "value": "gold" }, { "key": "shop", "value": "one" }],
        }));
        let profile = map(json!({
            "mobile": "80000001", "lastName": null, "gender": "FEMALE", "expectedCountriesToSendReceiveFrom": [],
            "identificationDoc": [], "clientId": 7, "tags": [{ "key": "tier", "value": "plain" }],
        }));
        let correction = correction(&json!({ "fields": {
            "firstName": "Ada Mary", "middleName": null, "mobile": "80000001",
            "tags": [{ "key": "shop", "value": "two" }],
        } }));
        let merged = merge(Some(&application), &profile, &correction);
        assert_eq!(
            json!(merged.request),
            json!({
                "firstName": "Ada Mary", "lastName": "Sample", "deliveryCity": "Singapore",
                "mobile": "80000001", "gender": "Female", "expectedCountriesToSendReceiveFrom": ["FR"],
                "tags": [{ "key": "tier", "value": "plain" }, { "key": "shop", "value": "two" }],
            })
        );
        assert_eq!(
            json!(merged.difference),
            json!([
                { "field": "firstName", "from": "Ada", "to": "Ada Mary" },
                { "field": "middleName", "from": "Mary", "to": null },
                {
                    "field": "tags",
                    "from": [{ "key": "tier", "value": "plain" }, { "key": "shop", "value": "one" }],
                    "to": [{ "key": "tier", "value": "plain" }, { "key": "shop", "value": "two" }],
                },
            ])
        );
    }

    #[test]
    fn a_document_replaces_those_of_its_type() {
        let documents = json!([document("PASSPORT", 0), document("Selfie", 1), document("passport", 2)]);
        let application = application(&json!({ "identificationDoc": documents }));
        let with = |documents: Value| {
            merge(Some(&application), &Map::new(), &correction(&json!({ "documents": documents })))
        };
        let same = with(json!([document("PASSPORT", 0), document("passport", 2)]));
        assert!(same.difference.is_empty(), "{same:?}");
        let one = with(json!([document("Passport", 9)]));
        assert_eq!(one.request["identificationDoc"], json!([document("Passport", 9), document("Selfie", 1)]));
        let other = with(json!([document("Utility Bill", 9)]));
        assert_eq!(other.request["identificationDoc"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn what_is_shown_has_no_bytes() {
        let application =
            application(&json!({ "firstName": "Ada", "identificationDoc": [document("Passport", 0)] }));
        let correction = correction(&json!({ "documents": [document("Passport", 1)] }));
        let merged = merge(Some(&application), &Map::new(), &correction);
        assert_eq!(merged.preview()["firstName"], json!("Ada"));
        let shown = format!("{}{}", json!(merged.preview()), json!(merged.difference));
        assert!(!shown.contains("iVBOR") && shown.contains("sha256"), "{shown}");
        assert_ne!(merged.difference[0].from, merged.difference[0].to);
        let printed = format!("{correction:?} {merged:?}");
        insta::assert_snapshot!(printed, @r#"Correction { names: ["identificationDoc"], .. } Merged { difference: [Difference { field: "identificationDoc", .. }], .. }"#);
    }

    /// Bodies of a few fields of every sort, each there or not.
    fn body() -> impl Strategy<Value = Map<String, Value>> {
        let tags = proptest::collection::btree_map("[a-c]", "[a-z]{0,2}", 0..3).prop_map(|tags| {
            tags.into_iter().map(|(key, value)| json!({ "key": key, "value": value })).collect::<Value>()
        });
        (
            option::of("[A-Z][a-z]{0,3}"),
            option::of("[A-Z][a-z]{0,3}"),
            option::of(any::<bool>()),
            option::of(proptest::sample::subsequence(vec!["FR", "DE", "SG"], 0..3)),
            option::of(tags),
        )
            .prop_map(|(first, middle, pep, countries, tags)| {
                let body = json!({
                    "firstName": first, "middleName": middle, "pep": pep,
                    "expectedCountriesToSendReceiveFrom": countries, "tags": tags,
                });
                map(body).into_iter().filter(|(_, value)| !value.is_null()).collect()
            })
    }

    fn documents() -> impl Strategy<Value = Vec<Value>> {
        let kinds = proptest::sample::select(&["Passport", "PASSPORT", "Selfie", "Utility Bill"][..]);
        proptest::collection::vec((kinds, 0..3_u8).prop_map(|(kind, content)| document(kind, content)), 0..4)
    }

    fn some_application() -> impl Strategy<Value = Option<Application>> {
        let full = (body(), documents()).prop_map(|(mut body, documents)| {
            body.insert("identificationDoc".to_owned(), documents.into());
            application(&Value::Object(body))
        });
        option::of(full)
    }

    /// What Nium may have: also nulls, blanks, fields that are none, and spellings that a request does not have.
    fn profile() -> impl Strategy<Value = Map<String, Value>> {
        let odd = proptest::sample::select(&["", " ", "sg", "null"][..]);
        (body(), odd).prop_map(|(mut profile, odd)| {
            profile.extend(map(json!({ "nationality": odd, "clientId": 7, "email": null })));
            profile
        })
    }

    fn some_correction() -> impl Strategy<Value = Correction> {
        (body(), documents(), any::<bool>()).prop_filter_map(
            "nothing to correct",
            |(mut fields, documents, out)| {
                if out {
                    fields.insert("middleName".to_owned(), Value::Null);
                }
                Correction::parse(&json!({ "fields": fields, "documents": documents })).ok()
            },
        )
    }

    fn of_kind<'a>(items: &'a Value, wanted: impl Fn(&str) -> bool + 'a) -> Vec<&'a Value> {
        let kind_of = |item: &Value| item["identificationType"].as_str().unwrap().to_lowercase();
        items.as_array().into_iter().flatten().filter(|item| wanted(&kind_of(item))).collect()
    }

    proptest! {
        #[test]
        fn the_correction_wins_and_the_rest_is_kept(
            application in some_application(), profile in profile(), correction in some_correction(),
        ) {
            let base = on_file(application.as_ref(), &profile);
            let merged = merge(application.as_ref(), &profile, &correction);
            for (name, value) in &correction.fields {
                let sent = merged.request.get(name);
                match value {
                    Value::Null => prop_assert_eq!(sent, None),
                    Value::Array(tags) if name == TAGS => {
                        prop_assert!(tags.iter().all(|tag| sent.unwrap().as_array().unwrap().contains(tag)));
                    }
                    _ => prop_assert_eq!(sent, Some(value)),
                }
            }
            for (name, value) in &base {
                if !correction.names().any(|touched| touched == name) {
                    prop_assert_eq!(merged.request.get(name), Some(value));
                }
            }
        }

        #[test]
        fn nothing_is_invented_and_what_is_sent_is_within_bounds(
            application in some_application(), profile in profile(), correction in some_correction(),
        ) {
            let merged = merge(application.as_ref(), &profile, &correction);
            let before = application.iter().flat_map(|application| application.as_map().keys());
            let known: BTreeSet<&str> =
                before.chain(profile.keys()).map(String::as_str).chain(correction.names()).collect();
            prop_assert!(merged.request.keys().all(|name| known.contains(name.as_str())));
            let checked = Application::parse(&Value::Object(merged.request.clone())).unwrap();
            prop_assert_eq!(checked.as_map(), &merged.request);
        }

        #[test]
        fn the_difference_is_empty_exactly_when_nothing_changes(
            application in some_application(), profile in profile(), correction in some_correction(),
        ) {
            let base = on_file(application.as_ref(), &profile);
            let merged = merge(application.as_ref(), &profile, &correction);
            prop_assert_eq!(merged.difference.is_empty(), merged.request == base);
            for Difference { field, .. } in &merged.difference {
                prop_assert_ne!(base.get(field), merged.request.get(field));
                prop_assert!(correction.names().any(|touched| touched == field));
            }
        }

        #[test]
        fn correcting_twice_is_correcting_once(
            application in some_application(), profile in profile(), correction in some_correction(),
        ) {
            let once = merge(application.as_ref(), &profile, &correction);
            let sent = super::tests::application(&Value::Object(once.request.clone()));
            let twice = merge(Some(&sent), &Map::new(), &correction);
            prop_assert_eq!(&twice.request, &once.request);
            prop_assert!(twice.difference.is_empty());
        }

        #[test]
        fn documents_of_other_types_stay_and_those_of_the_same_type_go(
            application in some_application(), correction in some_correction(),
        ) {
            let merged = merge(application.as_ref(), &Map::new(), &correction);
            let none = Value::Null;
            let kept = application.as_ref().and_then(|application| application.as_map().get("identificationDoc"));
            let sent = merged.request.get("identificationDoc").unwrap_or(&none);
            let corrected: Value = correction.documents.iter().map(item_of).collect();
            let kinds: BTreeSet<String> =
                correction.documents.iter().map(|document| document.kind().to_lowercase()).collect();
            let other = |kind: &str| !kinds.contains(kind);
            prop_assert_eq!(of_kind(sent, other), of_kind(kept.unwrap_or(&none), other));
            for kind in &kinds {
                let same = |found: &str| found == kind;
                prop_assert_eq!(of_kind(sent, same), of_kind(&corrected, same));
            }
        }
    }
}
