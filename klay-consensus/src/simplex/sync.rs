//! SX-8: asking for what is missing, and answering.

use alloy_primitives::{Address, B256};

use super::{
    ASK_TIMER, CERTIFICATES, Class, Cx, Effect, Missing, Rejected, Simplex, SimplexMessage, Slot, VALUES_ASKED,
    WireValue,
};
use crate::types::TimerKind;

/// Peers whose last answer is remembered.
const ANSWERED: usize = 1024;

impl<V: WireValue> Simplex<V> {
    /// Asks one peer, `whom` if it is known to have it, else one after the other. At most once a Δ.
    pub(super) fn ask(&mut self, cx: &mut Cx<'_, V>, missing: Missing, whom: Option<Address>) {
        if !self.started || self.timers.contains_key(&ASK_TIMER) {
            return;
        }
        let Some(committee) = &self.committee else { return };
        let others: Vec<_> = committee.senders.iter().filter(|peer| **peer != self.config.me).collect();
        if others.is_empty() {
            return;
        }
        self.turn = (self.turn + 1) % others.len();
        let to = whom.unwrap_or(*others[self.turn]);
        let (from, values) = match missing {
            Missing::Certificate(view) => (view, Vec::new()),
            Missing::Value(id) => (self.view, vec![id]),
        };
        cx.trace("SX-8", self.view);
        cx.push(Effect::Send { to, msg: SimplexMessage::Ask { from, values }, class: Class::Sync, after: None });
        let again = cx.now.after(self.span(TimerKind::Round));
        self.set_timer(cx, ASK_TIMER, again);
    }

    /// Whether a value that nobody proposes here and now is of use.
    pub(super) fn wants(&self, id: &B256) -> bool {
        self.tree.lacks(id) || self.pending.as_ref().is_some_and(|c| c.value.parent() == *id)
    }

    /// Whether a peer has waited long enough since its last answer.
    fn may_answer(&mut self, cx: &Cx<'_, V>, peer: Address) -> bool {
        let pause = self.span(TimerKind::Round) / 4;
        if self.answered.get(&peer).is_some_and(|last| cx.now < last.after(pause)) {
            return false;
        }
        if self.answered.len() >= ANSWERED {
            self.answered.clear();
        }
        self.answered.insert(peer, cx.now);
        true
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
