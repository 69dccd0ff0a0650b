//! Customers: where they stand, their way back, and writes at Nium.

use serde_json::{Value, json};

use super::{Operation, schema};
use crate::domain::case::CaseState;
use crate::domain::remark::RemarkClass;
use crate::domain::search::TERM_CHARS_MAX;
use crate::domain::view::View;

/// A made-up person.
fn person() -> Value {
    json!({
        "email": "ada@example.test", "mobile": "80000000", "countryCode": "SG", "firstName": "Ada", "lastName": "Sample",
        "dateOfBirth": "1990-02-03", "nationality": "SG", "kycMode": "MANUAL_KYC", "complianceLevel": "SCREENING_KYC",
        "billingAddress1": "1 Example Street", "billingCity": "Singapore", "billingZipCode": "018900", "billingCountry": "SG",
        "isTncAccepted": true, "verificationConsent": true, "tags": [{ "key": "tier", "value": "gold" }],
        "identificationDoc": [{ "identificationType": "Passport", "identificationValue": "X0000001",
            "identificationDocument": [{ "fileName": "passport.png", "fileType": "image/png", "document": "iVBORw0KGgo=" }] }],
    })
}

/// A made-up company.
fn company() -> Value {
    json!({
        "region": "SG", "tags": [{ "key": "tier", "value": "gold" }],
        "businessDetails": {
            "businessName": "Sample Trading", "businessRegistrationNumber": "T00000001X", "businessType": "PRIVATE_LIMITED_COMPANY",
            "addresses": { "registeredAddress": { "addressLine1": "1 Example Street", "city": "Singapore", "country": "SG", "postcode": "018900" } },
            "legalDetails": { "registeredCountry": "SG", "registeredDate": "2020-01-02" },
            "applicantDetails": { "firstName": "Ada", "contactDetails": { "email": "ada@example.test" } },
            "stakeholders": [{ "stakeholderDetails": { "firstName": "Ada" } }],
        },
        "riskAssessmentInfo": { "annualTurnover": "SG001", "countryOfOperation": ["SG"] },
    })
}

pub(super) fn operations() -> Vec<Operation> {
    let mut all = found();
    all.extend(shown());
    all.extend(way_back());
    all.extend(at_nium());
    all
}

fn found() -> Vec<Operation> {
    let op = |method, path, summary| Operation::new(method, path, "customers", summary);
    vec![
        op("get", "/v1/customers", "List customers")
            .role("viewer")
            .about("In the order of their ids, those of a view or with `deadlineWithin` in the order in which an officer works through them; remarks are left to the customer's own route.")
            .query("view", "Only in this view; GET /v1/views says what each means.", json!({ "type": "string", "enum": View::ALL.map(View::as_str) }))
            .query("state", "Only in this state.", json!({ "type": "string", "enum": CaseState::NAMES }))
            .query("status", "Only with this status at Nium, such as Clear.", word())
            .query("complianceStatus", "Only with this compliance status at Nium, such as REJECT.", word())
            .query("kind", "Persons or companies.", json!({ "type": "string", "enum": ["individual", "corporate"] }))
            .query("class", "Only with this verdict on the remarks of an open rejection.", json!({ "type": "string", "enum": RemarkClass::ALL.map(RemarkClass::as_str) }))
            .query("deadlineWithin", "An offer, or else a request for information, ends within: a span such as 3d, or before a moment. Nearest first.", word())
            .query("tag", "With this tag: key, or key:value.", word())
            .query("olderThan", "In their state since before: a span such as 24h or 3d, or a moment.", word())
            .query("newerThan", "In their state since after.", word())
            .paged()
            .answer(200, "A page", schema("CustomerPage")),
        op("get", "/v1/views", "The lists that officers work through")
            .role("viewer")
            .about("What each of them means, and how many stand in it, counted to a hundred.")
            .answer(200, "All of them", schema("Views")),
        op("post", "/v1/customers/search", "Find customers")
            .role("viewer")
            .about("Among ours, by what lies open and by e-mail, mobile, tag and whole words of names, which are sealed and found by marks; or in Nium's own list (`source: nium`, for `app`, `officer` and `admin`). What is personal stands in the body, never in an address.")
            .body(schema("Search"), [
                json!({ "source": "ours", "email": "ada@example.test" }),
                json!({ "source": "nium", "tag": { "key": "tier", "value": "gold" }, "order": "ASC" }),
            ])
            .answer(200, "A page; `notes` says what Nium's older list could not do", schema("Found"))
            .problem("invalid_search")
            .problem("role_not_allowed")
            .problem("unknown_keys")
            .problem("bad_parameter")
            .problem("nium_too_many")
            .problem("nium_has_not_answered")
            .problem("nium_unavailable")
            .problem("nium_refuses_us")
            .problem("nium_in_trouble")
            .problem("nium_unreadable"),
    ]
}

fn shown() -> Vec<Operation> {
    let op = |method, path, summary| Operation::new(method, path, "customers", summary);
    vec![
        op("get", "/v1/customers/{id}", "Show a customer")
            .role("viewer")
            .about("`nium.status` is what Nium's platform says, `nium.complianceStatus` what its compliance says; `state` is our case.")
            .refreshed()
            .answer(200, "The customer", schema("Customer"))
            .problem("no_such_customer"),
        op("get", "/v1/customers/{id}/bundle", "Everything on file that is not sealed")
            .role("officer")
            .about("Case, timeline, callbacks, effects, what the backend was told, and the audit record's rows with what proves them. That it was given out is recorded.")
            .answer(200, "The bundle", schema("Bundle"))
            .problem("customer_hash_id_malformed")
            .problem("no_such_customer"),
        op("get", "/v1/customers/{id}/timeline", "Everything that happened to a customer")
            .role("viewer")
            .about("Oldest first.")
            .answer(200, "The timeline", schema("Timeline"))
            .problem("no_such_customer"),
        op("post", "/v1/customers/{id}/decision", "An officer's word")
            .role("officer")
            .about("`offer` opens (another) reinstatement, `reapply` does so for a permanently blocked customer, `final` and `close` end the case, `retry` asks Nium again, `take_over` takes a parked case in hand. A word is stored first; the effect tells what became of it. Where `flow.second_person` asks for it, overriding a final rejection waits for somebody else.")
            .write()
            .body(schema("Decision"), [json!({ "decision": "retry", "note": "Case 1001: asked again" })])
            .answer(200, "Taken in hand", schema("InHand"))
            .answer(202, "Stored, or waiting for a second person", json!({ "anyOf": [schema("Stored"), schema("ApprovalAsked")] }))
            .problem("not_parked")
            .problem("approval_open")
            .problem("write_under_way")
            .problem("no_such_customer")
            .problem("invalid_decision")
            .problem("customer_is_a_company"),
        op("get", "/v1/effects/{id}", "What became of an effect")
            .role("viewer")
            .about("What Nium said is under `said`; addresses with which one could act as the customer are left out for viewers.")
            .answer(200, "The effect", schema("Effect"))
            .problem("no_such_effect"),
    ]
}

/// One condition.
fn word() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": TERM_CHARS_MAX })
}

fn way_back() -> Vec<Operation> {
    let op = |method, path, summary| Operation::new(method, path, "corrections", summary);
    let correction = || json!({ "fields": { "firstName": "Ada Mary" } });
    vec![
        op("put", "/v1/customers/{id}/application", "Put the original application on file")
            .role("app")
            .about("Sealed; Nium does not give all of it back. The customer need not be known yet. Gaps by the region's rules come back as warnings.")
            .write()
            .body(schema("Application"), [person()])
            .answer(200, "On file", schema("Kept"))
            .problem("invalid_fields"),
        op("post", "/v1/customers/{id}/corrections", "Hand in a correction")
            .role("app")
            .about("Taken while the state is `awaiting_correction`. The submission that follows is sent once, after a fresh look.")
            .write()
            .body(schema("Correction"), [correction()])
            .answer(202, "Stored; the effect tells what becomes of it", schema("Corrected"))
            .problem("no_such_customer")
            .problem("no_offer_open")
            .problem("write_under_way")
            .problem("unknown_keys")
            .problem("nothing_changed")
            .problem("invalid_fields"),
        op("post", "/v1/customers/{id}/corrections/preview", "What a correction would send")
            .role("app")
            .about("Nothing is stored.")
            .body(schema("Correction"), [correction()])
            .answer(200, "The request, the difference, and what is still wrong with it", schema("Preview"))
            .problem("no_such_customer")
            .problem("no_offer_open")
            .problem("write_under_way")
            .problem("unknown_keys")
            .problem("invalid_fields"),
        op("post", "/v1/customers/{id}/correction-link", "Make a link to the hosted page")
            .role("app")
            .about("For the customer alone: whoever has the link may see what is asked and correct it. It replaces the last one that the same caller made, and ends with the offer or with the request for information. The body may be left out.")
            .body(schema("LinkWish"), [json!({ "language": "de" })])
            .may_be_bare()
            .answer(201, "The link; it is shown this once", schema("Link"))
            .problem("no_such_customer")
            .problem("nothing_open")
            .problem("no_public_address")
            .problem("invalid_fields"),
        op("delete", "/v1/customers/{id}/correction-link", "End every link of a customer")
            .role("app")
            .about("Those in e-mails too, and the visits that began with one.")
            .answer(200, "So many links ended", schema("LinksRevoked"))
            .problem("no_such_customer"),
    ]
}

/// A write at Nium that goes the road of an act.
fn act(operation: Operation) -> Operation {
    operation
        .write()
        .dry_run()
        .answer(200, "Done, or shown for `dryRun`", json!({ "anyOf": [schema("Effect"), schema("DryRun")] }))
        .answer(202, "It takes longer than five seconds; ask for the effect", schema("Effect"))
        .problem("no_such_customer")
        .problem("write_under_way")
        .problem("customer_moved")
        .problem("refused_by_rule")
        .problem("refused_by_nium")
}

fn at_nium() -> Vec<Operation> {
    let op = |method, path, summary| Operation::new(method, path, "nium", summary);
    let receipt = json!({ "anyOf": [schema("Effect"), schema("DryRun"), schema("Receipt")] });
    let mut block = act(op("post", "/v1/customers/{id}/block", "Block or unblock"))
        .role("officer")
        .about("Only who blocked may unblock, never after a permanent block. A permanent block answers with a receipt of what it would do; send it again with the receipt.")
        .body(schema("Block"), [
            json!({ "action": "TEMPORARY_BLOCK", "reason": "SUSPICIOUS_ACTIVITY", "comment": "Case 1001" }),
            json!({ "action": "UNBLOCK", "reason": "CLIENT_REQUEST", "comment": "Case 1001 closed" }),
        ])
        .problem("invalid_fields");
    if let Some(first) = block.answers.iter_mut().find(|(status, ..)| *status == 200) {
        *first = (200, "Done, shown for `dryRun`, or the receipt of a permanent block", receipt);
    }
    if let Some(later) = block.answers.iter_mut().find(|(status, ..)| *status == 202) {
        let waits = json!({ "anyOf": [schema("Effect"), schema("ApprovalAsked")] });
        *later = (202, "It takes longer than five seconds, or waits for a second person", waits);
    }
    let block = block.problem("approval_open");
    vec![
        op("post", "/v1/customers", "Make a customer")
            .role("app")
            .about("A Unified Add Customer body, or an Onboard Corporate Customer body (with `businessDetails`), checked by the rules of the region first. The application stays on file, sealed.")
            .write()
            .dry_run()
            .body(json!({ "anyOf": [schema("Application"), schema("Company")] }), [person(), company()])
            .answer(201, "A customer now", schema("Effect"))
            .answer(200, "Shown for `dryRun`, or ended otherwise", json!({ "anyOf": [schema("Effect"), schema("DryRun")] }))
            .answer(202, "It takes longer than five seconds; ask for the effect", schema("Effect"))
            .problem("invalid_fields")
            .problem("refused_by_nium"),
        act(op("patch", "/v1/customers/{id}", "Change what Nium has on file"))
            .role("app")
            .about("Once compliance is COMPLETED only e-mail and mobile (a setting adds two addresses). `authenticationCode` is demanded in the EU and the UK. Names, date of birth and nationality are corrected, not updated.")
            .body(schema("Update"), [json!({ "email": "new@example.test" })])
            .problem("invalid_fields"),
        block,
        act(op("post", "/v1/customers/{id}/tags", "Set and delete tags"))
            .role("app")
            .about("At most 15 counting those on file; the outcome of each is under `said.tags`.")
            .body(schema("Tags"), [json!({ "set": { "tier": "gold" }, "delete": ["campaign"] })])
            .problem("invalid_fields"),
        op("get", "/v1/customers/{id}/rfi", "What Nium asks of a customer")
            .role("viewer")
            .about("Each item with a question in plain words and the fields of an answer.")
            .refreshed()
            .answer(200, "The request for information; no items where nothing is asked", schema("Rfi"))
            .problem("no_such_customer"),
        act(op("post", "/v1/customers/{id}/rfi", "Answer what Nium asks"))
            .role("app")
            .about("Everything that is open, at once, each item with all that it wants.")
            .body(schema("RfiAnswer"), [json!({ "answers": [{ "rfiHashId": "a7c1d2e3-0000-4000-8000-000000000001", "fields": { "firstName": "Ada Mary" } }] })])
            .problem("invalid_fields")
            .problem("no_rfi_open"),
        op("get", "/v1/customers/{id}/redirect", "Where a customer goes on with a vendor's check")
            .role("app")
            .about("Whoever has the address can act as the customer.")
            .answer(200, "The address and its end", schema("Redirect"))
            .problem("no_such_customer")
            .problem("no_redirect"),
        act(op("post", "/v1/customers/{id}/redirect", "Ask Nium for a new address"))
            .role("app")
            .about("While a check is under way or has run out. There is no body."),
    ]
}
