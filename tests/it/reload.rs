//! SIGHUP, with the real binary: secrets change without a gap, a bad configuration changes nothing, and what needs a
//! restart is named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use rcgen::ExtendedKeyUsagePurpose;
use reqwest::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

use crate::certificates::Authority;
use crate::database::Database;
use crate::house::{Ear, application, client, environment, lasting_address, spawn};
use crate::restart::Ground;
use crate::serve::{reinstate, signal};
use crate::smtp;

const CALLBACK: &str = "/callback/compliance?customerHashId=0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";
const TOKENS: [&str; 2] = ["first-token-of-the-tests", "second-token-of-the-tests"];

const WHSEC: [&str; 2] = ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "whsec_NzY1NDMyMTBmZWRjYmE5ODc2NTQzMjEw"];

/// What stays the same in every configuration of these tests.
const HEAD: &str = "[callback]\nstatic_header_name = \"x-key\"\n";

/// The service, its configuration in files of its own.
pub struct Service {
    pub folder: tempfile::TempDir,
    pub child: Child,
    pub public: String,
    pub admin: String,
    pub http: Client,
    pub env: BTreeMap<String, String>,
}

impl Service {
    /// Started with this configuration file and these variables (without their prefix).
    pub async fn start(toml: &str, env: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nobody = lasting_address();
        let [public, admin] = [lasting_address(), lasting_address()];
        let file = Database::Sqlite(folder.path().join("data/reinstate.db"));
        let mut all = environment(&format!("http://{nobody}"), nobody, &file, folder.path());
        for key in ["ADMIN__BOOTSTRAP_TOKEN", "NIUM__API_KEY", "NOTIFY__WEBHOOK__SECRETS"] {
            all.remove(&format!("REINSTATE__{key}"));
        }
        write(folder.path(), "token", TOKENS[0]);
        write(folder.path(), "api-key", "first-api-key");
        write(folder.path(), "webhook-secrets", WHSEC[0]);
        write(folder.path(), "config/reinstate.toml", toml);
        let more = [
            ("PUBLIC__LISTEN", public.to_string()),
            ("ADMIN__LISTEN", admin.to_string()),
            ("ADMIN__BOOTSTRAP_TOKEN_FILE", "token".to_owned()),
            ("NIUM__API_KEY_FILE", "api-key".to_owned()),
            ("NOTIFY__WEBHOOK__SECRETS_FILE", "webhook-secrets".to_owned()),
        ];
        let more = more.iter().chain(env).map(|(key, value)| (format!("REINSTATE__{key}"), value.clone()));
        all.extend(more);
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = reinstate(folder.path(), &["serve"])
            .envs(all.clone())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let service = Self {
            folder,
            child,
            public: public.to_string(),
            admin: admin.to_string(),
            http: client(),
            env: all,
        };
        // One of them may speak TLS, for which this client has no authority. Its connections go with it.
        let probe = client();
        let live = async |address: &str| {
            let answer = probe.get(format!("http://{address}/livez")).send().await;
            answer.is_ok_and(|answer| answer.status() == 200)
        };
        service
            .eventually("it is live", async || live(&service.admin).await || live(&service.public).await)
            .await;
        service
    }

    pub async fn eventually(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        for _ in 0..2_000 {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never happened: {what}\n{}", self.log());
    }

    pub fn log(&self) -> String {
        String::from_utf8(std::fs::read(self.path("log")).unwrap()).unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        write(self.folder.path(), name, text);
    }

    /// One sample of `/metrics`; nothing while it is not there.
    pub async fn metric(&self, sample: &str) -> Option<u64> {
        let answer = self.http.get(format!("http://{}/metrics", self.admin)).send().await.unwrap();
        let text = answer.text().await.unwrap();
        text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
    }

    /// Reads the configuration again, and waits until that has come to `outcome` once more.
    async fn reload(&self, outcome: &str) {
        let sample = format!("reinstate_config_reload_total{{outcome=\"{outcome}\"}}");
        let before = self.metric(&sample).await.unwrap();
        signal(&self.child, "HUP");
        self.eventually(&sample, async || self.metric(&sample).await.unwrap() > before).await;
    }

    async fn fingerprint(&self) -> String {
        let text = self.http.get(format!("http://{}/metrics", self.admin)).send().await.unwrap();
        let text = text.text().await.unwrap();
        let found: Vec<_> =
            text.lines().filter(|line| line.starts_with("reinstate_config_fingerprint{")).collect();
        assert_eq!(found.len(), 1, "one configuration runs: {found:?}");
        found[0].to_owned()
    }

    async fn knock(&self, key: &str) -> u16 {
        let url = format!("http://{}{CALLBACK}", self.public);
        self.http.post(url).header("x-key", key).send().await.unwrap().status().as_u16()
    }

    async fn ask(&self, token: &str) -> u16 {
        let url = format!("http://{}/v1/callbacks", self.admin);
        self.http.get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn with_values(values: &[&str], more: &str) -> String {
    format!("{HEAD}static_header_values = {values:?}\n{more}")
}

/// A Nium that only keeps the keys it was asked with.
async fn keeps_keys() -> (String, Arc<Mutex<Vec<String>>>) {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&keys);
    let router = Router::new().fallback(move |headers: HeaderMap| {
        kept.lock().unwrap().push(headers["x-api-key"].to_str().unwrap().to_owned());
        async { StatusCode::SERVICE_UNAVAILABLE }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_change_without_a_gap_and_connections_stay() {
    let (nium, keys) = keeps_keys().await;
    let service = Service::start(&with_values(&["old"], ""), &[("NIUM__BASE_URL", nium)]).await;
    let mut held = tokio::net::TcpStream::connect(&service.public).await.unwrap();
    let mut over_held = async |key: &str| {
        held.write_all(
            format!("POST {CALLBACK} HTTP/1.1\r\nhost: x\r\nx-key: {key}\r\ncontent-length: 0\r\n\r\n")
                .as_bytes(),
        )
        .await
        .unwrap();
        let mut status = [0; 12];
        held.read_exact(&mut status).await.unwrap();
        let mut rest = vec![0; 4096];
        let _ = held.read(&mut rest).await.unwrap();
        String::from_utf8(status[9..].to_vec()).unwrap()
    };
    assert_eq!((service.knock("old").await, service.knock("new").await), (200, 401));
    assert_eq!(over_held("old").await, "200");
    let before = service.fingerprint().await;
    service.reload("unchanged").await;
    assert_eq!(service.fingerprint().await, before);
    let asked_with = |key: &str| keys.lock().unwrap().iter().any(|asked| asked == key);
    service.eventually("Nium is asked with the first key", async || asked_with("first-api-key")).await;

    service.write("config/reinstate.toml", &with_values(&["old", "new"], ""));
    service.write("token", TOKENS[1]);
    service.write("api-key", "second-api-key");
    service.reload("applied").await;
    assert_eq!((service.knock("old").await, service.knock("new").await), (200, 200));
    assert_eq!(over_held("new").await, "200");
    assert_eq!((service.ask(TOKENS[0]).await, service.ask(TOKENS[1]).await), (401, 200));
    service.eventually("Nium is asked with the new key", async || asked_with("second-api-key")).await;

    service.write("config/reinstate.toml", &with_values(&["new"], ""));
    service.reload("applied").await;
    assert_eq!((service.knock("old").await, service.knock("new").await), (401, 200));
    let log = service.log();
    let said = "in_effect=\"admin.bootstrap_token, nium.api_key, callback.static_header_values\"";
    assert_eq!(log.matches(said).count(), 1, "{log}");
    for secret in ["first-api-key", "second-api-key", TOKENS[0], TOKENS[1]] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_signed_for_with_both_secrets_while_both_are_needed() {
    let ear = Ear::default();
    let receiver = format!("http://{}/webhook", ear.listen().await);
    let service = Service::start("", &[("NOTIFY__WEBHOOK__URL", receiver)]).await;
    for (secrets, signing) in
        [(&WHSEC[..1], [true, false]), (&WHSEC[..], [true, true]), (&WHSEC[1..], [false, true])]
    {
        service.write("webhook-secrets", &secrets.join("\n"));
        service.reload(if signing == [true, false] { "unchanged" } else { "applied" }).await;
        let url = format!("http://{}/v1/endpoints/default/test", service.admin);
        let tried = service.http.post(url).bearer_auth(TOKENS[0]).send().await.unwrap();
        assert_eq!(tried.status().as_u16(), 200);
        let told = ear.all().pop().unwrap();
        let verifies = WHSEC.map(|secret| {
            standardwebhooks::Webhook::new(secret).unwrap().verify(&told.raw, &told.headers).is_ok()
        });
        assert_eq!(verifies, signing);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_is_refused_whole_and_what_ran_goes_on() {
    let mut service = Service::start(&with_values(&["old"], ""), &[]).await;
    let before = service.fingerprint().await;
    for (more, why) in [
        ("[nium]\nsettle_ms = 0\n", "nium.settle_ms"),
        ("[nium]\nsettle_ms = = 3\n", "is not TOML"),
        ("[niun]\nsettle_ms = 3\n", "niun"),
        ("[admin]\nclient_ca = \"/nowhere\"\n", "admin.client_ca"),
        // It can be read, and must not be served.
        ("allow_from = [\"198.51.100.7\"]\n", "callback.allow_from"),
    ] {
        service.write("config/reinstate.toml", &with_values(&["new"], more));
        service.reload("refused").await;
        assert!(service.log().contains(why), "{why}\n{}", service.log());
        assert_eq!((service.knock("old").await, service.knock("new").await), (200, 401), "{why}");
    }
    std::fs::remove_file(service.path("config/reinstate.toml")).unwrap();
    std::fs::remove_file(service.path("token")).unwrap();
    service.reload("refused").await;
    assert_eq!((service.knock("old").await, service.fingerprint().await), (200, before));
    assert!(service.child.try_wait().unwrap().is_none(), "it runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_restart_is_named_until_there_is_one_and_the_rest_takes_effect() {
    let service = Service::start(&with_values(&["old"], ""), &[]).await;
    let waiting = async || service.metric("reinstate_config_restart_needed").await;
    let more = "secret_path = \"s3cret-path\"\n[nium]\nsettle_ms = 6000\n[page]\nname = \"Another\"\n";
    service.write("config/reinstate.toml", &with_values(&["new"], more));
    service.reload("restart_needed").await;
    // Whoever may knock is taken as a whole, and the secret path waits for the next start.
    assert_eq!((service.knock("new").await, service.knock("old").await), (401, 200));
    assert_eq!(waiting().await, Some(4));
    for named in ["nium.settle_ms", "callback.secret_path", "callback.static_header_values", "page.name"] {
        assert!(service.log().contains(named), "{named}: {}", service.log());
    }
    service.reload("restart_needed").await;
    assert_eq!(waiting().await, Some(4), "it is not forgotten");
    service.write("config/reinstate.toml", &with_values(&["old"], ""));
    service.reload("unchanged").await;
    assert_eq!(waiting().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lock_is_not_taken_off_before_the_other_is_on() {
    let list = "[callback]\nallow_from = [\"198.51.100.7\"]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let service = Service::start(list, &[]).await;
    assert_eq!(service.knock("any").await, 403);
    let path = "[callback]\nsecret_path = \"s3cret-path\"\ntrusted_proxies = [\"127.0.0.1\"]\n";
    service.write("config/reinstate.toml", path);
    service.reload("restart_needed").await;
    assert_eq!(service.knock("any").await, 403, "until the secret path is served nobody else is let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_read_again_and_bad_ones_are_left() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let files = tempfile::tempdir().unwrap();
    let write = |(certificate, key): (String, String)| {
        std::fs::write(files.path().join("crt"), certificate).unwrap();
        std::fs::write(files.path().join("key"), key).unwrap();
    };
    let path = |name: &str| files.path().join(name).display().to_string();
    write(old.signs(ExtendedKeyUsagePurpose::ServerAuth));
    let env = [("PUBLIC__TLS_CERT", path("crt")), ("PUBLIC__TLS_KEY", path("key"))];
    let service = Service::start("", &env).await;
    let address = service.public.parse().unwrap();
    let is_served = async |authority: &Authority| {
        let client = authority.client().resolve("localhost", address).build().unwrap();
        client.get(format!("https://localhost:{}/livez", address.port())).send().await.is_ok()
    };
    assert!(is_served(&old).await && !is_served(&new).await);
    write(new.signs(ExtendedKeyUsagePurpose::ServerAuth));
    service.reload("unchanged").await;
    assert!(is_served(&new).await && !is_served(&old).await);
    let (certificate, _) = old.signs(ExtendedKeyUsagePurpose::ServerAuth);
    std::fs::write(files.path().join("crt"), certificate).unwrap();
    // Without a signal: the files are looked at all the time.
    let refused = "reinstate_certificate_reload_total{listener=\"public\",outcome=\"refused\"}";
    let is_refused = async || service.metric(refused).await.is_some_and(|count| count >= 1);
    service.eventually(refused, is_refused).await;
    assert!(is_served(&new).await && service.log().contains("the one before stays in use"));
}

/// A service that writes to customers, with the mail server's address in a file.
struct Writing {
    folder: tempfile::TempDir,
    ground: Ground,
    child: Child,
}

impl Writing {
    async fn start(server: &smtp::Server, login: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ground = Ground::new(folder.path()).await;
        let page = format!("http://{}", ground.door().public);
        let path = |name: &str| folder.path().join(name).display().to_string();
        let ground = ground
            .set("PUBLIC__URL", &page)
            .set("NOTIFY__EMAIL__FROM", "kyc@example.test")
            .set("NOTIFY__EMAIL__SMTP_URL_FILE", &path("smtp-url"))
            .set("NOTIFY__EMAIL__CA_FILE", &path("mail-ca.pem"))
            .set("TELEMETRY__LOG", "info");
        point(folder.path(), server, login);
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = reinstate(folder.path(), &["serve"])
            .envs(ground.env())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        ground.first_sweep_is_over().await;
        Self { folder, ground, child }
    }

    async fn metric(&self, sample: &str) -> u64 {
        let url = format!("http://{}/metrics", self.ground.door().admin);
        let text = self.ground.http.get(url).send().await.unwrap().text().await.unwrap();
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok()).unwrap()
    }

    async fn eventually(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        for _ in 0..2_000 {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never happened: {what}\n{}", self.log());
    }

    async fn reload(&self, outcome: &str) {
        let sample = format!("reinstate_config_reload_total{{outcome=\"{outcome}\"}}");
        let before = self.metric(&sample).await;
        signal(&self.child, "HUP");
        self.eventually(&sample, async || self.metric(&sample).await > before).await;
    }

    async fn rejected(&self, name: &str) {
        self.ground.rejected(&application(name), "Name mismatch").await;
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

/// Where the service is to write through from now on.
fn point(folder: &Path, server: &smtp::Server, login: &str) {
    write(folder, "smtp-url", &server.url(login));
    std::fs::copy(server.authority(), folder.join("mail-ca.pem")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_and_its_password_change_without_a_restart() {
    let old = smtp::Server::start("starttls", &["--login", "user:right"]);
    let new = smtp::Server::start("implicit", &["--login", "other:sesame"]);
    let service = Writing::start(&old, "user:wr0ng@").await;
    service.rejected("Ana").await;
    let refused = async || old.said("login").iter().any(|line| line["good"] == false);
    service.eventually("the password is refused", refused).await;
    assert!(old.mails("ana@example.test").is_empty());

    point(service.folder.path(), &old, "user:right@");
    service.reload("applied").await;
    service.eventually("ana is written to", async || !old.mails("ana@example.test").is_empty()).await;

    // Another server, under another authority, with another way to be private.
    point(service.folder.path(), &new, "other:sesame@");
    service.reload("applied").await;
    service.rejected("Bo").await;
    service.eventually("bo is written to", async || !new.mails("bo@example.test").is_empty()).await;
    assert!(old.mails("bo@example.test").is_empty());

    // What is no address changes nothing.
    write(service.folder.path(), "smtp-url", "smtp://other:sesame@elsewhere.test:25?tls=none");
    service.reload("refused").await;
    service.rejected("Cy").await;
    service.eventually("cy is written to", async || !new.mails("cy@example.test").is_empty()).await;
    let log = service.log();
    assert_eq!(log.matches("in_effect=\"notify.email.smtp_url\"").count(), 2, "{log}");
    for secret in ["wr0ng", "user:right", "sesame"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_goes_into_no_core_dump() {
    let service = Service::start("", &[]).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", service.child.id().unwrap())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{line}");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let [soft, hard] = [3, 4].map(|at| files.split_whitespace().nth(at).unwrap().to_owned());
    assert_eq!(soft, hard, "{files}");
}
