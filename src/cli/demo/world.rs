//! The demo's world: the real binary twice as child processes (sandbox and service), a webhook sink, and one HTTP client.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::sink::Sink;

/// How long anything in the demo may take before it counts as failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// The pretend Nium's client id and key.
const CLIENT: &str = "6f0f8e0a-51c7-4d1e-9d3f-0b7a5d6f2c11";
const API_KEY: &str = "sandbox-key";

/// Everything that runs.
pub(super) struct World {
    pub(super) client: Client,
    pub(super) sink: Sink,
    pub(super) nium: String,
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) token: String,
    folder: PathBuf,
    service_env: Vec<(&'static str, String)>,
    _sandbox: Child,
    service: Option<Child>,
}

impl World {
    /// Starts the sandbox, the sink and the service on free loopback ports, with a temporary SQLite file.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("reinstate-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let [nium, public, admin, mail] = free_ports()?;
        let (token, master_key, secret) = (random(24)?, random(32)?, random(32)?);
        let sink = Sink::new(&STANDARD.decode(&secret)?);
        let sink_address = serve_sink(&sink).await?;
        let callback = format!("http://{public}/callback/compliance?customerHashId=%s");
        let sandbox = Command::new(std::env::current_exe()?)
            .args(["sandbox", "--listen", &nium.to_string(), "--callback-url", &callback])
            .args(["--client-hash-id", CLIENT, "--api-key", API_KEY, "--mail", &mail.to_string()])
            .stdout(Stdio::null())
            .stderr(log_file(&folder, "sandbox.log")?)
            .kill_on_drop(true)
            .spawn()
            .context("starting the pretend Nium")?;
        let service_env = vec![
            ("REINSTATE__PUBLIC__LISTEN", public.to_string()),
            ("REINSTATE__PUBLIC__URL", format!("http://{public}")),
            ("REINSTATE__PUBLIC__DRAIN_SECONDS", "0".to_owned()),
            ("REINSTATE__NOTIFY__EMAIL__SMTP_URL", format!("smtp://{mail}?tls=none")),
            ("REINSTATE__NOTIFY__EMAIL__FROM", "Example Pay <kyc@example.test>".to_owned()),
            ("REINSTATE__PAGE__NAME", "Example Pay".to_owned()),
            ("REINSTATE__PAGE__CONTACT", "help@example.test".to_owned()),
            ("REINSTATE__ADMIN__LISTEN", admin.to_string()),
            ("REINSTATE__ADMIN__BOOTSTRAP_TOKEN", token.clone()),
            ("REINSTATE__STORE__URL", format!("sqlite:{}", folder.join("reinstate.db").display())),
            ("REINSTATE__NIUM__BASE_URL", format!("http://{nium}")),
            ("REINSTATE__NIUM__CLIENT_HASH_ID", CLIENT.to_owned()),
            ("REINSTATE__NIUM__API_KEY", API_KEY.to_owned()),
            ("REINSTATE__NIUM__REGION", "SG".to_owned()),
            ("REINSTATE__NIUM__SETTLE_MS", "1000".to_owned()),
            ("REINSTATE__NIUM__REQUESTS_PER_SECOND", "50".to_owned()),
            ("REINSTATE__NIUM__BURST", "50".to_owned()),
            ("REINSTATE__NOTIFY__WEBHOOK__URL", format!("http://{sink_address}/webhook")),
            ("REINSTATE__NOTIFY__WEBHOOK__SECRETS", format!("whsec_{secret}")),
            ("REINSTATE__NOTIFY__WEBHOOK__ALLOW_PRIVATE", "true".to_owned()),
            ("REINSTATE__PRIVACY__MASTER_KEYS", format!("demo:{master_key}")),
        ];
        let client = Client::builder().timeout(PATIENCE).no_proxy().tls_certs_only([]).build()?;
        let mut world = Self {
            client,
            sink,
            nium: format!("http://{nium}"),
            public,
            admin,
            token,
            folder,
            service_env,
            _sandbox: sandbox,
            service: None,
        };
        world.wait_for(&format!("http://{nium}/__sim/")).await.context("the pretend Nium did not start")?;
        world.start_service().await?;
        Ok(world)
    }

    /// Starts the service, again if need be, and waits until it is ready. Gives how long that took.
    pub(super) async fn start_service(&mut self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let inherited =
            std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("REINSTATE__"));
        let child = Command::new(std::env::current_exe()?)
            .env_clear()
            .envs(inherited)
            .envs(self.service_env.iter().map(|(name, value)| (name, value)))
            // Away from any configuration file of the user's.
            .current_dir(&self.folder)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log_file(&self.folder, "service.log")?)
            .kill_on_drop(true)
            .spawn()
            .context("starting the service")?;
        self.service = Some(child);
        self.wait_for(&format!("http://{}/readyz", self.public))
            .await
            .context("the service did not become ready")?;
        Ok(begun.elapsed())
    }

    /// SIGKILL: no handler runs, nothing is flushed. Gives the process id.
    pub(super) async fn kill_service(&mut self) -> anyhow::Result<u32> {
        let mut child = self.service.take().context("the service is not running")?;
        let id = child.id().context("the service has ended already")?;
        child.kill().await?;
        Ok(id)
    }

    /// A request to the service's API.
    pub(super) async fn api(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let url = format!("http://{}{path}", self.admin);
        self.ask(method, &url, body).await
    }

    /// A request to the pretend Nium.
    pub(super) async fn nium(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let url = format!("{}{path}", self.nium);
        self.ask(method, &url, body).await
    }

    async fn ask(&self, method: Method, url: &str, body: Option<&Value>) -> anyhow::Result<(u16, Value)> {
        let mut request =
            self.client.request(method, url).bearer_auth(&self.token).header("x-api-key", API_KEY);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await.unwrap_or(Value::Null)))
    }

    /// Onboards a customer at Nium as the app backend would, and puts the application on file with us.
    pub(super) async fn onboard(&self, application: &Value) -> anyhow::Result<String> {
        let (status, answer) =
            self.nium(Method::POST, &format!("/api/v4/client/{CLIENT}/customer"), Some(application)).await?;
        ensure!(status == 200, "Nium refused the application with {status}: {answer}");
        let id = text(&answer, "/customerHashId").context("Nium gave no customerHashId")?.to_owned();
        let (status, answer) =
            self.api(Method::PUT, &format!("/v1/customers/{id}/application"), Some(application)).await?;
        ensure!(status == 200, "the application was not kept: {status} {answer}");
        Ok(id)
    }

    /// Lets Nium's compliance decide.
    pub(super) async fn nium_decides(&self, id: &str, decision: &Value) -> anyhow::Result<()> {
        let (status, answer) =
            self.nium(Method::POST, &format!("/__sim/customers/{id}/transition"), Some(decision)).await?;
        ensure!(status < 300, "the pretend Nium refused the transition: {status} {answer}");
        Ok(())
    }

    /// What the pretend Nium has seen and sent about one customer.
    pub(super) async fn journal(&self, id: &str) -> anyhow::Result<Vec<Value>> {
        let (_, journal) = self.nium(Method::GET, "/__sim/journal", None).await?;
        let entries = journal.as_array().context("the journal is a list")?;
        Ok(entries.iter().filter(|entry| text(entry, "/customerHashId") == Some(id)).cloned().collect())
    }

    /// Waits until `is_it` finds what it looks for in the journal of one customer.
    pub(super) async fn journal_shows(
        &self,
        id: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(entry) = self.journal(id).await?.into_iter().find(&is_it) {
                return Ok(entry);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("the pretend Nium did not see it within {PATIENCE:?}")
    }

    /// Waits until the case of a customer is in `state`.
    pub(super) async fn state(&self, id: &str, state: &str) -> anyhow::Result<Value> {
        let begun = Instant::now();
        let mut last = Value::Null;
        while begun.elapsed() < PATIENCE {
            let (status, customer) = self.api(Method::GET, &format!("/v1/customers/{id}"), None).await?;
            if status == 200 && text(&customer, "/state") == Some(state) {
                return Ok(customer);
            }
            last = customer;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("the customer did not become {state} within {PATIENCE:?}; last: {last}")
    }

    /// Waits until the mailbox holds a message to this address.
    pub(super) async fn mailed(&self, to: &str) -> anyhow::Result<Value> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let (_, mails) = self.nium(Method::GET, "/__sim/mail.json", None).await?;
            let mails = mails.pointer("/items").and_then(Value::as_array).into_iter().flatten();
            if let Some(mail) = mails.rev().find(|mail| text(mail, "/to") == Some(to)) {
                return Ok(mail.clone());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("no message to {to} came within {PATIENCE:?}")
    }

    async fn wait_for(&self, url: &str) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            match self.client.get(url).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(_) | Err(_) if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(answer) => anyhow::bail!("it answers {}", answer.status()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The last lines of the service's log, for when the story went wrong.
    pub(super) fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("service.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The children are killed by their handles; what they wrote was made up and goes with them.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A text inside a JSON value, by its pointer.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

async fn serve_sink(sink: &Sink) -> anyhow::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = sink.router();
    #[expect(
        clippy::disallowed_methods,
        reason = "the sink lives as long as the demo; nothing is lost with it"
    )]
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// Ports that the system does not give to outgoing connections by itself: while the service is down, nobody else may
/// take its place.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Three ports that were free a moment ago. They are held together, so that they differ.
fn free_ports() -> anyhow::Result<[SocketAddr; 4]> {
    let begin = PORTS.start + u16::try_from(std::process::id() % u32::from(PORTS.end - PORTS.start))?;
    let held: Vec<TcpListener> = (begin..PORTS.end)
        .chain(PORTS.start..begin)
        .filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        .take(4)
        .collect();
    let addresses = held.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
    addresses.try_into().map_err(|_| anyhow::anyhow!("there are no four free ports on 127.0.0.1"))
}

fn log_file(folder: &Path, name: &str) -> anyhow::Result<Stdio> {
    Ok(File::options().create(true).append(true).open(folder.join(name))?.into())
}

fn random(bytes: usize) -> anyhow::Result<String> {
    let mut random = vec![0_u8; bytes];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    Ok(STANDARD.encode(random))
}
