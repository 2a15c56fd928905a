//! Decisions of Simplex are checked without a panic, whatever header and seals they come with.

#![no_main]

use klay_consensus::{
    istanbul::{CommittedSeals, HeaderValue as _},
    sim::value::{LabValue, MockAuthors, Turns},
    simplex::{decision_holds, final_digest, proposed_in},
    types::{Committees as _, Height, Round, Value as _},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, u64, Vec<[u8; 65]>)| {
    let (extra, round, seals) = input;
    let value = LabValue::new(Height::new(1), Default::default(), 1, true).with_extra(extra.into());
    let cert = CommittedSeals { round: Round::new(round), seals };
    let turns = Turns::new(4);
    let committee = turns.at(Height::new(1), Round::ZERO).expect("four validators");
    if decision_holds(&value, &cert, &committee, &MockAuthors) {
        assert!(cert.seals.len() >= 3);
        let view = proposed_in(value.header()).expect("it was found");
        let _ = final_digest(value.id(), view);
    }
});
