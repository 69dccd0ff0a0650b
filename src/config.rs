//! Raw (as written) -> [`Config`] (as meant), with every problem told at once.
//!
//! A *source* is a place where values are written: the file embedded in the program, the user's file, the environment.
//! A *layer* is what one source says; a later layer replaces a key's value whole. The embedded file is
//! `config/reinstate.toml`: it is the only place where a default is written down, so what a reader sees there is what
//! the program does. A *problem* is something that keeps the service from starting; a *warning* does not.
//!
//! Nothing here reads the process except [`Sources::from_process`], and nothing changes it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use aws_lc_rs::digest;
use zeroize::Zeroize;

mod address;
mod audit;
mod callback;
mod dangers;
mod email;
mod flow;
mod keys;
mod layers;
mod listeners;
mod nium;
mod notify;
mod page;
mod privacy;
mod problem;
mod reader;
mod settings;
mod sign_on;
mod store;
mod sweep;
mod tables;
mod telemetry;

pub use audit::Audit;
pub use callback::{Callback, Hmac, StaticHeader};
pub use email::{Email, SmtpSecurity};
pub use flow::{Flow, Rule, RuleClass, SecondPerson, UnknownRemark};
pub use listeners::{Admin, Public, Tls};
pub use nium::{Nium, Region};
pub use notify::{Endpoint, Notify, Webhook};
pub use page::{Logo, Page};
pub use privacy::{MasterKeyText, Privacy};
pub use problem::{Problem, Problems};
pub use settings::{Mark, Setting};
pub use sign_on::SignOn;
pub use store::{PostgresTls, PostgresUrl, Store, StoreUrl, parse as parse_store_url};
pub use sweep::Sweep;
pub use telemetry::{LogFormat, Telemetry};

use reader::{Reader, Scope, Told};

/// Every key with its default and one sentence; the first layer.
pub const DEFAULT_FILE: &str = include_str!("../config/reinstate.toml");

/// The file that is read when none is named, if it is there; relative to the working directory.
pub const DEFAULT_PATH: &str = "config/reinstate.toml";

/// Every key, as written in TOML with its section, in the order of the embedded file.
pub fn keys() -> impl Iterator<Item = &'static str> {
    keys::KEYS.iter().map(|key| key.path)
}

/// Where values are written, besides the embedded file.
#[derive(Clone, Default)]
pub struct Sources {
    /// The user's file; `None` reads none.
    pub file: Option<PathBuf>,
    /// The environment; only names that begin with `REINSTATE__` are looked at.
    pub env: BTreeMap<String, String>,
}

impl Sources {
    /// The sources of this process: `file`, or [`DEFAULT_PATH`] if that is there, and our own variables. A variable
    /// that is not UTF-8 becomes a problem when the sources are loaded.
    #[must_use]
    pub fn from_process(file: Option<PathBuf>) -> Self {
        let usual = || Some(PathBuf::from(DEFAULT_PATH)).filter(|path| path.exists());
        let env = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .filter(|(name, _)| name.starts_with(keys::ENV_PREFIX))
            .collect();
        Self { file: file.or_else(usual), env }
    }
}

impl Sources {
    /// Wipes what the environment said from memory. The process's own copy stays where the system put it.
    pub fn forget(mut self) {
        self.env.values_mut().for_each(Zeroize::zeroize);
    }
}

impl fmt::Debug for Sources {
    /// Names the variables but not their values, since some are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.env.keys().collect();
        f.debug_struct("Sources").field("file", &self.file).field("env", &names).finish()
    }
}

/// Everything the service needs to know, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener that Nium and customers reach.
    pub public: Public,
    /// The listener of officers, operators and the app backend.
    pub admin: Admin,
    /// The database.
    pub store: Store,
    /// Nium, as seen by one client.
    pub nium: Nium,
    /// Who may knock.
    pub callback: Callback,
    /// What to do with rejected customers.
    pub flow: Flow,
    /// Who is told what happened.
    pub notify: Notify,
    /// How the hosted page and e-mails look.
    pub page: Page,
    /// How Nium is asked by ourselves.
    pub sweep: Sweep,
    /// How personal data is kept.
    pub privacy: Privacy,
    /// When the record of who did what is signed.
    pub audit: Audit,
    /// Logs.
    pub telemetry: Telemetry,
    /// Every key as it was written, in the order of the file; nothing secret.
    pub settings: Vec<Setting>,
}

/// What a command needs that opens the store, or asks the running service.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The database.
    pub store: Store,
    /// The listener of the running service.
    pub admin: Admin,
    /// The master keys, for a command that checks what was signed with them; empty if they are not given here.
    pub master_keys: Vec<MasterKeyText>,
    /// Logs.
    pub telemetry: Telemetry,
}

impl Config {
    /// The configuration that `sources` mean, or everything that is wrong with them.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let (sections, problems) = Sections::read(sources, Scope::Service);
        match sections.whole() {
            Ok(config) if problems.0.is_empty() => match dangers::of(&config) {
                found if found.is_empty() => Ok(config),
                found => Err(Problems(found)),
            },
            _ => Err(problems),
        }
    }

    /// The part of it that a command needs which only opens the store. As strict as [`Config::load`] about what is
    /// written, but nothing that the service alone needs has to be there.
    pub fn load_for_store(sources: &Sources) -> Result<StoreConfig, Problems> {
        let (sections, problems) = Sections::read(sources, Scope::Written);
        match sections.for_store() {
            Ok(config) if problems.0.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }

    /// What is allowed but will be regretted: a sentence each, without secrets.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let public_host = self.public.listen.ip();
        let plain_url =
            |text: &String| address::base_url(text).is_ok_and(|url| address::is_plain_abroad(&url));
        let certain = [
            (!self.callback.is_locked(), NOBODY_CHECKED),
            (self.notify.all().is_empty(), NOBODY_TOLD),
            (self.notify.email.is_some() && self.public.url.is_none(), NO_LINKS),
            (self.nium.region.is_none(), NO_REGION),
            (
                self.public.tls.is_none()
                    && !public_host.is_loopback()
                    && self.callback.trusted_proxies.is_empty(),
                PLAIN_PUBLIC,
            ),
            (self.public.url.as_ref().is_some_and(plain_url), PLAIN_LINKS),
            (
                matches!(&self.store.url, StoreUrl::Postgres(address) if address.is_plain_abroad),
                PLAIN_DATABASE,
            ),
            (!self.admin.listen.ip().is_loopback() && self.admin.tls.is_none(), OPEN_ADMIN),
            (!self.admin.listen.ip().is_loopback() && self.admin.bootstrap_token.is_none(), NO_FIRST_TOKEN),
        ];
        certain.iter().filter(|(holds, _)| *holds).map(|(_, text)| (*text).to_owned()).collect()
    }

    /// A short name for this configuration without its secrets, for telling in a log whether two processes run with the
    /// same one. Comparable between processes of one release only.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        // Debug covers every field that will ever be added, and a secret prints as [secret].
        // How and where a key was written is no matter.
        let meant = Self { settings: Vec::new(), ..self.clone() };
        let digest = digest::digest(&digest::SHA256, format!("{meant:?}").as_bytes());
        let start = digest.as_ref().first_chunk().copied().unwrap_or_default();
        format!("{:016x}", u64::from_be_bytes(start))
    }
}

const NOBODY_CHECKED: &str = "anybody who finds the callback address can make the service ask Nium about customers: \
    set callback.secret_path, allow_from, static_header_name or hmac_header";
const NO_REGION: &str =
    "nium.region is not set: what its rules demand of an application is only found out when Nium refuses it";
const NOBODY_TOLD: &str = "the app backend is told nothing: set notify.webhook.url or notify.endpoints, or let it ask GET /v1/events";
const NO_LINKS: &str =
    "no customer is written to: notify.email needs public.url, since its messages link to the hosted page";
const PLAIN_PUBLIC: &str = "the public listener speaks plain http beyond this machine: set public.tls_cert and \
    tls_key, or put a proxy with https in front and name it in callback.trusted_proxies";
const PLAIN_DATABASE: &str = "store.url has sslmode=disable for a database on another machine: whoever is in between reads \
    and writes what they like; write sslmode=verify-full unless that way is trusted";
const PLAIN_LINKS: &str =
    "public.url begins with http://, so correction links travel where others can read them";
const OPEN_ADMIN: &str = "the admin listener can be reached from other machines and speaks plain http: bearer tokens \
    and personal data travel where others can read them unless a proxy with https is in front";
const NO_FIRST_TOKEN: &str = "admin.bootstrap_token is not set, so the admin listener is closed to everybody until \
    `reinstate token create` has made a token";

/// What each section made of its part.
struct Sections {
    public: Result<Public, Told>,
    admin: Result<Admin, Told>,
    store: Result<Store, Told>,
    nium: Result<Nium, Told>,
    callback: Result<Callback, Told>,
    flow: Result<Flow, Told>,
    notify: Result<Notify, Told>,
    page: Result<Page, Told>,
    sweep: Result<Sweep, Told>,
    privacy: Result<Privacy, Told>,
    audit: Result<Audit, Told>,
    telemetry: Result<Telemetry, Told>,
    settings: Vec<Setting>,
}

impl Sections {
    fn read(sources: &Sources, scope: Scope) -> (Self, Problems) {
        let mut problems = Problems::default();
        let layers = layers::collect(sources, &mut problems);
        // What an unreadable file may well hold is not called missing.
        let scope = if layers.is_whole { scope } else { Scope::Written };
        let settings = settings::shown(&layers.values);
        let mut reader = Reader::new(layers.values, scope, problems);
        let (public, admin) = listeners::read(&mut reader);
        let sections = Self {
            public,
            admin,
            store: store::read(&mut reader),
            nium: nium::read(&mut reader),
            callback: callback::read(&mut reader),
            flow: flow::read(&mut reader),
            notify: notify::read(&mut reader),
            page: page::read(&mut reader),
            sweep: sweep::read(&mut reader),
            privacy: privacy::read(&mut reader),
            audit: audit::read(&mut reader),
            telemetry: telemetry::read(&mut reader),
            settings,
        };
        (sections, reader.into_problems())
    }

    fn whole(self) -> Result<Config, Told> {
        Ok(Config {
            public: self.public?,
            admin: self.admin?,
            store: self.store?,
            nium: self.nium?,
            callback: self.callback?,
            flow: self.flow?,
            notify: self.notify?,
            page: self.page?,
            sweep: self.sweep?,
            privacy: self.privacy?,
            audit: self.audit?,
            telemetry: self.telemetry?,
            settings: self.settings,
        })
    }

    fn for_store(self) -> Result<StoreConfig, Told> {
        Ok(StoreConfig {
            store: self.store?,
            admin: self.admin?,
            master_keys: self.privacy.map(|privacy| privacy.master_keys).unwrap_or_default(),
            telemetry: self.telemetry?,
        })
    }
}
