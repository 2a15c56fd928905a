//! The messages.
//!
//! ```text
//! vote         [kind, view, id, address, signature, [[ancestor, seal]...]]
//! certificate  [kind, view, id, [signature...]]
//! message      [0, vote, value, [] or [certificate of the parent], [nullification...]]
//!              [1, vote]
//!              [2, [certificate...]]
//!              [3, view, [id...]]
//!              [4, value]
//! ```
//!
//! Proposals, notarize and nullify votes sign `keccak(domain ‖ kind ‖ view ‖ id)`. The domain is a digest of chain and
//! protocol. A finalize vote signs [`final_digest`], which the chain keeps in its headers.

use alloy_primitives::{Address, B256};
use klay_core::{
    DecodeError,
    codec::{DecodeErrorKind, Reader, put_bytes, put_list_header, put_u64},
    crypto::keccak256,
};

use crate::{
    istanbul::{Klaytn, WireValue, seal::Seal},
    types::{Codec, Limits, Malformed, Slot, Statement, Step, View},
};

/// What a vote says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Puts a value forward.
    Proposal = 0,
    /// This value may be built upon.
    Notarize = 1,
    /// This view may be passed over.
    Nullify = 2,
    /// This value is final; its sender has not said and will not say nullify.
    Finalize = 3,
}

impl Kind {
    const fn from_u64(n: u64) -> Option<Self> {
        match n {
            0 => Some(Self::Proposal),
            1 => Some(Self::Notarize),
            2 => Some(Self::Nullify),
            3 => Some(Self::Finalize),
            _ => None,
        }
    }

    const fn step(self) -> Step {
        match self {
            Self::Proposal => Step::Proposal,
            Self::Notarize => Step::Vote1,
            Self::Finalize => Step::Vote2,
            Self::Nullify => Step::Skip,
        }
    }
}

/// What is said, without who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// What it is.
    pub kind: Kind,
    /// Where.
    pub view: Slot,
    /// The value; zero for nullify.
    pub id: B256,
}

impl Vote {
    /// What is signed.
    pub fn digest(&self, domain: B256) -> B256 {
        if self.kind == Kind::Finalize {
            return final_digest(self.id, self.view);
        }
        let mut preimage = [0; 73];
        preimage[..32].copy_from_slice(domain.as_slice());
        preimage[32] = self.kind as u8;
        preimage[33..41].copy_from_slice(&self.view.get().to_be_bytes());
        preimage[41..].copy_from_slice(self.id.as_slice());
        keccak256(preimage)
    }

    /// What the gate is told. A proposal is known to it by `content`, which the proposer's seal does not change.
    pub const fn statement(&self, content: B256) -> Statement {
        let view = View::first(self.view);
        match self.kind {
            Kind::Nullify => Statement::skip(view),
            Kind::Proposal => Statement::about(view, Step::Proposal, content.0),
            kind => Statement::about(view, kind.step(), self.id.0),
        }
    }
}

/// What a finalize vote signs for a value and for those of its ancestors that are not final yet:
/// `keccak(id ‖ 0x02 ‖ view)`, the view in 8 bytes.
pub fn final_digest(id: B256, view: Slot) -> B256 {
    let mut preimage = [2; 41];
    preimage[..32].copy_from_slice(id.as_slice());
    preimage[33..].copy_from_slice(&view.get().to_be_bytes());
    keccak256(preimage)
}

/// A vote with its signature, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedVote {
    /// The vote.
    pub vote: Vote,
    /// Who claims to send it.
    pub from: Address,
    /// `r ‖ s ‖ v`.
    pub signature: Seal,
    /// Of a finalize vote: the same for ancestors that are not known to be final, so that each gets a proof of its own.
    pub ancestors: Vec<(B256, Seal)>,
}

impl SignedVote {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut content = Vec::with_capacity(160);
        put_u64(self.vote.kind as u64, &mut content);
        put_u64(self.vote.view.get(), &mut content);
        put_bytes(self.vote.id.as_slice(), &mut content);
        put_bytes(self.from.as_slice(), &mut content);
        put_bytes(&self.signature, &mut content);
        put_list(&mut content, &self.ancestors, |(id, seal), out| {
            let mut pair = Vec::with_capacity(100);
            put_bytes(id.as_slice(), &mut pair);
            put_bytes(seal, &mut pair);
            put_list_header(pair.len(), out);
            out.extend_from_slice(&pair);
        });
        put_list_header(content.len(), out);
        out.extend_from_slice(&content);
    }

    fn decode(reader: &mut Reader<'_>, limits: Limits) -> Result<Self, Malformed> {
        let mut list = reader.list("vote")?;
        let kind = kind(&mut list)?;
        let view = Slot::new(list.u64("vote.view")?);
        let vote = Vote { kind, view, id: list.hash("vote.id")? };
        let (from, signature) = (list.address("vote.from")?, list.fixed("vote.signature")?);
        let ancestors = read_list(&mut list, "vote.ancestors", limits, |list| {
            let mut pair = list.list("vote.ancestor")?;
            let (id, seal) = (pair.hash("vote.ancestor.id")?, pair.fixed("vote.ancestor.seal")?);
            pair.end("vote.ancestor")?;
            Ok((id, seal))
        })?;
        list.end("vote")?;
        let empty = kind == Kind::Nullify && !vote.id.is_zero() || kind != Kind::Finalize && !ancestors.is_empty();
        if empty {
            return Err(Malformed::Length { what: "field without meaning in this vote", expected: 0, got: 1 });
        }
        Ok(Self { vote, from, signature, ancestors })
    }
}

/// The votes of a quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// What was voted.
    pub vote: Vote,
    /// A quorum of signatures over it.
    pub seals: Vec<Seal>,
}

impl Certificate {
    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut content = Vec::with_capacity(64 + self.seals.len() * 67);
        put_u64(self.vote.kind as u64, &mut content);
        put_u64(self.vote.view.get(), &mut content);
        put_bytes(self.vote.id.as_slice(), &mut content);
        put_list(&mut content, &self.seals, |seal, out| put_bytes(seal, out));
        put_list_header(content.len(), out);
        out.extend_from_slice(&content);
    }

    /// Reads the next item as a certificate. Its signatures are not checked.
    ///
    /// # Errors
    /// If it is not one, or has too many signatures.
    pub fn decode(reader: &mut Reader<'_>, limits: Limits) -> Result<Self, Malformed> {
        let mut list = reader.list("certificate")?;
        let kind = kind(&mut list)?;
        let view = Slot::new(list.u64("certificate.view")?);
        let vote = Vote { kind, view, id: list.hash("certificate.id")? };
        let seals = read_list(&mut list, "certificate.seals", limits, |list| Ok(list.fixed("certificate.seal")?))?;
        list.end("certificate")?;
        if kind == Kind::Proposal || kind == Kind::Nullify && !vote.id.is_zero() {
            return Err(Malformed::Unknown { what: "kind of certificate", code: kind as u64 });
        }
        Ok(Self { vote, seals })
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SimplexMessage<V> {
    /// A value and why it may be built where it is.
    Proposal {
        /// Who puts it forward, and where.
        signed: SignedVote,
        /// The value.
        value: V,
        /// That its parent may be built upon; nothing for the first value of an epoch.
        parent: Option<Certificate>,
        /// That the views between may be passed over, as far as there is room.
        nullified: Vec<Certificate>,
    },
    /// A vote.
    Vote(SignedVote),
    /// Certificates for somebody who lacks them.
    Certificates(Vec<Certificate>),
    /// Asks for what is missing.
    Ask {
        /// Certificates of this view and later ones.
        from: Slot,
        /// Values.
        values: Vec<B256>,
    },
    /// A value that was asked for.
    Value(V),
}

impl<V> SimplexMessage<V> {
    /// The vote in it, if there is one.
    pub const fn vote(&self) -> Option<&SignedVote> {
        match self {
            Self::Proposal { signed, .. } | Self::Vote(signed) => Some(signed),
            Self::Certificates(_) | Self::Ask { .. } | Self::Value(_) => None,
        }
    }
}

impl<V: WireValue> SimplexMessage<V> {
    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut content = Vec::new();
        match self {
            Self::Proposal { signed, value, parent, nullified } => {
                put_u64(0, &mut content);
                signed.encode(&mut content);
                value.encode(&mut content);
                put_list(&mut content, parent.as_slice(), Certificate::encode);
                put_list(&mut content, nullified, Certificate::encode);
            }
            Self::Vote(signed) => {
                put_u64(1, &mut content);
                signed.encode(&mut content);
            }
            Self::Certificates(list) => {
                put_u64(2, &mut content);
                put_list(&mut content, list, Certificate::encode);
            }
            Self::Ask { from, values } => {
                put_u64(3, &mut content);
                put_u64(from.get(), &mut content);
                put_list(&mut content, values, |id, out| put_bytes(id.as_slice(), out));
            }
            Self::Value(value) => {
                put_u64(4, &mut content);
                value.encode(&mut content);
            }
        }
        put_list_header(content.len(), out);
        out.extend_from_slice(&content);
    }

    /// Reads exactly one message.
    ///
    /// # Errors
    /// If the bytes are not one, or exceed the limits.
    pub fn decode(bytes: &[u8], limits: Limits) -> Result<Self, Malformed> {
        if bytes.len() > limits.message {
            return Err(Malformed::TooLarge { got: bytes.len(), limit: limits.message });
        }
        let mut input = Reader::new(bytes);
        let mut list = input.list("message")?;
        input.end("message")?;
        let message = match list.u64("message.code")? {
            0 => Self::proposal(&mut list, limits)?,
            1 => Self::Vote(SignedVote::decode(&mut list, limits)?),
            2 => Self::Certificates(read_list(&mut list, "certificates", limits, |l| Certificate::decode(l, limits))?),
            3 => Self::Ask {
                from: Slot::new(list.u64("ask.from")?),
                values: read_list(&mut list, "ask.values", limits, |list| Ok(list.hash("ask.value")?))?,
            },
            4 => Self::Value(V::decode(&mut list)?),
            code => return Err(Malformed::Unknown { what: "message code", code }),
        };
        list.end("message")?;
        Ok(message)
    }

    fn proposal(list: &mut Reader<'_>, limits: Limits) -> Result<Self, Malformed> {
        let (signed, value) = (SignedVote::decode(list, limits)?, V::decode(list)?);
        let one = Limits { entries: 1, ..limits };
        let parent = read_list(list, "proposal.parent", one, |list| Certificate::decode(list, limits))?.pop();
        let nullified = read_list(list, "proposal.nullified", limits, |list| Certificate::decode(list, limits))?;
        Ok(Self::Proposal { signed, value, parent, nullified })
    }
}

fn kind(list: &mut Reader<'_>) -> Result<Kind, DecodeError> {
    let unknown = list.error("kind", DecodeErrorKind::Invalid("unknown kind of vote"));
    Kind::from_u64(list.u64("kind")?).ok_or(unknown)
}

fn put_list<T>(out: &mut Vec<u8>, items: &[T], put: impl Fn(&T, &mut Vec<u8>)) {
    let mut list = Vec::new();
    items.iter().for_each(|item| put(item, &mut list));
    put_list_header(list.len(), out);
    out.extend_from_slice(&list);
}

fn read_list<'a, T>(
    reader: &mut Reader<'a>,
    what: &'static str,
    limits: Limits,
    read: impl Fn(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut list = reader.list(what)?;
    let mut items = Vec::new();
    while !list.is_empty() {
        if items.len() >= limits.entries {
            return Err(Malformed::TooMany { what, got: items.len() + 1, limit: limits.entries });
        }
        items.push(read(&mut list)?);
    }
    Ok(items)
}

/// The wire form of the messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct SimplexCodec;

impl<V: WireValue> Codec<Klaytn<V>> for SimplexCodec {
    type Msg = SimplexMessage<V>;

    fn encode(&self, msg: &Self::Msg, out: &mut Vec<u8>) {
        msg.encode(out);
    }

    fn decode(&self, bytes: &[u8], limits: Limits) -> Result<Self::Msg, Malformed> {
        SimplexMessage::decode(bytes, limits)
    }
}
