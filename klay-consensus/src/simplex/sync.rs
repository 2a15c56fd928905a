//! SX-8: asking for what is missing, and answering.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256};

use super::{
    ASK_TIMER, CERTIFICATES, Class, Cx, Effect, Missing, Rejected, Simplex, SimplexMessage, Slot, VALUES_ASKED,
    WireValue,
};
use crate::types::TimerKind;

/// What is missing.
#[derive(Debug, Clone, Default)]
pub(super) struct Lacking {
    /// Certificates of this view and later ones.
    from: Option<Slot>,
    values: BTreeSet<B256>,
}

/// Answers to one peer within a Δ.
const ANSWERS: u32 = 8;
/// Peers whose last answer is remembered.
const ANSWERED: usize = 1024;

impl<V: WireValue> Simplex<V> {
    /// Asks one peer, `whom` if it is known to have it, else one after the other. At most once a Δ; what is found to be
    /// missing meanwhile goes into the next question.
    pub(super) fn ask(&mut self, cx: &mut Cx<'_, V>, missing: Missing, whom: Option<Address>) {
        match missing {
            Missing::Certificate(view) => {
                self.lacking.from = Some(self.lacking.from.map_or(view, |from| from.min(view)))
            }
            Missing::Value(id) => {
                if self.lacking.values.len() < VALUES_ASKED {
                    self.lacking.values.insert(id);
                }
            }
        }
        if self.started && !self.timers.contains_key(&ASK_TIMER) {
            self.send_question(cx, whom);
        }
    }

    fn send_question(&mut self, cx: &mut Cx<'_, V>, whom: Option<Address>) {
        let Some(committee) = &self.committee else { return };
        let others: Vec<_> = committee.senders.iter().filter(|peer| **peer != self.config.me).copied().collect();
        let lacking = core::mem::take(&mut self.lacking);
        if others.is_empty() || lacking.from.is_none() && lacking.values.is_empty() {
            return;
        }
        self.turn = (self.turn + 1) % others.len();
        let to = whom.unwrap_or(others[self.turn]);
        let (from, values) = (lacking.from.unwrap_or(self.view), lacking.values.into_iter().collect());
        cx.trace("SX-8", self.view);
        cx.push(Effect::Send { to, msg: SimplexMessage::Ask { from, values }, class: Class::Sync, after: None });
        self.set_timer(cx, ASK_TIMER, cx.now.after(self.span(TimerKind::Round)));
    }

    /// Looks again at everything that waits, and asks for all that is missing at once.
    pub(super) fn look_everywhere(&mut self, cx: &mut Cx<'_, V>) {
        // A timer that seems to run holds the question back.
        self.timers.insert(ASK_TIMER, cx.now);
        self.lacking = Lacking::default();
        self.decide(cx);
        self.look_again(cx);
        self.try_propose(cx);
        self.cancel(cx, ASK_TIMER);
        self.send_question(cx, None);
    }

    /// Whether a value that nobody proposes here and now is of use.
    pub(super) fn wants(&self, id: &B256) -> bool {
        self.tree.lacks(id) || self.pending.as_ref().is_some_and(|c| c.value.parent() == *id)
    }

    /// Whether a peer has not had too many answers within a Δ.
    fn may_answer(&mut self, cx: &Cx<'_, V>, peer: Address) -> bool {
        let window = self.span(TimerKind::Round);
        if self.answered.len() >= ANSWERED {
            self.answered.clear();
        }
        let (since, count) = self.answered.entry(peer).or_insert((cx.now, 0));
        if cx.now >= since.after(window) {
            (*since, *count) = (cx.now, 0);
        }
        *count += 1;
        *count <= ANSWERS
    }

    pub(super) fn answer(
        &mut self,
        cx: &mut Cx<'_, V>,
        peer: Address,
        from: Slot,
        values: &[B256],
    ) -> Result<(), Rejected> {
        if values.len() > VALUES_ASKED {
            return Err(Rejected::by_sender("SX-8", "asks for too much"));
        }
        if !self.may_answer(cx, peer) {
            return Err(Rejected::stale("SX-8", "asks too often"));
        }
        let proofs: Vec<_> = values.iter().filter_map(|id| self.tree.final_proof(id)).cloned().collect();
        if !proofs.is_empty() {
            let msg = SimplexMessage::Certificates(proofs);
            cx.push(Effect::Send { to: peer, msg, class: Class::Sync, after: None });
        }
        for id in values {
            if let Some(known) = self.tree.value(id) {
                let msg = SimplexMessage::Value(known.value.clone());
                cx.push(Effect::Send { to: peer, msg, class: Class::Proposal, after: None });
            }
        }
        self.send_since(cx, peer, from);
        Ok(())
    }

    /// Tells a peer in an old view how that view ended.
    pub(super) fn help(&mut self, cx: &mut Cx<'_, V>, peer: Address, view: Slot) {
        if self.may_answer(cx, peer) {
            self.send_since(cx, peer, view);
        }
    }

    fn send_since(&self, cx: &mut Cx<'_, V>, peer: Address, from: Slot) {
        let list = self.tree.since(from, CERTIFICATES);
        if !list.is_empty() {
            let msg = SimplexMessage::Certificates(list);
            cx.push(Effect::Send { to: peer, msg, class: Class::Sync, after: None });
        }
    }
}
