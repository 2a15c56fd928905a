//! Header extra-data of Istanbul: vanity, validators, seals.
use alloy_primitives::Address;

/// The decoded part behind the 32 bytes of vanity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IstanbulExtra {
    /// Free text; the last byte is the round.
    pub vanity: [u8; 32],
    /// What the proposer wrote; not validated by anyone.
    pub validators: Vec<Address>,
    /// Proposer's seal, `r ‖ s ‖ v`, or empty while it is being built.
    pub seal: Vec<u8>,
    /// One seal per committer.
    pub committed_seals: Vec<[u8; 65]>,
}
