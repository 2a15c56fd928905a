//! Randao header fields: the proposer's BLS signature over the block number, and what is mixed from it.
//!
//! Keys have 48 bytes (G1), signatures 96 (G2). A key counts only with a proof that its owner holds the secret.
//!
//! ```
//! use klay_core::B256;
//! use klay_vm::randao::{ProvenKey, RevealSigner};
//!
//! let signer = RevealSigner::from_secret(&[7; 32])?;
//! let key = ProvenKey::new(&signer.public_key(), &signer.proof())?;
//! let (reveal, mix) = signer.fields(100, B256::ZERO);
//! key.verify(100, &reveal, mix.as_slice(), B256::ZERO)?;
//! # Ok::<_, klay_vm::randao::RandaoError>(())
//! ```
//!
//! Source: spec 30, sections 8.1 and 8.2; KIP-113, KIP-114; `consensus/istanbul/backend/randao.go` in the reference
//! client.

mod keys;

use core::fmt;

use blst::{
    BLST_ERROR,
    min_pk::{PublicKey, SecretKey, Signature},
};
use klay_core::{Address, B256, Fork, U256, block::Header, config::ChainConfig, keccak256};

pub use keys::{ProposerKeys, RegisteredKeys};

use crate::system::SystemError;

const REVEAL_TAG: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
const PROOF_TAG: &[u8] = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
const KEY_LEN: usize = 48;
const REVEAL_LEN: usize = 96;

/// Why Randao fields were not accepted, or could not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RandaoError {
    /// Keys could not be read.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The configuration names no KIP-113 contract for the fork block.
    #[error("randaoRegistry has no record KIP113")]
    NoRegistry,
    /// The proposer has registered no key.
    #[error("proposer {proposer} has no BLS key")]
    NoKey {
        /// The proposer.
        proposer: Address,
    },
    /// Not a secret key: zero, or beyond the order of the curve.
    #[error("not a BLS secret key")]
    InvalidSecret,
    /// Not a point of the right group, or the identity.
    #[error("not a BLS public key")]
    InvalidKey,
    /// The proof of possession does not verify.
    #[error("proof of possession does not verify")]
    InvalidProof,
    /// The reveal is not the proposer's signature over the block number.
    #[error("random reveal of block {number} does not verify")]
    InvalidReveal {
        /// The block.
        number: u64,
    },
    /// The mix hash does not follow from the reveal.
    #[error("mix hash is {got}, not {expected}")]
    WrongMix {
        /// From the reveal and the mix before.
        expected: B256,
        /// The header's; zero if it has another length.
        got: B256,
    },
}

/// A public key whose owner has proven to hold the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenKey(PublicKey);

impl ProvenKey {
    /// Checks a key and its proof.
    ///
    /// # Errors
    /// If the key is no point of the right group or the identity, or the proof does not verify.
    pub fn new(key: &[u8], proof: &[u8]) -> Result<Self, RandaoError> {
        let public = PublicKey::key_validate(key).map_err(|_| RandaoError::InvalidKey)?;
        if key.len() != KEY_LEN || !verifies(proof, key, PROOF_TAG, &public) {
            return Err(RandaoError::InvalidProof);
        }
        Ok(Self(public))
    }

    /// Whether `reveal` is this key's signature over the number of the block.
    pub fn reveals(&self, number: u64, reveal: &[u8]) -> bool {
        verifies(reveal, &message(number), REVEAL_TAG, &self.0)
    }

    /// Checks the two fields of the header of block `number`, given the mix before.
    ///
    /// # Errors
    /// If the reveal is not this key's signature, or the mix does not follow from it.
    pub fn verify(&self, number: u64, reveal: &[u8], mix: &[u8], previous: B256) -> Result<(), RandaoError> {
        if !self.reveals(number, reveal) {
            return Err(RandaoError::InvalidReveal { number });
        }
        let expected = mixed(previous, reveal);
        if mix != expected.as_slice() {
            return Err(RandaoError::WrongMix { expected, got: B256::try_from(mix).unwrap_or_default() });
        }
        Ok(())
    }
}

/// Holds a proposer's BLS secret, which is erased when it is dropped and never shown.
pub struct RevealSigner(SecretKey);

impl RevealSigner {
    /// From the secret, big endian.
    ///
    /// # Errors
    /// If it is zero or beyond the order of the curve.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, RandaoError> {
        SecretKey::from_bytes(secret).map(Self).map_err(|_| RandaoError::InvalidSecret)
    }

    /// The secret that the reference client derives from a node key.
    ///
    /// # Errors
    /// Never for 32 bytes.
    pub fn derive(node_key: &[u8; 32]) -> Result<Self, RandaoError> {
        SecretKey::key_gen(node_key, &[]).map(Self).map_err(|_| RandaoError::InvalidSecret)
    }

    /// The public key to be registered.
    pub fn public_key(&self) -> [u8; KEY_LEN] {
        self.0.sk_to_pk().to_bytes()
    }

    /// The proof of possession to be registered with it.
    pub fn proof(&self) -> [u8; REVEAL_LEN] {
        self.0.sign(&self.public_key(), PROOF_TAG, &[]).to_bytes()
    }

    /// Reveal and mix for the header of block `number`, given the mix before.
    pub fn fields(&self, number: u64, previous: B256) -> ([u8; REVEAL_LEN], B256) {
        let reveal = self.0.sign(&message(number), REVEAL_TAG, &[]).to_bytes();
        (reveal, mixed(previous, &reveal))
    }
}

impl fmt::Debug for RevealSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevealSigner")
            .field("public_key", &klay_core::Bytes::from(self.public_key().to_vec()))
            .finish_non_exhaustive()
    }
}

/// The mix that the block after `parent` starts from: zero at the fork block.
pub fn previous_mix(config: &ChainConfig, parent: &Header) -> B256 {
    let is_fork_parent = parent.number.checked_add(1).is_some_and(|next| config.forks.starts_at(Fork::Randao, next));
    match &parent.mix_hash {
        Some(mix) if !is_fork_parent => B256::try_from(mix.as_ref()).unwrap_or_default(),
        _ => B256::ZERO,
    }
}

/// The mix before, xored with the hash of the reveal.
fn mixed(previous: B256, reveal: &[u8]) -> B256 {
    previous ^ keccak256(reveal)
}

fn message(number: u64) -> [u8; 32] {
    U256::from(number).to_be_bytes()
}

fn verifies(signature: &[u8], message: &[u8], tag: &[u8], key: &PublicKey) -> bool {
    signature.len() == REVEAL_LEN
        && Signature::uncompress(signature)
            .is_ok_and(|signature| signature.verify(true, message, tag, &[], key, false) == BLST_ERROR::BLST_SUCCESS)
}
