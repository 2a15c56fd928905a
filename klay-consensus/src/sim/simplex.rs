//! Simplex in the lab.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use core::time::Duration;

use alloy_primitives::{Address, B256};
use klay_core::crypto::keccak256;

use super::{
    Byzantine, Enumeration, Faults, Lab, Orders, Report, Run, Seen, Stream, Twins, table,
    value::{LabValue, MockAuthors, Turns, carried, mock_sign},
    world,
};
use crate::{
    gate::GateRules,
    istanbul::{
        CommittedSeals, HeaderValue as _, Klaytn,
        seal::{Authors as _, Seal},
    },
    simplex::{
        ASK_TIMER, Certificate, Delta, Kind, REPEAT_TIMER, SignedVote, Simplex, SimplexCodec, SimplexConfig,
        SimplexMessage, Vote, check_evidence, final_digest, proposed_in,
    },
    types::{Codec, Engine, Evidence, Height, Slot, Statement, Step, Timeouts, TimerId, Value, View, quorum},
};

/// Simplex with one policy of timeouts.
#[derive(Debug, Clone)]
pub struct SimplexLab {
    turns: Turns,
    delta: Delta,
    timeouts: Arc<dyn Timeouts>,
    pipelined: bool,
    period: Duration,
}

impl SimplexLab {
    /// `n` validators.
    pub fn new(n: usize) -> Self {
        let delta = Delta { base: Duration::from_millis(400), cap: Duration::from_secs(2) };
        Self { turns: Turns::new(n), delta, timeouts: Arc::new(delta), pipelined: true, period: Duration::ZERO }
    }

    /// The same with values built on applied ones only.
    #[must_use]
    pub const fn in_sequence(mut self) -> Self {
        self.pipelined = false;
        self
    }

    /// The same with other spans; the promised bound stays.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Arc<dyn Timeouts>) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// As many seals as there are different ones, but no more than a quorum, of the first nodes.
    fn one_form(&self, certificate: &mut Certificate) {
        let digest = certificate.vote.digest(B256::ZERO);
        let signers: BTreeSet<_> = certificate.seals.iter().map(|seal| MockAuthors.author(digest, seal)).collect();
        if signers.contains(&None) {
            return;
        }
        let enough = quorum::live(u32::try_from(self.nodes()).unwrap_or(u32::MAX)) as usize;
        let nodes = 0..signers.len().min(enough);
        certificate.seals = nodes.map(|node| mock_sign(self.peer(node), digest.0)).collect();
    }

    fn vote(&self, node: usize, claimed: usize, kind: Kind, view: Slot, id: B256) -> SignedVote {
        let vote = Vote { kind, view, id };
        let signature = mock_sign(self.peer(node), vote.digest(B256::ZERO).0);
        SignedVote { vote, from: self.peer(claimed), signature, ancestors: Vec::new() }
    }

    fn other(&self, node: usize, msg: &SimplexMessage<LabValue>, random: &mut Stream) -> SimplexMessage<LabValue> {
        let id = keccak256(random.next_u64().to_be_bytes());
        match msg {
            SimplexMessage::Proposal { signed, value, parent, nullified } => {
                let mut extra = value.header().extra.to_vec();
                let other = LabValue::new(value.height(), value.parent(), random.next_u64(), true);
                extra.truncate(other.header().extra.len().max(32));
                let value = other.with_extra(extra.into());
                let signed = self.vote(node, node, Kind::Proposal, signed.vote.view, value.id());
                SimplexMessage::Proposal { signed, value, parent: parent.clone(), nullified: nullified.clone() }
            }
            SimplexMessage::Vote(signed) => {
                let kind = match signed.vote.kind {
                    Kind::Nullify => {
                        return SimplexMessage::Vote(self.vote(node, node, Kind::Finalize, signed.vote.view, id));
                    }
                    kind => kind,
                };
                SimplexMessage::Vote(self.vote(node, node, kind, signed.vote.view, id))
            }
            other => other.clone(),
        }
    }
}

impl Lab for SimplexLab {
    type Model = Klaytn<LabValue>;
    type Engine = Simplex<LabValue>;

    fn nodes(&self) -> usize {
        self.turns.validators.len()
    }

    fn peer(&self, node: usize) -> Address {
        self.turns.validators.get(node).copied().unwrap_or_default()
    }

    fn config(&self, node: usize) -> <Simplex<LabValue> as Engine<Klaytn<LabValue>>>::Config {
        SimplexConfig {
            timeouts: Arc::clone(&self.timeouts),
            authors: Arc::new(MockAuthors),
            epoch: self.turns.epoch(),
            pipelined: self.pipelined,
            period: self.period,
            ..SimplexConfig::new(self.peer(node), Arc::new(self.turns.clone()), B256::ZERO)
        }
    }

    /// While there are faults, blocks come twice a second: a run at full pace would have too many.
    fn tuned(&self, faults: &Faults) -> Option<Self> {
        let period = if faults.settles_at.is_zero() { Duration::ZERO } else { Duration::from_millis(500) };
        let turns = self.turns.tuned(faults);
        (turns.is_some() || period != self.period).then(|| Self {
            turns: turns.unwrap_or_else(|| self.turns.clone()),
            period,
            ..self.clone()
        })
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

    /// Written apart from the engine's own check.
    fn accepts(&self, value: &LabValue, cert: &CommittedSeals) -> bool {
        proposed_in(value.header()).is_some_and(|view| {
            let digest = final_digest(value.id(), view.saturating_add(cert.round.get()));
            self.turns.accepts(value, cert, digest, quorum::live)
        })
    }

    /// Views passed over since the value before, and until the decision.
    fn round(&self, value: &LabValue, parent: Option<&LabValue>, cert: &CommittedSeals) -> u64 {
        let view = |value: &LabValue| proposed_in(value.header()).unwrap_or_default().get();
        let before = parent.map_or(view(value) & !0xffff_ffff, view);
        let passed = view(value).saturating_sub(before).saturating_sub(1);
        // The first view of an epoch lies far above the last one of the epoch before.
        if passed > 1 << 31 { cert.round.get() } else { passed + cert.round.get() }
    }

    fn claim(&self, msg: &SimplexMessage<LabValue>) -> Option<(Address, Statement)> {
        msg.vote().map(|signed| (signed.from, signed.vote.statement(signed.vote.id)))
    }

    fn proposes(&self, msg: &SimplexMessage<LabValue>) -> Option<B256> {
        match msg {
            SimplexMessage::Proposal { value, .. } => Some(value.id()),
            _ => None,
        }
    }

    fn describe(&self, msg: &SimplexMessage<LabValue>) -> (&'static str, usize) {
        let certificate = |seals: usize| 50 + seals * 67;
        match msg {
            SimplexMessage::Proposal { value, parent, nullified, .. } => {
                let certificates = parent.iter().chain(nullified).map(|c| certificate(c.seals.len()));
                ("proposal", 150 + value.size() + certificates.sum::<usize>())
            }
            SimplexMessage::Vote(signed) => {
                let kind = match signed.vote.kind {
                    Kind::Proposal | Kind::Notarize => "notarize",
                    Kind::Nullify => "nullify",
                    Kind::Finalize => "finalize",
                };
                (kind, 135 + signed.ancestors.len() * 102)
            }
            SimplexMessage::Certificates(list) => {
                ("certificates", list.iter().map(|c| certificate(c.seals.len())).sum())
            }
            SimplexMessage::Ask { values, .. } => ("ask", 15 + values.len() * 33),
            SimplexMessage::Value(value) => ("value", value.size()),
        }
    }

    fn codec(&self) -> &dyn Codec<Klaytn<LabValue>, Msg = SimplexMessage<LabValue>> {
        &SimplexCodec
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
        msg: &SimplexMessage<LabValue>,
        random: &mut Stream,
    ) -> Vec<SimplexMessage<LabValue>> {
        match (how, msg) {
            (Byzantine::Equivocate, _) if to.is_multiple_of(2) => vec![self.other(node, msg, random)],
            (Byzantine::DoubleVote, _) => vec![msg.clone(), self.other(node, msg, random)],
            (Byzantine::BadSeal, SimplexMessage::Vote(signed)) if signed.vote.kind == Kind::Finalize => {
                vec![SimplexMessage::Vote(SignedVote { signature: [7; 65], ..signed.clone() })]
            }
            (Byzantine::FarAhead, _) => {
                let vote = self.vote(node, node, Kind::Nullify, Slot::new(random.below(1 << 32)), B256::ZERO);
                vec![msg.clone(), SimplexMessage::Vote(vote)]
            }
            (Byzantine::OddForms, SimplexMessage::Value(value)) => {
                vec![SimplexMessage::Value(value.clone().in_any_form(random))]
            }
            (Byzantine::OddForms, SimplexMessage::Proposal { signed, value, parent, nullified }) => {
                let (signed, value) = (signed.clone(), value.clone().in_any_form(random));
                vec![SimplexMessage::Proposal { signed, value, parent: parent.clone(), nullified: nullified.clone() }]
            }
            _ => vec![msg.clone()],
        }
    }

    fn forge(&self, node: usize, claimed: usize, statement: &Statement) -> Option<SimplexMessage<LabValue>> {
        let View { slot, round } = statement.view;
        let view = slot.saturating_add(round.get());
        let id = B256::from(statement.id.unwrap_or_default());
        let kind = match statement.step {
            Step::Proposal => return None,
            Step::Vote1 => Kind::Notarize,
            Step::Vote2 => Kind::Finalize,
            Step::Skip => Kind::Nullify,
        };
        Some(SimplexMessage::Vote(self.vote(node, claimed, kind, view, id)))
    }

    fn gate(&self) -> GateRules {
        GateRules { exclusive_skip: true }
    }

    fn pipelined(&self) -> bool {
        self.pipelined
    }

    fn period(&self) -> Duration {
        self.period
    }

    /// The hostile leaders in a row fail, each costs 3Δ and one to meet; then three delays. What was lost before is
    /// repeated within 2Δ, and that may take two turns.
    fn bound(&self, hostile: u32) -> Option<Duration> {
        Some(self.delta.cap.saturating_mul(4 * (hostile + 1) + 3 + 4))
    }

    /// Views of the value's own epoch.
    fn led(&self, value: &LabValue, parent: Option<&LabValue>, cert: &CommittedSeals) -> Vec<Address> {
        let view = |value: &LabValue| proposed_in(value.header()).unwrap_or_default().get();
        let number = |view: u64| view & 0xffff_ffff;
        let epoch = (view(value) >> 32).saturating_mul(self.turns.epoch());
        let before = parent.map(view).filter(|before| before >> 32 == view(value) >> 32).map_or(0, number);
        // A view's leader is that of the round before its number.
        self.turns
            .led(Height::new(epoch.saturating_add(1)), before..number(view(value)).saturating_add(cert.round.get()))
    }

    /// SX-9.
    fn repeats(&self, timer: TimerId) -> bool {
        timer == REPEAT_TIMER
    }

    fn is_anonymous(&self, msg: &SimplexMessage<LabValue>) -> bool {
        matches!(msg, SimplexMessage::Certificates(_) | SimplexMessage::Value(_))
    }

    /// SX-8.
    fn fetches(&self) -> bool {
        true
    }

    fn forget(&self, engine: &mut Simplex<LabValue>, quiet: bool) {
        engine.forget(quiet, |certificate| self.one_form(certificate));
    }

    fn plain(&self, msg: &mut SimplexMessage<LabValue>) {
        match msg {
            SimplexMessage::Proposal { parent, nullified, .. } => {
                parent.iter_mut().chain(nullified).for_each(|certificate| self.one_form(certificate));
            }
            SimplexMessage::Certificates(list) => list.iter_mut().for_each(|certificate| self.one_form(certificate)),
            SimplexMessage::Vote(_) | SimplexMessage::Ask { .. } | SimplexMessage::Value(_) => {}
        }
    }

    fn asks(&self) -> Option<TimerId> {
        Some(ASK_TIMER)
    }

    fn forget_questions(&self, engine: &mut Simplex<LabValue>) {
        engine.forget_questions();
    }

    fn forget_votes(&self, engine: &mut Simplex<LabValue>) {
        engine.forget_votes();
    }

    fn composes(&self) -> bool {
        true
    }

    fn answers(&self, engine: &Simplex<LabValue>) -> Vec<SimplexMessage<LabValue>> {
        engine.answers()
    }

    fn signs(&self, msg: &SimplexMessage<LabValue>) -> Vec<[u8; 32]> {
        let SimplexMessage::Vote(signed) = msg else { return Vec::new() };
        let ancestors = signed.ancestors.iter().map(|(id, _)| final_digest(*id, signed.vote.view));
        ancestors.chain([signed.vote.digest(B256::ZERO)]).map(Into::into).collect()
    }

    fn proofs(&self, msg: &SimplexMessage<LabValue>) -> Vec<([u8; 32], usize)> {
        let SimplexMessage::Certificates(list) = msg else { return Vec::new() };
        list.iter().map(|certificate| (certificate.vote.digest(B256::ZERO).into(), certificate.seals.len())).collect()
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
