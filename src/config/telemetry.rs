//! `[telemetry]`: what is logged, and how; where traces go.

use std::ops::RangeInclusive;

use reqwest::header::{HeaderName, HeaderValue};
use tracing_subscriber::EnvFilter;

use super::address::{base_url, without_end_slash};
use super::problem::shown;
use super::reader::{Reader, Told, choice};
use crate::secret::Secret;

/// The share of customers that is traced.
const RATIO: RangeInclusive<f64> = 0.0..=1.0;

/// Logs and traces.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Which lines are logged: a level, or directives such as `info,reinstate=debug`.
    pub log: String,
    /// How lines are written.
    pub format: LogFormat,
    /// Where traces go; `None` makes none.
    pub otlp: Option<Otlp>,
}

/// A collector of traces (OTLP over HTTP).
#[derive(Clone, Debug)]
pub struct Otlp {
    /// Its address, without the path of traces and without a slash at its end.
    pub endpoint: String,
    /// Headers of every message.
    pub headers: Vec<(String, Secret)>,
    /// The share of customers that is traced, from 0 to 1.
    pub ratio: f64,
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
    let endpoint =
        reader.optional("telemetry.otlp_endpoint", |text| base_url(text).map(|url| without_end_slash(&url)));
    let headers = reader.list("telemetry.otlp_headers", parse_header);
    let ratio = reader.real("telemetry.sample_ratio", &RATIO);
    let (headers, ratio) = (headers?, ratio?);
    let otlp = endpoint?.map(|endpoint| Otlp { endpoint, headers, ratio });
    Ok(Telemetry { log: log?, format: format?, otlp })
}

/// The text is not shown: it holds a secret.
fn parse_header(text: &str) -> Result<(String, Secret), String> {
    let (name, value) = text.split_once('=').ok_or("must be a name, an equals sign and a value")?;
    let name = name.trim().to_ascii_lowercase();
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| "must begin with the name of a header")?;
    HeaderValue::from_str(value).map_err(|_| "must have a value that a header can hold")?;
    Ok((name, Secret::from(value)))
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
