//! The engine as its host sees it: heights, messages, values, timers.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use core::time::Duration;

use alloy_primitives::{Address, B256};
use klay_consensus::{
    istanbul::{
        CommittedSeals, Klaytn, WireValue,
        seal::{Authors, Recover},
    },
    types::{
        Committees, Delays, Effect, Effects, Engine, Floor, Height, Input, Lsn, Record, Refuse, Rejected, RoundHistory,
        Slot, Status, Time, Timeouts, TimerId, TimerKind, Validate, Verdict,
    },
};
use malachite::{LocallyProposedValue, Params, ProposedValue, State};
use malachite_types::{
    Round, SignedMessage, ThresholdParams, Timeout, TimeoutKind, Validity, ValueOrigin, ValuePayload,
    VoteExtensionPolicy,
};

use crate::{
    context::{At, Chain, Members, Name, SignedOffer, Who, ours},
    mind::{Feed, Mind},
    wire::{Memo, Word, timer_code},
};

const START: TimerId = TimerId::new(1);
const CHECK_AGAIN: TimerId = TimerId::new(2);
const DECIDE_AGAIN: TimerId = TimerId::new(3);
/// Timers of the core begin here: eight for each round.
const FIRST_OF_ROUNDS: u64 = 8;
/// Rounds ahead for which the core takes proposals.
const ROUNDS_AHEAD: u64 = 10;
/// Values kept of one proposer's round; more than one is an offence.
const VALUES_A_ROUND: usize = 4;
/// Values kept of a height.
const VALUES: usize = 64;
/// Messages kept of one sender for later.
const LATER: usize = 64;

/// How long the steps of a round may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tempo {
    /// Until a proposal has come.
    pub propose: Duration,
    /// Until votes for one value have come, once votes for anything have.
    pub vote: Duration,
    /// What each round adds to both.
    pub step: Duration,
    /// The most that rounds add.
    pub most: Duration,
    /// Between two repetitions of the last votes.
    pub repeat: Duration,
}

impl Default for Tempo {
    fn default() -> Self {
        Self {
            propose: Duration::from_secs(2),
            vote: Duration::from_secs(1),
            step: Duration::from_millis(500),
            most: Duration::from_secs(4),
            repeat: Duration::from_secs(1),
        }
    }
}

impl Timeouts for Tempo {
    fn after(&self, kind: TimerKind, round: klay_consensus::types::Round, _seen: &RoundHistory) -> Duration {
        let rounds = u32::try_from(round.get()).unwrap_or(u32::MAX);
        let more = self.step.saturating_mul(rounds).min(self.most);
        match kind {
            TimerKind::Proposal => self.propose.saturating_add(more),
            TimerKind::Repeat => self.repeat,
            _ => self.vote.saturating_add(more),
        }
    }
}

/// The settings of [`Malachite`].
#[derive(Debug, Clone)]
pub struct MalachiteConfig<V: WireValue> {
    /// Who we are.
    pub me: Address,
    /// Who decides. The members of round 0 decide in every round of a height.
    pub committees: Arc<dyn Committees<Klaytn<V>>>,
    /// How long the steps of a round may take.
    pub timeouts: Arc<dyn Timeouts>,
    /// Who made a signature.
    pub authors: Arc<dyn Authors>,
    /// A digest of the chain: signatures of another chain do not count.
    pub domain: B256,
    /// How long a value may be built.
    pub build_time: Duration,
}

impl<V: WireValue> MalachiteConfig<V> {
    /// The usual tempo, signatures by recovery.
    pub fn new(me: Address, committees: Arc<dyn Committees<Klaytn<V>>>, domain: B256) -> Self {
        let build_time = Duration::from_millis(250);
        Self { me, committees, timeouts: Arc::new(Tempo::default()), authors: Arc::new(Recover), domain, build_time }
    }
}

impl<V: WireValue> Validate for MalachiteConfig<V> {
    fn validate(&self) -> Result<(), Refuse> {
        let first =
            self.timeouts.after(TimerKind::Proposal, klay_consensus::types::Round::ZERO, &RoundHistory::default());
        if self.build_time >= first {
            return Err(Refuse::Config {
                setting: "build_time",
                reason: "must be shorter than the time for a proposal",
            });
        }
        Ok(())
    }
}

/// A value of the height, and what is known of it.
#[derive(Debug)]
pub(crate) struct Known<V> {
    pub(crate) value: V,
    pub(crate) round: Round,
    pub(crate) from: Who,
    pub(crate) valid: Option<bool>,
}

pub(crate) type Fx<V> = Effects<Klaytn<V>, Word<V>, Memo<V>>;

/// The time of a step and where its effects go.
pub(crate) struct Cx<'a, V: WireValue> {
    pub(crate) now: Time,
    pub(crate) fx: &'a mut Fx<V>,
}

/// The engine.
pub struct Malachite<V: WireValue> {
    pub(crate) config: MalachiteConfig<V>,
    pub(crate) floor: Floor<Klaytn<V>>,
    pub(crate) members: Members,
    pub(crate) mind: Mind<V>,
    pub(crate) queue: VecDeque<Feed<V>>,
    /// What the log said of this height, until the height begins.
    log: Vec<Memo<V>>,
    /// What is in the log already, while it is gone through again.
    pub(crate) logged: BTreeSet<Vec<u8>>,
    pub(crate) replaying: bool,
    pub(crate) values: BTreeMap<B256, Known<V>>,
    /// The round for which the core wants a value.
    pub(crate) wanted: Option<Round>,
    building: Option<Round>,
    check_again: BTreeMap<B256, Time>,
    pub(crate) decided: Option<(V, CommittedSeals)>,
    later: BTreeMap<Address, Vec<Word<V>>>,
    timers: BTreeMap<TimerId, (Time, Option<Timeout>)>,
    /// The place of the last record: whatever is said comes after it.
    pub(crate) last: Option<Lsn>,
    pub(crate) standing: Status<Klaytn<V>>,
    stopped: bool,
}

impl<V: WireValue> std::fmt::Debug for Malachite<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Malachite").field("standing", &self.standing).finish_non_exhaustive()
    }
}

impl<V: WireValue> Engine<Klaytn<V>> for Malachite<V> {
    type Msg = Word<V>;
    type Record = Memo<V>;
    type Config = MalachiteConfig<V>;

    const NAME: &'static str = "malachite";
    const DELAYS: Delays = Delays { block: 3, finality: 3 };

    fn open(config: MalachiteConfig<V>, floor: Floor<Klaytn<V>>, log: Vec<Memo<V>>) -> Result<Self, Refuse> {
        config.validate()?;
        let mut engine = Self::new(config, floor);
        engine.restore(log)?;
        Ok(engine)
    }

    fn step(&mut self, now: Time, input: Input<Klaytn<V>, Word<V>>, fx: &mut Fx<V>) {
        if self.stopped {
            return;
        }
        let cx = &mut Cx { now, fx };
        match input {
            Input::Start | Input::Sets { .. } => self.begin_height(cx),
            Input::Message { from, msg, .. } => {
                if let Err(why) = self.receive(cx, from, msg) {
                    cx.fx.push(Effect::Rejected { from, why });
                }
            }
            Input::Timer(id) => self.timer(cx, id),
            Input::Built { slot, value } => self.built(slot, value),
            Input::Verdict { slot, id, verdict } => self.verdict(cx, slot, id, verdict),
            Input::Signed { ticket, result } => self.signed(cx, ticket, result),
            Input::Applied { id, result } => {
                if result.is_err() && self.decided.as_ref().is_some_and(|(value, _)| value.id() == id) {
                    self.set_timer(cx, DECIDE_AGAIN, now.after(Duration::from_millis(500)), None);
                }
            }
            Input::Head { floor } => self.head(cx, floor),
            Input::Stop => self.stopped = true,
            Input::Durable(_) | Input::Demand | Input::Peer { .. } => {}
        }
        self.drive(cx);
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.values().map(|(at, _)| *at).min()
    }

    fn status(&self) -> Status<Klaytn<V>> {
        let backlog = self.later.values().map(Vec::len).sum::<usize>() + self.queue.len();
        Status { backlog: u32::try_from(backlog).unwrap_or(u32::MAX), ..self.standing.clone() }
    }
}

impl<V: WireValue> Malachite<V> {
    fn new(config: MalachiteConfig<V>, floor: Floor<Klaytn<V>>) -> Self {
        let standing = Self::unbegun(&floor);
        Self {
            config,
            floor,
            members: Members::new(&[]),
            mind: Mind::Away,
            queue: VecDeque::new(),
            log: Vec::new(),
            logged: BTreeSet::new(),
            replaying: false,
            values: BTreeMap::new(),
            wanted: None,
            building: None,
            check_again: BTreeMap::new(),
            decided: None,
            later: BTreeMap::new(),
            timers: BTreeMap::new(),
            last: None,
            standing,
            stopped: false,
        }
    }

    const fn unbegun(floor: &Floor<Klaytn<V>>) -> Status<Klaytn<V>> {
        Status {
            height: floor.next_height(),
            round: klay_consensus::types::Round::ZERO,
            state: "waiting",
            waiting: false,
            proposer: None,
            proposal: None,
            lock: None,
            vote1: 0,
            vote2: 0,
            skips: 0,
            backlog: 0,
        }
    }

    /// Takes what the log says of the next height. What we have precommitted to is locked at once; the core finds the
    /// rest when the height begins.
    fn restore(&mut self, log: Vec<Memo<V>>) -> Result<(), Refuse> {
        let slot = self.floor.next_slot();
        for memo in log {
            if memo.slot() > slot {
                return Err(Refuse::ChainBehindLog { log: memo.slot(), chain: slot });
            }
            if memo.slot() < slot {
                continue;
            }
            if let Memo::Ballot(ballot) = &memo
                && ballot.from.0 == self.config.me
                && let Some(lock) = ballot.locks()
            {
                self.standing.lock = self.standing.lock.max(Some(lock));
            }
            self.log.push(memo);
        }
        Ok(())
    }

    pub(crate) const fn height(&self) -> At {
        At(self.floor.next_height().get())
    }

    pub(crate) fn after(&self, kind: TimerKind, round: Round) -> Duration {
        self.config.timeouts.after(kind, ours(round), &RoundHistory::default())
    }

    fn begin_height(&mut self, cx: &mut Cx<'_, V>) {
        if !matches!(self.mind, Mind::Away) {
            return;
        }
        if cx.now < self.floor.next_at {
            return self.set_timer(cx, START, self.floor.next_at, None);
        }
        let round = klay_consensus::types::Round::ZERO;
        let Ok(committee) = self.config.committees.at(self.floor.next_height(), round) else { return };
        if committee.members.is_empty() {
            return;
        }
        self.members = Members::new(&committee.members);
        let params = Params {
            address: Who(self.config.me),
            threshold_params: ThresholdParams::default(),
            value_payload: ValuePayload::ProposalAndParts,
            enabled: true,
        };
        let (height, chain) = (self.height(), Chain(Arc::clone(&self.config.committees)));
        let mut core = State::new(chain, height, self.members.clone(), params, 1, 1);
        let log = core::mem::take(&mut self.log);
        self.replaying = !log.is_empty();
        let policy = VoteExtensionPolicy::Disabled;
        self.queue.push_back(Feed::StartHeight(height, self.members.clone(), self.replaying, None, policy));
        let log: Vec<_> = log.into_iter().map(|memo| self.recall(memo)).collect();
        core.index_wal_entries(&log);
        if !self.replaying {
            core.reset_entries_index();
        }
        self.queue.extend(log);
        self.mind = Mind::Idle(Box::new(core));
        self.drive(cx);
    }

    /// A record as the core wants it.
    fn recall(&mut self, memo: Memo<V>) -> Feed<V> {
        let mut bytes = Vec::new();
        memo.encode(&mut bytes);
        self.logged.insert(bytes);
        match memo {
            Memo::Ballot(ballot) => Feed::Vote(ballot),
            Memo::Offer(offer) => Feed::Proposal(offer),
            Memo::Polka(polka) => Feed::PolkaCertificate(polka),
            Memo::Timeout(_, timeout) => Feed::TimeoutElapsed(timeout),
            Memo::Value { round, from, valid, value } => {
                let known = Known { value, round, from, valid: Some(valid) };
                let feed = self.proposed(&known, valid);
                self.values.insert(known.value.id(), known);
                feed
            }
        }
    }

    fn proposed(&self, known: &Known<V>, valid: bool) -> Feed<V> {
        let proposed = ProposedValue {
            height: self.height(),
            round: known.round,
            valid_round: Round::Nil,
            proposer: known.from,
            value: Name(known.value.id()),
            validity: Validity::from_bool(valid),
        };
        Feed::ProposedValue(proposed, ValueOrigin::Consensus)
    }

    /// What came before its height, or while the log was gone through.
    pub(crate) fn look_again(&mut self, cx: &mut Cx<'_, V>) {
        let height = self.height();
        let mut due = Vec::new();
        for (from, kept) in &mut self.later {
            due.extend(kept.extract_if(.., |word| word.height() <= height).map(|word| (*from, word)));
        }
        self.later.retain(|_, kept| !kept.is_empty());
        for (from, word) in due {
            if let Err(why) = self.receive(cx, from, word) {
                cx.fx.push(Effect::Rejected { from, why });
            }
        }
    }

    fn receive(&mut self, cx: &mut Cx<'_, V>, from: Address, word: Word<V>) -> Result<(), Rejected> {
        let height = self.height();
        if word.height() < height {
            return Err(Rejected::stale("MA-1", "old height"));
        }
        if word.height() > height || self.replaying || matches!(self.mind, Mind::Away) {
            return self.keep(from, word);
        }
        match word {
            Word::Ballot(ballot) => self.queue.push_back(Feed::Vote(ballot)),
            Word::Polka(polka) => self.queue.push_back(Feed::PolkaCertificate(polka)),
            Word::Rounds(rounds) => self.queue.push_back(Feed::RoundCertificate(rounds)),
            Word::Offer(offer, value) => self.offered(cx, offer, value)?,
        }
        Ok(())
    }

    fn keep(&mut self, from: Address, word: Word<V>) -> Result<(), Rejected> {
        let next = self.config.committees.at(self.floor.next_height(), klay_consensus::types::Round::ZERO);
        if next.is_ok_and(|committee| !committee.is_sender(from)) {
            return Err(Rejected::by_sender("MA-2", "sender is no validator"));
        }
        let kept = self.later.entry(from).or_default();
        if word.height().0 > self.floor.next_height().get().saturating_add(2) || kept.len() >= LATER {
            return Err(Rejected::stale("MA-2", "too far ahead"));
        }
        if !kept.iter().any(|known| known.says_the_same(&word)) {
            kept.push(word);
        }
        Err(Rejected::stored("MA-2", "future message"))
    }

    /// A proposal and its value. Nothing of it is kept before its proposer is known to have made it.
    fn offered(&mut self, cx: &mut Cx<'_, V>, offer: SignedOffer<V>, value: V) -> Result<(), Rejected> {
        let (round, height) = (ours(offer.round), self.floor.next_height());
        if offer.round.is_nil() || round.get() > self.standing.round.get() + ROUNDS_AHEAD {
            return Err(Rejected::stale("MA-3", "round too far ahead"));
        }
        let turn = self.config.committees.at(height, round);
        if !turn.is_ok_and(|committee| committee.proposer == offer.from.0) {
            return Err(Rejected::by_sender("MA-3", "not the proposer of the round"));
        }
        let digest = offer.digest(self.config.domain);
        if self.config.authors.author(digest, &offer.signature) != Some(offer.from.0) {
            return Err(Rejected::by_sender("MA-3", "not signed by the proposer"));
        }
        let id = value.id();
        if !self.values.contains_key(&id) {
            let others = self.values.values().filter(|known| known.from == offer.from && known.round == offer.round);
            if others.count() >= VALUES_A_ROUND {
                return Err(Rejected::by_sender("MA-3", "too many values in one round"));
            }
            self.make_room();
            cx.fx.push(Effect::Check { slot: self.floor.next_slot(), value: value.clone() });
            self.values.insert(id, Known { value, round: offer.round, from: offer.from, valid: None });
        }
        self.queue.push_back(Feed::Proposal(offer));
        Ok(())
    }

    /// Forgets the value of the earliest round that is neither locked nor under discussion.
    fn make_room(&mut self) {
        if self.values.len() < VALUES {
            return;
        }
        let lock = self.standing.lock.map(|(_, id)| id);
        let needed = |id: &B256| Some(*id) == lock || Some(*id) == self.standing.proposal;
        let oldest = self.values.iter().filter(|(id, _)| !needed(id)).min_by_key(|(_, known)| ours(known.round));
        if let Some(id) = oldest.map(|(id, _)| *id) {
            self.values.remove(&id);
        }
    }

    fn built(&mut self, slot: Slot, value: Option<V>) {
        let Some(round) = self.building.take_if(|_| slot == self.floor.next_slot()) else { return };
        let Some(value) = value else { return };
        if value.height() != self.floor.next_height() || value.parent() != self.floor.id {
            return;
        }
        let (name, from) = (Name(value.id()), Who(self.config.me));
        self.make_room();
        self.values.insert(name.0, Known { value, round, from, valid: Some(true) });
        self.queue.push_back(Feed::Propose(LocallyProposedValue::new(self.height(), round, name)));
    }

    /// The core wants a value for a round: one that was made before, or a new one.
    pub(crate) fn find_value(&mut self, cx: &mut Cx<'_, V>, round: Round) {
        let me = Who(self.config.me);
        let made = self.values.iter().find(|(_, known)| known.from == me && known.round == round);
        if let Some((id, _)) = made {
            let local = LocallyProposedValue::new(self.height(), round, Name(*id));
            return self.queue.push_back(Feed::Propose(local));
        }
        self.building = Some(round);
        let (slot, parent) = (self.floor.next_slot(), self.floor.id);
        let deadline = cx.now.after(self.config.build_time);
        cx.fx.push(Effect::Build { slot, parent, deadline, empty: true });
    }

    fn verdict(&mut self, cx: &mut Cx<'_, V>, slot: Slot, id: B256, verdict: Verdict) {
        let Some(known) = self.values.get_mut(&id).filter(|_| slot == self.floor.next_slot()) else { return };
        if known.valid.is_some() {
            return;
        }
        let valid = match verdict {
            Verdict::Valid => true,
            Verdict::Invalid(_) => false,
            Verdict::NotYet { wait } => {
                self.check_again.insert(id, cx.now.after(wait));
                return self.await_checks(cx);
            }
        };
        known.valid = Some(valid);
        let feed = self.values.get(&id).map(|known| self.proposed(known, valid));
        self.queue.extend(feed);
    }

    fn await_checks(&mut self, cx: &mut Cx<'_, V>) {
        if let Some(at) = self.check_again.values().min().copied() {
            self.set_timer(cx, CHECK_AGAIN, at, None);
        }
    }

    fn timer(&mut self, cx: &mut Cx<'_, V>, id: TimerId) {
        let Some((_, timeout)) = self.timers.remove(&id) else { return };
        match id {
            START => self.begin_height(cx),
            CHECK_AGAIN => {
                let due: Vec<_> = self.check_again.extract_if(.., |_, at| *at <= cx.now).collect();
                for (id, _) in due {
                    let Some(known) = self.values.get(&id) else { continue };
                    cx.fx.push(Effect::Check { slot: self.floor.next_slot(), value: known.value.clone() });
                }
                self.await_checks(cx);
            }
            DECIDE_AGAIN => self.decide(cx),
            _ => self.queue.extend(timeout.map(Feed::TimeoutElapsed)),
        }
    }

    pub(crate) fn decide(&self, cx: &mut Cx<'_, V>) {
        if let Some((value, cert)) = self.decided.clone() {
            cx.fx.push(Effect::Decide { slot: self.floor.next_slot(), value, cert, after: self.last });
        }
    }

    /// The chain moved: a new core for a new height.
    fn head(&mut self, cx: &mut Cx<'_, V>, floor: Floor<Klaytn<V>>) {
        if floor.height <= self.floor.height {
            return;
        }
        for id in core::mem::take(&mut self.timers).into_keys() {
            cx.fx.push(Effect::Cancel(id));
        }
        let later = core::mem::take(&mut self.later);
        *self = Self { later, last: self.last, ..Self::new(self.config.clone(), floor) };
        cx.fx.push(Effect::Prune { below: self.floor.next_slot() });
        self.begin_height(cx);
    }

    pub(crate) fn set_timer(&mut self, cx: &mut Cx<'_, V>, id: TimerId, at: Time, timeout: Option<Timeout>) {
        self.timers.insert(id, (at, timeout));
        cx.fx.push(Effect::SetTimer { id, at });
    }

    pub(crate) fn schedule(&mut self, cx: &mut Cx<'_, V>, timeout: Timeout) {
        let kind = match timeout.kind {
            TimeoutKind::Propose => TimerKind::Proposal,
            TimeoutKind::Rebroadcast => TimerKind::Repeat,
            TimeoutKind::Prevote | TimeoutKind::Precommit | TimeoutKind::FinalizeHeight(_) => TimerKind::Round,
        };
        // The core takes no notice of timers of rounds that it has left.
        let old = self.timers.extract_if(.., |_, (_, t)| t.is_some_and(|t| ours(t.round) < ours(timeout.round)));
        for (id, _) in old {
            cx.fx.push(Effect::Cancel(id));
        }
        let at = cx.now.after(self.after(kind, timeout.round));
        self.set_timer(cx, timer_id(timeout), at, Some(timeout));
    }

    pub(crate) fn unschedule(&mut self, cx: &mut Cx<'_, V>, which: impl Fn(Timeout) -> bool) {
        for (id, _) in self.timers.extract_if(.., |_, (_, timeout)| timeout.is_some_and(&which)) {
            cx.fx.push(Effect::Cancel(id));
        }
    }

    /// Whether `who` has signed a message of the core.
    pub(crate) fn is_signed(&self, digest: B256, signed: &[u8; 65], who: Who) -> bool {
        self.config.authors.author(digest, signed) == Some(who.0)
    }

    /// Where the core stands, for whoever asks.
    pub(crate) fn look(&mut self, core: &State<Chain<V>>) {
        let round = core.round();
        let state = core.driver.round_state();
        let lock = state.locked.as_ref().map(|locked| (ours(locked.round), locked.value.0));
        let height = self.floor.next_height();
        let turn = self.config.committees.at(height, ours(round)).ok().map(|committee| committee.proposer);
        let step = if core.driver.step_is_propose() {
            "propose"
        } else if core.driver.step_is_prevote() {
            "prevote"
        } else if core.driver.step_is_precommit() {
            "precommit"
        } else if core.driver.step_is_commit() {
            "decided"
        } else {
            "new"
        };
        self.standing = Status {
            height: Height::new(self.height().0),
            round: ours(round),
            state: step,
            proposer: turn,
            proposal: state.valid.as_ref().map(|valid| valid.value.0),
            // While the log is gone through, the core has not got to its lock yet.
            lock: if self.replaying { self.standing.lock.max(lock) } else { lock },
            ..Self::unbegun(&self.floor)
        };
    }
}

const fn round_number(round: Round) -> u64 {
    match round {
        Round::Nil => 0,
        Round::Some(round) => round as u64,
    }
}

const fn timer_id(timeout: Timeout) -> TimerId {
    TimerId::new(FIRST_OF_ROUNDS + 8 * round_number(timeout.round) + timer_code(timeout.kind))
}

/// A signed message with its signature left out, as the gate will see it.
pub(crate) type Signed<V, T> = SignedMessage<Chain<V>, T>;
