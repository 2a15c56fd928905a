//! Bytes that decode as a message of Simplex are the canonical encoding of what they decode to.

#![no_main]

use klay_consensus::{sim::value::LabValue, simplex::SimplexMessage, types::Limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { message: 1 << 20, entries: 64 };
    if let Ok(message) = SimplexMessage::<LabValue>::decode(bytes, limits) {
        let mut again = Vec::new();
        message.encode(&mut again);
        assert_eq!(again, bytes);
    }
});
