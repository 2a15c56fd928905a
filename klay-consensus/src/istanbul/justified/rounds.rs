//! Heights, rounds, requests for rounds, proposals of our own.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes};

use super::{
    Cx, Domain, Effect, Floor, Height, Justified, JustifiedMessage, JustifiedRecord, Kind, Klaytn, PROPOSE_TIMER,
    Phase, Prepared, REPEAT_TIMER, RETRY_TIMER, ROUND_TIMER, Rejected, Round, RoundHistory, SignedVote, Slot,
    Statement, TimerId, TimerKind, Unsigned, View, Vote, WireValue,
};
use crate::{
    istanbul::seal,
    types::{Committee, Step},
};

/// Rounds of a height after which its timer doubles, and refused values no longer end a round at once.
const PATIENCE: u64 = 256;

impl<V: WireValue> Justified<V> {
    /// JE-1.
    pub(super) fn begin_height(&mut self, cx: &mut Cx<'_, V>) {
        let slot = self.floor.next_slot();
        if self.started && slot == self.view.slot && self.committee.is_some() {
            return;
        }
        let first = !self.started;
        if slot != self.view.slot {
            self.prepared = None;
            self.restored = None;
        }
        self.commits.clear();
        self.round_changes.clear();
        self.values.clear();
        self.examined.clear();
        self.first_votes.clear();
        self.unsigned.clear();
        self.request = None;
        self.building = false;
        self.asked = None;
        self.cancel(cx, REPEAT_TIMER);
        if !self.enter(cx, View::first(slot)) {
            return;
        }
        self.started = true;
        cx.trace("JE-1", self.view);
        if first && let Some(round) = self.restored {
            cx.trace("JE-10", self.view);
            // Not one further each time: whoever falls again and again would get out of everybody's reach.
            self.ask_for(cx, round);
        } else {
            self.want_block(cx);
        }
        self.look_again(cx);
    }

    /// Goes to a view; false if its committee is not known yet.
    fn enter(&mut self, cx: &mut Cx<'_, V>, view: View) -> bool {
        self.view = view;
        self.phase = Phase::New;
        self.proposal = None;
        self.prepares.clear();
        self.proposed = false;
        self.checking = None;
        self.early = None;
        self.vetting = None;
        self.spoilt.clear();
        self.cancel(cx, RETRY_TIMER);
        self.committee = committee_of(self, view.slot, view.round);
        if self.committee.is_none() {
            return false;
        }
        if view.round > Round::ZERO {
            cx.fx.persist(JustifiedRecord::Entered { view });
        }
        self.cancel(cx, ROUND_TIMER);
        if view.round == Round::ZERO {
            self.begin_round(cx);
        }
        true
    }

    /// The round's timer runs from here. A later round begins when a quorum is in it: whoever is alone waits there and
    /// does not run away from the others (JE-6).
    pub(super) fn begin_round(&mut self, cx: &mut Cx<'_, V>) {
        let span = self.config.timeouts.after(TimerKind::Round, self.view.round, &RoundHistory::default());
        let span = span.saturating_mul(1 << (self.view.round.get() / PATIENCE).min(16));
        self.set_timer(cx, ROUND_TIMER, cx.now.max(self.floor.next_at).after(span));
    }

    pub(super) fn head(&mut self, cx: &mut Cx<'_, V>, floor: Floor<Klaytn<V>>) {
        if floor.height <= self.floor.height {
            return;
        }
        self.floor = floor;
        cx.push(Effect::Prune { below: self.floor.next_slot() });
        self.begin_height(cx);
    }

    pub(super) fn timer(&mut self, cx: &mut Cx<'_, V>, id: TimerId) {
        self.timers.remove(&id);
        match id {
            ROUND_TIMER => {
                cx.trace("JE-6", self.view);
                self.next_round(cx);
            }
            RETRY_TIMER => {
                if let Some(message) = self.early.take() {
                    let _late = self.handle(cx, message).is_err();
                }
            }
            REPEAT_TIMER => self.repeat(cx),
            PROPOSE_TIMER => self.try_propose(cx),
            _ => {}
        }
    }

    /// Leaves a round whose value is refused, or cannot be applied: at once, unless so many were that the rounds which a
    /// header can name would run out. Then the round lasts as long as its timer.
    pub(super) fn leave_round(&mut self, cx: &mut Cx<'_, V>) {
        if self.view.round.get() < PATIENCE {
            self.next_round(cx);
        } else if !self.timers.contains_key(&ROUND_TIMER) {
            self.begin_round(cx);
        }
    }

    pub(super) fn next_round(&mut self, cx: &mut Cx<'_, V>) {
        self.ask_for(cx, self.view.round.saturating_add(1));
    }

    /// JE-6: enters a round and asks for it, with what was prepared.
    fn ask_for(&mut self, cx: &mut Cx<'_, V>, round: Round) {
        let view = View::new(self.view.slot, round);
        if !self.enter(cx, view) {
            return;
        }
        if self.is_member() {
            self.say_request(cx);
            self.arm_repeat(cx);
        }
        self.look_again(cx);
        if let Some(committee) = self.committee.clone().filter(|_| self.view == view) {
            self.count_requests(cx, committee.weak as usize, committee.quorum as usize);
        }
    }

    fn say_request(&mut self, cx: &mut Cx<'_, V>) {
        let prepared = self.prepared.as_ref().map(|p| (p.round, p.value.id()));
        let vote = Vote { kind: Kind::RoundChange, view: self.view, digest: B256::ZERO, prepared };
        let mut message = JustifiedMessage::plain(self.unsigned(vote, Bytes::new()));
        if let Some(Prepared { value, votes, .. }) = &self.prepared {
            message.value = Some(value.clone());
            message.prepares.clone_from(votes);
        }
        self.say(cx, message, B256::ZERO);
    }

    fn arm_repeat(&mut self, cx: &mut Cx<'_, V>) {
        let span = self.config.timeouts.after(TimerKind::Repeat, Round::ZERO, &RoundHistory::default());
        self.set_timer(cx, REPEAT_TIMER, cx.now.after(span / 2));
    }

    /// JE-9.
    fn repeat(&mut self, cx: &mut Cx<'_, V>) {
        if self.view.round == Round::ZERO || self.phase != Phase::New || !self.is_member() {
            return;
        }
        let view = self.view;
        let is_request = |message: &JustifiedMessage<V>| {
            let vote = &message.signed.vote;
            vote.kind == Kind::RoundChange && vote.view == view
        };
        let is_asked = |unsigned: &Unsigned<V>| matches!(unsigned, Unsigned::Message(message) if is_request(message));
        match self.asked.clone().filter(is_request) {
            Some(message) => {
                cx.trace("JE-9", view);
                self.send_own(cx, message);
            }
            // The signer has failed, and nobody else can ask for us.
            None if !self.unsigned.values().any(is_asked) => self.say_request(cx),
            None => {}
        }
        self.arm_repeat(cx);
    }

    pub(super) fn handle_round_change(
        &mut self,
        cx: &mut Cx<'_, V>,
        message: JustifiedMessage<V>,
    ) -> Result<(), Rejected> {
        let (from, view) = (message.signed.from, message.signed.vote.view);
        let Some(committee) = self.committee.clone() else { return Err(Rejected::retry("JE-1", "no committee")) };
        if view.round < self.view.round {
            return Err(Rejected::stale("JE-7", "old round"));
        }
        // However far ahead: one request of a sender is kept, and whoever has been away has to hear of it.
        if !committee.is_member(from) {
            return Err(Rejected::by_sender("JE-7", "sender is not in the committee"));
        }
        let known = self.round_changes.get(&from).map(|m| m.signed.vote.view.round);
        if known.is_some_and(|round| round >= view.round) {
            // We may have entered the round since it was counted.
            self.count_requests(cx, committee.weak as usize, committee.quorum as usize);
            return Err(Rejected::stale("JE-7", "request is known"));
        }
        if from != self.config.me && !self.checker(&committee).round_change_holds(&message) {
            return Err(Rejected::by_sender("JU-2", "the claim does not hold"));
        }
        self.round_changes.insert(from, message);
        self.count_requests(cx, committee.weak as usize, committee.quorum as usize);
        Ok(())
    }

    fn count_requests(&mut self, cx: &mut Cx<'_, V>, weak: usize, quorum: usize) {
        let rounds = || self.round_changes.values().map(|m| m.signed.vote.view.round);
        let higher: Vec<_> = rounds().filter(|round| *round > self.view.round).collect();
        if higher.len() >= weak {
            cx.trace("JE-7", self.view);
            if let Some(lowest) = higher.into_iter().min() {
                return self.ask_for(cx, lowest);
            }
        }
        let here = rounds().filter(|round| *round >= self.view.round).count();
        let waits = self.view.round > Round::ZERO && self.phase == Phase::New;
        let begins = here >= quorum && waits && !self.timers.contains_key(&ROUND_TIMER);
        let asked = rounds().filter(|round| *round == self.view.round).count() >= quorum;
        if begins {
            self.begin_round(cx);
        }
        if asked {
            self.try_propose(cx);
        }
    }

    /// Asks for a block if we are to propose a new one.
    pub(super) fn want_block(&mut self, cx: &mut Cx<'_, V>) {
        if self.is_proposer() && self.request.is_none() && !self.building {
            self.building = true;
            let deadline = cx.now.max(self.floor.next_at).after(self.config.build_time);
            cx.push(Effect::Build { slot: self.view.slot, parent: self.floor.id, deadline, empty: true });
        }
    }

    pub(super) fn built(&mut self, cx: &mut Cx<'_, V>, value: Option<V>) {
        self.building = false;
        let Some(value) = value.filter(|v| v.parent() == self.floor.id && v.height().slot() == self.view.slot) else {
            return;
        };
        self.request = Some(value);
        self.try_propose(cx);
    }

    /// JE-1 and JE-8.
    pub(super) fn try_propose(&mut self, cx: &mut Cx<'_, V>) {
        if !self.is_proposer() || self.proposed || self.phase != Phase::New {
            return;
        }
        if cx.now < self.floor.next_at {
            return self.set_timer(cx, PROPOSE_TIMER, self.floor.next_at);
        }
        let Some(committee) = self.committee.clone() else { return };
        let mut requests = Vec::new();
        let mut highest: Option<&JustifiedMessage<V>> = None;
        if self.view.round > Round::ZERO {
            let counts =
                |m: &&JustifiedMessage<V>| m.signed.vote.view == self.view && !self.spoilt.contains(&m.signed.from);
            let current = self.round_changes.values().filter(counts);
            let current: Vec<_> = current.take(committee.members.len()).collect();
            if current.len() < committee.quorum as usize {
                return;
            }
            requests = current.iter().map(|m| m.signed.clone()).collect();
            highest =
                current.into_iter().filter(|m| m.signed.vote.prepared.is_some()).max_by_key(|m| m.signed.vote.prepared);
        }
        let (value, prepares) = match highest {
            Some(message) => {
                let claimed = message.signed.vote.prepared.map(|(_, id)| id);
                match claimed.and_then(|id| self.accepted(&id)) {
                    Some(value) => (value.clone(), message.prepares.clone()),
                    None => {
                        let message = message.clone();
                        return self.vet(cx, message);
                    }
                }
            }
            None => match self.request.clone() {
                Some(value) => (value, Vec::new()),
                None => return self.want_block(cx),
            },
        };
        self.propose(cx, value, requests, prepares);
    }

    fn propose(&mut self, cx: &mut Cx<'_, V>, value: V, round_changes: Vec<SignedVote>, prepares: Vec<SignedVote>) {
        let content = value.content_id();
        if !value.is_sealed() {
            let statement = Statement::about(self.view, Step::Proposal, content.0);
            let digest = seal::proposer_digest(value.header());
            let ticket = cx.fx.sign(statement, Domain::ProposerSeal, digest.0);
            self.unsigned.insert(ticket, Unsigned::Value(value));
            self.request = None;
            return;
        }
        cx.trace(if round_changes.is_empty() { "JE-1" } else { "JE-8" }, self.view);
        self.proposed = true;
        let vote = Vote { kind: Kind::Proposal, view: self.view, digest: value.id(), prepared: None };
        let signed = self.unsigned(vote, Bytes::new());
        self.say(cx, JustifiedMessage { signed, value: Some(value), round_changes, prepares }, content);
    }

    /// JE-3: moves to the round of a proven proposal. Votes of that round may have come before it.
    pub(super) fn follow(&mut self, cx: &mut Cx<'_, V>, view: View) -> bool {
        cx.trace("JE-3", view);
        let entered = self.enter(cx, view);
        if entered && view.round > Round::ZERO {
            self.begin_round(cx);
        }
        if entered {
            self.look_again(cx);
        }
        entered
    }
}

/// Who votes and proposes in a round (JE-11).
pub(super) fn committee_of<V: WireValue>(
    engine: &Justified<V>,
    slot: Slot,
    round: Round,
) -> Option<Arc<Committee<Address>>> {
    let at = |round| engine.config.committees.at(Height::new(slot.get()), round).ok();
    let first = at(Round::ZERO)?;
    if round == Round::ZERO {
        return Some(first);
    }
    let later = at(round)?;
    if later.members == first.members {
        return Some(later);
    }
    Some(Arc::new(Committee { proposer: later.proposer, ..(*first).clone() }))
}
