//! Certificates: canonical when they decode, and never taken without a quorum of distinct members.

#![no_main]

use klay_consensus::{
    sim::value::{MockAuthors, Turns},
    simplex::{Certificate, certificate_holds},
    types::{Committees as _, Height, Limits, Round},
};
use klay_core::codec::Reader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(bytes);
    let Ok(certificate) = Certificate::decode(&mut reader, Limits::default()) else { return };
    let mut again = Vec::new();
    certificate.encode(&mut again);
    assert_eq!(again, bytes[..bytes.len() - reader.rest().len()]);
    let committee = Turns::new(4).at(Height::new(1), Round::ZERO).expect("four validators");
    if certificate_holds(&certificate, Default::default(), &committee, &MockAuthors) {
        assert!(certificate.seals.len() >= 3);
    }
});
