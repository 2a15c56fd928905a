//! The world of a run: nodes, a clock, one queue of events.

use std::{collections::BTreeMap, sync::Arc};

use core::time::Duration;

use super::{
    Byzantine, Concern, Faults, Lab, Metrics, Report, Stream,
    invariants::Invariants,
    lab::{CertOf, MsgOf, PeerOf, ValueOf},
    network::Links,
    node::{LabSigner, Node},
};
use crate::{
    gate::GateRules,
    types::{Effect, Engine, Floor, Height, Input, Model, Slot, Statement, Ticket, Time, TimerId, Value, Verdict},
    wal::Kept,
};

/// What a run consists of.
#[derive(Debug, Clone)]
pub struct Run {
    /// Where all randomness comes from.
    pub seed: u64,
    /// Heights that every honest node has to reach.
    pub heights: u64,
    /// What goes wrong.
    pub faults: Faults,
    /// How long after the network has settled a run may take for each height.
    pub patience: Duration,
    /// Rules of the gates.
    pub gate: GateRules,
    /// Whether honest nodes have gates at all. Off only to show what happens without.
    pub gated: bool,
}

impl Run {
    /// A run of ten heights.
    pub fn new(seed: u64, faults: Faults) -> Self {
        let gate = GateRules::default();
        Self { seed, heights: 10, faults, patience: Duration::from_secs(60), gate, gated: true }
    }
}

enum Event<L: Lab> {
    Message { to: usize, from: usize, msg: MsgOf<L> },
    Block { to: usize, from: usize, value: ValueOf<L>, cert: CertOf<L> },
    Fetch { to: usize, from: usize, height: Height },
    Announce { node: usize, life: u32 },
    Timer { node: usize, life: u32, id: TimerId, set: u64 },
    Built { node: usize, life: u32, slot: Slot, value: ValueOf<L> },
    Verdict { node: usize, life: u32, slot: Slot, id: <L::Model as Model>::Id, verdict: Verdict },
    Apply { node: usize, life: u32, value: ValueOf<L>, cert: CertOf<L> },
    Crash { node: usize, after: u32, kept: Kept, downtime: Duration },
    Restart { node: usize },
}

type EffectOf<L> = Effect<<L as Lab>::Model, MsgOf<L>, <<L as Lab>::Engine as Engine<<L as Lab>::Model>>::Record>;
type Feed<L> = Input<<L as Lab>::Model, MsgOf<L>>;

/// The statement of a signature that is waiting for the log.
struct ToSign {
    ticket: Ticket,
    statement: Statement,
    digest: [u8; 32],
    domain: crate::types::Domain,
    admitted: Result<crate::gate::Admitted, crate::gate::GateError>,
}

/// A run in progress.
pub(super) struct World<L: Lab> {
    lab: Arc<L>,
    run: Run,
    now: Time,
    events: BTreeMap<(Time, u64), Event<L>>,
    next_event: u64,
    nodes: Vec<Node<L>>,
    links: Links,
    adversary: Stream,
    application: Stream,
    overheard: Vec<MsgOf<L>>,
    invariants: Invariants<PeerOf<L>, <L::Model as Model>::Id>,
    metrics: Metrics,
    last_decision: Time,
    digest: u64,
}

const BLOCK_TIME: Duration = Duration::from_secs(1);
const WORK: Duration = Duration::from_millis(5);
const ANNOUNCE: Duration = Duration::from_millis(2500);
/// Messages kept for the adversary to repeat.
const OVERHEARD: usize = 256;

impl<L: Lab> World<L> {
    pub(super) fn new(lab: Arc<L>, run: Run) -> Self {
        let seed = run.seed;
        let mut clocks = Stream::new(seed, Concern::Clock);
        let n = lab.nodes();
        let byzantine = |node: usize| run.faults.byzantine.get(n - 1 - node).copied();
        let nodes: Vec<_> = (0..n).map(|i| Node::new(i, byzantine(i), &run.faults, &mut clocks)).collect();
        let mut world = Self {
            links: Links::new(seed, &run.faults),
            adversary: Stream::new(seed, Concern::Adversary),
            application: Stream::new(seed, Concern::Application),
            lab,
            now: Time::ZERO,
            events: BTreeMap::new(),
            next_event: 0,
            nodes,
            overheard: Vec::new(),
            invariants: Invariants::new(),
            metrics: Metrics::default(),
            last_decision: Time::ZERO,
            digest: 0xcbf2_9ce4_8422_2325,
            run,
        };
        world.plan_crashes();
        for node in 0..n {
            world.at(Duration::ZERO, Event::Restart { node });
        }
        world
    }

    fn plan_crashes(&mut self) {
        let mut disk = Stream::new(self.run.seed, Concern::Disk);
        let honest: Vec<_> = (0..self.nodes.len()).filter(|i| self.nodes[*i].byzantine.is_none()).collect();
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

    pub(super) fn play(mut self) -> Report {
        let per_height = self.run.patience.saturating_mul(u32::try_from(self.run.heights).unwrap_or(u32::MAX));
        let limit = self.links.settles().after(per_height);
        while let Some(((at, _), event)) = self.events.pop_first() {
            if at > limit || self.finished() {
                break;
            }
            self.now = at;
            self.handle(event);
        }
        let finished = self.finished();
        if !finished && self.invariants.violations.is_empty() {
            let heights: Vec<_> = self.nodes.iter().map(|node| node.chain.len()).collect();
            let now = self.now;
            self.invariants.violated("I10", now, 0, format!("heights {heights:?} of {}", self.run.heights));
        }
        self.metrics.elapsed = self.now.since(Time::ZERO);
        self.metrics.heights = self.invariants.accepted_heights();
        self.metrics.syncs = self.nodes.iter().filter(|n| n.byzantine.is_none()).map(|n| n.disk.syncs()).sum();
        Report {
            seed: self.run.seed,
            digest: self.digest,
            finished,
            violations: self.invariants.violations,
            metrics: self.metrics,
        }
    }

    fn finished(&self) -> bool {
        self.nodes.iter().filter(|n| n.byzantine.is_none()).all(|n| n.chain.len() as u64 >= self.run.heights)
    }

    fn at(&mut self, delay: Duration, event: Event<L>) {
        self.schedule(self.now.after(delay), event);
    }

    fn schedule(&mut self, at: Time, event: Event<L>) {
        self.events.insert((at, self.next_event), event);
        self.next_event += 1;
    }

    fn mix(&mut self, parts: &[u64]) {
        for part in parts {
            for byte in part.to_le_bytes() {
                self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }

    fn handle(&mut self, event: Event<L>) {
        match event {
            Event::Message { to, from, msg } => {
                let from = self.lab.peer(from);
                self.feed(to, Input::Message { from, msg, checked: false });
            }
            Event::Timer { node, life, id, set } => {
                if self.nodes[node].fires(life, id, set) {
                    self.feed(node, Input::Timer(id));
                }
            }
            Event::Built { node, life, slot, value } => {
                if self.nodes[node].life == life {
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
            Event::Block { to, from, value, cert } => self.block(to, from, value, cert),
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
        }
    }

    fn floor(&self, node: usize) -> Floor<L::Model> {
        let tip = self.nodes[node].chain.last();
        let (height, id) = tip.map_or((Height::ZERO, self.lab.genesis()), |(v, _)| (v.height(), v.id()));
        let begun = self.nodes[node].applied_at.after(if tip.is_some() { BLOCK_TIME } else { Duration::ZERO });
        Floor { height, id, next_at: self.nodes[node].local(begun) }
    }

    fn start(&mut self, node: usize) {
        self.invariants.restart(node);
        let floor = self.floor(node);
        let signer = LabSigner { lab: Arc::clone(&self.lab), node };
        let gated = self.run.gated && self.nodes[node].byzantine.is_none();
        let config = self.lab.config(node);
        match self.nodes[node].open::<L::Engine>(signer, config, floor, gated.then_some(self.run.gate)) {
            Ok(()) => {
                let life = self.nodes[node].life;
                self.metrics.restarts += u64::from(life > 1);
                self.at(ANNOUNCE, Event::Announce { node, life });
                self.feed(node, Input::Start);
            }
            Err(why) => self.invariants.violated("I12", self.now, node, why),
        }
    }

    /// One input, and whatever the gate answers to its effects.
    fn feed(&mut self, node: usize, input: Feed<L>) {
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let local = self.nodes[node].local(self.now);
            let Some((engine, fx)) = self.nodes[node].engine.as_mut() else { return };
            engine.step(local, input, fx);
            self.metrics.steps += 1;
            let effects: Vec<_> = fx.drain().collect();
            let status = engine.status();
            let lock = status.lock.map(|(round, _)| round.get());
            if self.nodes[node].byzantine.is_none() {
                self.invariants.lock(self.now, node, status.height, lock);
                if status.backlog > 4096 {
                    self.invariants.violated("I9", self.now, node, format!("backlog of {}", status.backlog));
                }
            }
            let at = self.now.as_nanos();
            self.mix(&[at, node as u64, effects.len() as u64, status.round.get(), status.height.get()]);
            let mut to_sign = Vec::new();
            for effect in effects {
                if self.nodes[node].dies() {
                    return self.crash(node);
                }
                self.perform(node, effect, &mut to_sign, &mut inputs);
            }
            if !self.sign(node, to_sign, &mut inputs) {
                return self.crash(node);
            }
        }
    }

    fn perform(
        &mut self,
        node: usize,
        effect: EffectOf<L>,
        to_sign: &mut Vec<ToSign>,
        inputs: &mut std::collections::VecDeque<Feed<L>>,
    ) {
        let life = self.nodes[node].life;
        match effect {
            Effect::Persist { record, lsn } => {
                if let Some(gate) = &mut self.nodes[node].gate {
                    // The disk of a run fails only by crashing.
                    if gate.persist(lsn, &record).and_then(|()| gate.commit()).is_ok() {
                        inputs.push_back(Input::Durable(lsn));
                    }
                }
            }
            Effect::Sign { ticket, statement, domain, digest, lsn } => {
                let admitted = match &mut self.nodes[node].gate {
                    Some(gate) => gate.admit(lsn, &statement),
                    None => Err(crate::wal::LogError::Failed.into()),
                };
                to_sign.push(ToSign { ticket, statement, digest, domain, admitted });
            }
            Effect::Send { to, msg, .. } => self.send(node, &[to], &msg, true),
            Effect::Broadcast { to, msg, .. } => self.send(node, &to, &msg, true),
            Effect::Relay { to, msg, .. } => self.send(node, &to, &msg, false),
            Effect::SetTimer { id, at } => {
                let set = self.nodes[node].set_timer(id);
                let at = self.nodes[node].global(at).max(self.now);
                self.schedule(at, Event::Timer { node, life, id, set });
            }
            Effect::Cancel(id) => {
                self.nodes[node].set_timer(id);
            }
            Effect::Build { slot, parent, .. } => self.build(node, slot, parent),
            Effect::Check { slot, value } => {
                let fits = self.floor(node).id == value.parent();
                let valid = self.lab.is_valid(&value) && fits;
                let verdict = if valid { Verdict::Valid } else { Verdict::Invalid("refused by the application") };
                self.at(WORK, Event::Verdict { node, life, slot, id: value.id(), verdict });
            }
            Effect::Decide { value, cert, .. } => self.decide(node, value, cert),
            Effect::Evidence(evidence) => {
                self.metrics.evidence += 1;
                let honest = |n: &Node<L>| n.byzantine.is_none() && self.lab.peer(n.index) == evidence.offender;
                if self.nodes[node].byzantine.is_none() && self.nodes.iter().any(honest) {
                    let what = format!("{:?} blamed on an honest node", evidence.kind);
                    self.invariants.violated("I11", self.now, node, what);
                }
            }
            Effect::Trace(rule, _) => *self.metrics.rules.entry(rule).or_default() += 1,
            Effect::Rejected { why, .. } => *self.metrics.rejected.entry(why.rule).or_default() += 1,
            Effect::Prune { below } => {
                if let (Some(decided), Some((_, fx))) = (below.prev(), self.nodes[node].engine.as_mut()) {
                    let lsn = fx.reserve();
                    if let Some(gate) = &mut self.nodes[node].gate {
                        let _full = gate.raise_floor(lsn, decided).is_err();
                    }
                }
            }
            Effect::Need(_) => {}
        }
    }

    /// Makes what was admitted durable and signs it. False if the node dies on the way.
    fn sign(&mut self, node: usize, to_sign: Vec<ToSign>, inputs: &mut std::collections::VecDeque<Feed<L>>) -> bool {
        if to_sign.is_empty() {
            return true;
        }
        if let Some(gate) = &mut self.nodes[node].gate {
            let _failed = gate.commit().is_err();
        }
        for ToSign { ticket, statement, digest, domain, admitted } in to_sign {
            if self.nodes[node].dies() {
                return false;
            }
            let result = match &mut self.nodes[node].gate {
                Some(gate) => admitted.and_then(|a| gate.sign::<L::Model>(a, domain, digest)).map_err(Into::into),
                None => Ok(self.lab.sign(node, digest)),
            };
            if result.is_ok() {
                self.invariants.is_durable(node, &statement);
            }
            inputs.push_back(Input::Signed { ticket, result });
        }
        true
    }

    fn send(&mut self, from: usize, to: &[PeerOf<L>], msg: &MsgOf<L>, own: bool) {
        let honest = self.nodes[from].byzantine.is_none();
        if own
            && honest
            && let Some((who, statement)) = self.lab.claim(msg)
        {
            self.invariants.speak(self.now, from, who, &statement);
        }
        if self.overheard.len() < OVERHEARD {
            self.overheard.push(msg.clone());
        } else {
            let at = self.adversary.below(OVERHEARD as u64) as usize;
            self.overheard[at] = msg.clone();
        }
        for peer in to {
            let Some(to) = (0..self.nodes.len()).find(|i| self.lab.peer(*i) == *peer) else { continue };
            let sent = match self.nodes[from].byzantine {
                None => vec![msg.clone()],
                Some(Byzantine::Replay) => {
                    let mut sent = vec![msg.clone()];
                    sent.extend(self.adversary.pick(&self.overheard).cloned());
                    sent
                }
                Some(how) => self.lab.corrupt(from, how, to, msg, &mut self.adversary),
            };
            for msg in sent {
                let (kind, size) = self.lab.describe(&msg);
                *self.metrics.messages.entry(kind).or_default() += 1;
                self.metrics.bytes += size as u64;
                let claim = self.lab.claim(&msg).map(|(_, statement)| statement);
                let nodes = self.nodes.len();
                if claim.is_some_and(|claim| self.links.starves(self.now, to, nodes, &claim)) {
                    continue;
                }
                for at in self.links.arrivals(self.now, from, to) {
                    self.schedule(at, Event::Message { to, from, msg: msg.clone() });
                }
            }
        }
    }

    fn build(&mut self, node: usize, slot: Slot, parent: <L::Model as Model>::Id) {
        let life = self.nodes[node].life;
        let height = self.floor(node).next_height();
        let salt = self.application.next_u64();
        let spoil = self.application.chance(self.run.faults.invalid_values);
        let valid = !(spoil && self.nodes[node].byzantine.is_some());
        let value = self.lab.value(node, height, parent, salt, valid);
        self.at(WORK, Event::Built { node, life, slot, value });
    }

    fn decide(&mut self, node: usize, value: ValueOf<L>, cert: CertOf<L>) {
        let life = self.nodes[node].life;
        if self.nodes[node].byzantine.is_none() {
            if value.height().get() > self.metrics.heights {
                self.links.decided(self.now, node);
            }
            if !self.lab.accepts(&value, &cert) {
                self.invariants.violated("I6", self.now, node, "the proof of a decision does not hold");
            }
            if !self.lab.is_valid(&value) {
                self.invariants.violated("I2", self.now, node, "an invalid value was decided");
            }
            if value.height() > self.floor(node).next_height() {
                self.invariants.violated("I3", self.now, node, "a decision out of order");
            }
        }
        self.at(WORK, Event::Apply { node, life, value, cert });
    }

    fn apply(&mut self, node: usize, value: ValueOf<L>, cert: CertOf<L>) {
        let id = value.id();
        let fits = value.parent() == self.floor(node).id;
        if fits {
            self.extend(node, value.clone(), cert.clone());
        }
        self.feed(node, Input::Applied { id, result: Ok(()) });
        if fits {
            self.move_head(node);
            self.tell(node, &value, &cert);
        }
    }

    fn extend(&mut self, node: usize, value: ValueOf<L>, cert: CertOf<L>) {
        if self.nodes[node].byzantine.is_none() {
            self.invariants.accept(self.now, node, value.height(), value.id());
            self.count_decision(&value, &cert);
        }
        let id = value.id();
        let word = id.as_ref().first_chunk::<8>().map_or(0, |w| u64::from_le_bytes(*w));
        self.mix(&[value.height().get(), word]);
        self.nodes[node].applied_at = self.now;
        self.nodes[node].chain.push((value, cert));
    }

    fn count_decision(&mut self, value: &ValueOf<L>, cert: &CertOf<L>) {
        if value.height().get() <= self.metrics.heights {
            return;
        }
        self.metrics.heights = value.height().get();
        let round = self.lab.round(cert);
        self.metrics.rounds += round;
        self.metrics.max_round = self.metrics.max_round.max(round);
        let settles = self.links.settles();
        if self.now >= settles {
            let since = self.now.since(self.last_decision.max(settles));
            self.metrics.recovery.get_or_insert(since);
            self.metrics.longest_gap = self.metrics.longest_gap.max(since);
        }
        self.last_decision = self.now;
    }

    fn move_head(&mut self, node: usize) {
        let floor = self.floor(node);
        self.feed(node, Input::Head { floor });
    }

    fn tell(&mut self, node: usize, value: &ValueOf<L>, cert: &CertOf<L>) {
        for to in (0..self.nodes.len()).filter(|to| *to != node) {
            for at in self.links.arrivals(self.now, node, to) {
                let (value, cert) = (value.clone(), cert.clone());
                self.schedule(at, Event::Block { to, from: node, value, cert });
            }
        }
    }

    fn announce(&mut self, node: usize) {
        if let Some((value, cert)) = self.nodes[node].chain.last().cloned() {
            self.tell(node, &value, &cert);
        }
    }

    /// A decided block from somebody else: what an importer accepts.
    fn block(&mut self, to: usize, from: usize, value: ValueOf<L>, cert: CertOf<L>) {
        if self.nodes[to].engine.is_none() || !self.lab.accepts(&value, &cert) {
            return;
        }
        let floor = self.floor(to);
        if value.height() > floor.next_height() {
            for at in self.links.arrivals(self.now, to, from) {
                self.schedule(at, Event::Fetch { to: from, from: to, height: floor.next_height() });
            }
        } else if value.height() == floor.next_height() {
            if value.parent() == floor.id {
                self.extend(to, value, cert);
                self.move_head(to);
            } else if self.nodes[to].byzantine.is_none() {
                self.invariants.violated("I1", self.now, to, "an importable block on another parent");
            }
        }
    }

    fn answer_fetch(&mut self, to: usize, from: usize, height: Height) {
        if self.nodes[to].engine.is_none() {
            return;
        }
        let first = usize::try_from(height.get().saturating_sub(1)).unwrap_or(usize::MAX);
        let blocks: Vec<_> = self.nodes[to].chain.iter().skip(first).take(16).cloned().collect();
        let Some(mut at) = self.links.arrivals(self.now, to, from).first().copied() else { return };
        for (value, cert) in blocks {
            at = at.after(Duration::from_nanos(1));
            self.schedule(at, Event::Block { to: from, from: to, value, cert });
        }
    }

    fn crash(&mut self, node: usize) {
        let downtime = self.nodes[node].crash();
        self.at(downtime, Event::Restart { node });
    }
}
