//! Evidence of arbitrary bytes is read or refused by every engine, never a panic.

#![no_main]

use klay_consensus::{
    sim::{Lab as _, istanbul::IstanbulLab, justified::JustifiedLab, simplex::SimplexLab},
    types::{Evidence, Height, Misbehaviour, View},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<Vec<u8>>)| {
    let (kind, proof) = input;
    let Some(kind) = Misbehaviour::from_byte(kind % 6) else { return };
    let lab = SimplexLab::new(4);
    let evidence = Evidence { kind, offender: lab.peer(1), height: Height::new(1), view: View::default(), proof };
    let _ = (lab.proves(&evidence), JustifiedLab::new(4).proves(&evidence));
    let _ = IstanbulLab::new(4, klay_consensus::istanbul::Compat::default()).proves(&evidence);
});
