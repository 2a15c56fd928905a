//! The untyped transaction.
use crate::crypto::Signature;
use alloy_primitives::{Address, Bytes, U256};

/// A legacy transaction: an RLP list without type byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyTx {
    /// Sender's nonce.
    pub nonce: u64,
    /// Price per gas, in peb.
    pub gas_price: U256,
    /// Most gas that may be used.
    pub gas_limit: u64,
    /// Recipient; none creates a contract.
    pub to: Option<Address>,
    /// Amount, in peb.
    pub value: U256,
    /// Call data or init code.
    pub input: Bytes,
    /// The one signature.
    pub signature: Signature,
}
