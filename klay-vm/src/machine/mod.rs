//! The machine: revm's interpreter with Klaytn's frames, precompiled contracts and computation cost.
//!
//! [`Klvm`] wraps revm's `Evm`. It changes what happens when a frame begins (`call`, `create`) and ends
//! (`create`), counts computation cost while instructions run (`meter`), and replaces a few instructions
//! (`instructions`).
//!
//! Source: spec 40, section 7.

mod call;
mod create;
mod halt;
mod inspect;
mod instructions;
mod meter;
mod ranges;
mod tx;

use klay_accounts::AccountKey;
use klay_core::{Address, Rules, U256};
use revm::{
    Context, Inspector, Journal,
    context::{BlockEnv, CfgEnv, ContextError, Evm, FrameStack, JournalTr},
    handler::{
        EthFrame, EvmTr, FrameInitOrResult, FrameResult, ItemOrResult,
        evm::{ContextDbError, FrameInitResult},
        instructions::EthInstructions,
    },
    inspector::InspectorEvmTr,
    interpreter::{
        CreateOutcome, InstructionResult, InterpreterAction, SharedMemory,
        interpreter::EthInterpreter,
        interpreter_action::{FrameInit, FrameInput},
    },
};

use crate::{
    env::BlockContext,
    precompile::{KlvmPrecompiles, PrecompileSet, reserved},
    spec::{Level, OpcodeTable},
    state::{StateError, World, WorldError},
};

pub(crate) use halt::{COST_LIMIT, EF_CODE_KEPT, error_text, status_of};
pub use meter::{Deadline, Meter};
pub use tx::KlvmTx;

/// What instructions and precompiled contracts see of the world around them.
pub type KlvmContext = Context<BlockEnv, KlvmTx, CfgEnv<Level>, World, Journal<World>, Chain>;
/// Why frames could not be run to their end.
pub(crate) type MachineError = ContextError<WorldError>;

type Inner<INSP> =
    Evm<KlvmContext, INSP, EthInstructions<EthInterpreter, KlvmContext>, KlvmPrecompiles, EthFrame<EthInterpreter>>;

/// What Klaytn adds to the context of a block and a transaction.
#[derive(Debug)]
pub struct Chain {
    /// Forks of the block.
    pub rules: Rules,
    /// Rules of the machine.
    pub level: Level,
    /// What the instructions are.
    pub(crate) opcodes: &'static OpcodeTable,
    /// Computation cost so far.
    pub meter: Meter,
    /// What BASEFEE pushes.
    pub base_fee: U256,
    /// What BLOBBASEFEE pushes.
    pub blob_base_fee: U256,
    /// Whether Ethereum's rules hold where they differ and Ethereum's own tests look.
    pub(crate) ethereum: bool,
    /// Absent accounts that were called as precompiled contracts in this transaction.
    pub(crate) placeholders: Vec<Address>,
    /// What became of the last instruction, while somebody watches.
    pub(crate) stepped: Stepped,
    /// Why the last precompiled contract failed that did, in the reference client's words.
    pub(crate) precompile_failure: Option<&'static str>,
}

/// An instruction's end, ahead of what the end of its frame makes of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stepped {
    /// Gas left.
    pub(crate) gas: u64,
    /// How it ended its frame, if it did.
    pub(crate) end: Option<InstructionResult>,
}

/// The machine over the accounts of a block.
pub struct Klvm<INSP = ()>(pub(crate) Inner<INSP>);

impl<INSP> core::fmt::Debug for Klvm<INSP> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Klvm").field("level", &self.0.ctx.chain.level).finish_non_exhaustive()
    }
}

impl<INSP> Klvm<INSP> {
    /// A machine for the block of `block` over `world`.
    pub(crate) fn new(block: &BlockContext, world: World, inspector: INSP) -> Self {
        let level = Level::of(block.rules);
        let opcodes = if block.ethereum_rules { level.ethereum_opcodes() } else { level.opcodes() };
        let chain = Chain {
            rules: block.rules,
            level,
            opcodes,
            meter: Meter::default(),
            base_fee: block.base_fee.unwrap_or_default(),
            blob_base_fee: block.blob_base_fee,
            ethereum: block.ethereum_rules,
            placeholders: Vec::new(),
            stepped: Stepped::default(),
            precompile_failure: None,
        };
        let mut cfg = CfgEnv::new_with_spec_and_gas_params(level, instructions::gas_params(level));
        cfg.chain_id = block.chain_id;
        cfg.tx_gas_limit_cap = Some(u64::MAX);
        let mut ctx = KlvmContext {
            block: block_env(block),
            tx: KlvmTx::default(),
            cfg,
            journaled_state: Journal::new(world),
            chain,
            local: revm::context::LocalContext::default(),
            error: Ok(()),
        };
        let precompiles = KlvmPrecompiles::new(level);
        ctx.journaled_state.set_spec_id(level.spec_id());
        if level.is_since(Level::Kore) {
            ctx.journaled_state.warm_precompiles(precompiles.warm());
        }
        let instructions = instructions::instructions(level, opcodes, block.ethereum_rules);
        Self(Evm::new_with_inspector(ctx, inspector, instructions, precompiles))
    }

    /// The accounts of the block.
    pub(crate) const fn world(&mut self) -> &mut World {
        &mut self.0.ctx.journaled_state.database
    }

    /// Gives up the machine for the accounts.
    pub(crate) fn into_world(self) -> World {
        self.0.ctx.journaled_state.database
    }

    /// Runs a frame and all frames in it.
    pub(crate) fn run(&mut self, first: FrameInput) -> Result<FrameResult, MachineError> {
        let first = self.first(first);
        if let ItemOrResult::Result(result) = self.frame_init(first)? {
            return self.closed(result);
        }
        loop {
            // Handed on as it is: moving a result around costs more than what is done with it.
            let result = match self.frame_run()? {
                ItemOrResult::Result(result) => result,
                ItemOrResult::Item(init) => match self.frame_init(init)? {
                    ItemOrResult::Result(result) => result,
                    ItemOrResult::Item(_) => continue,
                },
            };
            if let Some(last) = self.frame_return_result(result)? {
                return self.closed(last);
            }
        }
    }

    /// The outermost frame, over the memory that all frames share.
    fn first(&self, frame_input: FrameInput) -> FrameInit {
        let memory = SharedMemory::new_with_buffer(self.0.ctx.local.shared_memory_buffer.clone());
        FrameInit { depth: 0, memory, frame_input }
    }

    /// The result of the outermost frame, unless the accounts behind it failed.
    fn closed(&mut self, last: FrameResult) -> Result<FrameResult, MachineError> {
        self.0.ctx.take_error()?;
        Ok(last)
    }

    /// Forgets everything about the transaction that was running, whatever became of it.
    pub(crate) fn reset(&mut self) {
        let ctx = &mut self.0.ctx;
        ctx.error = Ok(());
        ctx.local.clear_memory();
        ctx.chain.placeholders.clear();
        ctx.journaled_state.inner.state.clear();
        ctx.journaled_state.inner.commit_tx();
        self.0.frame_stack.clear();
    }
}

impl<INSP: Inspector<KlvmContext, EthInterpreter>> Klvm<INSP> {
    /// As [`Self::run`], showing every step to the inspector.
    pub(crate) fn inspect(&mut self, first: FrameInput) -> Result<FrameResult, MachineError> {
        let first = self.first(first);
        if let ItemOrResult::Result(result) = self.inspect_frame_init(first)? {
            return self.closed(result);
        }
        loop {
            let result = match self.inspect_frame_run()? {
                ItemOrResult::Result(result) => result,
                ItemOrResult::Item(init) => match self.inspect_frame_init(init)? {
                    ItemOrResult::Result(result) => result,
                    ItemOrResult::Item(_) => continue,
                },
            };
            if let Some(last) = self.frame_return_result(result)? {
                return self.closed(last);
            }
        }
    }
}

fn block_env(block: &BlockContext) -> BlockEnv {
    BlockEnv {
        number: U256::from(block.number),
        beneficiary: block.coinbase,
        timestamp: U256::from(block.timestamp),
        gas_limit: block.gas_limit,
        basefee: block.base_fee.unwrap_or_default().saturating_to(),
        difficulty: block.block_score,
        prevrandao: Some(block.random),
        blob_excess_gas_and_price: None,
        slot_num: 0,
    }
}

/// Questions that frames and precompiled contracts ask about accounts.
pub(crate) trait Accounts {
    /// The precompiled contracts that exist for `caller`.
    fn precompile_set(&mut self, caller: Address) -> Result<PrecompileSet, StateError>;
    /// The number of `address` in the range where ordinary accounts do not live.
    fn reserved(&self, address: Address) -> Option<u16>;
    /// The key of the account as of now.
    fn account_key(&mut self, address: Address) -> Result<AccountKey, StateError>;
    /// Whether there is an account object, be it empty or destroyed in this transaction.
    fn exists(&mut self, address: Address) -> Result<bool, StateError>;
    /// The first failure of the accounts behind the machine.
    fn take_error(&mut self) -> Result<(), MachineError>;
}

impl Accounts for KlvmContext {
    fn precompile_set(&mut self, caller: Address) -> Result<PrecompileSet, StateError> {
        let set = PrecompileSet::of(self.chain.level);
        let made_here = self.journaled_state.state.get(&caller).is_some_and(|account| account.is_created_locally());
        if made_here || self.journaled_state.database.vm_version(caller)? != Some(0) {
            return Ok(set);
        }
        Ok(PrecompileSet::Byzantium)
    }

    fn reserved(&self, address: Address) -> Option<u16> {
        let number = reserved(address)?;
        let is_active = || PrecompileSet::of(self.chain.level).at(number).is_some();
        (!self.chain.ethereum || is_active()).then_some(number)
    }

    fn account_key(&mut self, address: Address) -> Result<AccountKey, StateError> {
        if self.journaled_state.state.get(&address).is_some_and(|account| account.is_created_locally()) {
            return Ok(AccountKey::Fail);
        }
        Ok(self.journaled_state.database.account(address)?.map(|a| a.key.clone()).unwrap_or_default())
    }

    fn exists(&mut self, address: Address) -> Result<bool, StateError> {
        match self.journaled_state.state.get(&address) {
            Some(account) => Ok(!account.is_loaded_as_not_existing_not_touched()),
            None => Ok(self.journaled_state.database.account(address)?.is_some()),
        }
    }

    fn take_error(&mut self) -> Result<(), MachineError> {
        if self.error.is_ok() {
            return Ok(());
        }
        core::mem::replace(&mut self.error, Ok(()))
    }
}

/// The memory that all frames of a machine share.
trait ClearMemory {
    fn clear_memory(&mut self);
}

impl ClearMemory for revm::context::LocalContext {
    fn clear_memory(&mut self) {
        use revm::context_interface::LocalContextTr;
        self.clear();
    }
}

impl<INSP> EvmTr for Klvm<INSP> {
    type Context = KlvmContext;
    type Instructions = EthInstructions<EthInterpreter, KlvmContext>;
    type Precompiles = KlvmPrecompiles;
    type Frame = EthFrame<EthInterpreter>;

    fn all(&self) -> (&Self::Context, &Self::Instructions, &Self::Precompiles, &FrameStack<Self::Frame>) {
        self.0.all()
    }

    fn all_mut(
        &mut self,
    ) -> (&mut Self::Context, &mut Self::Instructions, &mut Self::Precompiles, &mut FrameStack<Self::Frame>) {
        self.0.all_mut()
    }

    /// Begins a frame: Klaytn's rules first, then revm's.
    fn frame_init(
        &mut self,
        mut init: FrameInit,
    ) -> Result<FrameInitResult<'_, Self::Frame>, ContextDbError<KlvmContext>> {
        let ctx = &mut self.0.ctx;
        let early = match &mut init.frame_input {
            FrameInput::Call(inputs) => call::before(ctx, init.depth, inputs)?.map(|r| call::ended(inputs, r)),
            FrameInput::Create(inputs) => create::before(ctx, init.depth, inputs)?.map(|r| create::ended(inputs, r)),
            FrameInput::Empty => None,
        };
        match early {
            Some(result) => Ok(ItemOrResult::Result(result)),
            None => self.0.frame_init(init),
        }
    }

    /// Runs the innermost frame until it ends or asks for another one.
    fn frame_run(&mut self) -> Result<FrameInitOrResult<Self::Frame>, ContextDbError<KlvmContext>> {
        let Evm { ctx, instruction, frame_stack, .. } = &mut self.0;
        let frame = frame_stack.get();
        meter::run(&mut frame.interpreter, instruction.instruction_table(), ctx)?;
        end_or_suspend(frame, ctx)
    }

    /// Hands the result of an ended frame to the frame above.
    fn frame_return_result(&mut self, result: FrameResult) -> Result<Option<FrameResult>, ContextDbError<KlvmContext>> {
        self.0.ctx.take_error()?;
        let is_ok = result.instruction_result().is_ok();
        let kept_refund = (result.instruction_result() == EF_CODE_KEPT).then(|| result.gas().refunded());
        let last = self.0.frame_return_result(result)?;
        if !is_ok {
            call::forget_reverted_placeholders(&mut self.0.ctx);
        }
        if let (None, Some(refund)) = (&last, kept_refund) {
            // revm drops what a failed frame has earned; this creation failed and keeps everything.
            self.0.frame_stack.get().interpreter.gas.record_refund(refund);
        }
        Ok(last)
    }
}

/// What follows from the interpreter's action: a new frame, or the result of this one.
#[inline]
fn end_or_suspend(
    frame: &mut EthFrame<EthInterpreter>,
    ctx: &mut KlvmContext,
) -> Result<FrameInitOrResult<EthFrame<EthInterpreter>>, MachineError> {
    let action = frame.interpreter.take_next_action();
    if let Some(address) = frame.data.created_address() {
        return create_or_suspend(frame, ctx, action, address);
    }
    let next = frame.process_next_action::<_, MachineError>(ctx, action)?;
    if next.is_result() {
        frame.set_finished(true);
    }
    Ok(next)
}

/// As [`end_or_suspend`] for the frame that creates a contract at `address`.
fn create_or_suspend(
    frame: &mut EthFrame<EthInterpreter>,
    ctx: &mut KlvmContext,
    action: InterpreterAction,
    address: Address,
) -> Result<FrameInitOrResult<EthFrame<EthInterpreter>>, MachineError> {
    match action {
        InterpreterAction::Return(mut result) => {
            create::after(ctx, frame.checkpoint, &mut result, address);
            frame.set_finished(true);
            Ok(ItemOrResult::Result(FrameResult::Create(CreateOutcome::new(result, Some(address)))))
        }
        action @ InterpreterAction::NewFrame(_) => frame.process_next_action::<_, MachineError>(ctx, action),
    }
}
