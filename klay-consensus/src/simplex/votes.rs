//! Messages of others: proposals, votes, certificates, the decision.

use alloy_primitives::B256;

use super::{
    AHEAD, ASK_TIMER, Address, CERTIFICATES, Candidate, Certificate, Cx, Effect, Kind, Misbehaviour, Missing,
    PASSED_OVER, Rejected, SignedVote, Simplex, SimplexMessage, SimplexRecord, Slot, Vote, WireValue,
    certificate_holds, final_digest, proposed_in, speech::ANCESTORS, views::OTHERS_AHEAD,
};
use crate::{
    istanbul::CommittedSeals,
    types::{Round, TimerKind},
};

impl<V: WireValue> Simplex<V> {
    pub(super) fn receive(&mut self, cx: &mut Cx<'_, V>, from: Address, msg: SimplexMessage<V>, checked: bool) {
        let result = match msg {
            SimplexMessage::Proposal { signed, value, parent, nullified } => self
                .admit(cx, &signed, checked)
                .and_then(|()| self.handle_proposal(cx, from, Candidate { signed, value, parent }, nullified)),
            SimplexMessage::Vote(signed) => {
                self.admit(cx, &signed, checked).and_then(|()| self.handle_vote(cx, from, signed))
            }
            SimplexMessage::Certificates(list) => self.handle_certificates(cx, list),
            SimplexMessage::Ask { from: view, values } => self.answer(cx, from, view, &values),
            SimplexMessage::Value(value) => self.handle_value(cx, from, value),
        };
        if let Err(why) = result {
            cx.push(Effect::Rejected { from, why });
        }
    }

    fn admit(&mut self, cx: &mut Cx<'_, V>, signed: &SignedVote, checked: bool) -> Result<(), Rejected> {
        let Vote { view, .. } = signed.vote;
        if signed.from == self.config.me {
            return Err(Rejected::stale("EN-4", "own message"));
        }
        if !self.started || self.committee.is_none() {
            return Err(Rejected::retry("SX-7", "no committee"));
        }
        let Some(committee) = self.committee_at(view) else { return Err(Rejected::retry("SX-7", "no committee")) };
        if !committee.is_member(signed.from) {
            return Err(Rejected::by_sender("SX-2", "sender is no validator"));
        }
        if !checked && !self.is_signed(signed.vote.digest(self.config.domain), signed) {
            return Err(Rejected::by_sender("SX-2", "not signed by the sender"));
        }
        let is_proposal = signed.vote.kind == Kind::Proposal;
        if !is_proposal && view > self.view.saturating_add(AHEAD) {
            // Whoever is that far ahead has certificates that lead there.
            self.ask(cx, Missing::Certificate(self.view), Some(signed.from));
            return Err(Rejected::stale("SX-7", "too far ahead"));
        }
        Ok(())
    }

    fn is_signed(&self, digest: B256, signed: &SignedVote) -> bool {
        self.config.authors.author(digest, &signed.signature) == Some(signed.from)
    }

    pub(super) fn is_certificate(&self, certificate: &Certificate) -> bool {
        self.committee_at(certificate.vote.view)
            .is_some_and(|c| certificate_holds(certificate, self.config.domain, &c, &*self.config.authors))
    }

    fn handle_vote(&mut self, cx: &mut Cx<'_, V>, from: Address, signed: SignedVote) -> Result<(), Rejected> {
        let Vote { view, kind, .. } = signed.vote;
        if kind == Kind::Proposal {
            return Err(Rejected::by_sender("SX-2", "proposal without its value"));
        }
        if view < self.view && kind != Kind::Finalize {
            // Whoever sent it, not whoever signed it: an old vote of somebody else must not use up his answers.
            self.note_contradiction(cx, &signed);
            self.help(cx, from, view);
            return Err(Rejected::stale("SX-7", "old view"));
        }
        if signed.ancestors.len() > ANCESTORS {
            return Err(Rejected::by_sender("SX-6", "too many ancestors"));
        }
        let authors = &self.config.authors;
        let holds = |(id, seal): &(B256, _)| authors.author(final_digest(*id, view), seal) == Some(signed.from);
        if !signed.ancestors.iter().all(holds) {
            return Err(Rejected::by_sender("SX-6", "an ancestor's seal is not the sender's"));
        }
        self.add_vote(cx, signed)
    }

    /// Counts a vote that is signed by its sender.
    pub(super) fn add_vote(&mut self, cx: &mut Cx<'_, V>, signed: SignedVote) -> Result<(), Rejected> {
        let Vote { view, kind, id } = signed.vote;
        if view < self.oldest() {
            return Err(Rejected::stale("SX-6", "view is final"));
        }
        if kind == Kind::Proposal {
            return Ok(());
        }
        self.note_contradiction(cx, &signed);
        let from = signed.from;
        let tally = self.tallies.entry(view).or_default();
        if kind == Kind::Finalize {
            let seals = signed.ancestors.iter().copied().chain([(id, signed.signature)]);
            if !tally.add_seals(from, seals) {
                return Err(Rejected::stale("SX-2", "vote is known"));
            }
            tally.finalize.entry(from).or_insert(signed);
            self.count(cx, view);
            return Ok(());
        }
        let votes = if kind == Kind::Notarize { &mut tally.notarize } else { &mut tally.nullify };
        if votes.contains_key(&from) {
            return Err(Rejected::stale("SX-2", "vote is known"));
        }
        votes.insert(from, signed);
        self.count(cx, view);
        Ok(())
    }

    /// The first view whose votes are of use. Where that of the applied value is not known, votes of old views must not
    /// be without number.
    pub(super) fn oldest(&self) -> Slot {
        self.tree.below().unwrap_or_default().max(self.view.saturating_sub(PASSED_OVER))
    }

    /// Reports whoever says two things that exclude each other. Two finalize votes of one view need not: the seal of an
    /// ancestor is one by itself.
    fn note_contradiction(&self, cx: &mut Cx<'_, V>, signed: &SignedVote) {
        let Vote { view, kind, id } = signed.vote;
        let Some(tally) = self.tallies.get(&view) else { return };
        let (same, excluded) = match kind {
            Kind::Notarize => (tally.notarize.get(&signed.from), None),
            Kind::Finalize => (None, tally.nullify.get(&signed.from)),
            Kind::Nullify => (None, tally.finalize.get(&signed.from)),
            Kind::Proposal => (None, None),
        };
        if let Some(first) = same.filter(|first| first.vote.id != id) {
            self.report(cx, Misbehaviour::DoubleVote, [first, signed]);
        }
        if let Some(other) = excluded {
            self.report(cx, Misbehaviour::FinalizeAndSkip, [other, signed]);
        }
    }

    /// SX-3, SX-5, SX-6: makes certificates of votes.
    pub(super) fn count(&mut self, cx: &mut Cx<'_, V>, view: Slot) {
        let (Some(committee), Some(tally)) = (self.committee_at(view), self.tallies.get(&view)) else { return };
        let quorum = committee.quorum as usize;
        let mut made = Vec::new();
        let mut make = |kind, id, seals: Vec<_>| {
            made.push(Certificate { vote: Vote { kind, view, id }, seals });
        };
        let mut ids: Vec<_> = tally.notarize.values().map(|signed| signed.vote.id).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let votes = tally.notarize.values().filter(|signed| signed.vote.id == id);
            let seals: Vec<_> = votes.map(|signed| signed.signature).collect();
            if seals.len() >= quorum {
                make(Kind::Notarize, id, seals);
            }
        }
        if tally.nullify.len() >= quorum {
            make(Kind::Nullify, B256::ZERO, tally.nullify.values().map(|signed| signed.signature).collect());
        }
        for (id, seals) in tally.seals.iter().filter(|(_, seals)| seals.len() >= quorum) {
            make(Kind::Finalize, *id, seals.values().copied().collect());
        }
        let mut news = false;
        for certificate in made {
            news |= self.learn(cx, certificate);
        }
        if news {
            self.advance(cx);
        }
    }

    /// Takes in a certificate that holds; whether it was new.
    fn learn(&mut self, cx: &mut Cx<'_, V>, certificate: Certificate) -> bool {
        if self.tree.knows(&certificate) || !self.tree.add(certificate.clone()) {
            return false;
        }
        let rule = match certificate.vote.kind {
            Kind::Notarize | Kind::Proposal => "SX-3",
            Kind::Nullify => "SX-5",
            Kind::Finalize => "SX-6",
        };
        cx.trace(rule, certificate.vote.view);
        // A restart needs no more than what is above the applied chain.
        if self.tree.below().is_none_or(|below| certificate.vote.view >= below) {
            self.written = Some(cx.fx.persist(SimplexRecord::Certified(certificate)));
        }
        true
    }

    /// Checks certificates of others and takes them in, up to the first one that does not hold. What is taken in is known
    /// and leads nowhere any more, so it has to be followed whatever comes behind it: whether one was new. Those of a
    /// committee that is not known yet are left out.
    fn learn_all(&mut self, cx: &mut Cx<'_, V>, list: Vec<Certificate>) -> (bool, Result<(), Rejected>) {
        let mut news = false;
        for certificate in list {
            let unknown = self.committee_at(certificate.vote.view).is_none();
            if unknown || self.is_past(&certificate) || self.tree.knows(&certificate) {
                continue;
            }
            if !self.is_certificate(&certificate) {
                return (news, Err(Rejected::by_sender("SX-7", "certificate does not hold")));
            }
            news |= self.learn(cx, certificate);
        }
        (news, Ok(()))
    }

    /// Whether a certificate proves final what the applied chain has left behind. Others of such views may be what a
    /// proposal rests on, and are checked.
    fn is_past(&self, certificate: &Certificate) -> bool {
        let Vote { kind, view, .. } = certificate.vote;
        kind == Kind::Finalize && self.tree.below().is_some_and(|below| view < below)
    }

    fn handle_certificates(&mut self, cx: &mut Cx<'_, V>, list: Vec<Certificate>) -> Result<(), Rejected> {
        if !self.started || list.len() > CERTIFICATES {
            return Err(Rejected::by_sender("SX-7", "too many certificates"));
        }
        let (news, held) = self.learn_all(cx, list);
        if news {
            self.advance(cx);
            self.look_everywhere(cx);
        }
        held
    }

    fn handle_proposal(
        &mut self,
        cx: &mut Cx<'_, V>,
        from: Address,
        candidate: Candidate<V>,
        nullified: Vec<Certificate>,
    ) -> Result<(), Rejected> {
        let signed = &candidate.signed;
        let Vote { view, id, kind } = signed.vote;
        if view < self.view {
            self.help(cx, from, view);
            return Err(Rejected::stale("SX-7", "old view"));
        }
        // The signature covers a name. What it rests on, and the transactions, could be anybody's on the way.
        if from != signed.from {
            return Err(Rejected::by_sender("SX-2", "proposal is passed on"));
        }
        if self.committee_at(view).is_none_or(|c| c.proposer != signed.from) {
            return Err(Rejected::by_sender("SX-2", "sender is not the leader"));
        }
        if kind != Kind::Proposal || candidate.value.id() != id {
            return Err(Rejected::by_sender("SX-2", "proposal of another value"));
        }
        if !candidate.value.is_uncommitted() {
            return Err(Rejected::by_sender("SX-2", "proposal with committed seals"));
        }
        let again = candidate.parent.as_ref().is_some_and(|c| c.vote.id == id);
        if !again && proposed_in(candidate.value.header()) != Some(view) {
            return Err(Rejected::by_sender("SX-2", "the value was made for another view"));
        }
        if nullified.len() as u64 > PASSED_OVER || nullified.iter().any(|c| c.vote.kind != Kind::Nullify) {
            return Err(Rejected::by_sender("SX-1", "too many views passed over"));
        }
        let certificates = candidate.parent.iter().cloned().chain(nullified).collect();
        let (news, held) = self.learn_all(cx, certificates);
        if news {
            self.advance(cx);
        }
        held?;
        if candidate.parent.as_ref().is_some_and(|parent| !self.tree.knows(parent)) {
            return Err(Rejected::stale("SX-1", "parent cannot be checked"));
        }
        if view > self.view.saturating_add(AHEAD) {
            self.ask(cx, Missing::Certificate(self.view), Some(from));
            return Err(Rejected::stale("SX-7", "too far ahead"));
        }
        let tally = self.tallies.entry(view).or_default();
        match &tally.proposal {
            Some(first) if first.vote.id == id => {
                let waits = self.waiting() || self.checking.is_some() || self.session.notarized;
                if waits || view != self.view {
                    return Err(Rejected::stale("SX-2", "proposal is known"));
                }
            }
            Some(first) => {
                let first = first.clone();
                self.report(cx, Misbehaviour::DoubleProposal, [&first, &candidate.signed]);
                return Err(Rejected::by_sender("SX-2", "second proposal in one view"));
            }
            None => tally.proposal = Some(candidate.signed.clone()),
        }
        if !matches!(self.stands(&candidate), Stands::Badly(_)) {
            self.keep_unchecked(cx, from, candidate.value.clone());
        }
        // What is proposed later does not push out what waits in this view: whoever proposes it brings what ends the view.
        if view == self.view || !self.waiting() {
            self.pending = Some(candidate);
        }
        self.look_again(cx);
        self.decide(cx);
        Ok(())
    }

    /// Whether a proposal of this view waits for something.
    fn waiting(&self) -> bool {
        self.pending.as_ref().is_some_and(|candidate| candidate.signed.vote.view == self.view)
    }

    /// Looks again at a proposal that waits for something.
    pub(super) fn look_again(&mut self, cx: &mut Cx<'_, V>) {
        let view = self.view;
        let Some(candidate) = self.pending.take_if(|c| c.signed.vote.view == view) else { return };
        if self.session.notarized || self.checking.is_some() {
            return;
        }
        let from = candidate.signed.from;
        match self.stands(&candidate) {
            Stands::Well => match self.accepted(&candidate.value.id()).cloned() {
                Some(value) => self.notarize(cx, value),
                None => {
                    let value = candidate.value.clone();
                    self.checking = Some(candidate);
                    cx.push(Effect::Check { slot: view, value });
                }
            },
            Stands::Lacking(missing) => {
                self.pending = Some(candidate);
                self.ask(cx, missing, Some(from));
            }
            Stands::Early => self.pending = Some(candidate),
            Stands::Badly(reason) => {
                cx.push(Effect::Rejected { from, why: Rejected::by_sender("SX-1", reason) });
                self.nullify_refused(cx);
            }
        }
    }

    /// Whether a proposal stands where it may (SX-1).
    fn stands(&self, candidate: &Candidate<V>) -> Stands {
        let (view, value) = (candidate.signed.vote.view, &candidate.value);
        let first = self.first_view(self.epoch_of_view(view));
        let begins = self.height_of_epoch(self.epoch_of_view(view)) == value.height();
        let (parent_id, since) = match &candidate.parent {
            None if begins && value.parent() == self.tree.id => (value.parent(), first),
            None if begins && value.height() > self.tree.height.saturating_add(1) => return Stands::Early,
            // A proof that a value is final may have been made in the view of a descendant, so it says nothing about
            // the views after the value's own.
            Some(c) if (first..view).contains(&c.vote.view) && c.vote.kind == Kind::Notarize => {
                (c.vote.id, c.vote.view.saturating_add(1))
            }
            _ => return Stands::Badly("parent is not notarized"),
        };
        let again = parent_id == value.id();
        if !again && value.parent() != parent_id {
            return Stands::Badly("value does not follow its parent");
        }
        if view.get() - since.get() > PASSED_OVER {
            return Stands::Badly("too many views passed over");
        }
        let mut between = (since.get()..view.get()).map(Slot::new);
        if let Some(open) = between.find(|between| !self.tree.is_nullified(*between)) {
            return Stands::Lacking(Missing::Certificate(open));
        }
        let height = match self.tree.height_of(&parent_id) {
            Ok(height) => height,
            Err(missing) => return Stands::Lacking(missing),
        };
        if again {
            // SX-11: the leader may have applied less than we have, so whether there was need is its own to know.
            return if height > self.tree.height { Stands::Well } else { Stands::Badly("proposed again when applied") };
        }
        if value.height() != height.saturating_add(1) {
            return Stands::Badly("value is not one above its parent");
        }
        if self.epoch_of(value.height()) != self.epoch_of_view(view) {
            return Stands::Badly("value of another epoch");
        }
        if self.may_follow(&parent_id, height, view, OTHERS_AHEAD) { Stands::Well } else { Stands::Early }
    }

    /// SX-2.
    pub(super) fn notarize(&mut self, cx: &mut Cx<'_, V>, value: V) {
        if self.session.notarized || self.session.nullified || !self.is_member() {
            return;
        }
        cx.trace("SX-2", self.view);
        self.session.notarized = true;
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        cx.fx.persist(SimplexRecord::Value { view: self.view, value: bytes.into() });
        self.say(cx, Vote { kind: Kind::Notarize, view: self.view, id: value.id() });
    }

    /// What is final stays final: an application that could not apply it gets it again a little later.
    pub(super) fn hand_out_again(&mut self, cx: &mut Cx<'_, V>) {
        self.decided = self.floor.height;
        if !self.timers.contains_key(&ASK_TIMER) {
            self.set_timer(cx, ASK_TIMER, cx.now.after(self.span(TimerKind::Round)));
        }
    }

    /// SX-6: hands out what is final, in order.
    pub(super) fn decide(&mut self, cx: &mut Cx<'_, V>) {
        let (decided, missing) = self.tree.decisions(self.decided);
        for (value, proof) in decided {
            let Some(view) = proposed_in(value.header()) else { return };
            self.decided = value.height();
            let later = proof.vote.view.get().saturating_sub(view.get());
            let cert = CommittedSeals { round: Round::new(later), seals: proof.seals };
            cx.push(Effect::Decide { slot: proof.vote.view, value, cert, after: self.written });
        }
        if let Some(missing) = missing {
            self.ask(cx, missing, None);
        }
        let first = self.first_view(self.epoch_of(self.decided.saturating_add(1)));
        if self.started && first > self.view {
            cx.fx.persist(SimplexRecord::Entered { view: first });
            self.enter(cx, first);
        }
    }
}

/// How a proposal stands.
enum Stands {
    Well,
    /// Something that it rests on is not here.
    Lacking(Missing),
    /// What it follows has to be applied first.
    Early,
    Badly(&'static str),
}
