//! One program for all targets; `REINSTATE_FUZZ_TARGET` names one.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

mod targets;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let name = std::env::var("REINSTATE_FUZZ_TARGET").unwrap_or_default();
    let found = targets::TARGETS.iter().find(|(known, _)| *known == name);
    let names: Vec<&str> = targets::TARGETS.iter().map(|(known, _)| *known).collect();
    found.unwrap_or_else(|| panic!("REINSTATE_FUZZ_TARGET is one of {}", names.join(", "))).1
});

fuzz_target!(|input: &[u8]| TARGET(input));
