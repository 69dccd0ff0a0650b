//! What was found: for people, the fix beside each finding; for machines, the same as JSON.

use serde::Serialize;

/// How a finding is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Note,
    Bad,
}

#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    /// What it is about: one word.
    about: &'static str,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

/// Everything that was found, in order. Bad things make the exit code 1.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
    is_quiet: bool,
}

impl Report {
    /// A report that prints each finding when it is made, or all of them at the end as JSON.
    pub(super) fn new(json: bool) -> Self {
        Self { findings: Vec::new(), is_quiet: json }
    }

    pub(super) fn good(&mut self, about: &'static str, text: impl Into<String>) {
        self.add(Level::Ok, about, text.into(), None);
    }

    pub(super) fn note(&mut self, about: &'static str, text: impl Into<String>) {
        self.add(Level::Note, about, text.into(), None);
    }

    pub(super) fn bad(&mut self, about: &'static str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Level::Bad, about, text.into(), Some(fix.into()));
    }

    fn add(&mut self, level: Level, about: &'static str, text: String, fix: Option<String>) {
        if !self.is_quiet {
            let word = match level {
                Level::Ok => "ok  ",
                Level::Note => "note",
                Level::Bad => "BAD ",
            };
            println!("  {word}  {about}: {text}");
            if let Some(fix) = &fix {
                println!("        fix: {fix}");
            }
        }
        self.findings.push(Finding { level, about, text, fix });
    }

    /// The last words, and the exit code.
    pub(super) fn end(&self) -> anyhow::Result<u8> {
        let bad = self.findings.iter().filter(|finding| finding.level == Level::Bad).count();
        if self.is_quiet {
            let all = serde_json::json!({ "bad": bad, "findings": self.findings });
            println!("{}", serde_json::to_string_pretty(&all)?);
        } else if bad == 0 {
            println!("\nnothing is wrong");
        } else {
            println!("\nsomething is wrong, see BAD above");
        }
        Ok(u8::from(bad > 0))
    }
}
