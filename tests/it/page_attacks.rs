//! What people do to the hosted page who should not be there, and what happens to those who should when much happens at once.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::{House, PNG, application};
use crate::visitor::{Browser, link};

/// A form as a window of the same browser sends it.
async fn at_once(browser: &Browser, house: &House, path: &str, parts: &[(&str, Option<&str>, &[u8])]) {
    let windows = (0..8).map(|_| async {
        let mut window = Browser::new(house);
        window.cookies.clone_from(&browser.cookies);
        window.submit(path, parts).await.status
    });
    for status in join_all(windows).await {
        assert_eq!(status, 303);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_is_told_to_ask_and_is_shown_no_form() {
    let house = House::start().await;
    let company = house.nium(Method::POST, "/__sim/customers", json!({ "customerType": "CORPORATE" })).await;
    let id = company["customerHashId"].as_str().unwrap().to_owned();
    house.until(&id, "watching").await;
    let ask = json!({ "ask": ["tradeName"] });
    house.nium(Method::POST, &format!("/__sim/customers/{id}/rfi"), ask).await;
    let rfi = format!("/v1/customers/{id}/rfi");
    house.eventually("it is asked", async || house.get(&rfi).await.1["open"] == true).await;
    let mut browser = Browser::new(&house);
    let page = browser.enter(&link(&house, &id).await).await;
    page.has("We need some more information").has("about your company").has("Please contact us");
    page.lacks("<fieldset").lacks("type=\"file\"").lacks("tradeName");
    // A form that was made by hand is answered by the same page, and asks Nium nothing.
    for path in ["/correct", "/correct/answers"] {
        let form = [("form", None, &b"x"[..]), ("r0-tradeName", None, &b"Quartz"[..])];
        assert_eq!(browser.submit(path, &form).await.status, 403);
    }
    browser.language = "ja";
    browser.get("/correct?lang=ja").await.has("このページではご回答いただけません");
    assert!(house.sim.journal().iter().all(|entry| entry.endpoint != "rfi_answer"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_and_a_visit_end_with_their_customer_and_reach_nobody_else() {
    let house = House::start().await;
    let (ana, bo) = (house.rejected("Ana").await, house.rejected("Bo").await);
    let (of_ana, of_bo) = (link(&house, &ana).await, link(&house, &bo).await);
    let mut browser = Browser::new(&house);
    browser.enter(&of_ana).await.has("value=\"Ana\"").lacks("value=\"Bo\"");
    // Another customer's link in the same browser begins another visit, and nothing of the first is left in it.
    browser.enter(&of_bo).await.has("value=\"Bo\"").lacks("value=\"Ana\"");
    // The first link is used again, also when its token is cut, lengthened or in other letters: only the whole one opens.
    browser.enter(&of_ana).await.has("value=\"Ana\"");
    let token = of_ana.rsplit('/').next().unwrap().to_owned();
    let turned: String = token.chars().rev().collect();
    for guess in [&token[1..], &format!("{token}A"), &token.to_lowercase(), &turned, &"A".repeat(43)] {
        assert_eq!(browser.get(&format!("/correct/{guess}")).await.status, 410, "{guess}");
        assert_eq!(browser.post(&format!("/correct/stop/{guess}"), "").await.status, 410, "{guess}");
    }
    // A cookie of nobody's, the token of a link as a cookie, and one that is none.
    for cookie in ["A".repeat(43), token.clone(), "x".to_owned(), "%00".to_owned()] {
        let mut stranger = Browser::new(&house);
        stranger.cookies = browser.cookies.iter().map(|(name, _)| (name.clone(), cookie.clone())).collect();
        assert_eq!(stranger.get("/correct").await.status, 403, "{cookie}");
    }
    // Ending one customer's links ends no other's.
    house.ask(Method::DELETE, &format!("/v1/customers/{ana}/correction-link"), None).await;
    assert_eq!(browser.get("/correct").await.status, 403);
    let mut other = Browser::new(&house);
    other.enter(&of_bo).await.has("value=\"Bo\"");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_windows_answer_a_request_once() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    let ask = json!({ "ask": ["firstName"] });
    house.nium(Method::POST, &format!("/__sim/customers/{id}/rfi"), ask).await;
    let rfi = format!("/v1/customers/{id}/rfi");
    house.eventually("it is asked", async || house.get(&rfi).await.1["open"] == true).await;
    let mut browser = Browser::new(&house);
    let form = browser.enter(&link(&house, &id).await).await.form();
    let parts = [("form", None, form.as_bytes()), ("r0-firstName", None, &b"Ana Maria"[..])];
    at_once(&browser, &house, "/correct/answers", &parts).await;
    let taken = || house.sim.journal().iter().filter(|entry| entry.endpoint == "rfi_answer").count();
    house.eventually("Nium has the answer", async || taken() >= 1).await;
    house.eventually("nothing is under way", async || house.get(&rfi).await.1["open"] == false).await;
    assert_eq!(taken(), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_write_at_once_leave_one_whole_draft() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let mut browser = Browser::new(&house);
    let form = browser.enter(&link(&house, &id).await).await.form();
    let parts = [("form", None, form.as_bytes()), ("f-firstName", None, &b"Ana Maria"[..])];
    at_once(&browser, &house, "/correct", &parts).await;
    let review = browser.get("/correct/review").await;
    assert_eq!(review.has("Ana Maria").text.matches("<dt>").count(), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_of_no_use_when_the_offer_is_over() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let url = link(&house, &id).await;
    let mut browser = Browser::new(&house);
    let form = browser.enter(&url).await.form();
    let parts = [("form", None, form.as_bytes()), ("f-firstName", None, &b"Ana Maria"[..])];
    browser.submit("/correct", &parts).await.leads_to("/correct/review");
    // An officer closes the offer while the visitor looks over the difference.
    let word = json!({ "decision": "final" });
    let (status, said) = house.ask(Method::POST, &format!("/v1/customers/{id}/decision"), Some(word)).await;
    assert!(status < 300, "{said}");
    house.until(&id, "finally_rejected").await;
    browser.post("/correct/send", &format!("form={form}")).await.leads_to("/correct");
    browser.get("/correct").await.has("We could not verify you").lacks("Ana Maria").lacks("<fieldset");
    browser.get("/correct/review").await.leads_to("/correct");
    browser.submit("/correct", &parts).await.leads_to("/correct");
    // And so does time.
    let bo = house.rejected("Bo").await;
    let mut late = Browser::new(&house);
    let form = late.enter(&link(&house, &bo).await).await.form();
    let parts = [("form", None, form.as_bytes()), ("f-firstName", None, &b"Bo Erik"[..])];
    late.submit("/correct", &parts).await.leads_to("/correct/review");
    house.advance(Duration::from_hours(24 * 15));
    assert_eq!(late.post("/correct/send", &format!("form={form}")).await.status, 403);
    for case in [&id, &bo] {
        assert_eq!(house.submissions(case).0, 0);
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_as_large_as_it_may_be_and_of_the_right_kind() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let mut browser = Browser::new(&house);
    let form = browser.enter(&link(&house, &id).await).await.form();
    // Eleven files of almost two MiB: below the form's limit, above Nium's.
    let photo = [STANDARD.decode(PNG).unwrap(), vec![0; 2 * 1024 * 1024 - 100]].concat();
    let mut parts: Vec<(&str, Option<&str>, &[u8])> = vec![("form", None, form.as_bytes())];
    parts.extend((0..11).map(|_| ("doc-file", Some("p.png"), photo.as_slice())));
    browser.submit("/correct", &parts).await.leads_to("/correct");
    browser.get("/correct").await.has("role=\"alert\"");
    // Twenty-four MiB to the byte in one file: read to its end, and refused in words.
    let whole = vec![0_u8; 24 * 1024 * 1024 - 400];
    let parts: &[(&str, Option<&str>, &[u8])] =
        &[("form", None, form.as_bytes()), ("doc-file", Some("p.png"), &whole)];
    browser.submit("/correct", parts).await.leads_to("/correct");
    browser.get("/correct").await.has("JPEG, PNG or PDF file of at most 2 MB");
    // Forms of other kinds, a boundary that never comes, and none at all.
    let urlencoded = format!("form={form}&f-firstName=Eve");
    for (kind, body) in [
        ("application/x-www-form-urlencoded", urlencoded.as_str()),
        ("application/json", "{\"f-firstName\":\"Eve\"}"),
        ("text/plain", urlencoded.as_str()),
        ("multipart/form-data", urlencoded.as_str()),
        ("multipart/form-data; boundary=never", urlencoded.as_str()),
        ("multipart/mixed; boundary=x", "--x--\r\n"),
    ] {
        let body = Some((kind.to_owned(), body.as_bytes().to_vec()));
        let seen = browser.send(Method::POST, "/correct", body).await;
        assert!((400..500).contains(&seen.status), "{kind}: {}", seen.status);
    }
    browser.get("/correct").await.lacks("Eve");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_sends_far_too_much_reads_an_answer() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let mut browser = Browser::new(&house);
    browser.enter(&link(&house, &id).await).await;
    let cookies: Vec<String> =
        browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut socket = TcpStream::connect(house.public).await.unwrap();
    let length = 60 * 1024 * 1024;
    let head = format!(
        "POST /correct HTTP/1.1\r\nhost: {}\r\ncookie: {}\r\ncontent-length: {length}\r\nconnection: close\r\n\
         content-type: multipart/form-data; boundary=x\r\n\r\n",
        house.public,
        cookies.join("; ")
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // Browsers send all of it before they read.
    for _ in 0..60 {
        socket.write_all(&vec![b'x'; 1024 * 1024]).await.expect("it is read to its end");
    }
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("10 MB together"), "{answer}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_what_its_bytes_say_and_is_never_shown() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let mut browser = Browser::new(&house);
    let form = browser.enter(&link(&house, &id).await).await.form();
    let script = b"<html><script>alert(1)</script>";
    for bytes in [&script[..], b"GIF89a/*<script>*/=1;", b"PK\x03\x04 a zip", b"\x00\x00\x00\x18ftypheic"] {
        let parts =
            [("form", None, form.as_bytes()), ("doc-file", Some("p.png"), bytes), ("go", None, b"more")];
        browser.submit("/correct", &parts).await.leads_to("/correct");
        browser.get("/correct").await.has("JPEG, PNG or PDF file").lacks("p.png").lacks("alert(1)");
    }
    // A picture that is a page too: it is taken as the picture, and goes to nobody but Nium.
    let both = [STANDARD.decode(PNG).unwrap(), script.to_vec()].concat();
    let parts = [
        ("form", None, form.as_bytes()),
        ("doc-kind", None, b"Passport"),
        ("doc-number", None, b"X0000002"),
        ("doc-file", Some("x.html\" onload=\"alert(2)"), &both[..]),
        ("go", None, b"check"),
    ];
    browser.submit("/correct", &parts).await.leads_to("/correct/review");
    let review = browser.get("/correct/review").await;
    review.lacks("alert(1)").lacks("onload=\"");
    browser.post("/correct/send", &format!("form={}", review.form())).await.leads_to("/correct");
    house.until(&id, "reinstated").await;
    let taken = house.sim.customer(&id).unwrap();
    let papers = taken["application"]["identificationDoc"].to_string();
    assert!(papers.contains("image/png") && !papers.contains("text/html"), "{papers}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn niums_words_and_the_customers_are_text_and_nothing_else() {
    const TAG: &str = "<img src=x onerror=alert(1)>";
    let house = House::start().await;
    let mut body = application("Eve");
    body["firstName"] = json!(TAG);
    body["lastName"] = json!("\"><script>alert(2)</script>");
    let made = house.nium(Method::POST, "/__sim/customers", body).await;
    let id = made["customerHashId"].as_str().unwrap().to_owned();
    let remark = format!("declared name {TAG}");
    let reject = json!({ "complianceStatus": "REJECT", "complianceRemarks": remark, "remarks": remark });
    house.nium_says(&id, reject).await;
    house.until(&id, "awaiting_correction").await;
    let mut browser = Browser::new(&house);
    let page = browser.enter(&link(&house, &id).await).await;
    page.has("&#60;img src=x").lacks("<img src=x").lacks("<script>alert").lacks("declared name &#60;");
    let form = page.form();
    let parts = [("form", None, form.as_bytes()), ("f-firstName", None, &b"<b>Eve</b>"[..])];
    browser.submit("/correct", &parts).await;
    for path in ["/correct", "/correct/review"] {
        browser.get(path).await.lacks("<b>Eve").lacks("<img src=x").lacks("<script>alert");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_made_and_ended_on_the_command_line() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let run = async |args: &[&str]| {
        let done = tokio::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
            .args(["customers", "link", &id])
            .args(args)
            .envs(house.env())
            .env("REINSTATE__ADMIN__LISTEN", house.admin.to_string())
            .env_remove("REINSTATE_TOKEN")
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (done.status.code(), text(done.stdout), text(done.stderr))
    };
    let (code, out, err) = run(&["--language", "de"]).await;
    assert_eq!(code, Some(0), "{err}");
    let mut lines = out.lines();
    let first = lines.next().unwrap().to_owned();
    assert!(first.ends_with("?lang=de") && lines.next().unwrap().starts_with("until 20"), "{out}");
    // The link's language comes before the browser's.
    let mut french = Browser::new(&house);
    french.language = "fr";
    french.get(&first).await.has("<html lang=\"de\">");
    let (_, out, _) = run(&["--json"]).await;
    let second: Value = serde_json::from_str(&out).unwrap();
    let mut browser = Browser::new(&house);
    assert_eq!(browser.get(&first).await.status, 410, "the newer one replaces it");
    french.get(second["url"].as_str().unwrap()).await.has("<html lang=\"fr\">");
    browser.enter(second["url"].as_str().unwrap()).await.has("Correct your details");
    let (_, out, _) = run(&["--revoke"]).await;
    assert_eq!(out.trim(), "1 links ended");
    assert_eq!(browser.get("/correct").await.status, 403);
    let (code, _, err) = run(&["--language", "xx"]).await;
    assert!(code != Some(0) && err.contains("is one of en, fr"), "{err}");
    let (code, _, _) = run(&["--revoke", "--language", "de"]).await;
    assert_eq!(code, Some(64));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_written_by_hand_changes_no_more_than_the_page_asks() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let mut browser = Browser::new(&house);
    let form = browser.enter(&link(&house, &id).await).await.form();
    let parts: Vec<(&str, Option<&str>, &[u8])> = vec![
        ("form", None, form.as_bytes()),
        ("f-firstName", None, b"Ana Maria"),
        ("f-complianceLevel", None, b"SCREENING"),
        ("f-kycMode", None, b"E_KYC"),
        ("f-segment", None, b"quartzite"),
        ("f-isTncAccepted", None, b"false"),
    ];
    browser.submit("/correct", &parts).await.leads_to("/correct/review");
    let review = browser.get("/correct/review").await;
    assert_eq!(review.has("Ana Maria").lacks("quartzite").text.matches("<dt>").count(), 1);
    browser.post("/correct/send", &format!("form={form}")).await.leads_to("/correct");
    house.until(&id, "reinstated").await;
    let (_, export) = house.get(&format!("/v1/customers/{id}/export")).await;
    let (sent, before) = (&export["personal"]["application"], application("Ana"));
    assert_eq!(sent["firstName"], "Ana Maria", "{sent}");
    for name in ["complianceLevel", "kycMode", "segment", "isTncAccepted"] {
        assert_eq!(sent[name], before[name], "{name}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_grows_no_larger_than_what_may_be_sent() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let mut browser = Browser::new(&house);
    let form = browser.enter(&link(&house, &id).await).await.form();
    let photo = [STANDARD.decode(PNG).unwrap(), vec![0; 2 * 1024 * 1024 - 100]].concat();
    let mut parts: Vec<(&str, Option<&str>, &[u8])> =
        vec![("form", None, form.as_bytes()), ("go", None, b"more")];
    parts.extend((0..4).map(|_| ("doc-file", Some("p.png"), photo.as_slice())));
    let bytes = || house.database.number("SELECT max(length(sealed)) FROM draft");
    browser.submit("/correct", &parts).await.leads_to("/correct");
    let once = bytes();
    assert!(once > 8 * 1024 * 1024, "what fits is kept: {once}");
    for _ in 0..2 {
        browser.submit("/correct", &parts).await.leads_to("/correct");
        browser.get("/correct").await.has("role=\"alert\"");
        assert!(bytes() < once + 1_024, "{} after {once}", bytes());
    }
    house.close().await;
}
