//! Intrinsic gas of a transaction, by type and fork, without the gas of account keys and signatures.
//!
//! Source: spec 10, sections 4.1 and 4.2; `blockchain/types/tx_internal_data.go` in the reference client.

use super::view::TxView;
use crate::config::{Fork, Rules};

/// What every transaction costs.
pub const TX_GAS: u64 = 21_000;
/// What a transaction costs that creates a contract.
pub const TX_GAS_CREATION: u64 = 53_000;
/// Added where a fee payer pays everything.
pub const TX_GAS_FEE_DELEGATED: u64 = 10_000;
/// Added where a fee payer pays a share.
pub const TX_GAS_FEE_DELEGATED_WITH_RATIO: u64 = 15_000;
/// Added for a human-readable address, which validation refuses afterwards.
pub const TX_GAS_HUMAN_READABLE: u64 = 4_000_000_000;
/// Per byte of input before Prague.
pub const TX_DATA_GAS: u64 = 100;
/// Per byte of input other than zero before Istanbul, in legacy transactions.
pub const TX_DATA_NON_ZERO_GAS_FRONTIER: u64 = 68;
/// Per byte of input other than zero from Prague on.
pub const TX_DATA_NON_ZERO_GAS: u64 = 16;
/// Per zero byte of input, where zero bytes have a price of their own.
pub const TX_DATA_ZERO_GAS: u64 = 4;
/// Per started word of init code from Shanghai on.
pub const INIT_CODE_WORD_GAS: u64 = 2;
/// Per token of input in the floor of EIP-7623; a zero byte is one token, another four.
pub const FLOOR_GAS_PER_TOKEN: u64 = 10;
/// Per entry of an access list.
pub const ACCESS_LIST_ADDRESS_GAS: u64 = 2_400;
/// Per storage key of an access list.
pub const ACCESS_LIST_STORAGE_KEY_GAS: u64 = 1_900;
/// Per EIP-7702 authorization.
pub const AUTHORIZATION_GAS: u64 = 25_000;

/// Why gas cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GasError {
    /// More than 64 bits.
    #[error("gas uint64 overflow")]
    Overflow,
}

/// Type, data and list gas under `rules`; the gas of a new account key and of signatures is not part of it.
///
/// # Errors
/// On overflow of 64 bits.
pub fn intrinsic(tx: &TxView<'_>, rules: Rules) -> Result<u64, GasError> {
    let base = if tx.is_creation() { TX_GAS_CREATION } else { TX_GAS };
    let human_readable = if tx.human_readable { TX_GAS_HUMAN_READABLE } else { 0 };
    sum([base, delegation(tx), human_readable, data(tx, rules)?, lists(tx)?])
}

/// The floor of EIP-7623 without signature gas; applies from Prague.
///
/// # Errors
/// On overflow of 64 bits.
pub fn floor(tx: &TxView<'_>) -> Result<u64, GasError> {
    let base = if tx.tx_type.is_klaytn() && tx.is_creation() { TX_GAS_CREATION } else { TX_GAS };
    let (zero, other) = count(tx.input);
    let tokens = times(other, 4).and_then(|tokens| sum([tokens, zero]))?;
    sum([base, delegation(tx), times(tokens, FLOOR_GAS_PER_TOKEN)?])
}

const fn delegation(tx: &TxView<'_>) -> u64 {
    if tx.tx_type.has_ratio() {
        TX_GAS_FEE_DELEGATED_WITH_RATIO
    } else if tx.tx_type.is_fee_delegated() {
        TX_GAS_FEE_DELEGATED
    } else {
        0
    }
}

fn data(tx: &TxView<'_>, rules: Rules) -> Result<u64, GasError> {
    let bytes = tx.input.len() as u64;
    let words = if tx.is_creation() && rules.has(Fork::Shanghai) { bytes.div_ceil(32) } else { 0 };
    let per_byte = |non_zero_gas| {
        let (zero, other) = count(tx.input);
        sum([times(other, non_zero_gas)?, times(zero, TX_DATA_ZERO_GAS)?])
    };
    let input = if rules.has(Fork::Prague) {
        per_byte(TX_DATA_NON_ZERO_GAS)?
    } else if tx.tx_type.is_klaytn() || rules.has(Fork::Istanbul) {
        times(bytes, TX_DATA_GAS)?
    } else {
        per_byte(TX_DATA_NON_ZERO_GAS_FRONTIER)?
    };
    sum([input, times(words, INIT_CODE_WORD_GAS)?])
}

fn lists(tx: &TxView<'_>) -> Result<u64, GasError> {
    let items = tx.access_list.map_or(&[][..], |list| &list.0);
    let keys = items.iter().map(|item| item.storage_keys.len() as u64).sum();
    let authorizations = tx.authorization_list.map_or(0, <[_]>::len) as u64;
    sum([
        times(items.len() as u64, ACCESS_LIST_ADDRESS_GAS)?,
        times(keys, ACCESS_LIST_STORAGE_KEY_GAS)?,
        times(authorizations, AUTHORIZATION_GAS)?,
    ])
}

/// Zero bytes and others.
fn count(input: &[u8]) -> (u64, u64) {
    let zero = input.iter().filter(|byte| **byte == 0).count() as u64;
    (zero, input.len() as u64 - zero)
}

fn times(count: u64, gas: u64) -> Result<u64, GasError> {
    count.checked_mul(gas).ok_or(GasError::Overflow)
}

fn sum<const N: usize>(parts: [u64; N]) -> Result<u64, GasError> {
    parts.into_iter().try_fold(0, u64::checked_add).ok_or(GasError::Overflow)
}
