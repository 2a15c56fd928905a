//! Execution without a transaction: `eth_call`, estimates, access lists.

use std::{collections::BTreeMap, sync::Arc};

use klay_core::{
    Address, B256, Bytes, U256,
    block::{Log, Status},
};

use crate::{
    env::BlockContext,
    state::{State, StateError},
};

/// A message to execute. `Default` is a call from 0x0 with nothing in it.
#[derive(Debug, Clone, Default)]
pub struct CallRequest {
    /// The sender; 0x0 by default.
    pub from: Address,
    /// Recipient; none creates a contract.
    pub to: Option<Address>,
    /// Gas limit, already capped by the caller's own rules.
    pub gas: u64,
    /// Effective price per gas, in peb; what GASPRICE pushes.
    pub gas_price: U256,
    /// Amount moved, in peb.
    pub value: U256,
    /// Call data or init code.
    pub input: Bytes,
    /// EIP-2930 list.
    pub access_list: Vec<(Address, Vec<B256>)>,
    /// EIP-7702 authorizations.
    pub authorization_list: Vec<alloy_eips::eip7702::SignedAuthorization>,
    /// Replaced parts of the state.
    pub overrides: BTreeMap<Address, AccountOverride>,
    /// Tells whether the time is over; asked every few thousand instructions.
    pub deadline: Option<Deadline>,
}

/// A question that long executions ask: is the time over?
#[derive(Clone)]
pub struct Deadline(pub Arc<dyn Fn() -> bool + Send + Sync>);

impl core::fmt::Debug for Deadline {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Deadline")
    }
}

/// What to replace in one account before a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountOverride {
    /// Balance in peb.
    pub balance: Option<U256>,
    /// Nonce.
    pub nonce: Option<u64>,
    /// Code.
    pub code: Option<Bytes>,
    /// The whole storage. Excludes `state_diff`.
    pub state: Option<BTreeMap<B256, B256>>,
    /// Single storage words.
    pub state_diff: Option<BTreeMap<B256, B256>>,
}

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOutcome {
    /// 1, or the failure's code; its text is [`Status::error_text`].
    pub status: Status,
    /// Return data, revert data; the address of a created contract is in `created`.
    pub output: Bytes,
    /// Gas used after refunds.
    pub gas_used: u64,
    /// Logs; empty on failure.
    pub logs: Vec<Log>,
    /// Address of a created contract.
    pub created: Option<Address>,
    /// Sum of the computation cost of all instructions.
    pub computation_cost: u64,
}

/// Why a call was not executed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The message is not applicable (intrinsic gas, funds, init code size).
    #[error("{0}")]
    NotApplicable(#[from] crate::error::TxError),
    /// The deadline passed.
    #[error("execution aborted (timeout)")]
    Timeout,
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Executes `request` on top of `state` as part of the block of `ctx`; nothing is changed.
///
/// The nonce is not checked, the fee is credited to the sender first, and the computation cost is not limited.
///
/// # Errors
/// If the message is not applicable, the time is over, or the state cannot be read. A failed execution is an outcome.
///
/// Source: spec 40, section 6.1.
pub fn call(_state: &State, _ctx: &BlockContext, _request: &CallRequest) -> Result<CallOutcome, CallError> {
    todo!()
}

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

/// Searches the least gas limit, at most `cap`, with which `request` succeeds.
///
/// # Errors
/// As [`call`].
///
/// Source: spec 40, section 6.2.
pub fn estimate_gas(
    _state: &State,
    _ctx: &BlockContext,
    _request: &CallRequest,
    _cap: u64,
) -> Result<Estimate, CallError> {
    todo!()
}

/// The access list that makes every access of `request` warm, and the outcome with that list.
///
/// # Errors
/// As [`call`].
pub fn create_access_list(
    _state: &State,
    _ctx: &BlockContext,
    _request: &CallRequest,
) -> Result<(Vec<(Address, Vec<B256>)>, CallOutcome), CallError> {
    todo!()
}
