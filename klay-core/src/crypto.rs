//! Keccak-256, secp256k1 signatures and the recovery of their signers.

use alloy_primitives::{Address, B256, U256};

/// Keccak-256 of `bytes`.
pub fn keccak256(bytes: impl AsRef<[u8]>) -> B256 {
    use sha3::{Digest, Keccak256};
    B256::from_slice(Keccak256::digest(bytes.as_ref()).as_slice())
}

/// A point on secp256k1 that is not the identity.
///
/// Kept in the uncompressed form (`x ‖ y`, 64 bytes) so that the address costs one hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 64]);

/// One signature as it stands on the wire: three integers.
///
/// `v` is `35 + 2 * chain_id + y` in Klaytn and protected legacy transactions, 27 or 28 in unprotected ones and `y`
/// in Ethereum typed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Signature {
    /// Parity of the nonce point and, mostly, the chain id.
    pub v: U256,
    /// x coordinate of the nonce point.
    pub r: U256,
    /// The proof.
    pub s: U256,
}

/// The signatures of one party, in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Signatures(Vec<Signature>);

/// Why a signature does not yield a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// Not one of the values that recovery accepts: `r` or `s` out of range, high `s`, `y` neither 0 nor 1.
    #[error("invalid transaction v, r, s values")]
    InvalidSignature,
    /// `v` belongs to another chain.
    #[error("invalid chain id for signer")]
    InvalidChainId {
        /// Chain id wanted.
        expected: u64,
        /// Chain id that `v` or the transaction carries.
        got: U256,
    },
    /// More or fewer than one signature where the format has exactly one.
    #[error("the number of signatures should be one")]
    NotSingle {
        /// How many.
        got: usize,
    },
}

impl PublicKey {
    /// From `x ‖ y`.
    pub fn from_uncompressed(_bytes: [u8; 64]) -> Option<Self> { todo!() }
    /// From 33 bytes, `02` or `03` and `x`.
    pub fn from_compressed(_bytes: &[u8]) -> Option<Self> { todo!() }
    /// `x ‖ y`.
    pub const fn as_uncompressed(&self) -> &[u8; 64] { &self.0 }
    /// `02` or `03`, then `x`.
    pub fn to_compressed(&self) -> [u8; 33] { todo!() }
    /// Last 20 bytes of the Keccak-256 of `x ‖ y`.
    pub fn address(&self) -> Address { todo!() }
}

impl core::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PublicKey({})", alloy_primitives::hex::encode(self.to_compressed()))
    }
}

impl Signature {
    /// The parity of `y`, 0 or 1, under `chain_id` (35 + 2 * chain id + y).
    pub fn parity(&self, _chain_id: u64) -> Option<bool> { todo!() }
    /// The chain id in `v`; `None` for 27 and 28 and for values below 35.
    pub fn chain_id(&self) -> Option<U256> { todo!() }
    /// A signature of a Klaytn or protected legacy transaction from `r`, `s` and parity.
    pub fn with_chain_id(self, _chain_id: u64) -> Self { todo!() }
}

/// The key that made a signature with the given parity over `digest`. Refuses high `s`.
///
/// # Errors
/// If the values are out of range or yield no point.
pub fn recover(_digest: B256, _odd_y: bool, _r: U256, _s: U256) -> Result<PublicKey, RecoverError> { todo!() }

/// As [`recover`] for the 65-byte form `r ‖ s ‖ v` with `v` 0 or 1 (seals), without the low-`s` rule.
///
/// # Errors
/// If the values are out of range or yield no point.
pub fn recover_compact(_digest: B256, _signature: &[u8; 65]) -> Result<PublicKey, RecoverError> { todo!() }

impl Signatures {
    /// Wraps a list; an empty one is allowed while a transaction is being built.
    pub const fn new(list: Vec<Signature>) -> Self { Self(list) }
    /// The signatures in order.
    pub fn as_slice(&self) -> &[Signature] { &self.0 }
    /// Adds one at the end.
    pub fn push(&mut self, signature: Signature) { self.0.push(signature); }
}

impl core::ops::Deref for Signatures {
    type Target = [Signature];
    fn deref(&self) -> &[Signature] { &self.0 }
}
