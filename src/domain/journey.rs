//! A *journey* is one customer's way from a rejection back, or to its end. It is read from what the app backend is told,
//! event by event; how many have come how far, and how fast, is counted per day of the rejection.
//!
//! - a rejection begins one; further rejections on the way do not begin another
//! - so does an offer where none is open: the rejection was before our time, and the offer stands for it
//! - each step counts once, when it is reached first
//! - being reinstated ends it, and so does a final rejection, until an officer offers again or Nium has mercy after all

use jiff::{SignedDuration, Timestamp};

use super::effect::Event;

/// How far a journey has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// KYC failed.
    Rejected,
    /// Reinstatement was offered.
    Offered,
    /// A correction was handed in.
    Corrected,
    /// Nium took it.
    Submitted,
    /// Completed and clear.
    Reinstated,
    /// No way back is open.
    FinallyRejected,
}

impl Step {
    /// Every step; the first five are the way back.
    pub const ALL: [Self; 6] = [
        Self::Rejected,
        Self::Offered,
        Self::Corrected,
        Self::Submitted,
        Self::Reinstated,
        Self::FinallyRejected,
    ];

    /// The word used in the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Offered => "offered",
            Self::Corrected => "corrected",
            Self::Submitted => "submitted",
            Self::Reinstated => "reinstated",
            Self::FinallyRejected => "finally_rejected",
        }
    }

    /// Reads [`Step::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == text)
    }
}

/// Which journeys are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those that have reached a step.
    Step(Step),
    /// Those that have not ended.
    UnderWay,
    /// Those that were reinstated although nothing was submitted.
    Unaided,
}

impl Reach {
    /// Every one of them.
    pub const ALL: [Self; 8] = [
        Self::Step(Step::Rejected),
        Self::Step(Step::Offered),
        Self::Step(Step::Corrected),
        Self::Step(Step::Submitted),
        Self::Step(Step::Reinstated),
        Self::Step(Step::FinallyRejected),
        Self::UnderWay,
        Self::Unaided,
    ];

    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Step(step) => step.as_str(),
            Self::UnderWay => "under_way",
            Self::Unaided => "unaided",
        }
    }

    /// Reads [`Reach::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reach| reach.as_str() == text)
    }
}

/// What is counted of journeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Those that have reached a step, by the time since the step before.
    Reached(Step),
    /// Those that were reinstated although nothing was submitted: Nium changed its mind.
    Unaided,
    /// Those that were reinstated, by the time since the rejection.
    WholeWay,
}

impl Measure {
    /// The word used in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reached(step) => step.as_str(),
            Self::Unaided => "unaided",
            Self::WholeWay => "whole_way",
        }
    }

    /// Reads [`Measure::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "unaided" => Some(Self::Unaided),
            "whole_way" => Some(Self::WholeWay),
            step => Step::parse(step).map(Self::Reached),
        }
    }
}

/// How a journey ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Completed and clear.
    Reinstated,
    /// No way back is open.
    FinallyRejected,
}

impl Outcome {
    /// The step that it is.
    #[must_use]
    pub fn step(self) -> Step {
        match self {
            Self::Reinstated => Step::Reinstated,
            Self::FinallyRejected => Step::FinallyRejected,
        }
    }

    /// Reads the word of its step back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Reinstated, Self::FinallyRejected].into_iter().find(|outcome| outcome.step().as_str() == text)
    }
}

/// One customer's way from a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journey {
    /// When it began.
    pub rejected_at: Timestamp,
    /// When reinstatement was first offered.
    pub offered_at: Option<Timestamp>,
    /// When a correction was first handed in.
    pub corrected_at: Option<Timestamp>,
    /// When Nium first took one.
    pub submitted_at: Option<Timestamp>,
    /// How it ended, and when.
    pub end: Option<(Outcome, Timestamp)>,
}

/// What an event is to the journeys of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// Another journey begins.
    Begins(Journey),
    /// The last one goes on.
    GoesOn(Journey),
    /// Nothing.
    Nothing,
}

impl Journey {
    fn begun(at: Timestamp) -> Self {
        Self { rejected_at: at, offered_at: None, corrected_at: None, submitted_at: None, end: None }
    }

    /// What an event makes of a customer's last journey.
    #[must_use]
    pub fn follow(last: Option<Self>, event: Event, at: Timestamp) -> Followed {
        let end = last.map(|journey| journey.end.map(|(outcome, _)| outcome));
        match (event, last, end) {
            // None is open.
            (Event::Rejected, _, None | Some(Some(_))) => Followed::Begins(Self::begun(at)),
            (Event::CorrectionRequested, _, None | Some(Some(Outcome::Reinstated))) => {
                Followed::Begins(Self { offered_at: Some(at), ..Self::begun(at) })
            }
            // One is open, or was given up.
            (Event::CorrectionRequested, Some(last), Some(None | Some(Outcome::FinallyRejected))) => {
                let offered_at = last.offered_at.or(Some(at));
                Followed::from(last, Self { offered_at, end: None, ..last })
            }
            (Event::Reinstated, Some(last), Some(None | Some(Outcome::FinallyRejected))) => {
                Followed::GoesOn(Self { end: Some((Outcome::Reinstated, at)), ..last })
            }
            // One is open.
            (Event::CorrectionReceived, Some(last), Some(None)) => {
                Followed::from(last, Self { corrected_at: last.corrected_at.or(Some(at)), ..last })
            }
            (Event::Submitted, Some(last), Some(None)) => {
                Followed::from(last, Self { submitted_at: last.submitted_at.or(Some(at)), ..last })
            }
            (Event::FinallyRejected, Some(last), Some(None)) => {
                Followed::GoesOn(Self { end: Some((Outcome::FinallyRejected, at)), ..last })
            }
            _ => Followed::Nothing,
        }
    }

    /// When a step was reached, if it was.
    #[must_use]
    pub fn reached(&self, step: Step) -> Option<Timestamp> {
        match step {
            Step::Rejected => Some(self.rejected_at),
            Step::Offered => self.offered_at,
            Step::Corrected => self.corrected_at,
            Step::Submitted => self.submitted_at,
            Step::Reinstated | Step::FinallyRejected => {
                self.end.filter(|(outcome, _)| outcome.step() == step).map(|(_, at)| at)
            }
        }
    }

    /// What is counted of it, each with the bucket of its time.
    #[must_use]
    pub fn measures(&self) -> Vec<(Measure, u32)> {
        let mut found = Vec::new();
        for step in Step::ALL {
            let Some(at) = self.reached(step) else { continue };
            let before = Step::ALL.into_iter().take_while(|earlier| *earlier < step);
            let before = before.filter_map(|earlier| self.reached(earlier)).filter(|before| *before <= at);
            let since = before.max().unwrap_or(at);
            found.push((Measure::Reached(step), bucket_of(at.duration_since(since))));
        }
        if let Some((Outcome::Reinstated, at)) = self.end {
            found.push((Measure::WholeWay, bucket_of(at.duration_since(self.rejected_at))));
            if self.submitted_at.is_none() {
                found.push((Measure::Unaided, 0));
            }
        }
        found
    }
}

impl Followed {
    fn from(last: Journey, next: Journey) -> Self {
        if last == next { Self::Nothing } else { Self::GoesOn(next) }
    }
}

/// Buckets of times. The first has everything under a second; each further one ends a tenth later than the one before, up
/// to years: a time that is read from its bucket is off by a twentieth at most.
const BUCKETS: usize = 200;

/// Where each bucket ends, in milliseconds; the last has no end.
#[expect(clippy::indexing_slicing, reason = "a place outside would not compile")]
const ENDS: [i64; BUCKETS] = {
    let mut ends = [1_000; BUCKETS];
    let mut place = 1;
    while place < BUCKETS {
        ends[place] = ends[place - 1] + ends[place - 1] / 10;
        place += 1;
    }
    ends
};

/// The bucket of a time.
#[must_use]
pub fn bucket_of(span: SignedDuration) -> u32 {
    let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let place = ENDS.partition_point(|end| *end <= millis);
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// A time that stands for those of a bucket, in whole seconds: its middle, to two figures, since more are not known.
#[must_use]
pub fn seconds_of(bucket: u32) -> i64 {
    let place = usize::try_from(bucket).unwrap_or(usize::MAX).min(BUCKETS - 1);
    let end = |place: usize| ENDS.get(place).copied().unwrap_or(0);
    let Some(before) = place.checked_sub(1) else { return 0 };
    two_figures((end(before) + end(place)) / 2_000)
}

fn two_figures(number: i64) -> i64 {
    let mut unit = 1;
    while number / unit >= 100 {
        unit *= 10;
    }
    (number + unit / 2) / unit * unit
}

/// The time within which `percent` of what was counted lies, in seconds; `None` where nothing was. `counted` is bucket
/// and count, smallest bucket first.
#[must_use]
pub fn quantile(counted: &[(u32, u64)], percent: u64) -> Option<i64> {
    let all: u64 = counted.iter().map(|(_, count)| count).sum();
    // The first whose rank is at least that share; of one it is that one.
    let rank = all.saturating_mul(percent).div_ceil(100).max(1);
    let mut seen = 0_u64;
    let found = counted.iter().find(|(_, count)| {
        seen += count;
        seen >= rank
    });
    found.map(|(bucket, _)| seconds_of(*bucket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    /// The journeys that these events make, at the seconds given.
    fn journeys(events: &[(i64, Event)]) -> Vec<Journey> {
        let mut all: Vec<Journey> = Vec::new();
        for (second, event) in events {
            match Journey::follow(all.last().copied(), *event, at(*second)) {
                Followed::Begins(journey) => all.push(journey),
                Followed::GoesOn(journey) => *all.last_mut().unwrap() = journey,
                Followed::Nothing => {}
            }
        }
        all
    }

    fn words(journey: &Journey) -> Vec<(&'static str, i64)> {
        let measures = journey.measures().into_iter();
        measures.map(|(measure, bucket)| (measure.as_str(), seconds_of(bucket))).collect()
    }

    #[test]
    fn a_journey_counts_each_step_once_with_its_time() {
        let all = journeys(&[
            (0, Event::Rejected),
            (0, Event::CorrectionRequested),
            (60, Event::CorrectionRequested),
            (100, Event::CorrectionReceived),
            (110, Event::Submitted),
            (200, Event::Rejected),
            (200, Event::CorrectionRequested),
            (300, Event::CorrectionReceived),
            (305, Event::Submitted),
            (1_110, Event::Reinstated),
        ]);
        assert_eq!(
            words(&all[0]),
            [
                ("rejected", 0),
                ("offered", 0),
                ("corrected", 100),
                ("submitted", 10),
                ("reinstated", 1_000),
                ("whole_way", 1_100)
            ]
        );
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn an_end_is_taken_back_by_an_offer_and_by_mercy() {
        let given_up = [(0, Event::Rejected), (9, Event::FinallyRejected)];
        assert_eq!(words(&journeys(&given_up)[0]), [("rejected", 0), ("finally_rejected", 9)]);
        let offered = [&given_up[..], &[(20, Event::CorrectionRequested)]].concat();
        assert_eq!(words(&journeys(&offered)[0]), [("rejected", 0), ("offered", 20)]);
        let mercy = [&given_up[..], &[(20, Event::Reinstated)]].concat();
        let mercy = journeys(&mercy);
        assert_eq!(
            words(&mercy[0]),
            [("rejected", 0), ("reinstated", 20), ("whole_way", 20), ("unaided", 0)]
        );
    }

    #[test]
    fn another_rejection_after_an_end_is_another_journey() {
        let all = journeys(&[
            (0, Event::Rejected),
            (5, Event::Reinstated),
            (6, Event::Reinstated),
            (9, Event::Rejected),
            (10, Event::Approved),
        ]);
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].end, None);
    }

    #[test]
    fn an_offer_stands_for_a_rejection_before_our_time_and_other_events_for_nothing() {
        let offered = journeys(&[(7, Event::CorrectionRequested)]);
        assert_eq!(words(&offered[0]), [("rejected", 0), ("offered", 0)]);
        for event in Event::ALL {
            let begins = matches!(event, Event::Rejected | Event::CorrectionRequested);
            assert_eq!(journeys(&[(0, event)]).len(), usize::from(begins), "{event:?}");
        }
    }

    #[test]
    fn a_quantile_is_the_time_of_somebody_who_was_counted() {
        let (one, long) =
            (bucket_of(SignedDuration::from_secs(10)), bucket_of(SignedDuration::from_hours(30)));
        assert_eq!(quantile(&[], 50), None);
        assert_eq!(quantile(&[(one, 1)], 90), Some(seconds_of(one)));
        assert_eq!(quantile(&[(one, 1), (long, 1)], 50), Some(seconds_of(one)));
        assert_eq!(quantile(&[(one, 9), (long, 1)], 90), Some(seconds_of(one)));
        assert_eq!(quantile(&[(one, 8), (long, 2)], 90), Some(seconds_of(long)));
    }

    proptest! {
        #[test]
        fn a_time_is_read_from_its_bucket_within_a_tenth(seconds in 10_i64..50_000_000) {
            let read = seconds_of(bucket_of(SignedDuration::from_secs(seconds)));
            // A twentieth for the bucket, a twentieth for the two figures.
            prop_assert!((read - seconds).abs() <= seconds / 10 + 1, "{seconds} became {read}");
        }
    }

    #[test]
    fn no_time_is_without_a_bucket() {
        for span in [SignedDuration::MIN, SignedDuration::ZERO, SignedDuration::MAX] {
            assert!(seconds_of(bucket_of(span)) >= 0);
        }
        assert!(ENDS[BUCKETS - 1] > 3_600_000 * 24 * 365);
    }
}
