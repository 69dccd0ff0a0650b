//! What is read out of a webhook's JSON: whose it is, about whom, and of which template. Everything else in it,
//! above all its idea of the customer's status, is neither believed nor kept (contract section 4).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::id::CustomerHashId;
use crate::domain::nudge::Template;

/// The three members that are read. They are raw, so that one of an unexpected kind is judged here, one by one, and
/// everything else is skipped without being built: no depth and no number in it can hurt.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, rename = "clientHashId")]
    client: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "customerHashId")]
    customer: Option<&'a RawValue>,
    #[serde(borrow, default)]
    template: Option<&'a RawValue>,
}

/// What a webhook says, as far as it is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Webhook {
    /// About whom; `None` if it names nobody, or not in the form of an id.
    pub customer: Option<CustomerHashId>,
    /// What kind of event.
    pub template: Option<Template>,
}

impl Webhook {
    /// Whether the customer has to be looked at.
    pub(super) fn is_nudge(&self) -> bool {
        self.template.as_ref().is_some_and(Template::is_about_a_customer)
    }
}

/// Why a webhook is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WebhookFault {
    /// It is not a JSON object, or says one of its three members twice.
    NotJson,
    /// It is meant for another client of Nium.
    ForeignClient,
    /// It is about where a customer stands, and does not say which customer.
    NoCustomer,
}

/// Reads a webhook meant for `client_hash_id`. A webhook that does not name its client is taken: a nudge only makes
/// us look.
pub(super) fn read(body: &[u8], client_hash_id: &str) -> Result<Webhook, WebhookFault> {
    // serde would also fill the members from an array, in order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(WebhookFault::NotJson);
    }
    let members: Members<'_> = serde_json::from_slice(body).map_err(|_| WebhookFault::NotJson)?;
    let ours = |raw| text(raw).is_some_and(|client| client.eq_ignore_ascii_case(client_hash_id));
    if members.client.is_some_and(|raw| !ours(raw)) {
        return Err(WebhookFault::ForeignClient);
    }
    let webhook = Webhook {
        customer: members.customer.and_then(text).and_then(|id| CustomerHashId::parse(&id)),
        // A template that is not a text is kept as `other`, as an unreadable name is.
        template: members.template.map(|raw| Template::keep(&text(raw).unwrap_or_default())),
    };
    if webhook.is_nudge() && webhook.customer.is_none() {
        return Err(WebhookFault::NoCustomer);
    }
    Ok(webhook)
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    /// Lets serde borrow a string that has no escapes.
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: &str = "6f0f8e0a-51c7-4d1e-9d3f-0b7a5d6f2c11";
    const ID: &str = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";

    fn check(body: &str) -> Result<(Option<String>, Option<String>, bool), WebhookFault> {
        read(body.as_bytes(), OURS).map(|webhook| {
            let nudge = webhook.is_nudge();
            let template = webhook.template.map(|template| template.as_str().to_owned());
            (webhook.customer.map(|id| id.to_string()), template, nudge)
        })
    }

    #[test]
    fn a_known_template_is_a_nudge() {
        let body = format!(
            r#"{{"clientHashId":"{}","customerHashId":"{ID}","status":"Failed","template":"CUSTOMER_COMPLIANCE_STATUS"}}"#,
            OURS.to_uppercase(),
        );
        assert_eq!(check(&body), Ok((Some(ID.into()), Some("CUSTOMER_COMPLIANCE_STATUS".into()), true)));
        for body in [
            r#"{"template":"CUSTOMER_COMPLIANCE_STATUS"}"#.to_owned(),
            r#"{"template":"CUSTOMER_STATUS_WEBHOOK","customerHashId":"x"}"#.to_owned(),
            r#"{"template":"CUSTOMER_STATUS_WEBHOOK","customerHashId":17}"#.to_owned(),
        ] {
            assert_eq!(check(&body), Err(WebhookFault::NoCustomer), "{body}");
        }
    }

    #[test]
    fn an_unknown_template_is_taken_and_makes_nobody_due() {
        for (body, customer, template) in [
            (r"{}".to_owned(), None, None),
            (format!(r#"{{"customerHashId":"{ID}"}}"#), Some(ID), None),
            (r#"{"template":"CARD_PAYMENT"}"#.to_owned(), None, Some("CARD_PAYMENT")),
            (r#"{"template":"Ann Example, 1 Street"}"#.to_owned(), None, Some("other")),
            (format!(r#"{{"template":"{}"}}"#, "A".repeat(65)), None, Some("other")),
            (r#"{"template":{"a":[1]},"customerHashId":[]}"#.to_owned(), None, Some("other")),
            (r#"{"template":null,"customerHashId":null,"clientHashId":null}"#.to_owned(), None, None),
        ] {
            let expected = (customer.map(str::to_owned), template.map(str::to_owned), false);
            assert_eq!(check(&body), Ok(expected), "{body}");
        }
    }

    #[test]
    fn another_clients_webhook_is_refused() {
        for client in [r#""00000000-0000-0000-0000-000000000000""#, "17", "\"\"", "{}"] {
            let body = format!(r#"{{"clientHashId":{client},"template":"CARD_PAYMENT"}}"#);
            assert_eq!(check(&body), Err(WebhookFault::ForeignClient), "{body}");
        }
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        let array = format!(r#"["{OURS}","{ID}","CUSTOMER_STATUS_WEBHOOK"]"#);
        let twice = format!(r#"{{"customerHashId":"{ID}","customerHashId":"{ID}"}}"#);
        for body in ["", "{", "null", "17", "\"x\"", "{}}", "\u{feff}{}", "customerHashId=1", &array, &twice]
        {
            assert_eq!(check(body), Err(WebhookFault::NotJson), "{body}");
        }
    }

    #[test]
    fn depth_numbers_and_repetition_are_harmless() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
        let huge = format!(r#"{{"a":1e999999999,"b":-{},"a":1}}"#, "9".repeat(60_000));
        for body in [&deep, &huge] {
            assert_eq!(check(body), Ok((None, None, false)));
        }
        let deep_member = format!(r#"{{"template":{}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(check(&deep_member), Ok((None, Some("other".into()), false)));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200), json in "\\{\"(template|customerHashId|clientHashId)\":.{0,40}\\}") {
            let _ = read(&body, OURS);
            let _ = read(json.as_bytes(), OURS);
        }
    }
}
