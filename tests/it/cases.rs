//! The console's list of cases, and a word to many, as an officer goes through them: in a real Chromium, and without a script.

use std::time::Duration;

use serde_json::json;

use crate::browser::Browser;
use crate::chromium::{Chromium, DESKTOP, PHONE, View};
use crate::house::{House, TOKEN};

async fn parked(house: &House, name: &str) -> String {
    let id = house.onboard(name).await;
    house.nium_says(&id, json!({ "complianceStatus": "REJECT", "complianceRemarks": "Mislaid" })).await;
    house.until(&id, "needs_officer").await;
    id
}

async fn with_cases() -> (House, Vec<String>) {
    let house = House::with(&[("FLOW__UNKNOWN_REMARK", "officer")]).await;
    let mut waiting = Vec::new();
    for name in ["Ana", "Bo", "Cy"] {
        waiting.push(parked(&house, name).await);
        house.advance(Duration::from_hours(1));
    }
    house.rejected("Di").await;
    let ed = house.onboard("Ed").await;
    house.until(&ed, "watching").await;
    (house, waiting)
}

async fn signed_in(house: &House, view: View, next: &str) -> Chromium {
    let browser = Chromium::start(view).await;
    browser.go(&format!("http://{}{next}", house.admin)).await;
    browser.click("details > summary").await;
    browser.fill("#token", TOKEN).await;
    browser.press(crate::chromium::ENTER).await;
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_goes_from_a_view_to_a_word_to_all_of_them() {
    let (house, waiting) = with_cases().await;
    let browser = signed_in(&house, DESKTOP, "/cases").await;
    let all = browser.reads("In the order of their ids").await;
    assert!(all.contains("Needs an officer 3") && all.contains("Stuck 0"), "{all}");
    browser.is_accessible("the cases").await;
    browser.picture("console-cases").await;
    browser.click(".tabs li:nth-child(2) a").await;
    let view = browser.reads("Those who have waited longest come first").await;
    let places: Vec<usize> = waiting.iter().map(|id| view.find(&id[..8]).unwrap()).collect();
    assert!(places.is_sorted(), "{view}");
    assert!(browser.url().await.ends_with("/cases?view=needs_officer"));
    browser.is_accessible("a view").await;

    browser.click("main > details:last-of-type > summary").await;
    browser.fill("#note", "Rule 7 was wrong").await;
    browser.is_accessible("the word to many").await;
    browser.picture("console-view").await;
    browser.click("main > details:last-of-type button").await;
    let preview = browser.reads("3 of 3 customers would be told").await;
    assert!(
        preview.contains("may hand in a correction") && preview.contains("Rule 7 was wrong"),
        "{preview}"
    );
    browser.is_accessible("the preview").await;
    browser.picture("console-bulk-preview").await;
    browser.click("button.main").await;
    let done = browser.reads("3 of 3 done").await;
    assert!(done.contains("Rule 7 was wrong"), "{done}");
    browser.is_accessible("the progress").await;
    browser.picture("console-bulk").await;
    for id in &waiting {
        house.until(id, "awaiting_correction").await;
    }
    browser.go(&format!("http://{}/bulk", house.admin)).await;
    browser.reads("complete").await;
    browser.is_accessible("the words so far").await;
    drop(browser);

    let phone = signed_in(&house, PHONE, "/cases?state=awaiting_correction").await;
    phone.reads("awaiting correction").await;
    phone.is_accessible("the cases on a phone").await;
    phone.picture("console-cases-phone").await;
    drop(phone);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_script_a_person_is_found_by_a_form_and_stands_in_no_address() {
    let (house, waiting) = with_cases().await;
    let browser = signed_in(&house, View { script: false, ..DESKTOP }, "/cases").await;
    browser.reads("In the order of their ids").await;
    browser.click("main > details:first-of-type > summary").await;
    browser.fill("#p-email", "bo@example.test").await;
    browser.press(crate::chromium::ENTER).await;
    let found = browser.reads("has no address").await;
    assert!(found.contains(&waiting[1][..8]) && !found.contains(&waiting[0][..8]), "{found}");
    assert!(browser.url().await.ends_with("/cases"), "nothing personal stands in the address");
    browser.click("main > details:last-of-type > summary").await;
    browser.click("main > details:last-of-type button").await;
    browser.reads("1 of 1 customers would be told").await;
    browser.click("button.main").await;
    browser.reads("Told").await;
    house.until(&waiting[1], "awaiting_correction").await;
    browser.go(&format!("http://{}/cases?olderThan=soon&class=final", house.admin)).await;
    let text = browser.reads("was left out").await;
    assert!(!text.contains("officer's word to all"), "nobody acts on more than was meant: {text}");
    drop(browser);
    house.database.hides(&["bo@example"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_only_reads_says_no_word_and_a_changed_count_does_nothing() {
    let (house, waiting) = with_cases().await;
    let made = tokio::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .args(["token", "create", "--role", "viewer", "--name", "watcher"])
        .envs(house.env())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(made.stdout).unwrap();
    let token = said.split_whitespace().find(|word| word.len() > 40).unwrap();
    let mut viewer = Browser::at(house.admin);
    viewer.fill("/sign-in", &[("token", token)]).await.leads_to("/");
    let page = viewer.get("/cases?view=needs_officer").await;
    page.is(200).has(&waiting[0]).lacks("/bulk/preview");
    for path in ["/bulk/preview", "/bulk", "/bulk/none/cancel"] {
        viewer.act(&page, path, &[("view", "needs_officer"), ("word", "close")]).await.is(403);
    }
    let mut officer = Browser::at(house.admin);
    officer.fill("/sign-in", &[("token", TOKEN)]).await.leads_to("/");
    let page = officer.get("/cases?view=needs_officer").await;
    page.is(200).has("/bulk/preview");
    let fields = [("view", "needs_officer"), ("word", "close"), ("confirm", "2"), ("once", "one")];
    officer.act(&page, "/bulk", &fields).await.is(409).has("number has changed");
    let wrong = [("view", "odd"), ("word", "close"), ("confirm", "5")];
    officer.act(&page, "/bulk", &wrong).await.leads_to("/cases?said=incomplete");
    officer.act(&page, "/bulk/preview", &[("word", "close")]).await.leads_to("/cases?said=incomplete");
    assert_eq!(house.get("/v1/bulk").await.1["items"], json!([]));
    house.close().await;
}
