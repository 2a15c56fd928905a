//! Rules that pool and executor share.

use klay_core::{
    Rules,
    tx::{FeeMode, RecoveredTx},
};

use crate::{error::TxError, state::State};

/// Gas that a transaction costs before anything is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IntrinsicGas {
    /// Type, data, lists, new key and signatures.
    pub total: u64,
    /// The floor of EIP-7623 with signatures; 0 before Prague.
    pub floor: u64,
}

/// The rules of the type that the bytes decide: reserved recipients, deployments, activation.
///
/// # Errors
/// The first rule that fails.
pub fn static_rules<F: FeeMode>(_tx: &RecoveredTx<F>, _rules: Rules) -> Result<(), TxError> {
    todo!()
}

/// The rules of the type that need the state: recipients with or without code, the replacement of a key.
///
/// # Errors
/// The first rule that fails.
pub fn state_rules<F: FeeMode>(_tx: &RecoveredTx<F>, _state: &State) -> Result<(), TxError> {
    todo!()
}

/// Whether the sender's signatures speak for the sender; gives the gas of the signatures.
///
/// # Errors
/// [`TxError::Sender`].
pub fn authorize_sender<F: FeeMode>(_tx: &RecoveredTx<F>, _state: &State, _rules: Rules) -> Result<u64, TxError> {
    todo!()
}

/// Whether the fee payer's signatures speak for the fee payer; gives the gas of the signatures, 0 without a payer.
///
/// # Errors
/// [`TxError::FeePayer`].
pub fn authorize_payer<F: FeeMode>(_tx: &RecoveredTx<F>, _state: &State, _rules: Rules) -> Result<u64, TxError> {
    todo!()
}

/// Intrinsic gas without the gas of signatures: type, data, lists and a new key.
///
/// # Errors
/// On overflow, or if a new key has too many keys.
pub fn intrinsic_gas<F: FeeMode>(_tx: &RecoveredTx<F>, _rules: Rules) -> Result<IntrinsicGas, TxError> {
    todo!()
}
