//! Istanbul in the lab.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes};
use klay_core::{
    DecodeError,
    block::Header,
    codec::{Reader, put_bytes, put_list_header, put_u64},
    crypto::keccak256,
};

use super::{Byzantine, Lab, Stream};
use crate::{
    istanbul::{
        Body, CommittedSeals, Compat, HeaderValue, Istanbul, IstanbulConfig, Klaytn, Message, Preprepare, Relay, Rules,
        Subject, WireValue,
        seal::{self, Authors, Seal},
    },
    types::{
        Committee, Committees, Engine, Height, NotYet, Round, Statement, Step, Timeouts, Value, View, quorum,
        timeouts::Legacy,
    },
    valset::AddressSet,
};

/// A value of the lab: a header whose name is the hash of a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabValue {
    header: Header,
    id: B256,
    valid: bool,
}

impl LabValue {
    /// A value on `parent`.
    pub fn new(height: Height, parent: B256, salt: u64, valid: bool) -> Self {
        let mut words = parent.to_vec();
        words.extend_from_slice(&salt.to_be_bytes());
        words.push(u8::from(valid));
        let header = Header {
            number: height.get(),
            parent_hash: parent,
            // Sealed from the start: who proposes is said by the message.
            extra: seal::new_extra(b"", Vec::new()),
            ..Header::default()
        };
        Self { header, id: keccak256(words), valid }
    }

    /// Whether the application accepts it.
    pub const fn is_valid(&self) -> bool {
        self.valid
    }
}

impl Value for LabValue {
    type Id = B256;

    fn id(&self) -> B256 {
        self.id
    }

    fn parent(&self) -> B256 {
        self.header.parent_hash
    }

    fn height(&self) -> Height {
        Height::new(self.header.number)
    }

    fn size(&self) -> usize {
        600
    }
}

impl HeaderValue for LabValue {
    fn header(&self) -> &Header {
        &self.header
    }

    fn with_extra(mut self, extra: Bytes) -> Self {
        self.header.extra = extra;
        self
    }

    fn content_id(&self) -> B256 {
        self.id
    }

    fn is_sealed(&self) -> bool {
        true
    }
}

impl WireValue for LabValue {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut content = Vec::new();
        put_bytes(self.id.as_slice(), &mut content);
        put_bytes(self.header.parent_hash.as_slice(), &mut content);
        put_u64(self.header.number, &mut content);
        put_u64(self.valid.into(), &mut content);
        put_list_header(content.len(), out);
        out.extend_from_slice(&content);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut list = reader.list("value")?;
        let (id, parent) = (list.hash("value.id")?, list.hash("value.parent")?);
        let (height, valid) = (Height::new(list.u64("value.height")?), list.bool("value.valid")?);
        list.end("value")?;
        Ok(Self { id, ..Self::new(height, parent, 0, valid) })
    }
}

/// Validators that propose in turn.
#[derive(Debug, Clone)]
pub struct Turns {
    pub(super) validators: Vec<Address>,
}

impl Turns {
    /// `n` validators.
    pub fn new(n: usize) -> Self {
        let addresses = (0..n as u64).map(|i| Address::from_word(keccak256(i.to_be_bytes())));
        Self { validators: addresses.collect::<AddressSet>().into_vec() }
    }
}

impl Committees<Klaytn<LabValue>> for Turns {
    fn at(&self, height: Height, round: Round) -> Result<Arc<Committee<Address>>, NotYet> {
        let turn = height.get().saturating_sub(1).saturating_add(round.get());
        let turn = turn.checked_rem(self.validators.len() as u64).ok_or(NotYet(height))?;
        let proposer = *self.validators.get(turn as usize).ok_or(NotYet(height))?;
        Ok(Arc::new(Committee::new(self.validators.clone(), proposer)))
    }
}

/// Signatures of the lab: the signer's name and a fingerprint. Nobody but the lab itself makes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct MockAuthors;

pub(super) fn mock_sign(who: Address, digest: [u8; 32]) -> Seal {
    let mut seal = [0; 65];
    seal[..20].copy_from_slice(who.as_slice());
    seal[20..52].copy_from_slice(&digest);
    seal
}

impl Authors for MockAuthors {
    fn author(&self, digest: B256, seal: &Seal) -> Option<Address> {
        (seal[20..52] == digest[..]).then(|| Address::from_slice(&seal[..20]))
    }
}

/// Istanbul with one set of deviations.
#[derive(Debug)]
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

    fn genesis(&self) -> B256 {
        B256::ZERO
    }

    fn value(&self, _node: usize, height: Height, parent: B256, salt: u64, valid: bool) -> LabValue {
        LabValue::new(height, parent, salt, valid)
    }

    fn is_valid(&self, value: &LabValue) -> bool {
        value.valid
    }

    fn sign(&self, node: usize, digest: [u8; 32]) -> Seal {
        mock_sign(self.peer(node), digest)
    }

    /// What an importing node checks: `2F + 1` distinct seals, every one of a validator.
    fn accepts(&self, value: &LabValue, cert: &CommittedSeals) -> bool {
        let digest = seal::committed_digest(value.id());
        let mut signers: Vec<_> = cert.seals.iter().map(|seal| MockAuthors.author(digest, seal)).collect();
        signers.sort_unstable();
        signers.dedup();
        let known = |signer: &Option<Address>| signer.is_some_and(|a| self.turns.validators.contains(&a));
        let needed = quorum::import(u32::try_from(self.nodes()).unwrap_or(u32::MAX)) as usize;
        signers.len() == cert.seals.len() && signers.len() >= needed && signers.iter().all(known)
    }

    fn round(&self, cert: &CommittedSeals) -> u64 {
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

    fn describe(&self, msg: &Message<LabValue>) -> (&'static str, usize) {
        match &msg.body {
            Body::Preprepare(p) => ("preprepare", 200 + p.value.size()),
            Body::Prepare(_) => ("prepare", 198),
            Body::Commit(_) => ("commit", 265),
            Body::RoundChange(_) => ("round change", 198),
        }
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
            Byzantine::Silent => Vec::new(),
            Byzantine::Equivocate if to.is_multiple_of(2) => vec![self.other(node, msg, random)],
            Byzantine::Equivocate if random.chance(100) => vec![msg.clone(), self.other(node, msg, random)],
            Byzantine::Withhold if random.chance(500) => Vec::new(),
            Byzantine::BadSeal => match &msg.body {
                Body::Commit(_) => vec![self.signed(node, msg.body.clone(), vec![7; 65].into())],
                _ => vec![msg.clone()],
            },
            Byzantine::FarAhead => {
                let view = View::new(msg.view().slot, Round::new(random.below(1 << 32)));
                let subject = Subject { view, digest: B256::ZERO, prev_hash: msg.envelope.prev_hash };
                vec![msg.clone(), self.signed(node, Body::RoundChange(subject), Bytes::new())]
            }
            Byzantine::Equivocate | Byzantine::Withhold | Byzantine::Replay => vec![msg.clone()],
        }
    }
}
