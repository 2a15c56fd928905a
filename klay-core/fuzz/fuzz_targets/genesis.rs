//! Genesis files: what reads is written to what reads the same, and preparing it never panics.

#![no_main]

use klay_core::{B256, genesis::Genesis};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(genesis) = serde_json::from_str::<Genesis>(text) else { return };
    let written = serde_json::to_string(&genesis).expect("a genesis serializes");
    assert_eq!(serde_json::from_str::<Genesis>(&written).ok().as_ref(), Some(&genesis));
    let _ = genesis.validators();
    if let Ok(prepared) = genesis.prepared() {
        let _ = prepared.header(B256::ZERO).hash();
    }
});
