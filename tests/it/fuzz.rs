//! The corpora that fuzzing has found, as plain tests: each target reads what is kept of it, and seeds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[path = "../fuzz/targets.rs"]
mod targets;

/// One input a line, in base64; the target's name in front.
const CORPORA: [(&str, &str); 8] = [
    ("callback", include_str!("../fuzz/corpus/callback.txt")),
    ("webhook", include_str!("../fuzz/corpus/webhook.txt")),
    ("answer", include_str!("../fuzz/corpus/answer.txt")),
    ("correction", include_str!("../fuzz/corpus/correction.txt")),
    ("configuration", include_str!("../fuzz/corpus/configuration.txt")),
    ("token", include_str!("../fuzz/corpus/token.txt")),
    ("spool", include_str!("../fuzz/corpus/spool.txt")),
    ("cursor", include_str!("../fuzz/corpus/cursor.txt")),
];

#[test]
fn no_input_that_was_ever_found_makes_a_target_fail() {
    for ((name, target), (corpus, lines)) in targets::TARGETS.iter().zip(CORPORA) {
        assert_eq!(*name, corpus);
        let kept = lines.lines().map(|line| STANDARD.decode(line).unwrap());
        for input in targets::seeds(name).into_iter().chain(kept) {
            // What failed is printed, so that it can be kept as a test of its own.
            let failed = std::panic::catch_unwind(|| target(&input)).is_err();
            assert!(!failed, "{name} fails on {}", STANDARD.encode(&input));
        }
    }
}
