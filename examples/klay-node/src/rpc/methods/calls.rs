//! Execution without a transaction: call, estimates, access lists (spec 40, section 6).

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, B256, U256};
use klay_core::Fork;
use klay_vm::{
    BlockContext, CallError, CallOutcome, CallRequest as VmCall, Deadline, State, StateError, TxError,
    call::{self, AccountOverride, Estimate},
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
            // The overrides change what the sender can pay, and not what is executed.
            let scene = Scene::new(&s, id.unwrap_or(HEAD))?;
            scene.estimate_gas(&request.into(), Overridden { funds: overrides.as_ref(), calls: None }).map(quantity)
        },
    );
    let s = Arc::clone(services);
    table.heavy(
        &ETH,
        "estimateGas",
        move |(request, id, overrides): (EthCallRequest, Option<BlockId>, Option<Overrides>)| {
            let scene = Scene::new(&s, id.unwrap_or(HEAD))?;
            let overrides = overrides.as_ref();
            scene.estimate_gas(&request, Overridden { funds: overrides, calls: overrides }).map(quantity)
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
        call::call(&self.state, &self.context, message).map_err(|error| self.failure(error, message.gas))
    }

    /// The least gas limit with which a request succeeds.
    pub(super) fn estimate_gas(&self, request: &EthCallRequest, overridden: Overridden<'_>) -> Result<u64, RpcError> {
        let mut message = self.unpriced_message(request, overridden.calls)?;
        let funds = overridden.funds.map(changes).transpose()?.unwrap_or_default();
        let cap = self.gas_cap(request, &message, &funds)?;
        message.gas = cap;
        // The message is refused half way through the search, whatever its gas.
        let half = FLOOR + (cap - FLOOR.min(cap)) / 2;
        if let Some(fault) = self.price_fault(request).filter(|_| half > FLOOR) {
            return Err(RpcError::failed(format!("err: {fault} (supplied gas {half})")));
        }
        match call::estimate_gas(&self.state, &self.context, &message, cap) {
            Ok(Estimate::Gas(gas)) => Ok(gas),
            Ok(Estimate::Fails(outcome)) => {
                succeeded(&outcome)?;
                Err(RpcError::failed("internal error"))
            }
            Ok(Estimate::ExceedsAllowance(cap)) => {
                Err(RpcError::failed(format!("gas required exceeds allowance ({cap})")))
            }
            Err(error) => Err(self.failure(error, half)),
        }
    }

    /// Most gas that an estimate may come to: what was asked for, what the sender can pay, what the node allows.
    fn gas_cap(&self, request: &EthCallRequest, message: &VmCall, funds: &Changes) -> Result<u64, RpcError> {
        let mut cap = request.call.gas.filter(|gas| *gas > FLOOR).unwrap_or(SHOWN_GAS_LIMIT);
        let price = request.call.gas_price.or(request.call.max_fee_per_gas).unwrap_or_default();
        if !price.is_zero() {
            let balance = match funds.get(&message.from).and_then(|o| o.balance) {
                Some(balance) => balance,
                None => self.state.balance(message.from).map_err(RpcError::from_error)?,
            };
            let available = balance
                .checked_sub(message.value)
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
        let message = self.unpriced_message(request, overrides)?;
        match self.price_fault(request) {
            Some(fault) => Err(RpcError::failed(format!("err: {fault} (supplied gas {})", message.gas))),
            None => Ok(message),
        }
    }

    /// As [`Self::message`], whatever [`Self::price_fault`] says.
    pub(super) fn unpriced_message(
        &self,
        request: &EthCallRequest,
        overrides: Option<&Overrides>,
    ) -> Result<VmCall, RpcError> {
        let call = &request.call;
        let mut gas = call.gas.unwrap_or(SHOWN_GAS_LIMIT);
        if gas > SHOWN_GAS_LIMIT {
            return Err(RpcError::failed(format!("gas limit {gas} exceeds the upper limit {SHOWN_GAS_LIMIT}")));
        }
        if self.services.limits.call_gas_cap != 0 {
            gas = gas.min(self.services.limits.call_gas_cap);
        }
        let until = Instant::now() + self.services.limits.call_timeout;
        Ok(VmCall {
            from: call.from,
            to: call.to,
            gas,
            gas_price: self.price(request)?,
            value: call.value.unwrap_or_default(),
            input: call.call_data(),
            access_list: call.access_list.clone().map(access_list),
            authorization_list: authorizations(request)?,
            overrides: overrides.map(changes).transpose()?.unwrap_or_default(),
            deadline: Some(Deadline::new(move || Instant::now() >= until)),
        })
    }

    /// What is paid per gas.
    fn price(&self, request: &EthCallRequest) -> Result<U256, RpcError> {
        let call = &request.call;
        let (cap, tip) = (call.max_fee_per_gas, call.max_priority_fee_per_gas);
        if call.gas_price.is_some() && (cap.is_some() || tip.is_some()) {
            return Err(RpcError::failed("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"));
        }
        if let (Some(cap), Some(tip)) = (cap, tip)
            && cap < tip
        {
            return Err(RpcError::failed("MaxPriorityFeePerGas is greater than MaxFeePerGas"));
        }
        let base_fee = self.block.header.base_fee;
        let double = || base_fee.map_or(U256::ZERO, |fee| fee.saturating_mul(U256::from(2)));
        let named = call.gas_price.or(cap).unwrap_or_else(double);
        let Some(base_fee) = base_fee else { return Ok(named) };
        // Between Magma and Kaia everybody pays the base fee.
        Ok(if self.context.rules.has(Fork::Kaia) { named.max(base_fee) } else { base_fee })
    }

    /// What is wrong with a named price from Prague on: it is less than the base fee.
    pub(super) fn price_fault(&self, request: &EthCallRequest) -> Option<String> {
        let base_fee = self.block.header.base_fee.filter(|_| self.context.rules.has(Fork::Prague))?;
        let (from, named) = (request.call.from, request.call.gas_price.or(request.call.max_fee_per_gas)?);
        (!named.is_zero() && named < base_fee).then(|| {
            format!(
                "max fee per gas less than block base fee: address {from}, maxFeePerGas: {named}, baseFee: {base_fee}"
            )
        })
    }

    fn access_list(&self, request: &EthCallRequest) -> Result<Value, RpcError> {
        let mut request = request.clone();
        let gas = *request.call.gas.get_or_insert(SHOWN_GAS_LIMIT);
        if self.message(&request, None).is_ok() && self.block.header.base_fee.is_none() {
            // What the reference client answers for blocks without a base fee.
            return Err(RpcError::failed("method handler crashed"));
        }
        // Prices come from the head, whatever the block.
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
                args.access_list.get_or_insert_default();
                let hash = args.to_tx().map_or(B256::ZERO, |tx| tx.hash());
                RpcError::failed(format!("failed to apply transaction: {hash} err: {reason}"))
            }
            other => self.failure(other, message.gas),
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

    fn failure(&self, error: CallError, gas: u64) -> RpcError {
        match error {
            CallError::Timeout => {
                let limit = self.services.limits.call_timeout;
                RpcError::failed(format!("execution aborted (timeout = {limit:?})"))
            }
            CallError::NotApplicable(TxError::IntrinsicGas { needed, limit }) => {
                RpcError::failed(format!("intrinsic gas too low: msg.gas {limit}, want {needed}"))
            }
            CallError::NotApplicable(reason) => RpcError::failed(format!("err: {reason} (supplied gas {gas})")),
            other => RpcError::from_error(other),
        }
    }
}

/// What an EIP-7702 delegation takes.
const GAS_PER_DELEGATION: u64 = 25_000;
/// The least gas limit that an estimate tries, less one.
const FLOOR: u64 = 20_999;

fn authorizations(request: &EthCallRequest) -> Result<Vec<SignedAuthorization>, RpcError> {
    let Some(list) = &request.authorization_list else { return Ok(Vec::new()) };
    if request.call.to.is_none() {
        return Err(RpcError::failed("SetCodeTx must have a non-nil recipient address"));
    }
    Ok(list.iter().map(signed).collect())
}

/// Accounts that a request changes before it is executed.
type Changes = BTreeMap<Address, AccountOverride>;

/// Where the changes of an estimate count.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Overridden<'a> {
    /// For what the sender can pay.
    pub(super) funds: Option<&'a Overrides>,
    /// For the executions.
    pub(super) calls: Option<&'a Overrides>,
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
