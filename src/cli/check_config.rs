//! `reinstate check-config`: tells whether the configuration is good, without starting anything.

use std::io::{self, Write};

use crate::config::{Config, Sources};

/// Exit code: the configuration is good, perhaps with warnings.
const GOOD: u8 = 0;

/// Exit code: the answer could not be written.
const FAILED: u8 = 1;

/// Exit code: the configuration has problems (`EX_USAGE` of sysexits).
const BAD_CONFIG: u8 = 64;

/// Loads the configuration; writes a confirmation, the fingerprint and every warning to `out`, or every problem to
/// `err`. The answer is the process's exit code: 0 good, 64 bad, 1 if the answer could not be written.
pub fn run(sources: &Sources, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    tell(sources, out, err).unwrap_or(FAILED)
}

fn tell(sources: &Sources, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    match Config::load(sources) {
        Ok(config) => {
            writeln!(out, "configuration is good (fingerprint {})", config.fingerprint())?;
            for warning in config.warnings() {
                writeln!(out, "warning: {warning}")?;
            }
            out.flush()?;
            Ok(GOOD)
        }
        Err(problems) => {
            let count = problems.0.len();
            writeln!(err, "configuration has {count} problem{}:", if count == 1 { "" } else { "s" })?;
            writeln!(err, "{problems}")?;
            err.flush()?;
            Ok(BAD_CONFIG)
        }
    }
}
