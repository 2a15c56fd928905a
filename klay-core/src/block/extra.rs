//! Header extra-data of Istanbul: vanity, validators, seals.
//!
//! `vanity(32) ‖ rlp([validators, seal, committedSeals])`. Byte 31 of the vanity is the round in which the block was
//! decided, modulo 256. Who the validators of a block are does *not* follow from the list here, except at genesis.
//!
//! Source: spec 30, sections 1.2 and 1.3; `blockchain/types/istanbul.go` in the reference client.

use alloy_primitives::Address;

use crate::codec::{DecodeError, DecodeErrorKind, Reader, header_len, put_bytes, put_list_header};

/// Length of the vanity, in bytes.
pub const VANITY_LEN: usize = 32;
/// Length of a seal (`r ‖ s ‖ v` with `v` 0 or 1), in bytes.
pub const SEAL_LEN: usize = 65;

/// The decoded extra-data.
///
/// ```
/// use klay_core::{Address, block::IstanbulExtra};
///
/// let extra = IstanbulExtra::genesis(vec![Address::repeat_byte(1)]);
/// assert_eq!(IstanbulExtra::decode(&extra.encode())?, extra);
/// # Ok::<_, klay_core::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IstanbulExtra {
    /// Free text; the last byte is the round.
    pub vanity: [u8; VANITY_LEN],
    /// What the proposer wrote; not validated by anyone.
    pub validators: Vec<Address>,
    /// Proposer's seal, `r ‖ s ‖ v`, or empty while it is being built.
    pub seal: Vec<u8>,
    /// One seal per committer.
    pub committed_seals: Vec<[u8; SEAL_LEN]>,
}

impl IstanbulExtra {
    /// The extra-data of a genesis block: no text, a seal of zeros and no committers.
    pub fn genesis(validators: Vec<Address>) -> Self {
        Self { vanity: [0; VANITY_LEN], validators, seal: vec![0; SEAL_LEN], committed_seals: Vec::new() }
    }

    /// The round in which the block was decided, modulo 256.
    pub const fn round(&self) -> u8 {
        self.vanity[VANITY_LEN - 1]
    }

    /// Writes vanity and list.
    pub fn encode(&self) -> Vec<u8> {
        let validators = self.validators.len() * 21;
        let seals = self.committed_seals.len() * (SEAL_LEN + 2);
        let mut list = Vec::with_capacity(validators + seals + self.seal.len() + 16);
        put_list_header(validators, &mut list);
        for validator in &self.validators {
            put_bytes(validator.as_slice(), &mut list);
        }
        put_bytes(&self.seal, &mut list);
        put_list_header(seals, &mut list);
        for seal in &self.committed_seals {
            put_bytes(seal, &mut list);
        }
        let mut out = Vec::with_capacity(VANITY_LEN + header_len(list.len()) + list.len());
        out.extend_from_slice(&self.vanity);
        put_list_header(list.len(), &mut out);
        out.extend_from_slice(&list);
        out
    }

    /// Reads vanity and list.
    ///
    /// # Errors
    /// If `extra` is shorter than the vanity, is not followed by exactly one list of three elements, or holds an address
    /// of other than 20 or a seal of other than 65 bytes (the proposer's may be empty).
    pub fn decode(extra: &[u8]) -> Result<Self, DecodeError> {
        let parts = Parts::split(extra)?;
        let seal = parts.seal()?;
        if !seal.is_empty() && seal.len() != SEAL_LEN {
            let kind = DecodeErrorKind::WrongLength { expected: SEAL_LEN, got: seal.len() };
            return Err(DecodeError::new("extra.seal", parts.seal.offset(), kind));
        }
        let mut validators = Vec::new();
        let mut list = parts.validators.clone();
        while !list.is_empty() {
            validators.push(list.address("extra.validators")?);
        }
        let mut committed_seals = Vec::new();
        let mut list = parts.committed_seals.clone();
        while !list.is_empty() {
            committed_seals.push(list.fixed("extra.committedSeals")?);
        }
        Ok(Self { vanity: parts.vanity, validators, seal: seal.to_vec(), committed_seals })
    }
}

/// Extra-data as it came: whatever the reference client reads, seals of any length included. Nothing is copied.
///
/// A seal of another length than [`SEAL_LEN`] decodes and has no author; [`IstanbulExtra`] does not hold it.
#[derive(Debug, Clone)]
pub struct ExtraView<'a> {
    vanity: [u8; VANITY_LEN],
    validators: Reader<'a>,
    seal: &'a [u8],
    committed_seals: Reader<'a>,
}

impl<'a> ExtraView<'a> {
    /// Reads vanity and list.
    ///
    /// # Errors
    /// If `extra` is shorter than the vanity, is not followed by exactly one list of three elements, or holds an address
    /// of other than 20 bytes or a list where a seal should be.
    pub fn decode(extra: &'a [u8]) -> Result<Self, DecodeError> {
        let parts = Parts::split(extra)?;
        let mut list = parts.validators.clone();
        while !list.is_empty() {
            list.address("extra.validators")?;
        }
        let mut list = parts.committed_seals.clone();
        while !list.is_empty() {
            list.bytes("extra.committedSeals")?;
        }
        let seal = parts.seal()?;
        let Parts { vanity, validators, committed_seals, .. } = parts;
        Ok(Self { vanity, validators, seal, committed_seals })
    }

    /// The round in which the block was decided, modulo 256.
    pub const fn round(&self) -> u8 {
        self.vanity[VANITY_LEN - 1]
    }

    /// The proposer's seal.
    pub const fn seal(&self) -> &'a [u8] {
        self.seal
    }

    /// The committed seals.
    pub fn committed_seals(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut list = self.committed_seals.clone();
        // Every item was read once by `decode`.
        core::iter::from_fn(move || if list.is_empty() { None } else { list.bytes("extra.committedSeals").ok() })
    }

    /// Writes vanity and list.
    pub fn encode(&self) -> Vec<u8> {
        write(&self.vanity, self.validators.rest(), self.seal, self.committed_seals.rest())
    }

    /// Writes vanity and list with another round and other committed seals; nothing remains of those that stand there.
    pub fn encode_committed(&self, round: u8, seals: &[[u8; SEAL_LEN]]) -> Vec<u8> {
        let mut vanity = self.vanity;
        vanity[VANITY_LEN - 1] = round;
        let mut list = Vec::with_capacity(seals.len() * (SEAL_LEN + 2));
        for seal in seals {
            put_bytes(seal, &mut list);
        }
        write(&vanity, self.validators.rest(), self.seal, &list)
    }
}

fn write(vanity: &[u8; VANITY_LEN], validators: &[u8], seal: &[u8], committed_seals: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(validators.len() + seal.len() + committed_seals.len() + 16);
    put_list_header(validators.len(), &mut content);
    content.extend_from_slice(validators);
    put_bytes(seal, &mut content);
    put_list_header(committed_seals.len(), &mut content);
    content.extend_from_slice(committed_seals);
    let mut out = Vec::with_capacity(VANITY_LEN + content.len() + 8);
    out.extend_from_slice(vanity);
    put_list_header(content.len(), &mut out);
    out.extend_from_slice(&content);
    out
}

/// The extra-data without the round and the committed seals, and without the proposer's seal unless `keep_seal`: what
/// the hashes of a header cover. `None` if `extra` does not decode; seals may have any length.
pub(super) fn filtered(extra: &[u8], keep_seal: bool) -> Option<Vec<u8>> {
    let ExtraView { mut vanity, validators, seal, .. } = ExtraView::decode(extra).ok()?;
    vanity[VANITY_LEN - 1] = 0;
    Some(write(&vanity, validators.rest(), if keep_seal { seal } else { &[] }, &[]))
}

/// The three elements, split but not interpreted.
struct Parts<'a> {
    vanity: [u8; VANITY_LEN],
    validators: Reader<'a>,
    seal: Reader<'a>,
    committed_seals: Reader<'a>,
}

impl<'a> Parts<'a> {
    fn split(extra: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((vanity, list)) = extra.split_first_chunk::<VANITY_LEN>() else {
            let kind = DecodeErrorKind::WrongLength { expected: VANITY_LEN, got: extra.len() };
            return Err(DecodeError::new("extra.vanity", 0, kind));
        };
        let mut input = Reader::at(list, VANITY_LEN);
        let mut list = input.list("extra")?;
        input.end("extra")?;
        let validators = list.list("extra.validators")?;
        let seal = list.clone();
        list.bytes("extra.seal")?;
        let committed_seals = list.list("extra.committedSeals")?;
        list.end("extra")?;
        Ok(Self { vanity: *vanity, validators, seal, committed_seals })
    }

    fn seal(&self) -> Result<&'a [u8], DecodeError> {
        self.seal.clone().bytes("extra.seal")
    }
}
