//! Forms between the parties: what decodes encodes to bytes that decode to the same.

#![no_main]

use klay_feedeleg::PartialTx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tx) = PartialTx::decode(bytes) {
        assert_eq!(PartialTx::decode(&tx.encode()).as_ref(), Ok(&tx));
        let _ = tx.clone().combine(&tx).map(PartialTx::into_tx);
    }
});
