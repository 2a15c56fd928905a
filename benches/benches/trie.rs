//! The state trie and the block store.
//!
//! `cargo bench -p klay-benches --bench trie`

use alloy_primitives::{B256, Bytes};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use klay_core::{
    keccak256,
    storage::{Batch, ChainStore, KeyValue, Memory, NewBlock, Sled},
    trie::{Trie, ordered_root, verify_proof},
};
use std::{
    fs,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

const ACCOUNTS: u64 = 1_000_000;
const CHANGED: usize = 4_000;

type Change = (B256, Option<Vec<u8>>);

/// The leaf of an account with a legacy key.
fn leaf(seed: u64) -> Vec<u8> {
    let mut leaf = vec![0x01, 0xd8, 0x88];
    leaf.extend((seed | 1 << 56).to_be_bytes());
    leaf.push(0x8b);
    leaf.extend([0x11; 11]);
    leaf.extend([0x80, 0x01, 0xc0]);
    leaf
}

fn content() -> Vec<Change> {
    let mut content: Vec<Change> = (0..ACCOUNTS).map(|n| (keccak256(n.to_be_bytes()), Some(leaf(n)))).collect();
    content.sort_unstable();
    content
}

/// Numbers that look random and are the same in every run.
struct Draw(u64);

impl Draw {
    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn changes(&mut self, keys: &[B256]) -> Vec<Change> {
        let mut changes: Vec<Change> =
            (0..CHANGED).map(|_| (keys[self.next() as usize % keys.len()], Some(leaf(self.next())))).collect();
        changes.sort_unstable();
        changes.dedup_by_key(|change| change.0);
        changes
    }

    fn hash(&mut self) -> B256 {
        keccak256(self.next().to_be_bytes())
    }
}

/// Megabytes that this process has in memory, where the system says.
fn resident_megabytes() -> f64 {
    let pages = fs::read_to_string("/proc/self/statm").ok().and_then(|s| s.split(' ').nth(1)?.parse::<f64>().ok());
    pages.unwrap_or_default() * 4096.0 / 1e6
}

fn state(c: &mut Criterion) {
    let content = content();
    let keys: Vec<B256> = content.iter().map(|change| change.0).collect();
    let before = resident_megabytes();
    let trie = Trie::new().update(&(), &content).expect("a trie in memory");
    let root = trie.root();
    let used = resident_megabytes() - before;
    eprintln!("trie::memory: {used:.0} MB for {ACCOUNTS} accounts, {:.0} bytes each", used * 1e6 / ACCOUNTS as f64);

    let mut group = c.benchmark_group("trie");
    group.sample_size(10).throughput(Throughput::Elements(CHANGED as u64));
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    // As a chain does it: every block on top of the one before, eight states kept.
    let mut states = vec![trie.clone()];
    group.bench_function("update+root/changed=4000/of=1000000/in=memory", |b| {
        b.iter_batched(
            || draw.changes(&keys),
            |changes| {
                let next = states[states.len() - 1].update(&(), &changes).expect("a trie in memory");
                black_box(next.root());
                if states.len() == 8 {
                    states.remove(0);
                }
                states.push(next);
            },
            BatchSize::PerIteration,
        );
    });
    drop(states);
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    group.bench_function("update/changed=4000/of=1000000/in=memory", |b| {
        b.iter_batched(|| draw.changes(&keys), |changes| trie.update(&(), &changes), BatchSize::PerIteration);
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("get/of=1000000/in=memory", |b| {
        b.iter_batched(
            || keys[draw.next() as usize % keys.len()],
            |key| trie.get(&(), &key).expect("a trie in memory").is_some(),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("prove+verify/of=1000000", |b| {
        b.iter_batched(
            || keys[draw.next() as usize % keys.len()],
            |key| {
                let proof: Vec<Bytes> = trie.prove(&(), &key).expect("a trie in memory");
                verify_proof(root, &key, &proof).expect("a proof of its own").is_some()
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn stored_state(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store: Arc<dyn KeyValue> = Arc::new(Sled::open(directory.path()).expect("an empty store"));
    let chain = ChainStore::open(Arc::clone(&store)).expect("an empty chain");
    let content = content();
    let keys: Vec<B256> = content.iter().map(|change| change.0).collect();
    let trie = Trie::new().update(&(), &content).expect("a trie in memory");
    drop(content);
    let mut nodes = Batch::default();
    let commit = trie.commit(&mut nodes);
    let start = Instant::now();
    let count = commit.len();
    chain.persist_state(0, trie.root(), nodes).expect("a store that works");
    commit.confirm();
    eprintln!(
        "trie::persist/in=sled: {:.1} µs a node, {count} nodes",
        start.elapsed().as_secs_f64() * 1e6 / count as f64
    );
    let root = trie.root();
    drop(trie);

    let mut group = c.benchmark_group("trie");
    group.sample_size(10).throughput(Throughput::Elements(CHANGED as u64));
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    group.bench_function("update+root/changed=4000/of=1000000/in=sled, cold", |b| {
        b.iter_batched(
            || (Trie::at(root), draw.changes(&keys)),
            |(trie, changes)| trie.update(&store, &changes).expect("a store that works").root(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn lists(c: &mut Criterion) {
    let transactions: Vec<Vec<u8>> = (0..CHANGED).map(|n| vec![n as u8; 129]).collect();
    let mut group = c.benchmark_group("trie");
    group.throughput(Throughput::Elements(CHANGED as u64));
    group.bench_function("ordered_root/items=4000/bytes=129", |b| b.iter(|| ordered_root(black_box(&transactions))));
    group.finish();
}

/// Appends blocks of 4,000 transfers to a chain, each synced.
fn append(chain: &ChainStore, draw: &mut Draw, blocks: u64) -> Duration {
    let mut taken = Duration::ZERO;
    for _ in 0..blocks {
        let number = chain.head().map_or(0, |head| head.number + 1);
        let hashes: Vec<B256> = (0..CHANGED).map(|_| draw.hash()).collect();
        let body: Vec<u8> = (0..CHANGED * 129 / 8).flat_map(|_| draw.next().to_be_bytes()).collect();
        let block = NewBlock {
            number,
            hash: draw.hash(),
            header: vec![0x55; 700],
            body,
            receipts: vec![0x55; CHANGED * 30],
            tx_hashes: &hashes,
            sender_tx_hashes: &[],
        };
        let start = Instant::now();
        chain.append(block, Batch::default()).expect("a store that works");
        taken += start.elapsed();
    }
    taken
}

fn blocks(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let stores: [(&str, Arc<dyn KeyValue>); 3] = [
        ("memory", Arc::new(Memory::new())),
        ("sled", Arc::new(Sled::open(directory.path().join("sled")).expect("an empty store"))),
        ("redb", Arc::new(klay_core::storage::Redb::open(directory.path().join("redb")).expect("an empty store"))),
    ];
    let mut group = c.benchmark_group("storage");
    group.sample_size(10).throughput(Throughput::Elements(CHANGED as u64));
    for (name, store) in stores {
        let chain = ChainStore::open(store).expect("an empty chain");
        let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
        group.bench_function(format!("append/txs=4000/in={name}"), |b| {
            b.iter_custom(|count| append(&chain, &mut draw, count));
        });
    }
    group.finish();
}

criterion_group!(benches, lists, state, blocks, stored_state);
criterion_main!(benches);
