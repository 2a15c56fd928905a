//! Local blocks and proposals.
//!
//! Source: chapter 50, section 1.6 (RQ, PP).

use super::{
    Address, B256, Body, Code, Effect, Handled, Height, Istanbul, Message, Misbehaviour, PROPOSE_TIMER, Preprepare,
    Queued, RETRY_TIMER, Rejected, State, Step, Verdict, View, WireValue,
};
use crate::{
    istanbul::{justified::values::same, seal},
    types::{Domain, Statement, Step as Said},
};

/// Local blocks kept for heights to come. The reference has no limit; its host builds one block per head.
const FUTURE_REQUESTS: usize = 16;

/// Values that the application looks at, at most: no answer to more of them is waited for.
const EXAMINED: usize = 16;

impl<V: WireValue> Istanbul<V> {
    /// Asks the application for a block if one is needed now.
    pub(super) fn want_block(&mut self, cx: &mut Step<'_, V>, change: bool) {
        let wanted = if self.config.compat.build_when_proposer {
            self.is_proposer() && !self.is_locked() && self.request.is_none() && !self.building
        } else {
            // Every validator builds one for every height.
            !change && self.committee.as_ref().is_some_and(|c| c.is_sender(self.config.me))
        };
        if wanted {
            self.building = true;
            let deadline = cx.now.max(self.floor.next_at).after(self.config.build_time);
            cx.push(Effect::Build { slot: self.view.slot, parent: self.floor.id, deadline, empty: true });
        }
    }

    pub(super) fn built(&mut self, cx: &mut Step<'_, V>, value: Option<V>) {
        self.building = false;
        if let Some(value) = value {
            self.local_block(cx, value);
        }
    }

    pub(super) fn local_block(&mut self, cx: &mut Step<'_, V>, value: V) {
        let slot = value.height().slot();
        if slot < self.view.slot {
            return cx.trace("RQ-1", View::first(slot));
        }
        if slot > self.view.slot {
            cx.trace("RQ-2", View::first(slot));
            // Stable: several of one height are handled again in the order in which they came.
            self.future_requests.push(value);
            self.future_requests.sort_by_key(V::height);
            self.future_requests.truncate(FUTURE_REQUESTS);
            return;
        }
        if self.config.compat.check_number && value.parent() != self.floor.id {
            return cx.trace("RQ-1", self.view);
        }
        cx.trace("RQ-3", self.view);
        self.request = Some(value);
        if self.state == State::AcceptRequest {
            self.propose_request(cx);
        }
    }

    pub(super) fn ready_requests(&mut self, cx: &mut Step<'_, V>) {
        let later = self.future_requests.partition_point(|value| value.height().slot() <= self.view.slot);
        let kept = self.future_requests.split_off(later);
        for value in core::mem::replace(&mut self.future_requests, kept) {
            if value.height().slot() == self.view.slot {
                self.enqueue(cx, Queued::Request(value));
            }
        }
    }

    /// SR-9: the locked value first.
    pub(super) fn propose_again(&mut self, cx: &mut Step<'_, V>) {
        if self.is_locked() {
            if let Some(value) = self.proposal.clone() {
                self.propose(cx, value);
            }
        } else {
            self.propose_request(cx);
        }
    }

    pub(super) fn propose_request(&mut self, cx: &mut Step<'_, V>) {
        let Some(value) = self.request.clone() else { return };
        // A locked node waits for its lock's turn; the reference proposes its own block here only before it has locked.
        if self.config.compat.fair_timer && self.is_proposer() && cx.now < self.floor.next_at {
            return self.set_timer(cx, PROPOSE_TIMER, self.floor.next_at);
        }
        if !self.waiting || !self.config.compat.propose_in_begun_round {
            self.propose(cx, value);
        }
    }

    /// PP-1.
    fn propose(&mut self, cx: &mut Step<'_, V>, value: V) {
        if !self.is_proposer() || value.height().slot() != self.view.slot {
            return;
        }
        if !value.is_sealed() {
            let statement = Statement::about(self.view, Said::Proposal, value.content_id().0);
            let digest = seal::proposer_digest(value.header());
            let ticket = cx.fx.sign(statement, Domain::ProposerSeal, digest.0);
            self.sealing = Some((ticket, value));
            return;
        }
        cx.trace("PP-1", self.view);
        let value = with_round(value, self.view);
        self.say(cx, Body::Preprepare(Preprepare { view: self.view, value }));
    }

    /// The proposer's seal has come: the block has its name now.
    pub(super) fn sealed(&mut self, cx: &mut Step<'_, V>, value: V, seal: &seal::Seal) {
        let Ok(extra) = seal::with_seal(&value.header().extra, seal) else { return };
        let value = value.with_extra(extra);
        if value.height().slot() == self.view.slot {
            self.request = Some(value);
            if self.state == State::AcceptRequest {
                self.propose_request(cx);
            }
        }
    }

    pub(super) fn handle_preprepare(
        &mut self,
        cx: &mut Step<'_, V>,
        sender: Address,
        message: &Message<V>,
        preprepare: &Preprepare<V>,
    ) -> Result<Handled, Rejected> {
        if let Err(why) = self.check_view(Code::Preprepare, preprepare.view) {
            let answered = why.reason == "old message" && self.answer_old(cx, sender, preprepare);
            return if answered { Ok(Handled::Done) } else { Err(why) };
        }
        if self.committee.as_ref().is_none_or(|c| c.proposer != sender) {
            return Err(Rejected::by_sender("PP-4", "message does not come from proposer"));
        }
        let value = &preprepare.value;
        if self.config.compat.check_number
            && (value.height().slot() != preprepare.view.slot || value.parent() != self.floor.id)
        {
            return Err(Rejected::by_sender("PP-1", "proposal does not follow the head"));
        }
        if self.config.compat.keep_evidence
            && let Some(first) = self.first_proposal.clone()
        {
            if proposed(&first) == Some(value.id()) {
                return Err(Rejected::stale("PP-10", "proposal is known"));
            }
            self.report(cx, Misbehaviour::DoubleProposal, sender, &[&first, message]);
            return Err(Rejected::by_sender("PP-10", "second proposal in one view"));
        }
        self.first_proposal = Some(message.clone());
        if sender == self.config.me && self.config.compat.own_at_once {
            self.accept(cx, preprepare);
            return Ok(Handled::Done);
        }
        self.checking = Some((sender, message.clone()));
        self.examine(cx, value.clone());
        Ok(Handled::Pending)
    }

    /// Has a value looked at. A verdict says a name and no more, so there is one question about a name at a time; another
    /// value of that name waits for its answer.
    fn examine(&mut self, cx: &mut Step<'_, V>, value: V) {
        if self.examined.contains_key(&value.id()) {
            return;
        }
        if self.examined.len() >= EXAMINED {
            self.examined.pop_first();
        }
        self.examined.insert(value.id(), value.clone());
        cx.push(Effect::Check { slot: value.height().slot(), value });
    }

    /// PP-2.
    fn answer_old(&mut self, cx: &mut Step<'_, V>, sender: Address, preprepare: &Preprepare<V>) -> bool {
        let Preprepare { view, value } = preprepare;
        if self.config.compat.ignore_old_proposals {
            return false;
        }
        let Ok(committee) = self.config.committees.at(Height::new(view.slot.get()), view.round) else { return false };
        let in_chain = self.blocks.get(&value.height()) == Some(&value.id());
        if committee.proposer != sender || !in_chain {
            return false;
        }
        cx.trace("PP-2", *view);
        self.say_commit(cx, *view, value.id(), value.parent());
        true
    }

    pub(super) fn verdict(&mut self, cx: &mut Step<'_, V>, id: B256, verdict: Verdict) {
        let Some(looked_at) = self.examined.remove(&id) else { return };
        if let Some((_, message)) = &self.checking
            && let Body::Preprepare(preprepare) = &message.body
            && preprepare.value.id() == id
            && !same(&preprepare.value, &looked_at)
        {
            // It was said of another form.
            let value = preprepare.value.clone();
            return self.examine(cx, value);
        }
        let Some((sender, message)) = self.checking.take_if(|(_, message)| proposed(message) == Some(id)) else {
            return;
        };
        let Body::Preprepare(preprepare) = &message.body else { return };
        let reject = |cx: &mut Step<'_, V>, why| cx.push(Effect::Rejected { from: sender, why });
        match verdict {
            Verdict::Valid => {
                self.accept(cx, preprepare);
                self.spread(cx, message);
            }
            Verdict::Invalid(reason) => {
                cx.trace("PP-6", self.view);
                self.send_round_change(cx, self.view.round.saturating_add(1));
                reject(cx, Rejected::by_sender("PP-6", reason));
            }
            Verdict::NotYet { wait } => {
                cx.trace("PP-5", self.view);
                self.first_proposal = None;
                self.early = Some((sender, message));
                self.set_timer(cx, RETRY_TIMER, cx.now.after(wait));
                reject(cx, Rejected::stored("PP-5", "block in the future"));
            }
        }
    }

    fn accept(&mut self, cx: &mut Step<'_, V>, preprepare: &Preprepare<V>) {
        let view = self.view;
        if self.state != State::AcceptRequest {
            return cx.trace("PP-10", view);
        }
        let value = preprepare.value.clone();
        if !self.is_locked() {
            cx.trace("PP-7", view);
            self.proposal = Some(value);
            self.set_state(cx, State::Preprepared);
            return self.say_prepare(cx);
        }
        if self.lock.is_some_and(|lock| lock.id == value.id()) {
            cx.trace("PP-8", view);
            self.proposal = Some(value);
            self.set_state(cx, State::Prepared);
            return self.say_current_commit(cx);
        }
        cx.trace("PP-9", view);
        self.send_round_change(cx, view.round.saturating_add(1));
    }
}

fn proposed<V: WireValue>(message: &Message<V>) -> Option<B256> {
    match &message.body {
        Body::Preprepare(preprepare) => Some(preprepare.value.id()),
        _ => None,
    }
}

/// The value with the round in the vanity of its header. Its name stays.
fn with_round<V: WireValue>(value: V, view: View) -> V {
    let mut extra = value.header().extra.to_vec();
    let Some(byte) = extra.get_mut(31) else { return value };
    *byte = view.round.get() as u8;
    value.with_extra(extra.into())
}
