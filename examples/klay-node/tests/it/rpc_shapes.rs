//! Blocks, transactions and receipts look as the reference client shows them: chains that it made, read from their
//! export, against its recorded answers.

use std::{collections::HashMap, io::Read as _, path::PathBuf, sync::Arc};

use alloy_primitives::{Address, B256, Bloom, Bytes, Log, LogData};
use klay_core::{
    ChainConfig,
    block::{Block, Receipt, Status},
    codec::Reader,
    tx::RecoveredTx,
};
use klay_node::{
    Fee, KlaytnTx, SealedBlock,
    chain::BlockReceipts,
    rpc::shapes::{
        Flavour, block,
        receipt::Shown,
        tx::{self, TxPlace},
    },
};
use serde_json::{Value, value::RawValue};

/// A recorded answer; traces nest deeper than a JSON value may.
#[derive(serde::Deserialize)]
struct Entry {
    method: String,
    params: Value,
    result: Option<Box<RawValue>>,
}

struct Chain {
    config: ChainConfig,
    blocks: Vec<SealedBlock>,
    answers: HashMap<String, Value>,
}

fn shared() -> PathBuf {
    std::env::var_os("KLAY_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")), PathBuf::from)
}

fn unzip(path: &PathBuf) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn load(name: &str) -> Option<Chain> {
    let folder = shared().join("vectors/chains").join(name);
    if !folder.exists() {
        println!("{} is not there", folder.display());
        return None;
    }
    let genesis: Value = serde_json::from_slice(&std::fs::read(folder.join("genesis.json")).unwrap()).unwrap();
    let config: ChainConfig = serde_json::from_value(genesis["config"].clone()).unwrap();
    let bytes = unzip(&folder.join("blocks.rlp.gz"));
    let mut reader = Reader::new(&bytes);
    let mut blocks = Vec::new();
    while !reader.is_empty() {
        let Block { header, transactions } = Block::<KlaytnTx>::decode(&mut reader).unwrap();
        let transactions = transactions
            .into_iter()
            .map(|tx| Arc::new(RecoveredTx::<Fee>::recover(tx, config.chain_id).unwrap()))
            .collect();
        let (hash, proposer) = (header.hash(), header.proposer().unwrap());
        blocks.push(SealedBlock::new(header, hash, transactions, proposer));
    }
    let list: Vec<Entry> = serde_json::from_slice(&unzip(&folder.join("rpc.json.gz"))).unwrap();
    let answers = list
        .into_iter()
        .filter(|entry| !entry.method.starts_with("debug_"))
        .filter_map(|Entry { method, params, result }| {
            let method = method.replace("klay_", "kaia_");
            Some((format!("{method} {params}"), serde_json::from_str(result?.get()).unwrap()))
        })
        .collect();
    Some(Chain { config, blocks, answers })
}

impl Chain {
    fn check(&self, count: &mut usize, method: &str, params: Value, shown: impl FnOnce() -> Value) {
        let Some(expected) = self.answers.get(&format!("{method} {params}")) else { return };
        let shown = shown();
        *count += 1;
        if *expected != shown {
            let (a, b) = (expected.as_object().unwrap(), shown.as_object().unwrap());
            let differing: Vec<_> = a
                .iter()
                .filter(|(k, v)| b.get(*k) != Some(*v))
                .map(|(k, v)| format!("{k}: expected {v}, found {:?}", b.get(k)))
                .chain(b.keys().filter(|k| !a.contains_key(*k)).map(|k| format!("{k}: not expected")))
                .collect();
            panic!("{method} {params}\n{}", differing.join("\n"));
        }
    }
}

fn bytes_of(value: &Value) -> Bytes {
    value.as_str().unwrap().parse().unwrap()
}

/// The receipt that an answer describes, as the chain would hold it.
fn receipt_of(answer: &Value) -> Receipt {
    let number = |name: &str| u64::from_str_radix(&answer[name].as_str().unwrap()[2..], 16).unwrap();
    let status = match answer.get("txError") {
        Some(_) => Status(u8::try_from(number("txError")).unwrap()),
        None => Status::SUCCESS,
    };
    let log = |log: &Value| Log {
        address: log["address"].as_str().unwrap().parse().unwrap(),
        data: LogData::new_unchecked(
            log["topics"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().parse().unwrap()).collect(),
            bytes_of(&log["data"]),
        ),
    };
    Receipt {
        status,
        gas_used: number("gasUsed"),
        bloom: answer["logsBloom"].as_str().unwrap().parse::<Bloom>().unwrap(),
        logs: answer["logs"].as_array().unwrap().iter().map(log).collect(),
        tx_hash: answer["transactionHash"].as_str().unwrap().parse::<B256>().unwrap(),
        contract_address: answer["contractAddress"].as_str().map(|a| a.parse::<Address>().unwrap()),
    }
}

fn check(name: &str) {
    let Some(chain) = load(name) else { return };
    let mut count = 0;
    for sealed in &chain.blocks {
        let rules = chain.config.rules(sealed.number());
        let number = format!("{:#x}", sealed.number());
        for is_full in [false, true] {
            for (flavour, prefix) in [(Flavour::Kaia, "kaia"), (Flavour::Eth, "eth")] {
                let show = || Value::Object(block::block(sealed, rules, flavour, is_full));
                let params = serde_json::json!([number, is_full]);
                chain.check(&mut count, &format!("{prefix}_getBlockByNumber"), params, show);
                let params = serde_json::json!([sealed.hash, is_full]);
                chain.check(&mut count, &format!("{prefix}_getBlockByHash"), params, show);
                let params = serde_json::json!([number]);
                chain.check(&mut count, &format!("{prefix}_getHeaderByNumber"), params, || {
                    Value::Object(block::header(sealed, rules, flavour))
                });
            }
        }
        let receipts: Vec<_> = sealed
            .transactions
            .iter()
            .filter_map(|tx| chain.answers.get(&format!("kaia_getTransactionReceipt [\"{}\"]", tx.hash())))
            .map(receipt_of)
            .collect();
        let has_receipts = receipts.len() == sealed.transactions.len();
        let receipts = BlockReceipts { receipts };
        for (index, shared) in sealed.transactions.iter().enumerate() {
            let place = TxPlace::new(sealed, index, rules);
            let params = serde_json::json!([shared.hash()]);
            chain.check(&mut count, "kaia_getTransactionByHash", params.clone(), || {
                Value::Object(tx::kaia(shared, Some(place)))
            });
            chain.check(&mut count, "eth_getTransactionByHash", params.clone(), || {
                Value::Object(tx::eth(shared, Some(place)))
            });
            if has_receipts {
                let shown = Shown { tx: shared, place, receipts: &receipts };
                chain.check(&mut count, "kaia_getTransactionReceipt", params.clone(), || {
                    Value::Object(shown.kaia().unwrap())
                });
                chain.check(&mut count, "eth_getTransactionReceipt", params, || Value::Object(shown.eth().unwrap()));
            }
        }
    }
    println!("{name}: {count} answers");
    assert!(count > 500);
}

#[test]
fn every_type_on_every_fork() {
    check("types-osaka");
}

#[test]
fn before_and_after_every_fork() {
    check("forks");
}

#[test]
fn the_protocol_of_2019() {
    check("klaytn-original");
}

#[test]
fn councils() {
    check("council-4");
    check("council-weighted");
}
