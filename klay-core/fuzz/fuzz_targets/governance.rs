//! Votes and governance data of header fields: what decodes is encoded to what decodes to the same.

#![no_main]

use klay_core::governance::{GovernanceData, Vote};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(vote) = Vote::decode(bytes) {
        assert_eq!(Vote::decode(&vote.encode()), Ok(vote));
    }
    if let Ok(data) = GovernanceData::decode(bytes) {
        assert_eq!(GovernanceData::decode(&data.encode()), Ok(data));
    }
});
