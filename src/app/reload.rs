//! A new configuration for a service that runs. Two phases: everything that would change is made ready and checked, and
//! only if all of it can be used is any of it exchanged. What cannot be exchanged is named, and waits for a restart.
//!
//! Whatever is under way finishes with what it began with: each request, call and message holds what it was given.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use arc_swap::{ArcSwap, ArcSwapOption};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, Problems, Setting};
use crate::http::access::{self, Access, SharedAccess};
use crate::http::api::auth::{Bootstrap, token_hash};
use crate::http::console::{self, SharedSettings};
use crate::http::knock::LastKnock;
use crate::http::serve::{self, Certificates, Known};
use crate::metrics::ReloadMetrics;
use crate::nium::{ApiKey, Nium};
use crate::worker::mail::{self, MailServer, Mailer};
use crate::worker::notify::{self, Notifier, SigningSecret};
use crate::worker::smtp;

/// How often the files of certificates are looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(10);

/// What a reload can come to.
const OUTCOMES: [&str; 4] = ["applied", "unchanged", "restart_needed", "refused"];

/// What new certificates can come to.
const CERTIFICATE_OUTCOMES: [&str; 2] = ["applied", "refused"];

/// Addresses of this machine: what comes from them comes through something of ours.
pub(super) const THIS_MACHINE: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
];

/// What the listeners read at every request and a reload exchanges.
pub(super) struct Shared {
    pub(super) access: SharedAccess,
    pub(super) known: Known,
    pub(super) bootstrap: Bootstrap,
    pub(super) settings: SharedSettings,
    pub(super) undeclared_proxy: Arc<AtomicBool>,
    pub(super) last_knock: Arc<LastKnock>,
}

impl Shared {
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let undeclared_proxy = Arc::default();
        Ok(Self {
            access: Arc::new(ArcSwap::from_pointee(access(config, &undeclared_proxy)?)),
            known: Arc::new(ArcSwap::from_pointee(known(config))),
            bootstrap: Arc::new(ArcSwapOption::from_pointee(bootstrap(config))),
            settings: Arc::new(ArcSwap::from_pointee(settings(config))),
            undeclared_proxy,
            last_knock: Arc::default(),
        })
    }
}

fn bootstrap(config: &Config) -> Option<[u8; 32]> {
    config.admin.bootstrap_token.as_ref().map(|token| token_hash(token.expose()))
}

/// Nium itself, our own proxies and this machine stand for many. A list that lets everybody in makes nobody known.
fn known(config: &Config) -> Vec<IpNet> {
    let callback = &config.callback;
    let listed = callback.trusted_proxies.iter().chain(&callback.allow_from);
    THIS_MACHINE.iter().chain(listed.filter(|range| range.prefix_len() > 0)).copied().collect()
}

fn settings(config: &Config) -> Vec<console::Setting> {
    let shown = |setting: &Setting| console::Setting {
        key: setting.key,
        value: setting.value.clone(),
        place: setting.place.clone(),
    };
    config.settings.iter().map(shown).collect()
}

fn access(config: &Config, undeclared_proxy: &Arc<AtomicBool>) -> anyhow::Result<Access> {
    let rules = &config.callback;
    let static_header = match &rules.static_header {
        Some(header) => {
            let values = header.values.clone();
            Some((header.name.parse().context("callback.static_header_name")?, values))
        }
        None => None,
    };
    let hmac = match &rules.hmac {
        Some(hmac) => {
            let secrets = hmac.secrets.clone();
            Some((hmac.header.parse().context("callback.hmac_header")?, secrets))
        }
        None => None,
    };
    Ok(Access::new(access::Options {
        secret_path: rules.secret_path.clone(),
        allow_from: rules.allow_from.clone(),
        trusted_proxies: rules.trusted_proxies.clone(),
        static_header,
        hmac,
        undeclared_proxy: Arc::clone(undeclared_proxy),
    }))
}

/// What an endpoint's events are signed with.
pub(super) fn signing_secrets(endpoint: &config::Endpoint) -> anyhow::Result<Vec<SigningSecret>> {
    let secrets = endpoint.webhook.secrets.iter().map(|secret| notify::secret_bytes(secret.expose()));
    let secrets = secrets.collect::<Result<_, _>>();
    secrets.with_context(|| format!("the secrets of the endpoint {}", endpoint.name))
}

/// The mail server and the look of messages; `None` where no customer is written to.
pub(super) fn mail_options(config: &Config) -> Option<mail::Options> {
    let (email, page_url) = (config.notify.email.as_ref()?, config.public.url.as_ref()?);
    Some(mail::Options {
        host: email.host.clone(),
        port: email.port,
        security: match email.security {
            config::SmtpSecurity::Tls => smtp::Security::Tls,
            config::SmtpSecurity::StartTls => smtp::Security::StartTls,
            config::SmtpSecurity::Plain => smtp::Security::Plain,
        },
        credentials: email
            .credentials
            .as_ref()
            .map(|(user, password)| (user.clone(), password.expose().to_owned().into())),
        authority: email.authority.clone(),
        from: email.from.clone(),
        limit: email.timeout,
        page_url: page_url.clone(),
        name: config.page.name.clone(),
        colour: config.page.colour,
        contact: config.page.contact.clone(),
        language: config.page.language,
    })
}

/// The certificates of listeners that have one, by the listener's name.
pub(super) fn certificates(listeners: &[serve::Options]) -> Vec<(&'static str, Certificates)> {
    let named = |options: &serve::Options| options.tls.clone().map(|tls| (options.name, tls));
    listeners.iter().filter_map(named).collect()
}

/// What a [`Reloader`] is made of.
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) shared: Shared,
    pub(super) nium: Arc<Nium>,
    pub(super) endpoints: Arc<[Notifier]>,
    pub(super) mailer: Option<Arc<Mailer>>,
    pub(super) certificates: Vec<(&'static str, Certificates)>,
    pub(super) metrics: ReloadMetrics,
}

/// Takes new configurations and new certificates while the service runs.
pub struct Reloader {
    /// The configuration that runs; one reload at a time.
    running: Mutex<Config>,
    shared: Shared,
    nium: Arc<Nium>,
    endpoints: Arc<[Notifier]>,
    mailer: Option<Arc<Mailer>>,
    certificates: Vec<(&'static str, Certificates)>,
    metrics: ReloadMetrics,
}

/// Everything that is exchanged, made ready.
struct Ready {
    access: Access,
    api_key: ApiKey,
    secrets: Vec<(String, Vec<SigningSecret>)>,
    server: Option<MailServer>,
}

impl Reloader {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { config, shared, nium, endpoints, mailer, certificates, metrics } = parts;
        for outcome in OUTCOMES {
            let _at_zero = metrics.reloads(outcome);
        }
        for (listener, outcome) in
            ["public", "admin"].into_iter().flat_map(|one| CERTIFICATE_OUTCOMES.map(|outcome| (one, outcome)))
        {
            let _at_zero = metrics.certificates(listener, outcome);
        }
        metrics.runs(&config.fingerprint());
        Self { running: Mutex::new(config), shared, nium, endpoints, mailer, certificates, metrics }
    }

    /// Takes what was read, or nothing of it, and says so in the log. Gives the outcome, as the metric has it.
    pub async fn reload(&self, loaded: Result<Config, Problems>) -> &'static str {
        self.refresh_certificates().await;
        let outcome = match loaded {
            Ok(loaded) => self.take(loaded).await,
            Err(problems) => {
                for problem in &problems.0 {
                    tracing::error!("{problem}");
                }
                tracing::error!(
                    problems = problems.0.len(),
                    "the configuration was not taken; what ran before goes on"
                );
                "refused"
            }
        };
        self.metrics.reloads(outcome).inc();
        outcome
    }

    async fn take(&self, loaded: Config) -> &'static str {
        let mut running = self.running.lock().await;
        let changed = changed_keys(&running.settings, &loaded.settings);
        let (now, later): (Vec<_>, Vec<_>) =
            changed.iter().copied().partition(|key| takes_effect(key, &running, &loaded));
        let next = joined(&running, loaded, &now);
        let ready = match self.prepare(&next) {
            Ok(ready) => ready,
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "the configuration was not taken; what ran before goes on");
                return "refused";
            }
        };
        self.exchange(ready, &next);
        let fingerprint = next.fingerprint();
        self.metrics.runs(&fingerprint);
        self.metrics.restart_needed.set(i64::try_from(later.len()).unwrap_or(i64::MAX));
        *running = next;
        let (in_effect, after_a_restart) = (now.join(", "), later.join(", "));
        if later.is_empty() {
            tracing::info!(fingerprint, in_effect, "the configuration was read again");
        } else {
            tracing::warn!(
                fingerprint,
                in_effect,
                after_a_restart,
                "the configuration was read again; some of it takes effect at the next start only"
            );
        }
        match (now.is_empty(), later.is_empty()) {
            (_, false) => "restart_needed",
            (false, true) => "applied",
            (true, true) => "unchanged",
        }
    }

    /// The first phase: nothing is exchanged yet.
    fn prepare(&self, next: &Config) -> anyhow::Result<Ready> {
        let secrets = next.notify.all().into_iter().map(|endpoint| {
            let secrets = signing_secrets(&endpoint)?;
            anyhow::Ok((endpoint.name, secrets))
        });
        let options = mail_options(next).filter(|_| self.mailer.is_some());
        Ok(Ready {
            access: access(next, &self.shared.undeclared_proxy)?,
            api_key: ApiKey::new(next.nium.api_key.expose())?,
            secrets: secrets.collect::<Result<_, _>>()?,
            server: options.map(|options| MailServer::new(&options)).transpose().context("notify.email")?,
        })
    }

    /// The second phase: nothing in it can fail.
    fn exchange(&self, ready: Ready, next: &Config) {
        let Ready { access, api_key, secrets, server } = ready;
        self.shared.access.store(Arc::new(access));
        self.shared.known.store(Arc::new(known(next)));
        self.shared.bootstrap.store(bootstrap(next).map(Arc::new));
        self.shared.settings.store(Arc::new(settings(next)));
        self.nium.renew_key(&api_key);
        for (name, secrets) in secrets {
            if let Some(endpoint) = self.endpoints.iter().find(|endpoint| endpoint.name() == name) {
                endpoint.renew_secrets(secrets);
            }
        }
        if let (Some(mailer), Some(server)) = (&self.mailer, server) {
            mailer.renew(server);
        }
    }

    /// Looks at the files of certificates until the soft stop.
    pub(super) async fn watch_certificates(&self, soft: CancellationToken) {
        loop {
            tokio::select! {
                () = soft.cancelled() => return,
                () = tokio::time::sleep(CERTIFICATES_EVERY) => {}
            }
            self.refresh_certificates().await;
        }
    }

    async fn refresh_certificates(&self) {
        for (listener, certificates) in &self.certificates {
            match certificates.refresh().await {
                Ok(false) => {}
                Ok(true) => {
                    self.metrics.certificates(listener, "applied").inc();
                    tracing::info!(listener, "new connections use the new certificate");
                }
                Err(error) => {
                    self.metrics.certificates(listener, "refused").inc();
                    tracing::error!(listener, %error, "the new certificate was not taken; the one before stays in use");
                }
            }
        }
    }
}

/// Keys whose values differ.
fn changed_keys(before: &[Setting], after: &[Setting]) -> Vec<&'static str> {
    before.iter().zip(after).filter(|(one, other)| one.mark != other.mark).map(|(one, _)| one.key).collect()
}

/// Whether a change of this key can be taken while the service runs.
fn takes_effect(key: &str, running: &Config, loaded: &Config) -> bool {
    match key {
        "nium.api_key" | "admin.bootstrap_token" => true,
        "notify.webhook.secrets" | "notify.endpoints" => same_endpoints(running, loaded),
        "notify.email.smtp_url" | "notify.email.ca_file" => {
            running.notify.email.is_some() && loaded.notify.email.is_some()
        }
        // Who may knock is taken as a whole or not at all: a part of it beside a part of the old may let everybody in, or nobody.
        key => key.starts_with("callback.") && same_door(running, loaded),
    }
}

/// Whether the way to the callback address is the same: whether it has a segment of its own, which decides about routes, and who
/// says for whom a request comes, which is for the next start.
fn same_door(running: &Config, loaded: &Config) -> bool {
    running.callback.secret_path.is_some() == loaded.callback.secret_path.is_some()
        && running.public.listen == loaded.public.listen
        && running.public.proxy_protocol_from == loaded.public.proxy_protocol_from
}

/// Whether all that differs between the endpoints is what they sign with.
fn same_endpoints(running: &Config, loaded: &Config) -> bool {
    let without_secrets = |config: &Config| -> Vec<String> {
        let shown = |endpoint: config::Endpoint| {
            let config::Webhook { url, allow_private, timeout, secrets: _ } = endpoint.webhook;
            format!("{:?}", (endpoint.name, endpoint.events, url, allow_private, timeout))
        };
        config.notify.all().into_iter().map(shown).collect()
    };
    without_secrets(running) == without_secrets(loaded)
}

/// What runs, with those keys as they were loaded that can be taken now.
fn joined(running: &Config, loaded: Config, now: &[&'static str]) -> Config {
    let mut next = running.clone();
    if now.iter().any(|key| key.starts_with("callback.")) {
        next.callback = loaded.callback;
    }
    next.nium.api_key = loaded.nium.api_key;
    next.admin.bootstrap_token = loaded.admin.bootstrap_token;
    if now.iter().any(|key| matches!(*key, "notify.webhook.secrets" | "notify.endpoints")) {
        next.notify.webhook = loaded.notify.webhook;
        next.notify.endpoints = loaded.notify.endpoints;
    }
    if let (Some(email), Some(loaded)) = (&mut next.notify.email, loaded.notify.email) {
        let config::Email { host, port, security, credentials, authority, .. } = loaded;
        *email = config::Email { host, port, security, credentials, authority, ..email.clone() };
    }
    for (setting, loaded) in next.settings.iter_mut().zip(loaded.settings) {
        if now.contains(&setting.key) {
            *setting = loaded;
        }
    }
    next
}
