//! Execution without a transaction: call, estimates, access lists (spec 40, section 6).

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, B256, U256};
use klay_core::Fork;
use klay_vm::{
    BlockContext, CallError, CallOutcome, CallRequest as VmCall, Deadline, State, StateError, TxError,
    call::{self, AccountOverride, Estimate, EstimateError},
    validate::MAX_INIT_CODE_SIZE,
};
use serde_json::{Value, json};

use super::{
    BOTH, ETH, KAIA,
    defaults::eth_args,
    revert::{go_text, revert_reason},
};
use crate::{
    SealedBlock,
    rpc::{
        RpcError, Services, Table,
        decode::{BlockId, BlockNumber, CallRequest, EthCallRequest, Overrides, access_list, signed},
        shapes::{block::SHOWN_GAS_LIMIT, bytes, quantity},
    },
};

/// The head, where a method lets the block be absent.
pub(super) const HEAD: BlockId = BlockId::Number(BlockNumber::Latest);

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.heavy(&KAIA, "call", move |(request, id): (CallRequest, BlockId)| {
        Scene::new(&s, id)?.call(&request.into(), None)
    });
    let s = Arc::clone(services);
    table.heavy(&ETH, "call", move |(request, id, overrides): (EthCallRequest, BlockId, Option<Overrides>)| {
        Scene::new(&s, id)?.call(&request, overrides.as_ref())
    });
    let s = Arc::clone(services);
    table.heavy(
        &KAIA,
        "estimateGas",
        move |(request, id, overrides): (CallRequest, Option<BlockId>, Option<Overrides>)| {
            let scene = Scene::new(&s, id.unwrap_or(HEAD))?;
            // The overrides change what the sender can pay, and not what is executed; a cap does not bound the gas.
            let bounds = Bounds { price: request.gas_price, funds: overrides.as_ref(), calls: None };
            scene.estimate_gas(&request.into(), bounds).map(quantity)
        },
    );
    let s = Arc::clone(services);
    table.heavy(
        &ETH,
        "estimateGas",
        move |(request, id, overrides): (EthCallRequest, Option<BlockId>, Option<Overrides>)| {
            both_prices(&request.call)?;
            let scene = Scene::new(&s, id.unwrap_or(HEAD))?;
            let overrides = overrides.as_ref();
            scene
                .estimate_gas(&request, Bounds { funds: overrides, calls: overrides, ..Bounds::of(&request) })
                .map(quantity)
        },
    );
    let s = Arc::clone(services);
    table.heavy(&KAIA, "estimateComputationCost", move |(request, id): (CallRequest, BlockId)| {
        let scene = Scene::new(&s, id)?;
        let message = scene.message(&request.into(), None)?;
        Ok(quantity(scene.run(&message)?.computation_cost))
    });
    let s = Arc::clone(services);
    table.heavy(&BOTH, "createAccessList", move |(request, id): (EthCallRequest, Option<BlockId>)| {
        Scene::new(&s, id.unwrap_or(HEAD))?.access_list(&request)
    });
}

impl From<CallRequest> for EthCallRequest {
    fn from(call: CallRequest) -> Self {
        Self { has_from: true, call, ..Self::default() }
    }
}

/// A block and its state, in which messages are executed.
pub(super) struct Scene<'a> {
    services: &'a Services,
    block: Arc<SealedBlock>,
    state: State,
    context: BlockContext,
}

impl<'a> Scene<'a> {
    pub(super) fn new(services: &'a Services, id: BlockId) -> Result<Self, RpcError> {
        let block = services.state_block(id)?;
        let state = services.state_after(&block)?;
        Ok(Self::over(services, block, state))
    }

    /// A block and the state after it.
    pub(super) fn over(services: &'a Services, block: Arc<SealedBlock>, state: State) -> Self {
        let context = services.context(&block);
        Self { services, block, state, context }
    }

    /// The state after the block, and what code sees of the block.
    pub(super) const fn parts(&self) -> (&State, &BlockContext) {
        (&self.state, &self.context)
    }

    fn call(&self, request: &EthCallRequest, overrides: Option<&Overrides>) -> Result<Value, RpcError> {
        let outcome = self.run(&self.message(request, overrides)?)?;
        succeeded(&outcome)?;
        Ok(bytes(&outcome.output))
    }

    fn run(&self, message: &VmCall) -> Result<CallOutcome, RpcError> {
        call::call(&self.state, &self.context, message).map_err(|error| self.failure(error, message, message.gas))
    }

    /// The least gas limit with which a request succeeds.
    pub(super) fn estimate_gas(&self, request: &EthCallRequest, bounds: Bounds<'_>) -> Result<u64, RpcError> {
        let funds = bounds.funds.map(changes).transpose()?.unwrap_or_default();
        let asked = request.call.gas.unwrap_or_default();
        if asked > SHOWN_GAS_LIMIT {
            return Err(over_limit(asked));
        }
        let cap = self.gas_cap(request, bounds.price, &funds)?;
        // The limit of each attempt takes the place of the one that was asked for.
        let mut request = request.clone();
        request.call.gas = None;
        let message = self.message(&request, bounds.calls)?;
        match call::estimate_gas(&self.state, &self.context, &message, cap) {
            Ok(Estimate::Gas(gas)) => Ok(gas),
            Ok(Estimate::Fails(outcome)) => {
                succeeded(&outcome)?;
                Err(RpcError::failed("internal error"))
            }
            Ok(Estimate::ExceedsAllowance(cap)) => {
                Err(RpcError::failed(format!("gas required exceeds allowance ({cap})")))
            }
            Err(EstimateError { gas, error }) => Err(self.failure(error, &message, gas)),
        }
    }

    /// Most gas that an estimate may come to: what was asked for, what the sender can pay, what the node allows.
    fn gas_cap(&self, request: &EthCallRequest, price: Option<U256>, funds: &Changes) -> Result<u64, RpcError> {
        let call = &request.call;
        let mut cap = call.gas.filter(|gas| *gas > BELOW_ANY).unwrap_or(SHOWN_GAS_LIMIT);
        if let Some(price) = price.filter(|price| !price.is_zero()) {
            let balance = match funds.get(&call.from).and_then(|o| o.balance) {
                Some(balance) => balance,
                None => self.state.balance(call.from).map_err(RpcError::from_error)?,
            };
            let available = balance
                .checked_sub(call.value.unwrap_or_default())
                .filter(|rest| !rest.is_zero())
                .ok_or(RpcError::failed("insufficient funds for transfer"))?;
            cap = cap.min((available / price).saturating_to());
        }
        match self.services.limits.call_gas_cap {
            0 => Ok(cap),
            limit => Ok(cap.min(limit)),
        }
    }

    /// The message that a request means here.
    pub(super) fn message(&self, request: &EthCallRequest, overrides: Option<&Overrides>) -> Result<VmCall, RpcError> {
        let overrides = overrides.map(changes).transpose()?.unwrap_or_default();
        let call = &request.call;
        both_prices(call)?;
        if let (Some(cap), Some(tip)) = (call.max_fee_per_gas, call.max_priority_fee_per_gas)
            && cap < tip
        {
            return Err(RpcError::failed("MaxPriorityFeePerGas is greater than MaxFeePerGas"));
        }
        let authorization_list = authorizations(request)?;
        let mut gas = call.gas.unwrap_or(SHOWN_GAS_LIMIT);
        if gas > SHOWN_GAS_LIMIT {
            return Err(over_limit(gas));
        }
        if self.services.limits.call_gas_cap != 0 {
            gas = gas.min(self.services.limits.call_gas_cap);
        }
        let fee_cap = self.fee_cap(request);
        let until = Instant::now() + self.services.limits.call_timeout;
        Ok(VmCall {
            from: call.from,
            to: call.to,
            gas,
            gas_price: self.price(fee_cap),
            fee_cap,
            value: call.value.unwrap_or_default(),
            input: call.call_data(),
            access_list: call.access_list.clone().map(access_list),
            authorization_list,
            overrides,
            deadline: Some(Deadline::new(move || Instant::now() >= until)),
        })
    }

    /// The price that the message names; twice the base fee if the request names none.
    fn fee_cap(&self, request: &EthCallRequest) -> U256 {
        // The message that carries authorizations has no price in the reference client.
        if request.authorization_list.is_some() {
            return U256::ZERO;
        }
        let double = || self.block.header.base_fee.unwrap_or_default().saturating_mul(U256::from(2));
        request.call.gas_price.or(request.call.max_fee_per_gas).unwrap_or_else(double)
    }

    /// What is paid per gas.
    fn price(&self, fee_cap: U256) -> U256 {
        let Some(base_fee) = self.block.header.base_fee else { return fee_cap };
        // Between Magma and Kaia everybody pays the base fee.
        if self.context.rules.has(Fork::Kaia) { fee_cap.max(base_fee) } else { base_fee }
    }

    fn access_list(&self, request: &EthCallRequest) -> Result<Value, RpcError> {
        let mut request = request.clone();
        let gas = *request.call.gas.get_or_insert(SHOWN_GAS_LIMIT);
        if self.message(&request, None).is_ok() && self.block.header.base_fee.is_none() {
            // What the reference client answers for blocks without a base fee.
            return Err(RpcError::failed("method handler crashed"));
        }
        // The transaction that is meant carries a list, whether one was given or not.
        request.call.access_list.get_or_insert_default();
        // Defaults come from the head, whatever the block.
        let mut args = eth_args(self.services, &request)?;
        let delegations = request.authorization_list.as_ref().map_or(0, Vec::len) as u64;
        if delegations > gas / GAS_PER_DELEGATION {
            return Err(RpcError::failed("insufficient gas to process all authorizations"));
        }
        request.call.gas_price = args.gas_price;
        request.call.max_fee_per_gas = args.max_fee_per_gas;
        request.call.max_priority_fee_per_gas = args.max_priority_fee_per_gas;
        let message = self.message(&request, None)?;
        let made = call::create_access_list(&self.state, &self.context, &message);
        let (list, outcome) = made.map_err(|error| match error {
            CallError::NotApplicable(reason) => {
                // With authorizations and a single price the transaction has no caps.
                if args.authorization_list.is_some() && args.gas_price.take().is_some() {
                    args.max_fee_per_gas.get_or_insert_default();
                    args.max_priority_fee_per_gas.get_or_insert_default();
                }
                let hash = args.to_tx().map_or(B256::ZERO, |tx| tx.hash());
                RpcError::failed(format!("failed to apply transaction: {hash} err: {}", refusal(message.from, &reason)))
            }
            other => self.failure(other, &message, message.gas),
        })?;
        let list: Vec<_> = list
            .iter()
            .map(|item| {
                let keys: Vec<_> = item.storage_keys.iter().map(bytes).collect();
                json!({ "address": bytes(item.address), "storageKeys": keys })
            })
            .collect();
        let mut result = json!({ "accessList": list, "gasUsed": quantity(outcome.gas_used) });
        if let (Some(error), Some(object)) = (outcome.status.error_text(), result.as_object_mut()) {
            object.insert("error".to_owned(), error.into());
        }
        Ok(result)
    }

    fn failure(&self, error: CallError, message: &VmCall, gas: u64) -> RpcError {
        match error {
            CallError::Timeout => {
                let limit = self.services.limits.call_timeout;
                RpcError::failed(format!("execution aborted (timeout = {limit:?})"))
            }
            CallError::NotApplicable(TxError::IntrinsicGas { needed, limit }) => {
                RpcError::failed(format!("intrinsic gas too low: msg.gas {limit}, want {needed}"))
            }
            CallError::NotApplicable(reason) => {
                RpcError::failed(format!("err: {} (supplied gas {gas})", refusal(message.from, &reason)))
            }
            other => RpcError::from_error(other),
        }
    }
}

/// What an EIP-7702 delegation takes.
const GAS_PER_DELEGATION: u64 = 25_000;
/// The least gas limit that an estimate tries, less one.
const BELOW_ANY: u64 = 20_999;

fn both_prices(call: &CallRequest) -> Result<(), RpcError> {
    if call.gas_price.is_some() && (call.max_fee_per_gas.is_some() || call.max_priority_fee_per_gas.is_some()) {
        return Err(RpcError::failed("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"));
    }
    Ok(())
}

fn over_limit(gas: u64) -> RpcError {
    RpcError::failed(format!("gas limit {gas} exceeds the upper limit {SHOWN_GAS_LIMIT}"))
}

fn authorizations(request: &EthCallRequest) -> Result<Option<Vec<SignedAuthorization>>, RpcError> {
    let Some(list) = &request.authorization_list else { return Ok(None) };
    if request.call.to.is_none() {
        return Err(RpcError::failed("SetCodeTx must have a non-nil recipient address"));
    }
    Ok(Some(list.iter().map(signed).collect()))
}

/// Why a message from `from` is not applicable, in the reference client's words, which name the sender at times.
pub(super) fn refusal(from: Address, reason: &TxError) -> String {
    match reason {
        TxError::FeeCapTooLow { cap, base_fee } => {
            format!("{reason}: address {from}, maxFeePerGas: {cap}, baseFee: {base_fee}")
        }
        TxError::FloorDataGas { needed, limit } => format!("{reason}: have {limit}, want {needed}"),
        TxError::InitCodeSize { got } => format!("{reason}: code size {got} limit {MAX_INIT_CODE_SIZE}"),
        TxError::FundsOverflow => format!("{reason}: address {from} required balance exceeds 256 bits"),
        TxError::EmptyAuthorizationList => {
            let bytes: Vec<_> = from.iter().map(u8::to_string).collect();
            format!("{reason} (sender [{}])", bytes.join(" "))
        }
        _ => reason.to_string(),
    }
}

/// Accounts that a request changes before it is executed.
type Changes = BTreeMap<Address, AccountOverride>;

/// What bounds the gas of an estimate, and where changes count.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds<'a> {
    /// The price per gas, in peb, that the sender's balance is held against.
    pub(super) price: Option<U256>,
    /// For what the sender can pay.
    pub(super) funds: Option<&'a Overrides>,
    /// For the executions.
    pub(super) calls: Option<&'a Overrides>,
}

impl Bounds<'_> {
    /// The bounds of the eth_ flavour.
    pub(super) fn of(request: &EthCallRequest) -> Self {
        Self { price: request.call.gas_price.or(request.call.max_fee_per_gas), ..Self::default() }
    }
}

fn changes(overrides: &Overrides) -> Result<Changes, RpcError> {
    let mut changes = Changes::new();
    for (address, account) in &overrides.0 {
        if account.state.is_some() && account.state_diff.is_some() {
            return Err(RpcError::failed(format!("account {address} has both 'state' and 'stateDiff'")));
        }
        let change = AccountOverride {
            balance: account.balance,
            nonce: account.nonce,
            code: account.code.clone(),
            state: account.state.clone(),
            state_diff: account.state_diff.clone(),
        };
        changes.insert(*address, change);
    }
    Ok(changes)
}

/// Nothing, or what a failed execution is answered with.
fn succeeded(outcome: &CallOutcome) -> Result<(), RpcError> {
    if outcome.status.is_success() {
        return Ok(());
    }
    if outcome.is_revert() && !outcome.output.is_empty() {
        let reason = revert_reason(&outcome.output).map(|reason| go_text(&reason));
        return Err(RpcError::Reverted { reason, data: outcome.output.clone() });
    }
    Err(RpcError::failed(outcome.status.error_text().unwrap_or("execution failed")))
}

impl From<StateError> for RpcError {
    fn from(error: StateError) -> Self {
        Self::from_error(error)
    }
}
