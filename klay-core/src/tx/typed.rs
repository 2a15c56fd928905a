//! A Klaytn transaction: body, fee mode, signatures. Preimages, hashes and codec are written once for all of them.
use super::{body::Body, payload::Payload};
use crate::crypto::Signatures;

/// A body under a fee mode, with the sender's signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tx<F, P = Payload> {
    /// What is asked.
    pub body: Body<P>,
    /// Who pays.
    pub fee: F,
    /// The sender's signatures.
    pub signatures: Signatures,
}
