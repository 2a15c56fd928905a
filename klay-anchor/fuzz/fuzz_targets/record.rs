//! Anchored records: what decodes is canonical, and every refusal has a text.
#![no_main]

use klay_anchor::{Anchor, decoded_anchoring, input_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match Anchor::decode(data) {
        Ok(anchor) => assert_eq!(anchor.encode(), data),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    assert!(input_json(data).is_ok() || decoded_anchoring(data).is_err());
});
