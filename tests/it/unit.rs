//! The unit of systemd: systemd itself finds it good, scores how little it may do, and the binary understands what it is told.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use reinstate::config::{Config, Sources};

/// The highest score that is good enough; 10 is a service that may do everything. Sockets of the internet and of this machine
/// are 0.9 of it.
const EXPOSURE_MAX: f64 = 1.2;

fn unit() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/systemd/reinstate.service");
    fs::read_to_string(path).unwrap()
}

/// What `systemd-analyze` says of a unit, in which the binary is ours.
fn analyze(folder: &Path, text: &str, args: &[&str]) -> (bool, String) {
    let file = folder.join("reinstate.service");
    fs::write(&file, text.replace("/usr/local/bin/reinstate", env!("CARGO_BIN_EXE_reinstate"))).unwrap();
    let output = Command::new("systemd-analyze")
        .args(args)
        .arg(&file)
        .env("SYSTEMD_LOG_LEVEL", "warning")
        .output()
        .expect("systemd-analyze is here; tests/systemd brings it");
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn exposure(folder: &Path, text: &str) -> f64 {
    let (_, said) = analyze(folder, text, &["security", "--offline=yes", "--no-pager"]);
    let line =
        said.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| panic!("{said}"));
    let number = line.rsplit(": ").next().unwrap().split(' ').next().unwrap();
    number.parse().unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn systemd_finds_the_unit_good_and_lets_it_do_little() {
    let folder = tempfile::tempdir().unwrap();
    let (good, said) = analyze(folder.path(), &unit(), &["verify", "--man=no"]);
    assert!(good && !said.contains("reinstate.service:"), "{said}");
    let score = exposure(folder.path(), &unit());
    assert!(score <= EXPOSURE_MAX, "{score}");
    // The checks see mistakes.
    let (_, said) = analyze(
        folder.path(),
        &unit().replace("NoNewPrivileges=yes", "NoNewPrivilege=yes"),
        &["verify", "--man=no"],
    );
    assert!(said.contains("Unknown key 'NoNewPrivilege'"), "{said}");
    let open = exposure(folder.path(), &unit().replace("SystemCallFilter=", "# SystemCallFilter="));
    assert!(open > EXPOSURE_MAX, "{open}");
}

#[test]
fn the_binary_understands_what_the_unit_tells_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("nium_api_key"), "a-key").unwrap();
    fs::write(folder.path().join("master_keys"), "k1:dGhpcnR5LXR3byBieXRlcyBmb3IgdGhlIHRlc3RzLi4=").unwrap();
    let unit = unit();
    let of = |key: &str| -> Vec<String> {
        let lines = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        lines.map(|value| value.replace("%d", &folder.path().display().to_string())).collect()
    };
    let variables: Vec<String> = of("Environment");
    // Whatever else is set here would win over the file in silence.
    assert!(variables.iter().all(|variable| variable.contains("_FILE=")) && variables.len() == 2);
    let elsewhere = folder.path().join("reinstate.toml");
    fs::write(&elsewhere, "[store]\nurl = \"sqlite:/elsewhere/reinstate.db\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_reinstate"));
    command.current_dir(folder.path()).env("REINSTATE__NIUM__CLIENT_HASH_ID", crate::house::CLIENT);
    for variable in &variables {
        let (name, value) = variable.split_once('=').unwrap();
        command.env(name, value);
    }
    let said = command.arg("--config").arg(&elsewhere).arg("check-config").output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    env.insert("REINSTATE__NIUM__CLIENT_HASH_ID".to_owned(), crate::house::CLIENT.to_owned());
    env.extend(
        variables
            .iter()
            .filter_map(|variable| variable.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let config = Config::load(&Sources { file: Some(elsewhere.clone()), env }).unwrap();
    let url = format!("{:?}", config.store.url);
    assert!(url.contains("/elsewhere/reinstate.db"), "{url}");
    // Of a command before it the status that is not to be tried again would be.
    assert!(of("ExecStart")[0].ends_with(" serve") && of("ExecStartPre").is_empty());
    // What was written down when the service stops must fit into the time that systemd gives.
    assert_eq!(of("RestartPreventExitStatus"), ["64"]);
    for credential in of("LoadCredential") {
        let name = credential.split(':').next().unwrap().to_owned();
        assert!(
            variables.iter().any(|variable| variable.ends_with(&format!("/{name}"))),
            "{name} is not used"
        );
    }
}
