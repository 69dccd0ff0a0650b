//! The house rules, as tests: who may know whom, no circles, lengths, banned words, and that what the README claims is
//! there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file and function, in lines.
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// Who may name whom (design, section 3). A module that is not here names nothing of ours.
const ARROWS: &[(&str, &[&str])] = &[
    ("flow", &["domain"]),
    ("nium", &["domain", "clock", "secret"]),
    ("vault", &["domain", "clock", "secret"]),
    ("store", &["domain", "clock"]),
    ("metrics", &["domain"]),
    ("traces", &["domain"]),
    ("spool", &["domain"]),
    ("worker", &["domain", "flow", "nium", "store", "vault", "spool", "metrics", "traces", "clock"]),
    ("ops", &["domain", "nium", "store", "vault", "metrics", "clock"]),
    ("http", &["domain", "ops", "store", "vault", "spool", "metrics", "traces", "clock", "secret"]),
    ("config", &["domain", "secret"]),
    (
        "app",
        &[
            "clock",
            "config",
            "domain",
            "flow",
            "http",
            "lifecycle",
            "metrics",
            "nium",
            "ops",
            "secret",
            "spool",
            "store",
            "telemetry",
            "traces",
            "vault",
            "worker",
        ],
    ),
];

/// `cli` starts everything; it may name whom it likes, and nobody names it.
const TOP: &str = "cli";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix("src").unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The text without its tests and comments.
fn production(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every top-level module that a text names, with `use` groups opened.
fn named(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut word, mut fresh) = (1, String::new(), true);
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => fresh = true,
                    c if fresh && depth == 1 && (c.is_alphanumeric() || c == '_') => word.push(c),
                    ':' | ' ' | '\n' => {}
                    _ => fresh = false,
                }
                if !(word.is_empty() || c.is_alphanumeric() || c == '_') {
                    names.insert(std::mem::take(&mut word));
                    fresh = c == ',';
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            names.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    names
}

fn graph() -> BTreeMap<String, BTreeSet<String>> {
    let sources = files("src", "rs");
    let modules: BTreeSet<String> = sources.iter().map(|(path, _)| module_of(path)).collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in &sources {
        let module = module_of(path);
        if path.ends_with("tests.rs") || ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let used =
            named(&production(text)).into_iter().filter(|name| modules.contains(name) && *name != module);
        graph.entry(module.clone()).or_default().extend(used);
    }
    graph
}

#[test]
fn arrows_go_down_only() {
    for (module, used) in graph() {
        if module == TOP {
            continue;
        }
        let allowed = ARROWS.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, allowed)| allowed);
        for name in used {
            assert!(allowed.contains(&name.as_str()), "{module} names {name}, which it may not know");
        }
    }
}

#[test]
fn there_are_no_circles() {
    let mut left = graph();
    // Taking away whoever names nobody that is left must take everybody away.
    loop {
        let leaves: Vec<String> = left
            .iter()
            .filter(|(_, used)| used.iter().all(|name| !left.contains_key(name)))
            .map(|(name, _)| name.clone())
            .collect();
        if leaves.is_empty() {
            break;
        }
        for leaf in leaves {
            left.remove(&leaf);
        }
    }
    assert!(left.is_empty(), "these name each other: {:?}", left.keys());
}

#[test]
fn the_reader_of_arrows_reads_groups() {
    let text = "use crate::{clock::Clock, domain::{id::X, case}, flow};\nlet x = crate::store::y;";
    let names: Vec<String> = named(text).into_iter().collect();
    assert_eq!(names, ["clock", "domain", "flow", "store"]);
}

/// What a store offers to the door above it, in order, and whether a comment says why it is not the other one's.
fn offered(path: &str) -> Vec<(String, bool)> {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let Some(name) =
            line.strip_prefix("pub(super) fn ").or_else(|| line.strip_prefix("pub(super) async fn "))
        else {
            continue;
        };
        let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let comment = lines[..place].iter().rev().take_while(|line| line.starts_with("//"));
        found.push((name, comment.into_iter().any(|line| line.contains("differs:"))));
    }
    found
}

#[test]
fn the_two_stores_offer_the_same_in_the_same_order_and_each_difference_has_its_reason() {
    let (sqlite, postgres) = (offered("src/store/sqlite.rs"), offered("src/store/postgres.rs"));
    let names = |all: &[(String, bool)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let (theirs, ours) = (names(&sqlite), names(&postgres));
    let shared: Vec<_> = ours.iter().filter(|name| theirs.contains(name)).cloned().collect();
    assert_eq!(theirs, shared, "every function of one is a function of the other, in the same order");
    for (name, has_reason) in &postgres {
        assert!(*has_reason || theirs.contains(name), "postgres.rs: fn {name}: `differs:` says why");
    }
    assert!(shared.len() >= 5, "{shared:?}");
}

#[test]
fn files_and_functions_can_be_read_at_a_glance() {
    for (path, text) in
        files("src", "rs").into_iter().chain(files("tests", "rs")).chain(files("benches", "rs"))
    {
        let lines = text.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines", path.display());
        for (name, lines) in functions(&text) {
            assert!(lines <= FUNCTION_LINES_MAX, "{}: fn {name} has {lines} lines", path.display());
        }
    }
}

/// Functions with their lengths; relies on rustfmt putting the closing brace where the opening line began.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let Some((_, after)) = body.split_once("fn ") else {
            continue;
        };
        let starts = body.split("fn ").next().unwrap().split_whitespace().all(|word| {
            word.starts_with("pub") || ["async", "const", "unsafe", "in", "super)", "crate)"].contains(&word)
        });
        if !starts {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        if let Some(length) = lines[start..].iter().position(|line| *line == end) {
            let name = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((name, length + 1));
        }
    }
    found
}

#[test]
fn banned_words_stay_out() {
    let banned = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X "),
        concat!("#[", "allow("),
        concat!("#[", "ignore"),
    ];
    // What needs another release's binary runs in the script that builds one.
    let elsewhere = concat!("#[", "ignore = \"tests/rollback builds the release before, and runs this\"]");
    for (path, text) in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        let text = text.replace(elsewhere, "");
        for word in banned {
            assert!(!text.contains(word), "{} says {word}", path.display());
        }
    }
    let runs_it = std::fs::read_to_string(root().join("tests/rollback")).unwrap();
    assert!(runs_it.contains("--ignored rollback::"), "tests/rollback runs what is left out elsewhere");
    for name in ["utils", "common", "types", "helpers", "core"] {
        let twin = |ending: &str| root().join(format!("src/{name}{ending}")).exists();
        assert!(!twin("") && !twin(".rs"), "src/{name} would be a drawer for everything");
    }
}

#[test]
fn sql_of_both_tells_what_it_is_for() {
    for (path, text) in files("src/store/migrations", "sql") {
        assert!(text.starts_with("-- "), "{} begins with what it is for", path.display());
        let twin = path.to_str().unwrap();
        let twin = match twin.strip_suffix(".sqlite.sql") {
            Some(name) => format!("{name}.postgres.sql"),
            None => twin.replace(".postgres.sql", ".sqlite.sql"),
        };
        assert!(root().join(&twin).exists(), "{} has no twin", path.display());
        if twin.ends_with(".sqlite.sql") {
            continue;
        }
        assert!(
            text.matches("STRICT").count() >= text.matches("CREATE TABLE").count(),
            "{}: every table is STRICT",
            path.display()
        );
    }
}

#[test]
fn every_command_of_the_readme_exists() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_reinstate")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let mut seen = 0;
    for line in readme.lines().filter(|line| line.trim_start().starts_with("reinstate ")) {
        let command = line.split_whitespace().nth(1).unwrap();
        assert!(
            help.contains(&format!("\n  {command}")),
            "the README shows `{}`, which --help does not know",
            line.trim()
        );
        seen += 1;
    }
    assert!(seen >= 4, "the README shows the commands");
    for word in readme
        .split(['`', ' ', '(', ')', '\n'])
        .filter(|word| word.starts_with("tests/") || word.starts_with("config/"))
    {
        assert!(
            root().join(word.trim_end_matches(['.', ','])).exists(),
            "the README names {word}, which is not there"
        );
    }
}

#[test]
fn every_metric_that_is_named_somewhere_exists() {
    let registered: String = files("src/metrics", "rs").into_iter().map(|(_, text)| text).collect();
    let mut named: Vec<(String, String)> = Vec::new();
    for file in ["README.md", "config/reinstate.toml"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        named.extend(
            text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .filter(|word| word.starts_with("reinstate_"))
                .map(|word| (file.to_owned(), word.to_owned())),
        );
    }
    assert!(!named.is_empty());
    for (file, metric) in named {
        let bare =
            metric.trim_start_matches("reinstate_").trim_end_matches("_total").trim_end_matches("_seconds");
        assert!(registered.contains(&format!("\"{bare}\"")), "{file} names {metric}, which nobody registers");
    }
}

#[test]
fn the_code_map_names_what_is_there() {
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    assert!(map.lines().count() <= 120, "the code map fits on a page or two");
    for (path, _) in files("src", "rs") {
        let module = module_of(&path);
        if !["lib", "main", "build"].contains(&module.as_str()) {
            assert!(map.contains(&format!("pub mod {module};")), "{module} is missing in lib.rs");
            assert!(map.contains(&format!("`{module}`")), "{module} is not on the code map");
        }
    }
    for word in map.split('`').filter(|word| word.starts_with("tests/") || word.starts_with("src/")) {
        assert!(
            root().join(word.split("::").next().unwrap()).exists(),
            "the code map names {word}, which is not there"
        );
    }
}
