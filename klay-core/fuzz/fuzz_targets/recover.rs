//! Recovery from arbitrary values gives a point of the curve or an error.

#![no_main]

use klay_core::{B256, PublicKey, crypto};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ([u8; 32], [u8; 32], [u8; 32], u8)| {
    let (digest, r, s, id) = input;
    let mut signature = [0; 65];
    signature[..32].copy_from_slice(&r);
    signature[32..64].copy_from_slice(&s);
    signature[64] = id % 5;
    if let Ok(key) = crypto::recover_compact(B256::new(digest), &signature) {
        assert_eq!(PublicKey::from_uncompressed(*key.as_uncompressed()), Some(key));
        assert_eq!(PublicKey::from_compressed(&key.to_compressed()), Some(key));
    }
});
