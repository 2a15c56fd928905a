//! Headers, receipts, roots, base fee, configuration, genesis and governance against data of real chains and of the
//! reference client.

mod base_fee;
mod config;
mod genesis;
mod governance;
mod header;
mod properties;
mod receipt;
mod roots;

use std::path::{Path, PathBuf};

use klay_core::{Address, B256, hex};
use serde_json::Value;

/// A compact copy kept with the tests.
fn vector(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/chain").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The whole file, where it is found beside the repository.
fn shared(name: &str) -> Option<Value> {
    let path = shared_dir().join(name);
    let Ok(bytes) = std::fs::read(&path) else {
        println!("{} is not there: only the compact copy is tested", path.display());
        return None;
    };
    Some(serde_json::from_slice(&bytes).unwrap())
}

fn shared_dir() -> PathBuf {
    let root = std::env::var_os("KLAY_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    if root.join("vectors").is_dir() { root.join("vectors") } else { root }
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn hash(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}

fn address(value: &Value) -> Address {
    value.as_str().unwrap().parse().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}
