//! The hosted page, as a browser without a script uses it: links, visits, the form, the difference, requests for information.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::SET_COOKIE;
use serde_json::{Value, json};

use crate::house::{House, PNG, spawn};
use crate::visitor::{Browser, link};

/// A customer who was rejected for this reason.
async fn rejected(house: &House, name: &str, remark: &str) -> String {
    let id = house.onboard(name).await;
    house.nium_says(&id, json!({ "complianceStatus": "REJECT", "complianceRemarks": remark })).await;
    house.until(&id, "awaiting_correction").await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_corrects_on_the_page_and_comes_back() {
    let house = House::start().await;
    let id = rejected(&house, "Ana", "POI does not match the declared name").await;
    let mut browser = Browser::new(&house);
    let page = browser.enter(&link(&house, &id).await).await;
    page.has("could not be matched with your identity document").has("value=\"Ana\"").has("First name");
    page.lacks("ana@example.test").lacks("80000000").lacks("1990-02-03").lacks("POI").lacks("1 Example");
    page.has("a•••@e•••.test");
    let form = page.form();

    let nothing =
        browser.submit("/correct", &[("form", None, form.as_bytes()), ("f-firstName", None, b"Ana")]).await;
    nothing.leads_to("/correct");
    browser.get("/correct").await.has("Nothing has been changed yet").has("role=\"alert\"");

    let png = STANDARD.decode(PNG).unwrap();
    let written = browser
        .submit(
            "/correct",
            &[
                ("form", None, form.as_bytes()),
                ("f-firstName", None, b"Ana Maria"),
                ("f-email", None, b""),
                ("doc-kind", None, b"Passport"),
                ("doc-number", None, b"X0000002"),
                ("doc-photo", Some("C:\\photos\\new passport.png"), &png),
                ("doc-file", Some(""), b""),
                ("go", None, b"check"),
            ],
        )
        .await;
    written.leads_to("/correct/review");
    let review = browser.get("/correct/review").await;
    review.has("First name").has("Ana Maria").has("Passport (new passport.png)").lacks("E-mail");
    assert_eq!(house.submissions(&id).0, 0, "nothing has been taken yet");

    let send = format!("form={}", review.form());
    browser.post("/correct/send", &send).await.leads_to("/correct");
    browser.post("/correct/send", &send).await.leads_to("/correct");
    house.until(&id, "reinstated").await;
    browser.get("/correct").await.has("You are verified");
    assert_eq!(house.submissions(&id), (1, 1));
    let taken = house.sim.customer(&id).unwrap();
    assert_eq!(taken["application"]["firstName"], "Ana Maria");
    assert_eq!(taken["application"]["email"], "ana@example.test");
    let story = house.story(&id).await;
    assert!(story.contains("link made") && story.contains("link opened"), "{story}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_a_link_changes_nothing_and_it_ends_when_it_should() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let url = link(&house, &id).await;
    let mut scanner = Browser::new(&house);
    for _ in 0..50 {
        let seen = scanner.get(&url).await;
        assert_eq!(seen.status, 200);
        assert!(seen.headers.get(SET_COOKIE).is_none());
        seen.lacks("Ana").lacks("example.test");
    }
    assert!(!house.story(&id).await.contains("link opened"));
    scanner.get("/correct").await.has("There is nothing here");

    // Twenty visits, and no more.
    let path = url.clone();
    for _ in 0..20 {
        scanner.post(&path, "").await.leads_to("/correct");
    }
    assert_eq!(scanner.post(&path, "").await.status, 410);

    // Another link takes the place of the first of the same caller; a visit ends with its link.
    let second = link(&house, &id).await;
    scanner.get(&url).await.has("does not work any more");
    let mut visitor = Browser::new(&house);
    visitor.enter(&second).await.has("Correct your details");
    let (status, answer) =
        house.ask(Method::DELETE, &format!("/v1/customers/{id}/correction-link"), None).await;
    assert_eq!((status, answer), (200, json!({ "revoked": 1 })));
    assert_eq!(visitor.get("/correct").await.status, 403);
    assert_eq!(visitor.get(&second).await.status, 410);

    // A visit lasts two hours, a link as long as the offer.
    let third = link(&house, &id).await;
    visitor.enter(&third).await;
    house.advance(Duration::from_secs(2 * 3600 + 1));
    visitor.get("/correct").await.has("Please open your link again");
    visitor.enter(&third).await.has("Correct your details");
    house.advance(Duration::from_hours(24 * 14));
    assert_eq!(visitor.get(&third).await.status, 410);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_foreign_forms_get_nowhere() {
    let house = House::start().await;
    let (ana, bo) = (house.rejected("Ana").await, house.rejected("Bo").await);
    let mut browser = Browser::new(&house);
    for path in ["/correct", "/correct/review"] {
        assert_eq!(browser.get(path).await.status, 403);
    }
    let guessed = "A".repeat(43);
    for token in [guessed.as_str(), "x", "%00", "..%2f", &"a".repeat(4000)] {
        let seen = browser.get(&format!("/correct/{token}")).await;
        assert_eq!(seen.status, 410, "{token}");
        assert_eq!(browser.post(&format!("/correct/{token}"), "").await.status, 410);
    }
    let page = browser.enter(&link(&house, &ana).await).await;
    let mut other = Browser::new(&house);
    let foreign = other.enter(&link(&house, &bo).await).await.form();
    assert_ne!(page.form(), foreign);
    for form in [foreign.as_str(), "", "x"] {
        let parts: &[(&str, Option<&str>, &[u8])] =
            &[("form", None, form.as_bytes()), ("f-firstName", None, b"Eve")];
        assert_eq!(browser.submit("/correct", parts).await.status, 403);
        assert_eq!(browser.post("/correct/send", &format!("form={form}")).await.status, 403);
    }
    // What is ours but broken: no form, half a form, a bomb of entries.
    for body in ["", "--x\r\n", "--x\r\ncontent-disposition: form-data; name=\"form\"\r\n\r\nabc"] {
        let kind = "multipart/form-data; boundary=x".to_owned();
        let seen = browser.send(Method::POST, "/correct", Some((kind, body.as_bytes().to_vec()))).await;
        assert_eq!(seen.status, 403, "{body}");
    }
    let many: Vec<(&str, Option<&str>, &[u8])> =
        (0..1000).map(|_| ("f-firstName", None, &b"x"[..])).collect();
    assert_eq!(browser.submit("/correct", &many).await.status, 403);
    let seen = browser.get("/correct").await;
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(seen.headers[name], value);
    }
    let policy = seen.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    seen.lacks("style=").lacks("onclick").lacks("<script>");
    for case in [&ana, &bo] {
        assert_eq!(house.get(&format!("/v1/customers/{case}")).await.1["state"], "awaiting_correction");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_beside_the_entry_in_the_visitors_language() {
    let house = House::start().await;
    let id = rejected(&house, "Ana", "date of birth, billing address").await;
    let mut browser = Browser::new(&house);
    browser.language = "sv, de;q=0.8";
    let url = link(&house, &id).await;
    browser.get(&url).await.has("lang=\"de\"");
    browser.post(&url, "lang=de").await.leads_to("/correct");
    browser.language = "en";
    let page = browser.get("/correct").await;
    page.has("<html lang=\"de\">");
    let form = page.form();
    let parts: &[(&str, Option<&str>, &[u8])] = &[
        ("form", None, form.as_bytes()),
        ("f-dateOfBirth", None, b"2020-01-01"),
        ("f-email", None, b"<script>alert(1)</script>"),
        ("f-billingCity", None, b"A city whose name is far too long"),
        ("doc-file", Some("bomb.exe"), b"MZ this is no picture"),
    ];
    browser.submit("/correct", parts).await.leads_to("/correct");
    let page = browser.get("/correct?lang=en").await;
    page.has("<html lang=\"en\">").has("e-mail address such as").has("At most: 20.");
    page.has("JPEG, PNG or PDF file of at most 2 MB").has("aria-invalid=\"true\"").lacks("<script>alert");
    page.has("href=\"#f-email\"").has("A city whose name is far too long");
    // The strict bounds come first; a region's rules are told once those hold.
    let parts: &[(&str, Option<&str>, &[u8])] = &[
        ("form", None, form.as_bytes()),
        ("f-dateOfBirth", None, b"2020-01-01"),
        ("f-email", None, b""),
        ("f-billingCity", None, b"Singapore"),
    ];
    browser.submit("/correct", parts).await.leads_to("/correct");
    browser.get("/correct").await.has("at least 18 years").lacks("At most: 20.");
    // A file over the limit is refused in words, and a form over all limits too.
    let large = vec![0_u8; 2 * 1024 * 1024 + 1];
    let parts: &[(&str, Option<&str>, &[u8])] =
        &[("form", None, form.as_bytes()), ("doc-file", Some("large.png"), &large)];
    browser.submit("/correct", parts).await.leads_to("/correct");
    browser.get("/correct").await.has("JPEG, PNG or PDF file of at most 2 MB");
    let huge = vec![0_u8; 25 * 1024 * 1024];
    let parts: &[(&str, Option<&str>, &[u8])] =
        &[("form", None, form.as_bytes()), ("doc-file", Some("huge.png"), &huge)];
    assert_eq!(browser.submit("/correct", parts).await.status, 413);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_kept_sealed_until_it_is_sent() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let url = link(&house, &id).await;
    let mut browser = Browser::new(&house);
    let form = browser.enter(&url).await.form();
    let png = STANDARD.decode(PNG).unwrap();
    let parts: &[(&str, Option<&str>, &[u8])] = &[
        ("form", None, form.as_bytes()),
        ("f-lastName", None, b"Quartzova"),
        ("doc-kind", None, b"UtilityBill"),
        ("doc-photo", Some("quartz-bill.png"), &png),
        ("go", None, b"more"),
    ];
    browser.submit("/correct", parts).await.leads_to("/correct");
    browser.get("/correct").await.has("Quartzova").has("quartz-bill.png").lacks("role=\"alert\"");
    house.database.hides(&["Quartzova", "quartz-bill"]);

    let house = house.restart().await;
    browser.base = format!("http://{}", house.public);
    browser.get("/correct").await.has("Quartzova").has("quartz-bill.png");
    // Another link of the customer's does not show it.
    let second = house.ask(Method::POST, &format!("/v1/customers/{id}/correction-link"), None).await.1;
    let mut other = Browser::new(&house);
    let token = second["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    other.enter(&format!("/correct/{token}")).await.lacks("Quartzova");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_windows_send_one_correction() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let url = link(&house, &id).await;
    let mut browser = Browser::new(&house);
    let form = browser.enter(&url).await.form();
    let parts: &[(&str, Option<&str>, &[u8])] =
        &[("form", None, form.as_bytes()), ("f-firstName", None, b"Ana Maria")];
    browser.submit("/correct", parts).await.leads_to("/correct/review");
    let sends: Vec<_> = (0..8)
        .map(|_| {
            let mut window = Browser::new(&house);
            window.cookies.clone_from(&browser.cookies);
            let body = format!("form={form}");
            spawn(async move { window.post("/correct/send", &body).await.status })
        })
        .collect();
    for send in sends {
        assert_eq!(send.await.unwrap(), 303);
    }
    house.until(&id, "reinstated").await;
    assert_eq!(house.submissions(&id), (1, 1));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_information_is_answered_on_the_same_page() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    house
        .nium(
            Method::POST,
            &format!("/__sim/customers/{id}/rfi"),
            json!({ "ask": ["passport", "firstName"] }),
        )
        .await;
    let path = format!("/v1/customers/{id}/rfi");
    house
        .eventually("it is asked", async || {
            house.get(&path).await.1["items"].as_array().is_some_and(|items| items.len() == 2)
        })
        .await;
    let mut browser = Browser::new(&house);
    let page = browser.enter(&link(&house, &id).await).await;
    page.has("We need some more information").has("photo or scan of your passport");
    let form = page.form();
    let name = ["r0-firstName", "r1-firstName"].into_iter().find(|name| page.text.contains(name)).unwrap();
    let place = if name.starts_with("r0") { "r1" } else { "r0" };
    let (kind, number, photo) =
        (format!("{place}-kind"), format!("{place}-number"), format!("{place}-photo"));
    let half: &[(&str, Option<&str>, &[u8])] = &[("form", None, form.as_bytes()), (name, None, b"Ana Maria")];
    browser.submit("/correct/answers", half).await.leads_to("/correct");
    browser.get("/correct").await.has("role=\"alert\"").has("Ana Maria");
    let png = STANDARD.decode(PNG).unwrap();
    let whole: &[(&str, Option<&str>, &[u8])] = &[
        ("form", None, form.as_bytes()),
        (name, None, b"Ana Maria"),
        (&kind, None, b"Passport"),
        (&number, None, b"X0000001"),
        (&photo, Some("p.png"), &png),
    ];
    browser.submit("/correct/answers", whole).await.leads_to("/correct");
    let answered =
        || house.sim.journal().iter().filter(|entry| entry.endpoint == "rfi_answer" && entry.applied).count();
    house.eventually("Nium has the answer", async || answered() == 1).await;
    browser.get("/correct").await.lacks("We need some more information");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_only_made_for_something_open() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    let path = format!("/v1/customers/{id}/correction-link");
    let (status, answer) = house.ask(Method::POST, &path, None).await;
    assert_eq!((status, answer["code"].as_str()), (409, Some("nothing_open")));
    let unknown = "/v1/customers/0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01/correction-link";
    assert_eq!(house.ask(Method::POST, unknown, None).await.0, 404);
    assert_eq!(house.ask(Method::DELETE, unknown, None).await.0, 404);
    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&id, "awaiting_correction").await;
    for (body, status) in [
        (json!({ "language": "de" }), 201),
        (json!({ "language": "xx" }), 422),
        (json!({ "tongue": "de" }), 422),
        (json!([]), 422),
        (Value::Null, 422),
    ] {
        let (found, answer) = house.ask(Method::POST, &path, Some(body.clone())).await;
        assert_eq!(found, status, "{body} {answer}");
        if status == 201 {
            assert!(answer["url"].as_str().unwrap().ends_with("?lang=de"));
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nium_refuses_is_to_be_looked_at_again_and_is_no_trouble() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    house.nium(Method::POST, &format!("/__sim/customers/{id}/rfi"), json!({ "ask": ["firstName"] })).await;
    let rfi = format!("/v1/customers/{id}/rfi");
    house.eventually("it is asked", async || house.get(&rfi).await.1["open"] == true).await;
    let mut browser = Browser::new(&house);
    let form = browser.enter(&link(&house, &id).await).await.form();
    house.fault(json!({ "endpoint": "rfi_answer", "kind": "status", "code": 400 })).await;
    let parts = [("form", None, form.as_bytes()), ("r0-firstName", None, &b"Ana Maria"[..])];
    browser.submit("/correct/answers", &parts).await.leads_to("/correct");
    browser.get("/correct").await.is(200).has("Please look at these entries again").has("Ana Maria");
    browser.submit("/correct/answers", &parts).await.leads_to("/correct");
    house.eventually("it is taken", async || house.get(&rfi).await.1["open"] == false).await;
    house.close().await;
}
