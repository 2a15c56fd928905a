//! Instructions that use memory, with Klaytn's test of the range ahead of every dynamic charge.
//!
//! A range that does not fit 64 bits is another failure than one that nobody can pay for, and the receipt says which.
//! revm charges first where Klaytn tests first.
//!
//! Source: spec 40, section 1.13; `memory_table.go` and `interpreter.go` in the reference client.

use klay_core::U256;
use revm::{
    context_interface::Cfg,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, InstructionResult,
        instructions::{contract, control, host, memory, system},
        interpreter::EthInterpreter,
        interpreter_types::ReturnData,
    },
};

use super::KlvmContext;

type Ictx<'a> = InstructionContext<'a, KlvmContext, EthInterpreter>;
type Table = [(u8, Instruction<EthInterpreter, KlvmContext>); 22];

/// Largest end of a range; beyond it the number of words times 32 does not fit.
const LAST_END: u64 = u64::MAX - 31;

/// Positions on the stack of an offset and a length.
type Range = (usize, usize);

/// The instructions, by opcode.
pub(super) const fn instructions() -> Table {
    [
        (0x20, Instruction::new(keccak256)),
        (0x37, Instruction::new(call_data_copy)),
        (0x39, Instruction::new(code_copy)),
        (0x3c, Instruction::new(ext_code_copy)),
        (0x3e, Instruction::new(return_data_copy)),
        (0x51, Instruction::new(mload)),
        (0x52, Instruction::new(mstore)),
        (0x53, Instruction::new(mstore8)),
        (0x5e, Instruction::new(mcopy)),
        (0xa0, Instruction::new(log::<0>)),
        (0xa1, Instruction::new(log::<1>)),
        (0xa2, Instruction::new(log::<2>)),
        (0xa3, Instruction::new(log::<3>)),
        (0xa4, Instruction::new(log::<4>)),
        (0xf0, Instruction::new(create::<false>)),
        (0xf1, Instruction::new(call::<0xf1>)),
        (0xf2, Instruction::new(call::<0xf2>)),
        (0xf3, Instruction::new(ret)),
        (0xf4, Instruction::new(call::<0xf4>)),
        (0xf5, Instruction::new(create::<true>)),
        (0xfa, Instruction::new(call::<0xfa>)),
        (0xfd, Instruction::new(revert)),
    ]
}

fn keccak256(ctx: Ictx<'_>) -> InstructionExecResult {
    fits(&ctx, [(0, 1)])?;
    system::keccak256(ctx)
}

fn call_data_copy(ctx: Ictx<'_>) -> InstructionExecResult {
    fits(&ctx, [(0, 2)])?;
    system::calldatacopy(ctx)
}

fn code_copy(ctx: Ictx<'_>) -> InstructionExecResult {
    fits(&ctx, [(0, 2)])?;
    system::codecopy(ctx)
}

fn ext_code_copy(ctx: Ictx<'_>) -> InstructionExecResult {
    fits(&ctx, [(1, 3)])?;
    host::extcodecopy(ctx)
}

/// Copying from beyond the return data fails after the copy is paid for.
fn return_data_copy(ctx: Ictx<'_>) -> InstructionExecResult {
    fits(&ctx, [(0, 2)])?;
    if let (Some(to), Some(from), Some(len)) = (peek(&ctx, 0), peek(&ctx, 1), peek(&ctx, 2)) {
        let available = U256::from(ctx.interpreter.return_data.buffer().len());
        if from.checked_add(len).is_none_or(|end| end > available) {
            let params = ctx.host.cfg.gas_params();
            let (to, len) = (to.saturating_to(), len.saturating_to());
            if !ctx.interpreter.gas.record_regular_cost(params.copy_cost(len)) {
                return Err(InstructionResult::OutOfGas);
            }
            if len != 0 {
                ctx.interpreter.resize_memory(params, to, len)?;
            }
            return Err(InstructionResult::OutOfOffset);
        }
    }
    system::returndatacopy(ctx)
}

fn mload(ctx: Ictx<'_>) -> InstructionExecResult {
    is_below(&ctx, LAST_END - 32)?;
    memory::mload(ctx)
}

fn mstore(ctx: Ictx<'_>) -> InstructionExecResult {
    is_below(&ctx, LAST_END - 32)?;
    memory::mstore(ctx)
}

fn mstore8(ctx: Ictx<'_>) -> InstructionExecResult {
    is_below(&ctx, LAST_END - 1)?;
    memory::mstore8(ctx)
}

fn mcopy(ctx: Ictx<'_>) -> InstructionExecResult {
    fits(&ctx, [(0, 2), (1, 2)])?;
    memory::mcopy(ctx)
}

fn log<const N: usize>(ctx: Ictx<'_>) -> InstructionExecResult {
    fits(&ctx, [(0, 1)])?;
    host::log::<N, _>(ctx)
}

fn create<const IS_CREATE2: bool>(ctx: Ictx<'_>) -> InstructionExecResult {
    fits(&ctx, [(1, 2)])?;
    contract::create::<IS_CREATE2, _, _>(ctx)
}

fn call<const KIND: u8>(ctx: Ictx<'_>) -> InstructionExecResult {
    match KIND {
        0xf1 | 0xf2 => fits(&ctx, [(3, 4), (5, 6)])?,
        _ => fits(&ctx, [(2, 3), (4, 5)])?,
    }
    contract::call::<KIND, _, _>(ctx)
}

fn ret(ctx: Ictx<'_>) -> InstructionExecResult {
    fits(&ctx, [(0, 1)])?;
    control::ret(ctx)
}

fn revert(ctx: Ictx<'_>) -> InstructionExecResult {
    fits(&ctx, [(0, 1)])?;
    control::revert(ctx)
}

/// Whether the ranges fit. Nothing is said about a stack that is too short.
#[inline]
fn fits<const N: usize>(ctx: &Ictx<'_>, ranges: [Range; N]) -> InstructionExecResult {
    let stack = ctx.interpreter.stack.data();
    for (offset, len) in ranges {
        let (Some(offset), Some(len)) = (below(stack, offset), below(stack, len)) else { return Ok(()) };
        if !(is_short(offset) && is_short(len)) {
            long_fits(offset, len)?;
        }
    }
    Ok(())
}

/// Whether it is so small that two of it are below [`LAST_END`].
#[inline]
fn is_short(word: &U256) -> bool {
    let [lowest, rest @ ..] = word.as_limbs();
    lowest >> 62 == 0 && *rest == [0; 3]
}

#[cold]
fn long_fits(offset: &U256, len: &U256) -> InstructionExecResult {
    let end = || u64::try_from(offset).ok()?.checked_add(u64::try_from(len).ok()?);
    if !len.is_zero() && end().is_none_or(|end| end > LAST_END) {
        return Err(InstructionResult::InvalidOperandOOG);
    }
    Ok(())
}

/// Whether the offset on top is at most `last`, as far as its lowest 64 bits say; a larger one fails by itself.
#[inline]
fn is_below(ctx: &Ictx<'_>, last: u64) -> InstructionExecResult {
    match ctx.interpreter.stack.data().last() {
        Some(offset) if offset.as_limbs()[0] > last => Err(InstructionResult::InvalidOperandOOG),
        _ => Ok(()),
    }
}

/// The item this far below the top.
#[inline]
fn below(stack: &[U256], depth: usize) -> Option<&U256> {
    stack.len().checked_sub(depth + 1).and_then(|at| stack.get(at))
}

fn peek(ctx: &Ictx<'_>, depth: usize) -> Option<U256> {
    below(ctx.interpreter.stack.data(), depth).copied()
}
