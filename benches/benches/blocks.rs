//! Blocks of value transfers, of token transfers and of calls of contracts that work: executed by us and by revm alone,
//! with the state root and what it takes to store the state beside it.
//!
//! `blocks/kind=K/execute` is [`BlockExecutor`] with the signers known, `root` its end, `commit` the new nodes into sled.
//! `revm` is revm's own machine, block after block of the same transactions, over the same state read through
//! [`klay_vm::State`]; `revm_in_memory` has all of the state in hash maps beforehand. Both write to revm's `CacheDB`.
#![allow(missing_docs)]

mod context;
mod read;

use std::{hint::black_box, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use context::{CHAIN, PRICE, PROPOSER, context};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use klay_core::{
    PublicKey, SenderPays, Sign, Signature, TxEnvelope,
    auth::SignError,
    crypto,
    genesis::GenesisAccount,
    storage::{Batch, KeyValue, Memory, Sled},
    tx::{LegacyTx, RecoveredTx},
};
use klay_node::workload::{TOKEN, Workload};
use klay_vm::{BlockExecutor, State};
use read::Read;
use revm::{
    Context, DatabaseRef, ExecuteCommitEvm, MainBuilder, MainContext,
    bytecode::Bytecode,
    context::{BlockEnv, TxEnv},
    database::{CacheDB, DBErrorMarker, InMemoryDB},
    primitives::{TxKind, hardfork::SpecId},
    state::AccountInfo,
};

const SENDERS: usize = 1_000;
/// Runs [`workload`].
const WORKER: Address = Address::repeat_byte(0x77);

struct Key([u8; 32]);

impl Sign for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_secret(&self.0).expect("a hash is a scalar in range")
    }

    fn sign_digest(&self, digest: B256) -> Result<Signature, SignError> {
        crypto::sign_digest(&self.0, digest)
    }
}

/// What the transactions of a block do.
struct Kind {
    name: &'static str,
    transactions: usize,
    to: fn(usize) -> Address,
    value: U256,
    input: fn(usize) -> Vec<u8>,
    gas_limit: u64,
}

fn kinds() -> [Kind; 3] {
    [
        Kind {
            name: "value",
            transactions: 4_000,
            to: recipient,
            value: U256::ONE,
            input: |_| Vec::new(),
            gas_limit: 21_000,
        },
        Kind {
            name: "token",
            transactions: 2_000,
            to: |_| TOKEN,
            value: U256::ZERO,
            input: |n| token_transfer(recipient(n)),
            gas_limit: 120_000,
        },
        Kind {
            name: "contract",
            transactions: 100,
            to: |_| WORKER,
            value: U256::ZERO,
            input: |n| B256::from(U256::from(n)).to_vec(),
            gas_limit: 5_000_000,
        },
    ]
}

/// `transfer(address,uint256)` of one unit.
fn token_transfer(to: Address) -> Vec<u8> {
    let mut input = vec![0xa9, 0x05, 0x9c, 0xbb];
    input.extend_from_slice(to.into_word().as_slice());
    input.extend_from_slice(&U256::ONE.to_be_bytes::<32>());
    input
}

/// 1,000 rounds of arithmetic and hashing over memory, and a slot written in every 64th: a million gas.
fn worker() -> Vec<u8> {
    // Memory 0 holds the seed. Stack: the rounds that are left.
    let mut code = vec![0x60, 0, 0x35, 0x60, 0, 0x52, 0x61, 0x03, 0xe8];
    let start = u8::try_from(code.len()).expect("short");
    // JUMPDEST; DUP1 MLOAD(0) MUL PUSH1 7 ADD; DUP2 XOR; MSTORE(0x20)
    code.extend([0x5b, 0x80, 0x60, 0, 0x51, 0x02, 0x60, 7, 0x01, 0x81, 0x18, 0x60, 0x20, 0x52]);
    // MSTORE(0, KECCAK256(0, 0x40))
    code.extend([0x60, 0x40, 0x60, 0, 0x20, 0x60, 0, 0x52]);
    // DUP1 PUSH1 63 AND; PUSH1 end JUMPI; MLOAD(0) SLOAD PUSH1 1 ADD MLOAD(0) SSTORE
    let end = u8::try_from(code.len() + 7 + 11).expect("short");
    code.extend([0x80, 0x60, 63, 0x16, 0x60, end, 0x57]);
    code.extend([0x60, 0, 0x51, 0x54, 0x60, 1, 0x01, 0x60, 0, 0x51, 0x55]);
    // JUMPDEST; PUSH1 1 SWAP1 SUB; DUP1 PUSH1 start JUMPI; STOP
    assert_eq!(usize::from(end), code.len(), "the jump lands on the JUMPDEST");
    code.extend([0x5b, 0x60, 1, 0x90, 0x03, 0x80, 0x60, start, 0x57, 0x00]);
    code
}

fn recipient(n: usize) -> Address {
    Address::from_slice(&keccak256(n.to_le_bytes())[12..])
}

/// Everything that is there before the block.
fn accounts(senders: &[Key]) -> Vec<(Address, GenesisAccount)> {
    let funds = U256::from(10).pow(U256::from(24));
    let balance_slot = |owner: Address| keccak256([owner.into_word(), B256::ZERO].concat());
    let rich = |address| (address, GenesisAccount { balance: funds, ..GenesisAccount::default() });
    let addresses: Vec<_> = senders.iter().map(|key| key.public_key().address()).collect();
    let mut accounts: Vec<_> = addresses.iter().copied().chain((0..4_000).map(recipient)).map(rich).collect();
    let mut token = Workload::new(1, CHAIN).alloc().remove(&TOKEN).expect("the load has a token");
    token.storage.extend(addresses.iter().map(|address| (balance_slot(*address), B256::from(funds))));
    accounts.push((TOKEN, token));
    accounts.push((WORKER, GenesisAccount { code: worker().into(), ..GenesisAccount::default() }));
    accounts
}

/// A stored state of these accounts.
fn state(store: Arc<dyn KeyValue>, accounts: &[(Address, GenesisAccount)]) -> State {
    let mut block = BlockExecutor::new(State::empty(store), context());
    for (address, account) in accounts {
        if !account.code.is_empty() {
            block.set_code(*address, account.code.clone()).expect("the store does not fail");
        }
        block.set_balance(*address, account.balance).expect("the store does not fail");
        for (slot, word) in &account.storage {
            block.set_storage(*address, *slot, (*word).into()).expect("the store does not fail");
        }
    }
    let state = block.finish().expect("the store does not fail").state;
    let mut batch = Batch::default();
    let commit = state.commit(&mut batch);
    state.store().write(batch).expect("the store does not fail");
    commit.confirm()
}

fn transactions(kind: &Kind, senders: &[Key]) -> Vec<RecoveredTx<SenderPays>> {
    let make = |n: usize| {
        let tx = LegacyTx {
            nonce: (n / senders.len()) as u64,
            gas_price: U256::from(PRICE),
            gas_limit: kind.gas_limit,
            to: Some((kind.to)(n)),
            value: kind.value,
            input: (kind.input)(n).into(),
            signature: Signature::default(),
        };
        let tx = tx.sign(CHAIN, &[&senders[n % senders.len()]]).expect("one key signs");
        RecoveredTx::recover(TxEnvelope::Legacy(tx), CHAIN).expect("just signed")
    };
    (0..kind.transactions).map(make).collect()
}

fn execute(state: State, txs: &[RecoveredTx<SenderPays>]) -> BlockExecutor {
    let mut block = BlockExecutor::new(state, context());
    for tx in txs {
        assert!(block.execute(tx).expect("funded").receipt.status.is_success());
    }
    block
}

fn in_memory(accounts: &[(Address, GenesisAccount)]) -> InMemoryDB {
    let mut db = InMemoryDB::default();
    for (address, account) in accounts {
        let info = AccountInfo { balance: account.balance, nonce: 0, ..AccountInfo::default() };
        db.insert_account_info(*address, info.with_code(Bytecode::new_raw(account.code.clone())));
        for (slot, word) in &account.storage {
            db.insert_account_storage(*address, (*slot).into(), (*word).into()).expect("nothing to read");
        }
    }
    db
}

fn envs(txs: &[RecoveredTx<SenderPays>]) -> Vec<TxEnv> {
    let env = |tx: &RecoveredTx<SenderPays>| {
        let view = tx.view();
        TxEnv {
            caller: tx.sender(),
            gas_limit: view.gas_limit,
            gas_price: PRICE.into(),
            kind: TxKind::Call(view.to.expect("every kind names a recipient")),
            value: view.value,
            data: Bytes::copy_from_slice(view.input),
            nonce: view.nonce,
            chain_id: Some(CHAIN),
            ..TxEnv::default()
        }
    };
    txs.iter().map(env).collect()
}

/// The block by revm alone. Gives the gas used.
fn by_revm<D: DatabaseRef<Error: DBErrorMarker + core::error::Error> + core::fmt::Debug>(
    db: CacheDB<D>,
    txs: Vec<TxEnv>,
) -> (u64, CacheDB<D>) {
    let block = BlockEnv {
        number: U256::from(100),
        beneficiary: PROPOSER,
        timestamp: U256::from(1_700_000_000),
        gas_limit: u64::MAX,
        basefee: PRICE,
        ..BlockEnv::default()
    };
    let context = Context::mainnet().with_db(db).with_block(block).modify_cfg_chained(|cfg| {
        cfg.set_spec_and_mainnet_gas_params(SpecId::OSAKA);
        cfg.chain_id = CHAIN;
    });
    let mut evm = context.build_mainnet();
    let mut gas = 0;
    for tx in txs {
        let result = evm.transact_commit(tx).expect("funded");
        assert!(result.is_success());
        gas += result.tx_gas_used();
    }
    (gas, evm.ctx.journaled_state.database)
}

fn blocks(c: &mut Criterion) {
    let senders: Vec<_> = (0..SENDERS).map(|n| Key(keccak256(n.to_be_bytes()).0)).collect();
    let accounts = accounts(&senders);
    let folder = tempfile::tempdir().expect("a folder for the store");
    let stored = state(Arc::new(Sled::open(folder.path()).expect("an empty folder")), &accounts);
    let state = state(Arc::new(Memory::new()), &accounts);
    let memory = in_memory(&accounts);
    for kind in kinds() {
        let txs = transactions(&kind, &senders);
        let envs = envs(&txs);
        let gas = execute(state.clone(), &txs).gas_used();
        assert_eq!(by_revm(memory.clone(), envs.clone()).0, gas, "the rules agree on {}", kind.name);
        eprintln!("blocks/kind={}: {} transactions, {gas} gas", kind.name, txs.len());

        let mut group = c.benchmark_group(format!("blocks/kind={}", kind.name));
        let elements = kind.transactions as u64;
        group.throughput(Throughput::Elements(elements)).sample_size(20).measurement_time(Duration::from_secs(5));
        let each = BatchSize::PerIteration;
        group.bench_function("execute", |b| {
            b.iter_batched(|| state.clone(), |state| black_box(execute(state, &txs)), each);
        });
        group.bench_function("revm", |b| {
            b.iter_batched(
                || (CacheDB::new(Read(state.clone())), envs.clone()),
                |(db, envs)| black_box(by_revm(db, envs)),
                each,
            );
        });
        group.bench_function("revm_in_memory", |b| {
            b.iter_batched(|| (memory.clone(), envs.clone()), |(db, envs)| black_box(by_revm(db, envs)), each);
        });
        group.bench_function("root", |b| {
            b.iter_batched(
                || execute(state.clone(), &txs),
                |block| black_box(block.finish().expect("the store does not fail")),
                each,
            );
        });
        let made = execute(stored.clone(), &txs).finish().expect("the store does not fail").state;
        group.bench_function("commit", |b| {
            b.iter(|| {
                let mut batch = Batch::default();
                let commit = made.commit(&mut batch);
                made.store().write(batch).expect("the store does not fail");
                black_box(commit)
            });
        });
        group.finish();
    }
}

criterion_group!(benches, blocks);
criterion_main!(benches);
