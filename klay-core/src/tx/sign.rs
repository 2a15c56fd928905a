//! Signing with one or several keys.

use alloy_primitives::{B256, U256};

use crate::{
    auth::{Sign, SignError},
    crypto::{Signature, Signatures},
};

/// Most signatures that one party may make; a weighted multisig has no more keys.
pub const MAX_SIGNATURES: usize = 10;

/// Why a party's signatures were not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignTxError {
    /// No key to sign with.
    #[error("slice is empty")]
    NoSigner,
    /// More signatures than any account key can use.
    #[error("the number of keys exceeds the limit: {got}, at most {max}")]
    TooMany {
        /// Signatures that there would be.
        got: usize,
        /// [`MAX_SIGNATURES`].
        max: usize,
    },
    /// Legacy and Ethereum transactions carry one signature.
    #[error("the number of signatures should be one")]
    NotSingle {
        /// Signers given.
        got: usize,
    },
    /// The transaction names another chain than the one to sign for.
    #[error("invalid chain id for signer: the transaction says {got}, asked to sign for {expected}")]
    ChainId {
        /// Chain id to sign for.
        expected: u64,
        /// Chain id in the transaction.
        got: U256,
    },
    /// A key refused.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Signs `digest` with each of `signers`, in order, for the chain `chain_id`.
///
/// # Errors
/// Without signers, with more than [`MAX_SIGNATURES`], or if one cannot sign.
pub fn sign_all(digest: B256, chain_id: u64, signers: &[&dyn Sign]) -> Result<Signatures, SignTxError> {
    if signers.is_empty() {
        return Err(SignTxError::NoSigner);
    }
    if signers.len() > MAX_SIGNATURES {
        return Err(SignTxError::TooMany { got: signers.len(), max: MAX_SIGNATURES });
    }
    signers.iter().map(|signer| Ok(signer.sign_digest(digest)?.with_chain_id(chain_id))).collect()
}

/// Signs `digest` with the only one of `signers`; `v` of the result is the parity.
pub(super) fn sign_one(digest: B256, signers: &[&dyn Sign]) -> Result<Signature, SignTxError> {
    match signers {
        [signer] => Ok(signer.sign_digest(digest)?),
        [] => Err(SignTxError::NoSigner),
        more => Err(SignTxError::NotSingle { got: more.len() }),
    }
}
