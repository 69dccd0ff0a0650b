//! `reinstate doctor`, the real binary beside a house: each thing that can be wrong is found, with its fix.

use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tokio::process::Command;

use crate::house::{House, lasting_address, spawn};

struct Found {
    code: Option<i32>,
    findings: Vec<Value>,
    out: String,
}

impl Found {
    /// The findings about something, as `level: text`.
    fn about(&self, about: &str) -> Vec<String> {
        let of_it = self.findings.iter().filter(|finding| finding["about"] == about);
        of_it
            .map(|found| format!("{}: {}", found["level"].as_str().unwrap(), found["text"].as_str().unwrap()))
            .collect()
    }

    #[track_caller]
    fn says(&self, about: &str, words: &str) {
        let found = self.about(about);
        assert!(
            found.iter().any(|line| line.contains(words)),
            "{about}: {words} is not in {found:#?}\n{}",
            self.out
        );
    }
}

async fn doctor(house: &House, env: &[(&str, &str)]) -> Found {
    let out = asked(house, &["doctor", "--json"], env).await;
    let (code, out) = out;
    let all: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    let findings = all["findings"].as_array().unwrap().clone();
    let bad: Vec<&Value> = findings.iter().filter(|finding| finding["level"] == "bad").collect();
    assert_eq!(all["bad"], bad.len());
    assert_eq!(code, Some(i32::from(!bad.is_empty())), "{out}");
    for finding in bad {
        assert!(finding["fix"].as_str().is_some_and(|fix| fix.len() > 10), "{finding} says what to do");
    }
    Found { code, findings, out }
}

async fn asked(house: &House, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .args(args)
        .envs(house.env())
        .env("REINSTATE__ADMIN__LISTEN", house.admin.to_string())
        .env("REINSTATE__PUBLIC__LISTEN", house.public.to_string())
        .env("REINSTATE__PUBLIC__URL", format!("http://{}", house.public))
        .envs(env.iter().map(|(key, value)| (format!("REINSTATE__{key}"), *value)))
        .output()
        .await
        .unwrap();
    (done.status.code(), String::from_utf8(done.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_well_is_found_well_by_people_and_machines() {
    let house = House::start().await;
    house.rejected("Ana").await;
    // A machine may have a slow moment, and that is found too.
    let mut found = doctor(&house, &[]).await;
    for _ in 0..20 {
        if found.code == Some(0) && found.about("clock").iter().any(|line| line.starts_with("ok")) {
            break;
        }
        found = doctor(&house, &[]).await;
    }
    assert_eq!(found.code, Some(0), "{}", found.out);
    for (about, words) in [
        ("configuration", "ok: it can be read"),
        ("nium", "ok: Nium takes our key and lets us list customers"),
        ("outside", "answers"),
        ("clock", "ok: our clock agrees with Nium's"),
        ("spool", "MiB are left"),
        ("spool", "ok: a durable write in"),
        ("service", "ok: the service is ready"),
        ("knock", "everybody may knock"),
        ("proxy", "we came straight, from 127.0.0.1"),
        ("database", "schema"),
        ("database", "ok: a commit takes"),
        ("keys", "ok: the master key k1 opens what it has wrapped"),
        ("keys", "ok: every data key was wrapped by a master key that is configured"),
        ("mail", "note: notify.email is not set"),
        ("certificate", "note: public.tls_cert is not set"),
        ("callbacks", "ok: no callback is known to be missing"),
    ] {
        found.says(about, words);
    }
    let (mut code, mut text) = asked(&house, &["doctor"], &[]).await;
    for _ in 0..20 {
        if code == Some(0) {
            break;
        }
        (code, text) = asked(&house, &["doctor"], &[]).await;
    }
    assert!(code == Some(0) && text.ends_with("\nnothing is wrong\n"), "{text}");
    assert_eq!(
        text.matches("  ok    ").count(),
        found.findings.iter().filter(|f| f["level"] == "ok").count()
    );
    for secret in [crate::house::API_KEY, crate::house::TOKEN, crate::house::SECRET] {
        assert!(!text.contains(secret) && !found.out.contains(secret), "a secret is shown");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_key_that_is_missing_or_another_is_named() {
    let house = House::start().await;
    house.rejected("Ana").await;
    let other = format!("k2:{}", STANDARD.encode(*b"another thirty-two bytes of key."));
    let found = doctor(&house, &[("PRIVACY__MASTER_KEYS", &other)]).await;
    found.says("keys", "note: the master key k2 has wrapped nothing");
    found.says("keys", "bad: the master key k1 has wrapped data keys and is not configured");
    let wrong = other.replace("k2:", "k1:");
    let found = doctor(&house, &[("PRIVACY__MASTER_KEYS", &wrong)]).await;
    found.says("keys", "bad: the master key k1 is not the one that wrapped");
    house.close().await;
}

/// A server that answers everything so.
async fn answering(status: StatusCode, headers: HeaderMap) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(move || async move { (status, headers) });
    spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_outside_is_found_names_clock_key_way_and_mail_server() {
    let house = House::start().await;
    let nobody = lasting_address();
    let mut headers = HeaderMap::new();
    headers.insert("date", "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
    let long_ago = answering(StatusCode::UNAUTHORIZED, headers).await;
    let found = doctor(
        &house,
        &[
            ("NIUM__BASE_URL", &format!("http://{long_ago}")),
            ("PUBLIC__URL", &format!("http://{nobody}")),
            ("NOTIFY__WEBHOOK__URL", "https://nobody.invalid/hook"),
            ("NOTIFY__EMAIL__SMTP_URL", &format!("smtp://127.0.0.1:{}?tls=none", nobody.port())),
            ("NOTIFY__EMAIL__FROM", "kyc@example.test"),
        ],
    )
    .await;
    found.says("dns", "bad: nobody.invalid (endpoint default) does not resolve");
    found.says("clock", "s from Nium's");
    assert!(found.about("clock")[0].starts_with("bad: "));
    found.says("nium", "bad: Nium does not answer our question: unauthorized");
    found.says("outside", "bad: ");
    found.says("mail", "bad: the mail server could not be reached");
    let elsewhere = answering(StatusCode::NOT_FOUND, HeaderMap::new()).await;
    let found = doctor(&house, &[("PUBLIC__URL", &format!("http://{elsewhere}"))]).await;
    found.says("outside", "/livez answers 404");
    found.says("knock", "bad: the callback address answers 404 and not as this service would");
    let found = doctor(&house, &[("ADMIN__LISTEN", &nobody.to_string())]).await;
    found.says("service", "bad: no service answers at");
    house.close().await;
}

/// A proxy that says for whom it speaks, as one does that appends.
async fn proxy(house: &House) -> String {
    async fn pass(
        State((http, to)): State<(reqwest::Client, SocketAddr)>,
        request: Request,
    ) -> (StatusCode, String) {
        let url = format!("http://{to}{}", request.uri());
        let asked = http.request(request.method().clone(), url).headers(request.headers().clone());
        let answer = asked.header("x-forwarded-for", "198.51.100.7").send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(pass).with_state((house.http.clone(), house.public));
    spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_knock_is_tried_and_a_proxy_that_nobody_declared_is_seen() {
    let open = ("CALLBACK__ALLOW_FROM", "127.0.0.0/8");
    let house = House::with(&[open]).await;
    let url = proxy(&house).await;
    // As a listener that others reach: on this machine alone the service would not start like this.
    let found = doctor(&house, &[("PUBLIC__URL", &url), ("PUBLIC__LISTEN", "0.0.0.0:8080")]).await;
    found.says("knock", "ok: our knock is let in; what guards the door: an address list");
    found.says("proxy", "bad: 127.0.0.1 spoke for 198.51.100.7, and is not believed");
    house.close().await;

    let house = House::with(&[open, ("CALLBACK__TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    let url = proxy(&house).await;
    let found = doctor(&house, &[("PUBLIC__URL", &url)]).await;
    found.says("knock", "note: this machine may not knock (callback.allow_from)");
    found.says("proxy", "ok: the trusted proxy 127.0.0.1 spoke for 198.51.100.7");
    let found = doctor(&house, &[]).await;
    found.says("proxy", "bad: the trusted proxy 127.0.0.1 says nothing about who called it");
    let answer = house.http.get(format!("http://{}/readyz?verbose", house.public)).send().await.unwrap();
    assert!(!answer.text().await.unwrap().contains("lastKnock"), "addresses of callers are not told outside");
    house.close().await;
}

/// A certificate and its key in a folder, for this name, that ends so many days from now.
fn certificate(folder: &Path, name: &str, days: i64) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let today = reinstate::clock::Clock::System.now();
    let ends = today.checked_add(jiff::SignedDuration::from_hours(days * 24)).unwrap();
    let ends = ends.to_zoned(jiff::tz::TimeZone::UTC).date();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(
        i32::from(ends.year()),
        u8::try_from(ends.month()).unwrap(),
        u8::try_from(ends.day()).unwrap(),
    );
    let made = params.self_signed(&key).unwrap();
    let (cert_file, key_file) =
        (folder.join(format!("{name}{days}.pem")), folder.join(format!("{name}{days}.key")));
    std::fs::write(&cert_file, made.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    (cert_file.display().to_string(), key_file.display().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_or_is_for_somebody_else_is_found() {
    let house = House::start().await;
    let folder = tempfile::tempdir().unwrap();
    let look = async |name: &str, days: i64| {
        let (cert, key) = certificate(folder.path(), name, days);
        let env = [
            ("PUBLIC__TLS_CERT", cert.as_str()),
            ("PUBLIC__TLS_KEY", &key),
            ("PUBLIC__URL", "https://kyc.example.test"),
        ];
        doctor(&house, &env).await
    };
    let found = look("kyc.example.test", 90).await;
    found.says("certificate", "ok: our certificate is good for ");
    found.says("certificate", "ok: it is for kyc.example.test");
    look("kyc.example.test", 9).await.says("certificate", "bad: our certificate ends in 8 days");
    look("kyc.example.test", -9).await.says("certificate", "bad: our certificate ended ");
    look("other.example.test", 90)
        .await
        .says("certificate", "bad: it is for other.example.test, not for kyc.example.test");
    look("*.example.test", 90).await.says("certificate", "ok: it is for kyc.example.test");
    let (cert, _) = certificate(folder.path(), "kyc.example.test", 80);
    let (_, key) = certificate(folder.path(), "kyc.example.test", 70);
    let found = doctor(&house, &[("PUBLIC__TLS_CERT", &cert), ("PUBLIC__TLS_KEY", &key)]).await;
    found.says("certificate", "bad: certificate and key cannot be used");
    house.close().await;
}
