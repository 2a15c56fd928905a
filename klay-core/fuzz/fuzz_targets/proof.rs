//! Proofs from a stranger: refused or true, never a panic.

#![no_main]

use klay_core::{
    B256,
    crypto::keccak256,
    trie::{verify_proof, verify_range},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<Vec<u8>>, [u8; 32], Vec<([u8; 32], Vec<u8>)>)| {
    let (nodes, key, entries) = input;
    let key = B256::new(key);
    let root = nodes.first().map_or(B256::ZERO, |node| keccak256(node));
    let _ = verify_proof(root, &key, &nodes);
    let entries: Vec<(B256, Vec<u8>)> = entries.into_iter().map(|(key, value)| (B256::new(key), value)).collect();
    let _ = verify_range(root, &key, &entries, &nodes);
});
