//! The commands that ask a running service: the real binary against a house.

use reqwest::Method;
use serde_json::json;
use tokio::process::Command;

use crate::house::{House, Plan};

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn reinstate(house: &House, args: &[&str], env: &[(&str, &str)]) -> Said {
    let done = Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .args(args)
        .envs(house.env())
        .env("REINSTATE__ADMIN__LISTEN", house.admin.to_string())
        .env("REINSTATE__PUBLIC__URL", format!("http://{}", house.public))
        .env_remove("REINSTATE_TOKEN")
        .envs(env.iter().copied())
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_is_run_with_progress_to_its_end() {
    let house =
        House::build(Plan { already: vec![json!({ "complianceStatus": "IN_PROGRESS" })], ..Plan::default() })
            .await;
    let said = reinstate(&house, &["sweep", "run"], &[]).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.err.contains("1 customers seen") && said.err.trim_end().ends_with("complete"),
        "{}",
        said.err
    );
    let said = reinstate(&house, &["sweep", "list"], &[]).await;
    assert_eq!(said.out.lines().count(), 2, "{}", said.out);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_and_retried_only_when_somebody_agrees() {
    let house = House::start().await;
    let said = reinstate(&house, &["jobs", "list"], &[]).await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), "no such jobs\n"));
    house.ear.refuse_next(&[500; 20]);
    let id = house.rejected("Ana").await;
    house
        .eventually("a webhook fails", async || {
            house.get("/v1/jobs?status=failing").await.1["items"].as_array().unwrap().len() == 1
        })
        .await;
    let said = reinstate(&house, &["jobs", "list", "--kind", "webhook", "--status", "failing"], &[]).await;
    assert!(
        said.out.contains(&id) && said.out.contains("the receiver answered 500"),
        "{}{}",
        said.out,
        said.err
    );
    let said = reinstate(&house, &["jobs", "retry", "--kind", "webhook"], &[]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("1 jobs begin again") && said.err.contains("--yes"), "{}", said.err);
    let said = reinstate(&house, &["jobs", "retry", "--kind", "webhook", "--yes"], &[]).await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), "1 jobs begin again\n"));
    let said = reinstate(&house, &["jobs", "list", "--status", "dream"], &[]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("bad_parameter") || said.err.contains("Correct the parameter"), "{}", said.err);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_token_or_no_service_hears_what_to_do() {
    let house = House::start().await;
    let said = reinstate(&house, &["jobs", "list"], &[("REINSTATE_TOKEN", "a-token-that-nobody-made")]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("reinstate token create"), "{}", said.err);
    let said = reinstate(&house, &["jobs", "list", "--url", "http://127.0.0.1:1"], &[]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("does not answer; is `reinstate serve` running there?"), "{}", said.err);
    assert!(!said.err.contains("bootstrap-token"), "{}", said.err);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_to_check_when_callbacks_do_not_come() {
    let house = House::start().await;
    let mut said = reinstate(&house, &["doctor"], &[]).await;
    for _ in 0..3 {
        if said.code == Some(0) {
            break;
        }
        // It also says when the disk is slow, which it may be for a moment.
        said = reinstate(&house, &["doctor"], &[]).await;
    }
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.out.contains("no callback is known to be missing"), "{}", said.out);

    let id = house.unheard("Ana").await;
    house.advance(std::time::Duration::from_secs(2));
    house.nium_says(&id, json!({ "complianceStatus": "REJECT", "silent": true })).await;
    house.ask(Method::POST, "/v1/sweeps", Some(json!({}))).await;
    house.until(&id, "awaiting_correction").await;
    house.advance(std::time::Duration::from_secs(601));
    house
        .eventually("it is missing", async || house.metric("reinstate_callbacks_missing_day").await == 1)
        .await;
    let said = reinstate(&house, &["doctor"], &[]).await;
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.out.contains("complianceStatusCallbackUrl"), "{}", said.out);

    let said = reinstate(&house, &["doctor"], &[("REINSTATE__NIUM__API_KEY", "wrong")]).await;
    assert!(said.out.contains("Nium does not answer our question: unauthorized"), "{}", said.out);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_are_listed_and_searched_on_the_command_line() {
    let house = House::start().await;
    let (ana, bo) = (house.rejected("Ana").await, house.rejected("Bo").await);
    let lines = async |args: &[&str]| {
        let said = reinstate(&house, &[&["customers"], args].concat(), &[]).await;
        assert_eq!(said.code, Some(0), "{args:?} {}", said.err);
        said.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(&["list", "--compliance-status", "REJECT", "--newer-than", "24h", "--all"]).await.len(),
        2
    );
    assert_eq!(lines(&["list", "--limit", "1"]).await.len(), 1);
    assert!(
        lines(&["list", "--status", "Clear", "--tag", "tier:gold", "--older-than", "3d"]).await.is_empty()
    );
    let found = lines(&["search", "--text", "ana sample"]).await;
    assert!(
        found.len() == 1 && found[0].starts_with(&ana) && found[0].contains("awaiting_correction"),
        "{found:?}"
    );
    let found = lines(&["search", "--source", "nium", "--email", "bo@example.test"]).await;
    assert!(found.len() == 1 && found[0].starts_with(&bo) && found[0].ends_with("Bo Sample"), "{found:?}");
    let found = lines(&["search", "--source", "nium", "--order", "DESC", "--limit", "1", "--json"]).await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&found[0]).unwrap()["customerHashId"], json!(bo));
    assert!(
        lines(&["search", "--source", "nium", "--tag", "tier=gold", "--type", "CORPORATE"]).await.is_empty()
    );
    let said = reinstate(&house, &["customers", "search", "--registration-number", "1"], &[]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("businessRegistrationNumber: is not known for this source"), "{}", said.err);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_officers_decide_on_the_command_line() {
    let env = [("FLOW__SECOND_PERSON", "permanent_block,override_final")];
    let house = House::with(&env).await;
    let id = house.rejected("Ana").await;
    let made = reinstate(&house, &["token", "create", "--role", "officer", "--name", "kim"], &[]).await;
    let kim = [("REINSTATE_TOKEN", made.out.trim())];
    let said = reinstate(&house, &["approvals", "list"], &[]).await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), "nothing waits for a second person\n"));
    let said = reinstate(&house, &["customers", "decide", &id, "take_over"], &[]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("while its state is needs_officer"), "{}", said.err);
    let said =
        reinstate(&house, &["customers", "decide", &id, "final", "--note", "Told by phone"], &[]).await;
    assert!(said.out.starts_with("stored as "), "{}{}", said.out, said.err);
    house.until(&id, "finally_rejected").await;
    let said = reinstate(&house, &["customers", "timeline", &id], &[]).await;
    assert!(said.out.contains("Told by phone"), "{}", said.out);

    let said = reinstate(&house, &["customers", "decide", &id, "offer"], &[]).await;
    let approval = said.out.trim().rsplit(' ').next().unwrap().to_owned();
    assert!(said.out.starts_with("waits for a second person: reinstate approvals approve "), "{}", said.out);
    let said = reinstate(&house, &["approvals", "list"], &[]).await;
    assert!(said.out.starts_with(&approval) && said.out.contains("asked by bootstrap"), "{}", said.out);
    let said = reinstate(&house, &["approvals", "approve", &approval], &[]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("somebody with a token of another name"), "{}", said.err);
    let said = reinstate(&house, &["approvals", "refuse", &approval, "--note", "Not yet"], &kim).await;
    assert_eq!((said.code, said.out.as_str()), (Some(0), "refused\n"), "{}", said.err);

    let block =
        ["customers", "block", id.as_str(), "--permanent", "--reason", "DECEASED", "--comment", "c", "--yes"];
    let said = reinstate(&house, &block, &[]).await;
    let approval = said.out.trim().rsplit(' ').next().unwrap().to_owned();
    let said = reinstate(&house, &["approvals", "approve", &approval, "--json"], &kim).await;
    assert!(
        said.code == Some(0) && said.out.contains("\"status\": \"approved\""),
        "{}{}",
        said.out,
        said.err
    );
    house
        .eventually("the customer is blocked", async || {
            house.get(&format!("/v1/customers/{id}")).await.1["block"]["permanent"] == true
        })
        .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customers_life_on_the_command_line() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let said = reinstate(&house, &["customers", "list", "--state", "awaiting_correction"], &[]).await;
    assert!(said.out.starts_with(&id) && said.out.contains("REJECT"), "{}{}", said.out, said.err);
    let said = reinstate(&house, &["customers", "show", &id, "--refresh"], &[]).await;
    assert!(
        said.out.contains("complianceStatus   REJECT") && said.out.contains("status (Nium)      Failed"),
        "{}",
        said.out
    );
    let said = reinstate(&house, &["customers", "timeline", &id, "--json"], &[]).await;
    assert!(serde_json::from_str::<serde_json::Value>(&said.out).unwrap()["items"].is_array());

    let update = ["customers", "update", id.as_str(), "email=new@example.test"];
    let said = reinstate(&house, &[&update[..], &["--dry-run"]].concat(), &[]).await;
    assert!(
        said.out.starts_with("POST /api/v1/client/") && said.out.contains("new@example.test"),
        "{}",
        said.out
    );
    let said = reinstate(&house, &update, &[]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(0), "done: done\n"), "{}", said.err);
    let said = reinstate(&house, &["customers", "update", &id, "firstName=Bo"], &[]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("firstName: cannot be updated at Nium; hand in a correction"), "{}", said.err);
    let said =
        reinstate(&house, &["customers", "tags", &id, "--set", "tier=gold", "--delete", "none"], &[]).await;
    assert_eq!(said.out, "done: done\n", "{}", said.err);
    let said =
        reinstate(&house, &["customers", "block", &id, "--reason", "DECEASED", "--comment", "c"], &[]).await;
    assert!(said.err.contains("reason: is one of: CLIENT_REQUEST, CUSTOMER_REQUEST"), "{}", said.err);
    let block = ["customers", "block", id.as_str(), "--permanent", "--reason", "DECEASED", "--comment", "c"];
    let said = reinstate(&house, &block, &[]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("nothing was done"), "{}", said.err);
    let said = reinstate(&house, &[&block[..], &["--yes"]].concat(), &[]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(0), "done: done\n"), "{}", said.err);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_onboarded_corrected_and_sent_on_from_the_command_line() {
    let house = House::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("application.json");
    let mut body = crate::house::application("Ana");
    body["kycMode"] = json!("E_KYC");
    std::fs::write(&file, body.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let said = reinstate(&house, &["customers", "onboard", "--file", file, "--dry-run"], &[]).await;
    assert!(said.out.starts_with("POST /api/v4/client/"), "{}{}", said.out, said.err);
    assert!(said.out.contains("characters of base64)"), "{}", said.out);
    let said = reinstate(&house, &["customers", "onboard", "--file", file, "--json"], &[]).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    let done: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let id = done["customerHashId"].as_str().unwrap().to_owned();
    house.until(&id, "watching").await;
    let said = reinstate(&house, &["customers", "redirect", &id], &[]).await;
    assert!(said.out.starts_with("https://kyc.example.test/"), "{}{}", said.out, said.err);
    let renewed = reinstate(&house, &["customers", "redirect", &id, "--new"], &[]).await;
    assert!(renewed.out.contains("goes on at"), "{}{}", renewed.out, renewed.err);

    house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
    house.until(&id, "awaiting_correction").await;
    let said =
        reinstate(&house, &["customers", "correct", &id, "firstName=Ana Maria", "--dry-run"], &[]).await;
    assert!(said.out.contains("\"firstName\": \"Ana Maria\""), "{}{}", said.out, said.err);
    let said = reinstate(&house, &["customers", "correct", &id, "firstName=Ana Maria"], &[]).await;
    assert!(said.out.starts_with("stored as "), "{}{}", said.out, said.err);
    house.until(&id, "reinstated").await;

    let said = reinstate(&house, &["customers", "onboard", "--file", "/nowhere.json"], &[]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("/nowhere.json cannot be opened"), "{}", said.err);
    let said = reinstate(&house, &["customers", "onboard", "--file", file], &[]).await;
    assert!(said.err.contains("belongs to another customer"), "{}{}", said.out, said.err);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nium_asks_is_shown_and_answered_from_the_command_line() {
    let house = House::start().await;
    let id = house.onboard("Ana").await;
    house.until(&id, "watching").await;
    let said = reinstate(&house, &["customers", "rfi", &id], &[]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(0), "Nium asks for nothing\n"), "{}", said.err);
    house.nium(Method::POST, &format!("/__sim/customers/{id}/rfi"), json!({ "ask": ["firstName"] })).await;
    house.heard(&id, "customer.rfi_requested").await;
    let said = reinstate(&house, &["customers", "rfi", &id], &[]).await;
    assert!(
        said.out.contains("Tell us your first name") && said.out.contains("answer until"),
        "{}{}",
        said.out,
        said.err
    );
    let item = said.out.split_whitespace().next().unwrap().to_owned();
    let set = format!("{item}.firstName=Ada Mary");
    let said = reinstate(&house, &["customers", "rfi", &id, "--set", &set, "--dry-run"], &[]).await;
    assert!(said.out.contains("rfiResponseRequest"), "{}{}", said.out, said.err);
    let said = reinstate(&house, &["customers", "rfi", &id, "--set", &set], &[]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(0), "done: done\n"), "{}", said.err);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_scripts_know_the_commands() {
    let house = House::start().await;
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = reinstate(&house, &["completions", shell], &[]).await;
        assert_eq!(said.code, Some(0), "{shell}: {}", said.err);
        for word in ["customers", "onboard", "approvals", "dry-run"] {
            assert!(said.out.contains(word), "{shell} does not know {word}");
        }
    }
    // A script is longer than an argument may be.
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("completions.bash");
    std::fs::write(&script, reinstate(&house, &["completions", "bash"], &[]).await.out).unwrap();
    let checked = tokio::process::Command::new("bash").arg("-n").arg(&script).output().await.unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert_eq!(reinstate(&house, &["completions", "basic"], &[]).await.code, Some(64));
    house.close().await;
}
