//! Alerts, dashboard and runbooks fit each other and what is served; Prometheus itself is asked (`tests/prometheus` brings it).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::house::{House, client, lasting_address};
use crate::restart::Ground;

/// How long Prometheus may take to have read something.
const PATIENCE: Duration = Duration::from_mins(1);
/// What Prometheus has by itself.
const NOT_OURS: [&str; 1] = ["up"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// A program of Debian's package, unpacked by `tests/prometheus` or in `PATH`.
fn tool(name: &str) -> PathBuf {
    let own = root().join("target/tools/prometheus/usr/bin").join(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    if own.exists() { Some(own) } else { places.find(|place| place.exists()) }
        .unwrap_or_else(|| panic!("{name} is not here; run tests/prometheus"))
}

struct Alert {
    name: String,
    severity: String,
    expr: String,
    summary: String,
    runbook: String,
}

/// The alerts as they are written: one key a line.
fn alerts() -> Vec<Alert> {
    let file = text("config/alerts.yml");
    let rules = file.split("- alert: ").skip(1);
    let of = |rule: &str, key: &str| {
        let line = rule.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: ")));
        line.unwrap_or_else(|| panic!("no {key} in\n{rule}")).trim_matches(['\'', '"']).to_owned()
    };
    rules
        .map(|rule| Alert {
            name: rule.lines().next().unwrap().to_owned(),
            severity: of(rule, "severity"),
            expr: of(rule, "expr"),
            summary: of(rule, "summary"),
            runbook: of(rule, "runbook"),
        })
        .collect()
}

/// Every query of the dashboard, as Prometheus is asked.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&text("config/grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap().replace("$__rate_interval", "5m")).collect()
}

/// The series of a scrape: name, labels.
fn series(scrape: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let lines = scrape.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| selector(line.rsplit_once(' ').unwrap().0)).collect()
}

/// `name{a="b",c=~"d"}`, with the labels' values as they are written.
fn selector(text: &str) -> (String, BTreeMap<String, String>) {
    let (name, labels) = text.split_once('{').unwrap_or((text, ""));
    let parts = labels.trim_end_matches('}').split(',').filter_map(|part| part.split_once('='));
    let labels = parts.map(|(label, value)| {
        (label.trim().to_owned(), value.trim_start_matches('~').trim_matches('"').to_owned())
    });
    (name.to_owned(), labels.collect())
}

/// Every selector of a query.
fn selectors(query: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices("reinstate_") {
        let rest = &query[at..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let labels = rest[end..].strip_prefix('{').map_or(0, |labels| labels.find('}').unwrap() + 2);
        found.push(selector(&rest[..end + labels]));
    }
    found
}

async fn scrape(house: &House) -> String {
    let url = format!("http://{}/metrics", house.admin);
    house.http.get(url).send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_and_label_that_alerts_and_dashboard_ask_for_is_served_from_the_start() {
    let house = House::start().await;
    let served = series(&scrape(&house).await);
    let queries = queries();
    let asked = alerts().into_iter().map(|alert| alert.expr).chain(queries).collect::<Vec<_>>();
    assert!(asked.len() > 60, "{}", asked.len());
    for query in &asked {
        let wanted = selectors(query);
        assert!(
            !wanted.is_empty() || NOT_OURS.iter().any(|name| query.starts_with(name)),
            "{query} asks for nothing of ours"
        );
        for (name, labels) in wanted {
            let of_name: Vec<_> = served.iter().filter(|(served, _)| *served == name).collect();
            assert!(!of_name.is_empty(), "{query}: nothing serves {name}");
            for (label, values) in labels {
                for value in values.split('|') {
                    let has =
                        of_name.iter().any(|(_, labels)| labels.get(&label).is_some_and(|v| v == value));
                    assert!(has, "{query}: {name} has no {label}=\"{value}\"");
                }
            }
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_journey_adds_no_series_and_every_metric_says_what_it_is() {
    let house = House::start().await;
    let names = |scrape: &str| -> BTreeSet<String> {
        scrape
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|l| l.rsplit_once(' ').unwrap().0.to_owned())
            .collect()
    };
    house
        .eventually("the endpoint is known", async || {
            scrape(&house).await.contains("reinstate_endpoint_disabled{")
        })
        .await;
    let before = scrape(&house).await;
    house.ear.refuse_next(&[500]);
    let id = house.rejected("Ana").await;
    let unknown = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";
    let url = format!("http://{}/callback/compliance?customerHashId={unknown}", house.public);
    assert_eq!(house.http.post(&url).send().await.unwrap().status(), 200);
    assert_eq!(house.http.post(url.replace(unknown, "nobody")).send().await.unwrap().status(), 400);
    house
        .fault(serde_json::json!({ "endpoint": "details", "kind": "status", "code": 503, "times": 1 }))
        .await;
    house.resubmission(&id, "review").await;
    assert_eq!(house.correct(&id, serde_json::json!({ "firstName": "Ana Maria" })).await.0, 202);
    house.heard(&id, "customer.submitted").await;
    let blocked = serde_json::json!({ "action": "TEMPORARY_BLOCK", "reason": "CLIENT_REQUEST" });
    house.ask(reqwest::Method::POST, &format!("/v1/customers/{id}/block"), Some(blocked)).await;
    house.nium_says(&id, serde_json::json!({ "complianceStatus": "PONDERING" })).await;
    house.until(&id, "needs_officer").await;
    assert!(house.metric("reinstate_looks_total{outcome=\"seen\"}").await > 2);
    let after = scrape(&house).await;
    let (before, after_names) = (names(&before), names(&after));
    let new: Vec<_> = after_names.symmetric_difference(&before).collect();
    assert!(new.is_empty(), "series that came or went: {new:?}");
    let help: BTreeSet<&str> = after
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '))
        .filter(|(_, help)| help.len() > 10)
        .map(|(name, _)| name)
        .collect();
    for line in after.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(help.contains(name), "{name} does not say what it is");
    }
    house.close().await;
}

#[test]
fn every_alert_has_its_section_in_the_runbooks_and_every_section_its_alert() {
    let runbooks = text("config/runbooks.md");
    let after = runbooks.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap());
    let sections: BTreeMap<&str, &str> = after.collect();
    let about_all = ["Before anything else", "Upgrading and going back"];
    let alerts = alerts();
    let names: BTreeSet<&str> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    assert_eq!(names.len(), alerts.len(), "a name stands twice");
    for alert in &alerts {
        let Alert { name, severity, summary, runbook, .. } = alert;
        assert!(["page", "ticket"].contains(&severity.as_str()), "{name}: {severity}");
        assert!(summary.len() > 15, "{name}: {summary}");
        assert_eq!(*runbook, format!("config/runbooks.md#{}", name.to_lowercase()));
        let section = sections.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no section"));
        let parts = ["**What it means.** ", "**What to look at.**\n\n- ", "**What to do.**\n\n- "];
        let places: Vec<_> = parts.iter().map(|part| section.find(part)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{name}: {places:?}");
        assert!(section.contains(&format!("({severity})")), "{name}: {severity}");
    }
    for section in sections.keys().filter(|section| !about_all.contains(section)) {
        assert!(names.contains(section), "the section {section} is about no alert");
    }
}

#[test]
fn every_command_and_setting_of_the_runbooks_exists() {
    let runbooks = text("config/runbooks.md");
    let settings = text("config/reinstate.toml");
    let mut seen = (0, 0);
    for word in runbooks.split('`').skip(1).step_by(2) {
        let mut words = word.split(' ');
        if words.next() == Some("reinstate") {
            let command: Vec<&str> = words
                .take_while(|word| {
                    !word.starts_with('-') && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
                })
                .collect();
            let help =
                Command::new(env!("CARGO_BIN_EXE_reinstate")).args(&command).arg("--help").output().unwrap();
            assert!(help.status.success(), "{word}");
            let help = String::from_utf8(help.stdout).unwrap();
            for option in word.split(' ').filter(|word| word.starts_with("--")) {
                assert!(help.contains(option), "{word}: {option}");
            }
            seen.0 += 1;
        } else if let Some((section, key)) = word.split_once('.').filter(|(section, key)| {
            settings.contains(&format!("\n[{section}]"))
                && key.chars().next().is_some_and(char::is_alphabetic)
        }) {
            let key = key.split(' ').next().unwrap();
            let is_set =
                settings.contains(&format!("\n{key} = ")) || settings.contains(&format!("\n# {key} = "));
            assert!(is_set || settings.contains(&format!("[{section}.{key}]")), "{word}");
            seen.1 += 1;
        }
    }
    assert!(seen.0 > 25 && seen.1 > 10, "{seen:?}");
}

fn promtool(args: &[&Path]) -> (bool, String) {
    let output = Command::new(tool("promtool")).args(args).current_dir(root()).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn promtool_finds_the_rules_good_and_sees_each_of_them_fire_and_keep_quiet() {
    let tests = text("tests/it/alerts/alerts_test.yml");
    let rules = text("config/alerts.yml");
    let (good, said) = promtool(&["check".as_ref(), "rules".as_ref(), "config/alerts.yml".as_ref()]);
    assert!(good, "{said}");
    let folder = tempfile::tempdir().unwrap();
    let run = |rules: &str| {
        fs::write(folder.path().join("alerts.yml"), rules).unwrap();
        let tests = tests.replace("../../../config/alerts.yml", "alerts.yml");
        let file = folder.path().join("test.yml");
        fs::write(&file, tests).unwrap();
        promtool(&["test".as_ref(), "rules".as_ref(), &file])
    };
    let (good, said) = run(&rules);
    assert!(good, "{said}");
    // A test that cannot fail is none: rules that never fire, and rules that always do.
    let with = |expr: &str| {
        let lines = rules.lines().map(|line| match line.split_once("expr: ") {
            Some((before, _)) => format!("{before}expr: {expr}"),
            None if line.trim().starts_with("for: ") => String::new(),
            None => line.to_owned(),
        });
        run(&lines.collect::<Vec<_>>().join("\n"))
    };
    let (good, said) = with("vector(0) > 1");
    assert!(!good);
    for alert in alerts() {
        assert!(
            said.contains(&format!("alertname=\"{}\"", alert.name)),
            "{} is not seen to fire",
            alert.name
        );
        for word in ["fires", "quiet"] {
            assert!(tests.contains(&format!("- name: {} {word}\n", alert.name)), "{}: {word}", alert.name);
        }
    }
    let (good, said) = with("vector(1)");
    assert!(!good);
    assert_eq!(said.matches("exp: nil").count(), alerts().len(), "each is seen to keep quiet");
}

/// A Prometheus that scrapes one address every second and holds our rules.
struct Prometheus {
    url: String,
    http: reqwest::Client,
    _child: tokio::process::Child,
}

impl Prometheus {
    fn start(folder: &Path, target: std::net::SocketAddr) -> Self {
        let rules = root().join("config/alerts.yml");
        let settings = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\n\
             scrape_configs:\n- job_name: reinstate\n  static_configs: [{{targets: ['{target}']}}]\n",
            rules.display()
        );
        fs::write(folder.join("prometheus.yml"), settings).unwrap();
        let address = lasting_address();
        let child = tokio::process::Command::new(tool("prometheus"))
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { url: format!("http://{address}/api/v1"), http: client(), _child: child }
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let answer = self.http.get(format!("{}/{path}", self.url)).query(query).send().await.ok()?;
        answer.json().await.ok()
    }

    async fn until(&self, what: &str, query: &str) {
        let begun = std::time::Instant::now();
        loop {
            let answer = self.ask("query", &[("query", query)]).await.unwrap_or_default();
            if answer["data"]["result"].as_array().is_some_and(|found| !found.is_empty()) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: {answer}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_the_real_binary_takes_the_rules_and_answers_every_query_of_the_dashboard() {
    let folder = tempfile::tempdir().unwrap();
    let ground = Ground::new(folder.path()).await;
    let _running = ground.start();
    ground.first_sweep_is_over().await;
    ground.nium_is_behind().await;
    ground.journey(0).await;
    let own = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(own.path(), ground.doors[0].admin);
    prometheus.until("it scrapes", "count_over_time(up{job=\"reinstate\"}[1m]) >= 3 and up == 1").await;
    for query in queries() {
        // One scrape that takes too long leaves a hole of a second in everything.
        prometheus.until(&query, &query).await;
    }
    let reinstated = "max(reinstate_decisions_total{state=\"reinstated\"}) == 1";
    prometheus.until("the journey is in it", reinstated).await;
    // All rules have been asked at least once.
    let mut rules = Value::Null;
    for _ in 0..200 {
        rules = prometheus.ask("rules", &[]).await.unwrap()["data"]["groups"][0]["rules"].take();
        if rules.as_array().is_some_and(|rules| {
            rules.iter().all(|rule| rule["health"] == "ok" && rule["state"] == "inactive")
        }) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let rules = rules.as_array().unwrap();
    assert_eq!(rules.len(), alerts().len());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        assert_eq!(rule["state"], "inactive", "nothing is wrong here: {rule}");
    }
}
