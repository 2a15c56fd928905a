//! Struct logs: every instruction with stack, memory and the storage that was written.
//!
//! The text is written while the transaction runs, so that a long trace is held once and its length is known.
//!
//! Source: spec 40, section 6.3; `logger.go` and `api_kaia_blockchain.go` in the reference client.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    ops::ControlFlow,
};

use alloy_primitives::{Address, U256, hex};
use klay_vm::trace::{AccountReader, Step, StepEnd, Tracer, opcode_name};

use super::{Budget, Outcome, Report};
use crate::rpc::{RpcError, decode::TraceConfig};

const SSTORE: u8 = 0x55;

/// Writes struct logs.
#[derive(Debug)]
pub(super) struct StructLogger {
    config: TraceConfig,
    budget: Budget,
    text: String,
    count: i64,
    /// What each contract has written, whatever became of it.
    written: BTreeMap<Address, BTreeMap<U256, U256>>,
    /// The log that is being written: its contract, and how much of the memory stands in it.
    open: Option<(Address, usize, u64)>,
}

impl StructLogger {
    pub(super) fn new(config: &TraceConfig, budget: Budget) -> Self {
        Self { config: config.clone(), budget, text: String::new(), count: 0, written: BTreeMap::new(), open: None }
    }

    const fn is_full(&self) -> bool {
        self.config.limit != 0 && self.config.limit <= self.count
    }

    fn begin_log(&mut self, step: &Step<'_>) -> fmt::Result {
        let text = &mut self.text;
        if self.count > 0 {
            text.push(',');
        }
        let op = opcode_name(step.op);
        write!(text, "{{\"pc\":{},\"op\":\"{op}\",\"gas\":{},\"depth\":{}", step.pc, step.gas, step.depth)?;
        if !self.config.disable_stack {
            text.push_str(",\"stack\":[");
            for (index, word) in step.stack.iter().enumerate() {
                write!(text, "{}\"{word:064x}\"", if index > 0 { "," } else { "" })?;
            }
            text.push(']');
        }
        if !self.config.disable_memory {
            text.push_str(",\"memory\":[");
            for (index, word) in step.memory.chunks_exact(32).enumerate() {
                write!(text, "{}\"{}\"", if index > 0 { "," } else { "" }, hex::encode(word))?;
            }
        }
        Ok(())
    }

    fn end_log(&mut self, address: Address, memory: usize, left: u64, end: &StepEnd) -> fmt::Result {
        let text = &mut self.text;
        if !self.config.disable_memory {
            for index in memory / 32..end.memory_len / 32 {
                write!(text, "{}\"{:064}\"", if index > 0 { "," } else { "" }, 0)?;
            }
            text.push(']');
        }
        if !self.config.disable_storage {
            text.push_str(",\"storage\":{");
            for (index, (slot, word)) in self.written.get(&address).into_iter().flatten().enumerate() {
                write!(text, "{}\"{slot:064x}\":\"{word:064x}\"", if index > 0 { "," } else { "" })?;
            }
            text.push('}');
        }
        if end.failure.is_some() {
            // The reference client's errors have nothing that JSON shows.
            text.push_str(",\"error\":{}");
        }
        let (gas, cost) = (end.gas_cost, end.computation_cost);
        write!(text, ",\"gasCost\":{gas},\"computation\":{left},\"computationCost\":{cost}}}")
    }
}

impl Tracer for StructLogger {
    fn step(&mut self, step: &Step<'_>, _accounts: &mut dyn AccountReader) -> ControlFlow<()> {
        if self.is_full() {
            return self.budget.step(0);
        }
        if step.op == SSTORE && step.stack.len() >= 2 {
            self.written.entry(step.address).or_default().insert(step.peek(0), step.peek(1));
        }
        self.open = Some((step.address, step.memory.len(), step.computation_left));
        match self.begin_log(step) {
            Ok(()) => self.budget.step(self.text.len()),
            Err(fmt::Error) => ControlFlow::Break(()),
        }
    }

    fn step_end(&mut self, end: &StepEnd) {
        if let Some((address, memory, left)) = self.open.take()
            && self.end_log(address, memory, left, end).is_ok()
        {
            self.count += 1;
        }
    }
}

impl Report for StructLogger {
    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn report(self: Box<Self>, outcome: &Outcome) -> Result<String, RpcError> {
        let value = if outcome.is_success { hex::encode(&outcome.output) } else { String::new() };
        Ok(format!(
            "{{\"gas\":{},\"failed\":{},\"returnValue\":\"{value}\",\"structLogs\":[{}]}}",
            outcome.gas_used, !outcome.is_success, self.text
        ))
    }
}
