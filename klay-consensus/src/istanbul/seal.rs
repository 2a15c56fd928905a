//! Seals: what the proposer and the committee sign into a header.
//!
//! | Seal | Digest |
//! |---|---|
//! | proposer | keccak(keccak(header without seals)): hashed twice |
//! | committed | keccak(block hash ‖ `0x02`) |
//!
//! Both have the form `r ‖ s ‖ v` with `v` 0 or 1, 65 bytes. High `s` is accepted.
//!
//! Source: chapter 50, sections 1.2 and 1.3.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes};
use klay_core::{
    DecodeError, PublicKey, Sign, Signature,
    block::{Header, IstanbulExtra},
    crypto::{keccak256, recover_compact},
};

use super::{HeaderValue, Klaytn};
use crate::types::{Committee, Domain, SignError, Signer, Verifier};

/// `r ‖ s ‖ v`.
pub type Seal = [u8; 65];

/// Why `extra` cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// What is there does not decode.
    #[error(transparent)]
    Extra(#[from] DecodeError),
    /// A committed block has at least one committed seal.
    #[error("invalid committed seals")]
    NoCommittedSeals,
}

/// `extra` of a new block: vanity cut or padded with zeros to 32 bytes with round 0, the validators, no seals.
pub fn new_extra(vanity: &[u8], validators: Vec<Address>) -> Bytes {
    let mut padded = [0; 32];
    for (to, from) in padded.iter_mut().zip(vanity.iter().take(31)) {
        *to = *from;
    }
    IstanbulExtra { vanity: padded, validators, seal: Vec::new(), committed_seals: Vec::new() }.encode().into()
}

/// `extra` with the proposer's seal in it.
///
/// # Errors
/// If `extra` does not decode.
pub fn with_seal(extra: &[u8], seal: &Seal) -> Result<Bytes, WriteError> {
    let mut extra = IstanbulExtra::decode(extra)?;
    extra.seal = seal.to_vec();
    Ok(extra.encode().into())
}

/// What the proposer signs.
pub fn proposer_digest(header: &Header) -> B256 {
    keccak256(header.seal_hash())
}

/// Block hash and the code of a commit message: what a committed seal is about.
pub fn committed_preimage(block_hash: B256) -> [u8; 33] {
    let mut preimage = [2; 33];
    preimage[..32].copy_from_slice(block_hash.as_slice());
    preimage
}

/// What a member of the committee signs.
pub fn committed_digest(block_hash: B256) -> B256 {
    keccak256(committed_preimage(block_hash))
}

/// The account that made a seal; `None` if it is not one.
pub fn seal_author(digest: B256, seal: &Seal) -> Option<Address> {
    recover_compact(digest, seal).ok().map(|key| key.address())
}

/// The 65-byte form of a signature whose `v` is the bare parity.
pub fn compact(signature: &Signature) -> Seal {
    let mut seal = [0; 65];
    seal[..32].copy_from_slice(&signature.r.to_be_bytes::<32>());
    seal[32..64].copy_from_slice(&signature.s.to_be_bytes::<32>());
    seal[64] = signature.v.to::<u64>() as u8 & 1;
    seal
}

/// A signer of Klaytn chains over any key holder.
#[derive(Debug)]
pub struct KeySigner<K> {
    key: K,
    address: Address,
}

impl<K: Sign> KeySigner<K> {
    /// Signs with `key`, under the address of its public half.
    pub fn new(key: K) -> Self {
        let address = key.public_key().address();
        Self { key, address }
    }

    /// Whose signatures these are.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The public half of the key.
    pub fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }
}

impl<K: Sign, V: HeaderValue> Signer<Klaytn<V>> for KeySigner<K> {
    fn id(&self) -> Address {
        self.address
    }

    fn sign(&self, _domain: Domain, digest: [u8; 32]) -> Result<Seal, SignError> {
        match self.key.sign_digest(digest.into()) {
            Ok(signature) => Ok(compact(&signature)),
            Err(klay_core::auth::SignError::NoKey(_)) => Err(SignError::NoKey),
            Err(_) => Err(SignError::Failed),
        }
    }
}

/// Finds out who made a signature. An engine asks this of everything it is sent.
///
/// A cache behind it must be keyed by digest *and* signature: one keyed by signature alone takes a known seal for any
/// block (the reference's fault D8).
pub trait Authors: core::fmt::Debug + Send + Sync {
    /// The account that made `seal` over `digest`; `None` if it is no signature.
    fn author(&self, digest: B256, seal: &Seal) -> Option<Address>;
}

/// Whether `seals` are of a quorum of distinct members over one digest.
pub(crate) fn is_quorum(digest: B256, seals: &[Seal], committee: &Committee<Address>, authors: &dyn Authors) -> bool {
    let mut voters = BTreeSet::new();
    // More seals than members would be work for nothing.
    seals.len() >= committee.quorum as usize
        && seals.len() <= committee.members.len()
        && seals
            .iter()
            .all(|seal| authors.author(digest, seal).is_some_and(|who| committee.is_member(who) && voters.insert(who)))
}

/// Checks signatures by recovering their signer. Knows no keys and keeps no state.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recover;

impl Authors for Recover {
    fn author(&self, digest: B256, seal: &Seal) -> Option<Address> {
        seal_author(digest, seal)
    }
}

impl<V: HeaderValue> Verifier<Klaytn<V>> for Recover {
    fn verify(&self, who: Address, _domain: Domain, digest: [u8; 32], sig: &Seal) -> bool {
        seal_author(digest.into(), sig) == Some(who)
    }
}
