//! Bytes that decode are the canonical encoding of what they decode to, under every fee mode.

#![no_main]

use klay_feedeleg::{HashedKlaytnTx, KlaytnTx};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tx) = KlaytnTx::decode(bytes) {
        assert_eq!(tx.encode_network(), bytes);
        let hashed = HashedKlaytnTx::decode(bytes).expect("decoded before");
        assert_eq!((hashed.hash(), hashed.sender_hash()), (tx.hash(), tx.sender_hash()));
        let chain_id = tx.view().chain_id.unwrap_or(1);
        let _ = hashed.recover(chain_id);
    }
});
