//! Saved views: the lists that officers work through, oldest or nearest first, and what each of them means.

use jiff::SignedDuration;

/// How far away a deadline is at most that counts as near, where nobody says otherwise.
pub const NEAR: SignedDuration = SignedDuration::from_hours(3 * 24);
/// How long something that should have happened by itself may be overdue before the customer counts as stuck.
pub const STUCK_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// Failed looks in a row that count as stuck: with the pauses between them they take about an hour.
pub const STUCK_FAILURES: u32 = 15;

/// A list that officers work through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Whoever waits for an officer, the longest first.
    NeedsOfficer,
    /// Whose time to answer is nearly over, the nearest deadline first.
    Deadline,
    /// Whoever should have moved by themselves and did not, the longest first.
    Stuck,
}

impl View {
    /// Every view, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::NeedsOfficer, Self::Deadline, Self::Stuck];

    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeedsOfficer => "needs_officer",
            Self::Deadline => "deadline",
            Self::Stuck => "stuck",
        }
    }

    /// Reads [`View::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.as_str() == text)
    }

    /// What stands on its tab.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::NeedsOfficer => "Needs an officer",
            Self::Deadline => "Deadline within 3 days",
            Self::Stuck => "Stuck",
        }
    }

    /// What it means, for whoever reads the list. What the store looks for is this, and nothing else.
    #[must_use]
    pub fn means(self) -> &'static str {
        match self {
            Self::NeedsOfficer => {
                "A person has to decide: whoever is in state needs_officer, those who have waited longest first."
            }
            Self::Deadline => {
                "An offer to correct ends soon, or else a request for information that nobody has answered; the nearest deadline first."
            }
            Self::Stuck => {
                "Should have moved by itself and did not, for more than an hour: fifteen looks at Nium or more have failed in a row \
                 (these come first); or the customer has been due and nobody has attended to them; or a write to Nium or an \
                 officer's word has not ended; or they are still rejected or submitting, which passes within minutes. Then the longest \
                 first; of each kind a thousand at most."
            }
        }
    }
}
