//! Signatures: who makes them, who checks them, and over what kind of thing.

use super::Model;

/// What a digest stands for, so that a remote signer can apply a policy and a log can be read.
///
/// The digest itself separates the domains; this is a label, not an input to the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Domain {
    /// The proposer's signature inside a header.
    ProposerSeal,
    /// A voter's signature that the chain keeps as proof.
    CommittedSeal,
    /// A message between validators.
    Message,
}

/// Why a signer did not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The key is not held, or is locked.
    #[error("the signing key is not available")]
    NoKey,
    /// The operation failed.
    #[error("signing failed")]
    Failed,
}

/// Why there is no signature for an engine's request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignRefused {
    /// The statement contradicts an earlier one, or lies below it.
    #[error("the gate refuses: {0}")]
    Conflict(crate::gate::Conflict),
    /// The signer failed.
    #[error(transparent)]
    Signer(#[from] SignError),
    /// The log failed, or the node follows without a key; nothing will be signed any more.
    #[error("signing is switched off")]
    Off,
}

/// Holds one key. Given to a [`Gate`](crate::gate::Gate) and to nobody else.
pub trait Signer<M: Model> {
    /// Whose signatures these are.
    fn id(&self) -> M::Peer;

    /// Signs a digest. Must be deterministic (RFC 6979 for ECDSA), so that a message can be sent again byte by byte
    /// after a restart.
    ///
    /// # Errors
    /// If the key cannot be used.
    fn sign(&self, domain: Domain, digest: [u8; 32]) -> Result<M::Sig, SignError>;
}

/// Checks signatures.
pub trait Verifier<M: Model> {
    /// Whether `sig` is a signature of `who` over `digest`.
    fn verify(&self, who: M::Peer, domain: Domain, digest: [u8; 32], sig: &M::Sig) -> bool;
}
