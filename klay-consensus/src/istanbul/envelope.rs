//! The signed frame of every Istanbul message, and the frame around it on the network.
//!
//! | Layer | RLP |
//! |---|---|
//! | network | `[prevHash, payload]`, message code `0x11` of protocol `istanbul` |
//! | payload | `[hash, code, msg, address, signature, committedSeal]` |
//! | signed | the payload with an empty signature; the signature is over its Keccak-256 |
//!
//! Source: chapter 50, section 1.4.

use alloy_primitives::{Address, B256, Bytes};
use klay_core::{
    DecodeError,
    codec::{Reader, header_len, put_bytes, put_list_header, put_u64, string_len},
    crypto::keccak256,
};

use super::seal::{Seal, seal_author};
use crate::types::{Limits, Malformed};

/// Message code of Istanbul messages in the network protocol.
pub const NETWORK_CODE: u64 = 0x11;

/// A message as it is signed. What `msg` says is not looked at here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Hash of the parent of what is discussed: of the proposal, or of the local head for a round change.
    pub prev_hash: B256,
    /// What kind of message it is, see [`Code`](super::Code).
    pub code: u64,
    /// The message.
    pub msg: Bytes,
    /// Who claims to send it.
    pub address: Address,
    /// Who signed it, `r ‖ s ‖ v`; unchecked.
    pub signature: Bytes,
    /// The committed seal of a commit; empty otherwise, but covered by the signature all the same.
    pub committed_seal: Bytes,
}

impl Envelope {
    /// The payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_signed_by(&self.signature, out);
    }

    fn encode_signed_by(&self, signature: &[u8], out: &mut Vec<u8>) {
        let code_len = if self.code < 0x80 { 1 } else { 1 + (8 - self.code.leading_zeros() as usize / 8) };
        let strings = [&self.msg[..], self.address.as_slice(), signature, &self.committed_seal];
        let len = 33 + code_len + strings.iter().map(|s| string_len(s)).sum::<usize>();
        out.reserve(header_len(len) + len);
        put_list_header(len, out);
        put_bytes(self.prev_hash.as_slice(), out);
        put_u64(self.code, out);
        for string in strings {
            put_bytes(string, out);
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// If the bytes are not exactly one, or exceed the limit.
    pub fn decode(bytes: &[u8], limits: Limits) -> Result<Self, Malformed> {
        if bytes.len() > limits.message {
            return Err(Malformed::TooLarge { got: bytes.len(), limit: limits.message });
        }
        Ok(Self::read(bytes)?)
    }

    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let mut list = input.list("payload")?;
        input.end("payload")?;
        let envelope = Self {
            prev_hash: list.hash("payload.hash")?,
            code: list.u64("payload.code")?,
            msg: Bytes::copy_from_slice(list.bytes("payload.msg")?),
            address: list.address("payload.address")?,
            signature: Bytes::copy_from_slice(list.bytes("payload.signature")?),
            committed_seal: Bytes::copy_from_slice(list.bytes("payload.committedSeal")?),
        };
        list.end("payload")?;
        Ok(envelope)
    }

    /// The bytes that the signature covers, before they are hashed.
    pub fn signed_part(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_signed_by(&[], &mut out);
        out
    }

    /// What is signed.
    pub fn digest(&self) -> B256 {
        keccak256(self.signed_part())
    }

    /// Who signed it; `None` if the signature is not one. Whether that is [`Self::address`] is the caller's question
    /// (MS-2).
    pub fn signer(&self) -> Option<Address> {
        let seal = Seal::try_from(&self.signature[..]).ok()?;
        seal_author(self.digest(), &seal)
    }

    /// The name under which the network knows this message: relays are suppressed by it (MS-7).
    pub fn relay_hash(&self) -> B256 {
        let mut payload = Vec::new();
        self.encode(&mut payload);
        let mut out = Vec::with_capacity(payload.len() + 4);
        put_bytes(&payload, &mut out);
        keccak256(out)
    }

    /// The frame on the network.
    pub fn encode_frame(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        self.encode(&mut payload);
        let len = 33 + string_len(&payload);
        let mut out = Vec::with_capacity(header_len(len) + len);
        put_list_header(len, &mut out);
        put_bytes(self.prev_hash.as_slice(), &mut out);
        put_bytes(&payload, &mut out);
        out
    }

    /// Reads a frame of the network and the payload in it.
    ///
    /// # Errors
    /// If the bytes are not exactly one, or exceed the limit.
    pub fn decode_frame(bytes: &[u8], limits: Limits) -> Result<Self, Malformed> {
        if bytes.len() > limits.message {
            return Err(Malformed::TooLarge { got: bytes.len(), limit: limits.message });
        }
        let mut input = Reader::new(bytes);
        let mut list = input.list("frame")?;
        input.end("frame")?;
        list.hash("frame.prevHash")?;
        let payload = list.bytes("frame.payload")?;
        list.end("frame")?;
        Self::decode(payload, limits)
    }
}
