//! The shape of account keys: never a panic, and every accepted key starts with the byte of one of the six types.

#![no_main]

use klay_core::tx::EncodedKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(key) = EncodedKey::decode(bytes) {
        assert!(matches!(key.as_bytes(), [0x80] | [0x01..=0x05, ..]));
    }
});
