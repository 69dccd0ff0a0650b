//! A browser without a script, for the hosted page.

use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, Method};

use crate::house::{House, install_crypto};

/// A browser: it keeps cookies, and follows no redirect by itself.
pub struct Browser {
    http: Client,
    pub base: String,
    pub cookies: Vec<(String, String)>,
    pub language: &'static str,
}

/// What a page answered.
pub struct Seen {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Seen {
    pub fn has(&self, what: &str) -> &Self {
        assert!(self.text.contains(what), "{} has no {what}:\n{}", self.status, self.text);
        self
    }

    pub fn lacks(&self, what: &str) -> &Self {
        assert!(!self.text.contains(what), "{what} stands in\n{}", self.text);
        self
    }

    pub fn leads_to(&self, path: &str) {
        assert_eq!(
            (self.status, self.headers.get(LOCATION).map(|to| to.to_str().unwrap())),
            (303, Some(path)),
            "{}",
            self.text
        );
    }

    pub fn form(&self) -> String {
        let (_, rest) = self.text.split_once("name=\"form\" value=\"").expect("a form of ours");
        rest.split_once('"').unwrap().0.to_owned()
    }
}

impl Browser {
    pub fn new(house: &House) -> Self {
        install_crypto();
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let http = http.tls_certs_only([]).build().unwrap();
        Self { http, base: format!("http://{}", house.public), cookies: Vec::new(), language: "en" }
    }

    pub async fn send(&mut self, method: Method, path: &str, body: Option<(String, Vec<u8>)>) -> Seen {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let mut request = self.http.request(method, url).header("accept-language", self.language);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if let Some((kind, bytes)) = body {
            request = request.header("content-type", kind).body(bytes);
        }
        let answer = request.send().await.unwrap();
        for set in answer.headers().get_all(SET_COOKIE) {
            let (name, rest) = set.to_str().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), rest.split(';').next().unwrap().to_owned()));
        }
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Seen { status, headers, text: answer.text().await.unwrap() }
    }

    pub async fn get(&mut self, path: &str) -> Seen {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&mut self, path: &str, body: &str) -> Seen {
        let kind = "application/x-www-form-urlencoded".to_owned();
        self.send(Method::POST, path, Some((kind, body.as_bytes().to_vec()))).await
    }

    /// A form with files: an entry is a file where it has a name of one.
    pub async fn submit(&mut self, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Seen {
        let mut body = Vec::new();
        for (name, file, bytes) in parts {
            let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
            body.extend(
                format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes(),
            );
            body.extend(*bytes);
            body.extend(b"\r\n");
        }
        body.extend(b"--x--\r\n");
        self.send(Method::POST, path, Some(("multipart/form-data; boundary=x".to_owned(), body))).await
    }

    /// Opens a link and begins a visit.
    pub async fn enter(&mut self, url: &str) -> Seen {
        assert_eq!(self.get(url).await.status, 200);
        let path = url.split('?').next().unwrap().to_owned();
        self.post(&path, "lang=en").await.leads_to("/correct");
        self.get("/correct").await
    }
}

pub async fn link(house: &House, id: &str) -> String {
    let path = format!("/v1/customers/{id}/correction-link");
    let (status, answer) = house.ask(Method::POST, &path, None).await;
    assert_eq!(status, 201, "{answer}");
    answer["url"].as_str().unwrap().to_owned()
}
