//! Where what we build from comes from: the lock file against `deny.toml`, and what a build says of itself.

use std::process::Command;

use toml::Table;

const LOCK: &str = include_str!("../../Cargo.lock");
const DENY: &str = include_str!("../../deny.toml");

fn packages() -> Vec<Table> {
    let lock: Table = LOCK.parse().unwrap();
    lock["package"].as_array().unwrap().iter().map(|package| package.as_table().unwrap().clone()).collect()
}

#[test]
fn every_package_comes_from_the_one_registry_with_its_checksum_and_none_is_banned() {
    let deny: Table = DENY.parse().unwrap();
    let banned: Vec<&str> =
        deny["bans"]["deny"].as_array().unwrap().iter().map(|ban| ban["crate"].as_str().unwrap()).collect();
    assert_eq!(deny["sources"]["unknown-registry"].as_str(), Some("deny"));
    assert!(banned.len() > 5);
    let packages = packages();
    assert!(packages.len() > 200, "{}", packages.len());
    let mut sources = std::collections::BTreeSet::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        assert!(!banned.contains(&name), "{name} is banned by deny.toml");
        let Some(source) = package.get("source") else {
            assert_eq!(name, "reinstate", "only we are here without a source");
            continue;
        };
        sources.insert(source.as_str().unwrap().to_owned());
        assert_eq!(package["checksum"].as_str().unwrap().len(), 64, "{name}");
    }
    assert!(
        sources.len() == 1 && sources.iter().all(|source| source.starts_with("registry+")),
        "{sources:?}"
    );
}

/// `ring` stands in the lock file for platforms and features that we do not build.
#[test]
fn one_provider_of_cryptography_is_built_in() {
    for (name, is_there) in [("ring", false), ("aws-lc-rs", true)] {
        let tree = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "--locked",
                "--edges",
                "normal,build",
                "--prefix",
                "none",
                "--invert",
                name,
            ])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert_eq!(!tree.stdout.is_empty(), is_there, "{name}: {}", String::from_utf8_lossy(&tree.stdout));
    }
}

#[test]
fn a_program_says_which_release_and_commit_it_is() {
    let said = Command::new(env!("CARGO_BIN_EXE_reinstate")).arg("--version").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let rest = said.trim().strip_prefix(concat!("reinstate ", env!("CARGO_PKG_VERSION"), " (")).unwrap();
    let commit = rest.strip_suffix(')').unwrap();
    let known = commit.split_once(' ').is_some_and(|(hash, date)| {
        hash.len() == 12 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && date.len() >= 10
    });
    assert!(known || commit == "no commit", "{said}");
}
