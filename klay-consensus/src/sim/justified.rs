//! Justified Istanbul in the lab.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use core::time::Duration;

use alloy_primitives::{Address, B256, Bytes};
use klay_core::crypto::keccak256;

use super::{
    Byzantine, Enumeration, Faults, Lab, Orders, Report, Run, Seen, Stream, Twins, table,
    value::{LabValue, MockAuthors, Turns, carried, mock_sign},
    world,
};
use crate::{
    istanbul::{
        CommittedSeals, Klaytn,
        justified::{
            Justified, JustifiedCodec, JustifiedConfig, JustifiedMessage, Kind, SignedVote, Vote, check_evidence,
            seal_digest,
        },
        seal::Seal,
    },
    types::{
        Codec, Engine, Evidence, Height, Round, RoundHistory, Statement, Step, Timeouts, TimerKind, Value, View,
        quorum, timeouts::Linear,
    },
};

/// Justified Istanbul with one policy of timeouts.
#[derive(Debug, Clone)]
pub struct JustifiedLab {
    turns: Turns,
    timeouts: Arc<dyn Timeouts>,
}

impl JustifiedLab {
    /// `n` validators.
    pub fn new(n: usize) -> Self {
        Self { turns: Turns::new(n), timeouts: Arc::new(Linear::default()) }
    }

    fn signed(&self, node: usize, vote: Vote, seal: Bytes) -> SignedVote {
        let mut signed = SignedVote { vote, from: self.peer(node), signature: Bytes::new(), seal };
        signed.signature = Bytes::copy_from_slice(&mock_sign(signed.from, signed.signing_digest(B256::ZERO).0));
        signed
    }

    /// As many votes as there are different voters, but no more than a quorum, of the first nodes.
    fn first_voters(&self, votes: &[SignedVote], vote: impl Fn(usize) -> Vote) -> Vec<SignedVote> {
        let voters: BTreeSet<_> = votes.iter().map(|signed| signed.from).collect();
        let enough = quorum::live(u32::try_from(self.nodes()).unwrap_or(u32::MAX)) as usize;
        (0..voters.len().min(enough)).map(|node| self.signed(node, vote(node), Bytes::new())).collect()
    }

    fn other(
        &self,
        node: usize,
        message: &JustifiedMessage<LabValue>,
        random: &mut Stream,
    ) -> JustifiedMessage<LabValue> {
        let mut vote = message.signed.vote;
        let mut other = message.clone();
        let mut seal = Bytes::new();
        match vote.kind {
            Kind::Proposal => {
                if let Some(value) = &message.value {
                    let value = LabValue::new(value.height(), value.parent(), random.next_u64(), true);
                    vote.digest = value.id();
                    other.value = Some(value);
                }
            }
            Kind::Prepare => vote.digest = keccak256(random.next_u64().to_be_bytes()),
            Kind::Commit => {
                vote.digest = keccak256(random.next_u64().to_be_bytes());
                let digest = seal_digest(vote.digest, vote.view.round);
                seal = Bytes::copy_from_slice(&mock_sign(self.peer(node), digest.0));
            }
            Kind::RoundChange => {
                // A claim that nothing supports.
                vote.prepared = Some((Round::new(vote.view.round.get().saturating_sub(1)), B256::repeat_byte(9)));
            }
        }
        other.signed = self.signed(node, vote, seal);
        other
    }
}

impl Lab for JustifiedLab {
    type Model = Klaytn<LabValue>;
    type Engine = Justified<LabValue>;

    fn nodes(&self) -> usize {
        self.turns.validators.len()
    }

    fn peer(&self, node: usize) -> Address {
        self.turns.validators.get(node).copied().unwrap_or_default()
    }

    fn config(&self, node: usize) -> <Justified<LabValue> as Engine<Klaytn<LabValue>>>::Config {
        JustifiedConfig {
            timeouts: Arc::clone(&self.timeouts),
            authors: Arc::new(MockAuthors),
            ..JustifiedConfig::new(self.peer(node), Arc::new(self.turns.clone()), B256::ZERO)
        }
    }

    fn tuned(&self, faults: &Faults) -> Option<Self> {
        self.turns.tuned(faults).map(|turns| Self { turns, ..self.clone() })
    }

    fn planned(&self, leaders: &[usize]) -> Option<Self> {
        Some(Self { turns: self.turns.planned(leaders), ..self.clone() })
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
        mock_sign(self.peer(node), digest)
    }

    /// The quorum that decides is the quorum that an importing node wants.
    fn accepts(&self, value: &LabValue, cert: &CommittedSeals) -> bool {
        self.turns.accepts(value, cert, seal_digest(value.id(), cert.round), quorum::live)
    }

    fn round(&self, _value: &LabValue, _parent: Option<&LabValue>, cert: &CommittedSeals) -> u64 {
        cert.round.get()
    }

    fn claim(&self, msg: &JustifiedMessage<LabValue>) -> Option<(Address, Statement)> {
        Some((msg.signed.from, msg.signed.vote.statement(msg.signed.vote.digest)))
    }

    fn proposes(&self, msg: &JustifiedMessage<LabValue>) -> Option<B256> {
        (msg.signed.vote.kind == Kind::Proposal).then_some(msg.signed.vote.digest)
    }

    fn describe(&self, msg: &JustifiedMessage<LabValue>) -> (&'static str, usize) {
        let kind = match msg.signed.vote.kind {
            Kind::Proposal => "proposal",
            Kind::Prepare => "prepare",
            Kind::Commit => "commit",
            Kind::RoundChange => "round change",
        };
        let votes = 1 + msg.round_changes.len() + msg.prepares.len();
        (kind, votes * 150 + msg.value.as_ref().map_or(0, Value::size))
    }

    fn codec(&self) -> &dyn Codec<Klaytn<LabValue>, Msg = JustifiedMessage<LabValue>> {
        &JustifiedCodec
    }

    fn proves(&self, evidence: &Evidence<Address>) -> bool {
        let Some(evidence) = &carried(evidence) else { return false };
        check_evidence::<LabValue>(evidence, &self.turns.members(evidence.height), B256::ZERO, &MockAuthors).is_ok()
    }

    fn corrupt(
        &self,
        node: usize,
        how: Byzantine,
        to: usize,
        msg: &JustifiedMessage<LabValue>,
        random: &mut Stream,
    ) -> Vec<JustifiedMessage<LabValue>> {
        match how {
            Byzantine::Equivocate if to.is_multiple_of(2) => vec![self.other(node, msg, random)],
            Byzantine::DoubleVote => vec![msg.clone(), self.other(node, msg, random)],
            Byzantine::BadSeal if msg.signed.vote.kind == Kind::Commit => {
                vec![JustifiedMessage::plain(self.signed(node, msg.signed.vote, vec![7; 65].into()))]
            }
            Byzantine::FarAhead => {
                let view = View::new(msg.signed.vote.view.slot, Round::new(random.below(1 << 32)));
                let vote = Vote { kind: Kind::RoundChange, view, digest: B256::ZERO, prepared: None };
                vec![msg.clone(), JustifiedMessage::plain(self.signed(node, vote, Bytes::new()))]
            }
            // No vote covers the value beside it, so it needs no other signature.
            Byzantine::OddForms => {
                let mut odd = msg.clone();
                odd.value = odd.value.map(|value| value.in_any_form(random));
                if msg.signed.vote.kind == Kind::RoundChange {
                    odd.value.take_if(|_| random.below(2) == 0);
                }
                vec![odd]
            }
            _ => vec![msg.clone()],
        }
    }

    fn forge(&self, node: usize, claimed: usize, statement: &Statement) -> Option<JustifiedMessage<LabValue>> {
        let Statement { view, step, id } = *statement;
        let digest = B256::from(id.unwrap_or_default());
        let plain = |kind, view| Vote { kind, view, digest, prepared: None };
        let (vote, seal) = match step {
            Step::Proposal => return None,
            Step::Vote1 => (plain(Kind::Prepare, view), Bytes::new()),
            Step::Vote2 => {
                let seal = mock_sign(self.peer(node), seal_digest(digest, view.round).0);
                (plain(Kind::Commit, view), Bytes::copy_from_slice(&seal))
            }
            Step::Skip => (plain(Kind::RoundChange, View::new(view.slot, view.round.saturating_add(1))), Bytes::new()),
        };
        let mut signed = self.signed(node, vote, seal);
        signed.from = self.peer(claimed);
        Some(JustifiedMessage::plain(signed))
    }

    fn locks(&self) -> bool {
        true
    }

    /// The hostile proposers and one more each take one timeout, and one more passes until all meet.
    fn bound(&self, hostile: u32) -> Option<Duration> {
        let longest = self.timeouts.after(TimerKind::Round, Round::new(u64::MAX), &RoundHistory::default());
        Some(longest.saturating_mul(hostile + 2) + Duration::from_secs(2))
    }

    fn led(&self, value: &LabValue, _parent: Option<&LabValue>, cert: &CommittedSeals) -> Vec<Address> {
        self.turns.led(value.height(), 0..cert.round.get())
    }

    fn keeps_votes(&self) -> bool {
        true
    }

    fn forget(&self, engine: &mut Justified<LabValue>, _quiet: bool) {
        engine.forget(|message| self.plain(message));
    }

    /// Of the requests behind a proposal only the highest claim counts, of the prepares behind a claim only that they
    /// are a quorum.
    fn plain(&self, msg: &mut JustifiedMessage<LabValue>) {
        let view = msg.signed.vote.view;
        let mut claim = msg.signed.vote.prepared;
        if msg.signed.vote.kind == Kind::Proposal {
            let same = |signed: &SignedVote| {
                signed.vote.kind == Kind::RoundChange && signed.vote.view == view && signed.vote.digest == B256::ZERO
            };
            if !msg.round_changes.iter().all(same) {
                return;
            }
            claim = msg.round_changes.iter().filter_map(|signed| signed.vote.prepared).max();
            msg.round_changes = self.first_voters(&msg.round_changes, |place| Vote {
                kind: Kind::RoundChange,
                view,
                digest: B256::ZERO,
                prepared: claim.filter(|_| place == 0),
            });
        }
        let Some((round, digest)) = claim else { return };
        let vote = Vote { kind: Kind::Prepare, view: View::new(view.slot, round), digest, prepared: None };
        if msg.prepares.iter().all(|signed| signed.vote == vote) {
            msg.prepares = self.first_voters(&msg.prepares, |_| vote);
        }
    }

    fn run(self: &Arc<Self>, run: Run) -> Report {
        world::play(self, run)
    }

    fn survey(self: &Arc<Self>, run: Run, node: usize) -> Vec<u64> {
        world::survey(self, run, node)
    }

    fn orders(&self, wanted: Orders) -> Seen {
        table::orders(self, wanted)
    }

    fn enumerate_twins(&self, twins: Twins, leaders: &[usize]) -> Enumeration {
        table::enumerate_twins(self, twins, leaders)
    }

    fn sample_twins(&self, twins: Twins, seeds: Range<u64>) -> Enumeration {
        table::sample_twins(self, twins, seeds)
    }
}
