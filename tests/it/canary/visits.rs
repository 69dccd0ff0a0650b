//! What people do in browsers, with everything personal that they may write and read there: the customer on the hosted page, from
//! the mail on; an officer in the console. What they see is theirs; where it stood on the way there is searched.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::clean;
use crate::browser::{Browser, Seen};
use crate::house::{PNG, TOKEN};
use crate::restart::Ground;
use crate::smtp;

/// What may stand nowhere else.
#[derive(Default)]
pub struct Trail {
    /// Heads of answers, where they led to among them.
    heads: Vec<String>,
    /// Pages that show nothing personal.
    pages: Vec<String>,
    /// Cookies, tokens of links and of forms.
    secrets: Vec<String>,
}

impl Trail {
    /// Fails where something personal stands, or what opens a page.
    pub fn is_clean(&self, server: &smtp::Server, logged: &str) {
        assert!(self.heads.len() > 25 && self.pages.len() > 10 && self.secrets.len() > 4);
        clean("the head of an answer", &self.heads.join("\n"));
        clean("a page", &self.pages.join("\n"));
        for secret in &self.secrets {
            assert!(secret.len() > 20 && !logged.contains(secret), "the log holds what opens a page");
        }
        // A mail says to its reader what it has to; its addresses say nothing.
        for mail in server.said("mail") {
            clean("an address in a mail", &format!("{} {}", mail["unsubscribe"], mail["message_id"]));
            let text = mail["parts"].to_string();
            let words = text.split(|c: char| c.is_whitespace() || "\"<>\\".contains(c));
            let addresses = words.filter(|word| word.starts_with("http"));
            addresses.for_each(|address| clean("an address in a mail", address));
        }
    }

    fn note(&mut self, seen: Seen) -> Seen {
        let mut headers = seen.headers.clone();
        // A cookie is for its browser alone.
        headers.remove("set-cookie");
        self.heads.push(format!("{headers:?}"));
        seen
    }

    /// A page on which nothing personal stands.
    fn page(&mut self, seen: Seen) {
        let seen = self.note(seen);
        self.pages.push(seen.text);
    }

    fn keep_secrets_of(&mut self, browser: &Browser, form: &str) {
        self.secrets
            .extend(browser.cookies.iter().map(|(_, value)| value.clone()).filter(|value| value.len() > 20));
        self.secrets.push(form.to_owned());
    }
}

/// The link that the customer was written.
fn link_in(mail: &serde_json::Value) -> String {
    let plain = mail["parts"][0]["text"].as_str().unwrap();
    plain.split_whitespace().find(|word| word.contains("/correct/")).unwrap().to_owned()
}

/// The mail's link is opened, wrong things are written, then the right ones, with a document.
pub async fn corrects(ground: &Ground, server: &smtp::Server, address: &str, trail: &mut Trail) {
    let mail = server.mails(address).remove(0);
    let url = link_in(&mail);
    trail.secrets.push(url.rsplit('/').next().unwrap().to_owned());
    let mut browser = Browser::at(ground.door().public);
    // Whoever guesses writes what they like into an address.
    for path in ["/correct/Zanzibarella-Quillfeather", "/correct?firstName=Zanzibarella", "/Zanzibarella"] {
        let seen = browser.get(path).await;
        assert!(seen.status >= 400, "{path}");
        trail.page(seen);
    }
    let landing = browser.get(&url).await;
    trail.page(landing);
    let page = trail.note(browser.enter(&url).await);
    let form = page.form();
    trail.keep_secrets_of(&browser, &form);
    let png = STANDARD.decode(PNG).unwrap();
    let wrong: &[(&str, Option<&str>, &[u8])] = &[
        ("form", None, form.as_bytes()),
        ("f-dateOfBirth", None, b"1971-07-13T canary.mail"),
        ("f-email", None, b"canary.mail at example.test"),
        ("f-Zanzibarella", None, b"Quillfeather"),
        ("doc-kind", None, b"Zanzibarella"),
        ("doc-number", None, b"XK9C4N4RY"),
        ("doc-file", Some("canary-passport.exe"), b"MZ Zanzibarella"),
        ("go", None, b"check"),
    ];
    trail.note(browser.submit("/correct", wrong).await).leads_to("/correct");
    trail.note(browser.get("/correct").await).has("role=\"alert\"").has("canary.mail at example.test");
    // Half a form, and one that nobody knows how to read.
    let broken = "--x\r\ncontent-disposition: form-data; name=\"f-firstName\"; filename=\"canary-passport\r\n\r\nZanzibarella";
    for kind in ["multipart/form-data; boundary=x", "text/Zanzibarella"] {
        let body = Some((kind.to_owned(), broken.as_bytes().to_vec()));
        let seen = browser.send(reqwest::Method::POST, "/correct", body).await;
        assert!(seen.status >= 400, "{}", seen.text);
        trail.page(seen);
    }
    let right: &[(&str, Option<&str>, &[u8])] = &[
        ("form", None, form.as_bytes()),
        ("f-firstName", None, b"Zanzibarella"),
        ("f-dateOfBirth", None, b"1971-07-13"),
        ("f-email", None, b"canary.mail.new@example.test"),
        ("doc-kind", None, b"Passport"),
        ("doc-number", None, b"XK9C4N4RY"),
        ("doc-photo", Some("canary-passport.png"), &png),
        ("go", None, b"check"),
    ];
    trail.note(browser.submit("/correct", right).await).leads_to("/correct/review");
    trail.note(browser.get("/correct/review").await).has("Zanzibarella");
    trail.note(browser.post("/correct/send", &format!("form={form}")).await).leads_to("/correct");
}

/// An officer finds the customer by what is personal, reads it, and hands it out.
pub async fn reads(ground: &Ground, id: &str, remark: &str, trail: &mut Trail) {
    let mut browser = Browser::at(ground.door().admin);
    let wrong = [("name", "canary.mail@example.test"), ("password", "Quillfeather 1971-07-13")];
    trail.note(browser.fill("/sign-in", &wrong).await).is(401);
    // Where somebody wanted to go is told back to their own browser, and to nobody else.
    for path in ["/cases/Zanzibarella", "/cases?text=Zanzibarella&email=canary.mail%40example.test"] {
        browser.get(path).await.is(303);
    }
    trail.note(browser.fill("/sign-in", &[("token", TOKEN)]).await).leads_to("/");
    let case = format!("/cases/{id}");
    let page = trail.note(browser.get(&case).await);
    page.is(200);
    trail.keep_secrets_of(&browser, &page.form());
    let asked = [("email", "canary.mail.new@example.test"), ("text", "Quillfeather")];
    trail.note(browser.act(&page, "/cases", &asked).await).is(200).has(id);
    trail
        .note(browser.act(&page, &format!("{case}/personal"), &[]).await)
        .is(200)
        .has("Zanzibarella")
        .has("1971-07-13");
    trail.note(browser.act(&page, &format!("{case}/export"), &[]).await).is(200).has("Quillfeather");
    let tag = [("key", "Quillfeather".repeat(20)), ("value", "canary.mail".repeat(50))];
    let tag = [(tag[0].0, tag[0].1.as_str()), (tag[1].0, tag[1].1.as_str())];
    trail.note(browser.act(&page, &format!("{case}/tags"), &tag).await);
    let block = [("action", "Zanzibarella"), ("reason", "canary.mail"), ("comment", "Quillfeather")];
    trail.note(browser.act(&page, &format!("{case}/block"), &block).await);
    for path in ["/", "/cases", &case, "/audit", "/jobs", "/callbacks", "/settings", "/approvals"] {
        let mut seen = browser.get(path).await;
        seen.is(200);
        // Nium's remark is what an officer decides by.
        seen.text = seen.text.replace(remark, "");
        trail.page(seen);
    }
}
