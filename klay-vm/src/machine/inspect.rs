//! Running with an inspector that sees every step, at the same costs and with the same ends.
//!
//! Source: spec 40, section 7.5.

use klay_core::{Address, B256, U256};
use revm::{
    Inspector,
    context::{Evm, FrameStack},
    handler::{EthFrame, EvmTr, FrameInitOrResult, ItemOrResult, evm::ContextDbError},
    inspector::{InspectorEvmTr, handler::frame_end},
    interpreter::{
        InstructionResult, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr, Jumps, LoopControl},
    },
};

use super::{Accounts, Klvm, KlvmContext, MachineError, Stepped, end_or_suspend, halt::COST_LIMIT, meter};

const SELFDESTRUCT: u8 = 0xff;

type Parts<'a, INSP> = (
    &'a mut KlvmContext,
    &'a mut <Klvm<INSP> as EvmTr>::Instructions,
    &'a mut <Klvm<INSP> as EvmTr>::Precompiles,
    &'a mut FrameStack<EthFrame<EthInterpreter>>,
    &'a mut INSP,
);

impl<INSP: Inspector<KlvmContext, EthInterpreter>> InspectorEvmTr for Klvm<INSP> {
    type Inspector = INSP;

    fn all_inspector(
        &self,
    ) -> (&Self::Context, &Self::Instructions, &Self::Precompiles, &FrameStack<Self::Frame>, &Self::Inspector) {
        let Evm { ctx, inspector, instruction, precompiles, frame_stack } = &self.0;
        (ctx, instruction, precompiles, frame_stack, inspector)
    }

    fn all_mut_inspector(&mut self) -> Parts<'_, INSP> {
        let Evm { ctx, inspector, instruction, precompiles, frame_stack } = &mut self.0;
        (ctx, instruction, precompiles, frame_stack, inspector)
    }

    fn inspect_frame_run(&mut self) -> Result<FrameInitOrResult<Self::Frame>, ContextDbError<KlvmContext>> {
        let (ctx, instructions, _, frames, inspector) = self.all_mut_inspector();
        let frame = frames.get();
        steps(ctx, &mut frame.interpreter, inspector, instructions)?;
        let mut next = end_or_suspend(frame, ctx)?;
        if let ItemOrResult::Result(result) = &mut next {
            frame_end(ctx, inspector, &frame.input, result);
        }
        Ok(next)
    }
}

/// Runs a frame step by step until it ends or asks for another one: its action says which.
fn steps<INSP: Inspector<KlvmContext, EthInterpreter>>(
    ctx: &mut KlvmContext,
    interpreter: &mut Interpreter<EthInterpreter>,
    inspector: &mut INSP,
    instructions: &<Klvm<INSP> as EvmTr>::Instructions,
) -> Result<(), MachineError> {
    let table = ctx.chain.opcodes;
    loop {
        inspector.step(interpreter, ctx);
        ctx.take_error()?;
        if interpreter.bytecode.is_end() {
            break;
        }
        let op = interpreter.bytecode.opcode();
        let destroyed = if op == SELFDESTRUCT { destruction(interpreter, ctx) } else { None };
        let logs_at = ctx.journaled_state.logs.len();
        let end = if meter::count(interpreter, ctx, op)? {
            interpreter.step(instructions.instruction_table(), &table.static_gas, ctx).err()
        } else {
            Some(COST_LIMIT)
        };
        ctx.chain.stepped = Stepped { gas: interpreter.gas.remaining(), end };
        if let Some(end) = end
            && interpreter.bytecode.action().is_none()
        {
            let end = if end.is_halt() { meter::settle_failure(interpreter, ctx, table, op, end) } else { end };
            interpreter.halt(end);
        }
        let logs: Vec<_> = ctx.journaled_state.logs.get(logs_at..).unwrap_or_default().to_vec();
        for log in logs {
            inspector.log_full(interpreter, ctx, log);
        }
        inspector.step_end(interpreter, ctx);
        if let (Some(InstructionResult::SelfDestruct), Some((contract, target, balance))) = (end, destroyed) {
            inspector.selfdestruct(contract, target, balance);
        }
        if interpreter.bytecode.is_end() {
            break;
        }
    }
    Ok(())
}

/// Who is about to give how much to whom by the instruction that comes next.
fn destruction(interpreter: &Interpreter<EthInterpreter>, ctx: &KlvmContext) -> Option<(Address, Address, U256)> {
    let contract = interpreter.input.target_address();
    let target = Address::from_word(B256::from(*interpreter.stack.data().last()?));
    let balance = ctx.journaled_state.state.get(&contract).map(|account| account.info.balance)?;
    Some((contract, target, balance))
}
