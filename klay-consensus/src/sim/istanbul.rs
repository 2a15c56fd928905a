//! Istanbul in the lab.

use std::{ops::Range, sync::Arc};

use alloy_primitives::{Address, B256, Bytes};
use klay_core::crypto::keccak256;

use super::{
    Byzantine, Enumeration, Faults, Lab, Orders, Report, Run, Seen, Stream, Twins, table,
    value::{MockAuthors, carried, mock_sign},
    world,
};
use crate::{
    istanbul::{
        Body, CommittedSeals, Compat, Istanbul, IstanbulCodec, IstanbulConfig, Klaytn, Message, Preprepare, Relay,
        Rules, Subject, check_evidence,
        seal::{self, Seal},
    },
    types::{Codec, Engine, Evidence, Height, Round, Statement, Step, Timeouts, Value, View, quorum, timeouts::Legacy},
};

pub use super::value::{LabValue, Turns};

/// Istanbul with one set of deviations.
#[derive(Debug, Clone)]
pub struct IstanbulLab {
    turns: Turns,
    compat: Compat,
    timeouts: Arc<dyn Timeouts>,
    relay: Relay,
}

impl IstanbulLab {
    /// `n` validators.
    pub fn new(n: usize, compat: Compat) -> Self {
        Self { turns: Turns::new(n), compat, timeouts: Arc::new(Legacy::default()), relay: Relay::Direct }
    }

    /// The same with another policy of timeouts.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Arc<dyn Timeouts>) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The same with everybody passing messages on.
    #[must_use]
    pub const fn flooding(mut self) -> Self {
        self.relay = Relay::Flood;
        self
    }

    fn signed(&self, node: usize, body: Body<LabValue>, sealed: Bytes) -> Message<LabValue> {
        let who = self.peer(node);
        let mut message = Message::unsigned(body, who, sealed);
        let signature = mock_sign(who, message.envelope.digest().0);
        message.envelope.signature = Bytes::copy_from_slice(&signature);
        message
    }

    fn other(&self, node: usize, message: &Message<LabValue>, random: &mut Stream) -> Message<LabValue> {
        let committed =
            |digest: B256| Bytes::copy_from_slice(&mock_sign(self.peer(node), seal::committed_digest(digest).0));
        let digest = keccak256(random.next_u64().to_be_bytes());
        match &message.body {
            Body::Preprepare(p) => {
                let value = LabValue::new(p.value.height(), p.value.parent(), random.next_u64(), true);
                self.signed(node, Body::Preprepare(Preprepare { view: p.view, value }), Bytes::new())
            }
            Body::Prepare(s) => self.signed(node, Body::Prepare(Subject { digest, ..*s }), Bytes::new()),
            Body::Commit(s) => self.signed(node, Body::Commit(Subject { digest, ..*s }), committed(digest)),
            Body::RoundChange(s) => {
                let view = View::new(s.view.slot, s.view.round.saturating_add(1));
                self.signed(node, Body::RoundChange(Subject { view, ..*s }), Bytes::new())
            }
        }
    }
}

impl Lab for IstanbulLab {
    type Model = Klaytn<LabValue>;
    type Engine = Istanbul<LabValue>;

    fn nodes(&self) -> usize {
        self.turns.validators.len()
    }

    fn peer(&self, node: usize) -> Address {
        self.turns.validators.get(node).copied().unwrap_or_default()
    }

    fn config(&self, node: usize) -> <Istanbul<LabValue> as Engine<Klaytn<LabValue>>>::Config {
        IstanbulConfig {
            timeouts: Arc::clone(&self.timeouts),
            rules: Rules::V2,
            compat: self.compat,
            relay: self.relay,
            authors: Arc::new(MockAuthors),
            ..IstanbulConfig::new(self.peer(node), Arc::new(self.turns.clone()))
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

    /// What an importing node checks: `2F + 1` distinct seals, every one of a validator.
    fn accepts(&self, value: &LabValue, cert: &CommittedSeals) -> bool {
        self.turns.accepts(value, cert, seal::committed_digest(value.id()), quorum::import)
    }

    fn decides(&self, value: &LabValue, cert: &CommittedSeals) -> bool {
        self.turns.accepts(value, cert, seal::committed_digest(value.id()), quorum::live)
    }

    fn round(&self, _value: &LabValue, _parent: Option<&LabValue>, cert: &CommittedSeals) -> u64 {
        cert.round.get()
    }

    fn claim(&self, msg: &Message<LabValue>) -> Option<(Address, Statement)> {
        let statement = match &msg.body {
            Body::Preprepare(p) => Statement::about(p.view, Step::Proposal, p.value.id().0),
            Body::Prepare(s) => Statement::about(s.view, Step::Vote1, s.digest.0),
            Body::Commit(s) => Statement::about(s.view, Step::Vote2, s.digest.0),
            Body::RoundChange(s) => {
                Statement::skip(View::new(s.view.slot, Round::new(s.view.round.get().saturating_sub(1))))
            }
        };
        Some((msg.from(), statement))
    }

    fn proposes(&self, msg: &Message<LabValue>) -> Option<B256> {
        match &msg.body {
            Body::Preprepare(p) => Some(p.value.id()),
            _ => None,
        }
    }

    fn describe(&self, msg: &Message<LabValue>) -> (&'static str, usize) {
        match &msg.body {
            Body::Preprepare(p) => ("preprepare", 200 + p.value.size()),
            Body::Prepare(_) => ("prepare", 198),
            Body::Commit(_) => ("commit", 265),
            Body::RoundChange(_) => ("round change", 198),
        }
    }

    fn codec(&self) -> &dyn Codec<Klaytn<LabValue>, Msg = Message<LabValue>> {
        &IstanbulCodec
    }

    fn proves(&self, evidence: &Evidence<Address>) -> bool {
        let Some(evidence) = &carried(evidence) else { return false };
        check_evidence::<LabValue>(evidence, &self.turns.members(evidence.height), &MockAuthors).is_ok()
    }

    fn corrupt(
        &self,
        node: usize,
        how: Byzantine,
        to: usize,
        msg: &Message<LabValue>,
        random: &mut Stream,
    ) -> Vec<Message<LabValue>> {
        match how {
            Byzantine::Equivocate if to.is_multiple_of(2) => vec![self.other(node, msg, random)],
            Byzantine::DoubleVote => vec![msg.clone(), self.other(node, msg, random)],
            Byzantine::BadSeal => match &msg.body {
                Body::Commit(_) => vec![self.signed(node, msg.body.clone(), vec![7; 65].into())],
                _ => vec![msg.clone()],
            },
            Byzantine::FarAhead => {
                let view = View::new(msg.view().slot, Round::new(random.below(1 << 32)));
                let subject = Subject { view, digest: B256::ZERO, prev_hash: msg.envelope.prev_hash };
                vec![msg.clone(), self.signed(node, Body::RoundChange(subject), Bytes::new())]
            }
            Byzantine::OddForms => match &msg.body {
                Body::Preprepare(p) => {
                    let value = p.value.clone().in_any_form(random);
                    vec![self.signed(node, Body::Preprepare(Preprepare { view: p.view, value }), Bytes::new())]
                }
                _ => vec![msg.clone()],
            },
            _ => vec![msg.clone()],
        }
    }

    fn forge(&self, node: usize, claimed: usize, statement: &Statement) -> Option<Message<LabValue>> {
        let Statement { view, step, id } = *statement;
        let digest = B256::from(id.unwrap_or_default());
        let subject = Subject { view, digest, prev_hash: B256::ZERO };
        let sealed = mock_sign(self.peer(node), seal::committed_digest(digest).0);
        let (body, sealed) = match step {
            Step::Proposal => return None,
            Step::Vote1 => (Body::Prepare(subject), Bytes::new()),
            Step::Vote2 => (Body::Commit(subject), Bytes::copy_from_slice(&sealed)),
            Step::Skip => {
                let view = View::new(view.slot, view.round.saturating_add(1));
                (Body::RoundChange(Subject { view, digest: B256::ZERO, ..subject }), Bytes::new())
            }
        };
        let mut message = Message::unsigned(body, self.peer(claimed), sealed);
        let signature = mock_sign(self.peer(node), message.envelope.digest().0);
        message.envelope.signature = Bytes::copy_from_slice(&signature);
        Some(message)
    }

    fn locks(&self) -> bool {
        self.compat.remember
    }

    /// The protocol may stop for ever on split locks (and, as the reference has it, for other reasons), and for some numbers of validators a block that they did not
    /// decide can be imported (chapter 50, sections 3.3 a and b). Without memory, a restart forgets locks (3.3 c).
    fn is_known_fault(&self, invariant: &str, importing: bool, locked: bool) -> bool {
        let threes = self.nodes().is_multiple_of(3) || self.turns.members(Height::new(1)).len().is_multiple_of(3);
        match invariant {
            "I10" => locked || self.compat != Compat::default(),
            "I1" => importing && threes || !self.compat.remember,
            "I7" => !self.compat.remember,
            "I6" => !self.compat.verify_seals,
            "I9" => !self.compat.bounded_backlog,
            _ => false,
        }
    }

    /// BK-2 to BK-4.
    fn keeps_votes(&self) -> bool {
        true
    }

    fn forget(&self, engine: &mut Istanbul<LabValue>, _quiet: bool) {
        engine.forget();
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
