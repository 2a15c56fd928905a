//! Intrinsic gas of a transaction, by type and fork, without signature gas.
use super::view::TxView;
use crate::config::Rules;

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
pub fn intrinsic(_tx: &TxView<'_>, _rules: Rules) -> Result<u64, GasError> {
    todo!()
}

/// The floor of EIP-7623 without signature gas; applies from Prague.
///
/// # Errors
/// On overflow of 64 bits.
pub fn floor(_tx: &TxView<'_>) -> Result<u64, GasError> {
    todo!()
}
