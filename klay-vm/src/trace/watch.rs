//! From the machine's hooks to a [`Tracer`].

use core::any::Any;

use klay_core::{Address, Bytes, U256};
use revm::{
    Database, Inspector,
    bytecode::Bytecode,
    interpreter::{
        CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, Gas, InstructionResult, Interpreter,
        InterpreterAction, InterpreterResult,
        interpreter::EthInterpreter,
        interpreter_action::FrameInput,
        interpreter_types::{InputsTr, Jumps, LegacyBytecode, LoopControl, ReturnData},
    },
    primitives::Log,
    state::{Account, AccountInfo},
};

use super::{
    AccountReader, AccountView, End, Failure, Frame, FrameEnd, FrameKind, Step, StepEnd, Top, Touched, Tracer,
    failure::{Obstacle, obstacle},
    price::Ahead,
};
use crate::{
    machine::{KlvmContext, MachineError, error_text},
    state::WorldError,
};

const CREATE: u8 = 0xf0;
const CREATE2: u8 = 0xf5;

/// Shows a tracer, if there is one, what the machine does.
#[derive(Default)]
pub(crate) struct Watch {
    tracer: Option<Box<dyn Tracer>>,
    /// Gas and computation cost of the last instruction of each open frame.
    frames: Vec<(u64, u64)>,
    pending: Option<Pending>,
    /// Why the innermost frame is about to fail.
    failure: Option<String>,
    /// How the outermost frame ended.
    outermost: Option<Failure>,
}

/// The instruction that is being executed.
struct Pending {
    op: u8,
    gas: u64,
    stack_len: usize,
    memory_len: usize,
    price: Option<u64>,
}

impl Watch {
    /// A watch for `tracer`.
    pub(crate) fn new(tracer: impl Tracer) -> Self {
        Self { tracer: Some(Box::new(tracer)), ..Self::default() }
    }

    /// Gives the tracer back.
    pub(crate) fn take<T: Tracer>(&mut self) -> Option<T> {
        let tracer: Box<dyn Any> = self.tracer.take()?;
        tracer.downcast().ok().map(|tracer| *tracer)
    }

    /// Whether somebody watches.
    pub(crate) const fn is_on(&self) -> bool {
        self.tracer.is_some()
    }

    /// The transaction begins.
    pub(crate) fn begin(&mut self, top: &Top<'_>) {
        if let Some(tracer) = &mut self.tracer {
            tracer.begin(top);
        }
    }

    /// The transaction has ended and nothing of it has been written yet.
    pub(crate) fn end(&mut self, output: &Bytes, gas_used: u64, ctx: &mut KlvmContext) {
        if let Some(tracer) = &mut self.tracer {
            let end = End { output: output.clone(), failure: self.outermost.take(), gas_used };
            tracer.end(&end, &mut Reader(ctx));
        }
    }

    fn enter(&mut self, frame: impl FnOnce() -> Frame) {
        self.failure = None;
        self.frames.push((0, 0));
        if self.frames.len() > 1
            && let Some(tracer) = &mut self.tracer
        {
            tracer.enter(&frame());
        }
    }

    fn exit(&mut self, gas_limit: u64, result: &InterpreterResult, precompile: Option<&'static str>) {
        self.frames.pop();
        let why = self.failure.take();
        let failure = match result.result {
            InstructionResult::Revert => Some(Failure::Reverted),
            end => error_text(end).map(|text| {
                let precompile = precompile.filter(|_| end == InstructionResult::PrecompileError);
                Failure::Other(why.unwrap_or_else(|| precompile.unwrap_or(text).to_owned()))
            }),
        };
        if self.frames.is_empty() {
            self.outermost = failure;
            return;
        }
        if let Some(tracer) = &mut self.tracer {
            let gas_used = gas_limit - left(result.result, &result.gas).min(gas_limit);
            tracer.exit(&FrameEnd { output: result.output.clone(), gas_used, failure });
        }
    }
}

/// Gas that comes back from a frame.
const fn left(result: InstructionResult, gas: &Gas) -> u64 {
    if result.is_ok_or_revert() { gas.remaining() } else { 0 }
}

impl Inspector<KlvmContext, EthInterpreter> for Watch {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, ctx: &mut KlvmContext) {
        self.pending = None;
        let Some(tracer) = &mut self.tracer else { return };
        // The reference client runs nothing where there is no code; revm runs the STOP behind its end.
        if interpreter.bytecode.is_end() || interpreter.bytecode.bytecode_len() == 0 {
            return;
        }
        let (op, gas, address) =
            (interpreter.bytecode.opcode(), interpreter.gas.remaining(), interpreter.input.target_address());
        let stack = interpreter.stack.data();
        let memory = interpreter.memory.context_memory();
        let memory_len = memory.len();
        let price = Ahead { ctx, op, address, stack, memory_len, gas }.price();
        let step = Step {
            pc: interpreter.bytecode.pc(),
            op,
            gas,
            depth: self.frames.len(),
            address,
            stack,
            memory: &memory,
            return_data: interpreter.return_data.buffer(),
            refund: interpreter.gas.refunded(),
            computation_left: ctx.chain.meter.left(),
        };
        self.pending = Some(Pending { op, gas, stack_len: stack.len(), memory_len, price });
        if tracer.step(&step, &mut Reader(ctx)).is_break() {
            ctx.error = Err(MachineError::Db(WorldError::TimeLimit));
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter<EthInterpreter>, ctx: &mut KlvmContext) {
        let Some(Pending { op, gas, stack_len, memory_len, price }) = self.pending.take() else { return };
        let table = ctx.chain.opcodes;
        let (constant, cost) = (u64::from(table.constant_gas[usize::from(op)]), table.cost[usize::from(op)]);
        let last = self.frames.last().copied().unwrap_or_default();
        let failed = ctx.chain.stepped.end.filter(|end| end.is_halt());
        let obstacle = failed.and_then(|end| obstacle(table, op, stack_len, gas, price, end));
        let (gas_cost, computation_cost, why) = match obstacle {
            Some(Obstacle::Before(why)) => (last.0, last.1, Some(why)),
            Some(Obstacle::ConstantGas(why)) => (constant, last.1, Some(why.to_owned())),
            Some(Obstacle::Cost(why)) => (constant, cost, Some(why.to_owned())),
            Some(Obstacle::Price(why)) => (price.unwrap_or(constant), cost, Some(why.to_owned())),
            None if failed.is_some() => (price.unwrap_or(constant), cost, None),
            None => (spent(gas, ctx.chain.stepped.gas, op, interpreter), cost, None),
        };
        if let Some(last) = self.frames.last_mut() {
            *last = (gas_cost, computation_cost);
        }
        let memory_len = if why.is_some() { memory_len } else { interpreter.memory.len().max(memory_len) };
        self.failure.clone_from(&why);
        if let Some(tracer) = &mut self.tracer {
            tracer.step_end(&StepEnd { gas_cost, computation_cost, memory_len, failure: why });
        }
    }

    fn log(&mut self, _ctx: &mut KlvmContext, log: Log) {
        if let Some(tracer) = &mut self.tracer {
            tracer.log(log.address, log.topics(), &log.data.data);
        }
    }

    fn call(&mut self, ctx: &mut KlvmContext, inputs: &mut CallInputs) -> Option<CallOutcome> {
        ctx.chain.precompile_failure = None;
        self.enter(|| {
            let (kind, from) = match inputs.scheme {
                CallScheme::Call => (FrameKind::Call, inputs.caller),
                CallScheme::CallCode => (FrameKind::CallCode, inputs.caller),
                CallScheme::DelegateCall => (FrameKind::DelegateCall, inputs.target_address),
                CallScheme::StaticCall => (FrameKind::StaticCall, inputs.caller),
            };
            Frame {
                kind,
                from,
                to: inputs.bytecode_address,
                input: inputs.input.bytes(ctx),
                gas: inputs.gas_limit,
                value: (kind != FrameKind::StaticCall).then(|| inputs.value.get()),
            }
        });
        None
    }

    fn call_end(&mut self, ctx: &mut KlvmContext, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.exit(inputs.gas_limit, &outcome.result, ctx.chain.precompile_failure.take());
    }

    fn create(&mut self, ctx: &mut KlvmContext, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.enter(|| Frame {
            kind: match inputs.scheme() {
                revm::context_interface::CreateScheme::Create2 { .. } => FrameKind::Create2,
                _ => FrameKind::Create,
            },
            from: inputs.caller(),
            to: inputs.created_address(Reader(ctx).nonce(inputs.caller())),
            input: inputs.init_code().clone(),
            gas: inputs.gas_limit(),
            value: Some(inputs.value()),
        });
        None
    }

    fn create_end(&mut self, _ctx: &mut KlvmContext, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.exit(inputs.gas_limit(), &outcome.result, None);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        let Some(tracer) = &mut self.tracer else { return };
        tracer.enter(&Frame {
            kind: FrameKind::SelfDestruct,
            from: contract,
            to: target,
            input: Bytes::new(),
            gas: 0,
            value: Some(value),
        });
        tracer.exit(&FrameEnd { output: Bytes::new(), gas_used: 0, failure: None });
    }
}

/// Gas that a successful instruction took. What a creation hands on is no part of its price, what a call does is.
fn spent(before: u64, after: u64, op: u8, interpreter: &mut Interpreter<EthInterpreter>) -> u64 {
    let handed_on = match (op, interpreter.bytecode.action()) {
        (CREATE | CREATE2, Some(InterpreterAction::NewFrame(FrameInput::Create(inputs)))) => inputs.gas_limit(),
        _ => 0,
    };
    before.saturating_sub(after).saturating_sub(handed_on)
}

/// Accounts in the journal and behind it.
pub(super) struct Reader<'a>(pub(super) &'a mut KlvmContext);

impl Reader<'_> {
    /// Whether nothing is at the address, as Klaytn counts it.
    pub(super) fn is_empty(&mut self, address: Address) -> bool {
        self.info(address).is_none_or(|info| info.is_empty())
    }

    /// The code of an account, none where there is no account.
    pub(super) fn bytecode(&mut self, address: Address) -> Option<Bytecode> {
        let info = self.info(address)?;
        match info.code {
            Some(code) => Some(code),
            None => {
                let code = self.0.journaled_state.database.code_by_hash(info.code_hash);
                self.checked(code)
            }
        }
    }

    /// The word in a slot at the beginning of the transaction, and now.
    pub(super) fn slot(&mut self, address: Address, slot: U256) -> (U256, U256) {
        let account = self.0.journaled_state.inner.state.get(&address);
        if let Some(word) = account.and_then(|account| account.storage.get(&slot)) {
            return (word.original_value, word.present_value);
        }
        if account.is_some_and(Account::is_created_locally) {
            return (U256::ZERO, U256::ZERO);
        }
        let word = self.0.journaled_state.database.storage(address, slot);
        let word = self.checked(word).unwrap_or_default();
        (word, word)
    }

    fn info(&mut self, address: Address) -> Option<AccountInfo> {
        match self.0.journaled_state.inner.state.get(&address) {
            Some(account) => Some(account.info.clone()),
            None => {
                let info = self.0.journaled_state.database.basic(address);
                self.checked(info).flatten()
            }
        }
    }

    /// Keeps the first failure for the end of the step.
    fn checked<T>(&mut self, read: Result<T, WorldError>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                if self.0.error.is_ok() {
                    self.0.error = Err(MachineError::Db(error));
                }
                None
            }
        }
    }

    fn view(&mut self, info: &AccountInfo) -> AccountView {
        let code = match &info.code {
            Some(code) => Some(code.clone()),
            None => {
                let code = self.0.journaled_state.database.code_by_hash(info.code_hash);
                self.checked(code)
            }
        };
        let code = code.map(|code| code.original_bytes()).unwrap_or_default();
        AccountView { balance: info.balance, nonce: info.nonce, code }
    }
}

impl AccountReader for Reader<'_> {
    fn balance(&mut self, address: Address) -> U256 {
        self.info(address).map_or(U256::ZERO, |info| info.balance)
    }

    fn nonce(&mut self, address: Address) -> u64 {
        self.info(address).map_or(0, |info| info.nonce)
    }

    fn code(&mut self, address: Address) -> Bytes {
        self.bytecode(address).map(|code| code.original_bytes()).unwrap_or_default()
    }

    fn storage(&mut self, address: Address, slot: U256) -> U256 {
        self.slot(address, slot).1
    }

    fn touched(&mut self) -> Vec<Touched> {
        let mut addresses: Vec<Address> = self.0.journaled_state.inner.state.keys().copied().collect();
        addresses.sort_unstable();
        let mut list = Vec::new();
        for address in addresses {
            let Some(account) = self.0.journaled_state.inner.state.get(&address).cloned() else { continue };
            let before = self.0.journaled_state.database.basic(address);
            let before = self.checked(before).flatten().map(|info| self.view(&info));
            let is_gone = account.is_selfdestructed() || account.info.is_empty();
            let after = (!is_gone).then(|| self.view(&account.info));
            let mut storage: Vec<_> =
                account.storage.iter().map(|(slot, word)| (*slot, word.original_value, word.present_value)).collect();
            storage.sort_unstable();
            list.push(Touched { address, before, after, storage });
        }
        list
    }
}
