//! Goes everywhere: breadth first, so that a counterexample is the shortest there is. From every state it also lets
//! the world come to rest (nobody dies, Nium and people keep still, timers run) and looks at where that ends.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;

use super::laws::Law;
use super::step::{Act, Reply, Rule, Rules, Step, after, steps};
use super::world::{Left, Phase, Says, World};

/// Steps within which a world must come to rest. A rejection that stays beside a taken submission is asked about for a
/// day, ever more seldom; that is the longest way.
const REST_STEPS_MAX: usize = 500;

/// A law, and the way on which it is broken.
pub(super) struct Broken {
    pub(super) law: Law,
    pub(super) trace: String,
}

pub(super) struct Search<'a> {
    rules: &'a Rules,
    laws: &'a [Law],
    /// Every state that was reached: from which one, by which step.
    came: HashMap<u64, Option<(u64, Step)>>,
    /// States from which all comes to rest well.
    rests_well: HashSet<u64>,
}

impl<'a> Search<'a> {
    pub(super) fn new(rules: &'a Rules, laws: &'a [Law]) -> Self {
        Self { rules, laws, came: HashMap::new(), rests_well: HashSet::new() }
    }

    /// Visits every state that can be reached. Gives how many there are.
    pub(super) fn run(mut self, starts: &[World]) -> Result<usize, Broken> {
        let mut ahead: VecDeque<World> = VecDeque::new();
        for start in starts {
            self.came.insert(start.print(), None);
            ahead.push_back(start.clone());
        }
        while let Some(world) = ahead.pop_front() {
            let here = world.print();
            if let Err((law, way)) = self.settle(&world) {
                return Err(self.broken(law, starts, here, &way));
            }
            for step in steps(&world) {
                let next = after(&world, step, self.rules);
                let broken = self.laws.iter().find(|law| !law.holds(&world, step, &next));
                if let Some(law) = broken {
                    return Err(self.broken(*law, starts, here, &[step]));
                }
                if let Entry::Vacant(new) = self.came.entry(next.print()) {
                    new.insert(Some((here, step)));
                    ahead.push_back(next);
                }
            }
        }
        Ok(self.came.len())
    }

    /// Lets the world come to rest: twice in a row, with nothing but a timer between, all must be well.
    fn settle(&mut self, world: &World) -> Result<(), (Law, Vec<Step>)> {
        if !self.laws.iter().any(|law| [Law::AgreesAtRest, Law::EveryNudgeIsSeen].contains(law)) {
            return Ok(());
        }
        let mut world = World { left: Left::NOTHING, ..world.clone() };
        let (mut way, mut prints, mut calm, mut wrong) = (Vec::new(), Vec::new(), 0, Law::AgreesAtRest);
        while way.len() < REST_STEPS_MAX {
            let print = world.print();
            if self.rests_well.contains(&print) {
                calm = 2;
            } else if calm == 0 {
                prints.push(print);
            }
            let step = match quiet_step(&world, self.rules) {
                Some(step) if calm < 2 => step,
                Some(_) => break,
                None => {
                    let broken = self.laws.iter().find(|law| !law.holds_at_rest(&world));
                    calm = if broken.is_none() { calm + 1 } else { 0 };
                    wrong = broken.copied().unwrap_or(wrong);
                    let Some(due) = world.disk.due.filter(|_| calm < 2) else { break };
                    Step::Wait(due - world.now)
                }
            };
            way.push(step);
            world = after(&world, step, self.rules);
        }
        if calm == 0 {
            return Err((wrong, way));
        }
        self.rests_well.extend(prints);
        Ok(())
    }

    /// The way to `here` and on along `way`, with what the world was like after each step.
    fn broken(&self, law: Law, starts: &[World], here: u64, way: &[Step]) -> Broken {
        let mut back = Vec::new();
        let mut print = here;
        while let Some(Some((from, step))) = self.came.get(&print) {
            back.push(*step);
            print = *from;
        }
        let start = starts.iter().find(|start| start.print() == print);
        let mut world = start.expect("every way begins at a start").clone();
        let mut trace = format!("{law:?} is broken:\n{:<28} {world}\n", "the beginning");
        for (at, step) in back.iter().rev().chain(way).enumerate() {
            // From here on the world comes to rest.
            if at == back.len() && way.len() > 1 {
                trace.push_str("nothing else happens, and:\n");
            }
            world = after(&world, *step, self.rules);
            let _ = writeln!(trace, "{:<28} {world}", format!("{step:?}"));
        }
        Broken { law, trace }
    }
}

/// What is to be done before the next timer, without anything going wrong; `None` when all that is left is to wait.
fn quiet_step(world: &World, rules: &Rules) -> Option<Step> {
    if let Some(air) = world.air.first() {
        let is_called = world.hands.iter().any(|hand| matches!(hand.phase, Phase::Called { .. }));
        let arrives = air.sure || is_called;
        return Some(if arrives { Step::Arrive(0, Says::Approved) } else { Step::Vanish(0) });
    }
    if let Some(hand) = world.hands.first() {
        let act = match &hand.phase {
            Phase::Claimed => Act::Begin,
            Phase::Looking { .. } => Act::Read,
            Phase::Seen { .. } => Act::Decide,
            Phase::Ready => Act::Send,
            Phase::Called { arrived } => Act::Hear(if *arrived { Reply::Taken } else { Reply::Unclear }),
        };
        return Some(Step::Hand(0, act));
    }
    if world.disk.due.is_some_and(|due| due <= world.now) {
        return Some(Step::Claim);
    }
    let is_new = world.disk.kept.is_some() && world.disk.snapshot != Some(world.nium.facts);
    // As the store's sweep does it: whoever has a nudge pending needs no other.
    (rules.hold(Rule::Sweep) && is_new && world.disk.wanted == world.disk.handled).then_some(Step::Sweep)
}
