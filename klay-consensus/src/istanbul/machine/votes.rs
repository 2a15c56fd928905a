//! Prepares, commits, and the decision.
//!
//! Source: chapter 50, section 1.6 (VT).

use std::sync::Arc;

use super::{
    Address, Code, Effect, Handled, Istanbul, IstanbulRecord, Lock, Message, Misbehaviour, ROUND_TIMER, Rejected,
    State, Step, Value, WireValue,
};
use crate::{
    istanbul::{
        CommittedSeals, Subject,
        evidence::is_no_seal,
        seal::{self, Seal},
    },
    types::Committee,
};

impl<V: WireValue> Istanbul<V> {
    fn subject(&self) -> Option<Subject> {
        let value = self.proposal.as_ref()?;
        Some(Subject { view: self.view, digest: value.id(), prev_hash: value.parent() })
    }

    pub(super) fn handle_vote(
        &mut self,
        cx: &mut Step<'_, V>,
        sender: Address,
        message: &Message<V>,
        subject: Subject,
    ) -> Result<Handled, Rejected> {
        let code = message.code();
        self.check_view(code, subject.view)?; // VT-1
        self.note_contradiction(cx, sender, message, subject);
        if self.subject() != Some(subject) {
            return Err(Rejected::by_sender("VT-2", "inconsistent subjects"));
        }
        let Some(committee) = self.committee.clone() else { return Err(Rejected::retry("RL-7", "no committee")) };
        if !committee.is_member(sender) {
            return Err(Rejected::by_sender("VT-3", "message does not come from a committee"));
        }
        if code == Code::Commit && self.config.compat.verify_seals && !self.seal_holds(message, &subject) {
            let reason = "committed seal is not the sender's";
            if !is_no_seal(subject.digest, &message.envelope.committed_seal, &*self.config.authors) {
                return Err(Rejected::stale("MS-5", reason)); // Perhaps an honest answer of the reference (D9).
            }
            self.report(cx, Misbehaviour::BadSeal, sender, &[message]);
            return Err(Rejected::by_sender("MS-5", reason));
        }
        cx.trace("VT-4", self.view);
        let votes = if code == Code::Commit { &mut self.commits } else { &mut self.prepares };
        votes.insert(sender, message.clone());
        self.count(cx, &committee);
        Ok(Handled::Done)
    }

    fn seal_holds(&self, message: &Message<V>, subject: &Subject) -> bool {
        let Ok(sealed) = Seal::try_from(&message.envelope.committed_seal[..]) else { return false };
        self.config.authors.author(seal::committed_digest(subject.digest), &sealed) == Some(message.from())
    }

    fn count(&mut self, cx: &mut Step<'_, V>, committee: &Arc<Committee<Address>>) {
        let quorum = committee.quorum as usize;
        if self.state < State::Prepared {
            let locked = self.is_locked() && self.lock.map(|l| l.id) == self.proposal.as_ref().map(Value::id);
            let voters = self.commits.len() + self.prepares.keys().filter(|a| !self.commits.contains_key(*a)).count();
            if locked {
                cx.trace("VT-5", self.view);
                self.set_state(cx, State::Prepared);
                self.say_current_commit(cx);
            } else if voters >= quorum {
                cx.trace("VT-6", self.view);
                self.take_lock(cx);
                self.set_state(cx, State::Prepared);
                self.say_current_commit(cx);
            }
        }
        if self.state < State::Committed && self.commits.len() >= quorum {
            cx.trace("VT-7", self.view);
            self.take_lock(cx);
            self.decide(cx);
        }
    }

    /// Locks the current proposal; on the record before the commit that follows.
    fn take_lock(&mut self, cx: &mut Step<'_, V>) {
        let Some(value) = &self.proposal else { return };
        let (id, round) = (value.id(), self.view.round);
        let known = self.lock == Some(Lock { round, id });
        self.lock = Some(Lock { round, id });
        if self.config.compat.remember && !known {
            let mut bytes = Vec::new();
            value.encode(&mut bytes);
            cx.fx.persist(IstanbulRecord::Lock { view: self.view, id, value: bytes.into() });
        }
    }

    fn decide(&mut self, cx: &mut Step<'_, V>) {
        let Some(value) = self.proposal.clone() else { return };
        self.set_state(cx, State::Committed);
        if self.config.compat.fair_timer {
            self.cancel(cx, ROUND_TIMER);
        }
        let seals = self.commits.values().map(|message| padded(&message.envelope.committed_seal)).collect();
        let cert = CommittedSeals { round: self.relay_view.round, seals };
        cx.push(Effect::Decide { slot: self.view.slot, value, cert, after: None });
    }

    /// Reports a sender that prepares twice for different things in one view (D18). A vote on another parent may come from
    /// another chain: its signature does not tell. Of two commits, one may be the answer to a proposal for a block that the
    /// sender has by now (PP-2): whoever proposes chooses the view of that answer.
    fn note_contradiction(&mut self, cx: &mut Step<'_, V>, sender: Address, message: &Message<V>, subject: Subject) {
        let is_here = subject.view == self.view && subject.prev_hash == self.floor.id;
        if !self.config.compat.keep_evidence || !is_here || message.code() != Code::Prepare {
            return;
        }
        match self.first_prepares.get(&sender) {
            None => _ = self.first_prepares.insert(sender, message.clone()),
            Some(first) if digest_of(first) == Some(subject.digest) => {}
            Some(first) => {
                let first = first.clone();
                self.report(cx, Misbehaviour::DoubleVote, sender, &[&first, message]);
            }
        }
    }
}

const fn digest_of<V>(message: &Message<V>) -> Option<alloy_primitives::B256> {
    use crate::istanbul::Body;
    match &message.body {
        Body::Prepare(subject) | Body::Commit(subject) => Some(subject.digest),
        Body::Preprepare(_) | Body::RoundChange(_) => None,
    }
}

/// MS-5: cut or filled with zeros to 65 bytes.
fn padded(bytes: &[u8]) -> Seal {
    let mut seal = [0; 65];
    for (to, from) in seal.iter_mut().zip(bytes) {
        *to = *from;
    }
    seal
}
