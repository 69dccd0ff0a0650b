//! Logs: one line per request or attempt, readable alone, with fields for search; never personal data.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The directives are not readable.
    #[error("the log directives cannot be read: {0}")]
    Directives(#[from] tracing_subscriber::filter::ParseError),
    /// Somebody started it before.
    #[error("logging runs already: {0}")]
    Running(#[from] TryInitError),
}

/// Starts logging to standard error, as `directives` say (for example `info` or `info,reinstate::worker=debug`).
pub fn start(directives: &str, format: Format) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt;
    let filter = EnvFilter::try_new(directives)?;
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    match format {
        Format::Text => lines.finish().try_init()?,
        Format::Json => lines.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}
