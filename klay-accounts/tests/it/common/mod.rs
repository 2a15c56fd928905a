//! Vectors: a compact set beside the tests, and the full file where it exists.

use std::path::PathBuf;

use serde_json::Value;

/// Runs `check` on every entry of `group`, in `tests/vectors/{file}` and in the full file.
pub(crate) fn each(file: &str, group: &str, mut check: impl FnMut(&Value)) {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    each_in(&own, group, &mut check);
    let shared = std::env::var_os("KLAY_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from)
        .join("vectors/accounts.json");
    if shared.exists() {
        each_in(&shared, group, &mut check);
    } else {
        println!("{group}: only the set in tests/vectors, {} is absent", shared.display());
    }
}

fn each_in(path: &std::path::Path, group: &str, check: &mut impl FnMut(&Value)) {
    let text = std::fs::read_to_string(path).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let entries = all[group].as_array().unwrap();
    assert!(!entries.is_empty(), "{group} is empty");
    entries.iter().for_each(check);
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).unwrap()
}
