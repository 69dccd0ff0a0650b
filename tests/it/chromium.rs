//! A real Chromium, driven over the `WebDriver` protocol of its own driver.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::house::client;

/// How often a page is read anew that went away meanwhile.
const BETWEEN_PAGES_MAX: usize = 50;

/// How a page is looked at.
#[derive(Clone, Copy)]
pub struct View {
    pub width: u32,
    pub height: u32,
    /// A phone: a small screen that is touched.
    pub phone: bool,
    pub script: bool,
    pub language: &'static str,
}

pub const DESKTOP: View = View { width: 1280, height: 900, phone: false, script: true, language: "en" };
pub const PHONE: View = View { width: 320, height: 640, phone: true, script: true, language: "en" };

/// The identifier of an element, fixed by the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub struct Chromium {
    driver: Child,
    http: Client,
    session: String,
    profile: tempfile::TempDir,
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The end of the session ends the browser; a driver that is killed, or only told to end, leaves it behind.
        let _ = self.end();
        let _ = Command::new("kill").arg(self.driver.id().to_string()).status();
        let _ = self.driver.wait();
    }
}

impl Chromium {
    /// Ends the session without a runtime: a test that fails has none any more.
    fn end(&self) -> std::io::Result<usize> {
        let place = self.session.trim_start_matches("http://");
        let (address, path) = place.split_once('/').unwrap_or((place, ""));
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(socket, "DELETE /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        socket.read(&mut [0; 512])
    }

    pub async fn start(view: View) -> Self {
        let program = ["chromedriver", "/usr/bin/chromedriver", "/usr/lib/chromium/chromedriver"]
            .into_iter()
            .find(|program| Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok());
        let program =
            program.expect("chromedriver is not here; tests/run installs it (Debian: chromium-driver)");
        let mut driver = Command::new(program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        // Whoever stops reading ends the driver with its next line.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let mut chromium = Self {
            driver,
            http: client(),
            session: format!("http://127.0.0.1:{}/session", port.unwrap()),
            profile,
        };
        let answer = chromium.raw(Method::POST, "", chromium.capabilities(view)).await.unwrap();
        let id = answer["sessionId"].as_str().unwrap().to_owned();
        chromium.session = format!("{}/{id}", chromium.session);
        chromium
            .ask(Method::POST, "/timeouts", json!({ "implicit": 5000, "pageLoad": 60_000, "script": 80_000 }))
            .await;
        chromium
    }

    fn capabilities(&self, view: View) -> Value {
        let mut options = json!({
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--no-proxy-server",
                format!("--window-size={},{}", view.width, view.height), format!("--accept-lang={}", view.language),
                format!("--user-data-dir={}", self.profile.path().display()),
            ],
            "prefs": { "intl.accept_languages": view.language },
        });
        if !view.script {
            options["prefs"]["profile.managed_default_content_settings.javascript"] = json!(2);
        }
        if view.phone {
            options["mobileEmulation"] = json!({ "deviceMetrics": {
                "width": view.width, "height": view.height, "pixelRatio": 2.0, "touch": true,
            } });
        }
        json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": options } } })
    }

    async fn raw(&self, method: Method, path: &str, body: Value) -> Result<Value, Value> {
        let request = self.http.request(method.clone(), format!("{}{path}", self.session));
        let request = request.timeout(Duration::from_secs(90));
        let request = if method == Method::POST { request.json(&body) } else { request };
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let value = answer["value"].clone();
        if value.get("error").is_some() { Err(value) } else { Ok(value) }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        self.raw(method.clone(), path, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub async fn go(&self, url: &str) {
        self.ask(Method::POST, "/url", json!({ "url": url })).await;
    }

    pub async fn url(&self) -> String {
        self.ask(Method::GET, "/url", Value::Null).await.as_str().unwrap().to_owned()
    }

    async fn find(&self, css: &str) -> String {
        let body = json!({ "using": "css selector", "value": css });
        match self.raw(Method::POST, "/element", body).await {
            Ok(found) => found[ELEMENT].as_str().unwrap().to_owned(),
            Err(error) => {
                let text = self.text().await;
                panic!("{css} is not at {}: {}\n{text}", self.url().await, error["error"]);
            }
        }
    }

    /// What a reader sees of the page.
    pub async fn text(&self) -> String {
        // While a page gives way to the next one, there is none to read.
        let mut last = Value::Null;
        for _ in 0..BETWEEN_PAGES_MAX {
            let body = json!({ "using": "css selector", "value": "body" });
            let found = match self.raw(Method::POST, "/element", body).await {
                Ok(found) => found[ELEMENT].as_str().unwrap().to_owned(),
                Err(error) => {
                    last = error;
                    continue;
                }
            };
            match self.raw(Method::GET, &format!("/element/{found}/text"), Value::Null).await {
                Ok(text) => return text.as_str().unwrap_or_default().to_owned(),
                Err(error) => last = error,
            }
        }
        panic!("the page cannot be read: {last}");
    }

    /// Waits until the page says something.
    pub async fn reads(&self, what: &str) -> String {
        let begun = std::time::Instant::now();
        loop {
            let text = self.text().await;
            if text.contains(what) {
                return text;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{} does not say {what}:\n{text}",
                self.url().await
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn click(&self, css: &str) {
        // A page that reads itself anew may replace what was just found.
        let mut last = Value::Null;
        for _ in 0..BETWEEN_PAGES_MAX {
            let id = self.find(css).await;
            match self.raw(Method::POST, &format!("/element/{id}/click"), json!({})).await {
                Ok(_) => return,
                Err(error) if error["error"] == "stale element reference" => last = error,
                Err(error) => panic!("{css} cannot be clicked: {error}"),
            }
        }
        panic!("{css} does not stay: {last}");
    }

    pub async fn fill(&self, css: &str, text: &str) {
        let id = self.find(css).await;
        self.ask(Method::POST, &format!("/element/{id}/clear"), json!({})).await;
        self.ask(Method::POST, &format!("/element/{id}/value"), json!({ "text": text })).await;
    }

    /// Chooses a file.
    pub async fn attach(&self, css: &str, file: &Path) {
        let id = self.find(css).await;
        self.ask(
            Method::POST,
            &format!("/element/{id}/value"),
            json!({ "text": file.display().to_string() }),
        )
        .await;
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub async fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
            })
            .collect();
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.ask(Method::POST, "/actions", body).await;
    }

    pub async fn script(&self, script: &str, args: &[Value]) -> Value {
        self.ask(Method::POST, "/execute/sync", json!({ "script": script, "args": args })).await
    }

    /// The `id` or the text of what has the focus.
    pub async fn focus(&self) -> String {
        let script = "const it = document.activeElement; return it.id || it.textContent.trim();";
        let answer = self.raw(Method::POST, "/execute/sync", json!({ "script": script, "args": [] })).await;
        // While a page gives way to the next one nothing has the focus.
        answer.ok().and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Presses Tab until something has the focus that can be told by its `id` or text.
    pub async fn tab_to(&self, what: &str) {
        for _ in 0..200 {
            if self.focus().await == what {
                return;
            }
            self.press(TAB).await;
        }
        panic!("the keyboard does not reach {what}");
    }

    /// Takes a picture of the whole page.
    pub async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("REINSTATE_TEST_PICTURES") else { return };
        let height = self.script("return document.documentElement.scrollHeight", &[]).await;
        let width = self.script("return document.documentElement.clientWidth", &[]).await;
        let params = json!({ "format": "png", "captureBeyondViewport": true,
            "clip": { "x": 0, "y": 0, "width": width, "height": height, "scale": 1 } });
        let body = json!({ "cmd": "Page.captureScreenshot", "params": params });
        let answer = self.ask(Method::POST, "/goog/cdp/execute", body).await;
        let bytes = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            answer["data"].as_str().unwrap(),
        );
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), bytes.unwrap()).unwrap();
    }

    /// Nothing on the page keeps anybody out: axe-core finds no violation of WCAG 2.2 AA or of its best practices, nothing is
    /// wider than the screen, and nothing is told on the console.
    pub async fn is_accessible(&self, name: &str) {
        let at = std::env::var("REINSTATE_TEST_AXE")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/axe.min.js").to_owned());
        let axe = std::fs::read_to_string(&at);
        let axe = axe.unwrap_or_else(|error| panic!("{at}: {error}; tests/run fetches axe-core there"));
        self.script(&axe, &[]).await;
        let run = "const done = arguments[0]; axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', \
            'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then((result) => done(result.violations), \
            (error) => done([{ id: String(error) }]));";
        let found = self.ask(Method::POST, "/execute/async", json!({ "script": run, "args": [] })).await;
        let told: Vec<String> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let nodes = one["nodes"].as_array().cloned().unwrap_or_default();
                let nodes: Vec<String> = nodes
                    .iter()
                    .map(|node| format!("  {} {}", node["html"], node["failureSummary"]))
                    .collect();
                format!("{}: {}\n{}", one["id"], one["help"], nodes.join("\n"))
            })
            .collect();
        assert!(told.is_empty(), "{name} keeps somebody out:\n{}", told.join("\n"));
        let wide = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
        assert_eq!(self.script(wide, &[]).await, false, "{name} is wider than the screen");
    }
}

pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";
