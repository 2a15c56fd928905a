//! What is asked, before anyone signs.

use alloy_primitives::{Address, U256};

use super::{fee::FeeMode, payload::Payload, typed::Tx};
use crate::crypto::Signatures;

/// The sender's request: everything but who pays and the signatures.
///
/// ```
/// use klay_core::{Body, SenderPays, U256, address, tx::payload::ValueTransfer, units};
///
/// let body: Body = Body {
///     nonce: 7,
///     gas_price: units::ston(25),
///     gas_limit: 21_000,
///     from: address!("0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b"),
///     payload: ValueTransfer { to: address!("0x7b65b75d204abed71587c9e519a89277766ee1d0"), value: units::klay(1) }.into(),
/// };
/// let tx = body.paid_by(SenderPays);
/// assert_eq!(tx.tx_type().name(), "TxTypeValueTransfer");
/// ```
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
    pub const fn paid_by<F: FeeMode>(self, fee: F) -> Tx<F, P> {
        Tx { body: self, fee, signatures: Signatures::EMPTY }
    }
}
