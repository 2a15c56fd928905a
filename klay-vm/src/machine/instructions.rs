//! The instructions that Klaytn has otherwise than revm, and the tables of a level.
//!
//! Source: spec 40, sections 1.5 and 7.2.

use klay_core::{B256, U256};
use revm::{
    Database,
    context_interface::{
        Cfg, ContextTr,
        cfg::{GasId, GasParams},
        context::ContextError,
        host::{Host, LoadError},
    },
    handler::instructions::EthInstructions,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, InstructionResult, instructions::instruction_table,
        interpreter::EthInterpreter,
    },
    primitives::Address,
};

use super::{KlvmContext, ranges};
use crate::spec::{Level, OpcodeTable};

type Ictx<'a> = InstructionContext<'a, KlvmContext, EthInterpreter>;

const EXTCODEHASH: u8 = 0x3f;
const GASPRICE: u8 = 0x3a;
const BASEFEE: u8 = 0x48;
const BLOBBASEFEE: u8 = 0x4a;

/// Dynamic prices: Ethereum's of the nearest fork, creation aside, which is paid as constant gas.
pub(super) fn gas_params(level: Level) -> GasParams {
    let mut params = GasParams::new_spec(level.spec_id());
    params.override_gas([(GasId::create(), 0)]);
    params
}

/// The instructions of a level.
pub(super) fn instructions(
    level: Level,
    table: &OpcodeTable,
    ethereum: bool,
) -> EthInstructions<EthInterpreter, KlvmContext> {
    let mut instructions = EthInstructions::new(instruction_table(), table.static_gas, level.spec_id());
    for code in 0..=u8::MAX {
        if !table.is_defined[usize::from(code)] {
            instructions.insert_instruction(code, Instruction::unknown(), 0);
        }
    }
    let mut put = |code: u8, instruction| {
        if table.is_defined[usize::from(code)] {
            instructions.insert_instruction(code, instruction, table.static_gas[usize::from(code)]);
        }
    };
    for (code, instruction) in ranges::instructions() {
        put(code, instruction);
    }
    put(GASPRICE, Instruction::new(gas_price));
    put(BASEFEE, Instruction::new(base_fee));
    put(BLOBBASEFEE, Instruction::new(blob_base_fee));
    match level.is_since(Level::Cancun) {
        true if ethereum => {}
        true => put(EXTCODEHASH, Instruction::new(code_hash_at_one_price)),
        false => put(EXTCODEHASH, Instruction::new(code_hash_of_anything)),
    }
    instructions
}

fn gas_price(ctx: Ictx<'_>) -> InstructionExecResult {
    push(ctx.interpreter.stack.push(ctx.host.tx.gas_price))
}

fn base_fee(ctx: Ictx<'_>) -> InstructionExecResult {
    push(ctx.interpreter.stack.push(ctx.host.chain.base_fee))
}

fn blob_base_fee(ctx: Ictx<'_>) -> InstructionExecResult {
    push(ctx.interpreter.stack.push(ctx.host.chain.blob_base_fee))
}

/// EXTCODEHASH before Cancun: an account that is not there has the hash of no code.
fn code_hash_of_anything(ctx: Ictx<'_>) -> InstructionExecResult {
    let Some(([], top)) = ctx.interpreter.stack.popn_top::<0>() else {
        return Err(InstructionResult::StackUnderflow);
    };
    let address = Address::from_word(B256::from(*top));
    let cold = ctx.host.cfg.gas_params().cold_account_additional_cost();
    let skip_cold_load = ctx.interpreter.gas.remaining() < cold;
    let account = ctx.host.load_account_info_skip_cold_load(address, false, skip_cold_load)?;
    if account.is_cold && !ctx.interpreter.gas.record_regular_cost(cold) {
        return Err(InstructionResult::OutOfGas);
    }
    *top = word(account.code_hash);
    Ok(())
}

/// EXTCODEHASH from Cancun on: zero for an account that is not there or empty, and the account neither becomes warm
/// nor has to be.
fn code_hash_at_one_price(ctx: Ictx<'_>) -> InstructionExecResult {
    let Some(([], top)) = ctx.interpreter.stack.popn_top::<0>() else {
        return Err(InstructionResult::StackUnderflow);
    };
    let address = Address::from_word(B256::from(*top));
    let journal = &mut ctx.host.journaled_state;
    let hash = match journal.inner.state.get(&address) {
        Some(account) if account.is_empty() => B256::ZERO,
        Some(account) => account.info.code_hash,
        None => match journal.database.basic(address) {
            Ok(Some(info)) if !info.is_empty() => info.code_hash,
            Ok(_) => B256::ZERO,
            Err(error) => {
                *ctx.host.error() = Err(ContextError::Db(error));
                return Err(LoadError::DBError.into());
            }
        },
    };
    *top = word(hash);
    Ok(())
}

/// A code hash as a word; an absent account has that of no code.
const fn word(hash: B256) -> U256 {
    U256::from_be_bytes(hash.0)
}

const fn push(pushed: bool) -> InstructionExecResult {
    if pushed { Ok(()) } else { Err(InstructionResult::StackOverflow) }
}
