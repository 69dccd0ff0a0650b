//! The real binary as an operator meets it: bad configuration, signals, health, tokens.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::database::Database;
use crate::house::{TOKEN, client, environment, lasting_address};

pub fn reinstate(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reinstate"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn output(mut command: Command) -> (i32, String) {
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    let text = [stdout, stderr].concat();
    (status.code().unwrap(), String::from_utf8(text).unwrap())
}

struct Running {
    folder: tempfile::TempDir,
    child: Child,
    public: String,
    admin: String,
    env: Vec<(String, String)>,
}

/// A service with nothing behind it: Nium and the backend are addresses where nobody listens.
async fn serve(extra: &[(&str, &str)]) -> Running {
    serve_without(None, extra).await
}

/// The same, with one of the usual settings left out.
async fn serve_without(left_out: Option<&str>, extra: &[(&str, &str)]) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let nobody = lasting_address();
    let [public, admin] = [lasting_address(), lasting_address()];
    let file = Database::Sqlite(folder.path().join("data/deep/reinstate.db"));
    let mut env = environment(&format!("http://{nobody}"), nobody, &file, folder.path());
    env.insert("REINSTATE__PUBLIC__LISTEN".to_owned(), public.to_string());
    env.insert("REINSTATE__ADMIN__LISTEN".to_owned(), admin.to_string());
    env.extend(extra.iter().map(|(key, value)| (format!("REINSTATE__{key}"), (*value).to_owned())));
    if let Some(key) = left_out {
        assert!(env.remove(&format!("REINSTATE__{key}")).is_some(), "{key}");
    }
    let env: Vec<(String, String)> = env.into_iter().collect();
    let child = reinstate(folder.path(), &["serve"]).envs(env.clone()).stderr(Stdio::null()).spawn().unwrap();
    let running = Running { folder, child, public: public.to_string(), admin: admin.to_string(), env };
    let http = client();
    for _ in 0..500 {
        if http
            .get(format!("http://{}/readyz", running.public))
            .send()
            .await
            .is_ok_and(|answer| answer.status() == 200)
        {
            return running;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the service did not become ready");
}

pub fn signal(child: &Child, name: &str) {
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_cannot_do_its_job_says_everything_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["serve", "check-config"] {
        let (code, text) = output(reinstate(folder.path(), &[command])).await;
        assert_eq!(code, 64, "{text}");
        for key in ["nium.client_hash_id", "nium.api_key", "privacy.master_keys"] {
            assert!(text.contains(key), "{key}\n{text}");
        }
    }
    assert_eq!(output(reinstate(folder.path(), &["serv"])).await.0, 64);
    assert_eq!(output(reinstate(folder.path(), &["--help"])).await.0, 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_well_and_what_was_acknowledged_is_there_after_the_next_start() {
    let mut running = serve(&[]).await;
    let http = client();
    let id = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";
    let callback = format!("http://{}/callback/compliance?customerHashId={id}", running.public);
    let answer = http.post(&callback).header("x-request-id", "a-b-c").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.content_length()), (200, Some(0)));
    let healthy =
        reinstate(running.folder.path(), &["healthcheck"]).envs(running.env.clone()).status().await.unwrap();
    assert!(healthy.success());

    signal(&running.child, "TERM");
    let status = tokio::time::timeout(Duration::from_secs(20), running.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    let sick =
        reinstate(running.folder.path(), &["healthcheck"]).envs(running.env.clone()).status().await.unwrap();
    assert_eq!(sick.code(), Some(1));

    running.child = reinstate(running.folder.path(), &["serve"])
        .envs(running.env.clone())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let list = format!("http://{}/v1/callbacks", running.admin);
    for _ in 0..500 {
        if let Ok(answer) = http.get(&list).bearer_auth(TOKEN).send().await {
            let page: serde_json::Value = answer.json().await.unwrap();
            if page["items"][0]["requestId"] == "a-b-c" {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the callback is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_drains_readiness_is_off_and_intake_is_open() {
    let mut running = serve(&[("PUBLIC__DRAIN_SECONDS", "30")]).await;
    let http = client();
    signal(&running.child, "TERM");
    let ready = format!("http://{}/readyz", running.public);
    for _ in 0..500 {
        if http.get(&ready).send().await.unwrap().status() == 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(http.get(&ready).send().await.unwrap().status(), 503);
    let callback = "callback/compliance?customerHashId=0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";
    assert_eq!(
        http.post(format!("http://{}/{callback}", running.public)).send().await.unwrap().status(),
        200
    );
    // A second signal ends the waiting.
    signal(&running.child, "TERM");
    let status = tokio::time::timeout(Duration::from_secs(20), running.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_owns_the_database() {
    let running = serve(&[]).await;
    let mut env = running.env.clone();
    let (one, two) = (lasting_address().to_string(), lasting_address().to_string());
    env.push(("REINSTATE__PUBLIC__LISTEN".to_owned(), one));
    env.push(("REINSTATE__ADMIN__LISTEN".to_owned(), two));
    let mut second = reinstate(running.folder.path(), &["serve"]);
    second.envs(env);
    let (code, text) = output(second).await;
    assert_eq!(code, 1);
    assert!(text.contains("in use"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_in_the_configuration_the_api_is_closed_not_open() {
    let running = serve_without(Some("ADMIN__BOOTSTRAP_TOKEN"), &[]).await;
    let http = client();
    for path in ["/v1/customers", "/v1/jobs", "/v1/sweeps", "/v1/callbacks"] {
        let url = format!("http://{}{path}", running.admin);
        assert_eq!(http.get(&url).send().await.unwrap().status(), 401, "{path}");
        for token in ["", "null", "undefined", TOKEN] {
            let status = http.get(&url).bearer_auth(token).send().await.unwrap().status();
            assert_eq!(status, 401, "{path} with {token:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_listed_and_revoked_beside_a_running_service() {
    let elsewhere = tempfile::tempdir().unwrap();
    let database = Database::fresh(elsewhere.path());
    let running = serve(&[("STORE__URL", &database.url())]).await;
    let token_command = async |args: &[&str]| {
        let mut command = reinstate(running.folder.path(), args);
        command.env(
            "REINSTATE__STORE__URL",
            &running.env.iter().find(|(name, _)| name.ends_with("STORE__URL")).unwrap().1,
        );
        let Output { status, stdout, .. } = command.output().await.unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap().trim().to_owned())
    };
    let (_, token) = token_command(&["token", "create", "--role", "viewer", "--name", "a reader"]).await;
    let http = client();
    let status = async || {
        let list = format!("http://{}/v1/customers", running.admin);
        http.get(list).bearer_auth(&token).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status().await, 200);
    let (_, listed) = token_command(&["token", "list"]).await;
    assert!(listed.contains("a reader") && !listed.contains(&token));
    let id = listed.split_whitespace().next().unwrap();
    assert_eq!(token_command(&["token", "revoke", id]).await.0, 0);
    assert_eq!(status().await, 401);
    assert_eq!(token_command(&["token", "revoke", id]).await.0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_check_asks_where_it_is_let_in() {
    for both in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let file = Database::Sqlite(folder.path().join("reinstate.db"));
        let [nobody, public, admin] = [lasting_address(), lasting_address(), lasting_address()];
        let mut env = environment(&format!("http://{nobody}"), nobody, &file, folder.path());
        let listeners = ["PUBLIC", "ADMIN"].into_iter().zip([public, admin]);
        for (name, address) in listeners {
            env.insert(format!("REINSTATE__{name}__LISTEN"), address.to_string());
            if both || name == "PUBLIC" {
                env.insert(format!("REINSTATE__{name}__PROXY_PROTOCOL_FROM"), "10.0.0.0/8".to_owned());
            }
        }
        let check = async || {
            let mut command = reinstate(folder.path(), &["healthcheck"]);
            command.envs(env.clone());
            output(command).await
        };
        assert_eq!(check().await.0, 1, "nobody is there yet");
        let mut service = reinstate(folder.path(), &["serve"]);
        let _child = service.envs(env.clone()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = (1, String::new());
        for _ in 0..200 {
            said = check().await;
            if said.0 == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(said.0, 0, "{}", said.1);
    }
}
