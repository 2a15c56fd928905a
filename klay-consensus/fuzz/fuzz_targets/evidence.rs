//! Evidence of arbitrary bytes is read or refused by every engine, never a panic; what is read writes back the same.

#![no_main]

use klay_consensus::{
    sim::{Lab as _, istanbul::IstanbulLab, justified::JustifiedLab, simplex::SimplexLab},
    types::{Evidence, Height, Limits, Misbehaviour, View},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<Vec<u8>>)| {
    let (kind, proof) = input;
    for bytes in &proof {
        if let Ok(evidence) = Evidence::<klay_core::Address>::decode(bytes, Limits::default()) {
            let mut again = Vec::new();
            evidence.encode(&mut again);
            assert_eq!(again, *bytes);
        }
    }
    let Some(kind) = Misbehaviour::from_byte(kind % 6) else { return };
    let lab = SimplexLab::new(4);
    let evidence = Evidence { kind, offender: lab.peer(1), height: Height::new(1), view: View::default(), proof };
    let _ = (lab.proves(&evidence), JustifiedLab::new(4).proves(&evidence));
    let _ = IstanbulLab::new(4, klay_consensus::istanbul::Compat::default()).proves(&evidence);
});
