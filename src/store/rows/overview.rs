//! Rows that are counted by the side, for the overview.

use jiff::Timestamp;

use crate::domain::id::CustomerHashId;
use crate::domain::journey::{Journey, Measure};

/// What is counted by the hour. Calls to Nium have words of their own, see [`NIUM_PREFIX`].
pub const CALLBACK: &str = "callback";
/// A callback that was delivered before.
pub const REDELIVERY: &str = "redelivery";
/// A change that we found by ourselves, whose callback came later.
pub const FOUND_LATE: &str = "found_late";
/// A change that we found by ourselves, whose callback never came.
pub const FOUND_MISSING: &str = "found_missing";
/// Before what a call to Nium came to, as the metrics have it.
pub const NIUM_PREFIX: &str = "nium_";
/// Pauses of all calls to Nium.
pub const NIUM_PAUSE: &str = "nium_pauses";
/// Milliseconds that calls to Nium took, together.
pub const NIUM_MILLIS: &str = "nium_millis";

/// A count of one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourCount {
    /// When the hour begins.
    pub hour: Timestamp,
    /// What was counted.
    pub what: String,
    /// How often.
    pub count: u64,
}

/// Open requests for information, among [`Standing`]s.
pub const OPEN_RFI: &str = "rfi";
/// What waits for a second person.
pub const OPEN_APPROVAL: &str = "approval";
/// Looks that failed and are tried again.
pub const FAILING_LOOK: &str = "failing_look";
/// Effects that failed and are tried again.
pub const FAILING_EFFECT: &str = "failing_effect";
/// Notifications that were given up.
pub const FAILED_EFFECT: &str = "failed_effect";
/// Customers who are due.
pub const DUE: &str = "due";
/// Callbacks that the fold has not read yet.
pub const UNFOLDED: &str = "unfolded";
/// Rows of the audit record that wait for their place.
pub const UNLINKED: &str = "unlinked";

/// Before the name of a lane: effects there that have not ended.
pub const LANE_PREFIX: &str = "lane_";

/// How many stand somewhere, and since when the oldest; as of a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// A state of cases, or one of the words above.
    pub what: String,
    /// How many.
    pub count: u64,
    /// Since when the oldest, where that is known.
    pub oldest: Option<Timestamp>,
}

/// The journeys of some days, counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// What was counted, the bucket of its time, and how often; in this order.
    pub counts: Vec<(Measure, u32, u64)>,
    /// Events that are not counted yet.
    pub behind: u64,
}

/// Everything that an overview shows, read at once.
#[derive(Clone, Debug, Default)]
pub struct OverviewRows {
    /// The journeys that began since the first day.
    pub tally: Tally,
    /// Who stands where.
    pub standings: Vec<Standing>,
    /// When that was counted; `None` before the first time.
    pub counted_at: Option<Timestamp>,
    /// The last hours, oldest first.
    pub hours: Vec<HourCount>,
    /// When the last callback or webhook came.
    pub last_callback: Option<Timestamp>,
    /// Since when callbacks do not come although customers change, if it is so.
    pub silent_since: Option<Timestamp>,
    /// Endpoints that are left alone.
    pub disabled_endpoints: u64,
}

/// Where a journey stands in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JourneyPlace {
    /// When it began.
    pub rejected_at: Timestamp,
    /// Whose it is.
    pub customer: CustomerHashId,
    /// Which of theirs.
    pub number: i64,
}

/// One journey as it is listed.
#[derive(Clone, Debug)]
pub struct JourneyRow {
    /// Where it stands in the list.
    pub place: JourneyPlace,
    /// How far it came.
    pub journey: Journey,
    /// The state of the case at present.
    pub state: Option<String>,
}
