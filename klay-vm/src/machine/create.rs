//! The beginning and the end of a contract creation.
//!
//! Source: spec 40, section 1.8.

use klay_accounts::EMPTY_CODE_HASH;
use klay_core::{Address, Bytes};
use revm::{
    bytecode::Bytecode,
    context::JournalTr,
    context_interface::journaled_state::{JournalCheckpoint, account::JournaledAccountTr},
    handler::FrameResult,
    interpreter::{CreateInputs, CreateOutcome, Gas, InstructionResult, InterpreterResult},
    primitives::constants::CALL_STACK_LIMIT,
};

use super::{
    Accounts, KlvmContext, MachineError,
    halt::{DEPOSIT_OUT_OF_GAS, EF_CODE_KEPT, NONCE_OVERFLOW, RESERVED_ADDRESS},
};
use crate::{spec::Level, state::StateError};

/// Longest code of a contract, in bytes.
const MAX_CODE_SIZE: usize = 24_576;
/// Gas for each byte of a contract's code.
const DEPOSIT_GAS: u64 = 200;

/// Klaytn's rules for a creation. An answer ends the creation before it begins.
pub(super) fn before(
    ctx: &mut KlvmContext,
    depth: usize,
    inputs: &CreateInputs,
) -> Result<Option<InstructionResult>, MachineError> {
    if depth > CALL_STACK_LIMIT as usize {
        return Ok(None);
    }
    let creator = ctx.journaled_state.load_account(inputs.caller())?;
    if creator.info.balance < inputs.value() {
        return Ok(None);
    }
    let nonce = creator.info.nonce;
    if nonce == u64::MAX {
        return Ok(Some(NONCE_OVERFLOW));
    }
    let address = inputs.created_address(nonce);
    let taken = is_taken(ctx, address)?;
    if !taken && ctx.reserved(address).is_none() {
        return Ok(None);
    }
    ctx.journaled_state.load_account_mut(inputs.caller())?.data.bump_nonce();
    Ok(Some(if taken { InstructionResult::CreateCollision } else { RESERVED_ADDRESS }))
}

/// The result of a creation that ended before it began.
pub(super) const fn ended(inputs: &CreateInputs, result: InstructionResult) -> FrameResult {
    let result = InterpreterResult::new(result, Bytes::new(), Gas::new(inputs.gas_limit()));
    FrameResult::Create(CreateOutcome::new(result, None))
}

/// Stores what the init code returned, or undoes the creation.
pub(super) fn after(
    ctx: &mut KlvmContext,
    checkpoint: JournalCheckpoint,
    result: &mut InterpreterResult,
    address: Address,
) {
    let level = ctx.chain.level;
    let begins_with_ef = result.output.first() == Some(&0xef);
    if result.result.is_ok() {
        let deposit = DEPOSIT_GAS * result.output.len() as u64;
        if result.output.len() > MAX_CODE_SIZE {
            result.result = InstructionResult::CreateContractSizeLimit;
        } else if begins_with_ef && level.is_since(Level::Prague) {
            result.result = InstructionResult::CreateContractStartingWithEF;
        } else if !result.gas.record_regular_cost(deposit) {
            result.result = DEPOSIT_OUT_OF_GAS;
        }
    }
    if !result.result.is_ok() {
        ctx.journaled_state.checkpoint_revert(checkpoint);
        return;
    }
    ctx.journaled_state.checkpoint_commit();
    ctx.journaled_state.set_code(address, Bytecode::new_legacy(result.output.clone()));
    if begins_with_ef && level.is_since(Level::Kore) {
        result.result = EF_CODE_KEPT;
        result.output = Bytes::new();
    } else {
        result.result = InstructionResult::Return;
    }
}

/// Whether something is in the way at the address of a new contract. Makes the address warm.
fn is_taken(ctx: &mut KlvmContext, address: Address) -> Result<bool, MachineError> {
    let found = ctx.journaled_state.load_account(address)?;
    let used = found.info.nonce != 0 || found.info.code_hash != EMPTY_CODE_HASH;
    let state = |error: StateError| MachineError::Db(error.into());
    if ctx.chain.level.is_since(Level::Shanghai) {
        return Ok(used || ctx.journaled_state.database.has_storage(address).map_err(state)?);
    }
    ctx.exists(address).map_err(state)
}
