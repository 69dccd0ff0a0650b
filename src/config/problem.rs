//! What is wrong with a configuration, told so that it can be put right.

use std::fmt;

/// One thing that is wrong. No text in it ever holds the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key as written in TOML, such as `nium.api_key`; a path or a variable's name where no key is at fault.
    pub key: String,
    /// Where the value was found, such as `reinstate.toml line 12`; `None` if nothing was found.
    pub place: Option<String>,
    /// What is wrong, as the rest of a sentence that begins with the key.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    pub(super) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), place: None, message: message.into(), hint: None }
    }

    pub(super) fn at(self, place: impl fmt::Display) -> Self {
        Self { place: Some(place.to_string()), ..self }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key)?;
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong: first what could not be read or is no key, then bad values in the order of the sections.
/// Prints one problem a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A value as it may be shown in a message: quoted, on one line, and short. Never for secrets or addresses with paths,
/// which may hold one.
pub(super) fn shown(text: &str) -> String {
    /// Characters; enough to recognise what was typed.
    const SHOWN_MAX: usize = 40;
    let start: String = text.chars().take(SHOWN_MAX).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("\"{}{more}\"", start.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_one_line() {
        let bare = Problem::new("nium.region", "is required");
        let full = bare.clone().at("reinstate.toml line 3").hint("set it");
        let text = Problems(vec![bare, full]).to_string();
        assert_eq!(
            text,
            "nium.region: is required\nnium.region (reinstate.toml line 3): is required; set it"
        );
    }

    #[test]
    fn a_shown_value_is_short_and_on_one_line() {
        assert_eq!(shown("a\nb"), "\"a\\nb\"");
        assert_eq!(shown(&"x".repeat(50)), format!("\"{}…\"", "x".repeat(40)));
    }
}
