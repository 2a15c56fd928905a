//! Transactions, blocks and calls executed again, with every step shown.
//!
//! A trace is bounded in time and in memory, and only a few are made at once: the node goes on whatever is asked for.
//!
//! Source: spec 40, section 6.3; spec 80, section 3.7; `node/cn/tracers/api.go` in the reference client.

mod budget;
mod call_tracer;
mod duration;
mod prestate;
mod replay;
mod scripts;
mod struct_log;

use std::{ops::ControlFlow, sync::Arc};

use alloy_primitives::{Address, B256, Bytes};
use klay_core::{block::Block, codec::Reader};
use klay_vm::{
    CallError, Deadline, TxError, call,
    trace::{AccountReader, End, Frame, FrameEnd, Step, StepEnd, Top, Tracer},
};
use serde_json::{Value, json, value::RawValue};

use super::calls::{Scene, refusal};
use crate::{
    SealedBlock,
    rpc::{
        Namespace, RpcError, Services, Table,
        decode::{BlockId, BlockNumber, CallRequest, TraceConfig, TracerConfig},
        shapes::{Object, Put, bytes},
    },
};

use budget::Budget;
use call_tracer::CallTracer;
use prestate::{DiffTracer, PrestateTracer};
use replay::Replay;
use scripts::Script;
use struct_log::StructLogger;

const DEBUG: [Namespace; 1] = [Namespace::Debug];

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let desk = |services: &Arc<Services>| Desk { services: Arc::clone(services) };
    let d = desk(services);
    table.trace(&DEBUG, "traceTransaction", move |(hash, config): (B256, Option<TraceConfig>)| {
        d.transaction(hash, &config.unwrap_or_default())
    });
    let d = desk(services);
    table.trace(&DEBUG, "traceCall", move |(request, id, config): (CallRequest, BlockId, Option<TraceConfig>)| {
        d.call(request, id, &config.unwrap_or_default())
    });
    let d = desk(services);
    table.trace(&DEBUG, "traceBlockByNumber", move |(number, config): (BlockNumber, Option<TraceConfig>)| {
        d.block(&*d.services.known_block(number)?, &config.unwrap_or_default())
    });
    let d = desk(services);
    table.trace(&DEBUG, "traceBlockByHash", move |(hash, config): (B256, Option<TraceConfig>)| {
        d.block(&*d.services.known_block_by_hash(hash)?, &config.unwrap_or_default())
    });
    let d = desk(services);
    table.trace(&DEBUG, "traceBlock", move |(encoded, config): (Bytes, Option<TraceConfig>)| {
        d.encoded_block(&encoded, &config.unwrap_or_default())
    });
    let d = desk(services);
    table.trace(&DEBUG, "storageRangeAt", move |range: StorageRange| d.storage_range(range));
}

/// Where a range of storage is asked for: block, transaction, account, first hashed slot, most slots.
type StorageRange = (B256, i64, Address, Bytes, i64);

/// Most slots in one answer.
const MAX_SLOTS: i64 = 100_000;

/// Where traces are asked for.
struct Desk {
    services: Arc<Services>,
}

impl Desk {
    fn transaction(&self, hash: B256, config: &TraceConfig) -> Result<Box<RawValue>, RpcError> {
        let found = self.services.node.chain().transaction(hash).map_err(RpcError::from_error)?;
        let found = found.ok_or_else(|| RpcError::failed(format!("transaction {hash:x} not found")))?;
        let mut replay = Replay::before(&self.services, &found.block, config.reexec)?;
        for index in 0..found.index {
            replay.pass(index)?;
        }
        raw(self.trace_next(&mut replay, found.index, config, self.services.limits.trace_bytes)?)
    }

    fn block(&self, block: &SealedBlock, config: &TraceConfig) -> Result<Box<RawValue>, RpcError> {
        if block.number() == 0 {
            return Err(RpcError::failed("genesis is not traceable"));
        }
        let mut replay = Replay::before(&self.services, block, config.reexec)?;
        let max = self.services.limits.trace_bytes;
        let mut text = String::from("[");
        for (index, tx) in block.transactions.iter().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            text.push_str(&format!("{separator}{{\"txHash\":\"{:#x}\",", tx.hash()));
            match self.trace_next(&mut replay, index, config, max.saturating_sub(text.len())) {
                Ok(result) => text.push_str(&format!("\"result\":{result}}}")),
                Err(error @ RpcError::ResponseTooLarge { .. }) => return Err(error),
                Err(error) => {
                    replay.pass(index)?;
                    let why = Value::String(error.to_string());
                    text.push_str(&format!("\"error\":{why}}}"));
                }
            }
            if text.len() > max {
                return Err(RpcError::ResponseTooLarge { max });
            }
        }
        text.push(']');
        raw(text)
    }

    /// A block that a client brings; its parent is one of the chain.
    fn encoded_block(&self, encoded: &[u8], config: &TraceConfig) -> Result<Box<RawValue>, RpcError> {
        let undecodable = |why: &dyn core::fmt::Display| RpcError::failed(format!("could not decode block: {why}"));
        let mut reader = Reader::new(encoded);
        let block: Block<crate::KlaytnTx> = Block::decode(&mut reader).map_err(|error| undecodable(&error))?;
        let chain_id = self.services.node.chain().config().chain_id;
        let recover = |tx| klay_feedeleg::RecoveredKlaytnTx::recover(tx, chain_id).map(Arc::new);
        let transactions: Result<Vec<_>, _> = block.transactions.into_iter().map(recover).collect();
        let transactions = transactions.map_err(RpcError::from_error)?;
        let proposer = block.header.proposer().unwrap_or_default();
        let hash = block.header.hash();
        self.block(&SealedBlock::new(block.header, hash, transactions, proposer), config)
    }

    fn call(&self, request: CallRequest, id: BlockId, config: &TraceConfig) -> Result<Box<RawValue>, RpcError> {
        let block = self.services.known_block_by_id(id)?;
        let state = replay::state_after(&self.services, block.number(), replay::reexec(config.reexec))?;
        let scene = Scene::over(&self.services, block, state);
        let (state, context) = scene.parts();
        let request = request.into();
        let mut message = scene.message(&request, None)?;
        let tracer = self.tracer(config, self.services.limits.trace_bytes)?;
        message.deadline = Some(tracer.deadline());
        let (outcome, tracer) = call::trace(state, context, &message, tracer);
        let outcome = outcome.map_err(|error| match error {
            CallError::Timeout => tracer.0.budget().reason(),
            CallError::NotApplicable(reason) => {
                RpcError::failed(format!("tracing failed: {}", refusal(message.from, &reason)))
            }
            error => RpcError::failed(format!("tracing failed: {error}")),
        })?;
        let is_success = outcome.status.is_success();
        raw(tracer.0.report(&Outcome { is_success, gas_used: outcome.gas_used, output: outcome.output })?)
    }

    /// A part of an account's storage ahead of a transaction.
    fn storage_range(&self, (hash, index, address, start, most): StorageRange) -> Result<Value, RpcError> {
        let found = self.services.block_by_hash(hash)?;
        let block = found.ok_or_else(|| RpcError::failed(format!("block {hash:#x} not found")))?;
        if block.number() == 0 {
            return Err(RpcError::failed("no transaction in genesis"));
        }
        let count = block.transactions.len();
        let ahead = usize::try_from(index).ok().filter(|index| *index < count.max(1));
        let ahead = ahead
            .ok_or_else(|| RpcError::failed(format!("transaction index {index} out of range for block {hash:x}")))?;
        let mut replay = Replay::before(&self.services, &block, None)?;
        for index in 0..ahead {
            replay.pass(index)?;
        }
        let state = replay.into_state()?;
        let mut first = B256::ZERO;
        first.0.iter_mut().zip(&start).for_each(|(byte, given)| *byte = *given);
        let words = state.words(address, first).map_err(RpcError::from_error)?;
        let mut words = words.ok_or_else(|| RpcError::failed(format!("account {address:x} doesn't exist")))?;
        let (mut storage, mut next) = (Object::new(), Value::Null);
        let most = usize::try_from(most.clamp(0, MAX_SLOTS)).unwrap_or_default();
        while let Some(word) = words.next().transpose().map_err(RpcError::from_error)? {
            if storage.len() == most {
                next = bytes(word.0);
                break;
            }
            let slot = self.services.node.chain().preimage(word.0).map_err(RpcError::from_error)?.map(bytes);
            storage.put(&format!("{:#x}", word.0), json!({ "key": slot, "value": B256::from(word.1) }));
        }
        Ok(json!({ "storage": storage, "nextKey": next }))
    }

    /// Traces a transaction whose predecessors have been executed, and leaves its changes in place.
    fn trace_next(
        &self,
        replay: &mut Replay,
        index: usize,
        config: &TraceConfig,
        bytes: usize,
    ) -> Result<String, RpcError> {
        let tracer = self.tracer(config, bytes)?;
        let deadline = tracer.deadline();
        let (executed, tracer) = replay.trace(index, tracer, deadline)?;
        let executed = executed.map_err(|error| match error {
            TxError::TimeLimit => tracer.0.budget().reason(),
            error => RpcError::failed(format!("tracing failed: {error}")),
        })?;
        let outcome = Outcome {
            is_success: executed.receipt.status.is_success(),
            gas_used: executed.receipt.gas_used,
            output: executed.output,
        };
        tracer.0.report(&outcome)
    }

    /// The tracer that a client asks for.
    fn tracer(&self, config: &TraceConfig, bytes: usize) -> Result<Chosen, RpcError> {
        let limits = &self.services.limits;
        let time = match &config.timeout {
            Some(text) => duration::parse(text).map_err(RpcError::failed)?.min(limits.trace_timeout_max),
            None => limits.trace_timeout,
        };
        if let (None, Some(text)) = (&config.tracer, &config.logger_timeout) {
            duration::parse(text).map_err(RpcError::failed)?;
        }
        let budget = Budget::new(time, bytes);
        let options = if limits.is_strict { TracerConfig::default() } else { config.tracer_config };
        let report: Box<dyn Report> = match config.tracer.as_deref() {
            None => Box::new(StructLogger::new(config, budget)),
            Some("callTracer" | "fastCallTracer") => Box::new(CallTracer::new(options, budget)),
            Some("prestateTracer") if options.diff_mode => Box::new(DiffTracer::new(budget)),
            Some("prestateTracer") => Box::new(PrestateTracer::new(budget)),
            Some(name) => Script::by_name(name, budget)
                .map(|script| -> Box<dyn Report> { Box::new(script) })
                .ok_or_else(|| unknown_tracer(name))?,
        };
        Ok(Chosen(report))
    }
}

/// The reference client takes what is no tracer's name for a script, in which a bare name is a variable.
fn unknown_tracer(script: &str) -> RpcError {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    if script.bytes().all(is_name) && script.starts_with(|first: char| !first.is_ascii_digit()) {
        return RpcError::failed(format!("ReferenceError: identifier '{script}' undefined"));
    }
    RpcError::failed("Only predefined tracers are supported")
}

fn raw(text: String) -> Result<Box<RawValue>, RpcError> {
    RawValue::from_string(text).map_err(RpcError::from_error)
}

/// How the transaction ended.
struct Outcome {
    is_success: bool,
    gas_used: u64,
    output: Bytes,
}

/// A tracer with something to say in the end.
trait Report: Tracer {
    /// Its bounds.
    fn budget(&self) -> &Budget;

    /// The JSON that clients see.
    fn report(self: Box<Self>, outcome: &Outcome) -> Result<String, RpcError>;
}

/// The tracer that was asked for.
struct Chosen(Box<dyn Report>);

impl Chosen {
    fn deadline(&self) -> Deadline {
        let until = self.0.budget().until();
        Deadline::new(move || std::time::Instant::now() >= until)
    }
}

impl Tracer for Chosen {
    fn begin(&mut self, top: &Top<'_>) {
        self.0.begin(top);
    }

    fn step(&mut self, step: &Step<'_>, accounts: &mut dyn AccountReader) -> ControlFlow<()> {
        self.0.step(step, accounts)
    }

    fn step_end(&mut self, end: &StepEnd) {
        self.0.step_end(end);
    }

    fn enter(&mut self, frame: &Frame) {
        self.0.enter(frame);
    }

    fn exit(&mut self, end: &FrameEnd) {
        self.0.exit(end);
    }

    fn log(&mut self, address: Address, topics: &[B256], data: &Bytes) {
        self.0.log(address, topics, data);
    }

    fn end(&mut self, end: &End, accounts: &mut dyn AccountReader) {
        self.0.end(end, accounts);
    }
}
