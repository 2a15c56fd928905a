//! Argument objects: never a panic, and what describes a transaction has its type.

#![no_main]

use klay_feedeleg::rpc::TxArgs;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(bytes) else { return };
    if let Ok(args) = TxArgs::from_json(&object) {
        if let Ok(tx) = args.to_tx() {
            assert_eq!(u64::from(tx.tx_type().code()), args.type_int.unwrap_or_default());
        }
    }
});
