//! Istanbul without locks: every proposal after the first proves that it may be made.
//!
//! Same messages and three message delays as Istanbul, but a node that has prepared a value does not cling to it: it
//! says so when it asks for a higher round, with the prepares as proof, and the next proposer must put forward the
//! value with the highest proven claim among a quorum of requests. Two quorums share an honest member, so a value that
//! may have been decided is always among them; and an honest proposer can always prove its proposal, so no set of locks
//! can stop the chain. For own chains: nodes of the public networks do not speak it.
//!
//! | Id | Rule |
//! |---|---|
//! | JE-1 | a height begins in round 0; its proposer puts a new value forward |
//! | JE-2 | a proposal of the round's proposer that is proven (JU) and valid is answered by PREPARE, once a round |
//! | JE-3 | a proven proposal of a higher round moves the node there |
//! | JE-4 | a quorum of PREPAREs of the round: the value is prepared, on record with its proof, and answered by COMMIT |
//! | JE-5 | a quorum of COMMITs of any round of the height decides, also of a round that was left |
//! | JE-6 | when the timer fires, the node enters the next round and asks for it, with what it has prepared; the timer of a later round runs once a quorum asks for that round or a higher one, so nobody runs away alone |
//! | JE-7 | F + 1 requests for higher rounds move the node to the lowest of them |
//! | JE-8 | a quorum of requests for a round: its proposer puts forward what JU-5 demands |
//! | JE-9 | a request is repeated while nothing happens, and sent to peers that come |
//! | JE-10 | after a restart within a height, the last round entered is asked for again; if more was said in it than that, the next one |
//! | JE-11 | the voters of a height are those of its first round, in every round; only the proposer changes |
//!
//! JE-11 is what lets two quorums of different rounds share an honest member, on which everything above rests.
//!
//! The quorum for deciding is the quorum for importing, see [`decision_holds`].
//!
//! Source: chapter 50, sections 1.14 and 5.6; the idea is IBFT 2.0 and QBFT (arXiv 1909.10194, 2002.03613).

mod evidence;
mod message;
mod proof;
mod record;
mod rounds;
pub(super) mod values;
mod votes;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use core::{cmp::Reverse, time::Duration};

use alloy_primitives::{Address, B256, Bytes};

use self::{proof::Checker, values::Accepted};
use super::{
    Klaytn, WireValue,
    seal::{self, Authors, Recover, Seal},
};
use crate::types::{
    Class, Committee, Committees, Delays, Detail, Domain, Effect, Effects, Engine, Evidence, Floor, Height, Input,
    Limits, Misbehaviour, Refuse, Rejected, Round, RoundHistory, SignRefused, Slot, Statement, Status, Ticket, Time,
    Timeouts, TimerId, TimerKind, Validate, Verdict, View, timeouts::Linear,
};

pub use evidence::check_evidence;
pub use message::{Claim, JustifiedCodec, JustifiedMessage, Kind, SignedVote, Vote, seal_digest, sealed_rounds};
pub use proof::decision_holds;
pub use record::JustifiedRecord;

const ROUND_TIMER: TimerId = TimerId::new(1);
const RETRY_TIMER: TimerId = TimerId::new(2);
const REPEAT_TIMER: TimerId = TimerId::new(3);
const PROPOSE_TIMER: TimerId = TimerId::new(4);
/// Rounds ahead of ours for which messages are kept.
const ROUNDS_AHEAD: u64 = 128;
/// Messages kept per sender for later.
const LATER: usize = 64;
/// Among them, those that carry more than a vote: each may be as long as messages can be.
const LOADED: usize = 2;

/// The settings of [`Justified`].
#[derive(Debug, Clone)]
pub struct JustifiedConfig<V: WireValue> {
    /// Who we are.
    pub me: Address,
    /// Who decides a height, and who proposes in a round of it. Of rounds after the first, only the proposer is used.
    pub committees: Arc<dyn Committees<Klaytn<V>>>,
    /// How long a round may last.
    pub timeouts: Arc<dyn Timeouts>,
    /// Who made a signature.
    pub authors: Arc<dyn Authors>,
    /// A digest of the chain: signatures of another chain do not count.
    pub domain: B256,
    /// How long a block may be built.
    pub build_time: Duration,
}

impl<V: WireValue> JustifiedConfig<V> {
    /// Linear timeouts, signatures by recovery.
    pub fn new(me: Address, committees: Arc<dyn Committees<Klaytn<V>>>, domain: B256) -> Self {
        let timeouts = Arc::new(Linear::default());
        let build_time = Duration::from_millis(250);
        Self { me, committees, timeouts, authors: Arc::new(Recover), domain, build_time }
    }
}

impl<V: WireValue> Validate for JustifiedConfig<V> {
    fn validate(&self) -> Result<(), Refuse> {
        let shortest = self.timeouts.after(TimerKind::Round, Round::ZERO, &RoundHistory::default());
        if self.build_time >= shortest {
            return Err(Refuse::Config { setting: "build_time", reason: "must be shorter than the first round" });
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    New,
    Proposed,
    Prepared,
    Decided,
}

/// A value that a quorum has prepared.
#[derive(Debug, Clone)]
struct Prepared<V> {
    round: Round,
    value: V,
    votes: Vec<SignedVote>,
}

/// What waits for a signature.
#[derive(Debug, Clone)]
enum Unsigned<V> {
    /// The proposer's seal inside a value.
    Value(V),
    /// The committed seal of a commit.
    Seal(Vote),
    /// The signature of a message.
    Message(JustifiedMessage<V>),
}

type Fx<V> = Effects<Klaytn<V>, JustifiedMessage<V>, JustifiedRecord>;

/// The time of a step and where its effects go.
struct Cx<'a, V: WireValue> {
    now: Time,
    fx: &'a mut Fx<V>,
}

impl<V: WireValue> Cx<'_, V> {
    fn trace(&mut self, rule: &'static str, view: View) {
        self.fx.push(Effect::Trace(rule, Detail { view: Some(view), count: None }));
    }

    fn push(&mut self, effect: Effect<Klaytn<V>, JustifiedMessage<V>, JustifiedRecord>) {
        self.fx.push(effect);
    }
}

/// The engine. See [its rules](crate::istanbul::justified).
#[derive(Debug, Clone)]
pub struct Justified<V: WireValue> {
    config: JustifiedConfig<V>,
    floor: Floor<Klaytn<V>>,
    view: View,
    phase: Phase,
    stopped: bool,
    started: bool,
    committee: Option<Arc<Committee<Address>>>,
    /// The proposal of the round.
    proposal: Option<V>,
    prepares: BTreeMap<Address, SignedVote>,
    /// By round and value: a decision may fall in a round that was left.
    commits: BTreeMap<(Round, B256), BTreeMap<Address, SignedVote>>,
    /// The highest request of each sender.
    round_changes: BTreeMap<Address, JustifiedMessage<V>>,
    prepared: Option<Prepared<V>>,
    /// Values of the height that the application has accepted. A name covers a header and no transactions.
    values: Accepted<V>,
    /// What the application looks at, one value of a name at a time, as a verdict says no more than the name.
    examined: BTreeMap<B256, V>,
    /// Whose value is looked at before we propose it.
    vetting: Option<(Address, B256)>,
    /// Whose request of this round came with a value that the application refused.
    spoilt: BTreeSet<Address>,
    /// A block of our own.
    request: Option<V>,
    building: bool,
    proposed: bool,
    checking: Option<JustifiedMessage<V>>,
    early: Option<JustifiedMessage<V>>,
    later: BTreeMap<Address, Vec<JustifiedMessage<V>>>,
    first_votes: BTreeMap<(Address, Kind), SignedVote>,
    unsigned: BTreeMap<Ticket, Unsigned<V>>,
    asked: Option<JustifiedMessage<V>>,
    /// The round that the log asks for (JE-10).
    restored: Option<Round>,
    timers: BTreeMap<TimerId, Time>,
}

impl<V: WireValue> Engine<Klaytn<V>> for Justified<V> {
    type Msg = JustifiedMessage<V>;
    type Record = JustifiedRecord;
    type Config = JustifiedConfig<V>;

    const NAME: &'static str = "justified";
    const DELAYS: Delays = Delays { block: 3, finality: 3 };

    fn open(config: JustifiedConfig<V>, floor: Floor<Klaytn<V>>, log: Vec<JustifiedRecord>) -> Result<Self, Refuse> {
        config.validate()?;
        let mut engine = Self::new(config, floor);
        engine.restore(log)?;
        Ok(engine)
    }

    fn step(&mut self, now: Time, input: Input<Klaytn<V>, JustifiedMessage<V>>, fx: &mut Fx<V>) {
        if self.stopped {
            return;
        }
        let cx = &mut Cx { now, fx };
        match input {
            Input::Start => self.begin_height(cx),
            Input::Message { from, msg, checked } => self.receive(cx, from, msg, checked),
            Input::Timer(id) => self.timer(cx, id),
            Input::Built { value, .. } => self.built(cx, value),
            Input::Verdict { id, verdict, .. } => self.verdict(cx, id, verdict),
            Input::Signed { ticket, result } => self.signed(cx, ticket, result),
            Input::Applied { id, result } => {
                if result.is_err()
                    && self.phase == Phase::Decided
                    && self.proposal.as_ref().is_some_and(|v| v.id() == id)
                {
                    self.leave_round(cx);
                }
            }
            Input::Head { floor } => self.head(cx, floor),
            Input::Sets { .. } => {
                if self.committee.is_none() {
                    self.begin_height(cx);
                }
            }
            Input::Peer { peer, up: true } => {
                if let Some(msg) = self.asked.clone() {
                    cx.push(Effect::Send { to: peer, msg, class: Class::Vote, after: None });
                }
            }
            Input::Stop => self.stopped = true,
            Input::Durable(_) | Input::Demand | Input::Peer { up: false, .. } => {}
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
            state: match self.phase {
                Phase::New => "new",
                Phase::Proposed => "proposed",
                Phase::Prepared => "prepared",
                Phase::Decided => "decided",
            },
            waiting: self.asked.is_some() && self.phase == Phase::New,
            proposer: self.committee.as_ref().map(|c| c.proposer),
            proposal: self.proposal.as_ref().map(crate::types::Value::id),
            lock: self.prepared.as_ref().map(|p| (p.round, p.value.id())),
            vote1: count(self.prepares.len()),
            vote2: count(self.commits.values().map(BTreeMap::len).sum()),
            skips: count(self.round_changes.len()),
            backlog: count(self.later.values().map(Vec::len).sum()),
        }
    }
}

impl<V: WireValue> Justified<V> {
    const fn new(config: JustifiedConfig<V>, floor: Floor<Klaytn<V>>) -> Self {
        let view = View::first(floor.next_slot());
        Self {
            config,
            floor,
            view,
            phase: Phase::New,
            stopped: false,
            started: false,
            committee: None,
            proposal: None,
            prepares: BTreeMap::new(),
            commits: BTreeMap::new(),
            round_changes: BTreeMap::new(),
            prepared: None,
            values: Accepted::new(),
            examined: BTreeMap::new(),
            vetting: None,
            spoilt: BTreeSet::new(),
            request: None,
            building: false,
            proposed: false,
            checking: None,
            early: None,
            later: BTreeMap::new(),
            first_votes: BTreeMap::new(),
            unsigned: BTreeMap::new(),
            asked: None,
            restored: None,
            timers: BTreeMap::new(),
        }
    }

    fn restore(&mut self, log: Vec<JustifiedRecord>) -> Result<(), Refuse> {
        use crate::types::Record as _;
        let slot = self.view.slot;
        for record in log {
            if record.slot() > slot {
                return Err(Refuse::ChainBehindLog { log: record.slot(), chain: slot });
            }
            if record.slot() < slot {
                continue;
            }
            let round = match &record {
                JustifiedRecord::Entered { view } => view.round,
                // It was committed to.
                JustifiedRecord::Prepared { view, .. } => view.round.saturating_add(1),
            };
            self.restored = self.restored.max(Some(round));
            if let JustifiedRecord::Prepared { view, proof } = &record {
                // What was committed to must not be forgotten, however long it is.
                let limits = Limits { message: usize::MAX, entries: usize::MAX };
                let message = JustifiedMessage::decode(proof, limits).ok();
                let Some((value, votes)) = message.and_then(|m| Some((m.value?, m.prepares))) else {
                    return Err(Refuse::Log("what was prepared cannot be read"));
                };
                self.prepared = Some(Prepared { round: view.round, value, votes });
            }
        }
        Ok(())
    }

    /// Puts what no rule reads any more out of the way, so that states which will do the same are equal: prepares once
    /// the value is prepared, requests for the round once it has its proposal, our own once it is not repeated any more,
    /// and what only evidence against those who contradict themselves needs. Proofs are put in one form by `plain`.
    #[cfg(feature = "simulate")]
    pub(crate) fn forget(&mut self, plain: impl Fn(&mut JustifiedMessage<V>)) {
        self.first_votes.clear();
        if self.phase >= Phase::Prepared {
            self.prepares.clear();
        }
        let view = self.view;
        if self.phase != Phase::New {
            self.round_changes.retain(|_, request| request.signed.vote.view > view);
        }
        let phase = self.phase;
        self.asked.take_if(|asked| phase != Phase::New || asked.signed.vote.view != view);
        self.round_changes.values_mut().chain(&mut self.asked).for_each(&plain);
        if let Some(prepared) = &mut self.prepared {
            let claim = Some((prepared.round, prepared.value.id()));
            let vote = Vote { kind: Kind::RoundChange, view, digest: B256::ZERO, prepared: claim };
            let signed = SignedVote { vote, from: self.config.me, signature: Bytes::new(), seal: Bytes::new() };
            let mut request = JustifiedMessage::plain(signed);
            request.prepares = core::mem::take(&mut prepared.votes);
            plain(&mut request);
            prepared.votes = request.prepares;
        }
    }

    fn is_proposer(&self) -> bool {
        self.committee.as_ref().is_some_and(|c| c.proposer == self.config.me)
    }

    fn is_member(&self) -> bool {
        self.committee.as_ref().is_some_and(|c| c.is_member(self.config.me))
    }

    fn set_timer(&mut self, cx: &mut Cx<'_, V>, id: TimerId, at: Time) {
        self.timers.insert(id, at);
        cx.push(Effect::SetTimer { id, at });
    }

    fn cancel(&mut self, cx: &mut Cx<'_, V>, id: TimerId) {
        if self.timers.remove(&id).is_some() {
            cx.push(Effect::Cancel(id));
        }
    }

    fn report(cx: &mut Cx<'_, V>, kind: Misbehaviour, proof: &[&SignedVote]) {
        let Some(SignedVote { from, vote: Vote { view, .. }, .. }) = proof.first() else { return };
        let encode = |signed: &&SignedVote| {
            let mut bytes = Vec::new();
            JustifiedMessage::<V>::plain((*signed).clone()).encode(&mut bytes);
            bytes
        };
        let (offender, view, height) = (*from, *view, Height::new(view.slot.get()));
        cx.push(Effect::Evidence(Evidence { kind, offender, height, view, proof: proof.iter().map(encode).collect() }));
    }

    /// Asks the gate for the signature of a message of ours.
    fn say(&mut self, cx: &mut Cx<'_, V>, message: JustifiedMessage<V>, content: B256) {
        let digest = message.signed.signing_digest(self.config.domain);
        let ticket = cx.fx.sign(message.signed.vote.statement(content), Domain::Message, digest.0);
        self.unsigned.insert(ticket, Unsigned::Message(message));
    }

    const fn unsigned(&self, vote: Vote, seal: Bytes) -> SignedVote {
        SignedVote { vote, from: self.config.me, signature: Bytes::new(), seal }
    }

    fn signed(&mut self, cx: &mut Cx<'_, V>, ticket: Ticket, result: Result<Seal, SignRefused>) {
        let Some(unsigned) = self.unsigned.remove(&ticket) else { return };
        let signature = match result {
            Ok(signature) => signature,
            Err(SignRefused::Conflict(_)) => return self.contradicted(cx, &unsigned),
            Err(_) => return,
        };
        match unsigned {
            Unsigned::Value(value) => {
                let Ok(extra) = seal::with_seal(&value.header().extra, &signature) else { return };
                self.request = Some(value.with_extra(extra));
                self.try_propose(cx);
            }
            Unsigned::Seal(vote) => {
                let signed = self.unsigned(vote, Bytes::copy_from_slice(&signature));
                self.say(cx, JustifiedMessage::plain(signed), vote.digest);
            }
            Unsigned::Message(mut message) => {
                message.signed.signature = Bytes::copy_from_slice(&signature);
                self.send_own(cx, message);
            }
        }
    }

    /// JE-10: our log does not tell of proposals and prepares, but the gate does. Whoever has made them in a round does not
    /// ask for it again, so the one after it is asked for. Once: the gate has heard of no round that is not in our log.
    fn contradicted(&mut self, cx: &mut Cx<'_, V>, unsigned: &Unsigned<V>) {
        let Unsigned::Message(JustifiedMessage { signed: SignedVote { vote, .. }, .. }) = unsigned else { return };
        let is_request = vote.kind == Kind::RoundChange && vote.view == self.view;
        if is_request && self.restored.take_if(|round| *round == vote.view.round).is_some() {
            cx.trace("JE-10", self.view);
            self.next_round(cx);
        }
    }

    /// Sends a message and counts it, in one step.
    fn send_own(&mut self, cx: &mut Cx<'_, V>, message: JustifiedMessage<V>) {
        let vote = &message.signed.vote;
        if vote.view.slot != self.view.slot {
            return;
        }
        if vote.kind == Kind::RoundChange {
            self.asked = Some(message.clone());
        }
        let class = if message.value.is_some() { Class::Proposal } else { Class::Vote };
        let others = self.committee.iter().flat_map(|c| c.senders.iter().copied());
        let to: Vec<_> = others.filter(|a| *a != self.config.me).collect();
        if !to.is_empty() {
            cx.push(Effect::Broadcast { to, msg: message.clone(), class, after: None });
        }
        // A message of ours that came too late for us is still true.
        let _late = self.handle(cx, message).is_err();
    }

    fn receive(&mut self, cx: &mut Cx<'_, V>, from: Address, message: JustifiedMessage<V>, checked: bool) {
        let result = self.admit(from, &message, checked).and_then(|()| self.handle(cx, message));
        if let Err(why) = result {
            cx.push(Effect::Rejected { from, why });
        }
    }

    fn admit(&self, from: Address, message: &JustifiedMessage<V>, checked: bool) -> Result<(), Rejected> {
        let signed = &message.signed;
        if signed.from == self.config.me {
            return Err(Rejected::stale("EN-4", "own message"));
        }
        let Some(committee) = &self.committee else { return Err(Rejected::retry("JE-1", "no committee")) };
        if !committee.is_sender(signed.from) {
            return Err(Rejected::by_sender("JE-2", "sender is no validator"));
        }
        if from != signed.from && message.comes_from_its_signer() {
            return Err(Rejected::by_sender("JE-2", "passed on by somebody else"));
        }
        if !message.is_in_shape() {
            return Err(Rejected::by_sender("JE-2", "carries what messages of its kind do not have"));
        }
        if !checked && !signed.is_signed(self.config.domain, &*self.config.authors) {
            return Err(Rejected::by_sender("JE-2", "not signed by the sender"));
        }
        Ok(())
    }

    fn handle(&mut self, cx: &mut Cx<'_, V>, message: JustifiedMessage<V>) -> Result<(), Rejected> {
        let Vote { kind, view, .. } = message.signed.vote;
        if view.slot < self.view.slot {
            return Err(Rejected::stale("JE-1", "old height"));
        }
        if view.slot > self.view.slot {
            return self.keep_for_later(message);
        }
        match kind {
            Kind::Proposal => self.handle_proposal(cx, message),
            Kind::Prepare | Kind::Commit if view.round > self.view.round => self.keep_for_later(message),
            Kind::Prepare => self.handle_prepare(cx, message.signed),
            Kind::Commit => self.handle_commit(cx, message.signed),
            Kind::RoundChange => self.handle_round_change(cx, message),
        }
    }

    fn keep_for_later(&mut self, message: JustifiedMessage<V>) -> Result<(), Rejected> {
        let view = message.signed.vote.view;
        let heights = view.slot.get().saturating_sub(self.view.slot.get());
        let base = if heights == 0 { self.view.round.get() } else { 0 };
        let kept = self.later.entry(message.signed.from).or_default();
        if heights > 2 || view.round.get().saturating_sub(base) > ROUNDS_AHEAD || kept.len() >= LATER {
            return Err(Rejected::stale("JE-1", "too far ahead"));
        }
        if kept.iter().all(|m| m.signed != message.signed) {
            if !message.is_plain() && !Self::make_room(kept, view) {
                return Err(Rejected::stale("JE-1", "too much ahead"));
            }
            kept.push(message);
        }
        Err(Rejected::stored("JE-1", "future message"))
    }

    /// Whether one more message of this view may be kept that carries more than a vote, once what is worth less has gone.
    /// The nearest height comes first; within it, later requests and proposals make earlier ones pointless.
    fn make_room(kept: &mut Vec<JustifiedMessage<V>>, view: View) -> bool {
        let worth = |view: View| (Reverse(view.slot), view.round);
        let loaded = || kept.iter().enumerate().filter(|(_, message)| !message.is_plain());
        if loaded().count() < LOADED {
            return true;
        }
        let least = loaded().map(|(place, message)| (worth(message.signed.vote.view), place)).min();
        let Some((_, place)) = least.filter(|(least, _)| *least < worth(view)) else { return false };
        kept.remove(place);
        true
    }

    /// Looks again at what came too early.
    fn look_again(&mut self, cx: &mut Cx<'_, V>) {
        let view = self.view;
        let is_due = |m: &mut JustifiedMessage<V>| {
            let v = m.signed.vote.view;
            v <= view || (v.slot == view.slot && matches!(m.signed.vote.kind, Kind::Proposal | Kind::RoundChange))
        };
        let mut due = Vec::new();
        for kept in self.later.values_mut() {
            due.extend(kept.extract_if(.., is_due));
        }
        self.later.retain(|_, kept| !kept.is_empty());
        for message in due {
            // Signatures were checked when it was kept; the sender may have left since.
            if self.committee.as_ref().is_some_and(|c| c.is_sender(message.signed.from)) {
                let _late = self.handle(cx, message).is_err();
            }
        }
    }

    /// Reports whoever votes twice for different things in one view.
    fn note_contradiction(&mut self, cx: &mut Cx<'_, V>, signed: &SignedVote) -> bool {
        let key = (signed.from, signed.vote.kind);
        match self.first_votes.get(&key).filter(|first| first.vote.view == signed.vote.view) {
            None => {
                self.first_votes.insert(key, signed.clone());
                false
            }
            Some(first) if first.vote == signed.vote => false,
            Some(first) => {
                let kind = match signed.vote.kind {
                    Kind::Proposal => Misbehaviour::DoubleProposal,
                    _ => Misbehaviour::DoubleVote,
                };
                let first = first.clone();
                Self::report(cx, kind, &[&first, signed]);
                true
            }
        }
    }

    fn checker<'a>(&'a self, committee: &'a Committee<Address>) -> Checker<'a> {
        Checker { domain: self.config.domain, authors: &*self.config.authors, committee }
    }
}
