//! Bytes that decode are the canonical encoding of what they decode to, on a chain without fee delegation.

#![no_main]

use klay_core::{SenderPays, TxEnvelope, tx::HashedTx};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tx) = TxEnvelope::<SenderPays>::decode(bytes) {
        assert_eq!(tx.encode_network(), bytes);
        let hashed = HashedTx::<SenderPays>::decode(bytes).expect("decoded before");
        assert_eq!((hashed.hash(), hashed.sender_hash()), (tx.hash(), tx.sender_hash()));
        assert_eq!(tx.tx_json().get("hash").and_then(|hash| hash.as_str()), Some(&*tx.hash().to_string()));
        let _ = hashed.recover(1);
    }
    if let Ok(tx) = TxEnvelope::<SenderPays>::decode_ethereum(bytes) {
        assert!(!tx.tx_type().is_klaytn());
    }
});
