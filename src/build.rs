//! What `reinstate --version` says besides the number: the commit and its date. A build says the same whenever and wherever it
//! is made: the date is the commit's, and a debug build names none.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=REINSTATE_COMMIT");
    println!("cargo:rerun-if-changed=src/build.rs");
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    // An image is built without the repository: whoever builds it says the commit.
    let given = std::env::var("REINSTATE_COMMIT").ok().filter(|said| !said.is_empty());
    let said = given.or_else(|| is_release.then(commit).flatten());
    println!("cargo:rustc-env=REINSTATE_BUILD={}", said.as_deref().unwrap_or("no commit"));
}

/// The commit that is checked out, its date, and whether the tree differs from it.
fn commit() -> Option<String> {
    for changing in ["logs/HEAD", "index"] {
        println!("cargo:rerun-if-changed={}", git(&["rev-parse", "--git-path", changing])?);
    }
    for built in ["src", "config", "Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={built}");
    }
    let commit = git(&["log", "-1", "--format=%h %cs", "--abbrev=12"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}, changed") })
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
