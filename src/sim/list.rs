//! The Customer List, V2 and V3 (contract section 12.2): strict about its query, as nothing is published about what
//! happens without `page` and `size` or with a name it does not know.

use reqwest::Url;
use serde_json::{Map, Value, json};

use super::faults::{Kind, Spoilt, take};
use super::state::{Customer, State};
use super::{Reply, corporate, details};

/// Most customers on one page.
const PAGE_SIZE_MAX: usize = 50;

/// Which release is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    V2,
    V3,
}

/// What was asked for, within the limits.
#[derive(Default)]
struct Query {
    page: usize,
    size: usize,
    oldest_first: bool,
    filters: Vec<(String, String)>,
}

/// Answers with a page, or with everything that is wrong with the query.
pub(super) fn answer(state: &mut State, release: Release, query: &str, seq: usize) -> Reply {
    match read(query, release) {
        Ok(query) => Reply::Json(200, page(state, release, &query)),
        Err(faults) => {
            state.amend(seq, |entry| entry.problems.clone_from(&faults));
            let reply = json!({ "status": "400 BAD_REQUEST", "message": "Validation failed for input provided", "errors": faults });
            Reply::Json(400, reply)
        }
    }
}

fn read(query: &str, release: Release) -> Result<Query, Vec<String>> {
    let Ok(url) = Url::parse(&format!("http://localhost/?{query}")) else {
        return Err(vec!["the query cannot be read".to_owned()]);
    };
    let (mut read, mut faults, mut seen) = (Query::default(), Vec::new(), Vec::new());
    for (name, value) in url.query_pairs() {
        let newer = release == Release::V3;
        let fits = match name.as_ref() {
            "page" => number(&value).map(|page| read.page = page).is_some(),
            "size" => {
                let size = number(&value).filter(|size| (1..=PAGE_SIZE_MAX).contains(size));
                size.map(|size| read.size = size).is_some()
            }
            "order" => {
                read.oldest_first = value == "ASC";
                ["ASC", "DESC"].contains(&value.as_ref())
            }
            "customerType" if newer => ["INDIVIDUAL", "CORPORATE"].contains(&value.as_ref()),
            "parentCustomerHashId" if newer => uuid::Uuid::try_parse(&value).is_ok(),
            "email" | "mobile" | "tagKey" | "tagValue" | "businessRegistrationNumber" => !value.is_empty(),
            _ => {
                faults.push(format!("{name}: unknown parameter"));
                continue;
            }
        };
        if !fits {
            faults.push(format!("{name}: not valid"));
        }
        if seen.contains(&name) {
            faults.push(format!("{name}: given twice"));
        }
        if !["page", "size", "order"].contains(&name.as_ref()) {
            read.filters.push((name.clone().into_owned(), value.into_owned()));
        }
        seen.push(name);
    }
    for name in ["page", "size"] {
        if !seen.iter().any(|seen| seen == name) {
            faults.push(format!("{name}: required"));
        }
    }
    if faults.is_empty() { Ok(read) } else { Err(faults) }
}

/// Digits and nothing else.
fn number(text: &str) -> Option<usize> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn page(state: &mut State, release: Release, query: &Query) -> Value {
    let mut found: Vec<&Customer> =
        state.customers.values().filter(|customer| fits(customer, &query.filters)).collect();
    found.sort_by_key(|customer| customer.place);
    if !query.oldest_first {
        found.reverse();
    }
    let begin = query.page.saturating_mul(query.size);
    let mut content = Vec::new();
    for customer in found.iter().skip(begin).take(query.size) {
        let item = match release {
            Release::V3 => details::of(customer),
            Release::V2 => flat(customer),
        };
        content.extend(spoilt(item, take(&mut state.faults, "list_item", Some(&customer.id))));
    }
    let (elements, pages) = (found.len(), found.len().div_ceil(query.size));
    match release {
        Release::V3 => json!({
            "content": content, "pagination": { "totalElements": elements, "totalPages": pages },
        }),
        Release::V2 => json!({ "content": content, "totalElements": elements, "totalPages": pages }),
    }
}

fn fits(customer: &Customer, filters: &[(String, String)]) -> bool {
    let sent = &customer.application;
    let filter =
        |name: &str| filters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let same =
        |name: &str| filter(name).is_none_or(|wanted| sent.get(name).and_then(Value::as_str) == Some(wanted));
    let has_tag = |tag: &Value| {
        let part = |name: &str| tag.get(name).and_then(Value::as_str).unwrap_or_default();
        let near = |wanted: &str| part("value").to_lowercase().contains(&wanted.to_lowercase());
        filter("tagKey").is_none_or(|wanted| part("key") == wanted) && filter("tagValue").is_none_or(near)
    };
    let tags = sent.get("tags").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let tagged = (filter("tagKey").is_none() && filter("tagValue").is_none()) || tags.iter().any(has_tag);
    let number = corporate::registration_number(sent);
    let business = filter("businessRegistrationNumber").is_none_or(|wanted| number == Some(wanted));
    let kind = if customer.case_id.is_some() { "CORPORATE" } else { "INDIVIDUAL" };
    let business = business && filter("customerType").is_none_or(|wanted| wanted == kind);
    tagged && business && ["email", "mobile", "parentCustomerHashId"].into_iter().all(same)
}

/// An item of V2: details without their wrappers, and what only older releases print (contract section 7).
fn flat(customer: &Customer) -> Value {
    let Value::Object(mut details) = details::of(customer) else {
        return Value::Null;
    };
    let person = details.remove("individualCustomer");
    details.remove("corporateCustomer");
    details.remove("accountDetails");
    let mut item: Map<String, Value> =
        person.and_then(|person| person.as_object().cloned()).unwrap_or_default();
    let addresses = customer.application.iter().filter(|(name, _)| {
        name.starts_with("delivery") || name.starts_with("correspondence") || *name == "intendedUseOfAccount"
    });
    item.extend(addresses.map(|(name, value)| (name.clone(), value.clone())));
    item.insert("customerId".to_owned(), json!(customer.place));
    item.insert("walletHashId".to_owned(), json!(customer.wallet_hash_id));
    item.insert("paymentIds".to_owned(), json!([]));
    item.extend(details);
    Value::Object(item)
}

/// The item with its fault; `None` when it is not on the page.
fn spoilt(mut item: Value, fault: Option<Kind>) -> Option<Value> {
    let (Some(Kind::Item { how }), Some(fields)) = (fault, item.as_object_mut()) else {
        return Some(item);
    };
    match how {
        Spoilt::NoId => {
            fields.remove("customerHashId");
        }
        Spoilt::OddCompliance => {
            fields.insert("complianceStatus".to_owned(), json!({ "word": ["REJECT"] }));
        }
        Spoilt::NoObject => return Some(Value::Null),
        Spoilt::LeftOut => return None,
    }
    Some(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_page_and_size_and_nothing_unknown() {
        let wrong = |query: &str, release| read(query, release).err().unwrap_or_default();
        assert!(wrong("page=0&size=50&order=ASC&customerType=INDIVIDUAL", Release::V3).is_empty());
        assert_eq!(wrong("", Release::V3), ["page: required", "size: required"]);
        assert_eq!(wrong("page=0&size=51", Release::V2), ["size: not valid"]);
        assert_eq!(wrong("page=-1&size=0", Release::V2), ["page: not valid", "size: not valid"]);
        assert_eq!(wrong("page=0&size=5&order=asc", Release::V2), ["order: not valid"]);
        assert_eq!(
            wrong("page=0&size=5&customerType=INDIVIDUAL", Release::V2),
            ["customerType: unknown parameter"]
        );
        assert_eq!(
            wrong("page=0&size=5&limit=5&page=1", Release::V3),
            ["limit: unknown parameter", "page: given twice"]
        );
    }
}
