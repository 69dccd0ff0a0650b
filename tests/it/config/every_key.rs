//! Every key: a good value is understood from the environment and from TOML, and a bad one is told.

use super::*;
use reinstate::domain::texts::Language;

/// One key: a good value as a variable and as TOML, what else must be set for it, whether it arrived, and how a bad
/// value is refused.
struct Case {
    key: &'static str,
    word: &'static str,
    toml: &'static str,
    beside: &'static [(&'static str, &'static str)],
    arrived: fn(&Config) -> bool,
    bad: &'static str,
    why: &'static str,
}

const WHSEC: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";

const HOOK: &[(&str, &str)] = &[
    ("REINSTATE__NOTIFY__WEBHOOK__URL", "https://app.example.test/hooks"),
    ("REINSTATE__NOTIFY__WEBHOOK__SECRETS", WHSEC),
];

const MAIL_SERVER: &[(&str, &str)] = &[("REINSTATE__NOTIFY__EMAIL__SMTP_URL", "smtps://mail.example.test")];

const MAIL: &[(&str, &str)] = &[
    ("REINSTATE__NOTIFY__EMAIL__SMTP_URL", "smtps://mail.example.test"),
    ("REINSTATE__NOTIFY__EMAIL__FROM", "kyc@example.test"),
];

macro_rules! case {
    ($key:literal, $word:literal, $toml:literal, $beside:expr, $arrived:expr, $bad:literal => $why:literal) => {
        Case { key: $key, word: $word, toml: $toml, beside: $beside, arrived: $arrived, bad: $bad, why: $why }
    };
}

const PUBLIC_TLS: &[(&str, &str)] =
    &[("REINSTATE__PUBLIC__TLS_CERT", "Cargo.toml"), ("REINSTATE__PUBLIC__TLS_KEY", "Cargo.toml")];

const ADMIN_TLS: &[(&str, &str)] =
    &[("REINSTATE__ADMIN__TLS_CERT", "Cargo.toml"), ("REINSTATE__ADMIN__TLS_KEY", "Cargo.toml")];
const COLLECTOR: &[(&str, &str)] =
    &[("REINSTATE__TELEMETRY__OTLP_ENDPOINT", "https://collector.example.test")];

const SIGN_ON: &[(&str, &str)] = &[
    ("REINSTATE__ADMIN__SIGN_ON_HEADER", "x-auth-request-email"),
    ("REINSTATE__ADMIN__SIGN_ON_FROM", "10.0.0.7"),
];

fn sign_on(config: &Config) -> &reinstate::config::SignOn {
    config.admin.sign_on.as_ref().unwrap()
}

fn millis(wait: Duration, expected: u64) -> bool {
    wait == Duration::from_millis(expected)
}

fn sections_of_ours() -> Vec<Case> {
    vec![
        case!("public.listen", "[::]:80", "\"[::]:80\"", &[], |c| c.public.listen.port() == 80,
            "8080" => "must be an address with a port, such as 0.0.0.0:8080, not \"8080\""),
        case!("public.url", "https://kyc.example.test/", "\"https://kyc.example.test\"", &[],
            |c| c.public.url.as_deref() == Some("https://kyc.example.test"),
            "kyc.example.test" => "is not a web address: relative URL without a base"),
        case!("public.tls_cert", "Cargo.toml", "\"Cargo.toml\"", &[("REINSTATE__PUBLIC__TLS_KEY", "Cargo.toml")],
            |c| c.public.tls.is_some(), "/" => "names something that is not a file: \"/\""),
        case!("public.tls_key", "Cargo.toml", "\"Cargo.toml\"", &[("REINSTATE__PUBLIC__TLS_CERT", "Cargo.toml")],
            |c| c.public.tls.is_some(), "/" => "names something that is not a file: \"/\""),
        case!("public.client_ca", "Cargo.toml", "\"Cargo.toml\"", PUBLIC_TLS,
            |c| c.public.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()),
            "/nowhere" => "names a file that cannot be read, \"/nowhere\": No such file or directory (os error 2)"),
        case!("public.proxy_protocol_from", "10.0.0.7,fd00::/8", "[\"10.0.0.7\", \"fd00::/8\"]", &[],
            |c| c.public.proxy_protocol_from.len() == 2,
            "::/0" => "entry 1 believes everybody: any caller could name any address as its own"),
        case!("public.connections_max", "10", "10", &[], |c| c.public.connections_max == 10,
            "9" => "must be between 10 and 200000"),
        case!("public.peer_connections_max", "1", "1", &[], |c| c.public.peer_connections_max == 1,
            "0" => "must be between 1 and 200000"),
        case!("public.peer_requests_per_second", "7", "7", &[], |c| c.public.peer_requests_per_second == 7,
            "0" => "must be between 1 and 1000000"),
        case!("public.drain_seconds", "0", "0", &[], |c| c.public.drain.is_zero(),
            "301" => "must be between 0 and 300"),
        case!("public.header_timeout_ms", "100", "0x64", &[], |c| millis(c.public.header_timeout, 100),
            "99" => "must be between 100 and 60000"),
        case!("public.handshake_timeout_ms", "60000", "60_000", &[], |c| millis(c.public.handshake_timeout, 60_000),
            "60001" => "must be between 100 and 60000"),
        case!("public.body_timeout_ms", "200", "200", &[], |c| millis(c.public.body_timeout, 200),
            "-1" => "must be a whole number"),
    ]
}

fn section_of_admin() -> Vec<Case> {
    vec![
        case!("admin.listen", "127.0.0.1:0", "\"127.0.0.1:0\"", &[], |c| c.admin.listen.port() == 0,
            "127.0.0.1:8080" => "takes the same port as public.listen (0.0.0.0:8080); give it a port of its own; \
             127.0.0.1:9090 is usual"),
        case!("admin.url", "https://adm.example.test", "\"https://adm.example.test/\"", &[],
            |c| c.admin.url == "https://adm.example.test", "https://a:b@c" => "must not hold a user name or password"),
        case!("admin.tls_cert", "Cargo.toml", "\"Cargo.toml\"", &[("REINSTATE__ADMIN__TLS_KEY", "Cargo.toml")],
            |c| c.admin.tls.is_some() && c.admin.url.starts_with("https://"),
            "/" => "names something that is not a file: \"/\""),
        case!("admin.tls_key", "Cargo.toml", "\"Cargo.toml\"", &[("REINSTATE__ADMIN__TLS_CERT", "Cargo.toml")],
            |c| c.admin.tls.is_some(), "/" => "names something that is not a file: \"/\""),
        case!("admin.client_ca", "Cargo.toml", "\"Cargo.toml\"", ADMIN_TLS,
            |c| c.admin.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()),
            "/" => "names something that is not a file: \"/\""),
        case!("admin.command_cert", "Cargo.toml", "\"Cargo.toml\"", &[("REINSTATE__ADMIN__COMMAND_KEY", "Cargo.toml")],
            |c| c.admin.command_certificate.is_some(), "/" => "names something that is not a file: \"/\""),
        case!("admin.command_key", "Cargo.toml", "\"Cargo.toml\"", &[("REINSTATE__ADMIN__COMMAND_CERT", "Cargo.toml")],
            |c| c.admin.command_certificate.is_some(), "/" => "names something that is not a file: \"/\""),
        case!("admin.proxy_protocol_from", "10.0.0.7", "[\"10.0.0.7\"]", &[],
            |c| c.admin.proxy_protocol_from.len() == 1,
            "0.0.0.0/0" => "entry 1 believes everybody: any caller could name any address as its own"),
        case!("admin.exposed", "true", "true", &[], |c| c.admin.exposed, "yes" => "must be true or false"),
        case!("admin.bootstrap_token", "0123456789abcdef", "\"0123456789abcdef\"", &[],
            |c| c.admin.bootstrap_token.as_ref().is_some_and(|token| token.matches("0123456789abcdef")),
            "0123456789abcde" => "must have 16 to 512 characters, not 15"),
        case!("admin.sign_on_header", "X-Auth-Request-Email", "\"x-auth-request-email\"", SIGN_ON,
            |c| sign_on(c).header == "x-auth-request-email", "x auth" => "must be the name of a header, not \"x auth\""),
        case!("admin.sign_on_groups_header", "X-Groups", "\"x-groups\"", SIGN_ON,
            |c| sign_on(c).groups_header.as_deref() == Some("x-groups"),
            "x groups" => "must be the name of a header, not \"x groups\""),
        case!("admin.sign_on_from", "10.0.0.7,::1", "[\"10.0.0.7\", \"::1\"]", SIGN_ON,
            |c| sign_on(c).from.len() == 2, "0.0.0.0/0" => "entry 1 names every address there is: anybody could claim to be anybody"),
        case!("admin.sign_on_admins", "root@example.test", "[\"root@example.test\"]", SIGN_ON,
            |c| sign_on(c).admins == ["root@example.test"], "\u{7}" => "entry 1 must have 1 to 200 characters"),
        case!("admin.sign_on_officers", "compliance,ada", "[\"compliance\", \"ada\"]", SIGN_ON,
            |c| sign_on(c).officers == ["compliance", "ada"], "\u{7}" => "entry 1 must have 1 to 200 characters"),
        case!("admin.sign_on_viewers", "*", "[\"*\"]", SIGN_ON,
            |c| sign_on(c).viewers == ["*"], "\u{7}" => "entry 1 must have 1 to 200 characters"),
    ]
}

fn section_of_store() -> Vec<Case> {
    vec![
        case!("store.url", "sqlite:x.db", "\"sqlite:x.db\"", &[],
            |c| matches!(&c.store.url, StoreUrl::Sqlite(file) if file.as_os_str() == "x.db"),
            "postgres://db/kyc?sslmode=prefer" => "has an sslmode that gives in to whoever stands in between: write \
             sslmode=verify-full, or sslmode=disable if the way to the database is trusted"),
        case!("store.listen_url", "postgres://db/kyc", "\"postgres://db/kyc\"",
            &[("REINSTATE__STORE__URL", "postgres://pooler/kyc")],
            |c| matches!(&c.store.url, StoreUrl::Postgres(address) if address.listen.is_some()),
            "sqlite:x.db" => "must be an address of PostgreSQL, such as \
             postgres://user:password@db.example.com:5432/reinstate"),
        case!("store.connections", "2", "2", &[], |c| c.store.connections == 2, "1" => "must be between 2 and 200"),
        case!("store.wake_ups", "false", "false", &[], |c| !c.store.wake_ups, "maybe" => "must be true or false"),
        case!("store.spool_dir", "/var/spool/r", "\"/var/spool/r\"", &[],
            |c| c.store.spool_dir == std::path::Path::new("/var/spool/r"),
            "Cargo.toml" => "names a file, not a folder: \"Cargo.toml\""),
        case!("store.spool_mib", "2", "2", &[], |c| c.store.spool_bytes == 2 << 20,
            "0" => "must be between 1 and 1024"),
        case!("privacy.keep_callbacks_days", "30", "30", &[],
            |c| c.privacy.keep_callbacks == Some(Duration::from_hours(30 * 24)), "0" => "must be between 1 and 36500"),
    ]
}

fn section_of_telemetry() -> Vec<Case> {
    vec![
        case!("telemetry.log", "warn", "\"warn\"", &[], |c| c.telemetry.log == "warn",
            "inof" => "has the word \"inof\"; the levels are off, error, warn, info, debug, trace"),
        case!("telemetry.format", "json", "\"json\"", &[], |c| c.telemetry.format == LogFormat::Json,
            "xml" => "must be one of text, json, not \"xml\""),
        case!("telemetry.otlp_endpoint", "http://127.0.0.1:4318/", "\"http://127.0.0.1:4318\"", &[],
            |c| c.telemetry.otlp.as_ref().is_some_and(|otlp| otlp.endpoint == "http://127.0.0.1:4318"),
            "collector:4318" => "must begin with https:// (or http://)"),
        case!("telemetry.otlp_headers", "authorization=Bearer x=y", "[\"authorization=Bearer x=y\"]", COLLECTOR,
            |c| c.telemetry.otlp.as_ref().is_some_and(|otlp| otlp.headers[0].0 == "authorization" && otlp.headers[0].1.expose() == "Bearer x=y"),
            "authorization" => "entry 1 must be a name, an equals sign and a value"),
        case!("telemetry.sample_ratio", "0.25", "0.25", COLLECTOR,
            |c| c.telemetry.otlp.as_ref().is_some_and(|otlp| (otlp.ratio - 0.25).abs() < 1e-9), "2" => "must be between 0 and 1"),
    ]
}

fn sections_of_nium() -> Vec<Case> {
    vec![
        case!("nium.base_url", "http://localhost:4010/", "\"http://localhost:4010\"", &[],
            |c| c.nium.base_url == "http://localhost:4010",
            "http://gateway.example.test" => "must begin with https://: plain http is for this machine only, the API \
             key would travel open"),
        case!("nium.client_hash_id", "1B2F7C1E-0000-4000-8000-000000000000",
            "\"1b2f7c1e-0000-4000-8000-000000000000\"", &[],
            |c| c.nium.client_hash_id.to_string() == "1b2f7c1e-0000-4000-8000-000000000000",
            "client1" => "must be a UUID with hyphens, as Nium wrote it, not \"client1\""),
        case!("nium.api_key", "another-key", "\"another-key\"", &[], |c| c.nium.api_key.matches("another-key"),
            "${NIUM_API_KEY}" => "says where a secret is instead of being one, and would be taken literally; put the \
             value into REINSTATE__NIUM__API_KEY, or the name of a file that holds it into \
             REINSTATE__NIUM__API_KEY_FILE"),
        case!("nium.client_name", "client1", "\"client1\"", &[], |c| c.nium.client_name == "client1",
            "client 1" => "must be printable ASCII without spaces or line ends"),
        case!("nium.region", "UK", "\"UK\"", &[], |c| c.nium.region == Some(Region::Uk),
            "GB" => "must be one of SG, EU, AU, HK, UK, US, CA, not \"GB\""),
        case!("nium.requests_per_second", "0.5", "0.5", &[], |c| (c.nium.requests_per_second - 0.5).abs() < 1e-9,
            "nan" => "must be between 0.01 and 1000"),
        case!("nium.burst", "1", "1", &[], |c| c.nium.burst == 1, "0" => "must be between 1 and 10000"),
        case!("nium.concurrency", "64", "64", &[], |c| c.nium.concurrency == 64,
            "65" => "must be between 1 and 64"),
        case!("nium.connect_timeout_ms", "250", "250", &[], |c| millis(c.nium.connect_timeout, 250),
            "5s" => "must be a whole number"),
        case!("nium.timeout_ms", "5000", "5000", &[], |c| millis(c.nium.timeout, 5000),
            "4999" => "is shorter than nium.connect_timeout_ms, so no slow connection would ever be used"),
        case!("nium.settle_ms", "100", "100", &[], |c| millis(c.nium.settle, 100),
            "600001" => "must be between 100 and 600000"),
        case!("nium.addresses_when_completed", "true", "true", &[], |c| c.nium.addresses_when_completed,
            "perhaps" => "must be true or false"),
        case!("nium.newer_block_reasons", "true", "true", &[], |c| c.nium.newer_block_reasons,
            "perhaps" => "must be true or false"),
        case!("nium.redirect_minutes", "15", "15", &[], |c| c.nium.redirect_lives.as_secs() == 900,
            "0" => "must be between 1 and 10080"),
    ]
}

fn sections_of_cases() -> Vec<Case> {
    vec![
        case!("callback.secret_path", "s3cret", "\"s3cret\"", &[],
            |c| c.callback.secret_path.as_ref().is_some_and(|path| path.matches("s3cret")),
            "a/path" => "must be 6 to 128 letters, digits or . _ ~ - and no slash"),
        case!("callback.allow_from", "10.0.0.1,2001:db8::/32", "[\"10.0.0.1\", \"2001:db8::/32\"]", &[],
            |c| c.callback.allow_from.len() == 2,
            "10.0.0.1,nium.com" => "entry 2 must be an address or a range such as 203.0.113.0/24"),
        case!("callback.trusted_proxies", "10.0.0.0/8", "[\"10.0.0.0/8\"]", &[],
            |c| c.callback.trusted_proxies.len() == 1,
            "0.0.0.0/0" => "entry 1 believes everybody: any caller could name any address as its own"),
        case!("callback.static_header_name", "X-Key", "\"x-key\"",
            &[("REINSTATE__CALLBACK__STATIC_HEADER_VALUES", "one")],
            |c| c.callback.static_header.as_ref().is_some_and(|header| header.name == "x-key"),
            "x key" => "must be the name of a header, not \"x key\""),
        case!("callback.static_header_values", "one,two words", "[\"one\", \"two words\"]",
            &[("REINSTATE__CALLBACK__STATIC_HEADER_NAME", "x-key")],
            |c| c.callback.static_header.as_ref().is_some_and(|header| header.values[1].matches("two words")),
            "<value>" => "entry 1 says where a secret is instead of being one, and would be taken literally; put the \
             value into REINSTATE__CALLBACK__STATIC_HEADER_VALUES, or the name of a file that holds it into \
             REINSTATE__CALLBACK__STATIC_HEADER_VALUES_FILE"),
        case!("callback.hmac_header", "x-signature", "\"x-signature\"",
            &[("REINSTATE__CALLBACK__HMAC_SECRETS", "MDEyMzQ1Njc4OWFiY2RlZg==")],
            |c| c.callback.hmac.as_ref().is_some_and(|hmac| hmac.header == "x-signature"),
            ":" => "must be the name of a header, not \":\""),
        case!("callback.hmac_secrets", "MDEyMzQ1Njc4OWFiY2RlZg==", "[\"MDEyMzQ1Njc4OWFiY2RlZg==\"]",
            &[("REINSTATE__CALLBACK__HMAC_HEADER", "x-signature")],
            |c| c.callback.hmac.as_ref().is_some_and(|hmac| hmac.secrets[0].matches(b"0123456789abcdef")),
            "MDEy" => "entry 1 must be base64 of 16 to 256 bytes, not of 3"),
    ]
}

fn sections_of_flow() -> Vec<Case> {
    vec![
        case!("flow.max_submissions", "10", "10", &[], |c| c.flow.max_submissions == 10,
            "11" => "must be between 1 and 10"),
        case!("flow.correction_days", "365", "365", &[], |c| c.flow.correction_days == 365,
            "366" => "must be between 1 and 365"),
        case!("flow.remind_after_days", "1,2", "[1, 2]", &[], |c| c.flow.remind_after_days == [1, 2],
            "0" => "must be between 1 and 365"),
        case!("flow.rfi_days", "7", "7", &[], |c| c.flow.rfi_days == 7, "0" => "must be between 1 and 365"),
        case!("flow.unknown_remark", "officer", "\"officer\"", &[],
            |c| c.flow.unknown_remark == UnknownRemark::Officer, "ask" => "must be one of offer, officer, not \"ask\""),
        case!("flow.second_person", "permanent_block,override_final", "[\"permanent_block\", \"override_final\"]", &[],
            |c| c.flow.second_person == [SecondPerson::PermanentBlock, SecondPerson::OverrideFinal],
            "permanent_block,unblock" => "entry 2 must be one of permanent_block, override_final, not \"unblock\""),
        case!("flow.rules", "[{ name = \"x\", class = \"final\", contains = [\"y\"] }]",
            "[{ name = \"x\", class = \"fixable\", contains = [\"y\"], fields = [\"firstName\"] }]", &[],
            |c| c.flow.rules.len() == 1, "[3]" => "must be a list of tables, but holds a whole number"),
        case!("notify.disable_after_hours", "24", "24", &[],
            |c| c.notify.disable_after == Duration::from_hours(24), "0" => "must be between 1 and 72"),
        case!("notify.endpoints",
            "[{ name = \"b\", url = \"https://b.example.test/h\", secrets = [\"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\"] }]",
            "[{ name = \"b-2\", url = \"https://b.example.test/h\", secrets = [\"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\"] }]",
            &[], |c| c.notify.all().len() == 1 && c.notify.endpoints[0].webhook.secrets[0].matches(WHSEC),
            "[3]" => "must be a list of tables, but holds a whole number"),
        case!("notify.webhook.url", "https://app.example.test/h", "\"https://app.example.test/h\"",
            &[("REINSTATE__NOTIFY__WEBHOOK__SECRETS", WHSEC)],
            |c| c.notify.webhook.as_ref().is_some_and(|hook| hook.url == "https://app.example.test/h"),
            "http://app.example.test" => "must begin with https://: plain http is for this machine only"),
        case!("notify.webhook.secrets", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
            "[\"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\"]",
            &[("REINSTATE__NOTIFY__WEBHOOK__URL", "https://app.example.test/h")],
            |c| c.notify.webhook.as_ref().is_some_and(|hook| hook.secrets[0].matches(WHSEC)),
            "whsec_MDEy" => "entry 1 must be base64 of 24 to 64 bytes after whsec_, not of 3"),
        case!("notify.webhook.allow_private", "true", "true", HOOK,
            |c| c.notify.webhook.as_ref().is_some_and(|hook| hook.allow_private), "yes" => "must be true or false"),
        case!("notify.webhook.timeout_ms", "100", "100", HOOK,
            |c| c.notify.webhook.as_ref().is_some_and(|hook| millis(hook.timeout, 100)),
            "60001" => "must be between 100 and 60000"),
        case!("sweep.active_every_seconds", "60", "60", &[], |c| c.sweep.active_every.as_secs() == 60,
            "0" => "must be between 1 and 86400"),
        case!("sweep.full_every_seconds", "3600", "3600", &[], |c| c.sweep.full_every.as_secs() == 3600,
            "5" => "must be between 60 and 2592000"),
        case!("sweep.page_size", "10", "10", &[], |c| c.sweep.page_size == 10, "51" => "must be between 1 and 50"),
        case!("sweep.grace_seconds", "60", "60", &[], |c| c.sweep.grace.as_secs() == 60,
            "0" => "must be between 1 and 86400"),
    ]
}

fn sections_of_keeping() -> Vec<Case> {
    vec![
        case!("audit.checkpoint_every_seconds", "60", "60", &[], |c| c.audit.checkpoint_every.as_secs() == 60,
            "9" => "must be between 10 and 86400"),
        case!("audit.checkpoint_file", "/tmp/points.jsonl", "\"/tmp/points.jsonl\"", &[],
            |c| c.audit.checkpoint_file.as_deref() == Some(std::path::Path::new("/tmp/points.jsonl")),
            "/" => "names a folder, not a file: \"/\""),
        case!("privacy.keep_closed_days", "30", "30", &[],
            |c| c.privacy.keep_closed == Some(Duration::from_hours(24 * 30)), "0" => "must be between 1 and 36500"),
        case!("privacy.keep_applicants_days", "30", "30", &[],
            |c| c.privacy.keep_applicants == Some(Duration::from_hours(24 * 30)), "0" => "must be between 1 and 36500"),
        case!("privacy.keep_documents_days", "30", "30", &[],
            |c| c.privacy.keep_documents == Duration::from_hours(24 * 30), "0" => "must be between 1 and 36500"),
        case!("privacy.erasure_file", "/tmp/erasures.jsonl", "\"/tmp/erasures.jsonl\"", &[],
            |c| c.privacy.erasure_file.as_deref() == Some(std::path::Path::new("/tmp/erasures.jsonl")),
            "/" => "names a folder, not a file: \"/\""),
        case!("privacy.master_keys", "k9:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "[\"k9:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]", &[],
            |c| c.privacy.master_keys[0].id == "k9" && c.privacy.master_keys[0].key.as_key().is_some(),
            "k1:AAEC" => "entry 1 has a key of 3 bytes instead of 32 (id \"k1\")"),
    ]
}

fn sections_of_customers() -> Vec<Case> {
    vec![
        case!("notify.email.smtp_url", "smtps://us%40er:sesame@mail.example.test", "\"smtps://mail.example.test\"",
            &[("REINSTATE__NOTIFY__EMAIL__FROM", "kyc@example.test")],
            |c| c.notify.email.as_ref().is_some_and(|mail| mail.host == "mail.example.test" && mail.port == 465),
            "https://mail.example.test" => "must begin with smtps:// (TLS) or smtp:// (STARTTLS)"),
        case!("notify.email.from", "Example <kyc@example.test>", "\"Example <kyc@example.test>\"", MAIL_SERVER,
            |c| c.notify.email.as_ref().is_some_and(|mail| mail.from == "Example <kyc@example.test>"),
            "kyc" => "must be an address, or a name and an address: Example <kyc@example.com>"),
        case!("notify.email.ca_file", "tests/it/config/authority.pem", "\"tests/it/config/authority.pem\"", MAIL,
            |c| c.notify.email.as_ref().is_some_and(|mail| mail.authority.is_some()),
            "Cargo.toml" => "names a file that is no certificate in PEM"),
        case!("notify.email.timeout_ms", "1000", "1000", MAIL,
            |c| c.notify.email.as_ref().is_some_and(|mail| millis(mail.timeout, 1000)),
            "999" => "must be between 1000 and 120000"),
        case!("page.name", "Example Pay", "\"Example Pay\"", &[], |c| c.page.name == "Example Pay",
            "two\nlines" => "must be one line of 1 to 80 characters"),
        case!("page.logo", "tests/it/config/logo.svg", "\"tests/it/config/logo.svg\"", &[],
            |c| c.page.logo.as_ref().is_some_and(|logo| logo.kind == "image/svg+xml"),
            "Cargo.toml" => "names a file that is no PNG, JPEG or SVG"),
        case!("page.colour", "#A0b1c2", "\"#a0b1c2\"", &[], |c| c.page.colour == [0xa0, 0xb1, 0xc2],
            "blue" => "must be # and six hexadecimal digits, such as #1a4d8f, not \"blue\""),
        case!("page.contact", "help@example.test", "\"help@example.test\"", &[],
            |c| c.page.contact.as_deref() == Some("help@example.test"),
            "http://example.test" => "must be an e-mail address, or a web address that begins with https://"),
        case!("page.language", "ja", "\"ja\"", &[], |c| c.page.language == Language::Ja,
            "xx" => "must be one of en, fr, de, es, pt, ja, zh, not \"xx\""),
        case!("page.documents", "Passport,UtilityBill", "[\"Passport\", \"UtilityBill\"]", &[],
            |c| c.page.documents == ["Passport", "UtilityBill"],
            "Passport,two\nlines" => "entry 2 must be one line of 1 to 80 characters"),
    ]
}

fn cases() -> Vec<Case> {
    sections_of_ours()
        .into_iter()
        .chain(section_of_admin())
        .chain(section_of_store())
        .chain(section_of_telemetry())
        .chain(sections_of_nium())
        .chain(sections_of_cases())
        .chain(sections_of_flow())
        .chain(sections_of_keeping())
        .chain(sections_of_customers())
        .collect()
}

fn variable(key: &str) -> String {
    format!("REINSTATE__{}", key.replace('.', "__").to_ascii_uppercase())
}

#[test]
fn no_key_is_without_a_case() {
    let tried: BTreeSet<&str> = cases().iter().map(|case| case.key).collect();
    assert_eq!(tried, keys().collect());
}

#[test]
fn every_key_can_come_from_the_environment() {
    for case in cases() {
        let name = variable(case.key);
        let config = load(&[case.beside, &[(name.as_str(), case.word)]].concat());
        assert!((case.arrived)(&config), "{name} = {}: {config:?}", case.word);
    }
}

#[test]
fn every_key_can_come_from_a_file() {
    for case in cases() {
        let folder = Folder::new();
        let file = folder.file("r.toml", &format!("{} = {}", case.key, case.toml));
        let mut sources = Sources { file: Some(file), ..with(case.beside) };
        sources.env.remove(&variable(case.key));
        let config = Config::load(&sources).unwrap_or_else(|problems| panic!("{problems}"));
        assert!((case.arrived)(&config), "{} = {}: {config:?}", case.key, case.toml);
    }
}

#[test]
fn every_bad_value_is_told_with_its_key_and_place() {
    for case in cases() {
        let name = variable(case.key);
        let told = refused(&[case.beside, &[(name.as_str(), case.bad)]].concat());
        assert_eq!(told, format!("{} ({name}): {}", case.key, case.why));
    }
}

#[test]
fn all_bad_values_are_told_at_once() {
    let bad: Vec<(String, &str)> = cases().iter().map(|case| (variable(case.key), case.bad)).collect();
    let more: Vec<(&str, &str)> = bad.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let told = refused(&more);
    let told: BTreeSet<&str> = told.lines().filter_map(|line| line.split(' ').next()).collect();
    // Relations between two values can only be judged while both of them can be read.
    let relations = ["admin.listen", "nium.timeout_ms"];
    let expected: BTreeSet<&str> = keys().filter(|key| !relations.contains(key)).collect();
    assert_eq!(told, expected);
}

#[test]
fn an_empty_variable_is_told_and_drops_nothing() {
    for key in keys() {
        let name = variable(key);
        let told = refused(&[(name.as_str(), " ")]);
        assert_eq!(told, format!("{key} ({name}): is empty; remove the variable to keep what the file says"));
    }
}

#[test]
fn a_wrong_type_is_told_in_plain_words() {
    let toml = "[public]\nlisten = 8080\ndrain_seconds = \"5\"\nheader_timeout_ms = 1.5\nurl = 2026-01-01\n\
        [nium]\nrequests_per_second = true\nburst = -1\nregion = [\"SG\"]\n\
        [callback]\nallow_from = \"10.0.0.1\"\ntrusted_proxies = [1]\n[notify.webhook]\nallow_private = 1\n";
    let expected = "public.listen (reinstate.toml line 2): must be text, not a whole number\n\
        public.url (reinstate.toml line 5): must be text, not a date\n\
        public.drain_seconds (reinstate.toml line 3): must be a whole number, not text\n\
        public.header_timeout_ms (reinstate.toml line 4): must be a whole number, not a number\n\
        nium.requests_per_second (reinstate.toml line 7): must be a number, not true or false\n\
        nium.burst (reinstate.toml line 8): must be between 1 and 10000\n\
        callback.allow_from (reinstate.toml line 11): must be a list, not text\n\
        callback.trusted_proxies (reinstate.toml line 12): entry 1 must be text, not a whole number\n\
        notify.webhook.allow_private (reinstate.toml line 14): must be true or false, not a whole number";
    assert_eq!(Folder::new().refused(toml), expected);
}

#[test]
fn a_pair_is_whole_or_absent() {
    let value = ("REINSTATE__CALLBACK__STATIC_HEADER_VALUES", "one");
    let name = ("REINSTATE__CALLBACK__STATIC_HEADER_NAME", "x-key");
    let hmac = ("REINSTATE__CALLBACK__HMAC_HEADER", "x-key");
    let hmac_secret = ("REINSTATE__CALLBACK__HMAC_SECRETS", "MDEyMzQ1Njc4OWFiY2RlZg==");
    let told =
        [refused(&[value]), refused(&[name, hmac]), refused(&HOOK[..1]), refused(&HOOK[1..])].join("\n");
    let expected = "callback.static_header_name: is missing: nothing would look at callback.static_header_values\n\
        callback.static_header_values (default): is missing: callback.static_header_name would lock everybody out\n\
        callback.hmac_secrets (default): is missing: callback.hmac_header would lock everybody out\n\
        notify.webhook.secrets (default): is missing: notify.webhook.url needs a signing secret; make one: echo \
        whsec_$(openssl rand -base64 32)\n\
        notify.webhook.url: is missing: nothing would be signed with notify.webhook.secrets";
    assert_eq!(told, expected);
    let told = refused(&[value, name, hmac, hmac_secret]);
    assert!(told.ends_with("is the same header as callback.static_header_name"), "{told}");
    let twice = format!("k1:{MASTER_KEY},k1:{MASTER_KEY}");
    let told = refused(&[("REINSTATE__PRIVACY__MASTER_KEYS", &twice)]);
    assert!(told.contains("two keys with the same id"), "{told}");
}

#[test]
fn a_list_has_a_longest_length() {
    let longest = vec!["10.0.0.1"; 256].join(",");
    assert_eq!(load(&[("REINSTATE__CALLBACK__ALLOW_FROM", &longest)]).callback.allow_from.len(), 256);
    let told = refused(&[("REINSTATE__CALLBACK__ALLOW_FROM", &format!("{longest},10.0.0.1"))]);
    assert!(told.contains("has 257 entries; 256 are the most"), "{told}");
}
