//! The least gas with which a call succeeds.
//!
//! Source: spec 40, section 6.2.

use super::{CallError, CallOutcome, CallRequest, call};
use crate::{env::BlockContext, error::TxError, state::State};

/// No transaction takes less gas than one more than this.
const BELOW_ANY: u64 = 20_999;

/// The outcome of an estimate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Estimate {
    /// The least gas limit with which the call succeeds.
    Gas(u64),
    /// The call fails with any gas limit up to the cap for another reason than gas.
    Fails(CallOutcome),
    /// The cap is too low: "gas required exceeds allowance (cap)".
    ExceedsAllowance(u64),
}

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct EstimateError {
    /// The gas limit that was tried.
    pub gas: u64,
    /// What came of it.
    #[source]
    pub error: CallError,
}

/// Searches the least gas limit, at most `cap`, with which `request` succeeds.
///
/// The limit on computation cost is no part of it: a transaction with the estimate can still fail by it.
///
/// # Errors
/// As [`call`], except that too little gas is an outcome.
pub fn estimate_gas(
    state: &State,
    ctx: &BlockContext,
    request: &CallRequest,
    cap: u64,
) -> Result<Estimate, EstimateError> {
    let mut request = request.clone();
    let (mut low, mut high) = (BELOW_ANY, cap);
    while low.saturating_add(1) < high {
        let middle = low + (high - low) / 2;
        match attempt(state, ctx, &mut request, middle)? {
            Some(outcome) if outcome.status.is_success() => high = middle,
            _ => low = middle,
        }
    }
    if high == cap {
        return Ok(match attempt(state, ctx, &mut request, high)? {
            Some(outcome) if outcome.status.is_success() => Estimate::Gas(high),
            Some(outcome) if outcome.status.0 != 0x07 => Estimate::Fails(outcome),
            _ => Estimate::ExceedsAllowance(cap),
        });
    }
    Ok(Estimate::Gas(high))
}

/// The outcome with this gas limit, none if the limit does not even cover the intrinsic gas.
fn attempt(
    state: &State,
    ctx: &BlockContext,
    request: &mut CallRequest,
    gas: u64,
) -> Result<Option<CallOutcome>, EstimateError> {
    request.gas = gas;
    match call(state, ctx, request) {
        Ok(outcome) => Ok(Some(outcome)),
        Err(CallError::NotApplicable(TxError::IntrinsicGas { .. } | TxError::FloorDataGas { .. })) => Ok(None),
        Err(error) => Err(EstimateError { gas, error }),
    }
}
