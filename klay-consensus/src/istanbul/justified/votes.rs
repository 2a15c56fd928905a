//! Proposals of others, prepares, commits, the decision.

use std::collections::BTreeMap;

use alloy_primitives::{B256, Bytes};

use super::{
    Cx, Domain, Effect, Justified, JustifiedMessage, JustifiedRecord, Kind, Misbehaviour, Phase, Prepared, ROUND_TIMER,
    Rejected, Seal, SignedVote, Statement, Unsigned, View, Vote, WireValue, rounds::committee_of, seal_digest,
};
use crate::{
    istanbul::CommittedSeals,
    types::{Step, Wanted},
};

impl<V: WireValue> Justified<V> {
    pub(super) fn handle_proposal(&mut self, cx: &mut Cx<'_, V>, message: JustifiedMessage<V>) -> Result<(), Rejected> {
        let (from, Vote { view, digest, .. }) = (message.signed.from, message.signed.vote);
        if view.round < self.view.round {
            return Err(Rejected::stale("JE-2", "old round"));
        }
        let Some(committee) = committee_of(self, view.slot, view.round) else {
            return Err(Rejected::retry("JE-1", "no committee"));
        };
        if committee.proposer != from {
            return Err(Rejected::by_sender("JE-2", "sender is not the proposer"));
        }
        let Some(value) = message.value.clone().filter(|v| v.id() == digest) else {
            return Err(Rejected::by_sender("JE-2", "proposal without its value"));
        };
        if !value.is_uncommitted() {
            return Err(Rejected::by_sender("JE-2", "proposal with committed seals"));
        }
        if value.height().slot() != view.slot || value.parent() != self.floor.id {
            return Err(Rejected::by_sender("JE-2", "proposal does not follow the head"));
        }
        if from != self.config.me && !self.checker(&committee).proposal_holds(&message) {
            return Err(Rejected::by_sender("JU-5", "proposal is not justified"));
        }
        if view.round > self.view.round && !self.follow(cx, view) {
            return Err(Rejected::retry("JE-1", "no committee"));
        }
        if self.note_contradiction(cx, &message.signed) {
            return Err(Rejected::by_sender("JE-2", "second proposal in one view"));
        }
        if self.phase != Phase::New || self.checking.is_some() {
            return Err(Rejected::stale("JE-2", "proposal is known"));
        }
        // Its justification shows that a quorum is in this round.
        if view.round > crate::types::Round::ZERO && !self.timers.contains_key(&ROUND_TIMER) {
            self.begin_round(cx);
        }
        let prepared = self.prepared.as_ref().map(|p| &p.value).filter(|v| v.id() == digest);
        if let Some(value) = prepared.cloned() {
            self.accept(cx, value);
        } else if from == self.config.me {
            self.accept(cx, value);
        } else {
            self.checking = Some(message);
            self.examine(cx, value);
        }
        Ok(())
    }

    /// JE-2.
    pub(super) fn accept(&mut self, cx: &mut Cx<'_, V>, value: V) {
        cx.trace("JE-2", self.view);
        let digest = value.id();
        self.remember(value.clone());
        self.proposal = Some(value);
        self.phase = Phase::Proposed;
        if self.is_member() {
            let vote = Vote { kind: Kind::Prepare, view: self.view, digest, prepared: None };
            let signed = self.unsigned(vote, Bytes::new());
            self.say(cx, JustifiedMessage::plain(signed), digest);
        }
        self.count_prepares(cx);
        self.try_decide(cx);
    }

    pub(super) fn handle_prepare(&mut self, cx: &mut Cx<'_, V>, signed: SignedVote) -> Result<(), Rejected> {
        if signed.vote.view.round < self.view.round {
            return Err(Rejected::stale("JE-4", "old round"));
        }
        if self.committee.as_ref().is_none_or(|c| !c.is_member(signed.from)) {
            return Err(Rejected::by_sender("JE-4", "sender is not in the committee"));
        }
        if self.note_contradiction(cx, &signed) {
            return Err(Rejected::by_sender("JE-4", "second vote in one view"));
        }
        self.prepares.insert(signed.from, signed);
        self.count_prepares(cx);
        Ok(())
    }

    /// JE-4.
    fn count_prepares(&mut self, cx: &mut Cx<'_, V>) {
        let (Some(value), Some(committee)) = (&self.proposal, &self.committee) else { return };
        if self.phase != Phase::Proposed {
            return;
        }
        let digest = value.id();
        let votes: Vec<_> = self.prepares.values().filter(|p| p.vote.digest == digest).cloned().collect();
        if votes.len() < committee.quorum as usize {
            return;
        }
        cx.trace("JE-4", self.view);
        self.phase = Phase::Prepared;
        let vote = Vote { kind: Kind::RoundChange, view: self.view, digest: B256::ZERO, prepared: None };
        let mut proof = JustifiedMessage::plain(self.unsigned(vote, Bytes::new()));
        proof.value = Some(value.clone());
        proof.prepares.clone_from(&votes);
        self.prepared = Some(Prepared { round: self.view.round, value: value.clone(), votes });
        let mut bytes = Vec::new();
        proof.encode(&mut bytes);
        cx.fx.persist(JustifiedRecord::Prepared { view: self.view, proof: bytes.into() });
        if self.is_member() {
            let vote = Vote { kind: Kind::Commit, view: self.view, digest, prepared: None };
            let statement = Statement::about(self.view, Step::Vote2, digest.0);
            let seal = seal_digest(digest, self.view.round);
            let ticket = cx.fx.sign(statement, Domain::CommittedSeal, seal.0);
            self.unsigned.insert(ticket, Unsigned::Seal(vote));
        }
    }

    pub(super) fn handle_commit(&mut self, cx: &mut Cx<'_, V>, signed: SignedVote) -> Result<(), Rejected> {
        let Vote { view, digest, .. } = signed.vote;
        let Some(committee) = committee_of(self, view.slot, view.round) else {
            return Err(Rejected::retry("JE-1", "no committee"));
        };
        if !committee.is_member(signed.from) {
            return Err(Rejected::by_sender("JE-5", "sender is not in the committee"));
        }
        if self.phase == Phase::Decided {
            return Err(Rejected::stale("JE-5", "decided already"));
        }
        if !signed.is_sealed(&*self.config.authors) {
            Self::report(cx, Misbehaviour::BadSeal, &[&signed]);
            return Err(Rejected::by_sender("JE-5", "committed seal is not the sender's"));
        }
        let contradicts = view == self.view && self.note_contradiction(cx, &signed);
        // One commit of a sender per round, and few rounds.
        let counted =
            self.commits.iter().any(|((round, _), votes)| *round == view.round && votes.contains_key(&signed.from));
        if contradicts || counted {
            return Err(Rejected::stale("JE-5", "vote is known"));
        }
        self.commits.entry((view.round, digest)).or_default().insert(signed.from, signed);
        self.try_decide(cx);
        Ok(())
    }

    /// JE-5.
    pub(super) fn try_decide(&mut self, cx: &mut Cx<'_, V>) {
        if self.phase == Phase::Decided {
            return;
        }
        let slot = self.view.slot;
        let enough = |((round, _), votes): &(&(crate::types::Round, B256), &BTreeMap<_, SignedVote>)| {
            committee_of(self, slot, *round).is_some_and(|c| votes.len() >= c.quorum as usize)
        };
        let Some((&(round, digest), votes)) = self.commits.iter().find(enough) else { return };
        let Some(value) = self.accepted(&digest).cloned() else {
            return cx.push(Effect::Need(Wanted::Value { id: digest }));
        };
        let seals = votes.values().filter_map(|signed| Seal::try_from(&signed.seal[..]).ok()).collect();
        cx.trace("JE-5", View::new(slot, round));
        self.phase = Phase::Decided;
        self.proposal = Some(value.clone());
        self.cancel(cx, ROUND_TIMER);
        cx.push(Effect::Decide { slot, value, cert: CommittedSeals { round, seals }, after: None });
    }
}
