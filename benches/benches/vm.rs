//! Execution of a block of value transfers. It leaves signature recovery out and, where it says so, the state root.
#![allow(missing_docs)]

mod context;

use std::{hint::black_box, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use context::{CHAIN, PRICE, context};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use klay_core::{
    Body, PublicKey, SenderPays, Sign, Signature, TxEnvelope,
    auth::SignError,
    crypto,
    storage::{Batch, KeyValue, Memory},
    tx::{LegacyTx, RecoveredTx, payload::ValueTransfer},
};
use klay_vm::{BlockExecutor, State};

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

/// A stored state with these accounts funded.
fn state(funded: impl Iterator<Item = Address>) -> State {
    let mut block = BlockExecutor::new(State::empty(Arc::new(Memory::new())), context());
    for address in funded {
        block.set_balance(address, U256::from(10).pow(U256::from(24))).expect("memory does not fail");
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
        let state = state(keys.iter().map(Key::address).chain((0..TRANSFERS).map(recipient)));
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

criterion_group!(benches, transfers);
criterion_main!(benches);
