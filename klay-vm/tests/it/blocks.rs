//! Blocks of real chains, read and written with every transaction type.

use std::path::{Path, PathBuf};

use klay_core::{
    B256,
    block::{Block, ListRoot},
    hex,
};
use klay_feedeleg::KlaytnTx;
use serde_json::Value;

fn vector(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn shared(name: &str) -> Option<Value> {
    let root = std::env::var_os("KLAY_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let dir = if root.join("vectors").is_dir() { root.join("vectors") } else { root };
    let Ok(bytes) = std::fs::read(dir.join(name)) else {
        println!("{} is not there: only the compact copy is tested", dir.join(name).display());
        return None;
    };
    Some(serde_json::from_slice(&bytes).unwrap())
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn hash(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}

fn check_block(case: &Value) {
    if case["blockRlp"].is_null() {
        return;
    }
    let id = &case["id"];
    let encoded = bytes(&case["blockRlp"]);
    let block = Block::<KlaytnTx>::decode_all(&encoded).unwrap();
    assert_eq!(block.encode(), encoded, "{id}");
    assert_eq!(block.header.hash(), hash(&case["hash"]), "{id}");
    let derivation = ListRoot::from_parameter(case["deriveShaImpl"].as_u64().unwrap());
    assert_eq!(block.transactions_root(derivation), block.header.transactions_root, "{id}");
    if let Some(hashes) = case["txHashes"].as_array() {
        let got: Vec<B256> = block.transactions.iter().map(|tx| tx.hash()).collect();
        assert_eq!(got, hashes.iter().map(hash).collect::<Vec<_>>(), "{id}");
    }
    let body: Vec<KlaytnTx> = klay_core::block::body::decode_body(&block.encode_body()).unwrap();
    assert_eq!(body, block.transactions, "{id}");
    for cut in [1, encoded.len() / 3, encoded.len() - 1] {
        assert!(Block::<KlaytnTx>::decode_all(&encoded[..cut]).is_err(), "{id} cut at {cut}");
    }
    assert!(Block::<KlaytnTx>::decode_all(&[&encoded[..], &[0x80]].concat()).is_err(), "{id}");
}

#[test]
fn blocks_of_real_chains_read_and_write() {
    for case in vector("blocks.json").as_array().unwrap() {
        check_block(case);
    }
    let Some(file) = shared("headers.json") else { return };
    for case in file["blocks"].as_array().unwrap() {
        check_block(case);
    }
}
