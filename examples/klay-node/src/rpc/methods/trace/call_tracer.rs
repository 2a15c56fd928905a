//! The tree of calls.
//!
//! Source: spec 40, section 6.3; `call_tracer.go` in the reference client. `onlyTopCall` and `withLog` are geth's.

use std::{
    fmt::{self, Write},
    ops::ControlFlow,
};

use alloy_primitives::{Address, B256, Bytes, hex};
use klay_vm::trace::{AccountReader, End, Failure, Frame, FrameEnd, FrameKind, Step, Top, Tracer};

use super::{Budget, Outcome, Report};
use crate::rpc::{
    RpcError,
    decode::TracerConfig,
    methods::revert::{json_text, revert_reason},
};

/// What a frame takes beside its data.
const FRAME_BYTES: usize = 512;

/// Collects frames.
#[derive(Debug)]
pub(super) struct CallTracer {
    config: TracerConfig,
    budget: Budget,
    bytes: usize,
    /// Frames in the order in which they began; the outermost is the first.
    frames: Vec<Call>,
    /// Positions of the frames that have not ended.
    open: Vec<usize>,
}

#[derive(Debug)]
struct Call {
    frame: Frame,
    gas_used: u64,
    output: Bytes,
    failure: Option<Failure>,
    children: Vec<usize>,
    logs: Vec<Log>,
}

#[derive(Debug)]
struct Log {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    /// Calls of the frame that had begun before.
    position: usize,
}

impl CallTracer {
    pub(super) const fn new(config: TracerConfig, budget: Budget) -> Self {
        Self { config, budget, bytes: 0, frames: Vec::new(), open: Vec::new() }
    }

    fn push(&mut self, frame: Frame) {
        self.bytes = self.bytes.saturating_add(FRAME_BYTES + frame.input.len());
        let at = self.frames.len();
        if let Some(parent) = self.open.last().and_then(|parent| self.frames.get_mut(*parent)) {
            parent.children.push(at);
        }
        let call =
            Call { frame, gas_used: 0, output: Bytes::new(), failure: None, children: Vec::new(), logs: Vec::new() };
        self.frames.push(call);
        self.open.push(at);
    }

    fn close(&mut self, output: &Bytes, gas_used: u64, failure: Option<&Failure>) {
        let Some(call) = self.open.pop().and_then(|at| self.frames.get_mut(at)) else { return };
        if matches!(failure, None | Some(Failure::Reverted)) {
            call.output = output.clone();
            self.bytes = self.bytes.saturating_add(output.len());
        }
        call.gas_used = gas_used;
        call.failure = failure.cloned();
    }

    /// Whether the frames that are open are wanted.
    const fn is_wanted(&self) -> bool {
        !self.config.only_top_call
    }

    /// Writes frame after frame without recursion: a chain of calls may be a thousand deep.
    fn write(&self, text: &mut String) -> fmt::Result {
        let mut rest: Vec<Work> = vec![Work::Begin { at: 0, fails: false }];
        while let Some(work) = rest.pop() {
            match work {
                Work::Comma => text.push(','),
                Work::End => text.push_str("]}"),
                Work::Begin { at, fails } => {
                    let Some(call) = self.frames.get(at) else { continue };
                    let fails = fails || call.failure.is_some();
                    call.write(text, self.config.with_log && !fails)?;
                    if call.children.is_empty() {
                        text.push('}');
                        continue;
                    }
                    text.push_str(",\"calls\":[");
                    rest.push(Work::End);
                    for (index, child) in call.children.iter().enumerate().rev() {
                        rest.push(Work::Begin { at: *child, fails });
                        if index > 0 {
                            rest.push(Work::Comma);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// What is left to write.
enum Work {
    Begin { at: usize, fails: bool },
    Comma,
    End,
}

impl Call {
    /// Everything but the calls, without the closing brace.
    fn write(&self, text: &mut String, with_logs: bool) -> fmt::Result {
        let Frame { kind, from, to, input, gas, value } = &self.frame;
        let input = hex::encode(input);
        write!(text, "{{\"type\":\"{}\",\"from\":\"{from:#x}\",\"gas\":\"{gas:#x}\"", kind.name())?;
        write!(text, ",\"gasUsed\":\"{:#x}\",\"input\":\"0x{input}\"", self.gas_used)?;
        let to = (!kind.is_creation() || self.failure.is_none()).then_some(to);
        if let Some(to) = to {
            write!(text, ",\"to\":\"{to:#x}\"")?;
        }
        if let Some(value) = value {
            write!(text, ",\"value\":\"{value:#x}\"")?;
        }
        if !self.output.is_empty() {
            write!(text, ",\"output\":\"0x{}\"", hex::encode(&self.output))?;
        }
        match &self.failure {
            None => {}
            Some(Failure::Other(why)) => write!(text, ",\"error\":{}", json_text(why.as_bytes()))?,
            Some(reverted @ Failure::Reverted) => {
                write!(text, ",\"error\":\"{reverted}\"")?;
                let reason = revert_reason(&self.output).filter(|reason| !reason.is_empty());
                let reason = reason.map(|reason| json_text(&reason));
                if let Some(reason) = &reason {
                    write!(text, ",\"revertReason\":{reason}")?;
                }
                text.push_str(",\"reverted\":{");
                if let Some(to) = to {
                    write!(text, "\"contract\":\"{to:#x}\"")?;
                }
                if let Some(reason) = reason {
                    write!(text, "{}\"message\":{reason}", if to.is_some() { "," } else { "" })?;
                }
                text.push('}');
            }
        }
        if with_logs && !self.logs.is_empty() {
            self.write_logs(text)?;
        }
        Ok(())
    }

    fn write_logs(&self, text: &mut String) -> fmt::Result {
        text.push_str(",\"logs\":[");
        for (index, log) in self.logs.iter().enumerate() {
            let topics: Vec<_> = log.topics.iter().map(|topic| format!("\"{topic:#x}\"")).collect();
            write!(
                text,
                "{}{{\"address\":\"{:#x}\",\"topics\":[{}],\"data\":\"0x{}\",\"position\":\"{:#x}\"}}",
                if index > 0 { "," } else { "" },
                log.address,
                topics.join(","),
                hex::encode(&log.data),
                log.position
            )?;
        }
        text.push(']');
        Ok(())
    }
}

impl Tracer for CallTracer {
    fn begin(&mut self, top: &Top<'_>) {
        self.push(Frame {
            kind: if top.is_creation { FrameKind::Create } else { FrameKind::Call },
            from: top.from,
            to: top.to,
            input: Bytes::copy_from_slice(top.input),
            gas: top.gas_limit,
            value: Some(top.value),
        });
    }

    fn step(&mut self, _step: &Step<'_>, _accounts: &mut dyn AccountReader) -> ControlFlow<()> {
        self.budget.step(self.bytes)
    }

    fn enter(&mut self, frame: &Frame) {
        if self.is_wanted() {
            self.push(frame.clone());
        }
    }

    fn exit(&mut self, end: &FrameEnd) {
        if self.is_wanted() {
            self.close(&end.output, end.gas_used, end.failure.as_ref());
        }
    }

    fn log(&mut self, address: Address, topics: &[B256], data: &Bytes) {
        if !self.config.with_log {
            return;
        }
        let Some(call) = self.open.last().and_then(|at| self.frames.get_mut(*at)) else { return };
        self.bytes = self.bytes.saturating_add(FRAME_BYTES + data.len());
        let position = call.children.len();
        call.logs.push(Log { address, topics: topics.to_vec(), data: data.clone(), position });
    }

    fn end(&mut self, end: &End, _accounts: &mut dyn AccountReader) {
        self.close(&end.output, end.gas_used, end.failure.as_ref());
    }
}

impl Report for CallTracer {
    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn report(self: Box<Self>, _outcome: &Outcome) -> Result<String, RpcError> {
        let mut text = String::new();
        self.write(&mut text).map_err(RpcError::from_error)?;
        Ok(text)
    }
}
