//! The engine in the lab.

use std::sync::Arc;

use core::time::Duration;

use alloy_primitives::{Address, B256};
use klay_consensus::{
    istanbul::{
        CommittedSeals, Klaytn,
        seal::{Authors as _, Seal},
    },
    sim::{
        Byzantine, Faults, Lab, Stream,
        value::{LabValue, MockAuthors, Turns, carried, mock_sign},
    },
    types::{
        Codec, Evidence, Height, Misbehaviour, Record as _, RecordKind, RoundHistory, Statement, Step, Timeouts as _,
        TimerKind, Value as _, View,
    },
};
use klay_core::crypto::keccak256;
use malachite_types::{NilOrVal, Round, SignedMessage, VoteType};

use crate::{
    context::{At, Ballot, Name, Offer, Who},
    engine::{Malachite, MalachiteConfig, Tempo},
    wire::{Memo, Word, WordCodec},
};

/// The engine in the lab.
#[derive(Debug, Clone)]
pub struct MalachiteLab {
    turns: Turns,
    nodes: usize,
    tempo: Tempo,
}

impl MalachiteLab {
    /// `n` validators.
    pub fn new(n: usize) -> Self {
        Self { turns: Turns::new(n), nodes: n, tempo: Tempo::default() }
    }

    fn member(&self, node: usize) -> Address {
        self.turns.members(Height::new(1)).get(node).copied().unwrap_or_default()
    }

    fn sealed(&self, node: usize, ballot: Ballot) -> Word<LabValue> {
        let signature = mock_sign(self.member(node), ballot.digest(B256::ZERO).0);
        Word::Ballot(SignedMessage::new(ballot, signature))
    }

    /// Another message of the same kind that contradicts it.
    fn other(&self, node: usize, word: &Word<LabValue>, random: &mut Stream) -> Word<LabValue> {
        match word {
            Word::Ballot(ballot) => {
                let value = NilOrVal::Val(Name(keccak256(random.next_u64().to_be_bytes())));
                self.sealed(node, Ballot { value, from: Who(self.member(node)), ..ballot.message.clone() })
            }
            Word::Offer(offer, value) => {
                let value = LabValue::new(value.height(), value.parent(), random.next_u64(), true);
                let offer = Offer { value: Name(value.id()), from: Who(self.member(node)), ..offer.message.clone() };
                let signature = mock_sign(self.member(node), offer.digest(B256::ZERO).0);
                Word::Offer(SignedMessage::new(offer, signature), value)
            }
            other => other.clone(),
        }
    }
}

fn theirs(round: u64) -> Round {
    Round::new(u32::try_from(round).unwrap_or(u32::MAX - 1))
}

impl Lab for MalachiteLab {
    type Model = Klaytn<LabValue>;
    type Engine = Malachite<LabValue>;

    fn nodes(&self) -> usize {
        self.nodes
    }

    fn peer(&self, node: usize) -> Address {
        self.member(node)
    }

    fn config(&self, node: usize) -> MalachiteConfig<LabValue> {
        MalachiteConfig {
            authors: Arc::new(MockAuthors),
            timeouts: Arc::new(self.tempo),
            ..MalachiteConfig::new(self.member(node), Arc::new(self.turns.clone()), B256::ZERO)
        }
    }

    fn tuned(&self, faults: &Faults) -> Option<Self> {
        self.turns.tuned(faults).map(|turns| Self { turns, ..self.clone() })
    }

    fn genesis(&self) -> B256 {
        B256::ZERO
    }

    fn value(&self, _node: usize, height: Height, parent: B256, salt: u64, valid: bool) -> LabValue {
        LabValue::new(height, parent, salt, valid)
    }

    fn is_valid(&self, value: &LabValue) -> bool {
        value.is_valid()
    }

    fn sign(&self, node: usize, digest: [u8; 32]) -> Seal {
        mock_sign(self.member(node), digest)
    }

    /// Precommits of more than two thirds, and nothing else.
    fn accepts(&self, value: &LabValue, cert: &CommittedSeals) -> bool {
        let members = self.turns.members(value.height());
        let ballot = Ballot {
            height: At(value.height().get()),
            round: theirs(cert.round.get()),
            kind: VoteType::Precommit,
            value: NilOrVal::Val(Name(value.id())),
            from: Who(Address::ZERO),
        };
        let digest = ballot.digest(B256::ZERO);
        let mut signers: Vec<_> = cert.seals.iter().filter_map(|seal| MockAuthors.author(digest, seal)).collect();
        signers.sort_unstable();
        signers.dedup();
        let all = signers.len() == cert.seals.len() && signers.iter().all(|who| members.contains(who));
        all && 3 * signers.len() > 2 * members.len()
    }

    fn round(&self, _value: &LabValue, _parent: Option<&LabValue>, cert: &CommittedSeals) -> u64 {
        cert.round.get()
    }

    fn claim(&self, word: &Word<LabValue>) -> Option<(Address, Statement)> {
        match word {
            Word::Ballot(ballot) => Some((ballot.from.0, ballot.statement())),
            Word::Offer(offer, _) => Some((offer.from.0, offer.statement())),
            Word::Polka(_) | Word::Rounds(_) => None,
        }
    }

    fn proposes(&self, word: &Word<LabValue>) -> Option<B256> {
        match word {
            Word::Offer(_, value) => Some(value.id()),
            _ => None,
        }
    }

    fn describe(&self, word: &Word<LabValue>) -> (&'static str, usize) {
        match word {
            Word::Ballot(ballot) if ballot.kind == VoteType::Prevote => ("prevote", 140),
            Word::Ballot(_) => ("precommit", 140),
            Word::Offer(_, value) => ("proposal", 140 + value.size()),
            Word::Polka(polka) => ("polka", 50 + 90 * polka.polka_signatures.len()),
            Word::Rounds(rounds) => ("round certificate", 20 + 125 * rounds.round_signatures.len()),
        }
    }

    fn codec(&self) -> &dyn Codec<Klaytn<LabValue>, Msg = Word<LabValue>> {
        &WordCodec
    }

    fn proves(&self, evidence: &Evidence<Address>) -> bool {
        let Some(evidence) = carried(evidence) else { return false };
        let kind = match evidence.kind {
            Misbehaviour::DoubleVote => RecordKind::Certificate,
            _ => RecordKind::Proposal,
        };
        let read = |bytes: &Vec<u8>| match Memo::<LabValue>::decode(kind, bytes).ok()? {
            Memo::Ballot(b) => Some((b.from, b.statement().view, b.digest(B256::ZERO), b.signature)),
            Memo::Offer(o) => Some((o.from, o.statement().view, o.digest(B256::ZERO), o.signature)),
            _ => None,
        };
        let proof: Option<Vec<_>> = evidence.proof.iter().map(read).collect();
        let Some([a, b]) = proof.as_deref() else { return false };
        let signed =
            |(who, _, digest, seal): &(Who, View, B256, Seal)| MockAuthors.author(*digest, seal) == Some(who.0);
        a.0.0 == evidence.offender && a.0 == b.0 && a.1 == b.1 && a.2 != b.2 && signed(a) && signed(b)
    }

    fn corrupt(
        &self,
        node: usize,
        how: Byzantine,
        to: usize,
        word: &Word<LabValue>,
        random: &mut Stream,
    ) -> Vec<Word<LabValue>> {
        match (how, word) {
            (Byzantine::Equivocate, _) if to.is_multiple_of(2) => vec![self.other(node, word, random)],
            (Byzantine::DoubleVote, _) => vec![word.clone(), self.other(node, word, random)],
            (Byzantine::BadSeal, Word::Ballot(ballot)) => {
                vec![Word::Ballot(SignedMessage::new(ballot.message.clone(), [7; 65]))]
            }
            (Byzantine::FarAhead, Word::Ballot(ballot)) => {
                let round = theirs(random.below(1 << 32));
                vec![word.clone(), self.sealed(node, Ballot { round, ..ballot.message.clone() })]
            }
            _ => vec![word.clone()],
        }
    }

    fn forge(&self, node: usize, claimed: usize, statement: &Statement) -> Option<Word<LabValue>> {
        let kind = match statement.step {
            Step::Vote1 => VoteType::Prevote,
            Step::Vote2 => VoteType::Precommit,
            Step::Proposal | Step::Skip => return None,
        };
        let ballot = Ballot {
            height: At(statement.view.slot.get()),
            round: theirs(statement.view.round.get()),
            kind,
            value: statement.id.map_or(NilOrVal::Nil, |id| NilOrVal::Val(Name(id.into()))),
            from: Who(self.member(claimed)),
        };
        let signature = mock_sign(self.member(node), ballot.digest(B256::ZERO).0);
        Some(Word::Ballot(SignedMessage::new(ballot, signature)))
    }

    fn locks(&self) -> bool {
        true
    }

    /// The hostile proposers and one more take a round each, and two more pass until all meet.
    fn bound(&self, hostile: u32) -> Option<Duration> {
        let longest = |kind| {
            let late = klay_consensus::types::Round::new(u64::MAX);
            self.tempo.after(kind, late, &RoundHistory::default())
        };
        let round = longest(TimerKind::Proposal) + 2 * longest(TimerKind::Round);
        Some(round.saturating_mul(hostile + 3) + Duration::from_secs(2))
    }
}
