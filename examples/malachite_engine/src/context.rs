//! What Malachite wants to know of a chain: eleven types, all of them thin.

use std::{fmt, marker::PhantomData, sync::Arc};

use alloy_primitives::{Address, B256};
use klay_consensus::{
    istanbul::{Klaytn, WireValue, seal::Seal},
    types::{self, Committees, Slot, Statement, Step, View},
};
use klay_core::{
    codec::{put_bytes, put_list_header, put_u64},
    crypto::keccak256,
};
use malachite_types::{
    Context, Height, LinearTimeouts, NilOrVal, Proposal, ProposalPart, Round, SignedExtension, SignedMessage,
    SigningScheme, Validator, ValidatorSet, Value, Vote, VoteType,
};

/// A signed vote.
pub type SignedBallot<V> = SignedMessage<Chain<V>, Ballot>;
/// A signed proposal.
pub type SignedOffer<V> = SignedMessage<Chain<V>, Offer>;

/// What stands where the gate gave no signature. It is nobody's.
pub(crate) const NO_SIGNATURE: Seal = [0xff; 65];

/// The chain: who proposes is asked of it.
pub struct Chain<V>(pub(crate) Arc<dyn Committees<Klaytn<V>>>);

impl<V> Clone for Chain<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> fmt::Debug for Chain<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain")
    }
}

/// A height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct At(pub u64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Height for At {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

/// A validator's address, which stands for its key as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who(pub Address);

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl malachite_types::Address for Who {}

/// A value's name, which is all that Malachite learns of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub B256);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Value for Name {
    type Id = Self;

    fn id(&self) -> Self {
        *self
    }
}

/// One validator with one vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member(Who);

impl<V: WireValue> Validator<Chain<V>> for Member {
    fn address(&self) -> &Who {
        &self.0
    }

    fn public_key(&self) -> &Who {
        &self.0
    }

    fn voting_power(&self) -> u64 {
        1
    }
}

/// The validators of a height, in the order of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members(Vec<Member>);

impl Members {
    pub(crate) fn new(members: &[Address]) -> Self {
        Self(members.iter().map(|who| Member(Who(*who))).collect())
    }

    pub(crate) fn contains(&self, who: Who) -> bool {
        self.0.contains(&Member(who))
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = Address> {
        self.0.iter().map(|member| member.0.0)
    }

    pub(crate) const fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

impl<V: WireValue> ValidatorSet<Chain<V>> for Members {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.len()
    }

    fn get_by_address(&self, address: &Who) -> Option<&Member> {
        self.0.iter().find(|member| member.0 == *address)
    }

    fn get_by_index(&self, index: usize) -> Option<&Member> {
        self.0.get(index)
    }
}

/// A vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    /// The height.
    pub height: At,
    /// The round.
    pub round: Round,
    /// Prevote or precommit.
    pub kind: VoteType,
    /// For what.
    pub value: NilOrVal<Name>,
    /// Whose.
    pub from: Who,
}

impl Ballot {
    /// What is signed. The sender is not part of it: the signature names him.
    pub fn digest(&self, domain: B256) -> B256 {
        let kind = match self.kind {
            VoteType::Prevote => 1,
            VoteType::Precommit => 2,
        };
        let value = match &self.value {
            NilOrVal::Nil => &[][..],
            NilOrVal::Val(name) => name.0.as_slice(),
        };
        digest(domain, kind, self.height, self.round, value, Round::Nil)
    }

    /// What it binds its sender to: a precommit for a value locks it.
    pub fn locks(&self) -> Option<(types::Round, B256)> {
        match (self.kind, self.value) {
            (VoteType::Precommit, NilOrVal::Val(name)) => Some((ours(self.round), name.0)),
            _ => None,
        }
    }

    /// What the gate is told.
    pub fn statement(&self) -> Statement {
        let step = match self.kind {
            VoteType::Prevote => Step::Vote1,
            VoteType::Precommit => Step::Vote2,
        };
        let id = match self.value {
            NilOrVal::Nil => None,
            NilOrVal::Val(name) => Some(name.0.0),
        };
        Statement { view: view(self.height, self.round), step, id }
    }
}

impl<V: WireValue> Vote<Chain<V>> for Ballot {
    fn height(&self) -> At {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<Name> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<Name> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Who {
        &self.from
    }

    fn extension(&self) -> Option<&SignedExtension<Chain<V>>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Chain<V>>> {
        None
    }

    fn extend(self, _extension: SignedExtension<Chain<V>>) -> Self {
        self
    }
}

/// A proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The height.
    pub height: At,
    /// The round.
    pub round: Round,
    /// The value's name.
    pub value: Name,
    /// The round in which a quorum has voted for it, if it is an old one.
    pub proven: Round,
    /// Whose.
    pub from: Who,
}

impl Offer {
    /// What is signed.
    pub fn digest(&self, domain: B256) -> B256 {
        digest(domain, 0, self.height, self.round, self.value.0.as_slice(), self.proven)
    }

    /// What the gate is told.
    pub fn statement(&self) -> Statement {
        Statement::about(view(self.height, self.round), Step::Proposal, self.value.0.0)
    }
}

impl<V: WireValue> Proposal<Chain<V>> for Offer {
    fn height(&self) -> At {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &Name {
        &self.value
    }

    fn take_value(self) -> Name {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.proven
    }

    fn validator_address(&self) -> &Who {
        &self.from
    }
}

/// Values do not come in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPart {}

impl<V: WireValue> ProposalPart<Chain<V>> for NoPart {
    fn is_first(&self) -> bool {
        true
    }

    fn is_last(&self) -> bool {
        true
    }
}

/// Signatures that name their signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seals(PhantomData<()>);

/// Bytes of another length than a signature or an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{got} bytes where {expected} are needed")]
pub struct WrongLength {
    got: usize,
    expected: usize,
}

impl SigningScheme for Seals {
    type DecodingError = WrongLength;
    type Signature = Seal;
    type PublicKey = Who;
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<Seal, WrongLength> {
        bytes.try_into().map_err(|_| WrongLength { got: bytes.len(), expected: 65 })
    }

    fn encode_signature(signature: &Seal) -> Vec<u8> {
        signature.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<Who, WrongLength> {
        Address::try_from(bytes).map(Who).map_err(|_| WrongLength { got: bytes.len(), expected: 20 })
    }

    fn encode_public_key(who: &Who) -> Vec<u8> {
        who.0.to_vec()
    }
}

impl<V: WireValue> Context for Chain<V> {
    type Address = Who;
    type Height = At;
    type ProposalPart = NoPart;
    type Proposal = Offer;
    type Validator = Member;
    type ValidatorSet = Members;
    type Timeouts = LinearTimeouts;
    type Value = Name;
    type Vote = Ballot;
    type Extension = ();
    type SigningScheme = Seals;

    #[expect(clippy::expect_used, reason = "the engine starts no height without validators")]
    fn select_proposer<'a>(&self, members: &'a Members, height: At, round: Round) -> &'a Member {
        let turn = self.0.at(types::Height::new(height.0), ours(round)).ok();
        let proposer = turn.and_then(|committee| members.0.iter().find(|m| m.0.0 == committee.proposer));
        proposer.or_else(|| members.0.first()).expect("a height has validators")
    }

    fn new_proposal(&self, height: At, round: Round, value: Name, proven: Round, from: Who) -> Offer {
        Offer { height, round, value, proven, from }
    }

    fn new_prevote(&self, height: At, round: Round, value: NilOrVal<Name>, from: Who) -> Ballot {
        Ballot { height, round, kind: VoteType::Prevote, value, from }
    }

    fn new_precommit(&self, height: At, round: Round, value: NilOrVal<Name>, from: Who) -> Ballot {
        Ballot { height, round, kind: VoteType::Precommit, value, from }
    }
}

/// A round in the words of the contract; 0 for none.
pub(crate) fn ours(round: Round) -> types::Round {
    types::Round::new(round.as_u32().unwrap_or_default().into())
}

fn view(height: At, round: Round) -> View {
    View::new(Slot::new(height.0), ours(round))
}

fn digest(domain: B256, kind: u64, height: At, round: Round, value: &[u8], proven: Round) -> B256 {
    let mut content = Vec::with_capacity(64);
    put_u64(kind, &mut content);
    put_u64(height.0, &mut content);
    put_round(round, &mut content);
    put_bytes(value, &mut content);
    put_round(proven, &mut content);
    let mut preimage = domain.to_vec();
    put_list_header(content.len(), &mut preimage);
    preimage.extend_from_slice(&content);
    keccak256(preimage)
}

/// 0 for none, else one more than the round.
pub(crate) fn put_round(round: Round, out: &mut Vec<u8>) {
    put_u64(round.as_u32().map_or(0, |round| u64::from(round) + 1), out);
}
