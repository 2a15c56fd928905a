//! One message through the machine: accounts prepared, frames run, gas settled.
//!
//! Source: spec 40, sections 4.1 from step 10 on, 4.4 to 4.9.

use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use klay_core::{Address, B256, Bytes, FeeSplit, U256, block::Log, crypto};
use revm::{
    bytecode::Bytecode,
    context::JournalTr,
    context_interface::CreateScheme,
    context_interface::journaled_state::account::JournaledAccountTr,
    handler::FrameResult,
    interpreter::{CallInput, CallInputs, CallScheme, CallValue, CreateInputs, FrameInput, InstructionResult},
    primitives::{AddressMap, HashSet, TxKind},
};

use crate::{
    machine::{Accounts, EF_CODE_KEPT, Klvm, KlvmTx, MachineError},
    spec::Level,
    state::{StateError, WorldError},
    trace::Watch,
    validate::IntrinsicGas,
};

/// Refund for an authorization of an account that exists.
const AUTHORIZATION_REFUND: u64 = 12_500;

/// What the frame of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Call {
        to: Address,
        /// Whether the recipient is warm from the start. The zero address of a Klaytn type is not, because the
        /// reference client takes it for none.
        is_warm: bool,
    },
    Create,
    Nothing,
}

/// A message whose sender may send it and whose fee can be paid.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) sender: Address,
    /// Who pays; the sender itself where nobody else does.
    pub(crate) payer: Address,
    pub(crate) action: Action,
    pub(crate) nonce: u64,
    pub(crate) value: U256,
    pub(crate) input: Bytes,
    pub(crate) gas_limit: u64,
    pub(crate) gas_price: U256,
    pub(crate) intrinsic: IntrinsicGas,
    pub(crate) access_list: Option<&'a AccessList>,
    pub(crate) authorizations: &'a [SignedAuthorization],
    pub(crate) blob_hashes: &'a [B256],
    /// What is taken from payer and sender ahead.
    pub(crate) prepaid: FeeSplit,
    /// Who gets the fee at once, if anybody does.
    pub(crate) fee_receiver: Option<Address>,
}

/// What became of a message.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) result: InstructionResult,
    pub(crate) output: Bytes,
    pub(crate) created: Option<Address>,
    pub(crate) gas_used: u64,
    pub(crate) logs: Vec<Log>,
    pub(crate) cost: u64,
}

/// How frames are run: silently or shown to an inspector.
pub(crate) type Run<INSP> = fn(&mut Klvm<INSP>, FrameInput) -> Result<FrameResult, MachineError>;

impl<INSP> Klvm<INSP> {
    /// Executes `message` and leaves its changes in the journal. `split` divides what is given back.
    ///
    /// # Errors
    /// If the accounts cannot be read or the time is over; the journal then has to be reset.
    pub(crate) fn transit(
        &mut self,
        message: &Message<'_>,
        split: impl FnOnce(U256) -> FeeSplit,
        run: Run<INSP>,
    ) -> Result<Outcome, WorldError> {
        self.transition(message, split, run).map_err(world_error)
    }

    /// Runs the frame of `message` and nothing around it: no fee, no nonce, no refund.
    ///
    /// # Errors
    /// As [`Self::transit`].
    pub(crate) fn system(&mut self, message: &Message<'_>, run: Run<INSP>) -> Result<Outcome, WorldError> {
        let ended = self.system_frame(message, run).map_err(world_error)?;
        Ok(Outcome {
            result: ended.result,
            output: ended.output,
            created: ended.created,
            gas_used: message.gas_limit - ended.left,
            logs: core::mem::take(&mut self.0.ctx.journaled_state.inner.logs),
            cost: self.0.ctx.chain.meter.sum(),
        })
    }

    fn system_frame(&mut self, message: &Message<'_>, run: Run<INSP>) -> Result<Ended, MachineError> {
        self.describe(message);
        self.0.ctx.journaled_state.load_account(message.sender)?;
        let Some(frame) = self.first_frame(message, message.gas_limit)? else {
            return Err(MachineError::Custom("a system call calls".to_owned()));
        };
        Ok(Ended::from(run(self, frame)?))
    }

    fn transition(
        &mut self,
        message: &Message<'_>,
        split: impl FnOnce(U256) -> FeeSplit,
        run: Run<INSP>,
    ) -> Result<Outcome, MachineError> {
        self.prepare(message)?;
        let refund = self.authorize_delegations(message)?;
        let gas = message.gas_limit - message.intrinsic.total;
        let ended = match self.first_frame(message, gas)? {
            Some(frame) => Ended::from(run(self, frame)?),
            None => {
                Ended { result: InstructionResult::Stop, output: Bytes::new(), created: None, left: gas, refund: 0 }
            }
        };
        let left = self.settle_gas(message, &ended, refund);
        self.give_back(message, split(U256::from(left) * message.gas_price))?;
        if let Some(receiver) = message.fee_receiver {
            self.credit(receiver, U256::from(message.gas_limit - left) * message.gas_price)?;
        }
        Ok(Outcome {
            result: ended.result,
            output: ended.output,
            created: ended.created,
            gas_used: message.gas_limit - left,
            logs: core::mem::take(&mut self.0.ctx.journaled_state.inner.logs),
            cost: self.0.ctx.chain.meter.sum(),
        })
    }

    /// Takes the fee, raises the nonce, and makes warm what is warm from the start.
    fn prepare(&mut self, message: &Message<'_>) -> Result<(), MachineError> {
        let ctx = &mut self.0.ctx;
        let level = ctx.chain.level;
        if level.is_since(Level::Shanghai) {
            let coinbase = ctx.block.beneficiary;
            ctx.journaled_state.warm_coinbase_account(coinbase);
        }
        if level.is_since(Level::Cancun)
            && let Some(list) = message.access_list
        {
            ctx.journaled_state.warm_access_list(warm_list(list));
        }
        if message.payer != message.sender {
            let mut payer = ctx.journaled_state.load_account_mut(message.payer)?.data;
            if !message.prepaid.payer.is_zero() {
                payer.decr_balance(message.prepaid.payer);
            }
        }
        let mut sender = ctx.journaled_state.load_account_mut(message.sender)?.data;
        if !message.prepaid.sender.is_zero() {
            sender.decr_balance(message.prepaid.sender);
        }
        if !message.prepaid.surplus.is_zero() {
            sender.incr_balance(message.prepaid.surplus);
        }
        // A creation raises the nonce itself.
        if message.action != Action::Create {
            sender.bump_nonce();
        }
        self.describe(message);
        Ok(())
    }

    /// Sets what instructions see of the transaction.
    fn describe(&mut self, message: &Message<'_>) {
        let ctx = &mut self.0.ctx;
        ctx.tx.caller = message.sender;
        ctx.tx.payer = message.payer;
        ctx.tx.gas_price = message.gas_price;
        ctx.tx.gas_limit = message.gas_limit;
        ctx.tx.nonce = message.nonce;
        ctx.tx.value = message.value;
        ctx.tx.kind = match message.action {
            Action::Call { to, .. } => TxKind::Call(to),
            Action::Create => TxKind::Create,
            Action::Nothing => TxKind::Call(message.sender),
        };
        ctx.tx.input = message.input.clone();
        set_list(&mut ctx.tx, message.blob_hashes);
    }

    /// EIP-7702: gives accounts the code that they have authorized. Gives the refund.
    ///
    /// Source: spec 40, section 4.6.
    fn authorize_delegations(&mut self, message: &Message<'_>) -> Result<u64, MachineError> {
        let mut refund = 0;
        for authorization in message.authorizations {
            refund += self.authorize_delegation(authorization)?;
        }
        Ok(refund)
    }

    fn authorize_delegation(&mut self, authorization: &SignedAuthorization) -> Result<u64, MachineError> {
        let ctx = &mut self.0.ctx;
        let chain_id = U256::from(ctx.cfg.chain_id);
        let names_chain = authorization.chain_id().is_zero() || *authorization.chain_id() == chain_id;
        if !names_chain || authorization.nonce() == u64::MAX {
            return Ok(0);
        }
        let Some(authority) = authority(authorization) else { return Ok(0) };
        let account = ctx.journaled_state.load_account_with_code(authority)?;
        let delegates = account.info.code.as_ref().is_none_or(|code| code.is_empty() || code.is_eip7702());
        if !delegates || account.info.nonce != authorization.nonce() {
            return Ok(0);
        }
        let state = |error: StateError| MachineError::Db(error.into());
        let exists = ctx.exists(authority).map_err(state)?;
        if exists && !ctx.account_key(authority).map_err(state)?.is_legacy() {
            return Ok(0);
        }
        ctx.journaled_state.load_account_mut(authority)?.data.delegate(*authorization.address());
        Ok(if exists { AUTHORIZATION_REFUND } else { 0 })
    }

    fn first_frame(&mut self, message: &Message<'_>, gas: u64) -> Result<Option<FrameInput>, MachineError> {
        let journal = &mut self.0.ctx.journaled_state;
        match message.action {
            Action::Nothing => Ok(None),
            Action::Create => {
                let (sender, input) = (message.sender, message.input.clone());
                let inputs = CreateInputs::new(sender, CreateScheme::Create, message.value, input, gas, 0);
                Ok(Some(FrameInput::Create(Box::new(inputs))))
            }
            Action::Call { to, is_warm } => {
                let target = &journal.load_account_with_code(to)?.info;
                let delegate = target.code.as_ref().and_then(Bytecode::eip7702_address);
                let mut known_bytecode = (target.code_hash, target.code.clone().unwrap_or_default());
                if !is_warm {
                    journal.load_account_mut(to)?.data.unsafe_mark_cold();
                }
                if let Some(delegate) = delegate {
                    let delegate = &journal.load_account_with_code(delegate)?.info;
                    known_bytecode = (delegate.code_hash, delegate.code.clone().unwrap_or_default());
                }
                Ok(Some(FrameInput::Call(Box::new(CallInputs {
                    input: CallInput::Bytes(message.input.clone()),
                    return_memory_offset: 0..0,
                    gas_limit: gas,
                    reservoir: 0,
                    bytecode_address: to,
                    known_bytecode,
                    target_address: to,
                    caller: message.sender,
                    value: CallValue::Transfer(message.value),
                    scheme: CallScheme::Call,
                    is_static: false,
                    charged_new_account_state_gas: false,
                }))))
            }
        }
    }

    /// Gas that is left after refunds and the floor.
    const fn settle_gas(&self, message: &Message<'_>, ended: &Ended, refund: u64) -> u64 {
        let used = message.gas_limit - ended.left;
        let cap = used / self.0.ctx.chain.level.refund_quotient();
        let counter = refund.saturating_add(ended.refund);
        let left = ended.left + if counter < cap { counter } else { cap };
        let most = message.gas_limit.saturating_sub(message.intrinsic.floor);
        if left < most { left } else { most }
    }

    fn give_back(&mut self, message: &Message<'_>, back: FeeSplit) -> Result<(), MachineError> {
        let parts = match message.payer == message.sender {
            true => {
                let whole = back.payer.saturating_add(back.sender).saturating_sub(back.surplus);
                [(message.sender, whole), (message.payer, U256::ZERO)]
            }
            false => [(message.payer, back.payer), (message.sender, back.sender)],
        };
        for (address, amount) in parts {
            self.credit(address, amount)?;
        }
        // Where the sender gained from the fee it gives a part of that back.
        if message.payer != message.sender && !back.surplus.is_zero() {
            self.0.ctx.journaled_state.load_account_mut(message.sender)?.data.decr_balance(back.surplus);
        }
        Ok(())
    }

    /// Adds to a balance in the journal.
    fn credit(&mut self, address: Address, amount: U256) -> Result<(), MachineError> {
        if !amount.is_zero() {
            self.0.ctx.journaled_state.load_account_mut(address)?.data.incr_balance(amount);
        }
        Ok(())
    }

    /// Writes what the journal holds to the accounts of the block.
    pub(crate) fn commit(&mut self) -> Result<(), StateError> {
        let ctx = &mut self.0.ctx;
        let world = &mut ctx.journaled_state.database;
        let journal = &mut ctx.journaled_state.inner;
        for (address, account) in journal.state.drain() {
            world.apply(address, account, ctx.chain.placeholders.contains(&address))?;
        }
        self.reset();
        Ok(())
    }
}

impl Klvm<Watch> {
    /// Shows the watch how the transaction ended.
    ///
    /// # Errors
    /// If the accounts cannot be read.
    pub(crate) fn show_end(&mut self, outcome: Outcome) -> Result<Outcome, WorldError> {
        let ctx = &mut self.0.ctx;
        self.0.inspector.end(&outcome.output, outcome.gas_used, ctx);
        ctx.take_error().map_err(world_error)?;
        Ok(outcome)
    }
}

fn world_error(error: MachineError) -> WorldError {
    match error {
        MachineError::Db(error) => error,
        MachineError::Custom(text) => WorldError::State(StateError::Machine(text)),
    }
}

/// How the outermost frame ended.
struct Ended {
    result: InstructionResult,
    output: Bytes,
    created: Option<Address>,
    left: u64,
    refund: u64,
}

impl From<FrameResult> for Ended {
    fn from(frame: FrameResult) -> Self {
        let result = frame.instruction_result();
        let gas = *frame.gas();
        let created = match &frame {
            FrameResult::Create(outcome) => outcome.address,
            FrameResult::Call(_) => None,
        };
        let keeps_refund = result.is_ok() || result == EF_CODE_KEPT;
        Self {
            result,
            created,
            output: frame.into_interpreter_result().output,
            left: if result.is_ok_or_revert() { gas.remaining() } else { 0 },
            refund: if keeps_refund { gas.refunded().max(0).unsigned_abs() } else { 0 },
        }
    }
}

fn set_list(tx: &mut KlvmTx, blob_hashes: &[B256]) {
    tx.blob_hashes.clear();
    tx.blob_hashes.extend_from_slice(blob_hashes);
}

fn warm_list(list: &AccessList) -> AddressMap<HashSet<U256>> {
    let mut warm: AddressMap<HashSet<U256>> = AddressMap::default();
    for item in &list.0 {
        let slots = item.storage_keys.iter().map(|slot| U256::from_be_bytes(slot.0));
        warm.entry(item.address).or_default().extend(slots);
    }
    warm
}

/// Who signed an authorization, if anybody could have.
pub(crate) fn authority(authorization: &SignedAuthorization) -> Option<Address> {
    let odd_y = match authorization.y_parity() {
        0 => false,
        1 => true,
        _ => return None,
    };
    let hash = authorization.signature_hash();
    let key = crypto::recover(hash, odd_y, authorization.r(), authorization.s()).ok()?;
    Some(key.address())
}
