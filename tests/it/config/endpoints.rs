//! Endpoints of the app backend: how they are written, and what is said of those that cannot be.

use super::*;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";

#[test]
fn an_endpoint_has_a_name_secrets_and_a_filter() {
    let folder = Folder::new();
    let file = folder.file("secrets", &format!("{SECRET}\n\nwhsec_QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJC\n"));
    let toml = format!(
        "[notify.webhook]\nurl = \"https://a.example.test\"\nsecrets = [\"{SECRET}\"]\n\
         [[notify.endpoints]]\nname = \"billing\"\nurl = \"https://b.example.test/h\"\nsecrets_file = \"{}\"\n\
         events = [\"customer.reinstated\"]\ntimeout_ms = 500\n\
         [[notify.endpoints]]\nname = \"local\"\nurl = \"http://127.0.0.1:9/h\"\nsecrets = [\"{SECRET}\"]\nallow_private = true\n",
        text(&file)
    );
    let config = folder.load(&toml, &[]).unwrap();
    let all = config.notify.all();
    let names: Vec<&str> = all.iter().map(|endpoint| endpoint.name.as_str()).collect();
    assert_eq!(names, ["default", "billing", "local"]);
    let (billing, local) = (&all[1], &all[2]);
    assert_eq!((billing.webhook.secrets.len(), billing.webhook.timeout.as_millis()), (2, 500));
    assert_eq!(
        billing.events.iter().map(|event| event.as_str()).collect::<Vec<_>>(),
        ["customer.reinstated"]
    );
    assert!(local.webhook.allow_private && local.events.is_empty() && !billing.webhook.allow_private);
    assert!(!format!("{config:?}").contains("MDEy"), "a secret does not print itself");
    assert!(config.warnings().iter().all(|warning| !warning.contains("told nothing")));
}

#[test]
fn every_fault_of_every_endpoint_is_told_and_no_secret() {
    let toml = format!(
        "[notify.webhook]\nurl = \"https://a.example.test\"\nsecrets = [\"{SECRET}\"]\n\
         [[notify.endpoints]]\nname = \"Billing\"\nurl = \"http://b.example.test\"\nsecrets = [\"hush\"]\nevents = [\"customer.sung\"]\n\
         [[notify.endpoints]]\nname = \"default\"\nurl = \"https://10.0.0.1/h\"\nallow_private = 1\ncolour = \"red\"\n\
         [[notify.endpoints]]\nname = \"default\"\nurl = \"https://c.example.test\"\nsecrets = [\"{SECRET}\"]\ntimeout_ms = 1\n\
         [[notify.endpoints]]\nname = \"d\"\nurl = \"https://169.254.169.254\"\nsecrets = [\"{SECRET}\"]\nsecrets_file = \"x\"\n\
         [[notify.endpoints]]\nname = \"default\"\nurl = \"https://c.example.test\"\nsecrets = [\"{SECRET}\"]\n"
    );
    let told = Folder::new().refused(&toml);
    let expected = [
        r#"endpoint 1 ("Billing") must have a name of 1 to 32 small letters, digits and hyphens"#,
        r#"endpoint 1 ("Billing") has a url that must begin with https://: plain http is for this machine only"#,
        r#"endpoint 1 ("Billing") has a secret (1) that must begin with whsec_"#,
        r#"endpoint 1 ("Billing") has the event "customer.sung"; README.md lists them"#,
        r#"endpoint 2 ("default") has the unknown key "colour"; an endpoint has name, url, secrets, secrets_file, events, allow_private, timeout_ms"#,
        r#"endpoint 2 ("default") has as allow_private a whole number instead of true or false"#,
        r#"endpoint 2 ("default") has no signing secret; make one: echo whsec_$(openssl rand -base64 32)"#,
        r#"endpoint 3 ("default") has a timeout_ms that must be between 100 and 60000"#,
        r#"endpoint 4 ("d") has a url that names a private or loopback place; allow_private = true beside it allows that"#,
        r#"endpoint 4 ("d") has both secrets and secrets_file; keep one of the two"#,
        r#"endpoint 5 ("default") has the name of an earlier endpoint"#,
    ];
    let told: Vec<&str> =
        told.lines().filter_map(|line| line.split_once("): ").map(|(_, why)| why)).collect();
    assert_eq!(told, expected);
}
