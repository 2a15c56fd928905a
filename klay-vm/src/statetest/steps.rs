//! Steps as lines of JSON, in the form of EIP-3155 with Klaytn's computation cost.

use core::ops::ControlFlow;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::json;

use crate::trace::{AccountReader, End, Step, StepEnd, Tracer, opcode_name};

/// Where steps are written. Clones write to the same place.
#[derive(Clone)]
pub struct StepSink(Arc<Mutex<dyn Write + Send>>);

impl core::fmt::Debug for StepSink {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("StepSink")
    }
}

impl StepSink {
    /// Writes to `out`.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(out)))
    }

    /// Hands over what is still held back.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }

    fn line(&self, line: &serde_json::Value) -> io::Result<()> {
        writeln!(self.0.lock().unwrap_or_else(PoisonError::into_inner), "{line}")
    }

    pub(super) fn case(&self, file: &str, test: &str, fork: &str, index: usize) -> Steps {
        let name = json!({ "file": file, "test": test, "fork": fork, "index": index });
        let is_broken = self.line(&name).is_err();
        Steps { sink: self.clone(), is_broken, pending: json!(null) }
    }
}

/// Writes the steps of one case.
pub(super) struct Steps {
    sink: StepSink,
    is_broken: bool,
    pending: serde_json::Value,
}

impl Tracer for Steps {
    fn step(&mut self, step: &Step<'_>, _accounts: &mut dyn AccountReader) -> ControlFlow<()> {
        let stack: Vec<_> = step.stack.iter().map(|word| format!("{word:#x}")).collect();
        self.pending = json!({
            "pc": step.pc,
            "op": step.op,
            "opName": opcode_name(step.op),
            "gas": format!("{:#x}", step.gas),
            "depth": step.depth,
            "stack": stack,
            "memSize": step.memory.len(),
            "refund": step.refund,
            "computation": step.computation_left,
        });
        if self.is_broken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn step_end(&mut self, end: &StepEnd) {
        let mut line = self.pending.take();
        if let Some(members) = line.as_object_mut() {
            members.insert("gasCost".to_owned(), format!("{:#x}", end.gas_cost).into());
            members.insert("computationCost".to_owned(), end.computation_cost.into());
            if let Some(why) = &end.failure {
                members.insert("error".to_owned(), why.as_str().into());
            }
            self.is_broken |= self.sink.line(&line).is_err();
        }
    }

    fn end(&mut self, end: &End, _accounts: &mut dyn AccountReader) {
        let error = end.failure.as_ref().map(ToString::to_string);
        let line = json!({
            "output": end.output,
            "gasUsed": format!("{:#x}", end.gas_used),
            "pass": error.is_none(),
            "error": error,
        });
        self.is_broken |= self.sink.line(&line).is_err();
    }
}
