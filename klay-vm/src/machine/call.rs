//! The beginning of a call.
//!
//! Source: spec 40, sections 1.9 and 2.2.

use klay_core::Bytes;
use revm::{
    context::JournalTr,
    handler::FrameResult,
    interpreter::{CallInputs, CallOutcome, CallScheme, CallValue, Gas, InstructionResult, InterpreterResult},
    primitives::constants::CALL_STACK_LIMIT,
};

use super::{Accounts, KlvmContext, MachineError, halt::RESERVED_ADDRESS};
use crate::{precompile::PrecompileSet, state::StateError};

/// Klaytn's rules for a call. An answer ends the call before it begins.
pub(super) fn before(
    ctx: &mut KlvmContext,
    depth: usize,
    inputs: &mut CallInputs,
) -> Result<Option<InstructionResult>, MachineError> {
    if depth > CALL_STACK_LIMIT as usize {
        return Ok(None);
    }
    klaytn_rules(ctx, inputs).map_err(|error| MachineError::Db(error.into()))
}

fn klaytn_rules(ctx: &mut KlvmContext, inputs: &mut CallInputs) -> Result<Option<InstructionResult>, StateError> {
    match inputs.scheme {
        CallScheme::Call => call(ctx, inputs),
        CallScheme::StaticCall => {
            // Unlike Ethereum's, a static call does not touch its target.
            inputs.value = CallValue::Apparent(inputs.value.get());
            code_of_another(ctx, inputs)
        }
        CallScheme::CallCode if is_short_of(ctx, inputs)? => Ok(None),
        CallScheme::CallCode | CallScheme::DelegateCall => code_of_another(ctx, inputs),
    }
}

/// The result of a call that ended before it began.
pub(super) fn ended(inputs: &CallInputs, result: InstructionResult) -> FrameResult {
    let result = InterpreterResult::new(result, Bytes::new(), Gas::new(inputs.gas_limit));
    FrameResult::Call(CallOutcome::new(result, inputs.return_memory_offset.clone()))
}

/// Drops placeholders whose call was undone.
///
/// Such a call touched its target, so a target that is not touched any more was called in what has been reverted.
pub(super) fn forget_reverted_placeholders(ctx: &mut KlvmContext) {
    let state = &ctx.journaled_state.inner.state;
    ctx.chain.placeholders.retain(|address| state.get(address).is_some_and(|account| account.is_touched()));
}

fn call(ctx: &mut KlvmContext, inputs: &mut CallInputs) -> Result<Option<InstructionResult>, StateError> {
    let has_value = !inputs.value.get().is_zero();
    let target = inputs.target_address;
    if let Some(number) = ctx.reserved(target) {
        if has_value && is_short_of(ctx, inputs)? {
            return Ok(None);
        }
        if has_value || ctx.precompile_set(inputs.caller)?.at(number).is_none() {
            return Ok(Some(RESERVED_ADDRESS));
        }
        if !ctx.exists(target)? {
            ctx.chain.placeholders.push(target);
        }
        return Ok(None);
    }
    // What has code is there.
    if !has_value && inputs.known_bytecode.1.is_empty() && !ctx.exists(target)? {
        // Nothing is created and nothing touched.
        return Ok(Some(InstructionResult::Stop));
    }
    Ok(None)
}

/// A call that runs the code of another account: a reserved address without contract and account answers nothing.
///
/// Whether there is a contract is asked for the executing contract; which one runs, for the caller of the new frame.
/// The two differ in a delegate call.
fn code_of_another(ctx: &mut KlvmContext, inputs: &CallInputs) -> Result<Option<InstructionResult>, StateError> {
    let Some(number) = ctx.reserved(inputs.bytecode_address) else { return Ok(None) };
    let executing = match inputs.scheme {
        CallScheme::DelegateCall => inputs.target_address,
        _ => inputs.caller,
    };
    let set: PrecompileSet = ctx.precompile_set(executing)?;
    if set.at(number).is_none() && !ctx.exists(inputs.bytecode_address)? {
        return Ok(Some(InstructionResult::Stop));
    }
    Ok(None)
}

/// Whether the caller has less than the value; revm ends such a call as it should.
fn is_short_of(ctx: &mut KlvmContext, inputs: &CallInputs) -> Result<bool, StateError> {
    let balance = match ctx.journaled_state.load_account(inputs.caller) {
        Ok(account) => account.info.balance,
        Err(crate::state::WorldError::State(error)) => return Err(error),
        Err(other) => return Err(StateError::Machine(other.to_string())),
    };
    Ok(balance < inputs.value.get())
}
