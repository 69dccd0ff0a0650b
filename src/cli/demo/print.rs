//! The story on the terminal: one line per thing that happens, with the time since the beginning.

use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Who speaks in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// The pretend Nium.
    Nium,
    /// The service.
    Reinstate,
    /// The app backend that hears webhooks and corrects.
    Backend,
    /// The customer.
    Customer,
    /// The demo itself.
    Demo,
}

impl Voice {
    fn name(self) -> &'static str {
        match self {
            Self::Nium => "Nium",
            Self::Reinstate => "reinstate",
            Self::Backend => "app backend",
            Self::Customer => "customer",
            Self::Demo => "demo",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Nium => "35",
            Self::Reinstate => "36",
            Self::Backend => "33",
            Self::Customer => "34",
            Self::Demo => "2",
        }
    }
}

/// Prints the story.
pub(super) struct Printer {
    begun: Instant,
    colours: bool,
}

impl Printer {
    /// A printer whose clock starts now. Colours only for a terminal that has not asked for none.
    pub(super) fn new() -> Self {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { begun: Instant::now(), colours }
    }

    /// A chapter.
    pub(super) fn chapter(&self, title: &str) {
        println!("\n{}", self.paint("1", title));
    }

    /// One line of the story.
    pub(super) fn say(&self, voice: Voice, text: &str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let time = self.paint("2", &format!("{seconds:7.3} s"));
        let who = self.paint(voice.colour(), &format!("{:<11}", voice.name()));
        println!("  {time}  {who}  {text}");
        // Whoever watches through a pipe sees the line when it happens.
        let _ = std::io::stdout().flush();
    }

    /// Something that was checked.
    pub(super) fn checked(&self, text: &str) {
        println!("  {}  {text}", self.paint("32", "✓"));
    }

    /// Something that went wrong.
    pub(super) fn failed(&self, text: &str) {
        println!("  {}  {text}", self.paint("31", "✗"));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
