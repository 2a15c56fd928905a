//! What a unit of gas and a blob cost.
//!
//! Source: spec 30, sections 5.1 and 5.6; `consensus/misc/eip4844` in the reference client.

use alloy_primitives::U256;

use super::header::Header;
use crate::config::{BlobConfig, Fork, Rules};

/// Gas of one blob.
pub const GAS_PER_BLOB: u64 = 131_072;
/// Blob gas costs this many times the base fee.
pub const BLOB_BASE_FEE_MULTIPLIER: u64 = 8;

/// The price per unit of gas that a transaction pays, in peb.
///
/// `fee_cap` and `tip_cap` are the gas price for types that have no separate fields. The price may exceed the cap under
/// Magma; that such a transaction is not in a block is a rule of its own.
///
/// ```
/// use klay_core::{U256, block::effective_gas_price, config::{Fork, Rules}};
///
/// let [base, cap, tip] = [25, 50, 1].map(|n| U256::from(n));
/// assert_eq!(effective_gas_price(Rules::up_to(Fork::London), None, cap, tip), cap);
/// assert_eq!(effective_gas_price(Rules::up_to(Fork::Magma), Some(base), cap, tip), base);
/// assert_eq!(effective_gas_price(Rules::up_to(Fork::Kaia), Some(base), cap, tip), base + tip);
/// ```
pub fn effective_gas_price(rules: Rules, base_fee: Option<U256>, fee_cap: U256, tip_cap: U256) -> U256 {
    match base_fee {
        None => fee_cap,
        Some(base_fee) if rules.has(Fork::Kaia) => base_fee.saturating_add(effective_tip(base_fee, fee_cap, tip_cap)),
        Some(base_fee) => base_fee,
    }
}

/// The part of the price above the base fee, from Kaia, in peb: the tip, as far as the cap leaves room for it.
pub fn effective_tip(base_fee: U256, fee_cap: U256, tip_cap: U256) -> U256 {
    fee_cap.saturating_sub(base_fee).min(tip_cap)
}

/// The price of a unit of blob gas in a block with this base fee, in peb.
pub fn blob_base_fee(base_fee: U256) -> U256 {
    base_fee.saturating_mul(U256::from(BLOB_BASE_FEE_MULTIPLIER))
}

/// The excess blob gas of the block after `parent`; fields that the parent lacks count as zero.
pub fn next_excess_blob_gas(parent: &Header, config: &BlobConfig) -> u64 {
    let total = parent.excess_blob_gas.unwrap_or(0).saturating_add(parent.blob_gas_used.unwrap_or(0));
    total.saturating_sub(config.target.saturating_mul(GAS_PER_BLOB))
}
