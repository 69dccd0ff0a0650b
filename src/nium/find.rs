//! Looking for customers in Nium's list (contract section 12.2). V3 is asked first and V2 where V3 is not there, as for a
//! walk; what V2 cannot filter is left out here instead, as far as its items say it.

use std::fmt;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::Nium;
use super::error::ListError;
use super::list::{PAGE_CUSTOMERS_MAX, Page, Release, listed};
use super::pace::Class;
use super::wire::{Object, text_of};
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::{CustomerKind, Listed};

/// What Nium's list is to be filtered by. Personal: it never prints itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// E-mail address.
    pub email: Option<String>,
    /// Mobile number without its prefix.
    pub mobile: Option<String>,
    /// Key of a tag, exactly.
    pub tag_key: Option<String>,
    /// Value of a tag, or a part of it.
    pub tag_value: Option<String>,
    /// Registration number of a company.
    pub business_registration_number: Option<String>,
    /// Person or company. V3 only.
    pub customer_type: Option<CustomerKind>,
    /// Children of this customer. V3 only.
    pub parent: Option<CustomerHashId>,
    /// Newest customers first.
    pub newest_first: bool,
}

impl fmt::Debug for ListFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListFilter").finish_non_exhaustive()
    }
}

impl ListFilter {
    /// The parameters for a release; V2 does not know all of them.
    fn parameters(&self, release: Release) -> Vec<(&'static str, String)> {
        let texts = [
            ("email", &self.email),
            ("mobile", &self.mobile),
            ("tagKey", &self.tag_key),
            ("tagValue", &self.tag_value),
            ("businessRegistrationNumber", &self.business_registration_number),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?)));
        let mut parameters: Vec<_> = texts.collect();
        parameters.push(("order", if self.newest_first { "DESC" } else { "ASC" }.to_owned()));
        if release == Release::V3 {
            parameters.extend(self.customer_type.map(|kind| ("customerType", word(kind).to_owned())));
            parameters.extend(self.parent.map(|id| ("parentCustomerHashId", id.to_string())));
        }
        parameters
    }

    /// What an older list did not filter by, by the names of the parameters.
    fn left_to_us(&self, release: Release) -> Vec<&'static str> {
        let newer =
            [("customerType", self.customer_type.is_some()), ("parentCustomerHashId", self.parent.is_some())];
        let left = newer.into_iter().filter(|(_, asked)| *asked && release == Release::V2);
        left.map(|(name, _)| name).collect()
    }

    /// Whether an item fits, as far as it says.
    fn fits(&self, item: &Candidate) -> bool {
        self.customer_type.is_none_or(|kind| item.kind == kind)
            && self.parent.is_none_or(|parent| item.parent == Some(parent))
    }
}

/// Nium's word for a person or a company.
#[must_use]
pub fn word(kind: CustomerKind) -> &'static str {
    match kind {
        CustomerKind::Individual => "INDIVIDUAL",
        CustomerKind::Corporate => "CORPORATE",
    }
}

/// A customer as Nium's list shows them. Personal: it never prints itself.
#[derive(Clone, PartialEq)]
pub struct Candidate {
    /// The part that is not personal.
    pub listed: Listed,
    /// Person or company.
    pub kind: CustomerKind,
    /// Whose child they are.
    pub parent: Option<CustomerHashId>,
    /// Names, addresses and times, by Nium's names.
    pub said: Map<String, Value>,
    /// Tags, by key.
    pub tags: Map<String, Value>,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("listed", &self.listed).finish_non_exhaustive()
    }
}

/// What an item says beside its words.
const SAID: [&str; 8] =
    ["firstName", "middleName", "lastName", "preferredName", "email", "countryCode", "mobile", "createdAt"];

/// What was found on one page.
#[derive(Clone, Debug)]
pub struct FoundPage {
    /// The page; what does not fit is left out.
    pub page: Page<Candidate>,
    /// What Nium's older list could not filter by.
    pub left_to_us: Vec<&'static str>,
}

impl Nium {
    /// A page of whoever fits: `page` counts from 0, `size` is held within 1 and [`PAGE_CUSTOMERS_MAX`]. It waits for the
    /// pace like every call. Whether V3 is there is left for the sweep to settle: a filter that V3 refuses proves
    /// nothing about it.
    pub async fn find(
        &self,
        filter: &ListFilter,
        page: u32,
        size: u32,
        request_id: Uuid,
    ) -> Result<FoundPage, ListError> {
        let size = size.clamp(1, PAGE_CUSTOMERS_MAX);
        if self.older_list.load(Ordering::Relaxed) {
            return self.find_in(Release::V2, filter, page, size, request_id).await;
        }
        match self.find_in(Release::V3, filter, page, size, request_id).await {
            Err(ListError::Unreadable(fault)) => {
                match self.find_in(Release::V2, filter, page, size, request_id).await {
                    Err(ListError::Unreadable(_)) => Err(ListError::Unreadable(fault)),
                    seen => seen,
                }
            }
            seen => seen,
        }
    }

    async fn find_in(
        &self,
        release: Release,
        filter: &ListFilter,
        page: u32,
        size: u32,
        request_id: Uuid,
    ) -> Result<FoundPage, ListError> {
        let permit = self.permit(Class::Live).await;
        let parameters = filter.parameters(release);
        let mut page =
            self.ask_list(release, (page, size), &parameters, request_id, permit, candidate).await?;
        let left_to_us = filter.left_to_us(release);
        if !left_to_us.is_empty() {
            page.customers.retain(|item| filter.fits(item));
        }
        Ok(FoundPage { page, left_to_us })
    }
}

pub(super) fn candidate(item: &Value) -> Option<Candidate> {
    let known = listed(item)?;
    let outer = Object::of(item)?;
    let person = outer.object("individualCustomer").unwrap_or(outer);
    let company = outer.object("corporateCustomer").unwrap_or(outer).object("businessDetails");
    let mut said = Map::new();
    for name in SAID {
        if let Some(text) = person.text(name).or_else(|| outer.text(name)) {
            said.insert(name.to_owned(), Value::String(text));
        }
    }
    for name in ["businessName", "businessRegistrationNumber"] {
        if let Some(text) = company.and_then(|company| company.text(name)) {
            said.insert(name.to_owned(), Value::String(text));
        }
    }
    let parent = person.text("parentCustomerHashId").or_else(|| outer.text("parentCustomerHashId"));
    let tags = outer.object("tags").map(|tags| {
        tags.entries()
            .filter_map(|(key, value)| Some((key.clone(), Value::String(text_of(value)?))))
            .collect()
    });
    Some(Candidate {
        listed: known,
        kind: super::parse::facts(outer).kind,
        parent: parent.and_then(|id| CustomerHashId::parse(&id)),
        said,
        tags: tags.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ANA: &str = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";

    #[test]
    fn both_shapes_say_the_same_about_a_customer() {
        let flat = candidate(&json!({
            "customerHashId": ANA, "customerType": "INDIVIDUAL", "firstName": "Ada", "email": "ada@example.test",
            "parentCustomerHashId": ANA, "status": "Clear", "tags": { "tier": "gold" }, "createdAt": "2026-01-10 08:00:00",
        }));
        let wrapped = candidate(&json!({
            "customerHashId": ANA, "customerType": "INDIVIDUAL", "status": "Clear", "tags": { "tier": "gold" },
            "individualCustomer": { "firstName": "Ada", "email": "ada@example.test", "parentCustomerHashId": ANA },
            "corporateCustomer": {}, "createdAt": "2026-01-10 08:00:00",
        }));
        assert_eq!(flat, wrapped);
        let said = flat.map(|flat| (flat.kind, flat.said.len(), flat.tags.len(), flat.parent.is_some()));
        assert_eq!(said, Some((CustomerKind::Individual, 3, 1, true)));
        let company = candidate(&json!({
            "customerHashId": ANA, "corporateCustomer": { "businessDetails": { "businessName": "Sample Pte" } },
        }));
        assert_eq!(company.map(|company| company.kind), Some(CustomerKind::Corporate));
        assert_eq!(candidate(&json!({ "email": "ada@example.test" })), None);
    }

    #[test]
    fn the_older_list_gets_only_what_it_knows_and_the_rest_is_left_to_us() {
        let filter = ListFilter {
            email: Some("ada@example.test".to_owned()),
            customer_type: Some(CustomerKind::Corporate),
            parent: CustomerHashId::parse(ANA),
            newest_first: true,
            ..ListFilter::default()
        };
        let names = |release| filter.parameters(release).iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(Release::V2), ["email", "order"]);
        assert_eq!(names(Release::V3), ["email", "order", "customerType", "parentCustomerHashId"]);
        assert_eq!(filter.left_to_us(Release::V2), ["customerType", "parentCustomerHashId"]);
        assert!(filter.left_to_us(Release::V3).is_empty());
        assert_eq!(format!("{filter:?}"), "ListFilter { .. }");
    }
}
