//! Execution without a transaction: `eth_call`, estimates, access lists.
//!
//! Source: spec 40, sections 6.1 and 6.2.

mod access_list;
mod estimate;
mod overrides;

use std::collections::BTreeMap;

use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use klay_core::{
    Address, Bytes, FeeSplit, Fork, Role, U256,
    block::{Log, Status},
    tx::{TxType, TxView, gas},
};
use revm::{Inspector, interpreter::interpreter::EthInterpreter};

pub use access_list::create_access_list;
pub use estimate::{Estimate, EstimateError, estimate_gas};
pub use overrides::AccountOverride;

use crate::{
    env::BlockContext,
    error::TxError,
    machine::{Deadline, Klvm, KlvmContext, Meter, error_text, status_of},
    spec::Level,
    state::{State, StateError, World, WorldError},
    trace::{Top, Tracer, Watch},
    transition::{Action, Message, Outcome, Run},
    validate::{IntrinsicGas, MAX_INIT_CODE_SIZE},
};

/// A message to execute. `Default` is a call from 0x0 with nothing in it, not even gas.
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
    /// The price per gas that the message names, in peb. 0 names none: it is judged neither against the base fee (from
    /// Prague on) nor against the sender's balance (from Osaka on).
    pub fee_cap: U256,
    /// Amount moved, in peb.
    pub value: U256,
    /// Call data or init code.
    pub input: Bytes,
    /// EIP-2930 list.
    pub access_list: Option<AccessList>,
    /// EIP-7702 authorizations; an empty list is not applicable.
    pub authorization_list: Option<Vec<SignedAuthorization>>,
    /// Replaced parts of the state.
    pub overrides: BTreeMap<Address, AccountOverride>,
    /// Tells whether the time is over; asked every few hundred thousand instructions.
    pub deadline: Option<Deadline>,
}

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOutcome {
    /// 1, or the failure's code; its text is [`Status::error_text`].
    pub status: Status,
    /// The machine's own text of the failure, as traces show it; none on success.
    pub error: Option<&'static str>,
    /// Return data, or revert data.
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
    /// The message is not applicable (price, authorizations, gas, funds, init code size).
    #[error(transparent)]
    NotApplicable(TxError),
    /// The deadline passed.
    #[error("execution aborted (timeout)")]
    Timeout,
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl CallOutcome {
    /// Whether the code undid its work by REVERT.
    pub const fn is_revert(&self) -> bool {
        self.status.0 == 0x09
    }
}

impl From<WorldError> for CallError {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::State(error) => Self::State(error),
            WorldError::TimeLimit => Self::Timeout,
        }
    }
}

/// Executes `request` on top of `state` as part of the block of `ctx`; nothing is changed.
///
/// The nonce is not checked, the fee is credited to the sender first, and the computation cost is not limited.
///
/// # Errors
/// If the message is not applicable, the time is over, or the state cannot be read. A failed execution is an outcome.
pub fn call(state: &State, ctx: &BlockContext, request: &CallRequest) -> Result<CallOutcome, CallError> {
    run(state, ctx, request, Terms::Call, (), Klvm::run).map(|(outcome, ())| outcome)
}

/// As [`call`], showing every step to `inspector`.
///
/// # Errors
/// As [`call`].
pub fn inspect<INSP: Inspector<KlvmContext, EthInterpreter>>(
    state: &State,
    ctx: &BlockContext,
    request: &CallRequest,
    inspector: INSP,
) -> Result<(CallOutcome, INSP), CallError> {
    run(state, ctx, request, Terms::Call, inspector, Klvm::inspect)
}

/// What the sender is given, what lists cost, and when gas is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Terms {
    /// The whole fee; too little gas is refused ahead of anything else.
    Call,
    /// Gas at the base fee.
    Trace,
    /// Gas at the base fee; lists cost nothing.
    Listing,
}

/// As [`call`] under the block's limit on computation cost, shown to `tracer` on the way, which comes back with what it
/// has seen. The sender is given gas at the base fee only and must have the rest.
pub fn trace<T: Tracer>(
    state: &State,
    ctx: &BlockContext,
    request: &CallRequest,
    tracer: T,
) -> (Result<CallOutcome, CallError>, T) {
    let mut watch = Watch::new(tracer);
    let outcome = traced(state, ctx, request, &mut watch);
    let tracer = watch.take().expect("the watch holds the tracer that was put into it above");
    (outcome, tracer)
}

fn traced(
    state: &State,
    ctx: &BlockContext,
    request: &CallRequest,
    watch: &mut Watch,
) -> Result<CallOutcome, CallError> {
    let prepared = Prepared::new(state, ctx, request, Terms::Trace)?;
    let message = prepared.message(ctx, request);
    let mut klvm = Klvm::new(ctx, prepared.world, core::mem::take(watch));
    let level = klvm.0.ctx.chain.level;
    klvm.0.ctx.chain.meter = Meter::limited(level, request.gas, true).with_deadline(request.deadline.clone());
    klvm.0.inspector.begin(&Top {
        from: request.from,
        to: request.to.unwrap_or_else(|| request.from.create(prepared.nonce)),
        is_creation: request.to.is_none(),
        input: &request.input,
        gas_limit: request.gas,
        gas: request.gas - message.intrinsic.total,
        value: request.value,
        gas_price: request.gas_price,
        block: ctx.number,
    });
    let outcome = klvm.transit(&message, FeeSplit::of_sender, Klvm::inspect);
    let outcome = outcome.and_then(|outcome| klvm.show_end(outcome));
    *watch = core::mem::take(&mut klvm.0.inspector);
    Ok(outcome?.into())
}

fn run<INSP>(
    state: &State,
    ctx: &BlockContext,
    request: &CallRequest,
    terms: Terms,
    inspector: INSP,
    run: Run<INSP>,
) -> Result<(CallOutcome, INSP), CallError> {
    let prepared = Prepared::new(state, ctx, request, terms)?;
    let message = prepared.message(ctx, request);
    let mut klvm = Klvm::new(ctx, prepared.world, inspector);
    klvm.0.ctx.chain.meter = Meter::unlimited().with_deadline(request.deadline.clone());
    let outcome = klvm.transit(&message, FeeSplit::of_sender, run)?;
    Ok((outcome.into(), klvm.0.into_inspector()))
}

/// A call that may be executed, over accounts in which its overrides and its fee are.
struct Prepared {
    world: World,
    nonce: u64,
    intrinsic: IntrinsicGas,
    fee: U256,
}

impl Prepared {
    fn new(state: &State, ctx: &BlockContext, request: &CallRequest, terms: Terms) -> Result<Self, CallError> {
        let mut world = World::new(state.clone(), Level::of(ctx.rules), ctx.hashes.clone());
        for (address, replaced) in &request.overrides {
            replaced.apply(&mut world, *address)?;
        }
        let nonce = world.account(request.from)?.map_or(0, |account| account.nonce);
        // The fee is a gift; what is left of it is taken back with the state.
        let fee = request.gas_price.saturating_mul(U256::from(request.gas));
        let gift = match terms {
            Terms::Call => fee,
            Terms::Trace | Terms::Listing => ctx.base_fee.unwrap_or_default().saturating_mul(U256::from(request.gas)),
        };
        let balance = world.change(request.from, Default::default, |from| {
            from.balance = from.balance.saturating_add(gift);
            from.balance
        })?;
        let intrinsic = request.judge(ctx, terms, fee, balance).map_err(CallError::NotApplicable)?;
        Ok(Self { world, nonce, intrinsic, fee })
    }

    fn message<'r>(&self, ctx: &BlockContext, request: &'r CallRequest) -> Message<'r> {
        Message {
            sender: request.from,
            payer: request.from,
            action: match request.to {
                Some(to) => Action::Call { to, is_warm: true },
                None => Action::Create,
            },
            nonce: self.nonce,
            value: request.value,
            input: request.input.clone(),
            gas_limit: request.gas,
            gas_price: request.gas_price,
            intrinsic: self.intrinsic,
            access_list: request.access_list.as_ref(),
            authorizations: request.authorizations(),
            blob_hashes: &[],
            prepaid: FeeSplit::of_sender(self.fee),
            fee_receiver: ctx.fee_receiver(),
        }
    }
}

impl From<Outcome> for CallOutcome {
    fn from(outcome: Outcome) -> Self {
        Self {
            status: status_of(outcome.result),
            error: error_text(outcome.result),
            output: outcome.output,
            gas_used: outcome.gas_used,
            logs: outcome.logs,
            created: outcome.created,
            computation_cost: outcome.cost,
        }
    }
}

impl CallRequest {
    /// Whether the message is applicable, in the reference client's order of rules; gives its intrinsic gas.
    fn judge(&self, ctx: &BlockContext, terms: Terms, fee: U256, balance: U256) -> Result<IntrinsicGas, TxError> {
        let intrinsic = self.intrinsic(ctx, terms)?;
        if terms == Terms::Call && self.gas < intrinsic.total {
            return Err(TxError::IntrinsicGas { needed: intrinsic.total, limit: self.gas });
        }
        if let Some(base_fee) = ctx.base_fee.filter(|_| ctx.rules.has(Fork::Prague))
            && !self.fee_cap.is_zero()
            && self.fee_cap < base_fee
        {
            return Err(TxError::FeeCapTooLow { cap: self.fee_cap, base_fee });
        }
        if self.authorization_list.as_ref().is_some_and(Vec::is_empty) {
            return Err(TxError::EmptyAuthorizationList);
        }
        if ctx.rules.has(Fork::Osaka) {
            self.judge_funds(balance)?;
        }
        if balance < fee {
            return Err(TxError::PayerBalance);
        }
        intrinsic.check(self.gas)?;
        if balance - fee < self.value {
            return Err(TxError::InsufficientBalance);
        }
        if ctx.rules.has(Fork::Shanghai) && self.to.is_none() && self.input.len() > MAX_INIT_CODE_SIZE {
            return Err(TxError::InitCodeSize { got: self.input.len() });
        }
        Ok(intrinsic)
    }

    /// From Osaka on a sender must have what the named price can come to, and the value.
    fn judge_funds(&self, balance: U256) -> Result<(), TxError> {
        let most = self.fee_cap.checked_mul(U256::from(self.gas));
        let whole = most.and_then(|most| most.checked_add(self.value));
        match (most, whole) {
            (Some(most), Some(_)) if balance < most => Err(TxError::PayerBalance),
            (Some(_), Some(whole)) if balance < whole => Err(TxError::InsufficientBalance),
            (Some(_), Some(_)) => Ok(()),
            _ => Err(TxError::FundsOverflow),
        }
    }

    /// The authorizations, none if there is no list.
    fn authorizations(&self) -> &[SignedAuthorization] {
        self.authorization_list.as_deref().unwrap_or_default()
    }

    /// Intrinsic gas of the message, as of a transaction of the plainest type that can carry it.
    fn intrinsic(&self, ctx: &BlockContext, terms: Terms) -> Result<IntrinsicGas, TxError> {
        let (access_list, authorization_list) = match terms {
            Terms::Call | Terms::Trace => (self.access_list.as_ref(), self.authorizations()),
            Terms::Listing => (None, &[][..]),
        };
        let tx_type = match (authorization_list.is_empty(), access_list) {
            (false, _) => TxType::ETHEREUM_SET_CODE,
            (true, Some(_)) => TxType::ETHEREUM_ACCESS_LIST,
            (true, None) => TxType::LEGACY,
        };
        let view = TxView {
            tx_type,
            nonce: 0,
            gas_limit: self.gas,
            fee_cap: self.gas_price,
            tip_cap: self.gas_price,
            is_dynamic: false,
            from: None,
            to: self.to,
            value: self.value,
            input: &self.input,
            human_readable: false,
            access_list,
            authorization_list: Some(authorization_list),
            blob_hashes: &[],
            max_fee_per_blob_gas: None,
            chain_id: None,
            role: Role::Transaction,
            signatures: &[],
            fee_payer: None,
            fee_ratio: None,
            fee_payer_signatures: &[],
        };
        let total = gas::intrinsic(&view, ctx.rules)?;
        let floor = if ctx.rules.has(Fork::Prague) { gas::floor(&view)? } else { 0 };
        Ok(IntrinsicGas { total, floor })
    }
}
