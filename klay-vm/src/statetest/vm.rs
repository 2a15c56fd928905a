//! VMTests: one frame, whose calls and creations do nothing.

use std::sync::Arc;

use klay_accounts::{Program, StateAccount};
use klay_core::{B256, Bytes, Rules, U256, storage::Memory};
use revm::{
    Inspector,
    bytecode::Bytecode,
    context::JournalTr,
    context_interface::journaled_state::account::JournaledAccountTr,
    interpreter::{
        CallInput, CallInputs, CallOutcome, CallScheme, CallValue, CreateInputs, CreateOutcome, FrameInput, Gas,
        InstructionResult, InterpreterResult, interpreter::EthInterpreter,
    },
    primitives::TxKind,
};
use serde_json::Value;

use super::{
    FixtureError, Mismatch, Verdict,
    fixture::{address, allocations, bytes, hash_of, member, number_of, small_of, text},
    general::{DecimalHashes, hash_logs},
};
use crate::{
    env::BlockContext,
    machine::{Klvm, KlvmContext, Meter},
    spec::Level,
    state::{State, World},
    trace::Watch,
};

/// Answers every call and creation within the outermost frame without running it.
#[derive(Debug, Default)]
struct NoRecursion {
    depth: usize,
}

impl Inspector<KlvmContext, EthInterpreter> for NoRecursion {
    fn call(&mut self, _ctx: &mut KlvmContext, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.depth += 1;
        (self.depth > 1).then(|| {
            let result = InterpreterResult::new(InstructionResult::Stop, Bytes::new(), Gas::new(inputs.gas_limit));
            CallOutcome::new(result, inputs.return_memory_offset.clone())
        })
    }

    fn call_end(&mut self, _ctx: &mut KlvmContext, _inputs: &CallInputs, _outcome: &mut CallOutcome) {
        self.depth -= 1;
    }

    fn create(&mut self, ctx: &mut KlvmContext, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        let mut creator = ctx.journaled_state.load_account_mut(inputs.caller()).ok()?.data;
        let address = inputs.created_address(creator.nonce());
        creator.bump_nonce();
        let result = InterpreterResult::new(InstructionResult::Return, Bytes::new(), Gas::new(inputs.gas_limit()));
        Some(CreateOutcome::new(result, Some(address)))
    }
}

pub(super) fn run(test: &Value, watch: Watch) -> Result<Verdict, FixtureError> {
    Ok(match execute(test, watch)? {
        Ok(()) => Verdict::Pass,
        Err(mismatch) => Verdict::Fail(mismatch),
    })
}

fn execute(test: &Value, watch: Watch) -> Result<Result<(), Mismatch>, FixtureError> {
    let (env, exec) = (member(test, "env")?, member(test, "exec")?);
    let level = Level::Genesis;
    let mut world = World::new(State::empty(Arc::new(Memory::new())), level, Arc::new(DecimalHashes));
    for (address, account) in allocations(member(test, "pre")?)? {
        let program = Program { code_hash: world.add_code(account.code), ..Program::default() };
        world.change(address, || StateAccount::contract(account.nonce, account.balance, program), |_| ())?;
        for (slot, word) in account.storage {
            world.set_word(address, slot, word)?;
        }
    }
    let block = block(env)?;
    let (caller, callee) = (address(text(exec, "caller")?)?, address(text(exec, "address")?)?);
    let (gas, value) = (small_of(exec, "gas")?, number_of(exec, "value")?);
    let code = world.code(callee)?;
    let mut klvm = Klvm::new(&block, world, (watch, NoRecursion::default()));
    let ctx = &mut klvm.0.ctx;
    ctx.chain.meter = Meter::unlimited();
    ctx.tx.caller = address(text(exec, "origin")?)?;
    ctx.tx.gas_price = number_of(exec, "gasPrice")?;
    ctx.tx.kind = TxKind::Call(callee);
    let ended = prepare(ctx, caller, callee).and_then(|()| {
        klvm.inspect(call(caller, callee, code, bytes(text(exec, "data")?)?, value, gas))
            .map_err(|_| FixtureError::Shape("machine"))
    })?;
    let result = ended.instruction_result();
    let left = if result.is_ok_or_revert() { ended.gas().remaining() } else { 0 };
    let logs = core::mem::take(&mut klvm.0.ctx.journaled_state.inner.logs);
    if test.get("gas").is_none() {
        return Ok(Mismatch::compare("gas left after an error", 0, left));
    }
    let output = ended.interpreter_result().output.clone();
    let mut compared = Mismatch::compare("gas left", small_of(test, "gas")?, left)
        .and(Mismatch::compare("output", bytes(text(test, "out")?)?, output))
        .and(Mismatch::compare("logs", hash_of(test, "logs")?, hash_logs(&logs)));
    klvm.commit()?;
    for (address, account) in allocations(member(test, "post")?)? {
        for (slot, word) in account.storage {
            let found = klvm.world().word(address, slot)?;
            compared = compared.and(Mismatch::compare("storage", word, found));
        }
    }
    Ok(compared)
}

fn prepare(ctx: &mut KlvmContext, caller: klay_core::Address, callee: klay_core::Address) -> Result<(), FixtureError> {
    for address in [caller, callee] {
        ctx.journaled_state.load_account_with_code(address).map_err(|_| FixtureError::Shape("state"))?;
    }
    Ok(())
}

/// A call that shows a value and moves none.
fn call(
    caller: klay_core::Address,
    callee: klay_core::Address,
    code: Bytecode,
    input: Bytes,
    value: U256,
    gas: u64,
) -> FrameInput {
    FrameInput::Call(Box::new(CallInputs {
        input: CallInput::Bytes(input),
        return_memory_offset: 0..0,
        gas_limit: gas,
        reservoir: 0,
        bytecode_address: callee,
        known_bytecode: (code.hash_slow(), code),
        target_address: callee,
        caller,
        value: CallValue::Apparent(value),
        scheme: CallScheme::Call,
        is_static: false,
        charged_new_account_state_gas: false,
    }))
}

fn block(env: &Value) -> Result<BlockContext, FixtureError> {
    Ok(BlockContext {
        chain_id: 1,
        rules: Rules::none(),
        number: small_of(env, "currentNumber")?,
        timestamp: small_of(env, "currentTimestamp")?,
        coinbase: address(text(env, "currentCoinbase")?)?,
        rewardbase: klay_core::Address::ZERO,
        base_fee: None,
        blob_base_fee: U256::ZERO,
        block_score: number_of(env, "currentDifficulty")?,
        random: B256::ZERO,
        gas_limit: small_of(env, "currentGasLimit")?,
        deferred_tx_fee: true,
        hashes: Arc::new(DecimalHashes),
        ethereum_rules: false,
    })
}
