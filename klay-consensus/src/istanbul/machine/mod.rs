//! The state machine of Istanbul with the rules of the public networks.
//!
//! Every rule of chapter 50, section 1 that fires is traced under its id. What this engine does differently from the
//! reference is listed, one flag each, in [`Compat`]; with [`Compat::faithful`] it behaves exactly like it, including
//! its faults: locks that are never released can stop the chain, and a restart forgets them.
//!
//! | File | Rules |
//! |---|---|
//! | `rounds` | SR, CU, TM: heights, rounds and their timer |
//! | `proposal` | RQ, PP: local blocks and proposals |
//! | `votes` | VT: prepares, commits, the decision |
//! | `round_change` | RC |
//! | `backlog` | BK-4 to BK-6 |
//! | `speech` | signing, sending, relaying (RL) |

mod backlog;
mod config;
mod proposal;
mod record;
mod round_change;
mod rounds;
mod speech;
mod votes;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use alloy_primitives::{Address, B256};

use self::{backlog::Backlog, speech::Speech};
use super::{Body, Code, Klaytn, Message, Preprepare, WireValue, seal::Seal};
use crate::types::{
    ApplyError, Committee, Delays, Detail, Effect, Effects, Engine, Evidence, Floor, Height, Input, Misbehaviour,
    Refuse, Rejected, Round, Status, Ticket, Time, TimerId, TimerKind, Validate, Value, Verdict, View,
};

pub use backlog::backlog_priority;
pub use config::{Compat, IstanbulConfig, Relay, Rules};
pub use record::IstanbulRecord;

/// The round's timer.
pub const ROUND_TIMER: TimerId = TimerId::new(1);
/// A proposal whose time lies ahead is looked at again.
pub const RETRY_TIMER: TimerId = TimerId::new(2);
/// A request for a new round is repeated.
pub const REPEAT_TIMER: TimerId = TimerId::new(3);
/// A block that is built is put forward when its height may begin.
pub const PROPOSE_TIMER: TimerId = TimerId::new(4);
/// With [`Compat::own_at_once`] off, the first of the timers that stand for queued events.
pub const QUEUE_TIMERS: TimerId = TimerId::new(1000);

/// Decided blocks that are remembered by hash, for PP-2.
const REMEMBERED_BLOCKS: usize = 64;
/// Blocks that the application refused, for the meaning of "locked".
const REMEMBERED_BAD: usize = 1024;

/// Where a round stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    AcceptRequest,
    Preprepared,
    Prepared,
    Committed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lock {
    round: Round,
    id: B256,
}

/// Something that is handled after the event that caused it.
#[derive(Debug, Clone)]
enum Queued<V> {
    Own(Message<V>),
    Replay(Address, Message<V>),
    Request(V),
    Head,
}

/// What a queued event is, for hosts that order them themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueuedEvent<V> {
    /// A message of our own that is to be handled.
    Own(Box<Message<V>>),
    /// A message kept for later is handled again.
    Replay(Address, Code),
    /// A local block kept for later is handled again.
    Request,
    /// The chain's head has moved.
    Head,
}

/// How far the handling of a message got.
enum Handled {
    Done,
    /// The application is asked first.
    Pending,
}

type Fx<V> = Effects<Klaytn<V>, Message<V>, IstanbulRecord>;

/// The time of a step and where its effects go.
struct Step<'a, V: WireValue> {
    now: Time,
    fx: &'a mut Fx<V>,
}

impl<V: WireValue> Step<'_, V> {
    fn trace(&mut self, rule: &'static str, view: View) {
        self.fx.push(Effect::Trace(rule, Detail { view: Some(view), count: None }));
    }

    fn push(&mut self, effect: Effect<Klaytn<V>, Message<V>, IstanbulRecord>) {
        self.fx.push(effect);
    }
}

/// The engine. See [`machine`](crate::istanbul::machine) for where its rules are.
#[derive(Debug, Clone)]
pub struct Istanbul<V: WireValue> {
    config: IstanbulConfig<V>,
    floor: Floor<Klaytn<V>>,
    view: View,
    waiting: bool,
    state: State,
    started: bool,
    stopped: bool,
    /// The people of the round; none while they cannot be looked up.
    committee: Option<Arc<Committee<Address>>>,
    /// A round that waits for its committee.
    wanted_round: Option<Round>,
    lock: Option<Lock>,
    proposal: Option<V>,
    prepares: BTreeMap<Address, Message<V>>,
    commits: BTreeMap<Address, Message<V>>,
    round_changes: BTreeMap<Round, BTreeSet<Address>>,
    /// First prepare of each sender in this view, for evidence.
    first_prepares: BTreeMap<Address, Message<V>>,
    first_proposal: Option<Message<V>>,
    request: Option<V>,
    /// Local blocks for heights to come, lowest first.
    future_requests: Vec<V>,
    building: bool,
    backlog: Backlog<V>,
    /// A proposal that the application looks at.
    checking: Option<(Address, Message<V>)>,
    /// What the application looks at, by name: a verdict says no more.
    examined: BTreeMap<B256, V>,
    /// A proposal whose time lies ahead.
    early: Option<(Address, Message<V>)>,
    sealing: Option<(Ticket, V)>,
    speech: Speech<V>,
    relay_view: View,
    timer_view: View,
    timers: BTreeMap<TimerId, Time>,
    queue: VecDeque<(TimerId, Queued<V>)>,
    next_queued: TimerId,
    blocks: BTreeMap<Height, B256>,
    bad: BTreeSet<B256>,
    /// After a restart within a height: the round that may have been spoken in.
    restored: Option<Round>,
}

impl<V: WireValue> Engine<Klaytn<V>> for Istanbul<V> {
    type Msg = Message<V>;
    type Record = IstanbulRecord;
    type Config = IstanbulConfig<V>;

    const NAME: &'static str = "istanbul";
    const DELAYS: Delays = Delays { block: 3, finality: 3 };

    fn open(config: IstanbulConfig<V>, floor: Floor<Klaytn<V>>, log: Vec<IstanbulRecord>) -> Result<Self, Refuse> {
        config.validate()?;
        let mut engine = Self::new(config, floor);
        if engine.config.compat.remember {
            engine.restore(log)?;
        }
        Ok(engine)
    }

    fn step(&mut self, now: Time, input: Input<Klaytn<V>, Message<V>>, fx: &mut Fx<V>) {
        if self.stopped {
            return;
        }
        let cx = &mut Step { now, fx };
        match input {
            Input::Start => self.start(cx),
            Input::Message { from, msg, checked } => self.receive(cx, from, msg, checked),
            Input::Timer(id) => self.timer(cx, id),
            Input::Built { value, .. } => self.built(cx, value),
            Input::Verdict { id, verdict, .. } => {
                let verdict = self.well_formed(verdict);
                self.verdict(cx, id, verdict);
            }
            Input::Signed { ticket, result } => self.signed(cx, ticket, result),
            Input::Applied { id, result } => self.applied(cx, id, result),
            Input::Head { floor } => self.head(cx, floor),
            Input::Sets { .. } => self.retry_round(cx),
            Input::Peer { peer, up: true } => self.greet(cx, peer),
            Input::Stop => self.stopped = true,
            Input::Durable(_) | Input::Demand | Input::Peer { up: false, .. } => {}
        }
        if self.config.compat.own_at_once {
            while let Some((_, queued)) = self.queue.pop_front() {
                self.run_queued(cx, queued);
            }
            self.next_queued = QUEUE_TIMERS;
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.values().min().copied()
    }

    fn status(&self) -> Status<Klaytn<V>> {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Status {
            height: Height::new(self.view.slot.get()),
            round: self.view.round,
            state: match self.state {
                State::AcceptRequest => "Accept request",
                State::Preprepared => "Preprepared",
                State::Prepared => "Prepared",
                State::Committed => "Committed",
            },
            waiting: self.waiting,
            proposer: self.committee.as_ref().map(|c| c.proposer),
            proposal: self.proposal.as_ref().map(Value::id),
            lock: self.lock.map(|lock| (lock.round, lock.id)),
            vote1: count(self.prepares.len()),
            vote2: count(self.commits.len()),
            skips: count(self.round_changes.values().map(BTreeSet::len).sum()),
            backlog: count(self.backlog.len()),
        }
    }
}

impl<V: WireValue> Istanbul<V> {
    fn new(config: IstanbulConfig<V>, floor: Floor<Klaytn<V>>) -> Self {
        let view = View::first(floor.next_slot());
        Self {
            backlog: Backlog::new(config.compat.bounded_backlog),
            blocks: BTreeMap::from([(floor.height, floor.id)]),
            config,
            floor,
            view,
            waiting: false,
            state: State::AcceptRequest,
            started: false,
            stopped: false,
            committee: None,
            wanted_round: None,
            lock: None,
            proposal: None,
            prepares: BTreeMap::new(),
            commits: BTreeMap::new(),
            round_changes: BTreeMap::new(),
            first_prepares: BTreeMap::new(),
            first_proposal: None,
            request: None,
            future_requests: Vec::new(),
            building: false,
            checking: None,
            examined: BTreeMap::new(),
            early: None,
            sealing: None,
            speech: Speech::default(),
            relay_view: view,
            timer_view: view,
            timers: BTreeMap::new(),
            queue: VecDeque::new(),
            next_queued: QUEUE_TIMERS,
            bad: BTreeSet::new(),
            restored: None,
        }
    }

    fn restore(&mut self, log: Vec<IstanbulRecord>) -> Result<(), Refuse> {
        use crate::types::Record as _;
        for record in log {
            if record.slot() > self.view.slot {
                return Err(Refuse::ChainBehindLog { log: record.slot(), chain: self.view.slot });
            }
            if record.slot() < self.view.slot {
                continue;
            }
            match record {
                IstanbulRecord::Entered { view } => self.restored = self.restored.max(Some(view.round)),
                IstanbulRecord::Lock { view, id, value } => {
                    let mut reader = klay_core::codec::Reader::new(&value);
                    // A value that no longer decodes leaves only the lock, which is the safe half.
                    self.proposal = V::decode(&mut reader).ok().filter(|v| v.id() == id);
                    self.lock = Some(Lock { round: view.round, id });
                    self.restored = self.restored.max(Some(view.round));
                }
                IstanbulRecord::Released { .. } => (self.lock, self.proposal) = (None, None),
            }
        }
        Ok(())
    }

    /// The senders of requests for each round, as far as they are kept.
    pub const fn round_changes(&self) -> &BTreeMap<Round, BTreeSet<Address>> {
        &self.round_changes
    }

    /// Whose prepares and commits count in this round.
    pub fn voters(&self) -> (Vec<Address>, Vec<Address>) {
        (self.prepares.keys().copied().collect(), self.commits.keys().copied().collect())
    }

    /// Whether the lock binds: it is set, and the application has not refused its value.
    pub fn is_locked(&self) -> bool {
        self.lock.is_some_and(|lock| !self.bad.contains(&lock.id))
    }

    /// The events that wait for the host, with [`Compat::own_at_once`] off, and the timer that runs each.
    pub fn queued(&self) -> Vec<(TimerId, QueuedEvent<V>)> {
        let event = |queued: &Queued<V>| match queued {
            Queued::Own(message) => QueuedEvent::Own(Box::new(message.clone())),
            Queued::Replay(from, message) => QueuedEvent::Replay(*from, message.code()),
            Queued::Request(_) => QueuedEvent::Request,
            Queued::Head => QueuedEvent::Head,
        };
        self.queue.iter().map(|(id, queued)| (*id, event(queued))).collect()
    }

    /// Puts what no rule reads any more out of the way, so that states which will do the same are equal: prepares once
    /// the proposal is prepared, or of those who have said commit; and what only evidence against those who contradict
    /// themselves needs.
    #[cfg(feature = "simulate")]
    pub(crate) fn forget(&mut self) {
        self.first_prepares.clear();
        let (state, commits) = (self.state, &self.commits);
        self.prepares.retain(|sender, _| state < State::Prepared && !commits.contains_key(sender));
    }

    fn enqueue(&mut self, cx: &mut Step<'_, V>, queued: Queued<V>) {
        let id = self.next_queued;
        self.next_queued = id.next().unwrap_or(QUEUE_TIMERS);
        self.queue.push_back((id, queued));
        if !self.config.compat.own_at_once {
            cx.push(Effect::SetTimer { id, at: cx.now });
        }
    }

    fn run_queued(&mut self, cx: &mut Step<'_, V>, queued: Queued<V>) {
        match queued {
            Queued::Own(message) => {
                let me = self.config.me;
                self.handle_and_report(cx, me, me, message);
            }
            Queued::Replay(from, message) => {
                // BK-7: the signature was checked when it was stored.
                if self.committee.as_ref().is_some_and(|c| c.is_sender(from)) {
                    self.handle_and_report(cx, from, from, message);
                }
            }
            Queued::Request(value) => self.local_block(cx, value),
            Queued::Head => self.start_round(cx, Round::ZERO),
        }
    }

    fn receive(&mut self, cx: &mut Step<'_, V>, from: Address, message: Message<V>, checked: bool) {
        let sender = message.from();
        if let Err(why) = self.admit(&message, checked) {
            return cx.push(Effect::Rejected { from, why });
        }
        self.handle_and_report(cx, from, sender, message);
    }

    /// MS-2 and MS-3.
    fn admit(&self, message: &Message<V>, checked: bool) -> Result<(), Rejected> {
        let unauthorized = "unauthorized address";
        if message.from() == self.config.me {
            return Err(Rejected::stale("EN-4", "own message"));
        }
        let Some(committee) = &self.committee else {
            return Err(Rejected::retry("RL-7", "no committee"));
        };
        if !checked {
            let signer = self.signer(message).ok_or(Rejected::by_sender("MS-2", "invalid signature"))?;
            if !committee.is_sender(signer) {
                return Err(Rejected::by_sender("MS-2", unauthorized));
            }
            let may_differ = self.config.rules == Rules::V1 && !self.config.compat.signer_is_sender;
            if signer != message.from() && !may_differ {
                return Err(Rejected::by_sender("MS-2", "message not signed by the sender"));
            }
        }
        if !committee.is_sender(message.from()) {
            // Perhaps a member that our head does not know yet.
            return Err(Rejected { keep: crate::types::Keep::Retry, ..Rejected::by_sender("MS-3", unauthorized) });
        }
        Ok(())
    }

    fn signer(&self, message: &Message<V>) -> Option<Address> {
        let seal = Seal::try_from(&message.envelope.signature[..]).ok()?;
        self.config.authors.author(message.envelope.digest(), &seal)
    }

    fn handle_and_report(&mut self, cx: &mut Step<'_, V>, from: Address, sender: Address, message: Message<V>) {
        match self.handle(cx, sender, &message) {
            Ok(Handled::Done) => self.spread(cx, message),
            Ok(Handled::Pending) => {}
            Err(why) => {
                let mut why = why;
                if why.keep == crate::types::Keep::Stored
                    && why.rule.starts_with("BK")
                    && (sender == self.config.me || !self.backlog.push(self.view, sender, message))
                {
                    why.keep = crate::types::Keep::Drop;
                }
                cx.push(Effect::Rejected { from, why });
            }
        }
    }

    fn handle(&mut self, cx: &mut Step<'_, V>, sender: Address, message: &Message<V>) -> Result<Handled, Rejected> {
        match &message.body {
            Body::Preprepare(preprepare) => self.handle_preprepare(cx, sender, message, preprepare),
            Body::Prepare(subject) | Body::Commit(subject) => self.handle_vote(cx, sender, message, *subject),
            Body::RoundChange(subject) => self.handle_round_change(cx, sender, *subject),
        }
    }

    /// Check 10 of chapter 50, section 1.11, as far as it needs no chain: a value with something else in the place of
    /// seals has the name of one without, and could not be taken over once it is decided. Others were perhaps sent the
    /// latter.
    fn well_formed(&self, verdict: Verdict) -> Verdict {
        let odd = self.checking.as_ref().is_some_and(
            |(_, message)| matches!(&message.body, Body::Preprepare(preprepare) if !preprepare.value.is_well_formed()),
        );
        if odd && verdict == Verdict::Valid { Verdict::Invalid("invalid committed seals") } else { verdict }
    }

    /// Old, current or future (BK-2, BK-3).
    fn check_view(&self, code: Code, view: View) -> Result<(), Rejected> {
        let future = Rejected::stored("BK-4", "future message");
        let old = |rule| Rejected::stale(rule, "old message");
        if code == Code::RoundChange {
            if view.slot > self.view.slot {
                return Err(future);
            }
            return if view < self.view { Err(old("BK-2")) } else { Ok(()) };
        }
        if view > self.view {
            return Err(future);
        }
        if view < self.view {
            return Err(old("BK-3"));
        }
        if self.waiting || (self.state == State::AcceptRequest && code != Code::Preprepare) {
            return Err(future);
        }
        Ok(())
    }

    fn set_state(&mut self, cx: &mut Step<'_, V>, state: State) {
        self.state = state;
        if state == State::AcceptRequest {
            self.ready_requests(cx);
        }
        self.ready_backlog(cx);
    }

    /// BK-6.
    fn ready_backlog(&mut self, cx: &mut Step<'_, V>) {
        let mut backlog = core::mem::replace(&mut self.backlog, Backlog::new(self.config.compat.bounded_backlog));
        let is_future = |message: &Message<V>| {
            self.check_view(message.code(), message.view()).is_err_and(|why| why.keep == crate::types::Keep::Stored)
        };
        let ready = backlog.take_ready(is_future);
        self.backlog = backlog;
        for (from, message) in ready {
            if self.check_view(message.code(), message.view()).is_ok() {
                cx.trace("BK-6", message.view());
                self.enqueue(cx, Queued::Replay(from, message));
            }
        }
    }

    fn timer(&mut self, cx: &mut Step<'_, V>, id: TimerId) {
        self.timers.remove(&id);
        match id {
            ROUND_TIMER => self.round_timer(cx),
            RETRY_TIMER => {
                if let Some((from, message)) = self.early.take() {
                    self.enqueue(cx, Queued::Replay(from, message));
                }
            }
            REPEAT_TIMER => self.repeat_round_change(cx),
            PROPOSE_TIMER => self.propose_request(cx),
            queued => {
                if let Some(at) = self.queue.iter().position(|(id, _)| *id == queued)
                    && let Some((_, event)) = self.queue.remove(at)
                {
                    self.run_queued(cx, event);
                }
            }
        }
    }

    fn set_timer(&mut self, cx: &mut Step<'_, V>, id: TimerId, at: Time) {
        self.timers.insert(id, at);
        cx.push(Effect::SetTimer { id, at });
    }

    fn cancel(&mut self, cx: &mut Step<'_, V>, id: TimerId) {
        if self.timers.remove(&id).is_some() {
            cx.push(Effect::Cancel(id));
        }
    }

    fn is_proposer(&self) -> bool {
        self.committee.as_ref().is_some_and(|c| c.proposer == self.config.me)
    }

    fn is_member(&self) -> bool {
        self.committee.as_ref().is_some_and(|c| c.is_member(self.config.me))
    }

    fn report(&self, cx: &mut Step<'_, V>, kind: Misbehaviour, offender: Address, proof: &[&Message<V>]) {
        if !self.config.compat.keep_evidence {
            return;
        }
        let proof = proof.iter().map(|message| {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            bytes
        });
        let (height, view) = (Height::new(self.view.slot.get()), self.view);
        cx.push(Effect::Evidence(Evidence { kind, offender, height, view, proof: proof.collect() }));
    }
}
