//! `config/promises.md` is true: every promise names tests that exist, and nothing that the README or the intake promises is
//! left out.

use std::path::Path;

const PROMISES: &str = include_str!("../../config/promises.md");
const README: &str = include_str!("../../README.md");
const INTAKE: &str = include_str!("../../src/http/callback.rs");

/// Promise, and by what it is held.
fn rows() -> Vec<(&'static str, &'static str)> {
    let rows = PROMISES.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let rows = rows.map(|line| line.trim_matches('|').split_once(" | ").expect("two columns"));
    rows.map(|(promise, held)| (promise.trim(), held.trim()))
        .filter(|(promise, _)| *promise != "Promise")
        .collect()
}

/// Whether `tests/it/MODULE.rs`, or a file of its folder, has this test.
pub(crate) fn is_there(module: &str, test: &str) -> bool {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let folder =
        std::fs::read_dir(tests.join(module)).into_iter().flatten().map(|entry| entry.unwrap().path());
    let files = folder.chain([tests.join(format!("{module}.rs"))]);
    files.filter_map(|file| std::fs::read_to_string(file).ok()).any(|source| {
        let Some(at) = source.find(&format!("fn {test}(")) else { return false };
        // A helper of that name would hold nothing.
        source[..at]
            .trim_end()
            .trim_end_matches("async")
            .trim_end()
            .rsplit("\n\n")
            .next()
            .unwrap_or_default()
            .contains("test")
    })
}

#[test]
fn every_promise_is_held_by_tests_that_exist() {
    let rows = rows();
    assert!(rows.len() > 40, "{}", rows.len());
    for (promise, held) in rows {
        let tests: Vec<(&str, &str)> =
            held.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::")).collect();
        assert!(!tests.is_empty(), "nothing holds: {promise}");
        for (module, test) in tests {
            assert!(is_there(module, test), "{promise}: there is no {module}::{test}");
        }
    }
    assert!(
        !is_there("promises", "rows") && !is_there("promises", "nothing"),
        "the check would find anything"
    );
}

#[test]
fn what_the_readme_says_of_failures_is_promised_here() {
    let table = README.split("## What survives which failure").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| "));
    let mut seen = 0;
    for line in table.skip(1) {
        let what = line.trim_matches('|').split(" | ").next().unwrap().trim();
        if what.starts_with("---") {
            continue;
        }
        assert!(
            rows().iter().any(|(promise, _)| *promise == what),
            "the README promises, and nothing holds: {what}"
        );
        seen += 1;
    }
    assert!(seen >= 15, "{seen}");
}

#[test]
fn every_status_of_the_intake_is_promised_here() {
    let words = [
        ("StatusCode::OK", "200"),
        ("StatusCode::BAD_REQUEST", "400"),
        ("StatusCode::FORBIDDEN", "403"),
        ("StatusCode::METHOD_NOT_ALLOWED", "405"),
        ("StatusCode::REQUEST_TIMEOUT", "408"),
        ("StatusCode::PAYLOAD_TOO_LARGE", "413"),
        ("StatusCode::SERVICE_UNAVAILABLE", "503"),
    ];
    for used in INTAKE.split("StatusCode::").skip(1) {
        let name: String = used.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
        let known = words.iter().find(|(word, _)| *word == format!("StatusCode::{name}"));
        assert!(known.is_some() || name.is_empty(), "StatusCode::{name} is promised nowhere");
    }
    for (_, status) in words {
        assert!(rows().iter().any(|(promise, _)| promise.contains(status)), "{status}");
    }
}
