//! What is asked, before anyone signs.
use super::{fee::FeeMode, payload::Payload, typed::Tx};
use alloy_primitives::{Address, U256};

/// The sender's request: everything but who pays and the signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body<P = Payload> {
    /// Number of transactions the sender has sent before.
    pub nonce: u64,
    /// Price per gas, in peb.
    pub gas_price: U256,
    /// Most gas that may be used.
    pub gas_limit: u64,
    /// The account that asks.
    pub from: Address,
    /// What it asks for.
    pub payload: P,
}

impl<P> Body<P> {
    /// Adds who pays; the result has no signatures yet.
    pub fn paid_by<F: FeeMode>(self, fee: F) -> Tx<F, P> {
        Tx { body: self, fee, signatures: Default::default() }
    }
}
