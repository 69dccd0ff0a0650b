//! Every page of the console as it is written, as snapshots: what changes in them is seen before it is shipped. What differs from
//! run to run is masked.

use reqwest::Method;
use serde_json::json;

use crate::browser::{Browser, Seen};
use crate::house::{House, TOKEN};

/// A page without what differs from run to run: ids, tokens, moments, ages, ports.
fn masked(text: &str) -> String {
    let text = &sorted(text);
    let (mut out, mut word) = (String::new(), String::new());
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.') {
            word.push(c);
        } else {
            // An id may stand behind a name: `note-…`.
            let (name, id) = word.split_at(word.len().saturating_sub(36));
            let is_id = name.ends_with('-') && mask(id) == "ID";
            out.push_str(if is_id { name } else { "" });
            out.push_str(mask(if is_id { id } else { &word }));
            word.clear();
            out.push(c);
        }
    }
    let out = out.replace("MOMENT MOMENT", "MOMENT");
    let lines = out.lines().map(ages).map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// A page with the lines of its timeline in the order of what they say: what is done by several at once comes in any order, and
/// callbacks as often as they like.
fn sorted(text: &str) -> String {
    let Some((before, rest)) = text.split_once("<ol class=\"timeline\"") else { return text.to_owned() };
    let (list, after) = rest.split_once("</ol>").unwrap();
    let mut lines: Vec<&str> = list.split("<li class=").collect();
    let head = lines.remove(0);
    lines.retain(|line| !line.contains("Callback received"));
    let what = |line: &&str| line.split_once("</span>").map(|(what, _)| what.to_owned());
    lines.sort_by_key(what);
    let lines: String = lines.iter().flat_map(|line| ["<li class=", line]).collect();
    format!("{before}<ol class=\"timeline\"{head}{lines}</ol>{after}")
}

fn mask(word: &str) -> &str {
    let has = |places: &[usize], mark: u8| places.iter().all(|at| word.as_bytes().get(*at) == Some(&mark));
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match word.len() {
        36.. if has(&[8, 13, 18, 23], b'-') && is_hex(&word[..8]) => "ID",
        32 | 64 if is_hex(word) => "TOKEN",
        43 if word.bytes().any(|byte| byte.is_ascii_uppercase()) => "TOKEN",
        8 if has(&[2, 5], b':') => "MOMENT",
        10.. if has(&[4, 7], b'-') && word.as_bytes()[0].is_ascii_digit() => "MOMENT",
        // Also one without a digit: no word on a page is spelled with these eight letters alone.
        8 if is_hex(word) => "SHORT",
        _ if word.starts_with("127.0.0.1:") => "127.0.0.1:PORT",
        _ => word,
    }
}

/// A line with `5 s ago`, `in 14 d` and `now` as AGE.
fn ages(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < words.len() {
        let number = words[at].trim_start_matches(|c: char| !c.is_ascii_digit());
        let before = &words[at][..words[at].len() - number.len()];
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let unit = words.get(at + 1).map(|unit| {
            let end = unit.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(unit.len());
            unit.split_at(end)
        });
        match unit {
            Some((unit, after)) if is_number && ["s", "min", "h", "d"].contains(&unit) => {
                let ago = after
                    .is_empty()
                    .then(|| words.get(at + 2).and_then(|next| next.strip_prefix("ago")))
                    .flatten();
                kept.push(format!("{before}AGE{}", ago.unwrap_or(after)));
                at += if ago.is_some() { 3 } else { 2 };
            }
            _ => {
                kept.push(words[at].to_owned());
                at += 1;
            }
        }
    }
    let text = kept.join(" ").replace("in AGE", "AGE").replace(">in AGE", ">AGE");
    text.replace(">now<", ">AGE<")
        .replace("· now<", "· AGE<")
        .replace(", now<", ", AGE<")
        .replace(", now.", ", AGE.")
        .replace("(now)", "(AGE)")
}

fn looks(name: &str, seen: &Seen) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("console_{name}"), format!("{}\n{}", seen.status, masked(&seen.text)));
    });
}

/// A customer who was seen before Nium says this of them, so that their story is always the same.
async fn stands(house: &House, name: &str, says: serde_json::Value, state: &str) -> String {
    let id = house.onboard(name).await;
    house.until(&id, "watching").await;
    house.nium_says(&id, says).await;
    house.until(&id, state).await;
    id
}

/// Waits until so many were told: the lines of a timeline are all there.
async fn told(house: &House, id: &str, count: usize) {
    house
        .eventually("everything was told", async || {
            let (_, timeline) = house.get(&format!("/v1/customers/{id}/timeline")).await;
            timeline["items"].as_array().unwrap().iter().filter(|line| line["what"] == "told").count()
                == count
        })
        .await;
}

async fn signed_in(house: &House) -> Browser {
    let mut browser = Browser::at(house.admin);
    looks("sign_in", &browser.get("/sign-in?next=/jobs").await);
    looks("sign_in_refused", &browser.fill("/sign-in", &[("token", "rst_nobody")]).await);
    browser.fill("/sign-in", &[("token", TOKEN)]).await.leads_to("/");
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_looks_as_it_did() {
    let env = [("PUBLIC__URL", "https://kyc.example.test"), ("FLOW__SECOND_PERSON", "permanent_block")];
    let house = House::with(&env).await;
    let mut browser = signed_in(&house).await;

    let open = stands(&house, "Ana", json!({ "complianceStatus": "REJECT" }), "awaiting_correction").await;
    told(&house, &open, 2).await;
    let case = browser.get(&format!("/cases/{open}")).await;
    looks("case_awaiting_correction", &case);
    looks("personal", &browser.act(&case, &format!("/cases/{open}/personal"), &[]).await);
    looks("link", &browser.act(&case, &format!("/cases/{open}/link"), &[]).await);
    let wish = [("action", "PERMANENT_BLOCK"), ("reason", "FRAUDULENT_ACTIVITY"), ("comment", "Forged")];
    let confirm = browser.act(&case, &format!("/cases/{open}/block"), &wish).await;
    looks("block_for_good", &confirm);
    let receipt = confirm.field("receipt");
    let wish = [&wish[..], &[("receipt", receipt.as_str())]].concat();
    browser.act(&confirm, &format!("/cases/{open}/block"), &wish).await.is(303);
    looks("approvals_of_whoever_asked", &browser.get("/approvals").await);

    let parked = stands(&house, "Bo", json!({ "complianceStatus": "NOBODY_KNOWS" }), "needs_officer").await;
    told(&house, &parked, 1).await;
    looks("case_needs_officer", &browser.get(&format!("/cases/{parked}")).await);
    looks("jobs_parked", &browser.get("/jobs?status=parked").await);
    looks("cases_need_officer", &browser.get("/cases?view=needs_officer").await);

    let back = stands(&house, "Cy", json!({ "complianceStatus": "REJECT" }), "awaiting_correction").await;
    assert_eq!(house.correct(&back, json!({ "firstName": "Cyril" })).await.0, 202);
    house.until(&back, "reinstated").await;
    told(&house, &back, 5).await;
    let case = browser.get(&format!("/cases/{back}")).await;
    looks("case_reinstated", &case);
    looks("personal_corrected", &browser.act(&case, &format!("/cases/{back}/personal"), &[]).await);

    looks("nobody", &browser.get("/cases/nobody").await);
    looks("callbacks", &browser.get(&format!("/callbacks?customer={open}")).await);
    looks("sweeps", &browser.get("/sweeps").await);
    looks("audit_of_nothing", &browser.get("/audit?what=nothing").await);
    looks("unread", &browser.get("/jobs?kind=dance").await);
    looks("foreign_form", &browser.fill(&format!("/cases/{open}/word"), &[("word", "final")]).await);
    let (status, _) = house.ask(Method::GET, &format!("/v1/customers/{open}"), None).await;
    assert_eq!(status, 200);
    house.close().await;
}

#[test]
fn what_differs_is_masked_and_nothing_else() {
    let text = "<time datetime=\"2026-11-30T11:43:39Z\">2026-11-30 11:43:39</time> <span>15 s ago</span> (in 14 d). Next: look, in 13 min.\n\
        3 of them 6f0f8e0a-51c7-4d1e-9d3f-0b7a5d6f2c11 6f0f8e0a dabfcabe accepted ok";
    let masked = masked(text);
    assert_eq!(
        masked,
        "<time datetime=\"MOMENT\">MOMENT</time> <span>AGE</span> (AGE). Next: look, AGE.\n3 of them ID SHORT SHORT accepted ok"
    );
}
