//! Vectors kept with the tests, and the shared ones where they are found.

use std::path::{Path, PathBuf};

use klay_core::{Address, B256, U256, hex};
use serde_json::Value;

pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// A compact copy kept with the tests.
pub(crate) fn vector(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(vectors().join(name)).unwrap()).unwrap()
}

/// The folder of shared vectors: `../shared/vectors` beside the repository, or what `KLAY_SHARED` says.
pub(crate) fn shared_dir() -> PathBuf {
    let root = std::env::var_os("KLAY_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    if root.join("vectors").is_dir() { root.join("vectors") } else { root }
}

/// The whole file, where it is found.
pub(crate) fn shared(name: &str) -> Option<Value> {
    let path = shared_dir().join(name);
    let Ok(bytes) = std::fs::read(&path) else {
        println!("{} is not there: only the compact copy is tested", path.display());
        return None;
    };
    Some(serde_json::from_slice(&bytes).unwrap())
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

pub(crate) fn hash(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}

pub(crate) fn address(value: &Value) -> Address {
    value.as_str().unwrap().parse().unwrap()
}

/// A number, or decimal text.
pub(crate) fn amount(value: &Value) -> U256 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        other => other.to_string().parse().unwrap(),
    }
}

pub(crate) fn gunzip(path: &Path) -> Vec<u8> {
    let output = std::process::Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(output.status.success());
    output.stdout
}
