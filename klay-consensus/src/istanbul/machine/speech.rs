//! What we say: signing, sending, passing on.
//!
//! A message goes through the gate before anybody sees it. It is handled by ourselves first; peers get it when that
//! succeeded (RL-1).

use std::collections::BTreeMap;

use alloy_primitives::{B256, Bytes};

use super::{
    Address, Body, Code, Effect, Height, Istanbul, Message, Queued, Relay, Step, Ticket, Value, View, WireValue,
};
use crate::{
    istanbul::{
        Subject,
        seal::{self, Seal},
    },
    types::{Class, Domain, Round, SignRefused, Statement, Step as Said},
};

/// Messages that wait for a signature.
#[derive(Debug, Clone)]
pub(super) struct Speech<V> {
    /// Waiting for the committed seal inside.
    seals: BTreeMap<Ticket, (Body<V>, Statement)>,
    /// Waiting for the signature around it.
    messages: BTreeMap<Ticket, Message<V>>,
    /// How often the current request for a round was repeated.
    pub(super) repeats: u8,
    /// The last request for a round, for peers that come later.
    last_request: Option<Message<V>>,
}

impl<V> Default for Speech<V> {
    fn default() -> Self {
        Self { seals: BTreeMap::new(), messages: BTreeMap::new(), repeats: 0, last_request: None }
    }
}

impl<V: WireValue> Istanbul<V> {
    pub(super) fn say_prepare(&mut self, cx: &mut Step<'_, V>) {
        let Some(value) = self.proposal.as_ref().filter(|_| self.is_member()) else { return }; // VT-9
        let subject = Subject { view: self.view, digest: value.id(), prev_hash: value.parent() };
        self.say(cx, Body::Prepare(subject));
    }

    pub(super) fn say_current_commit(&mut self, cx: &mut Step<'_, V>) {
        let Some(value) = self.proposal.as_ref().filter(|_| self.is_member()) else { return }; // VT-9
        let (id, parent) = (value.id(), value.parent());
        self.say_commit(cx, self.view, id, parent);
    }

    pub(super) fn say_commit(&mut self, cx: &mut Step<'_, V>, view: View, digest: B256, prev_hash: B256) {
        let body = Body::Commit(Subject { view, digest, prev_hash });
        let statement = Statement::about(view, Said::Vote2, digest.0);
        // The reference seals whatever it discusses now, also when it answers about an older block (D9).
        let sealed = self.proposal.as_ref().map(Value::id);
        match sealed {
            Some(id) => {
                let ticket = cx.fx.sign(statement, Domain::CommittedSeal, seal::committed_digest(id).0);
                self.speech.seals.insert(ticket, (body, statement));
            }
            None => self.sign(cx, body, statement, Bytes::new()),
        }
    }

    pub(super) fn say(&mut self, cx: &mut Step<'_, V>, body: Body<V>) {
        let view = body.view();
        let (statement, extra) = match &body {
            Body::Preprepare(p) => (Statement::about(view, Said::Proposal, p.value.content_id().0), Bytes::new()),
            Body::Prepare(s) => (Statement::about(view, Said::Vote1, s.digest.0), Bytes::new()),
            Body::Commit(s) => (Statement::about(view, Said::Vote2, s.digest.0), Bytes::new()),
            Body::RoundChange(_) => {
                // Asking for a round means leaving the one before it.
                let left = View::new(view.slot, Round::new(view.round.get().saturating_sub(1)));
                let counter = if self.speech.repeats == 0 { Vec::new() } else { vec![self.speech.repeats] };
                (Statement::skip(left), counter.into())
            }
        };
        self.sign(cx, body, statement, extra);
    }

    fn sign(&mut self, cx: &mut Step<'_, V>, body: Body<V>, statement: Statement, committed_seal: Bytes) {
        let message = Message::unsigned(body, self.config.me, committed_seal);
        let ticket = cx.fx.sign(statement, Domain::Message, message.envelope.digest().0);
        self.speech.messages.insert(ticket, message);
    }

    pub(super) fn signed(&mut self, cx: &mut Step<'_, V>, ticket: Ticket, result: Result<Seal, SignRefused>) {
        if let Some((_, value)) = self.sealing.take_if(|(asked, _)| *asked == ticket) {
            if let Ok(seal) = result {
                self.sealed(cx, value, &seal);
            }
        } else if let Some((body, statement)) = self.speech.seals.remove(&ticket) {
            if let Ok(seal) = result {
                self.sign(cx, body, statement, Bytes::copy_from_slice(&seal));
            }
        } else if let Some(mut message) = self.speech.messages.remove(&ticket)
            && let Ok(signature) = result
        {
            message.envelope.signature = Bytes::copy_from_slice(&signature);
            if message.code() == Code::RoundChange {
                self.speech.last_request = Some(message.clone());
            }
            self.enqueue(cx, Queued::Own(message));
        }
    }

    /// Sends or passes on a message that was handled with success.
    pub(super) fn spread(&self, cx: &mut Step<'_, V>, msg: Message<V>) {
        let class = if msg.code() == Code::Preprepare { Class::Proposal } else { Class::Vote };
        let own = msg.from() == self.config.me;
        let to = match self.config.relay {
            Relay::Flood => self.flood_targets(),
            Relay::Direct if own => self.everybody(),
            Relay::Direct => return,
        };
        if to.is_empty() {
            return;
        }
        // The gate has signed it, so what it rests on is durable.
        cx.push(if own { Effect::Broadcast { to, msg, class, after: None } } else { Effect::Relay { to, msg, class } });
    }

    fn everybody(&self) -> Vec<Address> {
        let senders = self.committee.iter().flat_map(|c| c.senders.iter().copied());
        senders.filter(|a| *a != self.config.me).collect()
    }

    /// RL-3: the committees of the last started round and the one after it, if we are in the former.
    fn flood_targets(&self) -> Vec<Address> {
        let (height, round) = (Height::new(self.relay_view.slot.get()), self.relay_view.round);
        let Ok(now) = self.config.committees.at(height, round) else { return Vec::new() };
        if !now.is_member(self.config.me) {
            return Vec::new();
        }
        let mut targets = now.members.clone();
        if let Ok(next) = self.config.committees.at(height, round.saturating_add(1)) {
            targets.extend(next.members.iter().filter(|a| !now.is_member(**a)));
        }
        targets.retain(|a| *a != self.config.me);
        targets
    }

    /// A peer that comes while we wait for a round hears of it.
    pub(super) fn greet(&self, cx: &mut Step<'_, V>, peer: Address) {
        let request = self.speech.last_request.as_ref().filter(|m| self.waiting && m.view() == self.view);
        if let Some(msg) = request.filter(|_| self.config.compat.repeat_round_change) {
            cx.push(Effect::Send { to: peer, msg: msg.clone(), class: Class::Vote, after: None });
        }
    }
}
