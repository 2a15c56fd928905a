//! Bytes that decode as a message of Istanbul or of justified rounds are the canonical encoding of what they decode to.

#![no_main]

use klay_consensus::{
    istanbul::{Envelope, Message, justified::JustifiedMessage},
    sim::value::LabValue,
    types::Limits,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { message: 1 << 20, entries: 64 };
    if let Ok(message) = Message::<LabValue>::decode(bytes, limits) {
        let mut again = Vec::new();
        message.encode(&mut again);
        assert_eq!(again, bytes);
    }
    if let Ok(envelope) = Envelope::decode_frame(bytes, limits) {
        let _ = (envelope.signer(), envelope.relay_hash());
    }
    if let Ok(message) = JustifiedMessage::<LabValue>::decode(bytes, limits) {
        let mut again = Vec::new();
        message.encode(&mut again);
        assert_eq!(again, bytes);
    }
});
