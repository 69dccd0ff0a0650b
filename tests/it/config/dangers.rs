//! What can be meant and is not served: the sentence that says why, and the way out.

use super::*;

const ADMIN: &str = "REINSTATE__ADMIN__LISTEN";
const TOKEN: (&str, &str) = ("REINSTATE__ADMIN__BOOTSTRAP_TOKEN", "0123456789abcdef");
const EXPOSED: (&str, &str) = ("REINSTATE__ADMIN__EXPOSED", "true");

#[test]
fn an_admin_listener_that_asks_nobody_stays_on_this_machine() {
    let signed_on = [
        ("REINSTATE__ADMIN__SIGN_ON_HEADER", "x-auth-request-email"),
        ("REINSTATE__ADMIN__SIGN_ON_FROM", "10.0.0.7"),
        ("REINSTATE__ADMIN__SIGN_ON_ADMINS", "root@example.test"),
    ];
    for listen in ["0.0.0.0:9090", "[::]:9090", "10.0.0.1:9090", "203.0.113.9:9090"] {
        let told = refused(&[(ADMIN, listen)]);
        assert!(
            told.starts_with("admin.listen: is reached from other machines, and the first token"),
            "{told}"
        );
        assert!(told.contains("admin.bootstrap_token") && told.contains("admin.exposed = true"), "{told}");
        load(&[(ADMIN, listen), TOKEN]);
        load(&[(ADMIN, listen), EXPOSED]);
        load(&[&[(ADMIN, listen)], signed_on.as_slice()].concat());
    }
    for listen in ["127.0.0.1:9090", "[::1]:9090", "127.8.8.8:9090"] {
        load(&[(ADMIN, listen)]);
    }
}

#[test]
fn a_public_address_does_not_speak_plain_http() {
    let folder = Folder::new();
    let file = folder.file("tls", "");
    let tls = [("REINSTATE__ADMIN__TLS_CERT", text(&file)), ("REINSTATE__ADMIN__TLS_KEY", text(&file))];
    for listen in ["8.8.8.8:9090", "[2606:4700::1111]:9090", "[::ffff:8.8.8.8]:9090"] {
        let told = refused(&[(ADMIN, listen), TOKEN]);
        assert!(told.starts_with("admin.listen: is a public address and speaks plain http"), "{told}");
        load(&[(ADMIN, listen), TOKEN, EXPOSED]);
        load(&[&[(ADMIN, listen)], tls.as_slice()].concat());
    }
    load(&[(ADMIN, "100.64.0.1:9090"), TOKEN]);
}

#[test]
fn an_address_list_behind_a_proxy_that_nobody_named_is_not_served() {
    let here = ("REINSTATE__PUBLIC__LISTEN", "127.0.0.1:8080");
    let list = ("REINSTATE__CALLBACK__ALLOW_FROM", "198.51.100.0/24");
    let told = refused(&[here, list]);
    assert!(told.starts_with("callback.allow_from: would judge the proxy and not who calls"), "{told}");
    load(&[here, list, ("REINSTATE__CALLBACK__TRUSTED_PROXIES", "127.0.0.1")]);
    load(&[here, list, ("REINSTATE__PUBLIC__PROXY_PROTOCOL_FROM", "127.0.0.1")]);
    load(&[list]);
    load(&[here]);
}

#[test]
fn keys_that_everybody_knows_are_not_served() {
    let zeros = ("REINSTATE__PRIVACY__MASTER_KEYS", "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let told = refused(&[zeros]);
    assert!(told.starts_with("privacy.master_keys: holds a key of zeros"), "{told}");
    let pretended = ("REINSTATE__NIUM__API_KEY", "sandbox-key");
    let told = refused(&[pretended]);
    assert!(told.starts_with("nium.api_key: is the key of the pretend Nium"), "{told}");
    load(&[pretended, ("REINSTATE__NIUM__BASE_URL", "http://localhost:4010")]);
    assert_eq!(refused(&[pretended, zeros]).lines().count(), 2, "all at once");
}
