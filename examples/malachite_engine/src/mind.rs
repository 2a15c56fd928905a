//! The core's coroutine, and what is done with what it asks.

use std::{future::Future, pin::Pin};

use genawaiter::{GeneratorState, sync::Gen};
use klay_consensus::{
    istanbul::{CommittedSeals, WireValue, seal::Seal},
    types::{Class, Domain, Effect, Evidence, Misbehaviour, Record, SignRefused, Statement, Ticket, View},
};
use malachite::{
    ConsensusMsg, Effect as Ask, Input, LivenessMsg, MisbehaviorEvidence, Resumable, Resume, SignedConsensusMsg, State,
    VoteExtensionError,
};
use malachite_types::{
    CertificateError, CommitCertificate, NilOrVal, PolkaCertificate, RoundCertificate, RoundCertificateType,
    SignedMessage, ThresholdParam, ThresholdParams, VoteType,
};

use crate::{
    context::{Ballot, Chain, NO_SIGNATURE, Name, Offer, Who, ours},
    engine::{Cx, Malachite, Signed},
    wire::{Memo, Word},
};

/// What the core is fed with.
pub(crate) type Feed<V> = Input<Chain<V>>;

type Core<V> = Box<State<Chain<V>>>;
type Thought<V> = Pin<Box<dyn Future<Output = (Core<V>, bool)> + Send>>;
type Thinking<V> = Gen<Ask<Chain<V>>, Resume<Chain<V>>, Thought<V>>;

/// Where the core is.
pub(crate) enum Mind<V: WireValue> {
    /// The height has not begun.
    Away,
    /// Waiting for something to happen.
    Idle(Core<V>),
    /// Waiting for a signature, inside of a coroutine that owns it.
    Signing(Thinking<V>, Ticket, Unsigned),
}

/// What is to be signed.
#[derive(Debug)]
pub(crate) enum Unsigned {
    Ballot(Ballot),
    Offer(Offer),
}

enum Answer<V: WireValue> {
    Now(Resume<Chain<V>>),
    Later(Ticket, Unsigned),
}

/// Has the core handle one input. The coroutine takes it along and gives it back at the end.
fn think<V: WireValue>(mut core: Core<V>, input: Feed<V>) -> Thinking<V> {
    Gen::new(move |co| -> Thought<V> {
        Box::pin(async move {
            let fine = malachite::handle(co, &mut core, &(), input).await.is_ok();
            (core, fine)
        })
    })
}

impl<V: WireValue> Malachite<V> {
    /// Has the core handle everything that waits for it, as far as it comes without an answer from outside.
    pub(crate) fn drive(&mut self, cx: &mut Cx<'_, V>) {
        loop {
            match core::mem::replace(&mut self.mind, Mind::Away) {
                Mind::Idle(mut core) => match self.queue.pop_front() {
                    Some(input) => self.resume(cx, think(core, input), Resume::Start),
                    None => {
                        let replayed = core::mem::take(&mut self.replaying);
                        if replayed {
                            core.reset_entries_index();
                            self.logged.clear();
                        }
                        let round = core.round();
                        let wanted = self.wanted.take().filter(|r| *r == round && core.driver.step_is_propose());
                        self.look(&core);
                        self.mind = Mind::Idle(core);
                        if let Some(round) = wanted {
                            self.find_value(cx, round);
                        }
                        self.look_again(cx);
                        if self.queue.is_empty() {
                            return;
                        }
                    }
                },
                other => {
                    self.mind = other;
                    return;
                }
            }
        }
    }

    pub(crate) fn signed(&mut self, cx: &mut Cx<'_, V>, ticket: Ticket, result: Result<Seal, SignRefused>) {
        match core::mem::replace(&mut self.mind, Mind::Away) {
            Mind::Signing(thinking, asked, unsigned) if asked == ticket => {
                // Refused: nobody's signature, which the core's own check does not let through.
                let signature = result.unwrap_or(NO_SIGNATURE);
                let answer = match unsigned {
                    Unsigned::Ballot(ballot) => Resume::SignedVote(SignedMessage::new(ballot, signature)),
                    Unsigned::Offer(offer) => Resume::SignedProposal(SignedMessage::new(offer, signature)),
                };
                self.resume(cx, thinking, answer);
            }
            other => self.mind = other,
        }
    }

    fn resume(&mut self, cx: &mut Cx<'_, V>, mut thinking: Thinking<V>, mut answer: Resume<Chain<V>>) {
        loop {
            match thinking.resume_with(answer) {
                GeneratorState::Yielded(ask) => match self.answer(cx, ask) {
                    Answer::Now(now) => answer = now,
                    Answer::Later(ticket, unsigned) => {
                        self.mind = Mind::Signing(thinking, ticket, unsigned);
                        return;
                    }
                },
                GeneratorState::Complete((core, fine)) => {
                    if !fine {
                        cx.fx.trace("MA-9");
                    }
                    self.look(&core);
                    self.mind = Mind::Idle(core);
                    return;
                }
            }
        }
    }

    fn answer(&mut self, cx: &mut Cx<'_, V>, ask: Ask<Chain<V>>) -> Answer<V> {
        Answer::Now(match ask {
            Ask::CancelAllTimeouts(r) => {
                self.unschedule(cx, |_| true);
                r.resume_with(())
            }
            Ask::CancelTimeout(which, r) => {
                self.unschedule(cx, |timeout| timeout == which);
                r.resume_with(())
            }
            Ask::ScheduleTimeout(timeout, r) => {
                self.schedule(cx, timeout);
                r.resume_with(())
            }
            Ask::GetValue(_, round, _, r) => {
                self.wanted = Some(round);
                r.resume_with(())
            }
            Ask::PublishConsensusMsg(SignedConsensusMsg::Vote(ballot), r)
            | Ask::PublishLivenessMsg(LivenessMsg::Vote(ballot), r)
            | Ask::RepublishVote(ballot, r) => {
                self.publish(cx, ballot.from, ballot.signature, Word::Ballot(ballot), Class::Vote);
                r.resume_with(())
            }
            Ask::PublishConsensusMsg(SignedConsensusMsg::Proposal(offer), r) => {
                if let Some(known) = self.values.get(&offer.value.0) {
                    let word = Word::Offer(offer.clone(), known.value.clone());
                    self.publish(cx, offer.from, offer.signature, word, Class::Proposal);
                }
                r.resume_with(())
            }
            Ask::PublishLivenessMsg(LivenessMsg::PolkaCertificate(polka), r) => {
                self.spread(cx, Word::Polka(polka));
                r.resume_with(())
            }
            Ask::PublishLivenessMsg(LivenessMsg::SkipRoundCertificate(rounds), r)
            | Ask::RepublishRoundCertificate(rounds, r) => {
                self.spread(cx, Word::Rounds(rounds));
                r.resume_with(())
            }
            Ask::Decide(certificate, _, r) => {
                self.decided(cx, &certificate);
                r.resume_with(())
            }
            Ask::Finalize(_, _, evidence, r) => {
                self.report(cx, evidence);
                r.resume_with(())
            }
            Ask::WalAppend(_, input, r) => {
                self.append(cx, input);
                r.resume_with(())
            }
            Ask::SignVote(ballot, _) => {
                let (statement, digest) = (ballot.statement(), ballot.digest(self.config.domain));
                let ticket = cx.fx.sign(statement, Domain::Message, digest.0);
                return Answer::Later(ticket, Unsigned::Ballot(ballot));
            }
            Ask::SignProposal(offer, _) => {
                let (statement, digest) = (offer.statement(), offer.digest(self.config.domain));
                let ticket = cx.fx.sign(statement, Domain::Message, digest.0);
                return Answer::Later(ticket, Unsigned::Offer(offer));
            }
            Ask::VerifySignature(signed, who, r) => {
                let digest = match &signed.message {
                    ConsensusMsg::Vote(ballot) => ballot.digest(self.config.domain),
                    ConsensusMsg::Proposal(offer) => offer.digest(self.config.domain),
                };
                r.resume_with(self.is_signed(digest, &signed.signature, who))
            }
            // Made by the core itself of votes that were checked one by one; checked once more before it is used.
            Ask::VerifyCommitCertificate(_, _, _, r) => r.resume_with(Ok(())),
            Ask::VerifyPolkaCertificate(polka, _, threshold, r) => r.resume_with(self.check_polka(&polka, threshold)),
            Ask::VerifyRoundCertificate(rounds, _, threshold, r) => {
                r.resume_with(self.check_rounds(&rounds, threshold))
            }
            // The value goes out with the proposal that follows.
            Ask::StartRound(_, _, _, _, r) | Ask::RestreamProposal(_, _, _, _, _, r) => r.resume_with(()),
            // Values that were decided elsewhere come through the host, not through the core; votes have no extensions.
            Ask::CertVerifiedSyncValue(_, _, r) | Ask::CertRejectedSyncValue(_, _, _, r) => r.resume_with(()),
            Ask::VerifyExtendedCommitCertificate(_, _, _, _, r) => {
                r.resume_with(Err(CertificateError::VerificationError(None)))
            }
            Ask::ExtendVote(_, _, _, _, r) => r.resume_with(None),
            Ask::VerifyVoteExtension(_, _, _, _, _, _, r) => {
                r.resume_with(Err(VoteExtensionError::InvalidVoteExtension))
            }
        })
    }

    fn others(&self) -> Vec<alloy_primitives::Address> {
        let me = self.config.me;
        self.members.addresses().filter(|who| *who != me).collect()
    }

    /// Sends what we have signed, and passes on what others have.
    fn publish(&self, cx: &mut Cx<'_, V>, from: Who, signature: Seal, msg: Word<V>, class: Class) {
        let to = self.others();
        if signature == NO_SIGNATURE || to.is_empty() {
            return;
        }
        cx.fx.push(if from.0 == self.config.me {
            Effect::Broadcast { to, msg, class, after: self.last }
        } else {
            Effect::Relay { to, msg, class }
        });
    }

    fn spread(&self, cx: &mut Cx<'_, V>, msg: Word<V>) {
        let to = self.others();
        if !to.is_empty() {
            cx.fx.push(Effect::Broadcast { to, msg, class: Class::Sync, after: self.last });
        }
    }

    fn append(&mut self, cx: &mut Cx<'_, V>, input: Feed<V>) {
        let memo = match input {
            Feed::Vote(ballot) => Memo::Ballot(ballot),
            Feed::Proposal(offer) => Memo::Offer(offer),
            Feed::PolkaCertificate(polka) => Memo::Polka(polka),
            Feed::TimeoutElapsed(timeout) => Memo::Timeout(self.height(), timeout),
            Feed::ProposedValue(proposed, _) => {
                let Some(known) = self.values.get(&proposed.value.0) else { return };
                let (round, from, valid) = (proposed.round, proposed.proposer, proposed.validity.is_valid());
                Memo::Value { round, from, valid, value: known.value.clone() }
            }
            Feed::StartHeight(..) | Feed::RoundCertificate(_) | Feed::Propose(_) | Feed::SyncValueResponse(_) => return,
        };
        if self.replaying {
            let mut bytes = Vec::new();
            memo.encode(&mut bytes);
            if self.logged.contains(&bytes) {
                return;
            }
        }
        self.last = Some(cx.fx.persist(memo));
    }

    fn decided(&mut self, cx: &mut Cx<'_, V>, certificate: &CommitCertificate<Chain<V>>) {
        let signers = certificate.commit_signatures.iter().map(|by| {
            let value = NilOrVal::Val(certificate.value_id);
            self.ballot(certificate.height, certificate.round, VoteType::Precommit, value, by.address, by.signature)
        });
        let proven = self.count(signers, ThresholdParams::default().quorum).is_ok();
        let Some(known) = self.values.get(&certificate.value_id.0).filter(|_| proven) else {
            return cx.fx.trace("MA-8");
        };
        let seals = certificate.commit_signatures.iter().map(|by| by.signature).collect();
        self.decided = Some((known.value.clone(), CommittedSeals { round: ours(certificate.round), seals }));
        self.decide(cx);
    }

    const fn ballot(
        &self,
        height: crate::At,
        round: malachite_types::Round,
        kind: VoteType,
        value: NilOrVal<Name>,
        from: Who,
        signature: Seal,
    ) -> Signed<V, Ballot> {
        SignedMessage { message: Ballot { height, round, kind, value, from }, signature }
    }

    fn check_polka(
        &self,
        polka: &PolkaCertificate<Chain<V>>,
        threshold: ThresholdParams,
    ) -> Result<(), CertificateError<Chain<V>>> {
        let ballots = polka.polka_signatures.iter().map(|by| {
            let value = NilOrVal::Val(polka.value_id);
            self.ballot(polka.height, polka.round, VoteType::Prevote, value, by.address, by.signature)
        });
        self.count(ballots, threshold.quorum)
    }

    fn check_rounds(
        &self,
        rounds: &RoundCertificate<Chain<V>>,
        threshold: ThresholdParams,
    ) -> Result<(), CertificateError<Chain<V>>> {
        let (needed, any) = match rounds.cert_type {
            RoundCertificateType::Precommit => (threshold.quorum, false),
            RoundCertificateType::Skip => (threshold.honest, true),
        };
        if let Some(by) = rounds.round_signatures.iter().find(|by| !any && by.vote_type == VoteType::Prevote) {
            return Err(CertificateError::InvalidVoteType(by.address));
        }
        let ballots = rounds
            .round_signatures
            .iter()
            .map(|by| self.ballot(rounds.height, rounds.round, by.vote_type, by.value_id, by.address, by.signature));
        self.count(ballots, needed)
    }

    /// Whether these are signed votes of distinct members, and enough of them.
    fn count(
        &self,
        ballots: impl Iterator<Item = Signed<V, Ballot>>,
        needed: ThresholdParam,
    ) -> Result<(), CertificateError<Chain<V>>> {
        let mut signers = Vec::new();
        for ballot in ballots {
            let from = ballot.from;
            if signers.contains(&from) {
                return Err(CertificateError::DuplicateVote(from));
            }
            if !self.members.contains(from) {
                return Err(CertificateError::UnknownValidator(from));
            }
            if !self.is_signed(ballot.digest(self.config.domain), &ballot.signature, from) {
                return Err(CertificateError::VerificationError(None));
            }
            signers.push(from);
        }
        let (signed, total) = (signers.len() as u64, self.members.len());
        if needed.is_met(signed, total) {
            return Ok(());
        }
        Err(CertificateError::NotEnoughVotingPower { signed, total, expected: needed.min_expected(total) })
    }

    fn report(&self, cx: &mut Cx<'_, V>, evidence: MisbehaviorEvidence<Chain<V>>) {
        let votes = evidence.votes.into_iter().flat_map(|(who, pairs)| pairs.into_iter().map(move |pair| (who, pair)));
        for (who, (a, b)) in votes {
            let statement = a.statement();
            self.blame(cx, Misbehaviour::DoubleVote, who, statement, [Memo::Ballot(a), Memo::Ballot(b)]);
        }
        let offers =
            evidence.proposals.into_iter().flat_map(|(who, pairs)| pairs.into_iter().map(move |pair| (who, pair)));
        for (who, (a, b)) in offers {
            let statement = a.statement();
            self.blame(cx, Misbehaviour::DoubleProposal, who, statement, [Memo::Offer(a), Memo::Offer(b)]);
        }
    }

    fn blame(&self, cx: &mut Cx<'_, V>, kind: Misbehaviour, who: Who, said: Statement, proof: [Memo<V>; 2]) {
        let encode = |memo: Memo<V>| {
            let mut bytes = Vec::new();
            memo.encode(&mut bytes);
            bytes
        };
        let (view, height): (View, _) = (said.view, self.floor.next_height());
        let proof = proof.map(encode).into();
        cx.fx.push(Effect::Evidence(Evidence { kind, offender: who.0, height, view, proof }));
    }
}
