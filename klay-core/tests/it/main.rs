//! Every test of the crate in one program, which is linked once.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod chain;
mod chain_store;
mod own_payload_and_fee;
mod storage;
mod trie;
mod trie_proofs;
mod trie_records;
