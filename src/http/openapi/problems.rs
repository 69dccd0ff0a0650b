//! Every code of a problem, with its status and what to do: the closed list. A test compares it with the source.

use std::collections::BTreeMap;

/// Code, status, meaning.
pub(super) const ALL: &[(&str, u16, &str)] = &[
    ("address_not_allowed", 403, "The caller's address is not in callback.allow_from."),
    ("approval_closed", 409, "The approval has been decided, has lapsed, or is too old."),
    ("approval_open", 409, "The same waits for a second person already."),
    ("bulk_ended", 409, "Every customer of the act is done; there is nothing to cancel."),
    ("bad_parameter", 400, "A parameter of the query is unknown, repeated, or not valid; `errors` names it."),
    ("body_not_json", 400, "The body is not readable JSON."),
    ("body_broken", 400, "The body ended before it was whole."),
    (
        "body_too_large",
        413,
        "The body is over the limit: 16 MiB on the admin listener, 64 KiB on the public one.",
    ),
    ("body_too_slow", 408, "The body did not arrive in time."),
    ("request_too_slow", 408, "The request took longer than a minute."),
    ("request_not_readable", 400, "The request is not HTTP as it should be."),
    ("customer_erased", 410, "The customer was erased; nothing is kept about them."),
    ("customer_hash_id_malformed", 400, "The id is not a UUID with hyphens."),
    ("customer_hash_id_missing", 400, "The query has no customerHashId."),
    ("customer_hash_id_repeated", 400, "The query has more than one customerHashId."),
    (
        "customer_is_a_company",
        409,
        "Unified Add Customer is for persons; a company's rejection is settled with Nium.",
    ),
    ("became_a_customer", 409, "The onboarding led to a customer; erase the customer instead."),
    ("customer_moved", 409, "The customer is not as they were; look again, and confirm that."),
    ("count_changed", 409, "There are not as many as were confirmed; nothing was done."),
    ("filter_too_wide", 422, "Too many customers have to be looked at; narrow the filter."),
    ("forwarded_unreadable", 403, "The proxy's X-Forwarded-For cannot be read."),
    ("foreign_client", 403, "The webhook is about another client of Nium's."),
    ("idempotency_key_malformed", 400, "The key has 1 to 255 visible ASCII characters."),
    ("idempotency_key_reused", 409, "The key belongs to another request; choose a new one."),
    ("internal", 500, "This is ours; the service's log has the cause."),
    ("invalid_bulk", 422, "The act is not one; `errors` names what is wrong."),
    ("invalid_decision", 422, "The word is not one that an officer has."),
    ("invalid_fields", 422, "Fields break a limit or a rule; `errors` has one message for each."),
    ("invalid_hold", 422, "The hold is not one; `errors` names what is wrong."),
    ("legal_hold", 409, "A legal hold is set; it is lifted with a reason before anything is erased."),
    ("invalid_search", 422, "A condition of the search is not valid; `errors` names it."),
    ("invalid_verdict", 422, "The verdict is approve or refuse."),
    ("invalid_filter", 422, "The filter is not one."),
    ("method_not_allowed", 405, "The Allow header names what works here."),
    (
        "nium_has_not_answered",
        504,
        "Nium has not answered within a few seconds; what is on file can be had without refresh.",
    ),
    ("nium_in_trouble", 502, "Nium cannot be reached, or failed; try again in a moment."),
    (
        "nium_refuses_us",
        502,
        "Nium does not take our key, client id or address; `reinstate doctor` says what to check.",
    ),
    ("nium_too_many", 429, "Nium wants fewer calls; wait."),
    ("nium_unavailable", 503, "Nium says that it is not available; try again."),
    ("nium_unreadable", 502, "Nium's list cannot be read with these conditions; leave one out."),
    ("no_offer_open", 409, "A correction is taken while the state is awaiting_correction."),
    ("no_redirect", 404, "Nium gave no address for this customer, or the check is over."),
    ("no_rfi_open", 409, "Nothing is asked of this customer."),
    ("no_such_approval", 404, "There is no approval of this id."),
    ("no_such_bulk", 404, "There is no act of this id; GET /v1/bulk lists them."),
    ("no_such_customer", 404, "No callback has named this customer yet, or Nium does not know the id."),
    ("no_such_onboarding", 404, "There is no onboarding of this id."),
    ("no_such_effect", 404, "There is no effect of this id."),
    ("no_such_endpoint", 404, "There is no endpoint of this name; GET /v1/endpoints lists them."),
    ("no_such_route", 404, "There is no such route on this listener."),
    ("not_recorded", 503, "Neither the database nor the spool took it; nothing was acknowledged."),
    ("not_parked", 409, "The case does not wait for an officer; there is nothing to take over."),
    ("nothing_open", 409, "Neither a correction nor a request for information is open."),
    ("no_public_address", 409, "public.url is not set, so there is no page to link to."),
    ("nothing_changed", 422, "The correction equals what is on file."),
    ("refused_by_nium", 422, "Nium refused it and changed nothing; `errors` has its own words."),
    (
        "refused_by_rule",
        409,
        "A rule forbids it while the customer stands so; nothing was sent. `errors` names the rule.",
    ),
    ("role_not_allowed", 403, "The token's role may not do this."),
    ("second_person_needed", 403, "Somebody else than who asked has to decide."),
    ("secret_path", 403, "The first segment of the path is not the secret one."),
    ("signature", 401, "The gateway's HMAC is missing or wrong."),
    ("static_header", 401, "The static header is missing or wrong."),
    ("store_unavailable", 503, "The store does not answer; try again in a moment."),
    ("too_busy", 503, "Too much is being answered at once; try again in a moment (Retry-After)."),
    ("too_many_customers", 422, "More customers fit than one act may take; narrow the filter."),
    (
        "too_many_requests",
        429,
        "This peer asks more often than public.peer_requests_per_second says, or waits for a quarter of all answers.",
    ),
    ("token_missing_or_unknown", 401, "Send `Authorization: Bearer …` with a token that was made here."),
    ("unknown_keys", 400, "The body has keys that are not known; use Nium's field names."),
    ("write_under_way", 409, "One write about this customer is on its way; wait for what becomes of it."),
];

/// What a code means.
pub(super) fn meaning(code: &str) -> &'static str {
    ALL.iter().find(|(known, ..)| *known == code).map_or("", |(_, _, meaning)| meaning)
}

/// Codes by the status that they come with.
pub(super) fn by_status<'a>(codes: &[&'a str]) -> BTreeMap<u16, Vec<&'a str>> {
    let mut sorted: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in codes {
        let status = ALL.iter().find(|(known, ..)| known == code).map_or(500, |(_, status, _)| *status);
        sorted.entry(status).or_default().push(code);
    }
    sorted
}
