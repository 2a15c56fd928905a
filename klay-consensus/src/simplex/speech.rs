//! What we say: through the gate, to everybody, and counted by ourselves in the same step.

use alloy_primitives::{Address, B256};

use super::{
    Class, Cx, Domain, Effect, Kind, REPEAT_TIMER, Seal, SignRefused, SignedVote, Simplex, SimplexMessage, Ticket,
    Unsigned, Vote, WireValue, final_digest, seal,
};
use crate::types::TimerKind;

/// Ancestors that one finalize vote speaks of.
pub(super) const ANCESTORS: usize = 32;
/// Nullifications that a proposal brings along; who lacks more asks for them.
const NULLIFICATIONS: usize = 256;

/// A finalize vote whose signatures come one by one.
#[derive(Debug, Clone)]
pub(super) struct Finalizing {
    vote: Vote,
    parts: Vec<(Ticket, B256, Option<Seal>)>,
}

impl<V: WireValue> Simplex<V> {
    pub(super) fn say(&mut self, cx: &mut Cx<'_, V>, vote: Vote) {
        let digest = vote.digest(self.config.domain);
        let ticket = cx.fx.sign(vote.statement(vote.id), Domain::Message, digest.0);
        self.unsigned.insert(ticket, Unsigned::Vote(vote));
    }

    /// All signatures are asked for at once: later ones would come after statements of the next view.
    pub(super) fn say_finalize(&mut self, cx: &mut Cx<'_, V>, vote: Vote) {
        // The lowest come first: decisions are handed out in order.
        let unproven = self.tree.unproven(&vote.id).into_iter().rev().take(ANCESTORS);
        let ids = core::iter::once(vote.id).chain(unproven);
        let part = |id: B256| {
            let digest = final_digest(id, vote.view);
            (cx.fx.sign(vote.statement(vote.id), Domain::CommittedSeal, digest.0), id, None)
        };
        let parts: Vec<_> = ids.map(part).collect();
        self.finalizing.push(Finalizing { vote, parts });
    }

    pub(super) fn signed(&mut self, cx: &mut Cx<'_, V>, ticket: Ticket, result: Result<Seal, SignRefused>) {
        if let Some(unsigned) = self.unsigned.remove(&ticket) {
            if let Ok(signature) = result {
                self.complete(cx, unsigned, signature);
            }
            return;
        }
        let has = |f: &Finalizing| f.parts.iter().any(|(asked, ..)| *asked == ticket);
        let Some(at) = self.finalizing.iter().position(has) else { return };
        let Ok(signature) = result else {
            self.finalizing.swap_remove(at);
            return;
        };
        let Some(group) = self.finalizing.get_mut(at) else { return };
        for (asked, _, seal) in &mut group.parts {
            if *asked == ticket {
                *seal = Some(signature);
            }
        }
        let seals: Option<Vec<_>> = group.parts.iter().map(|(_, id, seal)| seal.map(|seal| (*id, seal))).collect();
        let Some(mut ancestors) = seals.filter(|seals| !seals.is_empty()) else { return };
        let vote = group.vote;
        self.finalizing.swap_remove(at);
        let (_, signature) = ancestors.remove(0);
        self.send_vote(cx, SignedVote { vote, from: self.config.me, signature, ancestors });
    }

    fn complete(&mut self, cx: &mut Cx<'_, V>, unsigned: Unsigned<V>, signature: Seal) {
        let from = self.config.me;
        match unsigned {
            Unsigned::Value { view, value, place } => {
                let Ok(extra) = seal::with_seal(&value.header().extra, &signature) else { return };
                if view == self.view {
                    self.propose(cx, value.with_extra(extra), place);
                }
            }
            Unsigned::Proposal { vote, value, place } => {
                if vote.view != self.view {
                    return;
                }
                let signed = SignedVote { vote, from, signature, ancestors: Vec::new() };
                let skip = place.nullified.len().saturating_sub(NULLIFICATIONS);
                let nullified = place.nullified.into_iter().skip(skip).collect();
                let msg = SimplexMessage::Proposal {
                    signed: signed.clone(),
                    value: value.clone(),
                    parent: place.parent,
                    nullified,
                };
                self.tell(cx, msg.clone(), Class::Proposal);
                self.spoken.push(msg);
                self.tallies.entry(vote.view).or_default().proposal = Some(signed);
                self.keep_checked(value.clone(), cx.now);
                self.notarize(cx, value);
            }
            Unsigned::Vote(vote) => {
                self.send_vote(cx, SignedVote { vote, from, signature, ancestors: Vec::new() });
            }
        }
    }

    fn send_vote(&mut self, cx: &mut Cx<'_, V>, signed: SignedVote) {
        let msg = SimplexMessage::Vote(signed.clone());
        self.tell(cx, msg.clone(), Class::Vote);
        self.spoken.push(msg);
        // A vote of ours that came too late for us is still true.
        let _late = self.add_vote(cx, signed).is_err();
    }

    fn others(&self) -> Vec<Address> {
        let senders = self.committee.iter().flat_map(|c| c.senders.iter().copied());
        senders.filter(|peer| *peer != self.config.me).collect()
    }

    fn tell(&self, cx: &mut Cx<'_, V>, msg: SimplexMessage<V>, class: Class) {
        let to = self.others();
        if !to.is_empty() {
            cx.push(Effect::Broadcast { to, msg, class, after: None });
        }
    }

    /// SX-9.
    pub(super) fn repeat(&mut self, cx: &mut Cx<'_, V>) {
        cx.trace("SX-9", self.view);
        let (view, kind) = (self.view, Kind::Nullify);
        let is_said = |msg: &SimplexMessage<V>| msg.vote().is_some_and(|s| s.vote.kind == kind && s.vote.view == view);
        let is_asked = |u: &Unsigned<V>| matches!(u, Unsigned::Vote(vote) if vote.kind == kind && vote.view == view);
        if self.session.nullified && !self.spoken.iter().any(is_said) && !self.unsigned.values().any(is_asked) {
            // The signer has failed; nobody else can end this view for us.
            self.say(cx, Vote { kind, view, id: B256::ZERO });
        }
        for msg in self.spoken.clone() {
            let class = if matches!(msg, SimplexMessage::Proposal { .. }) { Class::Proposal } else { Class::Vote };
            self.tell(cx, msg, class);
        }
        let certificates = self.news();
        if !certificates.is_empty() {
            self.tell(cx, SimplexMessage::Certificates(certificates), Class::Sync);
        }
        self.set_timer(cx, REPEAT_TIMER, cx.now.after(self.span(TimerKind::Repeat)));
    }

    /// What led into this view, and the newest proof of a final value.
    fn news(&self) -> Vec<super::Certificate> {
        let entry = self.view.prev().and_then(|before| self.tree.end_of(before));
        let mut news: Vec<_> = entry.into_iter().chain(self.tree.newest_final()).cloned().collect();
        news.dedup();
        news
    }

    /// A peer that comes hears where we are.
    pub(super) fn greet(&self, cx: &mut Cx<'_, V>, peer: Address) {
        let certificates = self.news();
        if !certificates.is_empty() {
            let msg = SimplexMessage::Certificates(certificates);
            cx.push(Effect::Send { to: peer, msg, class: Class::Sync, after: None });
        }
        for msg in &self.spoken {
            cx.push(Effect::Send { to: peer, msg: msg.clone(), class: Class::Vote, after: None });
        }
    }
}
