//! `[telemetry]`: what is logged, and how.

use tracing_subscriber::EnvFilter;

use super::problem::shown;
use super::reader::{Reader, Told, choice};

/// Logs.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Which lines are logged: a level, or directives such as `info,reinstate=debug`.
    pub log: String,
    /// How lines are written.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

pub(super) fn read(reader: &mut Reader) -> Result<Telemetry, Told> {
    let log = reader.value("telemetry.log", parse_log);
    let format = reader.value("telemetry.format", |text| {
        choice(text, &[("text", LogFormat::Text), ("json", LogFormat::Json)])
    });
    Ok(Telemetry { log: log?, format: format? })
}

fn parse_log(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    /// Letters in which a word may differ from a level and still be meant as one.
    const MISTAKES_MAX: usize = 2;
    let unclear =
        || format!("must be a level or directives such as info,reinstate=debug, not {}", shown(text));
    if text.trim().is_empty() {
        return Err(unclear());
    }
    EnvFilter::builder().parse(text).map_err(|_| unclear())?;
    // The parser takes a misspelt level for the name of a module, and the logs would fall silent.
    let resembles = |word: &str, level: &str| {
        word.starts_with(level) || strsim::damerau_levenshtein(word, level) <= MISTAKES_MAX
    };
    let misspelt = |word: &&str| {
        let word = word.trim().to_ascii_lowercase();
        let is_one_word = word.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_level = LEVELS.contains(&word.as_str());
        is_one_word && !is_level && LEVELS.iter().any(|level| resembles(&word, level))
    };
    match text.split(',').find(misspelt) {
        Some(word) => {
            Err(format!("has the word {}; the levels are {}", shown(word.trim()), LEVELS.join(", ")))
        }
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_understood_and_misspelt_levels_are_not() {
        for text in ["info", "WARN", "info,reinstate=debug", "warn,hyper=off", "reinstate[request]=trace"] {
            assert!(parse_log(text).is_ok(), "{text}");
        }
        for text in ["", "inof", "debgu", "warning", "reinstate=loud", "info,warnn"] {
            assert!(parse_log(text).is_err(), "{text}");
        }
    }
}
