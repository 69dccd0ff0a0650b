//! What may happen next, and what the world is like afterwards: everything but the work of our own, which is in `work`.

use reinstate::domain::case::CaseState;
use reinstate::domain::decision::Answer;
use reinstate::domain::effect::EffectStatus;

use super::work::{Decide, unseen, work};
use super::world::{Air, Facts, Hand, LEASE, Phase, SECOND, SETTLE, Says, Submission, Time, Word, World, at};

/// One thing that happens. Between any two, anything else may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A callback is recorded.
    Nudge,
    /// The sweep finds that Nium says something else than we hold.
    Sweep,
    /// A correction is handed in.
    Correct,
    /// An officer says a word.
    Say(Word),
    /// Nium changes its mind by itself.
    Move(Says),
    /// A submission in the air is applied at Nium, which then says this.
    Arrive(usize, Says),
    /// A submission in the air is lost.
    Vanish(usize),
    Wait(Time),
    Claim,
    /// The process dies, and the next one starts.
    Crash,
    /// Somebody at work does the next thing.
    Hand(usize, Act),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Finds out what there is to do: up to the commit, or to the beginning of a look.
    Begin,
    /// Nium answers a look.
    Read,
    /// A look fails.
    Fail,
    /// Decides about a look, and commits.
    Decide,
    /// The first byte leaves.
    Send,
    /// Hears what became of the submission, decides, and commits.
    Hear(Reply),
}

/// What the caller of Unified Add Customer hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Taken, without a word about the standing.
    Taken,
    /// Taken, with what Nium says now.
    TakenAnd(Says),
    Refused,
    NotTaken,
    Unclear,
}

impl Reply {
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::Taken => Answer::Taken(None),
            Self::TakenAnd(says) => Answer::Taken(Some(says.standing())),
            Self::Refused => Answer::Refused,
            Self::NotTaken => Answer::NotTaken,
            Self::Unclear => Answer::Unclear,
        }
    }
}

/// What the store and the worker hold to. A broken twin drops one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A commit with a lost lease is refused.
    Fence,
    /// A commit that does not follow the stored version is refused.
    Guard,
    /// A commit answers the nudges counted at its claim, not those that came since.
    CountAtClaim,
    /// A look that failed is still owed, whatever else was decided since.
    Owe,
    /// The sweep runs.
    Sweep,
}

/// The rules of the world: ours, or those of a broken twin.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) decide: Decide,
    pub(super) dropped: &'static [Rule],
}

impl Rules {
    pub(super) const OURS: Rules = Rules { decide: reinstate::flow::decide, dropped: &[] };

    pub(super) const fn without(dropped: &'static [Rule]) -> Self {
        Self { dropped, ..Self::OURS }
    }

    pub(super) const fn deciding(decide: Decide) -> Self {
        Self { decide, ..Self::OURS }
    }

    pub(super) fn hold(&self, rule: Rule) -> bool {
        !self.dropped.contains(&rule)
    }
}

/// Everything that may happen next.
pub(super) fn steps(world: &World) -> Vec<Step> {
    let left = &world.left;
    let mut steps = Vec::new();
    if left.nudges > 0 {
        steps.push(Step::Nudge);
    }
    if left.corrections > 0 && is_open_to_correction(world) {
        steps.push(Step::Correct);
    }
    if left.words > 0 && world.disk.kept.is_some() && world.disk.word.is_none() {
        steps.extend(Word::ALL.map(Step::Say));
    }
    if left.moves > 0 {
        steps.extend(world.nium.facts.says.next().iter().map(|says| Step::Move(*says)));
    }
    for (index, air) in world.air.iter().enumerate() {
        steps.extend([Says::Working, Says::Approved, Says::Rejected].map(|says| Step::Arrive(index, says)));
        // A re-application may be taken without anything to show for it but a later `updatedAt`.
        if world.nium.facts.says == Says::Blocked {
            steps.push(Step::Arrive(index, Says::Blocked));
        }
        if !air.sure {
            steps.push(Step::Vanish(index));
        }
    }
    if left.waits > 0 {
        steps.extend(waits(world).into_iter().map(Step::Wait));
    }
    if world.disk.due.is_some_and(|due| due <= world.now) && world.hands.len() < 2 {
        steps.push(Step::Claim);
    }
    if left.mishaps > 0 && !world.hands.is_empty() {
        steps.push(Step::Crash);
    }
    for (index, hand) in world.hands.iter().enumerate() {
        steps.extend(acts(world, hand).into_iter().map(|act| Step::Hand(index, act)));
    }
    steps
}

fn is_open_to_correction(world: &World) -> bool {
    let Some(kept) = &world.disk.kept else { return false };
    matches!(&kept.state, CaseState::AwaitingCorrection { deadline, .. } if *deadline > at(world.now))
        && world.disk.open_submission().is_none()
}

/// Half a second, more than "at once", or until something is due; never past what is certain to have happened by then.
fn waits(world: &World) -> Vec<Time> {
    let due = world.disk.due.map(|due| due - world.now).filter(|wait| *wait > 0);
    let mut waits: Vec<Time> = [Some(1), Some(11 * SECOND), due].into_iter().flatten().collect();
    waits.sort_unstable();
    waits.dedup();
    waits.retain(|wait| world.air.iter().all(|air| world.now + wait <= air.until));
    waits.retain(|wait| world.left.mishaps > 0 || !outlasts_a_lease(world, *wait));
    waits
}

/// Whether somebody at work would sleep so long that the lease ends.
fn outlasts_a_lease(world: &World, wait: Time) -> bool {
    world.hands.iter().any(|hand| hand.until > world.now && hand.until <= world.now + wait)
}

fn acts(world: &World, hand: &Hand) -> Vec<Act> {
    match &hand.phase {
        Phase::Claimed => vec![Act::Begin],
        Phase::Looking { .. } if world.left.mishaps > 0 => vec![Act::Read, Act::Fail],
        Phase::Looking { .. } => vec![Act::Read],
        Phase::Seen { .. } => vec![Act::Decide],
        Phase::Ready => vec![Act::Send],
        Phase::Called { arrived } => {
            let replies = if *arrived {
                vec![Reply::Taken, Reply::TakenAnd(world.nium.facts.says), Reply::Unclear]
            } else if world.air.iter().any(|air| air.epoch == hand.epoch) {
                vec![Reply::Taken, Reply::Refused, Reply::NotTaken, Reply::Unclear]
            } else {
                vec![Reply::Unclear]
            };
            let may = |reply: &Reply| *reply != Reply::NotTaken || world.left.mishaps > 0;
            replies.into_iter().filter(may).map(Act::Hear).collect()
        }
    }
}

/// The world after one step.
pub(super) fn after(before: &World, step: Step, rules: &Rules) -> World {
    let mut world = before.clone();
    let left = &mut world.left;
    match step {
        Step::Nudge => {
            left.nudges = left.nudges.saturating_sub(1);
            nudge(&mut world);
        }
        Step::Sweep => nudge(&mut world),
        Step::Correct => {
            left.corrections -= 1;
            let version = world.disk.version();
            world.disk.submissions.push(Submission { version, status: EffectStatus::Pending });
            world.nium.applied.push(0);
            make_due(&mut world);
        }
        Step::Say(said) => {
            left.words -= 1;
            world.disk.word = Some(said);
            make_due(&mut world);
        }
        Step::Move(says) => {
            left.moves -= 1;
            // Where only the lagging status catches up, nothing was updated.
            let catches_up = world.nium.facts.says == Says::Lagging;
            let updated = if catches_up { world.nium.facts.updated } else { nium_second(&world) };
            world.nium.facts = Facts { says, updated };
        }
        Step::Arrive(index, says) => {
            let air = world.air.remove(index);
            world.nium.applied[air.submission] += 1;
            for hand in world.hands.iter_mut().filter(|hand| hand.epoch == air.epoch) {
                hand.phase = Phase::Called { arrived: true };
            }
            world.nium.facts = Facts { says, updated: nium_second(&world) };
        }
        Step::Vanish(index) => drop(world.air.remove(index)),
        Step::Wait(time) => {
            let is_mishap = outlasts_a_lease(before, time);
            left.mishaps -= u8::from(is_mishap);
            left.waits = left.waits.saturating_sub(1);
            world.now += time;
        }
        Step::Claim => claim(&mut world),
        Step::Crash => {
            left.mishaps -= 1;
            crash(&mut world);
        }
        Step::Hand(index, act) => work(&mut world, index, act, rules),
    }
    world
}

fn nium_second(world: &World) -> i64 {
    (world.now + world.nium.skew).div_euclid(SECOND)
}

/// As `store::sqlite::fold` does it: a held lease keeps its end, and a customer in backoff keeps waiting.
fn nudge(world: &mut World) {
    let now = world.now;
    let disk = &mut world.disk;
    disk.wanted += 1;
    if !disk.leased && disk.failures == 0 {
        disk.due = Some(disk.due.map_or(now, |due| due.min(now)));
    }
}

/// As `store::sqlite::ask` does it: a person does not wait for the end of a backoff.
fn make_due(world: &mut World) {
    let now = world.now;
    let disk = &mut world.disk;
    disk.wanted += 1;
    if !disk.leased {
        disk.due = Some(disk.due.map_or(now, |due| due.min(now)));
    }
}

fn claim(world: &mut World) {
    let disk = &mut world.disk;
    let until = world.now + LEASE;
    disk.epoch += 1;
    disk.leased = true;
    disk.due = Some(until);
    world.hands.push(Hand {
        epoch: disk.epoch,
        until,
        wanted: disk.wanted,
        nudged: disk.wanted > disk.handled,
        failures: disk.failures,
        first: disk.kept.is_none(),
        kept: disk.kept.clone().unwrap_or_else(|| unseen(world.now)),
        next: disk.next,
        submission: disk.open_submission(),
        word: disk.word,
        phase: Phase::Claimed,
    });
}

/// One process owns the database: whoever held a lease is dead when the next one starts.
fn crash(world: &mut World) {
    world.hands.clear();
    if world.disk.leased {
        world.disk.leased = false;
        world.disk.due = Some(world.now);
    }
    let until = world.now + SETTLE - 1;
    world.air.iter_mut().for_each(|air: &mut Air| air.until = air.until.min(until));
}
