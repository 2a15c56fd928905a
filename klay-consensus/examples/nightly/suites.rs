//! The suites of chapter 50, section 6.3, in pieces.
//!
//! | Suite | What | Numbers of validators |
//! |---|---|---|
//! | all | every kind of fault at once, 10 heights | every |
//! | crash | at least three crashes | every |
//! | partition | the network in parts | every |
//! | sweep | a crash after each thing that each node does in 20 heights, three outcomes for its disk | 4, 7 |
//! | twins | one twin, 4 rounds (Simplex: 3): all leaders, all partitions into up to three groups | 4 |
//! | twins-drawn | leaders and partitions drawn: 4 rounds with one twin, 7 rounds with two | 4, 7 |
//! | soak | 100 runs of 10,000 heights with faults that come back | 4 |
//! | orders | the orders of arrival in which somebody says or decides something else, to their end: one round; two rounds, each node giving up on the first one when it likes. For Simplex what nodes say together in two rounds is found from their histories, and compared with all orders of 12 events | 4 |

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use klay_consensus::{
    sim::{
        CrashSweep, Faults, Lab, Orders, Profile, Run, Seen, Sweep, Twins, Violation, crash_sweep, enumerate_twins,
        orders, sample_twins, sweep,
    },
    types::Engine as _,
};

use crate::Wanted;

pub(crate) const NAMES: [&str; 8] = ["all", "crash", "partition", "sweep", "twins", "twins-drawn", "soak", "orders"];

/// Scenarios of twins that are drawn.
const DRAWN: u64 = 100_000;

/// Heights of a long run.
const LONG: u64 = 10_000;

/// Events of two rounds that are tried in order for engines whose histories are put together, to compare them.
const DEPTH: u32 = 12;

/// What a piece has shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Piece {
    /// Runs, scenarios, or ends of orders.
    pub(crate) cases: f64,
    /// Heights decided; of enumerations, different states.
    pub(crate) heights: u64,
    pub(crate) steps: u64,
    pub(crate) gap: Duration,
    /// Broken promises, one a run, and those that the protocol is known not to keep.
    pub(crate) broken: u64,
    pub(crate) known: u64,
    /// The first broken promise and how to see it again.
    pub(crate) story: Option<String>,
}

impl From<Sweep> for Piece {
    fn from(sweep: Sweep) -> Self {
        Self {
            cases: sweep.seeds as f64,
            heights: sweep.metrics.heights,
            steps: sweep.metrics.steps,
            gap: sweep.metrics.longest_gap,
            broken: sweep.failures(),
            known: sweep.known.values().sum(),
            story: sweep.failing.map(|run| format!("{:?}\n{}", sweep.violations, run.to_text())),
        }
    }
}

/// An engine, a number of validators, a suite.
pub(crate) struct Row {
    pub(crate) engine: &'static str,
    pub(crate) nodes: usize,
    pub(crate) suite: &'static str,
    /// Pieces of work, and how many are done at a time.
    pub(crate) units: u64,
    pub(crate) at_a_time: u64,
    pub(crate) play: Box<dyn Fn(Range<u64>) -> Piece + Send + Sync>,
}

/// The rows of one engine and number of validators.
pub(crate) fn rows<L: Lab + Clone>(engine: &'static str, lab: &L, wanted: &Wanted) -> Vec<Row>
where
    L::Engine: Clone + fmt::Debug,
{
    let nodes = lab.nodes();
    let seeds = wanted.seeds;
    let mut rows = Vec::new();
    for suite in NAMES.into_iter().filter(|name| wanted.suites.iter().any(|wanted| wanted == name)) {
        let row = |units, at_a_time, play| Row { engine, nodes, suite, units, at_a_time, play };
        let whole = |seeds: u64| {
            let at_a_time = seeds.clamp(1, 500);
            row(seeds.next_multiple_of(at_a_time), at_a_time, profile(lab, suite))
        };
        rows.extend(match (suite, nodes) {
            ("all", _) => Some(whole(seeds)),
            ("crash" | "partition", _) => Some(whole((seeds * 3).div_ceil(10))),
            ("sweep", 4 | 7) => {
                let (units, play) = crashes(lab);
                Some(row(units, 500, play))
            }
            ("twins", 4) => {
                let lists = twins(lab, 1).leaders(nodes).len() as u64;
                Some(row(lists, 1, all_twins(lab)))
            }
            ("twins-drawn", 4 | 7) => Some(row(DRAWN, 500, drawn_twins(lab))),
            ("soak", 4) => Some(row(100, 2, soak(lab))),
            ("orders", 4) => Some(row(if lab.composes() { 3 } else { 2 }, 1, all_orders(lab))),
            _ => None,
        });
    }
    rows
}

type Play = Box<dyn Fn(Range<u64>) -> Piece + Send + Sync>;

fn profile<L: Lab + Clone>(lab: &L, name: &'static str) -> Play {
    let (lab, profile) = (Arc::new(lab.clone()), Profile::named(name).unwrap());
    let nodes = lab.nodes() as u32;
    Box::new(move |seeds| sweep(&lab, seeds, 1, |seed| Run::new(seed, profile.faults(nodes, seed)), |_, _| {}).into())
}

fn soak<L: Lab + Clone>(lab: &L) -> Play {
    let lab = Arc::new(lab.clone());
    let nodes = lab.nodes() as u32;
    // Faults for four fifths of the heights: one a second, or two where they overlap.
    let seconds = LONG * 4 / if lab.pipelined() { 10 } else { 5 };
    let run = move |seed| Run { heights: LONG, ..Run::new(seed, Faults::soak(nodes, seed, seconds)) };
    Box::new(move |seeds| sweep(&lab, seeds, 1, run, |_, _| {}).into())
}

fn crashes<L: Lab + Clone>(lab: &L) -> (u64, Play) {
    let lab = Arc::new(lab.clone());
    let sweeps: Vec<_> = (0..lab.nodes()).map(|node| CrashSweep::survey(&lab, node, 20)).collect();
    let units = sweeps.iter().map(CrashSweep::runs).sum();
    let play = move |numbers: Range<u64>| {
        let mut sum = Sweep::default();
        let mut first = 0;
        for crashes in &sweeps {
            let end = first + crashes.runs();
            let (from, to) = (numbers.start.clamp(first, end), numbers.end.clamp(first, end));
            if from < to {
                sum.merge(crash_sweep(&lab, crashes, from - first..to - first, 1));
            }
            first = end;
        }
        sum.into()
    };
    (units, Box::new(play))
}

/// Engines whose heights overlap have so many states that three rounds are all that can be tried.
fn twins<L: Lab>(lab: &L, twins: usize) -> Twins {
    if lab.pipelined() { Twins { twins, rounds: 3, heights: 3 } } else { Twins { twins, rounds: 4, heights: 1 } }
}

/// I10 is counted apart: nobody decides although everybody hears everybody.
fn piece<L: Lab>(lab: &L, violations: Vec<Violation>, stuck: u64) -> Piece {
    let (known, broken): (Vec<_>, Vec<_>) =
        violations.into_iter().partition(|violation| lab.is_known_fault(violation.invariant, false, true));
    let forgiven = lab.is_known_fault("I10", false, true);
    Piece {
        broken: broken.len() as u64 + if forgiven { 0 } else { stuck },
        known: known.len() as u64 + if forgiven { stuck } else { 0 },
        story: broken.first().map(|violation| format!("{violation:?}")),
        ..Piece::default()
    }
}

fn all_twins<L: Lab + Clone>(lab: &L) -> Play
where
    L::Engine: Clone + fmt::Debug,
{
    let lab = lab.clone();
    Box::new(move |numbers| {
        let plan = twins(&lab, 1);
        let lists = plan.leaders(lab.nodes());
        let mut sum = Piece::default();
        for (leaders, stands_for) in &lists[numbers.start as usize..numbers.end as usize] {
            let seen = enumerate_twins(&lab, plan, leaders);
            let piece = piece(&lab, seen.violations, seen.stuck);
            sum.cases += seen.scenarios * stands_for;
            sum.heights += seen.ends;
            sum.steps += seen.plays;
            sum.broken += piece.broken;
            sum.known += piece.known;
            sum.story = sum.story.or(piece.story);
        }
        sum
    })
}

fn drawn_twins<L: Lab + Clone>(lab: &L) -> Play {
    let lab = lab.clone();
    Box::new(move |seeds| {
        let (twins, rounds) = if lab.nodes() < 7 { (1, 4) } else { (2, 7) };
        let seen =
            sample_twins(&lab, Twins { twins, rounds, heights: if lab.pipelined() { rounds } else { 1 } }, seeds);
        let piece = piece(&lab, seen.violations, seen.stuck);
        Piece { cases: seen.scenarios, steps: seen.steps, ..piece }
    })
}

fn all_orders<L: Lab + Clone>(lab: &L) -> Play
where
    L::Engine: Clone + fmt::Debug,
{
    let lab = lab.clone();
    Box::new(move |numbers| {
        let mut sum = Piece::default();
        for number in numbers {
            let one = Orders { room: 60_000_000, ..Orders::one_round().reduced() };
            let two = Orders { room: 60_000_000, ..Orders::two_rounds(u32::MAX) };
            let seen = match number {
                0 => orders(&lab, one),
                1 if lab.composes() => orders(&lab, two.composed()),
                1 => orders(&lab, two.reduced()),
                _ => compared(&lab, Orders { witness: true, depth: DEPTH, ..two }),
            };
            let Seen { states, seats, ends, depth, stopped, .. } = seen;
            let outcomes = seen.outcomes.len();
            println!(
                "{} orders: {states} states, {seats} of a node, {ends} ends with {outcomes} outcomes, depth {depth}, \
                 stopped: {stopped}",
                L::Engine::NAME
            );
            let piece = piece(&lab, seen.violations, 0);
            sum.cases += seen.ends as f64;
            sum.heights += seen.states;
            sum.steps += seen.events;
            sum.broken += piece.broken;
            sum.known += piece.known;
            sum.story = sum.story.or(piece.story);
        }
        sum
    })
}

/// Tries orders up to a depth, and whether all that is said in them is among what the histories of the nodes say; and
/// whether these say the same when votes are kept.
fn compared<L: Lab + Clone>(lab: &L, wanted: Orders) -> Seen
where
    L::Engine: Clone + fmt::Debug,
{
    let mut seen = orders(lab, wanted.reduced());
    let together = orders(lab, wanted.composed());
    let kept = orders(lab, Orders { keeps: true, ..wanted.composed() });
    let missing = seen.said.union(&kept.said).filter(|said| !together.said.contains(*said)).count();
    let ways = [&seen, &kept, &together].map(|seen| seen.said.len());
    println!("{ways:?} ways to speak and decide in order, with kept votes, and together: {missing} missing");
    if missing > 0 {
        let what = format!("{missing} ways to speak and decide are missing");
        seen.violations.push(Violation { invariant: "I1", at: Duration::ZERO, node: 0, what });
    }
    seen
}
