//! The configuration, through its public face: what is written, in a file or in the environment, and what is meant.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reinstate::cli::check_config;
use reinstate::config::{
    Config, DEFAULT_FILE, LogFormat, Problems, Region, RuleClass, SecondPerson, Sources, StoreUrl,
    UnknownRemark, keys,
};

mod dangers;
mod endpoints;
mod every_key;
mod remarks;

/// Keys that hold lists of tables.
const TABLES: [&str; 2] = ["flow.rules", "notify.endpoints"];

/// A synthetic master key: the bytes 0 to 31.
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The settings that have no default, and the region.
const REQUIRED: [(&str, &str); 4] = [
    ("REINSTATE__NIUM__CLIENT_HASH_ID", "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01"),
    ("REINSTATE__NIUM__API_KEY", "synthetic-api-key"),
    ("REINSTATE__NIUM__REGION", "SG"),
    ("REINSTATE__PRIVACY__MASTER_KEYS", "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
];

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Only the required settings and `more`, all from the environment.
fn with(more: &[(&str, &str)]) -> Sources {
    Sources { file: None, env: env(&[REQUIRED.as_slice(), more].concat()) }
}

fn load(more: &[(&str, &str)]) -> Config {
    Config::load(&with(more)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(more: &[(&str, &str)]) -> String {
    Config::load(&with(more)).map(|_| ()).unwrap_err().to_string()
}

/// A folder with files in it, and the required settings in the environment beside a configuration file in the folder.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn load(&self, toml: &str, more: &[(&str, &str)]) -> Result<Config, Problems> {
        let file = Some(self.file("reinstate.toml", toml));
        Config::load(&Sources { file, ..with(more) })
    }

    fn refused(&self, toml: &str) -> String {
        let told = self.load(toml, &[]).map(|_| ()).unwrap_err().to_string();
        told.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_embedded_file_means_the_documented_defaults() {
    let config = load(&[]);
    let (public, admin, nium) = (&config.public, &config.admin, &config.nium);
    assert_eq!(public.listen.to_string(), "0.0.0.0:8080");
    assert!(public.url.is_none() && public.tls.is_none());
    let waits = [public.drain, public.header_timeout, public.handshake_timeout, public.body_timeout];
    assert_eq!(waits.map(|wait| wait.as_millis()), [5_000, 5_000, 5_000, 10_000]);
    assert_eq!(
        (admin.listen.to_string().as_str(), admin.url.as_str()),
        ("127.0.0.1:9090", "http://127.0.0.1:9090")
    );
    assert!(admin.bootstrap_token.is_none());
    assert!(matches!(&config.store.url, StoreUrl::Sqlite(file) if file.as_os_str() == "data/reinstate.db"));
    assert_eq!((nium.base_url.as_str(), nium.client_name.as_str()), ("https://gateway.nium.com", ""));
    assert_eq!((nium.requests_per_second.to_string().as_str(), nium.burst, nium.concurrency), ("5", 10, 2));
    let waits = [nium.connect_timeout, nium.timeout, nium.settle];
    assert_eq!(waits.map(|wait| wait.as_millis()), [5_000, 30_000, 5_000]);
    let callback = &config.callback;
    assert!(callback.secret_path.is_none() && callback.static_header.is_none() && callback.hmac.is_none());
    assert!(callback.allow_from.is_empty() && callback.trusted_proxies.is_empty());
    assert_eq!((config.flow.max_submissions, config.flow.correction_days), (3, 14));
    assert_eq!(config.flow.unknown_remark, UnknownRemark::Offer);
    assert!(config.notify.webhook.is_none());
    assert_eq!((config.telemetry.log.as_str(), config.telemetry.format), ("info", LogFormat::Text));
}

#[test]
fn the_embedded_file_names_every_key_once_and_no_other() {
    let mut section = String::new();
    let mut named = Vec::new();
    for line in DEFAULT_FILE.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some(header) = line.strip_prefix("[[").or_else(|| line.strip_prefix('[')) {
            section = header.trim_end_matches(']').to_owned();
        } else if let Some((name, _)) = line.split_once(" = ") {
            let is_name =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            named.extend(
                Some(format!("{section}.{name}")).filter(|_| is_name && !TABLES.contains(&section.as_str())),
            );
        }
    }
    named.retain(|name| !name.starts_with('.'));
    let known: Vec<&str> = keys().filter(|key| !TABLES.contains(key)).collect();
    assert_eq!(named, known, "in the same order, too");
    assert!(DEFAULT_FILE.contains("[[flow.rules]]"));
}

#[test]
fn a_later_layer_replaces_a_value_whole() {
    let folder = Folder::new();
    let toml = "[nium]\nburst = 20\nconcurrency = 3\n[callback]\nallow_from = [\"10.0.0.1\", \"10.0.0.2\"]";
    let config = folder
        .load(
            toml,
            &[
                ("REINSTATE__NIUM__BURST", " 30 "),
                ("REINSTATE__CALLBACK__ALLOW_FROM", "10.0.0.3, 10.1.0.0/16,"),
            ],
        )
        .unwrap();
    assert_eq!((config.nium.burst, config.nium.concurrency), (30, 3));
    let ranges: Vec<String> = config.callback.allow_from.iter().map(ToString::to_string).collect();
    assert_eq!(ranges, ["10.0.0.3/32", "10.1.0.0/16"]);
}

#[test]
fn only_lists_are_split_on_commas() {
    let config = load(&[("REINSTATE__TELEMETRY__LOG", "info,reinstate=debug")]);
    assert_eq!(config.telemetry.log, "info,reinstate=debug");
}

#[test]
fn variables_of_others_are_left_alone() {
    load(&[("REINSTATE_PORT", "tcp://10.0.0.1:8080"), ("REINSTATE_SERVICE_HOST", "10.0.0.1"), ("PATH", "")]);
}

#[test]
fn what_is_missing_is_told_with_the_way_to_set_it() {
    let told = Config::load(&Sources::default()).map(|_| ()).unwrap_err().to_string();
    let expected = [
        "nium.client_hash_id: is required and has no default; write client_hash_id = \"1b2f7c1e-…\" under [nium], or \
         set REINSTATE__NIUM__CLIENT_HASH_ID; Nium gives it to you with the API key, as clientHashId",
        "nium.api_key: is required and has no default; write api_key = \"…\" under [nium], or set \
         REINSTATE__NIUM__API_KEY (or REINSTATE__NIUM__API_KEY_FILE, the name of a file that holds it); Nium gives it \
         to you; it belongs into a secret store",
        "privacy.master_keys: is required and has no default; write master_keys = [\"k1:…\"] under [privacy], or set \
         REINSTATE__PRIVACY__MASTER_KEYS (or REINSTATE__PRIVACY__MASTER_KEYS_FILE, the name of a file that holds it); \
         an entry is an id, a colon and a key made with: openssl rand -base64 32",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_secret_may_be_in_a_file_whose_last_line_end_does_not_count() {
    let folder = Folder::new();
    let api_key = folder.file("api-key", "key-from-a-file\n");
    let keys = folder.file("keys", &format!("k2:{MASTER_KEY}\n\nk1:{MASTER_KEY}\r\n"));
    let toml = format!("[privacy]\nmaster_keys_file = \"{}\"", text(&keys));
    let mut sources = Sources { file: Some(folder.file("r.toml", &toml)), ..with(&[]) };
    sources.env.remove("REINSTATE__PRIVACY__MASTER_KEYS");
    sources.env.remove("REINSTATE__NIUM__API_KEY");
    sources.env.insert("REINSTATE__NIUM__API_KEY_FILE".to_owned(), text(&api_key).to_owned());
    let config = Config::load(&sources).unwrap();
    assert!(config.nium.api_key.matches("key-from-a-file"));
    let ids: Vec<&str> = config.privacy.master_keys.iter().map(|key| key.id.as_str()).collect();
    assert_eq!(ids, ["k2", "k1"]);
}

#[test]
fn a_secret_file_of_a_lower_layer_need_not_be_there() {
    let toml = "[nium]\napi_key_file = \"/nowhere/api-key\"";
    let config = Folder::new().load(toml, &[]).unwrap();
    assert!(config.nium.api_key.matches("synthetic-api-key"));
}

#[test]
fn trouble_with_a_secret_file_is_told() {
    let folder = Folder::new();
    folder.file("empty", "\n");
    folder.file("large", &"x".repeat(64 * 1024 + 1));
    let path = |name: &str| text(&folder.0.path().join(name)).to_owned();
    let toml = format!(
        "[admin]\nbootstrap_token_file = \"{}\"\n[callback]\nsecret_path_file = 7\n[callback.x]\n[notify.webhook]\n\
         secrets_file = \"{}\"\nsecrets = [\"\"]\n",
        path("empty"),
        path("large"),
    );
    let told = folder.refused(&toml);
    for expected in [
        "callback.secret_path_file (reinstate.toml line 4): must be the name of a file, not a whole number",
        "callback.x (reinstate.toml line 5): is not a key; config/reinstate.toml lists every key",
        "notify.webhook.secrets: is set twice, as a value and as a file (reinstate.toml line 7 and reinstate.toml line \
         8); keep one of the two",
        "admin.bootstrap_token (reinstate.toml line 2): the file empty is empty",
    ] {
        assert!(told.lines().any(|line| line == expected), "{expected}\n\n{told}");
    }
    let large = [
        ("REINSTATE__ADMIN__BOOTSTRAP_TOKEN_FILE", path("large")),
        ("REINSTATE__CALLBACK__SECRET_PATH_FILE", path("gone")),
    ];
    let told = refused(&large.each_ref().map(|(name, path)| (*name, path.as_str())));
    assert!(
        told.contains("cannot be read: it is larger than 64 KiB") && told.contains("No such file"),
        "{told}"
    );
}

#[test]
fn unknown_names_are_refused_with_a_guess() {
    let told = refused(&[
        ("REINSTATE__NIUM__REGOIN", "SG"),
        ("REINSTATE__NIUM_REGION", "SG"),
        ("REINSTATE__NIUN", "SG"),
        ("REINSTATE__nium__burst", "1"),
    ]);
    let expected = "REINSTATE__NIUM_REGION: is not a variable of ours; did you mean REINSTATE__NIUM__REGION?\n\
        REINSTATE__NIUM__REGOIN: is not a variable of ours; did you mean REINSTATE__NIUM__REGION?\n\
        REINSTATE__NIUN: is not a variable of ours; config/reinstate.toml lists every key\n\
        REINSTATE__nium__burst: is not a variable of ours; did you mean REINSTATE__NIUM__BURST?";
    assert_eq!(told, expected);
    let toml =
        "public = 7\n[server]\ndrain_seconds = 3\n[nium]\nregoin = \"SG\"\n\"a\\nb\" = 1\n[flow.rules]\n";
    let expected = "public (reinstate.toml line 1): is a section, not a value\n\
        server (reinstate.toml line 2): is not a key; config/reinstate.toml lists every key\n\
        nium.regoin (reinstate.toml line 5): is not a key; did you mean nium.region?\n\
        nium.a\\nb (reinstate.toml line 6): is not a key; config/reinstate.toml lists every key\n\
        flow.rules (reinstate.toml line 7): must be a list, not a table";
    assert_eq!(Folder::new().refused(toml), expected);
}

#[test]
fn a_broken_file_is_told_without_its_text_and_without_calling_anything_missing() {
    let folder = Folder::new();
    let toml = "[nium]\napi_key = \"very-secret\nburst = = 3\n[admin\n";
    let sources =
        Sources { file: Some(folder.file("r.toml", toml)), env: env(&[("REINSTATE__NIUM__BURST", "x")]) };
    let told = Config::load(&sources).map(|_| ()).unwrap_err().to_string();
    assert!(told.contains("(line 2): is not TOML") && told.contains("(line 3): is not TOML"), "{told}");
    assert!(told.contains("nium.burst (REINSTATE__NIUM__BURST): must be a whole number"), "{told}");
    assert!(!told.contains("very-secret") && !told.contains("is required"), "{told}");
    let sources = Sources { file: Some(folder.0.path().join("gone.toml")), ..Sources::default() };
    let told = Config::load(&sources).map(|_| ()).unwrap_err().to_string();
    assert!(told.contains("gone.toml: cannot be read: No such file") && !told.contains('\n'), "{told}");
}

#[test]
fn a_file_that_is_something_else_is_not_swallowed() {
    let folder = Folder::new();
    let file = folder.file("r.toml", &"#".repeat(1024 * 1024 + 1));
    let told =
        Config::load(&Sources { file: Some(file.clone()), ..with(&[]) }).map(|_| ()).unwrap_err().to_string();
    assert!(told.contains("larger than 1024 KiB"), "{told}");
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    let told = Config::load(&Sources { file: Some(file), ..with(&[]) }).map(|_| ()).unwrap_err().to_string();
    assert!(told.contains("it is not UTF-8"), "{told}");
}

#[test]
fn certificate_and_key_come_together_and_can_be_read() {
    let folder = Folder::new();
    let (cert, key) = (folder.file("tls.crt", "cert"), folder.file("tls.key", "key"));
    let cert = ("REINSTATE__PUBLIC__TLS_CERT", text(&cert));
    let config = load(&[cert, ("REINSTATE__PUBLIC__TLS_KEY", text(&key))]);
    assert_eq!(config.public.tls.unwrap().key, key);
    assert_eq!(refused(&[cert]), "public.tls_key: is missing: public.tls_cert needs its key");
    let told = refused(&[("REINSTATE__PUBLIC__TLS_CERT", "/nowhere"), ("REINSTATE__PUBLIC__TLS_KEY", "/")]);
    assert_eq!(told.lines().count(), 2, "{told}");
}

#[test]
fn a_command_that_opens_the_store_needs_no_credentials_but_no_mistakes_either() {
    let store = Sources { file: None, env: env(&[("REINSTATE__STORE__URL", "sqlite:/tmp/r.db")]) };
    let config = Config::load_for_store(&store).unwrap();
    assert!(matches!(&config.store.url, StoreUrl::Sqlite(file) if file.as_os_str() == "/tmp/r.db"));
    assert_eq!(config.telemetry.log, "info");
    let mut broken = store;
    broken.env.insert("REINSTATE__NIUM__REGION".to_owned(), "sg".to_owned());
    let told = Config::load_for_store(&broken).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        told,
        "nium.region (REINSTATE__NIUM__REGION): must be one of SG, EU, AU, HK, UK, US, CA, not \"sg\""
    );
}

#[test]
fn secrets_are_never_printed() {
    let folder = Folder::new();
    let secrets = [
        ("REINSTATE__NIUM__API_KEY", "hide-me-1"),
        ("REINSTATE__ADMIN__BOOTSTRAP_TOKEN", "hide-me-2-hide-me-2"),
        ("REINSTATE__CALLBACK__SECRET_PATH", "hide-me-3"),
        ("REINSTATE__CALLBACK__STATIC_HEADER_VALUES", "hide-me-4"),
    ];
    let shown = ("REINSTATE__CALLBACK__STATIC_HEADER_NAME", "x-key");
    let good = [secrets.as_slice(), &[shown]].concat();
    let (sources, config) = (with(&good), folder.load("", &good).unwrap());
    let printed = format!("{sources:?} {config:?} {:?} {}", config.warnings(), config.fingerprint());
    assert!(!printed.contains("hide-me") && !printed.contains("AAECAw"), "{printed}");
    let bad = secrets.map(|(name, value)| (name, format!("{value}\u{7f}")));
    let told = refused(&bad.each_ref().map(|(name, value)| (*name, value.as_str())));
    assert!(told.lines().count() >= 4 && !told.contains("hide-me"), "{told}");
}

#[test]
fn the_fingerprint_follows_what_is_meant_and_not_the_secrets() {
    let print = |more: &[(&str, &str)]| load(more).fingerprint();
    assert_eq!(print(&[]), print(&[("REINSTATE__NIUM__BURST", "10")]), "the default, written out");
    assert_eq!(print(&[]), print(&[("REINSTATE__NIUM__API_KEY", "another-key")]));
    assert_ne!(print(&[]), print(&[("REINSTATE__NIUM__BURST", "11")]));
    assert_eq!(print(&[]).len(), 16);
}

#[test]
fn warnings_are_only_for_what_is_certain() {
    let first_words = |more: &[(&str, &str)]| -> Vec<String> {
        let warnings = load(more).warnings();
        warnings.iter().map(|text| text.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect()
    };
    assert_eq!(first_words(&[]), ["anybody who finds", "the app backend", "the public listener"]);
    let quiet = [
        ("REINSTATE__CALLBACK__SECRET_PATH", "s3cret-path"),
        ("REINSTATE__PUBLIC__LISTEN", "127.0.0.1:8080"),
        ("REINSTATE__NOTIFY__WEBHOOK__URL", "https://app.example.test/hooks"),
        ("REINSTATE__NOTIFY__WEBHOOK__SECRETS", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"),
    ];
    assert!(first_words(&quiet).is_empty());
    let proxied =
        [("REINSTATE__CALLBACK__TRUSTED_PROXIES", "10.0.0.0/8"), ("REINSTATE__CALLBACK__ALLOW_FROM", "::/0")];
    assert_eq!(first_words(&proxied), ["anybody who finds", "the app backend"]);
    let open = ("REINSTATE__ADMIN__LISTEN", "0.0.0.0:9090");
    let open = [quiet.as_slice(), &[open, ("REINSTATE__ADMIN__EXPOSED", "true")]].concat();
    assert_eq!(first_words(&open), ["the admin listener", "admin.bootstrap_token is not"]);
    let plain = [quiet.as_slice(), &[("REINSTATE__PUBLIC__URL", "http://kyc.example.test")]].concat();
    assert_eq!(first_words(&plain), ["public.url begins with"]);
}

#[test]
fn check_config_says_good_or_everything_that_is_not() {
    let check = |sources: &Sources| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = check_config::run(sources, &mut out, &mut err);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    let (code, out, err) = check(&with(&[]));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.starts_with("configuration is good (fingerprint ") && out.contains("\nwarning: the app backend"),
        "{out}"
    );
    let (code, out, err) = check(&Sources::default());
    assert_eq!((code, out.as_str()), (64, ""));
    assert!(err.starts_with("configuration has 3 problems:\nnium.client_hash_id: "), "{err}");
    assert_eq!(err.lines().count(), 4);
}

proptest::proptest! {
    #[test]
    fn no_file_makes_it_panic(toml in "\\PC{0,200}") {
        let _ = Folder::new().load(&toml, &[]);
    }

    #[test]
    fn no_value_makes_it_panic_and_every_refusal_is_one_line(value in "\\PC{1,40}", number in 0..41_usize) {
        let key = keys().nth(number).unwrap();
        let name = format!("REINSTATE__{}", key.replace('.', "__").to_ascii_uppercase());
        if let Err(problems) = Config::load(&with(&[(&name, &value)])) {
            proptest::prop_assert!(problems.0.iter().all(|problem| !problem.to_string().contains('\n')));
        }
    }
}
