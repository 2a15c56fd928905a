//! The world of a run: nodes, a clock, one queue of events.

mod adversary;
mod chain;
mod effects;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use core::time::Duration;

use super::{
    Byzantine, Concern, Faults, Lab, Metrics, Report, Stream,
    counts::Counts,
    invariants::Invariants,
    lab::{CertOf, MsgOf, PeerOf, ValueOf},
    network::Links,
    node::{BlockOf, Node},
    queue::Queue,
};
use crate::{
    types::{Effect, Engine, Floor, Height, Input, Model, Round, Slot, Time, TimerId, Value, Verdict, View},
    wal::Kept,
};

/// What a run consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Where all randomness comes from.
    pub seed: u64,
    /// Heights that every honest node has to reach.
    pub heights: u64,
    /// What goes wrong.
    pub faults: Faults,
    /// How long after the network has settled a run may take for each height.
    pub patience: Duration,
    /// Whether honest nodes have gates at all. Off only to show what happens without.
    pub gated: bool,
    /// One crash at a chosen place, beside those that are drawn.
    pub crash_at: Option<CrashPoint>,
}

/// Where a node crashes, and what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashPoint {
    /// The node.
    pub node: usize,
    /// After so many things that it did: effects, syncs, signatures.
    pub after: u64,
    /// What its disk keeps of what was not synced.
    pub kept: Kept,
    /// How long it stays down.
    pub downtime: Duration,
}

impl Run {
    /// A run of ten heights.
    pub const fn new(seed: u64, faults: Faults) -> Self {
        Self { seed, heights: 10, faults, patience: Duration::from_secs(60), gated: true, crash_at: None }
    }
}

/// Plays a run.
pub(super) fn play<L: Lab>(lab: &Arc<L>, run: Run) -> Report {
    let mut world = World::new(Arc::clone(lab), run);
    world.drive();
    world.report()
}

/// Plays a run; returns how much a node had done when it had applied each height.
pub(super) fn survey<L: Lab>(lab: &Arc<L>, run: Run, node: usize) -> Vec<u64> {
    let mut world = World::new(Arc::clone(lab), run);
    world.drive();
    world.nodes.swap_remove(node).marks
}

enum Event<L: Lab> {
    Message { to: usize, from: usize, msg: Arc<MsgOf<L>>, checked: bool },
    Block { to: usize, from: usize, block: Arc<BlockOf<L>> },
    Fetch { to: usize, from: usize, height: Height },
    Announce { node: usize, life: u32 },
    Timer { node: usize, life: u32, id: TimerId, set: u64 },
    Built { node: usize, life: u32, slot: Slot, value: ValueOf<L> },
    Verdict { node: usize, life: u32, slot: Slot, id: <L::Model as Model>::Id, verdict: Verdict },
    Apply { node: usize, life: u32, value: ValueOf<L>, cert: CertOf<L> },
    Crash { node: usize, after: u32, kept: Kept, downtime: Duration },
    Restart { node: usize },
    Jump { node: usize, wall: i64, timers: u64 },
}

type EffectOf<L> = Effect<<L as Lab>::Model, MsgOf<L>, <<L as Lab>::Engine as Engine<<L as Lab>::Model>>::Record>;
type Feed<L> = Input<<L as Lab>::Model, MsgOf<L>>;

/// What the world knows of a value that was made.
#[derive(Debug, Clone, Copy)]
struct Made {
    height: Height,
    at: Time,
    /// When it was first proposed.
    proposed: Option<Time>,
    /// Its timestamp by the calendar of its maker, in nanoseconds.
    stamp: i64,
    /// Whether a value was made on top of it.
    followed: bool,
}

/// A run in progress.
pub(super) struct World<L: Lab> {
    lab: Arc<L>,
    run: Run,
    now: Time,
    events: Queue<Event<L>>,
    nodes: Vec<Node<L>>,
    /// The nodes of each identity: one, or two twins.
    known_as: BTreeMap<PeerOf<L>, [Option<usize>; 2]>,
    links: Links,
    adversary: Stream,
    application: Stream,
    work: Stream,
    damage: Stream,
    overheard: Vec<Arc<MsgOf<L>>>,
    /// What hostile nodes that vote for anything have voted for.
    voted_for: BTreeSet<(usize, View, [u8; 32])>,
    made: BTreeMap<<L::Model as Model>::Id, Made>,
    /// Room for the effects of the next step.
    spare: Vec<EffectOf<L>>,
    invariants: Invariants<PeerOf<L>, <L::Model as Model>::Id>,
    metrics: Metrics,
    /// Messages by kind, rules that fired, messages refused by rule.
    messages: Counts,
    rules: Counts,
    rejected: Counts,
    last_decision: Time,
    /// When the last fault ended.
    calm: Time,
    /// The calm for which `goal` was set.
    goal_of: Option<Time>,
    /// What every honest node has to reach: the wanted heights, and some more after the last fault.
    goal: u64,
    /// The lock of each node, and since when it has been held.
    locks: Vec<Option<(LockOf<L>, Time)>>,
    /// Whether somebody honest has held a lock for long after the last fault.
    stuck: bool,
    digest: u64,
}

type LockOf<L> = (Round, <<L as Lab>::Model as Model>::Id);

/// A lock that is held for longer belongs to a height that did not decide in its round.
const LONG: Duration = Duration::from_secs(20);
/// Heights that have to follow the last fault.
const AFTER: u64 = 3;
const WORK: Duration = Duration::from_millis(5);
const ANNOUNCE: Duration = Duration::from_millis(2500);
/// Messages kept for the adversary to repeat.
const OVERHEARD: usize = 256;
/// The longest that slow work of an application takes.
const SLOW_WORK: u64 = 4_000_000_000;

impl<L: Lab> World<L> {
    pub(super) fn new(lab: Arc<L>, run: Run) -> Self {
        let lab = lab.tuned(&run.faults).map_or(lab, Arc::new);
        let seed = run.seed;
        let mut clocks = Stream::new(seed, Concern::Clock);
        let n = lab.nodes();
        let byzantine = |node: usize| run.faults.byzantine.get(n - 1 - node).copied();
        let mut nodes: Vec<_> = (0..n).map(|i| Node::new(i, byzantine(i), &run.faults, &mut clocks)).collect();
        for twin in (0..n).filter(|i| byzantine(*i) == Some(Byzantine::Twin)) {
            nodes.push(Node::new(twin, Some(Byzantine::Twin), &run.faults, &mut clocks));
        }
        let mut known_as = BTreeMap::<_, [Option<usize>; 2]>::new();
        for (index, node) in nodes.iter().enumerate() {
            let places = known_as.entry(lab.peer(node.key)).or_default();
            places[usize::from(places[0].is_some())] = Some(index);
        }
        let mut world = Self {
            links: Links::new(seed, &run.faults, nodes.len()),
            adversary: Stream::new(seed, Concern::Adversary),
            application: Stream::new(seed, Concern::Application),
            work: Stream::new(seed, Concern::Work),
            damage: Stream::new(seed, Concern::Damage),
            now: Time::ZERO,
            events: Queue::new(),
            known_as,
            overheard: Vec::new(),
            voted_for: BTreeSet::new(),
            made: BTreeMap::new(),
            spare: Vec::new(),
            invariants: Invariants::new(lab.gate().exclusive_skip),
            metrics: Metrics::default(),
            messages: Counts::default(),
            rules: Counts::default(),
            rejected: Counts::default(),
            last_decision: Time::ZERO,
            calm: Time::ZERO.after(run.faults.settles_at),
            goal_of: None,
            goal: run.heights,
            locks: vec![None; nodes.len()],
            stuck: false,
            digest: 0xcbf2_9ce4_8422_2325,
            nodes,
            lab,
            run,
        };
        world.plan_crashes();
        if let Some(point) = world.run.crash_at
            && let Some(node) = world.nodes.get_mut(point.node)
        {
            node.crash_at = Some(point);
        }
        world.plan_jumps();
        for node in 0..world.nodes.len() {
            world.at(Duration::ZERO, Event::Restart { node });
        }
        world
    }

    fn plan_crashes(&mut self) {
        let mut disk = Stream::new(self.run.seed, Concern::Disk);
        let honest: Vec<_> = (0..self.nodes.len()).filter(|i| self.is_honest(*i)).collect();
        for _ in 0..self.run.faults.crashes {
            let at = Duration::from_nanos(disk.below(self.run.faults.settles_at.as_nanos() as u64));
            let Some(node) = disk.pick(&honest).copied() else { return };
            let kept = match disk.below(3) {
                0 => Kept::Nothing,
                1 => Kept::All,
                _ => Kept::Part(disk.below(1000) as u16),
            };
            let after = disk.below(12) as u32;
            let downtime = Duration::from_nanos(disk.below(self.run.faults.downtime.as_nanos() as u64 + 1));
            self.at(at, Event::Crash { node, after, kept, downtime });
        }
    }

    fn plan_jumps(&mut self) {
        let mut steps = Stream::new(self.run.seed, Concern::Steps);
        for _ in 0..self.run.faults.clock_steps {
            let at = Duration::from_nanos(steps.below(self.run.faults.settles_at.as_nanos() as u64));
            let node = steps.below(self.nodes.len() as u64) as usize;
            let wall = steps.below(4_000_000_001) as i64 - 2_000_000_000;
            let timers = if steps.chance(300) { steps.below(2_000_000_000) } else { 0 };
            self.at(at, Event::Jump { node, wall, timers });
        }
    }

    fn drive(&mut self) {
        let per_height = self.run.patience.saturating_mul(u32::try_from(self.run.heights).unwrap_or(u32::MAX));
        let limit = self.links.settles().after(per_height);
        while let Some((at, event)) = self.events.pop() {
            // Whatever was planned has to happen.
            if at > limit || self.settled() && self.finished() {
                break;
            }
            self.now = at;
            self.aim();
            self.handle(event);
            self.watch_locks();
        }
    }

    /// Notes whether a lock stands in the way of the heights that have to follow: later on it may be gone, and the timers
    /// that have doubled meanwhile are not.
    fn watch_locks(&mut self) {
        if self.stuck || self.now < self.calm || !self.lab.locks() {
            return;
        }
        for (node, held) in self.nodes.iter().zip(&mut self.locks).filter(|(node, _)| node.byzantine.is_none()) {
            let lock = node.engine.as_ref().and_then(|(engine, _)| engine.status().lock);
            *held = lock.map(|lock| match held {
                Some((before, since)) if *before == lock => (lock, *since),
                _ => (lock, self.now),
            });
            self.stuck |= held.is_some_and(|(_, since)| self.now.since(since) > LONG);
        }
    }

    /// Once everything is calm, heights have to follow: whatever was reached before says nothing about it (I10, I12).
    fn aim(&mut self) {
        if self.now >= self.calm && self.goal_of != Some(self.calm) {
            self.goal_of = Some(self.calm);
            let best = self.nodes.iter().filter(|n| n.byzantine.is_none()).map(|n| n.chain.len() as u64).max();
            self.goal = self.run.heights.max(best.unwrap_or_default() + AFTER);
        }
    }

    fn report(mut self) -> Report {
        let finished = self.finished();
        if !finished && self.invariants.violations.is_empty() {
            let what = format!("{} heights wanted, {}", self.goal, self.standing());
            self.violated("I10", 0, what);
        }
        self.metrics.elapsed = self.now.since(Time::ZERO);
        self.metrics.heights = self.invariants.accepted_heights();
        self.metrics.syncs = self.nodes.iter().filter(|n| n.byzantine.is_none()).map(|n| n.disk.syncs()).sum();
        self.metrics.messages = self.messages.into_map();
        self.metrics.rules = self.rules.into_map();
        self.metrics.rejected = self.rejected.into_map();
        let holds = |n: &Node<L>| n.engine.as_ref().is_some_and(|(engine, _)| engine.status().lock.is_some());
        let locked = self.stuck || self.nodes.iter().any(|n| n.byzantine.is_none() && holds(n));
        let lab = self.lab;
        let (known, violations) = self
            .invariants
            .violations
            .into_iter()
            .partition(|v| lab.is_known_fault(v.invariant, v.what.starts_with(chain::IMPORTED), locked));
        Report { seed: self.run.seed, digest: self.digest, finished, violations, known, metrics: self.metrics }
    }

    /// Where every node stands: applied height, round, state.
    fn standing(&self) -> String {
        let stand = |node: &Node<L>| match &node.engine {
            Some((engine, _)) => {
                let status = engine.status();
                format!("{} {} {}", node.chain.len(), status.round, status.state)
            }
            None => format!("{} down", node.chain.len()),
        };
        self.nodes.iter().map(stand).collect::<Vec<_>>().join("; ")
    }

    fn finished(&self) -> bool {
        let there = |n: &Node<L>| n.engine.is_some() && n.chain.len() as u64 >= self.goal;
        self.goal_of == Some(self.calm) && self.nodes.iter().filter(|n| n.byzantine.is_none()).all(there)
    }

    fn is_honest(&self, node: usize) -> bool {
        self.nodes[node].byzantine.is_none()
    }

    fn settled(&self) -> bool {
        self.now >= self.links.settles()
    }

    fn at(&mut self, delay: Duration, event: Event<L>) {
        self.schedule(self.now.after(delay), event);
    }

    fn schedule(&mut self, at: Time, event: Event<L>) {
        self.events.push(at, event);
    }

    fn mix(&mut self, parts: &[u64]) {
        for part in parts {
            self.digest = (self.digest ^ part).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
    }

    fn violated(&mut self, invariant: &'static str, node: usize, what: impl Into<String>) {
        self.invariants.violated(invariant, self.now, node, what);
    }

    fn handle(&mut self, event: Event<L>) {
        match event {
            Event::Message { to, from, msg, checked } => {
                self.hear(to, &msg);
                let from = self.lab.peer(self.nodes[from].key);
                let msg = Arc::unwrap_or_clone(msg);
                self.feed(to, Input::Message { from, msg, checked });
            }
            Event::Timer { node, life, id, set } => {
                if self.nodes[node].fires(life, id, set) {
                    self.feed(node, Input::Timer(id));
                }
            }
            Event::Built { node, life, slot, value } => {
                if self.nodes[node].life == life {
                    self.note_value(node, &value);
                    self.feed(node, Input::Built { slot, value: Some(value) });
                }
            }
            Event::Verdict { node, life, slot, id, verdict } => {
                if self.nodes[node].life == life {
                    self.feed(node, Input::Verdict { slot, id, verdict });
                }
            }
            Event::Apply { node, life, value, cert } => {
                if self.nodes[node].life == life {
                    self.apply(node, value, cert);
                }
            }
            Event::Block { to, from, block } => self.block(to, from, block),
            Event::Fetch { to, from, height } => self.answer_fetch(to, from, height),
            Event::Announce { node, life } => {
                if self.nodes[node].life == life && self.nodes[node].engine.is_some() {
                    self.announce(node);
                    self.at(ANNOUNCE, Event::Announce { node, life });
                }
            }
            Event::Crash { node, after, kept, downtime } => {
                if self.nodes[node].engine.is_some() {
                    self.nodes[node].doom = Some((after, kept, downtime));
                }
            }
            Event::Restart { node } => self.start(node),
            Event::Jump { node, wall, timers } => {
                self.nodes[node].wall += wall;
                self.nodes[node].jump(timers);
            }
        }
    }

    fn floor(&self, node: usize) -> Floor<L::Model> {
        let tip = self.nodes[node].chain.last();
        let (height, id) = tip.map_or((Height::ZERO, self.lab.genesis()), |block| (block.0.height(), block.0.id()));
        let period = if tip.is_some() { self.lab.period() } else { Duration::ZERO };
        let begun = self.nodes[node].applied_at.after(period);
        Floor { height, id, next_at: self.nodes[node].local(begun) }
    }

    fn start(&mut self, node: usize) {
        self.invariants.restart(node);
        let lab = Arc::clone(&self.lab);
        let gated = self.run.gated && self.is_honest(node);
        if gated
            && self.run.faults.old_copies > 0
            && let Some(said) = self.invariants.highest_said(node)
            && let Some(what) = self.nodes[node].try_old_copies(&lab, said)
        {
            self.violated("I12", node, what);
        }
        let floor = self.floor(node);
        let height = floor.next_height();
        match self.nodes[node].open::<L::Engine>(&lab, floor, gated) {
            Ok(()) => {
                let life = self.nodes[node].life;
                self.metrics.restarts += u64::from(life > 1);
                self.calm = self.calm.max(self.now);
                if gated && lab.locks() && self.run.faults.apply_failures == 0 {
                    let status = self.nodes[node].engine.as_ref().map(|(engine, _)| engine.status());
                    let lock = status.and_then(|s| s.lock);
                    let lock = lock.and_then(|(round, id)| Some((round.get(), *id.as_ref().first_chunk()?)));
                    self.invariants.remembers(self.now, node, height, lock);
                }
                self.at(ANNOUNCE, Event::Announce { node, life });
                self.feed(node, Input::Start);
            }
            Err(why) => self.violated("I12", node, why),
        }
    }

    fn crash(&mut self, node: usize) {
        let downtime = self.nodes[node].crash();
        if self.is_honest(node) && self.run.gated {
            let floor = self.nodes[node].said_below;
            match self.nodes[node].recorded() {
                Ok(recorded) => self.invariants.crash(self.now, node, floor, &recorded),
                Err(why) => self.violated("I12", node, why),
            }
        }
        self.at(downtime, Event::Restart { node });
    }
}

type Inputs<L> = VecDeque<Feed<L>>;
