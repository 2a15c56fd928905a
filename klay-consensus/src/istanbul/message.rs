//! The four messages.
//!
//! | Code | Message | RLP |
//! |---|---|---|
//! | 0 | PREPREPARE | `[view, block]` |
//! | 1, 2, 3 | PREPARE, COMMIT, ROUND CHANGE | `[view, digest, prevHash]` |
//!
//! A view is `[round, sequence]`, round first. In a round change the digest is zero and the view is the one asked for.
//!
//! Source: chapter 50, section 1.4.

use core::fmt;

use alloy_primitives::{Address, B256, Bytes};
use klay_core::{
    DecodeError,
    codec::{Reader, put_bytes, put_list_header, put_u64},
    crypto::keccak256,
};

use super::{Envelope, HeaderValue, Klaytn};
use crate::types::{Codec, Limits, Malformed, Round, Slot, View};

/// A value that has a wire form.
pub trait WireValue: HeaderValue {
    /// Appends `[header, [tx...]]`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads a value.
    ///
    /// # Errors
    /// If the next item is not one.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>
    where
        Self: Sized;
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
pub enum Code {
    /// A proposal.
    Preprepare = 0,
    /// The first vote.
    Prepare = 1,
    /// The second vote, with a committed seal.
    Commit = 2,
    /// The wish for a higher round.
    RoundChange = 3,
}

impl Code {
    /// The kind with this number.
    pub const fn from_u64(code: u64) -> Option<Self> {
        match code {
            0 => Some(Self::Preprepare),
            1 => Some(Self::Prepare),
            2 => Some(Self::Commit),
            3 => Some(Self::RoundChange),
            _ => None,
        }
    }
}

/// A value put forward in a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preprepare<V> {
    /// The view.
    pub view: View,
    /// The value.
    pub value: V,
}

/// What a vote is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The view; of a round change the one asked for.
    pub view: View,
    /// Hash of the value; zero in a round change.
    pub digest: B256,
    /// Hash of its parent; of a round change the sender's head.
    pub prev_hash: B256,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<V> {
    /// A proposal.
    Preprepare(Preprepare<V>),
    /// The first vote.
    Prepare(Subject),
    /// The second vote.
    Commit(Subject),
    /// The wish for a higher round.
    RoundChange(Subject),
}

/// A message whose content is read. Its signature is not checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Message<V> {
    /// The signed frame, kept to pass the message on byte by byte.
    pub envelope: Envelope,
    /// What it says.
    pub body: Body<V>,
}

impl<V> fmt::Debug for Message<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Envelope { msg, address, committed_seal, .. } = &self.envelope;
        write!(f, "{:?} {} from {address}, {:x} {committed_seal:x}", self.code(), self.view(), keccak256(msg))
    }
}

/// Puts `[round, sequence]`.
pub fn put_view(view: View, out: &mut Vec<u8>) {
    let mut content = Vec::with_capacity(18);
    put_u64(view.round.get(), &mut content);
    put_u64(view.slot.get(), &mut content);
    put_list_header(content.len(), out);
    out.extend_from_slice(&content);
}

/// Reads `[round, sequence]`.
///
/// # Errors
/// If the next item is not a list of two integers of at most 64 bits.
pub fn read_view(reader: &mut Reader<'_>) -> Result<View, DecodeError> {
    let mut list = reader.list("view")?;
    let round = Round::new(list.u64("view.round")?);
    let slot = Slot::new(list.u64("view.sequence")?);
    list.end("view")?;
    Ok(View { slot, round })
}

impl<V> Body<V> {
    /// What kind of message it is.
    pub const fn code(&self) -> Code {
        match self {
            Self::Preprepare(_) => Code::Preprepare,
            Self::Prepare(_) => Code::Prepare,
            Self::Commit(_) => Code::Commit,
            Self::RoundChange(_) => Code::RoundChange,
        }
    }

    /// Which view it is about.
    pub const fn view(&self) -> View {
        match self {
            Self::Preprepare(preprepare) => preprepare.view,
            Self::Prepare(subject) | Self::Commit(subject) | Self::RoundChange(subject) => subject.view,
        }
    }
}

impl<V: WireValue> Body<V> {
    /// The content of `msg`.
    pub fn encode(&self) -> Vec<u8> {
        let mut content = Vec::new();
        put_view(self.view(), &mut content);
        match self {
            Self::Preprepare(preprepare) => preprepare.value.encode(&mut content),
            Self::Prepare(subject) | Self::Commit(subject) | Self::RoundChange(subject) => {
                put_bytes(subject.digest.as_slice(), &mut content);
                put_bytes(subject.prev_hash.as_slice(), &mut content);
            }
        }
        let mut out = Vec::with_capacity(content.len() + 5);
        put_list_header(content.len(), &mut out);
        out.extend_from_slice(&content);
        out
    }

    /// Reads the content of `msg`.
    ///
    /// # Errors
    /// If the code is unknown or the bytes are not exactly that message.
    pub fn decode(code: u64, msg: &[u8]) -> Result<Self, Malformed> {
        let code = Code::from_u64(code).ok_or(Malformed::Unknown { what: "message code", code })?;
        let mut input = Reader::new(msg);
        let mut list = input.list("msg")?;
        input.end("msg")?;
        let view = read_view(&mut list)?;
        let body = if code == Code::Preprepare {
            Self::Preprepare(Preprepare { view, value: V::decode(&mut list)? })
        } else {
            let subject = Subject { view, digest: list.hash("msg.digest")?, prev_hash: list.hash("msg.prevHash")? };
            match code {
                Code::Prepare => Self::Prepare(subject),
                Code::Commit => Self::Commit(subject),
                _ => Self::RoundChange(subject),
            }
        };
        list.end("msg")?;
        Ok(body)
    }

    /// The hash that the envelope carries beside this content.
    pub fn prev_hash(&self) -> B256 {
        match self {
            Self::Preprepare(preprepare) => preprepare.value.parent(),
            Self::Prepare(subject) | Self::Commit(subject) | Self::RoundChange(subject) => subject.prev_hash,
        }
    }
}

impl<V> Message<V> {
    /// What kind of message it is.
    pub const fn code(&self) -> Code {
        self.body.code()
    }

    /// Which view it is about.
    pub const fn view(&self) -> View {
        self.body.view()
    }

    /// Who claims to send it.
    pub const fn from(&self) -> Address {
        self.envelope.address
    }
}

impl<V: WireValue> Message<V> {
    /// A message of `address` that is not signed yet.
    pub fn unsigned(body: Body<V>, address: Address, committed_seal: Bytes) -> Self {
        let envelope = Envelope {
            prev_hash: body.prev_hash(),
            code: body.code() as u64,
            msg: body.encode().into(),
            address,
            signature: Bytes::new(),
            committed_seal,
        };
        Self { envelope, body }
    }

    /// The payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.envelope.encode(out);
    }

    /// Reads a payload and its content.
    ///
    /// # Errors
    /// If the bytes are not exactly one, or exceed the limit.
    pub fn decode(bytes: &[u8], limits: Limits) -> Result<Self, Malformed> {
        let envelope = Envelope::decode(bytes, limits)?;
        let body = Body::decode(envelope.code, &envelope.msg)?;
        Ok(Self { envelope, body })
    }
}

/// The wire form of the messages: the payload of [`Envelope`].
#[derive(Debug, Clone, Copy, Default)]
pub struct IstanbulCodec;

impl<V: WireValue> Codec<Klaytn<V>> for IstanbulCodec {
    type Msg = Message<V>;

    fn encode(&self, msg: &Self::Msg, out: &mut Vec<u8>) {
        msg.encode(out);
    }

    fn decode(&self, bytes: &[u8], limits: Limits) -> Result<Self::Msg, Malformed> {
        Message::decode(bytes, limits)
    }
}
