//! A browser without a script: it keeps cookies, follows no redirect by itself, and reads what a page says.

use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER, SET_COOKIE};
use reqwest::{Client, Method};

use crate::house::install_crypto;

pub struct Browser {
    http: Client,
    pub base: String,
    pub cookies: Vec<(String, String)>,
    pub language: &'static str,
    /// Headers that go with every request.
    pub always: Vec<(&'static str, String)>,
}

/// What a page answered.
pub struct Seen {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Seen {
    #[track_caller]
    pub fn has(&self, what: &str) -> &Self {
        assert!(self.text.contains(what), "{} has no {what}:\n{}", self.status, self.text);
        self
    }

    #[track_caller]
    pub fn lacks(&self, what: &str) -> &Self {
        assert!(!self.text.contains(what), "{what} stands in\n{}", self.text);
        self
    }

    #[track_caller]
    pub fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn leads_to(&self, path: &str) {
        let to = self.headers.get(LOCATION).map(|to| to.to_str().unwrap());
        assert_eq!((self.status, to), (303, Some(path)), "{}", self.text);
    }

    /// How long Nium takes decides which.
    #[track_caller]
    pub fn leads_to_one_of(&self, paths: &[&str]) {
        let to = self.headers.get(LOCATION).map(|to| to.to_str().unwrap());
        assert!(self.status == 303 && to.is_some_and(|to| paths.contains(&to)), "{to:?} {}", self.text);
    }

    pub fn retry_after(&self) -> Option<&str> {
        self.headers.get(RETRY_AFTER).map(|wait| wait.to_str().unwrap())
    }

    /// What a form of the page carries.
    #[track_caller]
    pub fn form(&self) -> String {
        self.field("form")
    }

    /// The value of the first field of this name.
    #[track_caller]
    pub fn field(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.text.split_once(&mark).unwrap_or_else(|| panic!("no {name} in\n{}", self.text));
        rest.split_once('"').unwrap().0.to_owned()
    }
}

impl Browser {
    pub fn at(address: impl std::fmt::Display) -> Self {
        install_crypto();
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let http = http.tls_certs_only([]).build().unwrap();
        let base = format!("http://{address}");
        Self { http, base, cookies: Vec::new(), language: "en", always: Vec::new() }
    }

    /// Asks, and leaves the answer's body unread.
    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<(String, Vec<u8>)>,
    ) -> reqwest::Response {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let mut request = self.http.request(method, url).header("accept-language", self.language);
        for (name, value) in &self.always {
            request = request.header(*name, value);
        }
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
            let value = rest.split(';').next().unwrap();
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    pub async fn send(&mut self, method: Method, path: &str, body: Option<(String, Vec<u8>)>) -> Seen {
        let answer = self.ask(method, path, body).await;
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

    /// Sends a form with these fields.
    pub async fn fill(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        self.post(path, &written(fields)).await
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

    /// Sends a form of a page, with the session's token in it.
    pub async fn act(&mut self, page: &Seen, path: &str, fields: &[(&str, &str)]) -> Seen {
        let form = page.field("form");
        self.fill(path, &[&[("form", form.as_str())], fields].concat()).await
    }
}

/// A form as a browser writes it.
pub fn written(fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    fields.collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> String {
    text.bytes().flat_map(|byte| ["%".to_owned(), hex::encode_upper([byte])]).collect()
}
