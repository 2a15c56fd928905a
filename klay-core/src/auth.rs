//! Who may sign what: roles, signers, and accounts that accept signers.

use alloy_primitives::{Address, B256};

use crate::crypto::{PublicKey, Signature};

/// The part that a list of signatures plays, and therefore which member of a role-based key answers for it.
///
/// Source: spec 20, section 2.5; `blockchain/types/accountkey` in the reference client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Sender of every transaction but an account update.
    Transaction = 0,
    /// Sender of an account update.
    AccountUpdate = 1,
    /// Fee payer.
    FeePayer = 2,
}

/// Why a signer did not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The secret key is not held, or is locked.
    #[error("no key for {0}")]
    NoKey(Address),
    /// The curve operation failed.
    #[error("signing failed")]
    Failed,
}

/// Something that holds one secret key and signs 32-byte digests with it.
pub trait Sign {
    /// The public half of the key.
    fn public_key(&self) -> PublicKey;

    /// Signs `digest` and returns `r`, `s` and the parity of `y` (as `v` 0 or 1), with low `s`.
    ///
    /// # Errors
    /// If the key cannot be used.
    fn sign_digest(&self, digest: B256) -> Result<Signature, SignError>;
}

/// Would this account accept these signers in this role?
///
/// Implemented by account keys; a sponsor that only needs the answer does not need the accounts crate.
pub trait Authority {
    /// The reason of a refusal.
    type Error;

    /// Decides whether `signers`, in the order of the signatures, speak for `address` in `role`.
    ///
    /// # Errors
    /// If they do not.
    fn authorize(&self, role: Role, address: Address, signers: &[PublicKey]) -> Result<(), Self::Error>;
}
