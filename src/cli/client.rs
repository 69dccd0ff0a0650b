//! Asking the running service over its admin API, as any other caller would.
#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a key that is not there")]

use std::io::{IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Method, Url};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::config::{Admin, Config, Sources};
use crate::secret::Secret;

/// Where the token comes from if the configuration has none.
const TOKEN_VARIABLE: &str = "REINSTATE_TOKEN";
/// How long one answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Which service to ask.
#[derive(Args, Debug)]
pub(super) struct Target {
    /// The admin API; default: the address that the configuration gives. The token is read from `REINSTATE_TOKEN`, or
    /// it is the configuration's bootstrap token.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// The admin API of one service.
pub(super) struct Api {
    client: Client,
    base: String,
    token: Secret,
}

impl Api {
    /// The API that `target` means.
    pub(super) fn new(sources: &Sources, target: Target) -> anyhow::Result<Self> {
        let admin = Config::load_for_store(sources)?.admin;
        let (client, beside) = beside(&admin)?;
        let base = target.url.unwrap_or(beside);
        let given = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty()).map(Secret::from);
        let Some(token) = given.or(admin.bootstrap_token) else {
            bail!(
                "there is no token: set {TOKEN_VARIABLE} to one (reinstate token create --role officer --name NAME)"
            );
        };
        let client = client.timeout(LIMIT).build()?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), token })
    }

    /// One request, with its status and JSON.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let mut request =
            self.client.request(method, format!("{}{path}", self.base)).bearer_auth(self.token.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer =
            request.send().await.map_err(reqwest::Error::without_url).with_context(|| {
                format!("{} does not answer; is `reinstate serve` running there?", self.base)
            })?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await.context("the answer is not JSON")?))
    }

    /// A request that must succeed.
    pub(super) async fn want(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let (status, answer) = self.ask(method, path, body).await?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let part = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let errors = answer["errors"].as_array().into_iter().flatten();
        let errors: Vec<String> = errors
            .map(|error| {
                format!(
                    "\n  {}: {}",
                    error["field"].as_str().unwrap_or("?"),
                    error["message"].as_str().unwrap_or("?")
                )
            })
            .collect();
        let effect = answer["effectId"].as_str().map(|effect| format!("\n  effectId: {effect}"));
        let effect = effect.unwrap_or_default();
        bail!("{} {} {}{}{effect}", part("title"), part("detail"), part("hint"), errors.concat());
    }
}

/// A client of the admin listener that runs beside us, and the address it is asked at. With TLS it is called by the name in
/// `admin.url`, and its own certificate is trusted beside the system's authorities.
pub(super) fn beside(admin: &Admin) -> anyhow::Result<(ClientBuilder, String)> {
    let address = reachable(admin.listen);
    let client = Client::builder().no_proxy();
    let Some(tls) = &admin.tls else {
        return Ok((client, format!("http://{address}")));
    };
    let read =
        |file: &Path| std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()));
    let mut client = client.tls_certs_merge(Certificate::from_pem_bundle(&read(&tls.cert)?)?);
    if let Some((certificate, key)) = &admin.command_certificate {
        let both = Zeroizing::new([read(certificate)?, b"\n".to_vec(), read(key)?].concat());
        client = client.identity(Identity::from_pem(&both).context("admin.command_cert and command_key")?);
    }
    let host = Url::parse(&admin.url).ok().and_then(|url| url.domain().map(str::to_owned));
    let Some(host) = host else {
        return Ok((client, format!("https://{address}")));
    };
    Ok((client.resolve(&host, address), format!("https://{host}:{}", address.port())))
}

/// A listener on every address is asked on the local one.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, listen.port())
}

/// What a person is shown of an answer: what Nium or a customer wrote moves no cursor, sets no colour, begins no line of its
/// own and turns no text around.
pub(super) fn for_people(answer: &Value) -> Value {
    match answer {
        Value::String(text) => {
            Value::String(text.chars().map(|c| if is_hostile(c) { '\u{FFFD}' } else { c }).collect())
        }
        Value::Array(items) => items.iter().map(for_people).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), for_people(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => answer.clone(),
    }
}

/// Control characters, and those that change the direction of what follows.
fn is_hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Asks on the terminal; without one nobody agrees.
pub(super) fn agreed(what: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        eprintln!("{what}; say --yes to go ahead");
        return false;
    }
    eprint!("{what}. Go ahead? [y/N] ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).is_ok() && line.trim().eq_ignore_ascii_case("y")
}
