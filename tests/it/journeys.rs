//! Journeys as stories: what happened to one customer, as the timeline tells it.

use std::time::Duration;

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;

use crate::house::{House, Plan};

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_customer_comes_back() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let (status, answer) = house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(answer["difference"], json!([{ "field": "firstName", "from": "Ana", "to": "Ana Maria" }]));
    let case = house.until(&id, "reinstated").await;
    assert_eq!(case["attempts"], json!({ "used": 1, "max": 3 }));
    assert_eq!(
        (case["nium"]["complianceStatus"].as_str(), case["nium"]["status"].as_str()),
        (Some("COMPLETED"), Some("Clear"))
    );
    house.heard(&id, "customer.reinstated").await;
    assert_eq!(
        house.events(&id),
        ["rejected", "correction_requested", "correction_received", "submitted", "reinstated"]
    );
    assert_eq!(house.submissions(&id), (1, 1));
    let sent = house.sim.customer(&id).unwrap();
    assert_eq!(sent["application"]["firstName"], "Ana Maria");
    assert_eq!(
        sent["application"]["deliveryCity"], "Singapore",
        "what Nium does not give back came from the application"
    );
    assert_snapshot!(decisions(&house, &id).await, @r#"
    -> awaiting_correction: Rejected; the customer is offered reinstatement
    correction of ["firstName"]
    -> submitting: The correction was checked and will be sent to Nium
    -> submitting: The corrected information goes to Nium
    -> under_review: Nium took the corrected information
    -> reinstated: Completed and clear: the customer is reinstated
    "#);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_poll_alone_suffices() {
    let house = House::build(Plan { env: Vec::new(), silent: true, ..Plan::default() }).await;
    let id = house.rejected("Ana").await;
    house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    house.until(&id, "reinstated").await;
    house.heard(&id, "customer.reinstated").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_at_once_is_told_and_no_more() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "approved").await;
    house.heard(&id, "customer.approved").await;
    assert_eq!(house.events(&id), ["approved"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completed_is_not_clear_until_it_is() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    house.resubmission(&id, "lagging").await;
    house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    house.until(&id, "reinstated").await;
    assert_snapshot!(decisions(&house, &id).await, @r#"
    -> awaiting_correction: Rejected; the customer is offered reinstatement
    correction of ["firstName"]
    -> submitting: The correction was checked and will be sent to Nium
    -> submitting: The corrected information goes to Nium
    -> under_review: Nium took the corrected information
    -> reinstated: Completed and clear: the customer is reinstated
    "#);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_ends_with_the_next_callback() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    house.resubmission(&id, "review").await;
    house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    house.until(&id, "under_review").await;
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "reinstated").await;
    assert_eq!(house.submissions(&id), (1, 1));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_ids_only_is_no_verdict() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    house.resubmission(&id, "bare").await;
    house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    house.until(&id, "under_review").await;
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    house.until(&id, "reinstated").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_content_goes_back_to_whoever_corrected_and_spends_no_attempt() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    house.resubmission(&id, "refuse").await;
    let (_, answer) = house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    let effect = format!("/v1/effects/{}", answer["effectId"].as_str().unwrap());
    house
        .eventually("the effect ended", async || {
            house.advance(Duration::from_millis(200));
            house.get(&effect).await.1["ended"] == true
        })
        .await;
    let (_, effect) = house.get(&effect).await;
    assert_eq!(effect["status"], "refused");
    assert_eq!(effect["said"]["errors"], json!(["firstName: does not match"]));
    let case = house.until(&id, "awaiting_correction").await;
    assert_eq!(case["attempts"]["used"], 0);
    house.resubmission(&id, "complete").await;
    assert_eq!(house.correct(&id, json!({ "firstName": "Ana Maria Luisa" })).await.0, 202);
    house.until(&id, "reinstated").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_rejects_at_once_is_final() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    house.resubmission(&id, "reject").await;
    house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    let case = house.until(&id, "finally_rejected").await;
    assert_eq!(case["reason"], "rejected_at_once");
    assert_eq!(house.correct(&id, json!({ "firstName": "Ana M" })).await.0, 409);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_rejection_is_another_round_until_the_attempts_are_spent() {
    let house = House::with(&[("FLOW__MAX_SUBMISSIONS", "2")]).await;
    let id = house.rejected("Ana").await;
    for (round, name) in ["Ana Maria", "Ana Luisa"].into_iter().enumerate() {
        house.resubmission(&id, "review").await;
        assert_eq!(house.correct(&id, json!({ "firstName": name })).await.0, 202);
        house.until(&id, "under_review").await;
        house.advance(Duration::from_mins(1));
        house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
        let next = if round == 0 { "awaiting_correction" } else { "finally_rejected" };
        house.until(&id, next).await;
    }
    let (_, case) = house.get(&format!("/v1/customers/{id}")).await;
    assert_eq!(case["reason"], "attempts_spent");
    assert_eq!(house.submissions(&id), (2, 2));
    assert_snapshot!(decisions(&house, &id).await, @r#"
    -> awaiting_correction: Rejected; the customer is offered reinstatement
    correction of ["firstName"]
    -> submitting: The correction was checked and will be sent to Nium
    -> submitting: The corrected information goes to Nium
    -> under_review: Nium took the corrected information
    -> awaiting_correction: Rejected again; another correction is offered
    correction of ["firstName"]
    -> submitting: The correction was checked and will be sent to Nium
    -> submitting: The corrected information goes to Nium
    -> under_review: Nium took the corrected information
    -> finally_rejected: Rejected again, and every submission is used
    "#);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_out_by_looking_and_never_sent_twice() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    house.fault(json!({ "endpoint": "add_customer", "customerHashId": id, "kind": "answer_lost" })).await;
    house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    house.until(&id, "reinstated").await;
    assert_eq!(house.submissions(&id), (1, 1));
    assert_snapshot!(decisions(&house, &id).await, @r#"
    -> awaiting_correction: Rejected; the customer is offered reinstatement
    correction of ["firstName"]
    -> submitting: The correction was checked and will be sent to Nium
    -> submitting: The corrected information goes to Nium
    -> submitting: Nium's answer was lost; whether it was taken is found out by looking
    -> reinstated: Completed and clear: the customer is reinstated
    "#);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_lost_before_nium_took_it_is_sent_again_under_the_same_request_id() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    house
        .fault(json!({ "endpoint": "add_customer", "customerHashId": id, "kind": "drop", "applied": false }))
        .await;
    house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    house.until(&id, "reinstated").await;
    assert_eq!(house.submissions(&id), (1, 1), "applied once, asked for under one id");
    assert_snapshot!(decisions(&house, &id).await, @r#"
    -> awaiting_correction: Rejected; the customer is offered reinstatement
    correction of ["firstName"]
    -> submitting: The correction was checked and will be sent to Nium
    -> submitting: The corrected information goes to Nium
    -> submitting: Nium's answer was lost; whether it was taken is found out by looking
    -> submitting: Nium has not moved; it is sent again
    -> under_review: Nium took the corrected information
    -> reinstated: Completed and clear: the customer is reinstated
    "#);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_error_after_the_write_is_unclear_too() {
    for fault in
        [json!({ "kind": "html" }), json!({ "kind": "truncated" }), json!({ "kind": "status", "code": 500 })]
    {
        let house = House::start().await;
        let id = house.rejected("Ana").await;
        let mut whole = json!({ "endpoint": "add_customer", "customerHashId": id });
        whole.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        house.fault(whole).await;
        house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
        house.until(&id, "reinstated").await;
        assert_eq!(house.submissions(&id), (1, 1), "{fault}");
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nium_out_of_order_spends_no_attempt() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    for code in [401, 429] {
        house
            .fault(
                json!({ "endpoint": "add_customer", "customerHashId": id, "kind": "status", "code": code }),
            )
            .await;
    }
    house.correct(&id, json!({ "firstName": "Ana Maria" })).await;
    let case = house.until(&id, "reinstated").await;
    assert_eq!(case["attempts"]["used"], 1);
    assert_eq!(house.submissions(&id).0, 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_outlive_niums_troubles() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    for fault in ["html", "html200", "truncated", "drop", "huge"] {
        house.fault(json!({ "endpoint": "details", "customerHashId": id, "kind": fault })).await;
    }
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&id, "awaiting_correction").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_information_is_seen_and_told_once() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.nium(Method::POST, &format!("/__sim/customers/{id}/quirk"), json!({ "spaced_words": true })).await;
    house.nium_says(&id, json!({ "complianceStatus": "RFI_REQUESTED", "status": "Pending" })).await;
    house.heard(&id, "customer.rfi_requested").await;
    let case = house.until(&id, "watching").await;
    assert_eq!((&case["rfi"]["open"], &case["rfi"]["overdue"]), (&json!(true), &json!(false)));
    house.nium_says(&id, json!({ "complianceStatus": "COMPLETED", "status": "Clear" })).await;
    let case = house.until(&id, "approved").await;
    assert_eq!(case["rfi"], json!(null));
    house.heard(&id, "customer.approved").await;
    assert_eq!(house.events(&id), ["rfi_requested", "approved"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_word_is_kept_shown_and_parked() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house
        .nium(
            Method::POST,
            &format!("/__sim/customers/{id}/quirk"),
            json!({ "unknown_compliance": "ON HOLD (NEW)" }),
        )
        .await;
    house.nium_says(&id, json!({ "complianceStatus": "IN_PROGRESS" })).await;
    let case = house.until(&id, "needs_officer").await;
    assert_eq!(
        (case["reason"].as_str(), case["nium"]["complianceStatus"].as_str()),
        (Some("unknown_word"), Some("ON HOLD (NEW)"))
    );
    house.heard(&id, "customer.needs_officer").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quirks_of_the_details_do_not_change_the_story() {
    for quirk in [
        json!({ "null_strings": true }),
        json!({ "lower_case": true }),
        json!({ "kyc_status": true }),
        json!({ "extra_fields": true }),
        json!({ "status_lags": 1 }),
    ] {
        let house = House::start().await;
        let id = house.onboard("Ana").await;
        house.nium(Method::POST, &format!("/__sim/customers/{id}/quirk"), quirk.clone()).await;
        house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
        house.until(&id, "awaiting_correction").await;
        assert_eq!(house.correct(&id, json!({ "firstName": "Ana Maria" })).await.0, 202, "{quirk}");
        house.until(&id, "reinstated").await;
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lagging_status_is_read_once_more() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.nium(Method::POST, &format!("/__sim/customers/{id}/quirk"), json!({ "status_lags": 50 })).await;
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&id, "awaiting_correction").await;
    assert_snapshot!(decisions(&house, &id).await, @r#"
    -> rejected: Rejected, but the status lags behind: one more read decides
    -> awaiting_correction: Rejected; the customer is offered reinstatement
    "#);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_remark_offers_nothing() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    let says = json!({ "complianceStatus": "REJECT", "complianceRemarks": "APPLICANT -> SANCTIONS HIT" });
    house.nium_says(&id, says).await;
    let case = house.until(&id, "finally_rejected").await;
    assert_eq!((case["reason"].as_str(), case["correction"].clone()), (Some("remark_is_final"), json!(null)));
    house.heard(&id, "customer.finally_rejected").await;
    assert_eq!(house.events(&id), ["rejected", "finally_rejected"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_name_the_fields_to_correct() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    let remark = "POI does not match the declared name";
    house.nium_says(&id, json!({ "complianceStatus": "REJECT", "complianceRemarks": remark })).await;
    let case = house.until(&id, "awaiting_correction").await;
    assert_eq!(case["correction"]["class"], "fixable");
    assert!(case["correction"]["fields"].as_array().unwrap().contains(&json!("firstName")));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_ends_the_offer() {
    let house = House::with(&[("FLOW__CORRECTION_DAYS", "1")]).await;
    let id = house.rejected("Ana").await;
    house.advance(Duration::from_hours(25));
    let case = house.until(&id, "finally_rejected").await;
    assert_eq!(case["reason"], "deadline_passed");
    assert_eq!(house.correct(&id, json!({ "firstName": "Ana Maria" })).await.0, 409);
    let decision = json!({ "decision": "offer" });
    assert_eq!(house.ask(Method::POST, &format!("/v1/customers/{id}/decision"), Some(decision)).await.0, 202);
    house.until(&id, "awaiting_correction").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_nium_does_not_know_leaves_only_the_callback() {
    let house = House::start().await;
    let id = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";
    house.nium(Method::POST, "/__sim/callbacks", json!({ "customerHashId": id })).await;
    let evidence = format!("/v1/callbacks?customerHashId={id}");
    house
        .eventually("the callback is on file", async || {
            house.get(&evidence).await.1["items"][0]["deliveries"] == 1
        })
        .await;
    let asked = |entry: &serde_json::Value| entry["endpoint"] == "details" && entry["status"] == 404;
    house
        .eventually("Nium was asked", async || {
            serde_json::to_value(house.sim.journal()).unwrap().as_array().unwrap().iter().any(asked)
        })
        .await;
    assert_eq!(house.get(&format!("/v1/customers/{id}")).await.0, 404);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_is_one_callback_with_a_count() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house
        .fault(json!({ "endpoint": "callback", "customerHashId": id, "kind": "duplicate", "copies": 2 }))
        .await;
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&id, "awaiting_correction").await;
    let evidence = format!("/v1/callbacks?customerHashId={id}");
    house
        .eventually("all deliveries are counted", async || {
            let (_, callbacks) = house.get(&evidence).await;
            callbacks["items"].as_array().unwrap().iter().any(|callback| callback["deliveries"] == 3)
        })
        .await;
    house.heard(&id, "customer.correction_requested").await;
    assert_eq!(house.events(&id), ["rejected", "correction_requested"]);
    house.close().await;
}

/// The decisions of a story. Nudges and deliveries come when they come, and so does a look before the rejection.
async fn decisions(house: &House, id: &str) -> String {
    let story = house.story(id).await;
    let lines = story
        .lines()
        .filter(|line| line.starts_with("->") || line.starts_with("correction of"))
        .filter(|line| *line != "-> watching: Nium is working");
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_shut_out_alone_is_tried_ever_more_seldom_and_stops_nobody() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let shut = json!({ "endpoint": "add_customer", "customerHashId": id, "kind": "status", "code": 403, "times": 100_000 });
    house.fault(shut).await;
    assert_eq!(house.correct(&id, json!({ "firstName": "Ana Maria" })).await.0, 202);
    let tries = || {
        let journal = house.sim.journal();
        let of_ana = |entry: &&reinstate::sim::Entry| {
            entry.endpoint == "add_customer"
                && entry.customer_hash_id.as_deref() == Some(&id)
                && entry.status == Some(403)
        };
        journal.iter().filter(of_ana).count()
    };
    // Half an hour in steps of five seconds.
    for _ in 0..360 {
        house.advance(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    let count = tries();
    assert!((2..=20).contains(&count), "tried {count} times within half an hour");
    // Somebody else's way is open meanwhile.
    let bo = house.rejected("Bo").await;
    assert_eq!(house.correct(&bo, json!({ "firstName": "Bo Maria" })).await.0, 202);
    house.until(&bo, "reinstated").await;
    house.nium(Method::DELETE, "/__sim/faults", json!({})).await;
    house
        .eventually("Ana comes back", async || {
            house.advance(Duration::from_secs(20));
            house.get(&format!("/v1/customers/{id}")).await.1["state"] == "reinstated"
        })
        .await;
    assert_eq!(house.submissions(&id).0, 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_to_listen_after_a_lost_attempt_keeps_what_the_lost_one_is_known_by() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    for fault in [json!({ "kind": "drop", "applied": false }), json!({ "kind": "status", "code": 429 })] {
        let mut fault = fault;
        (fault["endpoint"], fault["customerHashId"]) = (json!("add_customer"), json!(id));
        house.fault(fault).await;
    }
    assert_eq!(house.correct(&id, json!({ "firstName": "Ana Maria" })).await.0, 202);
    house.until(&id, "reinstated").await;
    assert_eq!(house.submissions(&id), (1, 1), "one request id for all attempts");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_write_alone_is_waited_out() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    house
        .fault(json!({ "endpoint": "add_customer", "customerHashId": id, "kind": "status", "code": 503, "applied": false, "times": 3 }))
        .await;
    assert_eq!(house.correct(&id, json!({ "firstName": "Ana Maria" })).await.0, 202);
    let begun = house.now();
    house.until(&id, "reinstated").await;
    assert!(house.now().duration_since(begun).as_secs() > 60, "Nium was given time");
    assert_eq!(house.submissions(&id), (1, 1));
    house.close().await;
}
