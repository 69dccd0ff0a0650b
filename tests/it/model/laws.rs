//! What must hold, whatever happens.

use reinstate::domain::case::CaseState;

use super::step::Step;
use super::work::rests;
use super::world::{Says, World, time_of};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Law {
    /// A correction is applied at Nium once at most.
    OneEffect,
    /// Nudges count as answered only once a look began after them; in the end all are.
    EveryNudgeIsSeen,
    /// A commit with a lost lease changes nothing.
    LostLeaseChangesNothing,
    /// The version of a case never goes down.
    VersionGrows,
    /// A case that is not at rest is due some time, and a correction is not awaited for ever.
    EveryStateHasAnExit,
    /// No two notifications, and no two submissions, share a key.
    KeysAreDistinct,
    /// When all is quiet, our state is Nium's.
    AgreesAtRest,
}

impl Law {
    pub(super) const ALL: [Law; 7] = [
        Self::OneEffect,
        Self::EveryNudgeIsSeen,
        Self::LostLeaseChangesNothing,
        Self::VersionGrows,
        Self::EveryStateHasAnExit,
        Self::KeysAreDistinct,
        Self::AgreesAtRest,
    ];

    /// Whether one step keeps the law.
    pub(super) fn holds(self, before: &World, step: Step, after: &World) -> bool {
        match self {
            Self::OneEffect => after.nium.applied.iter().all(|times| *times <= 1),
            Self::EveryNudgeIsSeen => after.disk.handled <= after.seen,
            Self::LostLeaseChangesNothing => {
                let Step::Hand(index, _) = step else { return true };
                before.hands[index].epoch == before.disk.epoch || before.disk == after.disk
            }
            Self::VersionGrows => before.disk.version() <= after.disk.version(),
            Self::EveryStateHasAnExit => has_exit(after),
            Self::KeysAreDistinct => {
                let submissions = &after.disk.submissions;
                let grow = submissions.windows(2).all(|pair| pair[0].version < pair[1].version);
                grow && !after.retold
            }
            // These two are about where it all ends.
            Self::AgreesAtRest => true,
        }
    }

    /// Whether the law holds once nothing moves any more.
    pub(super) fn holds_at_rest(self, world: &World) -> bool {
        match self {
            Self::EveryNudgeIsSeen => world.disk.handled == world.disk.wanted,
            Self::AgreesAtRest => agrees(world),
            Self::OneEffect
            | Self::LostLeaseChangesNothing
            | Self::VersionGrows
            | Self::EveryStateHasAnExit
            | Self::KeysAreDistinct => true,
        }
    }
}

fn has_exit(world: &World) -> bool {
    let Some(kept) = &world.disk.kept else { return world.disk.due.is_some() };
    let Some(due) = world.disk.due else { return rests(&kept.state) };
    match &kept.state {
        // Under a lease it is due when the lease ends, which is soon enough.
        CaseState::AwaitingCorrection { deadline, .. } => world.disk.leased || due <= time_of(*deadline),
        _ => true,
    }
}

fn agrees(world: &World) -> bool {
    let Some(kept) = &world.disk.kept else { return false };
    let ours: &[&str] = match world.nium.facts.says {
        Says::Rejected | Says::Lagging => &["awaiting_correction", "finally_rejected", "needs_officer"],
        Says::Working => &["watching", "under_review"],
        // Information that nobody gave in time is a person's matter.
        Says::Rfi => &["watching", "under_review", "needs_officer"],
        Says::Approved => &["reinstated", "approved"],
        // A way back is open in spite of the block only while somebody may still take it.
        Says::Blocked if kept.beside.reapplication => {
            &["awaiting_correction", "under_review", "needs_officer"]
        }
        Says::Blocked => &["finally_rejected"],
    };
    ours.contains(&kept.state.name()) && world.disk.open_submission().is_none() && world.disk.word.is_none()
}
