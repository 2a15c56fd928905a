//! The encoding of keys.
//!
//! A key is two RLP items in a row, type and body; Nil is the type alone. A role inside a role-based key is a string
//! that holds the whole encoding of its key.
//!
//! Source: spec 20, section 2.1; `account_key_serializer.go` in the reference client.

use klay_core::{
    DecodeError, PublicKey,
    codec::{DecodeErrorKind, Reader, header_len, put_bytes, put_list_header, put_u64},
    tx::EncodedKey,
};

use super::{AccountKey, MultiSig, RoleBased, WeightedKey};
use crate::wire::{integer_len, list_len};

pub(super) const NIL: u8 = 0x00;
pub(super) const LEGACY: u8 = 0x01;
pub(super) const PUBLIC: u8 = 0x02;
pub(super) const FAIL: u8 = 0x03;
pub(super) const WEIGHTED_MULTI_SIG: u8 = 0x04;
pub(super) const ROLE_BASED: u8 = 0x05;

/// How many role-based keys may stand inside each other. The second is never installable; it is read so that the
/// error is the one about nesting.
const MAX_DEPTH: usize = 2;

impl AccountKey {
    /// Reads a key that takes all of `bytes`.
    ///
    /// Does not check whether an account can have this key.
    ///
    /// # Errors
    /// If the bytes are not the canonical encoding of one key, or a public key is not on the curve.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let key = Self::read(&mut reader)?;
        reader.end("key")?;
        Ok(key)
    }

    /// Reads the two items of a key out of a sequence, as they stand in a state leaf.
    ///
    /// # Errors
    /// As [`Self::decode`], except for what follows.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read(reader, MAX_DEPTH)
    }

    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_into(&mut out);
        out
    }

    /// Appends the encoding to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => out.push(0x80),
            Self::Legacy => out.extend_from_slice(&[LEGACY, 0xc0]),
            Self::Fail => out.extend_from_slice(&[FAIL, 0xc0]),
            Self::Public(key) => {
                out.push(PUBLIC);
                put_bytes(&key.to_compressed(), out);
            }
            Self::WeightedMultiSig(key) => {
                out.push(WEIGHTED_MULTI_SIG);
                key.encode_body(out);
            }
            Self::RoleBased(key) => {
                out.push(ROLE_BASED);
                key.encode_body(out);
            }
        }
    }

    /// Length of the encoding in bytes.
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Nil => 1,
            Self::Legacy | Self::Fail => 2,
            Self::Public(_) => 1 + PUBLIC_KEY_LEN,
            Self::WeightedMultiSig(key) => 1 + list_len(key.body_len()),
            Self::RoleBased(key) => 1 + list_len(key.body_len()),
        }
    }
}

impl TryFrom<&EncodedKey> for AccountKey {
    type Error = DecodeError;

    fn try_from(key: &EncodedKey) -> Result<Self, DecodeError> {
        Self::decode(&key.0)
    }
}

impl From<&AccountKey> for EncodedKey {
    fn from(key: &AccountKey) -> Self {
        Self(key.encode().into())
    }
}

/// A public key as an RLP string.
const PUBLIC_KEY_LEN: usize = 1 + 33;

impl MultiSig {
    fn encode_body(&self, out: &mut Vec<u8>) {
        put_list_header(self.body_len(), out);
        put_u64(self.threshold(), out);
        put_list_header(self.members_len(), out);
        for member in self.keys() {
            put_list_header(member.body_len(), out);
            put_u64(member.weight, out);
            put_bytes(&member.key.to_compressed(), out);
        }
    }

    fn body_len(&self) -> usize {
        integer_len(bits(self.threshold())) + list_len(self.members_len())
    }

    fn members_len(&self) -> usize {
        self.keys().iter().map(|member| list_len(member.body_len())).sum()
    }
}

impl WeightedKey {
    const fn body_len(&self) -> usize {
        integer_len(bits(self.weight)) + PUBLIC_KEY_LEN
    }
}

impl RoleBased {
    fn encode_body(&self, out: &mut Vec<u8>) {
        put_list_header(self.body_len(), out);
        for role in self.roles() {
            put_bytes(&role.encode(), out);
        }
    }

    fn body_len(&self) -> usize {
        self.roles()
            .iter()
            .map(|role| match role {
                AccountKey::Nil => 2, // one byte of 0x80 still needs a header
                role => header_len(role.encoded_len()) + role.encoded_len(),
            })
            .sum()
    }
}

const fn bits(value: u64) -> usize {
    (u64::BITS - value.leading_zeros()) as usize
}

fn read(reader: &mut Reader<'_>, depth: usize) -> Result<AccountKey, DecodeError> {
    let at = reader.offset();
    match reader.u8("keyType")? {
        NIL => Ok(AccountKey::Nil),
        LEGACY => empty_body(reader).map(|()| AccountKey::Legacy),
        FAIL => empty_body(reader).map(|()| AccountKey::Fail),
        PUBLIC => read_public(reader).map(AccountKey::Public),
        WEIGHTED_MULTI_SIG => read_multisig(reader).map(AccountKey::from),
        ROLE_BASED if depth > 0 => read_role_based(reader, depth - 1).map(AccountKey::from),
        ROLE_BASED => Err(DecodeError::new("keyType", at, DecodeErrorKind::UnserializableKey)),
        other => Err(DecodeError::new("keyType", at, DecodeErrorKind::UndefinedAccountKeyType(other))),
    }
}

fn empty_body(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    reader.list("key")?.end("key")
}

fn read_public(reader: &mut Reader<'_>) -> Result<PublicKey, DecodeError> {
    let at = reader.offset();
    let bytes = reader.fixed::<33>("publicKey")?;
    PublicKey::from_compressed(&bytes)
        .ok_or_else(|| DecodeError::new("publicKey", at, DecodeErrorKind::UnserializableKey))
}

fn read_multisig(reader: &mut Reader<'_>) -> Result<MultiSig, DecodeError> {
    let mut body = reader.list("key")?;
    let threshold = body.u64("threshold")?;
    let mut members = body.list("keys")?;
    let mut keys = Vec::new();
    while !members.is_empty() {
        let mut member = members.list("keys")?;
        keys.push(WeightedKey { weight: member.u64("weight")?, key: read_public(&mut member)? });
        member.end("keys")?;
    }
    body.end("key")?;
    Ok(MultiSig::new_unchecked(threshold, keys))
}

fn read_role_based(reader: &mut Reader<'_>, depth: usize) -> Result<RoleBased, DecodeError> {
    let mut body = reader.list("key")?;
    let mut roles = Vec::new();
    while !body.is_empty() {
        let role = body.item("role")?;
        if role.is_list {
            return Err(DecodeError::new("role", role.offset, DecodeErrorKind::ExpectedString));
        }
        let mut encoding = Reader::at(role.payload, role.payload_offset);
        roles.push(read(&mut encoding, depth)?);
        encoding.end("role")?;
    }
    Ok(RoleBased::update(roles))
}
