//! Makes a chain of the published workload, to measure imports with: `genesis.json` and `blocks.rlp`, the reference
//! client's export format.
//!
//! ```text
//! cargo run --release -p klay-benches --bin chain --features secp256k1 -- FOLDER [TRANSACTIONS OF EACH MIX]
//! ```
//!
//! Half of the transactions are mix A, half mix B (spec 75, section 1), 2,000 to a block.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs::File, io::BufWriter, path::Path, time::Duration};

use klay_node::{
    Node, NodeConfig, Origin,
    dev::{self, DevAccounts},
    export::export,
    node::Authority,
    workload::{Mix, Workload},
};

const IN_A_BLOCK: usize = 2_000;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let folder = args.next().unwrap_or_else(|| panic!("want a folder"));
    let count = args.next().map_or(30_000, |count| count.parse().unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    let folder = Path::new(&folder);

    let load = Workload::new(1, dev::CHAIN_ID);
    let accounts = DevAccounts::derive(dev::MNEMONIC, 1).unwrap();
    let mut genesis = accounts.genesis(dev::CHAIN_ID).unwrap();
    genesis.alloc.extend(load.alloc());
    serde_json::to_writer(BufWriter::new(File::create(folder.join("genesis.json")).unwrap()), &genesis).unwrap();

    let mut nonces = load.nonces();
    let plans = [Mix::Transfer, Mix::App].map(|mix| load.plan(mix, count, &mut nonces)).concat();
    let raw: Vec<_> = plans.iter().map(|plan| load.sign(plan).unwrap().encode()).collect();
    println!("{} transactions, {} bytes", raw.len(), raw.iter().map(Vec::len).sum::<usize>());

    let node = Node::start(NodeConfig {
        authority: Some(Authority::interval(accounts.authority, Duration::from_secs(1))),
        ..NodeConfig::new(genesis)
    })
    .await
    .unwrap();
    let mut heads = node.chain().subscribe_heads();
    for group in raw.chunks(IN_A_BLOCK) {
        let raw = group.iter().map(|raw| raw.clone().into()).collect();
        let added = node.pool().add_raw_batch(raw, Origin::Local).await;
        assert!(added.iter().all(Result::is_ok), "{:?}", added.iter().find(|added| added.is_err()));
        let mut seen = 0;
        while seen < group.len() {
            seen += heads.recv().await.unwrap().block.transactions.len();
        }
    }
    node.stop().await;
    let head = node.chain().head().number();
    let file = BufWriter::new(File::create(folder.join("blocks.rlp")).unwrap());
    println!("{} blocks in {}", export(node.chain(), 1..=head, file).unwrap(), folder.display());
}
