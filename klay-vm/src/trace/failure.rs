//! Why an instruction was not carried out, in the reference client's order of tests.
//!
//! Source: spec 40, section 1.13.

use revm::interpreter::InstructionResult;

use crate::{machine::COST_LIMIT, spec::OpcodeTable};

/// What stood in the way of an instruction, and how much of its price and cost had been counted by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Nothing of this instruction had been counted.
    Before(String),
    /// The constant gas had been counted.
    ConstantGas(&'static str),
    /// Constant gas and computation cost had been counted.
    Cost(&'static str),
    /// Everything had been counted.
    Price(&'static str),
}

const OUT_OF_GAS: &str = "out of gas";

/// The obstacle for `op`, which ended its frame with `end`; none if it failed while it was carried out.
///
/// `price` is the whole gas of the instruction, none if that does not fit 64 bits or has no meaning.
pub(super) fn obstacle(
    table: &OpcodeTable,
    op: u8,
    stack_len: usize,
    gas: u64,
    price: Option<u64>,
    end: InstructionResult,
) -> Option<Obstacle> {
    use InstructionResult as R;
    let at = usize::from(op);
    let (min, max) = (usize::from(table.min_stack[at]), usize::from(table.max_stack[at]));
    if !table.is_defined[at] {
        Some(Obstacle::Before(format!("invalid opcode {op:#x}")))
    } else if stack_len < min {
        Some(Obstacle::Before(format!("stack underflow ({stack_len} <=> {min})")))
    } else if stack_len > max {
        Some(Obstacle::Before(format!("stack limit reached {stack_len} ({max})")))
    } else if gas < u64::from(table.constant_gas[at]) {
        Some(Obstacle::ConstantGas(OUT_OF_GAS))
    } else if end == COST_LIMIT {
        Some(Obstacle::ConstantGas("reached the opcode computation cost limit"))
    } else if end == R::InvalidOperandOOG {
        Some(Obstacle::Cost("gas uint64 overflow"))
    } else if price.is_none_or(|price| price > gas) {
        Some(Obstacle::Price(OUT_OF_GAS))
    } else {
        None
    }
}
