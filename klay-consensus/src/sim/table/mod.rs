//! Engines around a table: no time, no network, no disks. Whoever holds the table says what happens next, so that all
//! that can happen is tried, not drawn.
//!
//! A seat is an engine, the memory of its gate and its timers. What it does next depends on nothing but its state, so a
//! state is known by its print, and what comes of it under a message is worked out once. Applications answer at once;
//! what is decided is applied at once.

mod blocks;
mod cache;
mod composed;
mod orders;
mod reduced;
mod twins;
mod voices;

use self::cache::Facts;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    rc::Rc,
};

use core::time::Duration;

pub(super) use orders::orders;
pub use orders::{Orders, Seen};
pub use twins::{Enumeration, Twins};
pub(super) use twins::{enumerate_twins, sample_twins};

use super::{
    Lab, Violation,
    lab::{MsgOf, PeerOf, ValueOf},
};
use crate::{
    gate::Memory,
    types::{
        Effect, Effects, Engine, Floor, Height, Input, Lsn, Model, Slot, Step, Time, TimerId, Value, Verdict, View,
    },
};

type IdOf<L> = <<L as Lab>::Model as Model>::Id;

/// An engine, its gate's memory, its timers and its chain.
pub(super) struct Seat<L: Lab> {
    engine: L::Engine,
    memory: Memory,
    now: Time,
    timers: BTreeMap<TimerId, Time>,
    tip: (Height, IdOf<L>),
}

impl<L: Lab> Clone for Seat<L>
where
    L::Engine: Clone,
{
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            memory: self.memory.clone(),
            now: self.now,
            timers: self.timers.clone(),
            tip: self.tip,
        }
    }
}

/// A message on the table.
pub(super) struct Sent<L: Lab> {
    from: usize,
    msg: MsgOf<L>,
    /// The round that it speaks of, counted from the first one.
    round: Option<u64>,
    /// Whether it only leaves that round.
    leaves: bool,
    is_vote: bool,
    print: u128,
}

/// A message to one seat.
pub(super) struct Parcel<L: Lab> {
    to: usize,
    sent: Rc<Sent<L>>,
}

impl<L: Lab> Clone for Parcel<L> {
    fn clone(&self) -> Self {
        Self { to: self.to, sent: Rc::clone(&self.sent) }
    }
}

/// What happens to a seat.
pub(super) enum Event<'a, L: Lab> {
    Message(&'a Sent<L>),
    /// The earliest of its timers fires.
    Timer,
}

/// What a seat has shown while something happened to it.
pub(super) struct Outcome<L: Lab> {
    sent: Vec<Parcel<L>>,
    decided: Vec<(Height, IdOf<L>)>,
}

/// The table: who sits where, and what was seen of them.
pub(super) struct Table<L: Lab> {
    lab: L,
    /// The validator of each seat; twins share one.
    keys: Vec<usize>,
    hostile: usize,
    seats_of: BTreeMap<PeerOf<L>, Vec<usize>>,
    /// Values are built up to this height; who has decided it has left.
    heights: u64,
    /// Height and parent of every value.
    made: HashMap<IdOf<L>, (Height, IdOf<L>)>,
    /// The number of the first round in an engine's own counting.
    first_round: u64,
    prints: bool,
    /// Whether engines forget what no rule reads any more, and time stands still; timers fire all the same. Seats that
    /// have left so many rounds behind have no timers any more.
    forgets: Option<u64>,
    /// Whether engines forget what they have asked, too: every answer is there for everybody.
    asks_at_will: bool,
    pub(super) steps: u64,
    pub(super) violations: Vec<Violation>,
}

impl<L: Lab> Table<L> {
    /// As many seats as validators, and one more for each of the last `twins`.
    fn new(lab: L, twins: usize, heights: u64) -> Self {
        let n = lab.nodes();
        let keys: Vec<_> = (0..n).chain(n.saturating_sub(twins)..n).collect();
        let mut seats_of = BTreeMap::<_, Vec<_>>::new();
        for (seat, key) in keys.iter().enumerate() {
            seats_of.entry(lab.peer(*key)).or_default().push(seat);
        }
        let made = HashMap::from([(lab.genesis(), (Height::ZERO, lab.genesis()))]);
        Self {
            lab,
            keys,
            hostile: twins,
            seats_of,
            heights,
            made,
            first_round: 0,
            prints: true,
            forgets: None,
            asks_at_will: false,
            steps: 0,
            violations: Vec::new(),
        }
    }

    fn is_honest(&self, seat: usize) -> bool {
        self.keys[seat] < self.lab.nodes() - self.hostile
    }

    /// Opens every seat and starts it; what they say at once is on the table.
    fn open(&mut self) -> (Vec<Seat<L>>, Vec<Parcel<L>>) {
        let (mut seats, mut parcels) = (Vec::new(), Vec::new());
        for index in 0..self.keys.len() {
            let floor = Floor { height: Height::ZERO, id: self.lab.genesis(), next_at: Time::ZERO };
            let Ok(engine) = L::Engine::open(self.lab.config(self.keys[index]), floor, Vec::new()) else {
                self.violated("I12", index, "an engine does not open");
                continue;
            };
            let mut seat: Seat<L> = Seat {
                engine,
                memory: Memory::new(self.lab.gate(), Slot::ZERO),
                now: Time::ZERO,
                timers: BTreeMap::new(),
                tip: (Height::ZERO, self.lab.genesis()),
            };
            self.first_round = seat.engine.status().round.get();
            parcels.extend(self.act(index, &mut seat, Input::Start).sent);
            seats.push(seat);
        }
        (seats, parcels)
    }

    /// Lets something happen to a seat.
    fn happen(&mut self, index: usize, seat: &mut Seat<L>, event: &Event<'_, L>) -> Outcome<L> {
        let input = match event {
            Event::Message(sent) => {
                let from = self.lab.peer(self.keys[sent.from]);
                Input::Message { from, msg: sent.msg.clone(), checked: false }
            }
            Event::Timer => {
                let earliest = seat.timers.iter().map(|(id, at)| (*at, *id)).min();
                let Some((at, id)) = earliest else { return Outcome { sent: Vec::new(), decided: Vec::new() } };
                seat.timers.remove(&id);
                seat.now = seat.now.max(at);
                Input::Timer(id)
            }
        };
        self.act(index, seat, input)
    }

    /// Lets the timers of a seat fire, one after the other, until it leaves its round. Where nothing is lost, those that
    /// only repeat what was said are of no use.
    fn give_up(&mut self, index: usize, seat: &mut Seat<L>) -> Outcome<L> {
        let mut outcome = Outcome { sent: Vec::new(), decided: Vec::new() };
        let mut timers: Vec<_> = seat.timers.iter().map(|(id, at)| (*at, *id)).collect();
        timers.sort_unstable();
        for (at, id) in timers {
            let has_left = outcome.sent.iter().any(|parcel| parcel.sent.leaves);
            if has_left || self.lab.repeats(id) || seat.timers.remove(&id).is_none() {
                continue;
            }
            if self.forgets.is_none() {
                seat.now = seat.now.max(at);
            }
            let Outcome { sent, decided } = self.act(index, seat, Input::Timer(id));
            outcome.sent.extend(sent);
            outcome.decided.extend(decided);
        }
        outcome
    }

    /// Lets a seat ask again for what it lacks.
    fn ask(&mut self, index: usize, seat: &mut Seat<L>) -> Outcome<L> {
        let Some(timer) = self.lab.asks() else { return Outcome { sent: Vec::new(), decided: Vec::new() } };
        self.act(index, seat, Input::Timer(timer))
    }

    fn act(&mut self, index: usize, seat: &mut Seat<L>, input: Input<L::Model, MsgOf<L>>) -> Outcome<L> {
        let mut outcome = Outcome { sent: Vec::new(), decided: Vec::new() };
        let mut inputs = VecDeque::from([input]);
        let mut fx = Effects::new(Lsn::new(1));
        while let Some(input) = inputs.pop_front() {
            seat.engine.step(seat.now, input, &mut fx);
            self.steps += 1;
            for effect in fx.take(Vec::new()) {
                match effect {
                    Effect::Sign { ticket, statement, digest, .. } => {
                        let allowed = seat.memory.check(&statement).map_err(crate::types::SignRefused::Conflict);
                        if allowed.is_ok() {
                            seat.memory.note(&statement);
                        }
                        let result = allowed.map(|_| self.lab.sign(self.keys[index], digest));
                        inputs.push_back(Input::Signed { ticket, result });
                    }
                    Effect::Send { to, msg, .. } => self.send(index, &[to], msg, &mut outcome.sent),
                    Effect::Broadcast { to, msg, .. } | Effect::Relay { to, msg, .. } => {
                        self.send(index, &to, msg, &mut outcome.sent);
                    }
                    Effect::SetTimer { id, at } => {
                        seat.timers.insert(id, at.max(seat.now));
                    }
                    Effect::Cancel(id) => {
                        seat.timers.remove(&id);
                    }
                    Effect::Build { slot, parent, .. } => {
                        if let Some(value) = self.build(index, seat, parent) {
                            inputs.push_back(Input::Built { slot, value: Some(value) });
                        }
                    }
                    Effect::Check { slot, value } => {
                        let verdict = self.check(seat, &value);
                        inputs.push_back(Input::Verdict { slot, id: value.id(), verdict });
                    }
                    Effect::Decide { value, cert, .. } => {
                        if !self.lab.accepts(&value, &cert) {
                            self.violated("I6", index, "the proof of a decision does not hold");
                        }
                        let id = value.id();
                        if value.parent() != seat.tip.1 {
                            self.violated("I3", index, "a decision out of order");
                        }
                        seat.tip = (value.height(), id);
                        outcome.decided.push(seat.tip);
                        inputs.push_back(Input::Applied { id, result: Ok(()) });
                        let floor = Floor { height: value.height(), id, next_at: seat.now };
                        inputs.push_back(Input::Head { floor });
                    }
                    Effect::Evidence(evidence) if self.is_honest(index) => {
                        let seats = self.seats_of.get(&evidence.offender).and_then(|seats| seats.first());
                        let honest = seats.is_none_or(|seat| self.is_honest(*seat));
                        if honest || !self.lab.proves(&evidence) {
                            self.violated("I11", index, format!("{:?} is not proven", evidence.kind));
                        }
                    }
                    Effect::Prune { below } => {
                        if let Some(decided) = below.prev() {
                            seat.memory.raise_floor(decided);
                        }
                    }
                    _ => {}
                }
            }
        }
        if let Some(rounds) = self.forgets {
            let quiet = self.rounds(seat) + 1 >= rounds;
            self.lab.forget(&mut seat.engine, quiet);
            seat.memory.forget();
            if quiet {
                seat.timers.clear();
            }
            if self.asks_at_will {
                self.lab.forget_questions(&mut seat.engine);
                self.lab.asks().and_then(|timer| seat.timers.remove(&timer));
            }
        }
        outcome
    }

    fn violated(&mut self, invariant: &'static str, node: usize, what: impl Into<String>) {
        let what = what.into();
        let known = |v: &Violation| (v.invariant, v.node, &v.what) == (invariant, node, &what);
        if self.violations.len() < 16 && !self.violations.iter().any(known) {
            self.violations.push(Violation { invariant, at: Duration::ZERO, node, what });
        }
    }

    /// The round of a view, counted from the first one of the first height; for engines of views, the view.
    const fn round_of(view: View) -> u64 {
        (view.slot.get() & 0xffff_ffff).saturating_sub(1).saturating_add(view.round.get())
    }

    /// How many rounds a seat has left behind.
    fn rounds(&self, seat: &Seat<L>) -> u64 {
        seat.engine.status().round.get().saturating_sub(self.first_round)
    }

    fn facts(&self, seat: &Seat<L>) -> Facts {
        Facts {
            rounds: self.rounds(seat),
            deadline: seat.timers.values().min().copied(),
            has_left: self.has_left(seat),
        }
    }

    /// I1: of two chains, one is the beginning of the other. The copies of a twin do not count.
    fn agree(&mut self, tips: &[(Height, IdOf<L>)]) {
        let honest: Vec<_> = (0..tips.len()).filter(|seat| self.is_honest(*seat)).collect();
        for (at, one) in honest.iter().enumerate() {
            for other in honest.iter().skip(at + 1) {
                let (mut low, mut high) = (tips[*one].min(tips[*other]), tips[*one].max(tips[*other]));
                while high.0 > low.0 {
                    let Some((height, parent)) = self.made.get(&high.1) else { break };
                    high = (height.saturating_sub(1), *parent);
                }
                if low.1 != high.1 {
                    low.0 = high.0;
                    self.violated("I1", *other, format!("{:?} and {:?} at height {}", low.1, high.1, low.0));
                }
            }
        }
    }

    const fn has_left(&self, seat: &Seat<L>) -> bool {
        seat.tip.0.get() >= self.heights
    }

    fn send(&self, from: usize, to: &[PeerOf<L>], mut msg: MsgOf<L>, out: &mut Vec<Parcel<L>>) {
        if self.forgets.is_some() {
            self.lab.plain(&mut msg);
        }
        if self.forgets.is_some() && self.lab.is_anonymous(&msg) {
            // As if the next one had sent it, whoever did.
            for to in to.iter().filter_map(|peer| self.seats_of.get(peer)).flatten().filter(|to| **to != from) {
                let from = (*to + 1) % self.keys.len();
                out.push(Parcel { to: *to, sent: self.sent(from, msg.clone()) });
            }
            return;
        }
        let sent = self.sent(from, msg);
        for to in to.iter().filter_map(|peer| self.seats_of.get(peer)).flatten().filter(|to| **to != from) {
            out.push(Parcel { to: *to, sent: Rc::clone(&sent) });
        }
    }

    fn sent(&self, from: usize, msg: MsgOf<L>) -> Rc<Sent<L>> {
        let claim = self.lab.claim(&msg).map(|(_, statement)| statement);
        let mut print = 0;
        if self.prints {
            let mut bytes = vec![from as u8];
            self.lab.codec().encode(&msg, &mut bytes);
            print = cache::print(&bytes);
        }
        Rc::new(Sent {
            from,
            msg,
            round: claim.map(|claim| Self::round_of(claim.view)),
            leaves: claim.is_some_and(|claim| claim.step == Step::Skip),
            is_vote: claim.is_some_and(|claim| matches!(claim.step, Step::Vote1 | Step::Vote2)),
            print,
        })
    }

    fn build(&mut self, index: usize, seat: &Seat<L>, parent: IdOf<L>) -> Option<ValueOf<L>> {
        let height = self.made.get(&parent)?.0.saturating_add(1);
        if height.get() > self.heights {
            return None;
        }
        let salt = (index as u64) << 32 | self.rounds(seat);
        let value = self.lab.value(self.keys[index], height, parent, salt, true);
        self.made.insert(value.id(), (height, parent));
        Some(value)
    }

    fn check(&self, seat: &Seat<L>, value: &ValueOf<L>) -> Verdict {
        let follows = self.made.get(&value.parent()).is_some_and(|(h, _)| h.saturating_add(1) == value.height());
        let stands = value.parent() == seat.tip.1 || self.lab.pipelined();
        if follows && stands && self.lab.is_valid(value) { Verdict::Valid } else { Verdict::Invalid("refused") }
    }
}
