//! The console in a real Chromium: the whole story with its officer, every page without anything that keeps somebody out, on a
//! desktop and on a phone, without a script, and by the keyboard alone.

use reqwest::Method;
use serde_json::json;

use crate::chromium::{Chromium, DESKTOP, ENTER, PHONE, View};
use crate::house::{House, TOKEN};
use crate::pages;

/// Signs in as the first administrator.
async fn sign_in(house: &House, chromium: &Chromium) {
    chromium.go(&format!("http://{}/", house.admin)).await;
    chromium.reads("Sign in").await;
    chromium.click("summary").await;
    chromium.fill("#token", TOKEN).await;
    chromium.click("details button").await;
    chromium.reads("Sign out").await;
}

/// A house with customers in many places: rejected, parked, closed, blocked, reinstated, asked for information.
async fn busy() -> House {
    let house = House::with(&[
        ("FLOW__SECOND_PERSON", "permanent_block"),
        ("PUBLIC__URL", "https://kyc.example.test"),
    ])
    .await;
    for name in ["Ana", "Bo", "Cy"] {
        house.rejected(name).await;
    }
    let back = house.rejected("Dee").await;
    assert_eq!(house.correct(&back, json!({ "firstName": "Deirdre" })).await.0, 202);
    house.until(&back, "reinstated").await;
    let parked = house.onboard("Eve").await;
    house.nium_says(&parked, json!({ "complianceStatus": "NOBODY_KNOWS" })).await;
    house.until(&parked, "needs_officer").await;
    let closed = house.rejected("Flo").await;
    let path = format!("/v1/customers/{closed}/decision");
    let (status, answer) =
        house.ask(Method::POST, &path, Some(json!({ "decision": "final", "note": "A long story." }))).await;
    assert_eq!(status, 202, "{answer}");
    house.until(&closed, "finally_rejected").await;
    house.onboard("Gus").await;
    house
}

/// Every page that a bar or a list leads to.
async fn walk(house: &House, chromium: &Chromium, ending: &str) {
    let at = |path: &str| format!("http://{}{path}", house.admin);
    let (_, cases) = house.get("/v1/customers?state=awaiting_correction").await;
    let case = cases["items"][0]["customerHashId"].as_str().unwrap().to_owned();
    let (_, parked) = house.get("/v1/customers?state=needs_officer").await;
    let parked = parked["items"][0]["customerHashId"].as_str().unwrap().to_owned();
    for (name, path, says) in [
        ("overview", "/".to_owned(), "Overview"),
        ("journeys", "/journeys?step=rejected&days=30".to_owned(), "Rejected"),
        ("cases", "/cases".to_owned(), "Cases"),
        ("case", format!("/cases/{case}"), "may hand in a correction"),
        ("case-parked", format!("/cases/{parked}"), "An officer has to decide"),
        ("case-nobody", "/cases/nobody".to_owned(), "Nobody of this id"),
        ("approvals", "/approvals".to_owned(), "Approvals"),
        ("callbacks", "/callbacks".to_owned(), "Callbacks"),
        ("jobs", "/jobs".to_owned(), "Jobs"),
        ("sweeps", "/sweeps".to_owned(), "Sweeps"),
        ("audit", "/audit".to_owned(), "Audit"),
        ("settings", "/settings".to_owned(), "Configuration"),
    ] {
        chromium.go(&at(&path)).await;
        chromium.reads(says).await;
        chromium.is_accessible(&format!("{name}{ending}")).await;
        chromium.picture(&format!("console-{name}{ending}")).await;
    }
    chromium.go(&at(&format!("/cases/{case}"))).await;
    chromium.click("form[action$='/personal'] button").await;
    chromium.reads("That you read this is on record").await;
    chromium.is_accessible(&format!("personal{ending}")).await;
    chromium.picture(&format!("console-personal{ending}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_the_console_lets_everybody_in() {
    let house = busy().await;
    let chromium = Chromium::start(DESKTOP).await;
    chromium.go(&format!("http://{}/cases", house.admin)).await;
    chromium.reads("Sign in").await;
    chromium.is_accessible("sign-in").await;
    chromium.picture("console-sign-in").await;
    chromium.fill("#name", "ada").await;
    chromium.fill("#password", "not the right one").await;
    chromium.click("form button.main").await;
    chromium.reads("are not right").await;
    chromium.is_accessible("sign-in refused").await;
    sign_in(&house, &chromium).await;
    walk(&house, &chromium, "").await;
    let phone = Chromium::start(PHONE).await;
    sign_in(&house, &phone).await;
    walk(&house, &phone, "-phone").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_comes_back_under_the_eyes_of_an_officer() {
    let house = pages::house().await;
    let id = pages::rejected(&house, "Ana").await;
    let officer = Chromium::start(DESKTOP).await;
    sign_in(&house, &officer).await;
    officer.go(&format!("http://{}/cases/{id}", house.admin)).await;
    officer.reads("may hand in a correction").await;
    let folder = tempfile::tempdir().unwrap();
    let customer = Chromium::start(PHONE).await;
    pages::open(&house, &customer, false).await;
    customer.fill("#f-firstName", "Ana Maria").await;
    customer.click("summary").await;
    customer.attach("#doc-photo", &pages::photo(&folder)).await;
    let kind = "return document.getElementById('doc-photo').files[0].type";
    house.eventually("it is smaller", async || customer.script(kind, &[]).await == "image/jpeg").await;
    customer.click("button[value=check]").await;
    customer.reads("Is this right?").await;
    customer.click("button.main").await;
    house.until(&id, "reinstated").await;
    // The page reads itself anew; nobody pressed anything.
    let text = officer.reads("was rejected, corrected, and is verified now").await;
    assert!(text.contains("Correction handed in: firstName") && text.contains("by the customer"), "{text}");
    // Its last words: nothing on it changes any more.
    officer.reads("Told the app backend: reinstated").await;
    officer.reads("Wrote to the customer: reinstated").await;
    officer.is_accessible("case that moved by itself").await;
    officer.click("form[action$='/personal'] button").await;
    let shown = officer.reads("That you read this is on record").await;
    assert!(shown.contains("Ana Maria"), "{shown}");
    officer.go(&format!("http://{}/audit?customer={id}", house.admin)).await;
    officer.reads("personal data shown").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_works_without_a_script_and_by_the_keyboard() {
    let house = House::start().await;
    let (first, second) = (house.rejected("Ana").await, house.rejected("Bo").await);
    let plain = Chromium::start(View { script: false, ..DESKTOP }).await;
    sign_in(&house, &plain).await;
    plain.go(&format!("http://{}/cases/{first}", house.admin)).await;
    plain.click("#words ~ .act:nth-of-type(4) summary").await;
    plain.fill("#note-final", "Closed by hand").await;
    plain.click("#note-final ~ p button").await;
    plain.reads("Your word is on record").await;
    house.until(&first, "finally_rejected").await;
    plain.go(&format!("http://{}/cases/{first}", house.admin)).await;
    let text = plain.reads("Said “final”").await;
    assert!(text.contains("Closed by hand"), "{text}");

    let keys = Chromium::start(DESKTOP).await;
    keys.go(&format!("http://{}/cases/{second}", house.admin)).await;
    keys.tab_to("With a token instead").await;
    keys.press(ENTER).await;
    keys.tab_to("token").await;
    keys.press(TOKEN).await;
    keys.press(ENTER).await;
    keys.reads("may hand in a correction").await;
    keys.tab_to("Close as final").await;
    keys.press(ENTER).await;
    keys.tab_to("note-final").await;
    keys.press("Closed by keys").await;
    keys.tab_to("Close as final").await;
    keys.press(ENTER).await;
    keys.reads("Your word is on record").await;
    house.until(&second, "finally_rejected").await;
    house.close().await;
}
