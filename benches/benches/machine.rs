//! The interpreter with its computation cost beside revm's plain loop, on the same code: `machine [PAIRS]`.
//!
//! Both read the same state and run in turn within one process, each pair in the other order than the last, since what
//! else a machine does moves either by more than they differ. The median of the pairs is what counts.
#![allow(missing_docs)]

mod context;
mod read;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, U256, keccak256};
use context::{CHAIN, context};
use klay_core::storage::{Batch, Memory};
use klay_node::workload::{TOKEN, Workload};
use klay_vm::{BlockExecutor, CallRequest, State, call::call};
use read::Read;
use revm::{
    Context, ExecuteEvm, MainBuilder, MainContext,
    context::TxEnv,
    database::CacheDB,
    primitives::{TxKind, hardfork::SpecId},
};

/// More than either program needs, and than what computation cost is not counted for.
const GAS: u64 = 400_000_000;
const CALLER: Address = Address::repeat_byte(0x71);
const FUNDS: U256 = U256::from_limbs([1 << 40, 0, 0, 0]);

fn main() {
    let pairs = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(500);
    for (name, code) in [("arithmetic", arithmetic(200_000)), ("token", token_transfers(2_000))] {
        println!("{name}: {}", compare(&Program::new(code), pairs));
    }
}

/// Counts down from `rounds` with some arithmetic in each round.
fn arithmetic(rounds: u32) -> Vec<u8> {
    let mut code = vec![0x63];
    code.extend(rounds.to_be_bytes());
    let start = u8::try_from(code.len()).expect("short");
    // JUMPDEST; DUP1 DUP1 MUL PUSH1 7 ADD DUP2 XOR PUSH1 3 SHR POP; PUSH1 1 SWAP1 SUB; DUP1 PUSH1 start JUMPI; STOP
    code.extend([0x5b, 0x80, 0x80, 0x02, 0x60, 7, 0x01, 0x81, 0x18, 0x60, 3, 0x1c, 0x50]);
    code.extend([0x60, 1, 0x90, 0x03, 0x80, 0x60, start, 0x57, 0x00]);
    code
}

/// Calls `transfer(address,uint256)` of the load's token `rounds` times, one unit to another recipient each time.
fn token_transfers(rounds: u16) -> Vec<u8> {
    // MSTORE(0, selector); MSTORE(36, 1)
    let mut code = vec![0x63, 0xa9, 0x05, 0x9c, 0xbb, 0x60, 224, 0x1b, 0x60, 0, 0x52, 0x60, 1, 0x60, 36, 0x52, 0x61];
    code.extend(rounds.to_be_bytes());
    let start = u8::try_from(code.len()).expect("short");
    // JUMPDEST; MSTORE(4, DUP1); CALL(GAS, token, 0, 0, 68, 0x60, 32); PUSH1 ok JUMPI; INVALID
    code.extend([0x5b, 0x80, 0x60, 4, 0x52, 0x60, 32, 0x60, 0x60, 0x60, 68, 0x60, 0, 0x60, 0, 0x73]);
    code.extend(TOKEN);
    let ok = u8::try_from(code.len() + 6).expect("short");
    code.extend([0x5a, 0xf1, 0x60, ok, 0x57, 0xfe]);
    // JUMPDEST; PUSH1 1 SWAP1 SUB; DUP1 PUSH1 start JUMPI; STOP
    code.extend([0x5b, 0x60, 1, 0x90, 0x03, 0x80, 0x60, start, 0x57, 0x00]);
    code
}

/// One code to run, and the token.
struct Program(State);

impl Program {
    fn new(code: Vec<u8>) -> Self {
        let token = Workload::new(1, CHAIN).alloc().remove(&TOKEN).expect("the load has a token");
        let balance = keccak256([CALLER.into_word(), B256::ZERO].concat());
        let mut block = BlockExecutor::new(State::empty(Arc::new(Memory::new())), context());
        block.set_code(CALLER, code.into()).expect("memory does not fail");
        block.set_code(TOKEN, token.code).expect("memory does not fail");
        block.set_storage(TOKEN, balance, FUNDS).expect("memory does not fail");
        let state = block.finish().expect("memory does not fail").state;
        let mut batch = Batch::default();
        let commit = state.commit(&mut batch);
        state.store().write(batch).expect("memory does not fail");
        Self(commit.confirm())
    }

    /// Runs it here. Gives the time and the gas used.
    fn klvm(&self) -> (Duration, u64) {
        let request = CallRequest { to: Some(CALLER), gas: GAS, ..CallRequest::default() };
        let context = context();
        let begun = Instant::now();
        let result = black_box(call(&self.0, &context, &request).expect("applicable"));
        let time = begun.elapsed();
        assert!(result.status.is_success());
        (time, result.gas_used)
    }

    /// Runs it in revm. Gives the time and the gas used.
    fn revm(&self) -> (Duration, u64) {
        let db = CacheDB::new(Read(self.0.clone()));
        let tx = TxEnv { kind: TxKind::Call(CALLER), gas_limit: GAS, ..TxEnv::default() };
        let begun = Instant::now();
        let context = Context::mainnet().with_db(db).modify_cfg_chained(|cfg| {
            cfg.set_spec_and_mainnet_gas_params(SpecId::OSAKA);
            cfg.tx_gas_limit_cap = Some(u64::MAX);
        });
        let result = black_box(context.build_mainnet().transact(tx).expect("applicable")).result;
        let time = begun.elapsed();
        assert!(result.is_success());
        (time, result.tx_gas_used())
    }
}

/// Runs the program this many times in each machine, and says what it took.
fn compare(program: &Program, pairs: usize) -> String {
    assert_eq!(program.klvm().1, program.revm().1, "the rules agree");
    let mut ratios = Vec::with_capacity(pairs);
    let mut best = [Duration::MAX; 2];
    for n in 0..pairs {
        let (ours, theirs) = if n % 2 == 0 {
            let ours = program.klvm().0;
            (ours, program.revm().0)
        } else {
            let theirs = program.revm().0;
            (program.klvm().0, theirs)
        };
        best = [best[0].min(ours), best[1].min(theirs)];
        ratios.push(ours.as_secs_f64() / theirs.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    let percent = |at: usize| ratios.get(pairs * at / 100).map_or(0.0, |ratio| (ratio - 1.0) * 100.0);
    format!(
        "klvm {:.2?}, revm {:.2?} at best of {pairs}; of the pairs klvm takes {:+.1} % more in the middle, \
         {:+.1} to {:+.1} % in the middle half",
        best[0],
        best[1],
        percent(50),
        percent(25),
        percent(75),
    )
}
