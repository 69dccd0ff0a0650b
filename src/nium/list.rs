//! The Customer List (contract section 12.2): who is at Nium, and where they stand, a page at a time.
//!
//! V3 is asked first. Where it is not there (404, 405, 410, 501) or says something that is not a list, V2 is, and once
//! V2 has given a page this process asks V2 alone; the next process tries V3 again. Both shapes are read whoever
//! answered, and an item that is not about anybody is counted and never takes its page with it.
//!
//! Pages are numbers into a list that moves: with the oldest first, a customer who joins is met at the end, but one
//! that Nium removes between two pages shifts the next customer to a page that was already read. A walk over the list
//! therefore finds most of what was missed, and looking at each customer we know finds the rest.

use std::sync::atomic::Ordering;
use std::time::Instant;

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use super::error::{ListError, LookError, TroubleKind};
use super::pace::{Class, Permit};
use super::wire::Object;
use super::{Endpoint, Nium, outcome_of, parse, read_value};
use crate::domain::id::CustomerHashId;
use crate::domain::snapshot::Listed;

/// Most customers on one page; Nium publishes no limit (contract section 12.2).
pub const PAGE_CUSTOMERS_MAX: u32 = 50;

/// Which release of the list gave a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The newer: items as in Customer Details V2, totals under `pagination`.
    V3,
    /// The older: flat items, totals beside them.
    V2,
}

/// A page of a walk, oldest customers first.
pub type ListPage = Page<Listed>;

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The customers, in Nium's order. The same one may come twice in a walk: pages move.
    pub customers: Vec<T>,
    /// Items that are not about anybody: no object, or no `customerHashId` that is one.
    pub unreadable: usize,
    /// How many pages of this size there are, if Nium said.
    pub total_pages: Option<u32>,
    /// How many customers there are, if Nium said.
    pub total_customers: Option<u64>,
    /// Nothing comes after this page. Where Nium did not say how many there are, only an empty page is the last: it
    /// may give fewer than were asked for.
    pub last: bool,
    /// Who answered.
    pub release: Release,
}

impl Release {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::V3 => "v3",
            Self::V2 => "v2",
        }
    }

    pub(super) fn endpoint(self) -> Endpoint {
        match self {
            Self::V3 => Endpoint::ListV3,
            Self::V2 => Endpoint::ListV2,
        }
    }
}

impl Nium {
    /// A page of the Customer List: `page` counts from 0, `size` is held within 1 and [`PAGE_CUSTOMERS_MAX`].
    ///
    /// Asking the older release after the newer is a second call: it gives `permit` back and waits for leave of its
    /// own, and carries the same `request_id`.
    pub async fn list(
        &self,
        page: u32,
        size: u32,
        request_id: Uuid,
        permit: Permit,
    ) -> Result<ListPage, ListError> {
        let size = size.clamp(1, PAGE_CUSTOMERS_MAX);
        if self.older_list.load(Ordering::Relaxed) {
            return self.page_of(Release::V2, page, size, None, request_id, permit).await;
        }
        let fault = match self.page_of(Release::V3, page, size, None, request_id, permit).await {
            Err(ListError::Unreadable(fault)) => fault,
            seen => return seen,
        };
        let permit = self.permit(Class::Sweep).await;
        match self.page_of(Release::V2, page, size, None, request_id, permit).await {
            Ok(seen) => {
                self.older_list.store(true, Ordering::Relaxed);
                tracing::info!(fault, "Customer List V3 cannot be used; asking V2 from now on");
                Ok(seen)
            }
            Err(ListError::Unreadable(_)) => Err(ListError::Unreadable(fault)),
            Err(trouble) => Err(trouble),
        }
    }

    /// Who is there by this filter, on the first page, in the order of their ids: whether an applicant is a customer already.
    pub async fn found_by(
        &self,
        filter: (&str, &str),
        request_id: Uuid,
        permit: Permit,
    ) -> Result<Vec<CustomerHashId>, ListError> {
        let (size, filter) = (PAGE_CUSTOMERS_MAX, Some(filter));
        let page = if self.older_list.load(Ordering::Relaxed) {
            self.page_of(Release::V2, 0, size, filter, request_id, permit).await?
        } else {
            match self.page_of(Release::V3, 0, size, filter, request_id, permit).await {
                Err(ListError::Unreadable(_)) => {
                    let permit = self.permit(Class::Live).await;
                    self.page_of(Release::V2, 0, size, filter, request_id, permit).await?
                }
                seen => seen?,
            }
        };
        if page.unreadable > 0 {
            return Err(ListError::Unreadable("an item of the list cannot be read"));
        }
        let mut found: Vec<CustomerHashId> = page.customers.iter().map(|customer| customer.id).collect();
        found.sort_unstable();
        Ok(found)
    }

    async fn page_of(
        &self,
        release: Release,
        page: u32,
        size: u32,
        filter: Option<(&str, &str)>,
        request_id: Uuid,
        permit: Permit,
    ) -> Result<ListPage, ListError> {
        let mut filters = vec![("order", "ASC".to_owned())];
        filters.extend(filter.map(|(name, value)| (name, value.to_owned())));
        self.ask_list(release, (page, size), &filters, request_id, permit, listed).await
    }

    /// Asks one release for one page of whoever fits `filters`. What was asked for may be personal: it stands in Nium's
    /// address, and is neither logged nor counted.
    pub(super) async fn ask_list<T>(
        &self,
        release: Release,
        (page, size): (u32, u32),
        filters: &[(&str, String)],
        request_id: Uuid,
        permit: Permit,
        read: fn(&Value) -> Option<T>,
    ) -> Result<Page<T>, ListError> {
        let begun = Instant::now();
        let path = format!("{}/client/{}/customers", release.path(), self.client_id);
        let request = self
            .request(&self.reader, Method::GET, &path)
            .query(&[("page", page.to_string()), ("size", size.to_string())])
            .query(filters)
            .header("x-request-id", request_id.to_string());
        let seen = read_value(request).await.and_then(|answer| {
            page_in(&answer, page, release, read).ok_or(LookError::Unreadable("the answer is not a list"))
        });
        drop(permit);
        let (endpoint, outcome, took) = (release.endpoint(), outcome_of(&seen), begun.elapsed());
        (self.observer)(endpoint, outcome, took);
        let took_ms = took.as_millis();
        tracing::debug!(endpoint = endpoint.as_str(), outcome, took_ms, page, "called Nium");
        seen.map_err(|error| match error {
            LookError::NotFound => ListError::Unreadable("Nium has no such list"),
            LookError::Unreadable(fault) => ListError::Unreadable(fault),
            // 501 is no trouble that passes.
            LookError::Trouble(trouble) if trouble.kind == TroubleKind::Server(501) => {
                ListError::Unreadable("Nium has no such list")
            }
            LookError::Trouble(trouble) => ListError::Trouble(trouble),
        })
    }
}

/// An answer as a page, in either shape; `None` when it is not a list. Without `content` it is one only if it says that
/// there are no customers: an error in an envelope must not look like an empty list.
pub(super) fn page_in<T>(
    answer: &Value,
    page: u32,
    release: Release,
    read: fn(&Value) -> Option<T>,
) -> Option<Page<T>> {
    let outer = Object::of(answer)?;
    let total = |name: &str| {
        outer.object("pagination").and_then(|inner| inner.text(name)).or_else(|| outer.text(name))
    };
    let total_pages: Option<u32> = total("totalPages").and_then(|text| text.parse().ok());
    let total_customers: Option<u64> = total("totalElements").and_then(|text| text.parse().ok());
    let items = match outer.said("content") {
        Some(content) => content.as_array()?.as_slice(),
        None if total_customers == Some(0) => &[],
        None => return None,
    };
    let customers: Vec<T> = items.iter().filter_map(read).collect();
    // Customers on one of no pages: the number is not to be believed.
    let total_pages = total_pages.filter(|pages| *pages > 0 || items.is_empty());
    let last = total_pages.map_or(items.is_empty(), |pages| page.saturating_add(1) >= pages);
    let unreadable = items.len() - customers.len();
    Some(Page { customers, unreadable, total_pages, total_customers, last, release })
}

pub(super) fn listed(item: &Value) -> Option<Listed> {
    let item = Object::of(item)?;
    let id = CustomerHashId::parse(&item.text("customerHashId")?)?;
    let facts = parse::facts(item);
    Some(Listed { id, status: facts.status, compliance: facts.compliance, updated_at: facts.updated_at })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::snapshot::NiumTime;
    use crate::domain::status::{Compliance, Status};

    const ANA: &str = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";
    const BO: &str = "77B0C8F4-0F0B-4F7C-9A57-6B1F5A0E7D02";

    fn read(answer: &Value) -> ListPage {
        page_in(answer, 0, Release::V3, listed).unwrap()
    }

    fn ids(page: &ListPage) -> Vec<String> {
        page.customers.iter().map(|customer| customer.id.to_string()).collect()
    }

    fn older() -> Value {
        json!({
            "content": [{
                "customerHashId": ANA, "customerType": "INDIVIDUAL", "firstName": "Ada", "lastName": "Sample",
                "email": "ada@example.test", "mobile": "80000000", "complianceStatus": "REJECT", "status": "Failed",
                "kycMode": "MANUAL_KYC", "tags": { "tier": "gold" },
                "createdAt": "2026-01-10 08:00:00", "updatedAt": "2026-01-12 09:30:00",
            }],
            "totalElements": 51, "totalPages": 2,
        })
    }

    fn newer() -> Value {
        json!({
            "content": [{
                "customerHashId": ANA, "customerType": "INDIVIDUAL",
                "accountDetails": [{ "walletHashId": "c1b2a3d4-1111-4222-8333-444455556666" }],
                "individualCustomer": { "firstName": "Ada", "status": "not the status", "updatedAt": "never" },
                "corporateCustomer": {}, "complianceStatus": "REJECT", "status": "Failed",
                "updatedAt": "2026-01-12 09:30:00",
            }],
            "pagination": { "totalElements": 51, "totalPages": 2 },
        })
    }

    #[test]
    fn both_shapes_say_the_same_whoever_answered() {
        let ana = Listed {
            id: CustomerHashId::parse(ANA).unwrap(),
            status: Some(Status::Failed),
            compliance: Some(Compliance::Reject),
            updated_at: Some(NiumTime::read("2026-01-12 09:30:00")),
        };
        for release in [Release::V3, Release::V2] {
            for answer in [older(), newer()] {
                let page = page_in(&answer, 0, release, listed).unwrap();
                assert_eq!(page.customers, std::slice::from_ref(&ana), "{answer}");
                assert_eq!((page.total_pages, page.total_customers), (Some(2), Some(51)), "{answer}");
                assert_eq!((page.unreadable, page.last, page.release), (0, false, release), "{answer}");
            }
        }
    }

    #[test]
    fn an_item_about_nobody_is_counted_and_its_neighbours_are_read() {
        let page = read(&json!({ "content": [
            { "customerHashId": ANA }, { "status": "Clear" }, { "customerHashId": "null" }, { "customerHashId": "12" },
            { "customerHashId": { "id": ANA } }, null, "a text", [], {}, { "customerHashId": BO },
        ]}));
        assert_eq!(ids(&page), [ANA.to_owned(), BO.to_lowercase()]);
        assert_eq!(page.unreadable, 8);
    }

    #[test]
    fn a_customer_with_unreadable_words_is_still_a_customer() {
        let page = read(&json!({ "content": [
            { "customerHashId": ANA, "complianceStatus": { "word": "REJECT" }, "status": ["Failed"], "updatedAt": {} },
            { "customerHashId": BO, "complianceStatus": "null", "status": null },
        ]}));
        assert_eq!((ids(&page).len(), page.unreadable), (2, 0));
        for customer in &page.customers {
            assert_eq!((&customer.compliance, &customer.status, &customer.updated_at), (&None, &None, &None));
        }
    }

    #[test]
    fn words_are_read_as_in_details() {
        let page = read(&json!({ "content": [
            { "customerHashId": ANA, "complianceStatus": " rfi requested ", "kycStatus": "CLEAR", "rfiDetails": "?" },
            { "customerHashId": BO, "complianceStatus": "PONDERING", "status": "Failed", "kycStatus": "Clear" },
        ]}));
        let (ana, bo) = (&page.customers[0], &page.customers[1]);
        assert_eq!((&ana.compliance, &ana.status), (&Some(Compliance::RfiRequested), &Some(Status::Clear)));
        assert_eq!(bo.compliance.as_ref().map(Compliance::as_str), Some("PONDERING"));
        assert_eq!(bo.status, Some(Status::Failed));
    }

    #[test]
    fn what_is_not_a_list_is_no_page() {
        for answer in [
            json!("Unauthorized"),
            json!([{ "customerHashId": ANA }]),
            json!({}),
            json!({ "content": null, "totalElements": 3 }),
            json!({ "content": { "customerHashId": ANA } }),
            json!({ "content": "null" }),
            json!({ "status": "BAD_REQUEST", "errors": [] }),
        ] {
            assert_eq!(page_in(&answer, 0, Release::V3, listed), None, "{answer}");
        }
        for nobody in [json!({ "content": [] }), json!({ "content": null, "totalElements": 0 })] {
            assert!(read(&nobody).last, "{nobody}");
        }
    }

    #[test]
    fn the_last_page_is_the_one_nium_counted_or_else_an_empty_one() {
        let page = |number, answer: Value| page_in(&answer, number, Release::V2, listed).unwrap();
        let one = json!([{ "customerHashId": ANA }]);
        assert!(!page(0, json!({ "content": one, "totalPages": "2" })).last, "a number may come as text");
        assert!(page(1, json!({ "content": one, "totalPages": 2 })).last);
        assert!(page(7, json!({ "content": one, "totalPages": 2 })).last);
        assert!(
            !page(0, json!({ "content": [], "totalPages": 2 })).last,
            "an empty page ends nothing before that"
        );
        assert!(page(0, json!({ "content": [], "totalPages": 0 })).last);
        for unsaid in [json!(0), json!(null), json!("many"), json!(-1), json!(1.5), json!({})] {
            assert!(!page(0, json!({ "content": one, "totalPages": unsaid })).last, "{unsaid}");
            assert!(page(9, json!({ "content": [], "totalPages": unsaid })).last, "{unsaid}");
        }
    }
}
