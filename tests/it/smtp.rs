//! E-mail through a real mail server, aiosmtpd: privately or not at all, with a login, and what each of its refusals leads to.
//! What arrives is read by another's parser, which names what is against the standard.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, Plan, application};

/// How the server speaks, and what it wants.
pub struct Server {
    program: Child,
    folder: tempfile::TempDir,
    port: u16,
    tls: &'static str,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Server {
    /// A server on this machine; its certificate is for `localhost`.
    pub fn start(tls: &'static str, more: &[&str]) -> Self {
        Self::named("localhost", tls, more)
    }

    fn named(name: &str, tls: &'static str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path(), name);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/tools/smtp/bin/python");
        assert!(python.exists(), "aiosmtpd is not here; tests/smtp fetches it");
        let mut program = Command::new(python)
            .arg(root.join("tests/it/smtp/server.py"))
            .args(["--tls", tls, "--log"])
            .arg(folder.path().join("log"))
            .arg("--cert")
            .arg(folder.path().join("server.crt"))
            .arg("--key")
            .arg(folder.path().join("server.key"))
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the mail server does not start");
        Self { program, folder, port, tls }
    }

    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Where the service reaches it; `login` is `user:password@`.
    pub fn url(&self, login: &str) -> String {
        let scheme = if self.tls == "implicit" { "smtps" } else { "smtp" };
        format!("{scheme}://{login}localhost:{}", self.port)
    }

    /// A house that writes through it and trusts its authority.
    async fn house(&self, login: &str, more: &[(&'static str, &str)]) -> House {
        let mut env = self.env(login);
        env.push(("NOTIFY__EMAIL__CA_FILE", self.authority().display().to_string()));
        env.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
        House::build(Plan { env, ..Plan::default() }).await
    }

    fn env(&self, login: &str) -> Vec<(&'static str, String)> {
        vec![
            ("NOTIFY__EMAIL__SMTP_URL", self.url(login)),
            ("NOTIFY__EMAIL__FROM", "Example Pay <kyc@example.test>".to_owned()),
            ("PAGE__NAME", "Example Pay".to_owned()),
        ]
    }

    /// What was said to it.
    fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        // The last line may be half there.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub fn said(&self, what: &str) -> Vec<Value> {
        self.log().into_iter().filter(|line| line["what"] == what).collect()
    }

    pub fn mails(&self, to: &str) -> Vec<Value> {
        self.said("mail").into_iter().filter(|mail| mail["to"] == json!([to])).collect()
    }

    /// Waits until so many messages have come for somebody.
    async fn written(&self, house: &House, to: &str, count: usize) -> Vec<Value> {
        house
            .eventually(&format!("{to} is written to"), async || {
                house.advance(Duration::from_millis(200));
                self.mails(to).len() >= count
            })
            .await;
        self.mails(to)
    }
}

/// A certificate for the server, signed by an authority of its own.
fn certify(folder: &Path, name: &str) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.distinguished_name.push(DnType::CommonName, "the tests' mail authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let files =
        [("ca.crt", authority.pem()), ("server.crt", server.pem()), ("server.key", key.serialize_pem())];
    for (file, pem) in files {
        fs::write(folder.join(file), pem).unwrap();
    }
}

/// Waits until one attempt at a message has failed, or was given up, and says why. The clocks stand: the next attempt is not
/// due meanwhile.
async fn why(house: &House, id: &str) -> Value {
    let mut found = Value::Null;
    house
        .eventually("an attempt fails", async || {
            let (_, jobs) = house.get(&format!("/v1/jobs?kind=email&customerHashId={id}")).await;
            found = jobs["items"][0].clone();
            found["reason"].is_string() && !found["reason"].as_str().unwrap().is_empty()
        })
        .await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_out_under_starttls_and_tls_with_a_login() {
    for tls in ["starttls", "implicit"] {
        let server = Server::start(tls, &["--login", "us@er:p+ss: w"]);
        let house = server.house("us%40er:p+ss%3A%20w@", &[]).await;
        house.rejected("Ana").await;
        server.written(&house, "ana@example.test", 1).await;
        let log = server.log();
        for said in ["sender", "login"] {
            let lines = server.said(said);
            assert!(!lines.is_empty() && lines.iter().all(|line| line["private"] == true), "{tls}: {log:?}");
        }
        assert!(server.said("login").iter().all(|line| line["good"] == true), "{tls}: {log:?}");
        assert!(server.said("sender").iter().all(|line| line["address"] == "kyc@example.test"));
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_named_and_everything_goes_out_once_it_is_right() {
    let server = Server::start("starttls", &["--login", "user:right"]);
    let mut house = server.house("user:wr0ng-passw0rd@", &[]).await;
    let id = house.rejected("Ana").await;
    let job = why(&house, &id).await;
    assert!(job["reason"].as_str().unwrap().contains("refused our user and password (535)"), "{job}");
    assert_eq!(job["status"], "failing", "it is tried again: {job}");
    assert!(!job.to_string().contains("wr0ng"), "{job}");
    assert!(
        server.said("sender").is_empty() && server.said("login").iter().all(|line| line["private"] == true)
    );
    house.set("NOTIFY__EMAIL__SMTP_URL", Some(server.url("user:right@")));
    let house = house.restart().await;
    server.written(&house, "ana@example.test", 1).await;
    assert_eq!(house.get(&format!("/v1/customers/{id}")).await.1["state"], "awaiting_correction");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_nobody_vouches_for_hears_nothing() {
    for tls in ["starttls", "implicit"] {
        let (stranger, misnamed) =
            (Server::start(tls, &["--login", "user:sesame"]), Server::named("elsewhere.test", tls, &[]));
        // One whose authority is not ours, and one of our authority under another's name.
        let env = stranger.env("user:sesame@");
        let unknown = House::build(Plan { env, ..Plan::default() }).await;
        let named = misnamed.house("", &[]).await;
        for (house, server) in [(unknown, &stranger), (named, &misnamed)] {
            let id = house.rejected("Ana").await;
            let job = why(&house, &id).await;
            assert!(job["reason"].as_str().unwrap().contains("certificate is not trusted"), "{tls}: {job}");
            let log = server.log();
            assert!(log.iter().all(|line| line["what"] == "ehlo" && line["private"] == false), "{log:?}");
            house.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_starttls_nothing_is_said_in_the_open() {
    // Somebody between us and the server takes STARTTLS out of its greeting; it would take a password too.
    let server = Server::start("none", &["--login", "user:sesame"]);
    let house = server.house("user:sesame@", &[]).await;
    let id = house.rejected("Ana").await;
    let job = why(&house, &id).await;
    assert!(job["reason"].as_str().unwrap().contains("offers no STARTTLS"), "{job}");
    assert!(server.log().iter().all(|line| line["what"] == "ehlo"), "{:?}", server.log());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounce_parks_its_own_case_and_whatever_else_is_tried_again() {
    let server = Server::start("starttls", &[]);
    let house = server.house("", &[]).await;
    let bounce = house.rejected("Bounce").await;
    let job = why(&house, &bounce).await;
    let words = job["reason"].as_str().unwrap();
    assert!(words.contains("refused the address for good (550)"), "{job}");
    assert!(job["status"] == "failed" && !job.to_string().contains("bounce@"), "{job}");
    // A message that is refused, mail that is not passed on, and a server that lets strangers wait are no bounces.
    for (name, words) in [
        ("Relay", "does not pass mail on (550)"),
        ("Spam", "refused the message (554)"),
        ("Grey", "asks to come again (451)"),
    ] {
        let id = house.rejected(name).await;
        let job = why(&house, &id).await;
        assert!(
            job["reason"].as_str().unwrap().contains(words) && job["status"] == "failing",
            "{name}: {job}"
        );
    }
    server.written(&house, "grey@example.test", 1).await;
    server.written(&house, "spam@example.test", 1).await;
    house.rejected("Ana").await;
    server.written(&house, "ana@example.test", 1).await;
    assert!(server.mails("bounce@example.test").is_empty());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_us_parks_nobody() {
    let server = Server::start("starttls", &["--refuse-sender"]);
    let house = server.house("", &[]).await;
    for name in ["Ana", "Bo"] {
        let id = house.rejected(name).await;
        let job = why(&house, &id).await;
        assert!(job["reason"].as_str().unwrap().contains("takes no mail from us (550)"), "{job}");
        assert_eq!(job["status"], "failing", "{job}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_after_the_message_brings_the_same_message_id_again() {
    let server = Server::start("starttls", &[]);
    let house = server.house("", &[]).await;
    house.rejected("Cut").await;
    let mails = server.written(&house, "cut@example.test", 2).await;
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0]["message_id"], mails[1]["message_id"]);
    assert_eq!((&mails[0]["parts"], &mails[0]["subject"]), (&mails[1]["parts"], &mails[1]["subject"]));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_as_the_standard_says_in_every_language() {
    for (language, subject) in [
        ("en", "Please check your details"),
        ("fr", "Veuillez vérifier vos informations"),
        ("ja", "ご登録情報をご確認ください"),
        ("zh", "请核对您的资料"),
    ] {
        let server = Server::start("starttls", &[]);
        let house =
            server.house("", &[("PAGE__LANGUAGE", language), ("PAGE__NAME", "Ärzte & Söhne <Pay>")]).await;
        house.rejected("Ana").await;
        let mail = server.written(&house, "ana@example.test", 1).await.remove(0);
        assert_eq!(mail["wrong"], json!([]), "{language}: {mail}");
        assert_eq!(mail["subject"], subject, "{mail}");
        assert!(mail["message_id"].as_str().unwrap().ends_with("@example.test>"), "{mail}");
        for name in
            ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted"]
        {
            let named = |header: &Value| header.as_str().unwrap().eq_ignore_ascii_case(name);
            let count = mail["headers"].as_array().unwrap().iter().filter(|header| named(header)).count();
            assert_eq!(count, 1, "{name}: {mail}");
        }
        assert_eq!(mail["kind"], "multipart/alternative");
        let parts = mail["parts"].as_array().unwrap();
        let kinds: Vec<&Value> = parts.iter().map(|part| &part["kind"]).collect();
        assert_eq!(kinds, ["text/plain", "text/html"], "the last is the richest");
        let (plain, html) = (parts[0]["text"].as_str().unwrap(), parts[1]["text"].as_str().unwrap());
        assert!(plain.contains("Ärzte & Söhne <Pay>"), "{plain}");
        assert!(html.contains("Ärzte &#38; Söhne &#60;Pay&#62;") && !html.contains("<Pay>"), "{html}");
        let link = plain.split_whitespace().find(|word| word.contains("/correct/")).unwrap();
        assert!(html.contains(link), "{html}");
        let stop = mail["unsubscribe"].as_str().unwrap();
        assert!(stop.starts_with('<') && stop.contains("/correct/stop/") && !stop.contains(' '), "{stop}");
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customers_fields_add_no_line_to_a_message() {
    let server = Server::start("starttls", &[]);
    let house = server.house("", &[]).await;
    // Names with line breaks at Nium; then an address with one, which is no address.
    let names = house.rejected("Ana").await;
    server.written(&house, "ana@example.test", 1).await;
    let mut evil = Vec::new();
    for (first, address) in [
        ("Eve\r\nBcc: all@example.test", "eve@example.test"),
        ("Eve", "eve@example.test\r\nBcc: all@example.test"),
        ("Eve", "eve@example.test> SIZE=1\r\nRCPT TO:<all@example.test"),
        ("Eve", "\"eve\r\nRSET\"@example.test"),
    ] {
        let mut body = application("Eve");
        body["firstName"] = json!(first);
        body["email"] = json!(address);
        let made = house.nium(Method::POST, "/__sim/customers", body).await;
        let id = made["customerHashId"].as_str().unwrap().to_owned();
        house.nium_says(&id, json!({ "complianceStatus": "REJECT" })).await;
        house.until(&id, "awaiting_correction").await;
        evil.push(id);
    }
    let good = server.written(&house, "eve@example.test", 1).await.remove(0);
    assert_eq!(good["wrong"], json!([]));
    assert!(!good["head"].as_str().unwrap().contains("Bcc"), "{good}");
    for id in &evil[1..] {
        let job = why(&house, id).await;
        let no_address = ["the address on file is not one", "no address is on file"];
        assert!(no_address.contains(&job["reason"].as_str().unwrap()), "{job}");
    }
    let all = server.said("recipient");
    assert!(all.iter().all(|line| !line["address"].as_str().unwrap().contains("all@")), "{all:?}");
    assert_ne!(names, evil[0]);
    house.close().await;
}
