//! Computation cost, counted while instructions run.
//!
//! Source: spec 40, sections 1.13, 3.1 and 7.5.

use std::sync::Arc;

use revm::interpreter::{
    InstructionResult, Interpreter,
    instructions::InstructionTable,
    interpreter::EthInterpreter,
    interpreter_types::{Jumps, LoopControl},
};

use super::{KlvmContext, MachineError, halt::COST_LIMIT};
use crate::{
    spec::{Level, OpcodeTable},
    state::WorldError,
};

/// Cost between two looks at the clock: some 100,000 instructions.
const SLICE: u64 = 20_000_000;

/// A question that long executions ask now and then: is the time over?
#[derive(Clone)]
pub struct Deadline(Arc<dyn Fn() -> bool + Send + Sync>);

impl Deadline {
    /// A deadline that has passed as soon as `is_over` says so.
    pub fn new(is_over: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_over))
    }

    /// Whether the time is over.
    pub fn is_over(&self) -> bool {
        (self.0)()
    }
}

impl core::fmt::Debug for Deadline {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Deadline")
    }
}

/// The sum of computation cost of one transaction, over all its frames. It never goes back, not even when frames are
/// reverted.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    sum: u64,
    limit: u64,
    /// Where the sum is looked at more closely: the limit, or earlier where there is a deadline.
    threshold: u64,
    /// Whether the sum can come near the limit at all, or somebody wants to know it.
    is_on: bool,
    deadline: Option<Deadline>,
}

impl Meter {
    /// A meter for a transaction with this much gas under the level's own limit. It counts only if the limit can be
    /// reached or `counts`.
    pub(crate) const fn limited(level: Level, gas_limit: u64, counts: bool) -> Self {
        let limit = level.computation_cost_limit();
        let is_on = counts || gas_limit > level.unmetered_gas();
        Self { sum: 0, limit, threshold: limit, is_on, deadline: None }
    }

    /// A meter that only counts.
    pub(crate) const fn unlimited() -> Self {
        Self { sum: 0, limit: u64::MAX, threshold: u64::MAX, is_on: true, deadline: None }
    }

    /// Asks `deadline` now and then.
    pub(crate) fn with_deadline(mut self, deadline: Option<Deadline>) -> Self {
        if deadline.is_some() {
            self.is_on = true;
            self.threshold = self.limit.min(SLICE);
        }
        self.deadline = deadline;
        self
    }

    /// The cost so far; 0 if nothing is counted.
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// What is left, as traces show it.
    pub const fn left(&self) -> u64 {
        self.limit.wrapping_sub(self.sum)
    }

    /// Counts at once all that may be added before the sum is to be looked at more closely, for a loop to use up.
    const fn take_headroom(&mut self) -> u64 {
        let headroom = self.threshold.saturating_sub(self.sum);
        self.add(headroom);
        headroom
    }

    /// Takes back what was not used of it; less than zero, wrapped around, if it did not suffice.
    const fn give_back(&mut self, left: u64) {
        self.sum = self.sum.wrapping_sub(left);
    }

    /// Adds the cost of a precompiled contract. The next instruction compares.
    pub(crate) const fn add(&mut self, cost: u64) {
        self.sum = self.sum.wrapping_add(cost);
    }
}

/// Runs a frame until it ends or asks for another one: its action says which.
pub(super) fn run(
    interpreter: &mut Interpreter<EthInterpreter>,
    instructions: &InstructionTable<EthInterpreter, KlvmContext>,
    ctx: &mut KlvmContext,
) -> Result<(), MachineError> {
    let table = ctx.chain.opcodes;
    let (end, op) = if ctx.chain.meter.is_on {
        run_metered(interpreter, instructions, ctx, table)?
    } else {
        loop {
            let op = interpreter.bytecode.opcode();
            if let Err(end) = interpreter.step(instructions, &table.static_gas, ctx) {
                break (end, op);
            }
        }
    };
    if interpreter.bytecode.action().is_none() {
        let end = if end.is_halt() { settle_failure(interpreter, ctx, table, op, end) } else { end };
        interpreter.halt(end);
    }
    Ok(())
}

/// Looks closely at the first instruction and at each that the headroom does not cover. The loop over the others only
/// counts down: what it does and holds in registers beside the instructions' own work slows down every contract.
#[inline]
fn run_metered(
    interpreter: &mut Interpreter<EthInterpreter>,
    instructions: &InstructionTable<EthInterpreter, KlvmContext>,
    ctx: &mut KlvmContext,
    table: &OpcodeTable,
) -> Result<(InstructionResult, u8), MachineError> {
    let mut op = interpreter.bytecode.opcode();
    ctx.chain.meter.add(table.cost[usize::from(op)]);
    loop {
        if !may_run(interpreter, ctx, op)? {
            return Ok((COST_LIMIT, op));
        }
        if let Err(end) = interpreter.step(instructions, &table.static_gas, ctx) {
            return Ok((end, op));
        }
        let mut left = ctx.chain.meter.take_headroom();
        let ended = loop {
            op = interpreter.bytecode.opcode();
            let (rest, is_beyond) = left.overflowing_sub(table.cost[usize::from(op)]);
            left = rest;
            if is_beyond {
                break None;
            }
            if let Err(end) = interpreter.step(instructions, &table.static_gas, ctx) {
                break Some(end);
            }
        };
        ctx.chain.meter.give_back(left);
        if let Some(end) = ended {
            return Ok((end, op));
        }
    }
}

/// Counts one instruction ahead of running it one by one, for inspectors. `false` if the frame ends here instead.
pub(super) fn count(
    interpreter: &Interpreter<EthInterpreter>,
    ctx: &mut KlvmContext,
    op: u8,
) -> Result<bool, MachineError> {
    ctx.chain.meter.add(ctx.chain.opcodes.cost[usize::from(op)]);
    may_run(interpreter, ctx, op)
}

/// Whether the sum, with the cost of `op` in it, lets that instruction run.
#[inline]
fn may_run(interpreter: &Interpreter<EthInterpreter>, ctx: &mut KlvmContext, op: u8) -> Result<bool, MachineError> {
    if ctx.chain.meter.sum <= ctx.chain.meter.threshold {
        return Ok(true);
    }
    at_threshold(interpreter, ctx, op)
}

/// Klaytn tests an instruction's existence, the stack and the constant gas before the cost, so another failure may
/// come first; it is left to the instruction itself.
#[cold]
fn at_threshold(
    interpreter: &Interpreter<EthInterpreter>,
    ctx: &mut KlvmContext,
    op: u8,
) -> Result<bool, MachineError> {
    let (at, table) = (usize::from(op), ctx.chain.opcodes);
    let meter = &mut ctx.chain.meter;
    if meter.sum > meter.limit {
        let fails_earlier = !table.is_defined[at]
            || !fits_stack(table, op, interpreter.stack.len())
            || interpreter.gas.remaining() < u64::from(table.constant_gas[at]);
        return Ok(fails_earlier);
    }
    if meter.deadline.as_ref().is_some_and(Deadline::is_over) {
        return Err(MachineError::Db(WorldError::TimeLimit));
    }
    meter.threshold = meter.sum.saturating_add(SLICE).min(meter.limit);
    Ok(true)
}

/// The failure as Klaytn's order of tests has it, and the cost taken back where that order ends before the cost.
///
/// revm takes static gas before it looks at the stack; Klaytn looks at the stack first. A failed charge leaves the
/// remaining gas wrapped around zero, above any limit.
#[cold]
pub(super) fn settle_failure(
    interpreter: &mut Interpreter<EthInterpreter>,
    ctx: &mut KlvmContext,
    table: &OpcodeTable,
    op: u8,
    end: InstructionResult,
) -> InstructionResult {
    use InstructionResult as R;
    if end == COST_LIMIT {
        interpreter.gas.spend_all();
        return end;
    }
    let short_of_static_gas = end == R::OutOfGas && interpreter.gas.remaining() > interpreter.gas.limit();
    // Nothing has been popped in these cases.
    let stack_is_intact = short_of_static_gas || end == R::StateChangeDuringStaticCall;
    let stack_fails = match end {
        R::StackUnderflow | R::StackOverflow => true,
        _ => stack_is_intact && !fits_stack(table, op, interpreter.stack.len()),
    };
    let at = usize::from(op);
    let short_of_constant_gas = short_of_static_gas && table.constant_gas[at] != 0;
    if ctx.chain.meter.is_on && (!table.is_defined[at] || stack_fails || short_of_constant_gas) {
        ctx.chain.meter.sum = ctx.chain.meter.sum.wrapping_sub(table.cost[at]);
    }
    interpreter.gas.spend_all();
    if stack_fails { R::StackUnderflow } else { end }
}

fn fits_stack(table: &OpcodeTable, op: u8, len: usize) -> bool {
    let at = usize::from(op);
    len >= usize::from(table.min_stack[at]) && len <= usize::from(table.max_stack[at])
}
