//! The base fee of KIP-71.
//!
//! The text of the KIP lacks the clamping of the parent's fee and the evenness of the bounds; the reference client's
//! order of steps, kept here, is what blocks follow.
//!
//! Source: spec 30, section 5.2; `consensus/misc/kip71.go` in the reference client.

use alloy_primitives::U256;

use super::header::Header;
use crate::config::Kip71Config;

/// What stands in for a denominator of zero.
const ZERO_DENOMINATOR: u64 = 64;

/// The target of gas per block is zero, which leaves no base fee to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("kip71.gastarget is 0, parent used {gas_used} gas")]
pub struct ZeroGasTarget {
    /// Gas used by the parent.
    pub gas_used: u64,
}

/// The base fee of the block after `parent`, in peb, under the parameters effective at the new block.
///
/// ```
/// use klay_core::{U256, block::{Header, base_fee}, config::Kip71Config};
///
/// let parent =
///     Header { number: 7, gas_used: 40_000_000, base_fee: Some(U256::from(300_000_000_000u64)), ..Header::default() };
/// assert_eq!(base_fee::next(&parent, &Kip71Config::default())?, U256::from(305_000_000_000u64));
/// # Ok::<_, base_fee::ZeroGasTarget>(())
/// ```
///
/// # Errors
/// If the target is zero and the parent used gas.
pub fn next(parent: &Header, params: &Kip71Config) -> Result<U256, ZeroGasTarget> {
    let lower = params.lower_bound_base_fee.saturating_add(params.lower_bound_base_fee % 2);
    let upper = params.upper_bound_base_fee - params.upper_bound_base_fee % 2;
    let fee = match parent.base_fee {
        Some(fee) if parent.number != 0 => moved(clamp(fee, lower, upper), parent.gas_used, lower, upper, params)?,
        _ => lower,
    };
    Ok(U256::from(fee - fee % 2))
}

fn moved(fee: u64, gas_used: u64, lower: u64, upper: u64, params: &Kip71Config) -> Result<u64, ZeroGasTarget> {
    let gas = gas_used.min(params.max_block_gas_used_for_base_fee);
    let target = params.gas_target;
    if gas == target || (gas > target && fee == upper) || (gas < target && fee == lower) {
        return Ok(fee);
    }
    if target == 0 {
        return Err(ZeroGasTarget { gas_used });
    }
    let denominator = match params.base_fee_denominator {
        0 => ZERO_DENOMINATOR,
        denominator => denominator,
    };
    let change = u128::from(fee) * u128::from(gas.abs_diff(target)) / u128::from(target) / u128::from(denominator);
    Ok(if gas > target {
        saturate(u128::from(fee) + change.max(1)).min(upper)
    } else {
        fee.saturating_sub(saturate(change)).max(lower)
    })
}

/// The upper bound is tested first; the two may be the wrong way round.
fn clamp(fee: U256, lower: u64, upper: u64) -> u64 {
    if fee >= U256::from(upper) {
        upper
    } else if fee <= U256::from(lower) {
        lower
    } else {
        fee.saturating_to()
    }
}

fn saturate(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
