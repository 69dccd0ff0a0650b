//! What there is: our database, Nium, who is at work, what is in the air, and what may still go wrong. The shapes are
//! those of `store::sqlite::work`; only what a decision or a law can see is kept.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::rc::Rc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reinstate::domain::case::{Case, CaseState, Stage};
use reinstate::domain::decision::{Look, OfficerWord, Policy, UnknownRemark};
use reinstate::domain::effect::{EffectKey, EffectStatus};
use reinstate::domain::id::CustomerHashId;
use reinstate::domain::remark::{Grounds, RemarkClass};
use reinstate::domain::snapshot::{CustomerKind, NiumTime, Sighting};
use reinstate::domain::status::{Compliance, Standing, Status};
use uuid::Uuid;

/// Half seconds since the world began: fine enough for two things to happen within one second of Nium's `updatedAt`.
pub(super) type Time = i64;

pub(super) const SECOND: Time = 2;
/// A call to Nium ends by then.
pub(super) const CALL: Time = 30 * SECOND;
/// What a lease leaves beyond the calls it is for.
pub(super) const SKEW: Time = 5 * SECOND;
/// Room for a look, a submission and the waiting between them.
pub(super) const LEASE: Time = 2 * CALL + 60 * SECOND + SKEW;
/// Nium shows what a write did before that much has passed since the call ended.
pub(super) const SETTLE: Time = 5 * SECOND;
/// The wait after a look that failed.
pub(super) const BACKOFF: Time = SECOND;

const BEGINNING: i64 = 1_780_000_000;

pub(super) fn at(time: Time) -> Timestamp {
    Timestamp::from_millisecond(BEGINNING * 1_000 + time * 500).unwrap()
}

/// Rounded up: nobody is due too early.
pub(super) fn time_of(at: Timestamp) -> Time {
    (at.as_millisecond() - BEGINNING * 1_000 + 499).div_euclid(500)
}

pub(super) fn customer() -> CustomerHashId {
    CustomerHashId::from_bytes([0x7f; 16])
}

pub(super) fn policy() -> Policy {
    Policy {
        submissions_max: 2,
        correction_days: 14,
        remind_after_days: vec![3],
        rfi_days: 14,
        active_every: SignedDuration::from_mins(15),
        unknown_remark: UnknownRemark::Offer,
        settle: SignedDuration::from_millis(SETTLE * 500),
    }
}

/// A case with a mark that stands for all of it, so that worlds compare quickly.
#[derive(Clone)]
pub(super) struct Kept {
    case: Rc<Case>,
    mark: u64,
}

impl Kept {
    pub(super) fn new(case: Case) -> Self {
        let mut hasher = DefaultHasher::new();
        format!("{case:?}").hash(&mut hasher);
        Self { case: Rc::new(case), mark: hasher.finish() }
    }
}

impl Deref for Kept {
    type Target = Case;

    fn deref(&self) -> &Case {
        &self.case
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.mark == other.mark
    }
}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.mark.hash(state);
    }
}

/// Where the customer stands at Nium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Says {
    Rejected,
    /// REJECT, and `status` has not caught up.
    Lagging,
    Working,
    Rfi,
    Approved,
    /// Blocked for good, once approved.
    Blocked,
}

impl Says {
    /// Where Nium may go from here by itself.
    pub(super) fn next(self) -> &'static [Says] {
        match self {
            Self::Rejected => &[Self::Working, Self::Approved],
            Self::Lagging => &[Self::Rejected],
            Self::Working => &[Self::Rejected, Self::Lagging, Self::Rfi, Self::Approved],
            Self::Rfi => &[Self::Working, Self::Rejected],
            Self::Approved => &[Self::Rejected, Self::Working],
            Self::Blocked => &[],
        }
    }

    fn words(self) -> (Compliance, Status) {
        match self {
            Self::Rejected => (Compliance::Reject, Status::Failed),
            Self::Lagging => (Compliance::Reject, Status::Pending),
            Self::Working => (Compliance::InProgress, Status::Pending),
            Self::Rfi => (Compliance::RfiRequested, Status::Pending),
            Self::Approved => (Compliance::Completed, Status::Clear),
            Self::Blocked => (Compliance::Completed, Status::Blocked),
        }
    }

    pub(super) fn standing(self) -> Standing {
        let (compliance, status) = self.words();
        Standing::of(Some(&compliance), Some(&status))
    }
}

/// What Customer Details V2 shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    pub(super) says: Says,
    /// `updatedAt`, in whole seconds.
    pub(super) updated: i64,
}

/// What one look at `facts` saw that began at `begun`.
pub(super) fn look(facts: Facts, begun: Time, version: u64) -> Look {
    let (compliance, status) = facts.says.words();
    let updated = Timestamp::from_second(BEGINNING + facts.updated).unwrap().to_zoned(TimeZone::UTC);
    Look {
        standing: facts.says.standing(),
        sighting: Sighting {
            compliance: Some(compliance),
            status: Some(status),
            updated_at: Some(NiumTime::read(&updated.strftime("%Y-%m-%d %H:%M:%S").to_string())),
            remarks_mark: "the same remark".to_owned(),
            begun_at: at(begun),
        },
        grounds: Grounds::bare(RemarkClass::Unknown),
        kind: CustomerKind::Individual,
        blocked_by: None,
        historic: false,
        rfi_mark: None,
        fresh_request_id: Uuid::from_u128(u128::from(version)),
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Nium {
    pub(super) facts: Facts,
    /// How far Nium's clock is ahead of ours.
    pub(super) skew: Time,
    /// How often each submission was applied.
    pub(super) applied: Vec<u8>,
}

/// A submission that left, and has neither arrived nor vanished.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Air {
    pub(super) submission: usize,
    /// Who sent it.
    pub(super) epoch: u8,
    /// Nium has said that it takes it.
    pub(super) sure: bool,
    /// It arrives by then or never.
    pub(super) until: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Submission {
    /// The version of the case that it was handed in for; makes its key.
    pub(super) version: u64,
    pub(super) status: EffectStatus,
}

impl Submission {
    pub(super) fn key(&self) -> EffectKey {
        EffectKey::new(customer(), self.version, "s")
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.status, EffectStatus::Pending | EffectStatus::Sending | EffectStatus::Unclear)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Word {
    Offer,
    Final,
    Retry,
    Reapply,
}

impl Word {
    pub(super) const ALL: [Word; 4] = [Self::Offer, Self::Final, Self::Retry, Self::Reapply];

    pub(super) fn officer(self) -> OfficerWord {
        match self {
            Self::Offer => OfficerWord::Offer,
            Self::Final => OfficerWord::Final,
            Self::Retry => OfficerWord::Retry,
            Self::Reapply => OfficerWord::Reapply,
        }
    }
}

/// What happens next by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Planned {
    pub(super) is_look: bool,
    pub(super) at: Time,
}

/// Everything of ours that survives a crash.
#[derive(Clone, PartialEq, Hash)]
pub(super) struct Disk {
    pub(super) wanted: u8,
    pub(super) handled: u8,
    pub(super) epoch: u8,
    pub(super) leased: bool,
    pub(super) due: Option<Time>,
    pub(super) failures: u8,
    pub(super) kept: Option<Kept>,
    pub(super) next: Option<Planned>,
    pub(super) snapshot: Option<Facts>,
    pub(super) submissions: Vec<Submission>,
    pub(super) word: Option<Word>,
}

impl Disk {
    pub(super) fn open_submission(&self) -> Option<usize> {
        self.submissions.iter().position(Submission::is_open)
    }

    pub(super) fn version(&self) -> u64 {
        self.kept.as_ref().map_or(0, |kept| kept.version)
    }
}

/// How far somebody at work has come. Between two phases anything else may happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Claimed,
    /// Nium was asked when `counted` nudges had come.
    Looking {
        begun: Time,
        counted: u8,
    },
    Seen {
        begun: Time,
        counted: u8,
        facts: Facts,
    },
    /// `sending` is committed, and no byte has left.
    Ready,
    Called {
        arrived: bool,
    },
}

/// Somebody at work on the customer, with what was read at the claim.
#[derive(Clone, PartialEq, Hash)]
pub(super) struct Hand {
    pub(super) epoch: u8,
    pub(super) until: Time,
    pub(super) wanted: u8,
    pub(super) nudged: bool,
    pub(super) failures: u8,
    pub(super) first: bool,
    pub(super) kept: Kept,
    pub(super) next: Option<Planned>,
    pub(super) submission: Option<usize>,
    pub(super) word: Option<Word>,
    pub(super) phase: Phase,
}

impl Hand {
    pub(super) fn has_time(&self, now: Time) -> bool {
        now + CALL + SKEW <= self.until
    }

    pub(super) fn is_sending(&self) -> bool {
        matches!(self.kept.state, CaseState::Submitting { stage: Stage::Sending { .. }, .. })
    }
}

/// How much may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Left {
    /// Callbacks that arrive, at any time and any number of them for one change: late, lost and repeated are all here.
    pub(super) nudges: u8,
    pub(super) corrections: u8,
    pub(super) words: u8,
    /// Changes at Nium that we did not cause.
    pub(super) moves: u8,
    /// Crashes, sleeping until a lease ends, failed looks, and submissions that certainly did not arrive.
    pub(super) mishaps: u8,
    /// Steps of time.
    pub(super) waits: u8,
}

impl Left {
    pub(super) const NOTHING: Left =
        Left { nudges: 0, corrections: 0, words: 0, moves: 0, mishaps: 0, waits: 0 };
}

#[derive(Clone, PartialEq, Hash)]
pub(super) struct World {
    pub(super) now: Time,
    pub(super) nium: Nium,
    pub(super) disk: Disk,
    pub(super) hands: Vec<Hand>,
    pub(super) air: Vec<Air>,
    pub(super) left: Left,
    /// Nudges that had come when the latest committed look began. For the laws alone.
    pub(super) seen: u8,
    /// The highest version that anything was told with, and whether one was used twice. For the laws alone.
    pub(super) told: u64,
    pub(super) retold: bool,
}

impl World {
    /// A customer about whom the first callback has just come.
    pub(super) fn begin(says: Says, skew: Time, left: Left) -> Self {
        let updated = skew.div_euclid(SECOND);
        Self {
            now: 0,
            nium: Nium { facts: Facts { says, updated }, skew, applied: Vec::new() },
            disk: Disk {
                wanted: 1,
                handled: 0,
                epoch: 0,
                leased: false,
                due: Some(0),
                failures: 0,
                kept: None,
                next: None,
                snapshot: None,
                submissions: Vec::new(),
                word: None,
            },
            hands: Vec::new(),
            air: Vec::new(),
            left,
            seen: 0,
            told: 0,
            retold: false,
        }
    }

    pub(super) fn print(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// One line of a trace.
impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = if self.now % SECOND == 0 { "" } else { ".5" };
        let facts = self.nium.facts;
        write!(f, "{:>4}{half}s Nium {:?}@{}s", self.now / SECOND, facts.says, facts.updated)?;
        write!(f, " applied {:?} | ", self.nium.applied)?;
        match &self.disk.kept {
            Some(kept) => {
                write!(f, "v{} {}", kept.version, kept.state.name())?;
                if let CaseState::Submitting { stage, .. } = &kept.state {
                    let word = match stage {
                        Stage::Intended { .. } => "intended",
                        Stage::Sending { .. } => "sending",
                        Stage::Unclear { .. } => "unclear",
                    };
                    write!(f, ":{word}")?;
                }
            }
            None => write!(f, "no case")?,
        }
        let Disk { wanted, handled, epoch, due, .. } = &self.disk;
        write!(f, " wanted {wanted} handled {handled} epoch {epoch} due {due:?}")?;
        for hand in &self.hands {
            write!(f, " | hand {} {:?}", hand.epoch, hand.phase)?;
        }
        Ok(())
    }
}
