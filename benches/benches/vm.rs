//! Execution: a block of value transfers, and the machine against plain revm on the same code.
//!
//! `vm::block/..` leaves signature recovery out and, where it says so, the state root.
#![allow(missing_docs)]

use std::{hint::black_box, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use klay_core::{
    Body, Fork, PublicKey, Rules, SenderPays, Sign, Signature, TxEnvelope,
    auth::SignError,
    block::Header,
    crypto,
    storage::{Batch, KeyValue, Memory},
    tx::{LegacyTx, RecoveredTx, payload::ValueTransfer},
};
use klay_vm::{BlockContext, BlockExecutor, CallRequest, State, call::call};
use revm::{
    Context, ExecuteEvm, MainBuilder, MainContext,
    bytecode::Bytecode,
    context::TxEnv,
    database::InMemoryDB,
    primitives::{TxKind, hardfork::SpecId},
    state::AccountInfo,
};

const CHAIN: u64 = 1001;
const PRICE: u64 = 25_000_000_000;
const TRANSFERS: usize = 4_000;

struct Key([u8; 32]);

impl Key {
    fn number(n: usize) -> Self {
        Self(keccak256(n.to_be_bytes()).0)
    }

    fn address(&self) -> Address {
        self.public_key().address()
    }
}

impl Sign for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_secret(&self.0).expect("a hash is a scalar in range")
    }

    fn sign_digest(&self, digest: B256) -> Result<Signature, SignError> {
        crypto::sign_digest(&self.0, digest)
    }
}

fn context() -> BlockContext {
    let header = Header {
        rewardbase: Address::repeat_byte(0xbb),
        block_score: U256::ONE,
        number: 100,
        timestamp: 1_700_000_000,
        base_fee: Some(U256::from(PRICE)),
        excess_blob_gas: Some(0),
        ..Header::default()
    };
    BlockContext::new(CHAIN, Rules::up_to(Fork::Osaka), &header, Address::repeat_byte(0xc0))
}

/// A stored state with these accounts funded, and these codes.
fn state(funded: impl Iterator<Item = Address>, codes: &[(Address, Vec<u8>)]) -> State {
    let mut block = BlockExecutor::new(State::empty(Arc::new(Memory::new())), context());
    for address in funded {
        block.set_balance(address, U256::from(10).pow(U256::from(24))).expect("memory does not fail");
    }
    for (address, code) in codes {
        block.set_code(*address, Bytes::from(code.clone())).expect("memory does not fail");
    }
    let state = block.finish().expect("memory does not fail").state;
    let mut batch = Batch::default();
    let commit = state.commit(&mut batch);
    state.store().write(batch).expect("memory does not fail");
    commit.confirm()
}

fn recipient(n: usize) -> Address {
    Address::from_slice(&keccak256(n.to_le_bytes())[12..])
}

fn legacy(key: &Key, nonce: u64, to: Address) -> RecoveredTx<SenderPays> {
    let tx = LegacyTx {
        nonce,
        gas_price: U256::from(PRICE),
        gas_limit: 21_000,
        to: Some(to),
        value: U256::ONE,
        input: Bytes::new(),
        signature: Signature::default(),
    };
    let tx = tx.sign(CHAIN, &[key]).expect("one key signs");
    RecoveredTx::recover(TxEnvelope::Legacy(tx), CHAIN).expect("just signed")
}

fn klaytn(key: &Key, nonce: u64, to: Address) -> RecoveredTx<SenderPays> {
    let body = Body {
        nonce,
        gas_price: U256::from(PRICE),
        gas_limit: 21_000,
        from: key.address(),
        payload: ValueTransfer { to, value: U256::ONE }.into(),
    };
    let tx = body.paid_by(SenderPays).sign(CHAIN, &[key]).expect("one key signs");
    RecoveredTx::recover(TxEnvelope::Klaytn(tx), CHAIN).expect("just signed")
}

fn transfers(c: &mut Criterion) {
    let mut group = c.benchmark_group("vm::block");
    group.throughput(Throughput::Elements(TRANSFERS as u64)).sample_size(20).measurement_time(Duration::from_secs(5));
    for senders in [100, 4_000] {
        let keys: Vec<_> = (0..senders).map(Key::number).collect();
        let state = state(keys.iter().map(Key::address).chain((0..TRANSFERS).map(recipient)), &[]);
        for (name, make) in [("legacy", legacy as fn(&Key, u64, Address) -> _), ("value_transfer", klaytn)] {
            let txs: Vec<_> =
                (0..TRANSFERS).map(|n| make(&keys[n % senders], (n / senders) as u64, recipient(n))).collect();
            let run = |state: State| {
                let mut block = BlockExecutor::new(state, context());
                for tx in &txs {
                    block.execute(tx).expect("funded");
                }
                block
            };
            group.bench_function(format!("transfers={name}/senders={senders}/execute"), |b| {
                b.iter_batched(|| state.clone(), |state| black_box(run(state)), BatchSize::PerIteration);
            });
            if name == "legacy" {
                group.bench_function(format!("transfers={name}/senders={senders}/finish"), |b| {
                    b.iter_batched(
                        || run(state.clone()),
                        |block| black_box(block.finish().expect("memory does not fail")),
                        BatchSize::PerIteration,
                    );
                });
            }
        }
    }
    group.finish();
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

const TOKEN: Address = Address::repeat_byte(0x70);

/// What `transfer(address,uint256)` of a token comes down to: two balances hashed, read and written, and a log.
fn token() -> Vec<u8> {
    let mut code = Vec::new();
    // Memory 0x20 holds the mapping's slot; the key goes to memory 0. Slot of the sender's balance on the stack.
    code.extend([0x60, 0, 0x60, 0x20, 0x52, 0x33, 0x60, 0, 0x52, 0x60, 0x40, 0x60, 0, 0x20]);
    // DUP1 SLOAD PUSH1 1 ADD SWAP1 SSTORE
    code.extend([0x80, 0x54, 0x60, 1, 0x01, 0x90, 0x55]);
    // The same for the recipient, CALLDATALOAD 0.
    code.extend([0x60, 0, 0x35, 0x60, 0, 0x52, 0x60, 0x40, 0x60, 0, 0x20, 0x80, 0x54, 0x60, 1, 0x01, 0x90, 0x55]);
    // LOG3 with 32 bytes of data; then a word is returned.
    code.extend([0x60, 0, 0x35, 0x33, 0x60, 0xdd, 0x60, 0x20, 0x60, 0, 0xa3]);
    code.extend([0x60, 1, 0x60, 0, 0x52, 0x60, 0x20, 0x60, 0, 0xf3]);
    code
}

/// Calls the token `rounds` times, each time for another recipient.
fn token_calls(rounds: u16) -> Vec<u8> {
    let mut code = vec![0x61];
    code.extend(rounds.to_be_bytes());
    let start = u8::try_from(code.len()).expect("short");
    // JUMPDEST; DUP1 PUSH1 0 MSTORE; CALL(gas, token, 0, 0, 32, 0, 32) POP
    code.extend([0x5b, 0x80, 0x60, 0, 0x52, 0x60, 0x20, 0x60, 0, 0x60, 0x20, 0x60, 0, 0x60, 0, 0x73]);
    code.extend(TOKEN);
    code.extend([0x5a, 0xf1, 0x50, 0x60, 1, 0x90, 0x03, 0x80, 0x60, start, 0x57, 0x00]);
    code
}

fn against_revm(c: &mut Criterion) {
    const GAS: u64 = 400_000_000;
    let target = Address::repeat_byte(0x71);
    let mut group = c.benchmark_group("vm::machine");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    for (name, code) in [("arithmetic", arithmetic(200_000)), ("token", token_calls(2_000))] {
        let codes = [(target, code.clone()), (TOKEN, token())];
        let state = state(std::iter::empty(), &codes);
        let request = CallRequest { to: Some(target), gas: GAS, ..CallRequest::default() };
        let context = context();
        assert!(call(&state, &context, &request).expect("applicable").status.is_success());
        group.bench_function(format!("{name}/klvm"), |b| {
            b.iter(|| black_box(call(&state, &context, &request).expect("applicable")));
        });
        let mut db = InMemoryDB::default();
        for (address, code) in codes {
            let info = AccountInfo::default().with_code(Bytecode::new_raw(code.into()));
            db.insert_account_info(address, info);
        }
        let tx = TxEnv { kind: TxKind::Call(target), gas_limit: GAS, ..TxEnv::default() };
        let build = || {
            let context = Context::mainnet().with_db(db.clone()).modify_cfg_chained(|cfg| {
                cfg.set_spec_and_mainnet_gas_params(SpecId::OSAKA);
                cfg.tx_gas_limit_cap = Some(u64::MAX);
            });
            context.build_mainnet()
        };
        assert!(build().transact(tx.clone()).expect("applicable").result.is_success());
        group.bench_function(format!("{name}/revm"), |b| {
            b.iter(|| black_box(build().transact(tx.clone()).expect("applicable")));
        });
    }
    group.finish();
}

criterion_group!(benches, transfers, against_revm);
criterion_main!(benches);
