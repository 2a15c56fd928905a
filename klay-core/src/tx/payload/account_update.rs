//! Type `0x20`: replaces the sender's key.

use alloy_primitives::{Address, Bytes};
use rlp::RlpStream;

use crate::{
    codec::{AppendExt, DecodeError, DecodeErrorKind, Reader},
    crypto::PublicKey,
};

/// Replaces the key of the sender. Elements: `from`, `key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountUpdate {
    /// The new key.
    pub key: EncodedKey,
}

impl AccountUpdate {
    pub(super) fn encode(&self, from: Address, out: &mut RlpStream) {
        out.append_address(from).append_bytes(&self.key.0);
    }

    pub(super) fn decode(list: &mut Reader<'_>) -> Result<(Self, Address), DecodeError> {
        let from = list.address("from")?;
        let key = list.item("key")?;
        if key.is_list {
            return Err(DecodeError::new("key", key.offset, DecodeErrorKind::ExpectedString));
        }
        let key = EncodedKey::decode(key.payload).map_err(|error| error.at(key.payload_offset))?;
        Ok((Self { key }, from))
    }
}

/// An account key as the byte string that it is on the wire: RLP inside an RLP string.
///
/// Core knows the shape, because bytes of another shape make the whole transaction undecodable; `klay-accounts` knows
/// the meaning and the rules.
///
/// # Invariant
/// A key from [`EncodedKey::decode`] or from a decoded transaction is one of the six key types with every point on the
/// curve. One built from the field is whatever it was given.
///
/// Source: spec 20, section 2.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EncodedKey(pub Bytes);

impl EncodedKey {
    /// Takes the encoding of one key, all of `bytes`.
    ///
    /// # Errors
    /// If the bytes have another shape: unknown type, wrong structure, a point off the curve, bytes left over.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        check_shape(&mut reader, MAX_NESTING).and_then(|()| reader.end("key")).map_err(unserializable)?;
        Ok(Self(Bytes::copy_from_slice(bytes)))
    }

    /// The encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A role-based key inside a role-based key decodes, although no account can have it; nothing deeper is looked at.
const MAX_NESTING: u8 = 2;

fn check_shape(reader: &mut Reader<'_>, nesting: u8) -> Result<(), DecodeError> {
    let at = reader.offset();
    match reader.u8("key")? {
        0 => Ok(()),
        1 | 3 => reader.list("key")?.end("key"),
        2 => check_point(reader),
        4 => {
            let mut multisig = reader.list("key")?;
            multisig.u64("key")?;
            let mut keys = multisig.list("key")?;
            while !keys.is_empty() {
                let mut weighted = keys.list("key")?;
                weighted.u64("key")?;
                check_point(&mut weighted)?;
                weighted.end("key")?;
            }
            multisig.end("key")
        }
        5 if nesting > 0 => {
            let mut roles = reader.list("key")?;
            while !roles.is_empty() {
                let member = roles.item("key")?;
                if member.is_list {
                    return Err(DecodeError::new("key", member.offset, DecodeErrorKind::ExpectedString));
                }
                let mut inner = Reader::at(member.payload, member.payload_offset);
                check_shape(&mut inner, nesting - 1)?;
                inner.end("key")?;
            }
            Ok(())
        }
        other => Err(DecodeError::new("key", at, DecodeErrorKind::UndefinedAccountKeyType(other))),
    }
}

fn check_point(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let at = reader.offset();
    match PublicKey::from_compressed(reader.bytes("key")?) {
        Some(_) => Ok(()),
        None => Err(DecodeError::new("key", at, DecodeErrorKind::UnserializableKey)),
    }
}

/// The reference client gives one text for every way in which a key is malformed; the offset tells where.
const fn unserializable(error: DecodeError) -> DecodeError {
    DecodeError::new(error.field, error.offset, DecodeErrorKind::UnserializableKey)
}
