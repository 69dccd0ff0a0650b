//! Every key there is, what it may hold, and how it is spelt in the environment.

/// What a key may hold, and so how its text is split and whether it may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One value.
    One,
    /// A list; commas separate its entries in the environment.
    List,
    /// One value that must not be shown; may come from a file.
    Secret,
    /// A list of such values; lines separate its entries in a file.
    SecretList,
    /// A list of tables; TOML also in the environment.
    Tables,
}

impl Kind {
    /// Whether the value must not be shown, and may come from a file.
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::SecretList)
    }
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// As written in TOML with its section, such as `nium.api_key`.
    pub(super) path: &'static str,
    /// What it may hold.
    pub(super) kind: Kind,
}

const fn key(path: &'static str, kind: Kind) -> Key {
    Key { path, kind }
}

/// Every key, in the order of the file.
pub(super) const KEYS: &[Key] = &[
    key("public.listen", Kind::One),
    key("public.url", Kind::One),
    key("public.tls_cert", Kind::One),
    key("public.tls_key", Kind::One),
    key("public.client_ca", Kind::One),
    key("public.proxy_protocol_from", Kind::List),
    key("public.connections_max", Kind::One),
    key("public.peer_connections_max", Kind::One),
    key("public.peer_requests_per_second", Kind::One),
    key("public.drain_seconds", Kind::One),
    key("public.header_timeout_ms", Kind::One),
    key("public.handshake_timeout_ms", Kind::One),
    key("public.body_timeout_ms", Kind::One),
    key("admin.listen", Kind::One),
    key("admin.url", Kind::One),
    key("admin.tls_cert", Kind::One),
    key("admin.tls_key", Kind::One),
    key("admin.client_ca", Kind::One),
    key("admin.command_cert", Kind::One),
    key("admin.command_key", Kind::One),
    key("admin.proxy_protocol_from", Kind::List),
    key("admin.exposed", Kind::One),
    key("admin.bootstrap_token", Kind::Secret),
    key("admin.sign_on_header", Kind::One),
    key("admin.sign_on_groups_header", Kind::One),
    key("admin.sign_on_from", Kind::List),
    key("admin.sign_on_admins", Kind::List),
    key("admin.sign_on_officers", Kind::List),
    key("admin.sign_on_viewers", Kind::List),
    key("store.url", Kind::Secret),
    key("store.listen_url", Kind::Secret),
    key("store.connections", Kind::One),
    key("store.wake_ups", Kind::One),
    key("store.spool_dir", Kind::One),
    key("store.spool_mib", Kind::One),
    key("nium.base_url", Kind::One),
    key("nium.client_hash_id", Kind::One),
    key("nium.api_key", Kind::Secret),
    key("nium.client_name", Kind::One),
    key("nium.region", Kind::One),
    key("nium.requests_per_second", Kind::One),
    key("nium.burst", Kind::One),
    key("nium.concurrency", Kind::One),
    key("nium.connect_timeout_ms", Kind::One),
    key("nium.timeout_ms", Kind::One),
    key("nium.settle_ms", Kind::One),
    key("nium.addresses_when_completed", Kind::One),
    key("nium.newer_block_reasons", Kind::One),
    key("nium.redirect_minutes", Kind::One),
    key("callback.secret_path", Kind::Secret),
    key("callback.allow_from", Kind::List),
    key("callback.trusted_proxies", Kind::List),
    key("callback.static_header_name", Kind::One),
    key("callback.static_header_values", Kind::SecretList),
    key("callback.hmac_header", Kind::One),
    key("callback.hmac_secrets", Kind::SecretList),
    key("flow.max_submissions", Kind::One),
    key("flow.correction_days", Kind::One),
    key("flow.remind_after_days", Kind::List),
    key("flow.rfi_days", Kind::One),
    key("flow.unknown_remark", Kind::One),
    key("flow.second_person", Kind::List),
    key("flow.rules", Kind::Tables),
    key("notify.disable_after_hours", Kind::One),
    key("notify.webhook.url", Kind::One),
    key("notify.webhook.secrets", Kind::SecretList),
    key("notify.webhook.allow_private", Kind::One),
    key("notify.webhook.timeout_ms", Kind::One),
    key("notify.endpoints", Kind::Tables),
    key("notify.email.smtp_url", Kind::Secret),
    key("notify.email.from", Kind::One),
    key("notify.email.ca_file", Kind::One),
    key("notify.email.timeout_ms", Kind::One),
    key("page.name", Kind::One),
    key("page.logo", Kind::One),
    key("page.colour", Kind::One),
    key("page.contact", Kind::One),
    key("page.language", Kind::One),
    key("page.documents", Kind::List),
    key("sweep.active_every_seconds", Kind::One),
    key("sweep.full_every_seconds", Kind::One),
    key("sweep.page_size", Kind::One),
    key("sweep.grace_seconds", Kind::One),
    key("privacy.master_keys", Kind::SecretList),
    key("privacy.keep_callbacks_days", Kind::One),
    key("privacy.keep_closed_days", Kind::One),
    key("privacy.keep_applicants_days", Kind::One),
    key("privacy.keep_documents_days", Kind::One),
    key("privacy.erasure_file", Kind::One),
    key("audit.checkpoint_every_seconds", Kind::One),
    key("audit.checkpoint_file", Kind::One),
    key("telemetry.log", Kind::One),
    key("telemetry.format", Kind::One),
    key("telemetry.otlp_endpoint", Kind::One),
    key("telemetry.otlp_headers", Kind::SecretList),
    key("telemetry.sample_ratio", Kind::One),
];

/// What every variable of ours begins with. The second underscore matters: a container platform that knows a service
/// called `reinstate` sets `REINSTATE_PORT` and the like by itself, and those are not ours.
pub(super) const ENV_PREFIX: &str = "REINSTATE__";

/// How a key is spelt when the value is in a file: `nium.api_key_file`.
pub(super) const FILE_SUFFIX: &str = "_file";

/// A key as somebody wrote it: the value itself, or the name of a file that holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spelling {
    /// The key that is meant.
    pub(super) key: Key,
    /// Whether the value is the name of a file.
    pub(super) in_file: bool,
}

/// The key that `path` spells, if it spells one.
pub(super) fn find(path: &str) -> Option<Spelling> {
    let named = |name: &str| KEYS.iter().find(|key| key.path == name).copied();
    if let Some(key) = named(path) {
        return Some(Spelling { key, in_file: false });
    }
    let key = named(path.strip_suffix(FILE_SUFFIX)?).filter(|key| key.kind.is_secret())?;
    Some(Spelling { key, in_file: true })
}

/// Whether `path` is a section: some key lives below it.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The variable of a key: `nium.api_key` is `REINSTATE__NIUM__API_KEY`.
pub(super) fn env_name(path: &str) -> String {
    format!("{ENV_PREFIX}{}", path.replace('.', "__").to_ascii_uppercase())
}

/// The key that a variable's name spells, if it spells one exactly.
pub(super) fn find_env(name: &str) -> Option<Spelling> {
    let path = name.strip_prefix(ENV_PREFIX)?.replace("__", ".").to_ascii_lowercase();
    find(&path).filter(|_| env_name(&path) == name)
}

/// The spelling, of a key or of a section, that somebody who wrote `path` probably meant.
pub(super) fn nearest(path: &str) -> Option<String> {
    /// Letters to change, in every started group of this many, before a word counts as another word.
    const LETTERS_PER_MISTAKE: usize = 5;
    let path = path.to_ascii_lowercase();
    let mistakes_max = path.len().div_ceil(LETTERS_PER_MISTAKE);
    // The section that the name already stands in is no better name for it.
    let is_around = |known: &str| path.strip_prefix(known).is_some_and(|rest| rest.starts_with('.'));
    let near = spellings()
        .filter(|known| !is_around(known))
        .map(|known| (strsim::damerau_levenshtein(&path, &known), known))
        .min_by_key(|(mistakes, _)| *mistakes)
        .filter(|(mistakes, _)| *mistakes <= mistakes_max);
    // A key under the wrong section is far off in letters but plain to a reader.
    near.map(|(_, known)| known).or_else(|| spellings().find(|known| last(known) == last(&path)))
}

fn spellings() -> impl Iterator<Item = String> {
    let keys = KEYS.iter().map(|key| key.path.to_owned());
    let in_files =
        KEYS.iter().filter(|key| key.kind.is_secret()).map(|key| format!("{}{FILE_SUFFIX}", key.path));
    let sections =
        KEYS.iter().filter_map(|key| key.path.rsplit_once('.')).map(|(section, _)| section.to_owned());
    keys.chain(in_files).chain(sections)
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_spells_exactly_one_key() {
        for key in KEYS {
            let found = find_env(&env_name(key.path)).unwrap();
            assert_eq!((found.key.path, found.in_file), (key.path, false));
        }
        assert!(find_env("REINSTATE__NIUM__API_KEY_FILE").unwrap().in_file);
        for name in [
            "REINSTATE__NIUM__API__KEY",
            "REINSTATE__nium__region",
            "REINSTATE_NIUM__REGION",
            "REINSTATE__NIUM",
        ] {
            assert!(find_env(name).is_none(), "{name}");
        }
    }

    #[test]
    fn only_secrets_may_be_in_files() {
        assert!(find("privacy.master_keys_file").unwrap().in_file);
        assert!(find("nium.region_file").is_none());
    }

    #[test]
    fn a_section_is_what_keys_live_below() {
        assert!(is_section("notify") && is_section("notify.webhook"));
        assert!(!is_section("notify.webhook.url") && !is_section("not") && !is_section(""));
    }

    #[test]
    fn the_nearest_key_is_what_a_reader_would_guess() {
        let near = |path: &str| nearest(path).unwrap_or_default();
        assert_eq!(near("nium.regoin"), "nium.region");
        assert_eq!(near("nium_region"), "nium.region");
        assert_eq!(near("NIUM.API_KEY_FIL"), "nium.api_key_file");
        assert_eq!(near("server.drain_seconds"), "public.drain_seconds");
        assert_eq!(near("niun"), "nium");
        assert_eq!(near("nium.x"), "");
        assert_eq!(near("colour.of_the_sky"), "");
    }
}
