//! The console as a browser without a script uses it: who is let in and how far, one case, what is asked for there, and what
//! strangers' pages cannot do.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, Seen};
use crate::house::{House, TOKEN};

const PASSWORD: &str = "correct horse battery";

/// Runs a command beside the service.
pub fn command(house: &House, args: &[&str], input: &str) -> (bool, String) {
    use std::io::Write;
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .args(args)
        .env("REINSTATE__STORE__URL", house.database.url())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

pub fn person(house: &House, name: &str, role: &str) {
    let (ok, said) =
        command(house, &["people", "add", name, "--role", role, "--password-file", "-"], PASSWORD);
    assert!(ok, "{said}");
}

pub async fn sign_in(house: &House, name: &str) -> Browser {
    let mut browser = Browser::at(house.admin);
    browser.fill("/sign-in", &[("name", name), ("password", PASSWORD)]).await.leads_to("/");
    browser
}

/// Somebody with the token of the configuration.
pub async fn administrator(house: &House) -> Browser {
    let mut browser = Browser::at(house.admin);
    browser.fill("/sign-in", &[("token", TOKEN)]).await.leads_to("/");
    browser
}

async fn audited(house: &House, what: &str) -> Vec<Value> {
    let (_, rows) = house.get(&format!("/v1/audit?what={what}")).await;
    rows["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_in_gets_a_session_and_whoever_leaves_has_none() {
    let house = House::start().await;
    person(&house, "ada", "officer");
    let mut stranger = Browser::at(house.admin);
    stranger.get("/jobs?kind=look").await.leads_to("/sign-in?next=/jobs%3Fkind%3Dlook");
    stranger.get("/").await.leads_to("/sign-in");
    let wrong = stranger.fill("/sign-in", &[("name", "ada"), ("password", "wrong")]).await;
    wrong.is(401).has("are not right").lacks("wrong\"");
    assert_eq!(stranger.cookies, []);

    let mut ada = Browser::at(house.admin);
    let answer =
        ada.fill("/sign-in", &[("name", "ada"), ("password", PASSWORD), ("next", "/jobs?kind=look")]).await;
    answer.leads_to("/jobs?kind=look");
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.starts_with("console=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    let page = ada.get("/jobs").await;
    page.is(200).has("ada <span class=\"role\">officer</span>").has("Sign out");
    let kept = ada.cookies.clone();
    ada.act(&page, "/sign-out", &[]).await.leads_to("/sign-in");
    ada.cookies = kept;
    ada.get("/jobs").await.leads_to("/sign-in?next=/jobs");
    let names: Vec<String> =
        audited(&house, "signed_in").await.iter().map(|row| row["actor"].to_string()).collect();
    assert_eq!(names, ["\"ada\""]);
    assert_eq!(audited(&house, "session_ended").await[0]["actor"], "ada");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_time_with_the_password_with_the_person_and_with_the_token() {
    let house = House::start().await;
    person(&house, "ada", "officer");
    let mut ada = sign_in(&house, "ada").await;
    for _ in 0..13 {
        ada.get("/jobs").await.is(200);
        house.advance(Duration::from_mins(59));
    }
    ada.get("/jobs").await.leads_to("/sign-in?next=/jobs");
    let mut idle = sign_in(&house, "ada").await;
    idle.get("/jobs").await.is(200);
    house.advance(Duration::from_mins(61));
    idle.get("/jobs").await.leads_to("/sign-in?next=/jobs");
    // Nobody is in front of a page that reads itself anew.
    let mut left = sign_in(&house, "ada").await;
    left.get("/jobs").await.is(200);
    left.always.push(("x-by-itself", "1".to_owned()));
    for _ in 0..3 {
        left.get("/jobs").await.is(200);
        house.advance(Duration::from_mins(21));
    }
    left.get("/jobs").await.leads_to("/sign-in?next=/jobs");

    let mut ada = sign_in(&house, "ada").await;
    ada.get("/jobs").await.is(200).has("officer");
    let (ok, said) = command(&house, &["people", "change", "ada", "--role", "viewer"], "");
    assert!(ok, "{said}");
    ada.get("/jobs").await.leads_to("/sign-in?next=/jobs");
    let mut ada = sign_in(&house, "ada").await;
    ada.get("/jobs").await.is(200).has("viewer");
    let (ok, said) = command(&house, &["people", "remove", "ada"], "");
    assert!(ok, "{said}");
    ada.get("/jobs").await.leads_to("/sign-in?next=/jobs");

    let (_, made) = command(&house, &["token", "create", "--role", "viewer", "--name", "eve"], "");
    let token = made.lines().find(|line| line.starts_with("rst_")).unwrap().to_owned();
    let id = made.split_whitespace().nth(if made.starts_with("rst_") { 2 } else { 1 }).unwrap().to_owned();
    let mut eve = Browser::at(house.admin);
    eve.fill("/sign-in", &[("token", &token)]).await.leads_to("/");
    eve.get("/jobs").await.is(200).has("eve");
    let (ok, said) = command(&house, &["token", "revoke", &id], "");
    assert!(ok, "{said}");
    eve.get("/jobs").await.leads_to("/sign-in?next=/jobs");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_not_guessed_and_the_backends_token_opens_no_page() {
    let house = House::start().await;
    person(&house, "ada", "officer");
    // They are there before, so that all of them knock at once.
    let mut browsers: Vec<Browser> = (0..8).map(|_| Browser::at(house.admin)).collect();
    let wrong = [("name", "ada"), ("password", "wrong wrong wrong")];
    let tries = browsers.iter_mut().map(|browser| browser.fill("/sign-in", &wrong));
    let answers: Vec<Seen> = futures_util::future::join_all(tries).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    let refused: Vec<&Seen> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert_eq!(looked_at + refused.len(), 8);
    assert!(looked_at >= 1 && refused.len() >= 4, "{looked_at} of 8 at once were looked at");
    assert_eq!(refused[0].retry_after(), Some("1"));
    // A second later the right one opens.
    house
        .eventually("ada gets in", async || {
            let mut ada = Browser::at(house.admin);
            ada.fill("/sign-in", &[("name", "ada"), ("password", PASSWORD)]).await.status == 303
        })
        .await;
    let (_, made) = command(&house, &["token", "create", "--role", "app", "--name", "backend"], "");
    let token = made.lines().find(|line| line.starts_with("rst_")).unwrap().to_owned();
    let mut browser = Browser::at(house.admin);
    browser.fill("/sign-in", &[("token", &token)]).await.is(403).has("for the app backend");
    browser.fill("/sign-in", &[("token", "rst_nobody")]).await.is(401);
    let long = "x".repeat(2_000);
    browser.fill("/sign-in", &[("name", &long), ("password", &long)]).await.is(422);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_added_once_with_bounds_and_listed() {
    let house = House::start().await;
    let (ok, password) = command(&house, &["people", "add", "ada", "--role", "admin"], "");
    assert!(ok && password.lines().any(|line| line.len() == 24), "{password}");
    for (args, input, why) in [
        (&["people", "add", "ada", "--role", "viewer"][..], "", "somebody called ada already"),
        (&["people", "add", "service", "--role", "viewer"], "", "means somebody else"),
        (&["people", "add", "bo", "--role", "app"], "", "app is for tokens"),
        (
            &["people", "add", "bo", "--role", "viewer", "--password-file", "-"],
            "short",
            "has 12 to 256 characters",
        ),
        (&["people", "change", "bo", "--role", "viewer"], "", "nobody called bo"),
        (&["people", "change", "ada"], "", "nothing to change"),
        (&["people", "remove", "bo"], "", "nobody called bo"),
        (&["people", "end-session", "none"], "", "no session none"),
    ] {
        let (ok, said) = command(&house, args, input);
        assert!(!ok && said.contains(why), "{args:?}: {said}");
    }
    let (_, listed) = command(&house, &["people", "list"], "");
    assert!(listed.starts_with("admin ") && listed.trim_end().ends_with("ada"), "{listed}");
    assert_eq!(audited(&house, "person_added").await[0]["actor"], "command line");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_goes_as_far_as_it_goes() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    person(&house, "vi", "viewer");
    let mut vi = sign_in(&house, "vi").await;
    let page = vi.get(&format!("/cases/{id}")).await;
    page.is(200).has("Your role only reads").lacks("Show the application").lacks("/word\"").lacks(">Audit<");
    vi.get("/audit").await.is(403).has("needs more");
    for path in ["word", "block", "tags", "link", "link/revoke", "personal", "bundle"] {
        vi.act(&page, &format!("/cases/{id}/{path}"), &[("word", "final")])
            .await
            .is(403)
            .has("Your role is viewer");
    }
    vi.act(&page, "/jobs/retry", &[("confirm", "0")]).await.is(403);
    vi.act(&page, "/sweeps", &[]).await.is(403);
    let (_, case) = house.get(&format!("/v1/customers/{id}")).await;
    assert_eq!(case["state"], "awaiting_correction");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_or_session_does_nothing() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    person(&house, "ada", "officer");
    let mut ada = sign_in(&house, "ada").await;
    let mut bootstrap = administrator(&house).await;
    let case = format!("/cases/{id}");
    let word = format!("{case}/word");
    let foreign = bootstrap.get(&case).await.field("form");
    ada.fill(&word, &[("word", "final")]).await.is(403).has("not one of this session");
    ada.fill(&word, &[("word", "final"), ("form", &foreign)]).await.is(403).has("not one of this session");
    let page = ada.get(&case).await;
    ada.always = vec![("sec-fetch-site", "cross-site".to_owned())];
    ada.act(&page, &word, &[("word", "final")]).await.is(403).has("another site");
    Browser::at(house.admin).fill(&word, &[("word", "final")]).await.is(403).has("session is over");
    let (_, shown) = house.get(&format!("/v1/customers/{id}")).await;
    assert_eq!(shown["state"], "awaiting_correction");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_reads_a_case_decides_once_and_sees_what_came_of_it() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    person(&house, "ada", "officer");
    let mut ada = sign_in(&house, "ada").await;
    let case = format!("/cases/{id}");
    let page = ada.get(&case).await;
    page.is(200)
        .has("was told and may hand in a correction until")
        .has("0 of 3 submissions are used")
        .has("Offer reinstatement")
        .has("The customer is not closed by a permanent block")
        .has("Became awaiting correction")
        .has("REJECT");
    let once = page.field("once");
    let fields = [("word", "final"), ("note", "Spoke to Ana <b>today</b>."), ("once", once.as_str())];
    ada.act(&page, &format!("{case}/word"), &fields).await.leads_to(&format!("{case}?said=word"));
    // Sent again, by two fingers or by going back.
    ada.act(&page, &format!("{case}/word"), &fields).await.leads_to(&format!("{case}?said=word"));
    house.until(&id, "finally_rejected").await;
    let page = ada.get(&format!("{case}?said=word")).await;
    page.has("Your word is on record").has("The rejection is final (officer)").has("Said “final”");
    page.has("Spoke to Ana &#60;b&#62;today&#60;/b&#62;.").lacks("<b>today");
    assert_eq!(page.text.matches("Said “final”").count(), 1, "{}", page.text);
    // What does not fit any more is refused in words.
    let (_, timeline) = house.get(&format!("/v1/customers/{id}/timeline")).await;
    let by = timeline["items"].as_array().unwrap().iter().find(|line| line["what"] == "officer").unwrap();
    assert_eq!(by["detail"]["by"], "ada");
    ada.act(&page, &format!("{case}/word"), &[("word", "shout")])
        .await
        .leads_to(&format!("{case}?said=incomplete"));
    ada.get("/cases/no-id").await.is(404).has("Nobody of this id");
    ada.get("/cases/00000000-0000-4000-8000-000000000000").await.is(404);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_personal_is_shown_on_demand_and_that_is_on_record() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let (status, answer) = house.correct(&id, json!({ "firstName": "Anastasia" })).await;
    assert_eq!(status, 202, "{answer}");
    house.until(&id, "reinstated").await;
    person(&house, "ada", "officer");
    let mut ada = sign_in(&house, "ada").await;
    let case = format!("/cases/{id}");
    let page = ada.get(&case).await;
    for planted in ["Anastasia", "ana@example.test", "Example"] {
        page.lacks(planted);
    }
    assert_eq!(audited(&house, "personal_data_shown").await.len(), 0);
    let shown = ada.act(&page, &format!("{case}/personal"), &[]).await;
    shown.is(200).has("<span class=\"was\">Ana</span>").has(">Anastasia<").has("ana@example.test");
    let rows = audited(&house, "personal_data_shown").await;
    assert_eq!((rows.len(), &rows[0]["actor"], &rows[0]["customerHashId"]), (1, &json!("ada"), &json!(id)));
    let bundle = ada.act(&page, &format!("{case}/bundle"), &[]).await;
    bundle.is(200).has("reinstate bundle v1");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nium_s_words_and_the_customers_are_text_and_nothing_else() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    let remark = "<script>alert(1)</script> \"quoted\" name differs";
    house.nium_says(&id, json!({ "complianceStatus": "REJECT", "complianceRemarks": remark })).await;
    house.until(&id, "awaiting_correction").await;
    let mut browser = administrator(&house).await;
    let page = browser.get(&format!("/cases/{id}")).await;
    page.lacks("<script>alert").has("&#60;script&#62;alert(1)&#60;/script&#62;");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"), "{policy}");
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.headers[name], value);
    }
    page.lacks(" style=").lacks(" onclick=");
    for path in ["/callbacks", "/jobs", "/sweeps", "/audit", "/approvals", "/settings"] {
        let page = browser.get(&format!("{path}?customer=%3Cscript%3E&kind=%22&said=%3Cscript%3E")).await;
        page.is(200).lacks("<script>").lacks(" style=");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_for_good_is_asked_for_twice_and_takes_a_second_person() {
    let house = House::with(&[("FLOW__SECOND_PERSON", "permanent_block")]).await;
    let id = house.rejected("Ana").await;
    person(&house, "ada", "officer");
    person(&house, "bo", "officer");
    let (mut ada, mut bo) = (sign_in(&house, "ada").await, sign_in(&house, "bo").await);
    let case = format!("/cases/{id}");
    let page = ada.get(&case).await;
    let wish =
        [("action", "PERMANENT_BLOCK"), ("reason", "FRAUDULENT_ACTIVITY"), ("comment", "Forged passport")];
    let confirm = ada.act(&page, &format!("{case}/block"), &wish).await;
    confirm.is(200).has("for good?").has("Somebody else has to approve").has("Forged passport");
    let receipt = confirm.field("receipt");
    let wish = [&wish[..], &[("receipt", receipt.as_str())]].concat();
    ada.act(&confirm, &format!("{case}/block"), &wish).await.leads_to(&format!("{case}?said=approval"));
    let own = ada.get("/approvals").await;
    own.has("permanent block").has("You asked; somebody else has to decide.").lacks("value=\"approve\"");
    let open = bo.get("/approvals").await;
    let path = open.text.split("action=\"").find_map(|part| part.strip_prefix("/approvals/")).unwrap();
    let path = format!("/approvals/{}", path.split('"').next().unwrap());
    ada.act(&own, &path, &[("verdict", "approve")]).await.leads_to("/approvals?said=same-person");
    let yes = [("verdict", "approve"), ("note", "Seen it")];
    bo.act(&open, &path, &yes).await.leads_to("/approvals?said=decided");
    bo.act(&open, &path, &[("verdict", "refuse")]).await.leads_to("/approvals?said=closed");
    house.until(&id, "finally_rejected").await;
    let page = ada.get(&case).await;
    page.has("Blocked for good, by us")
        .has("A permanent block cannot be lifted")
        .has("Let the customer re-apply");
    let asked = ada.act(&page, &format!("{case}/refresh"), &[]).await;
    asked.leads_to_one_of(&[&format!("{case}?said=asked"), &format!("{case}?said=silent")]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_links_are_a_form_away() {
    let house = House::with(&[("PUBLIC__URL", "https://kyc.example.test")]).await;
    let id = house.rejected("Ana").await;
    let mut browser = administrator(&house).await;
    let case = format!("/cases/{id}");
    let page = browser.get(&case).await;
    let set = browser.act(&page, &format!("{case}/tags"), &[("key", "tier"), ("value", "gold")]).await;
    set.leads_to_one_of(&[&format!("{case}?said=done"), &format!("{case}?said=stored")]);
    let link = browser.act(&page, &format!("{case}/link"), &[]).await;
    link.is(200).has("https://kyc.example.test/correct/").has("not shown again");
    let url = link.text.split("<code>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let path = url.strip_prefix("https://kyc.example.test").unwrap();
    let mut customer = Browser::at(house.public);
    customer.get(path).await.is(200);
    let revoked = browser.act(&page, &format!("{case}/link/revoke"), &[]).await;
    revoked.leads_to(&format!("{case}?said=link-revoked"));
    customer.get(path).await.is(410);
    browser.get(&case).await.lacks(&url).has("Link to the customer&#39;s page made").has("Links revoked");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_knows_who_comes_is_believed_from_its_address_alone() {
    let env = [
        ("ADMIN__SIGN_ON_HEADER", "x-auth-request-email"),
        ("ADMIN__SIGN_ON_GROUPS_HEADER", "x-auth-request-groups"),
        ("ADMIN__SIGN_ON_FROM", "127.0.0.0/8"),
        ("ADMIN__SIGN_ON_OFFICERS", "compliance"),
        ("ADMIN__SIGN_ON_VIEWERS", "support@example.test"),
    ];
    let mut house = House::with(&env).await;
    let id = house.rejected("Ana").await;
    let case = format!("/cases/{id}");
    let mut ada = Browser::at(house.admin);
    ada.always = vec![
        ("x-auth-request-email", "ada@example.test".to_owned()),
        ("x-auth-request-groups", "staff,compliance".to_owned()),
    ];
    let page = ada.get(&case).await;
    page.is(200).has("ada@example.test <span class=\"role\">officer</span>");
    let said = ada.act(&page, &format!("{case}/word"), &[("word", "final")]).await;
    said.leads_to(&format!("{case}?said=word"));
    assert_eq!(audited(&house, "signed_in").await.len(), 1, "the session lasts");
    let mut support = Browser::at(house.admin);
    support.always = vec![("x-auth-request-email", "support@example.test".to_owned())];
    support.get(&case).await.is(200).has("viewer");
    let mut nobody = Browser::at(house.admin);
    nobody.always = vec![("x-auth-request-email", "nobody@example.test".to_owned())];
    nobody.get(&case).await.is(403).has("may not work here");
    // Without the proxy's word the session is nothing.
    ada.always.clear();
    ada.get(&case).await.leads_to(&format!("/sign-in?next={case}"));
    // From another address the word is nothing.
    house.set("ADMIN__SIGN_ON_FROM", Some("10.0.0.0/8".to_owned()));
    let house = house.restart().await;
    let mut stranger = Browser::at(house.admin);
    stranger.always = vec![("x-auth-request-email", "support@example.test".to_owned())];
    stranger.get(&case).await.leads_to(&format!("/sign-in?next={case}"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_lead_on_and_say_what_they_cannot_read() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    for number in 0..60 {
        let url = format!("http://{}/callback/compliance?customerHashId={id}", house.public);
        let answer =
            house.http.post(url).header("x-request-id", format!("burst-{number}")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let mut browser = administrator(&house).await;
    house
        .eventually("all are folded", async || {
            let (_, all) = house.get("/v1/callbacks?limit=200").await;
            let of_burst =
                |row: &&Value| row["requestId"].as_str().is_some_and(|id| id.starts_with("burst-"));
            all["items"].as_array().unwrap().iter().filter(of_burst).count() == 60
        })
        .await;
    let first = browser.get(&format!("/callbacks?customer={id}")).await;
    first.is(200).has("burst-59").lacks("burst-5<").has("Next page");
    let next =
        first.text.split("href=\"").find_map(|part| part.strip_prefix("/callbacks?customer=")).unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    let second = browser.get(&format!("/callbacks?customer={next}")).await;
    second.is(200).has("burst-5<").lacks("burst-59").lacks("Next page");
    browser
        .get("/callbacks?customer=nobody")
        .await
        .is(200)
        .has("What stands under customer is not known here");
    browser
        .get("/jobs?kind=dance&cursor=%25")
        .await
        .is(200)
        .has("under kind is not known")
        .has("under cursor");
    let sweeps = browser.get("/sweeps").await;
    sweeps.has("baseline").has("complete");
    browser.act(&sweeps, "/sweeps", &[]).await.leads_to("/sweeps?said=swept");
    let settings = browser.get("/settings").await;
    settings
        .has("nium.api_key")
        .has("set, and secret")
        .lacks("test-key")
        .lacks("whsec_")
        .has("REINSTATE__NIUM__REGION");
    settings.has("bootstrap").has("End this session").has("http://127.0.0.1/…").lacks("/webhook</td>");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_set_going_again_as_many_as_were_seen() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.nium_says(&id, json!({ "complianceStatus": "NOBODY_KNOWS" })).await;
    house.until(&id, "needs_officer").await;
    let mut browser = administrator(&house).await;
    let page = browser.get("/jobs?status=parked").await;
    page.is(200).has("Set 1 of them going again").has("unknown word");
    let none = [("status", "parked"), ("confirm", "7")];
    browser.act(&page, "/jobs/retry", &none).await.leads_to("/jobs?said=count");
    let one = [("status", "parked"), ("confirm", "1")];
    browser.act(&page, "/jobs/retry", &one).await.leads_to("/jobs?said=retried");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_hears_that_something_has_changed_and_the_stop_waits_for_nobody() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let mut browser = administrator(&house).await;
    browser.get(&format!("/cases/{id}")).await.has(&format!("data-live=\"/console/live?customer={id}\""));
    let cookie = format!("console={}", browser.cookies[0].1);
    let url = format!("http://{}/console/live?customer={id}", house.admin);
    let stranger = house.http.get(&url).send().await.unwrap();
    assert!(!stranger.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let answer = house.http.get(&url).header("cookie", cookie).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut stream = answer.bytes_stream();
    let mut heard = String::new();
    let mut next = async |heard: &mut String| {
        let chunk = stream.next().await.unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&chunk).unwrap());
    };
    next(&mut heard).await;
    assert!(heard.contains("event: stamp"), "{heard}");
    let (status, _) = house
        .ask(Method::POST, &format!("/v1/customers/{id}/decision"), Some(json!({ "decision": "final" })))
        .await;
    assert_eq!(status, 202);
    house.until(&id, "finally_rejected").await;
    while heard.matches("event: stamp").count() < 2 {
        next(&mut heard).await;
    }
    house.close().await;
}
