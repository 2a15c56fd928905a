//! Frames of other nodes: bytes that decode are the only encoding of what they decode to.

#![no_main]

use klay_node::network::wire::{Answer, Gossip, MAX_HEADERS, Request, Spoken};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(gossip) = Gossip::decode(bytes) {
        assert_eq!(gossip.encode(), bytes);
    }
    if let Ok(spoken) = Spoken::decode(bytes) {
        assert_eq!(spoken.encode(), bytes);
    }
    if let Ok(request) = Request::decode(bytes) {
        assert_eq!(request.encode(), bytes);
    }
    if let Ok(answer) = Answer::decode(bytes, MAX_HEADERS as usize) {
        assert_eq!(answer.encode(), bytes);
        assert!(answer.0.len() as u64 <= MAX_HEADERS);
    }
});
