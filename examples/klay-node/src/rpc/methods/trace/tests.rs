//! Every recorded trace of the shared chains.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use klay_core::{block::Block, codec::Reader, genesis::Genesis};
use klay_feedeleg::RecoveredKlaytnTx;
use serde_json::Value;

use crate::{
    KlaytnTx, Node, NodeConfig, SealedBlock,
    chain::ChainOptions,
    driver,
    rpc::{Engine, Limits, Services, table},
};

fn gunzip(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

async fn imported(dir: &Path) -> Node {
    let genesis: Genesis = serde_json::from_slice(&std::fs::read(dir.join("genesis.json")).unwrap()).unwrap();
    let config = NodeConfig { chain: ChainOptions::archive(), ..NodeConfig::new(genesis.prepared().unwrap()) };
    let node = Node::start(config).await.unwrap();
    let chain = node.chain();
    let blocks = gunzip(&dir.join("blocks.rlp.gz"));
    let mut reader = Reader::new(&blocks);
    while !reader.is_empty() {
        let block: Block<KlaytnTx> = Block::decode(&mut reader).unwrap();
        let recover = |tx| Arc::new(RecoveredKlaytnTx::recover(tx, chain.config().chain_id).unwrap());
        let transactions = block.transactions.into_iter().map(recover).collect();
        let proposer = block.header.proposer().unwrap();
        let hash = block.header.hash();
        let block = Arc::new(SealedBlock::new(block.header, hash, transactions, proposer));
        let (_, state) = chain.head_state();
        let result = driver::replay(chain, &block, state).unwrap();
        chain.append(block, &result).unwrap();
    }
    node
}

fn parse(text: &[u8]) -> Value {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    deserializer.disable_recursion_limit();
    serde::Deserialize::deserialize(&mut deserializer).unwrap()
}

async fn check(name: &str) {
    let shared = std::env::var_os("KLAY_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")), PathBuf::from);
    let dir = shared.join("vectors/chains").join(name);
    if !dir.is_dir() {
        println!("{} is not there", dir.display());
        return;
    }
    let node = imported(&dir).await;
    let services =
        Services::new(node, Limits { trace_timeout: std::time::Duration::from_secs(60), ..Limits::default() });
    let engine = Engine::new(table(&services), Limits::default());
    let cases = parse(&gunzip(&dir.join("rpc.json.gz")));
    let (mut count, mut wrong) = (0, Vec::new());
    for case in cases.as_array().unwrap() {
        let method = case["method"].as_str().unwrap();
        if !method.starts_with("debug_trace") {
            continue;
        }
        count += 1;
        let request = serde_json::json!({ "id": 1, "method": method, "params": case["params"] });
        let answer = parse(&engine.answer(request.to_string().as_bytes(), None).await.text);
        let (key, expected) = match case.get("error") {
            Some(error) => ("error", error),
            None => ("result", &case["result"]),
        };
        if answer.get(key) != Some(expected) {
            let found = answer.get(key).or(answer.get("error")).unwrap();
            wrong.push(format!("{} {}", case["params"], difference("", expected, found)));
        }
    }
    println!("{name}: {count} traces");
    assert!(
        wrong.is_empty(),
        "{name}: {} of {count} differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(12)].join("\n")
    );
}

/// The first place where two values differ.
fn difference(path: &str, expected: &Value, found: &Value) -> String {
    match (expected, found) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                match b.get(key) {
                    Some(other) if other == value => {}
                    Some(other) => return difference(&format!("{path}.{key}"), value, other),
                    None => return format!("{path}.{key} is missing"),
                }
            }
            let extra: Vec<_> = b.keys().filter(|key| !a.contains_key(*key)).collect();
            format!("{path} has {extra:?}")
        }
        (Value::Array(a), Value::Array(b)) => {
            for (index, (one, other)) in a.iter().zip(b).enumerate() {
                if one != other {
                    return difference(&format!("{path}[{index}]"), one, other);
                }
            }
            format!("{path}: {} and {} entries", a.len(), b.len())
        }
        _ => format!("{path}: expected {expected}, found {found}").chars().take(400).collect(),
    }
}

macro_rules! chains {
    ($($test:ident $name:literal),+) => {
        $(#[test]
        fn $test() {
            // Deep calls are deep JSON, which is compared by recursion.
            let work = || tokio::runtime::Runtime::new().unwrap().block_on(check($name));
            std::thread::Builder::new().stack_size(64 << 20).spawn(work).unwrap().join().unwrap();
        })+
    };
}

chains!(
    every_type_under_osaka "types-osaka",
    every_fork "forks",
    the_protocol_of_2019 "klaytn-original",
    a_council_of_four "council-4",
    a_weighted_council "council-weighted",
    large_blocks "bulk",
    rebalances "rebalance"
);
