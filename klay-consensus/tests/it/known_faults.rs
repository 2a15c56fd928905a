//! The five known faults of the reference show in faithful mode, and neither in justified rounds nor in Simplex.
//!
//! Source: chapter 50, section 3.3. The deadlock of locks is also replayed step by step in `traces.rs`.

use std::sync::Arc;

use core::time::Duration;

use alloy_primitives::B256;
use klay_consensus::{
    istanbul::{CommittedSeals, Compat, HeaderValue as _, seal},
    sim::{
        Byzantine, Faults, Lab, Run, istanbul::IstanbulLab, justified::JustifiedLab, run, simplex::SimplexLab,
        value::LabValue,
    },
    simplex::{final_digest, proposed_in},
    types::{Height, Round, Value as _},
};

fn faithful(n: usize) -> Arc<IstanbulLab> {
    Arc::new(IstanbulLab::new(n, Compat::reference()))
}

/// Seeds on which a known fault of the faithful engine shows as `invariant`.
fn shows(invariant: &str, gated: bool, faults: impl Fn(u64) -> Faults) -> Vec<u64> {
    let breaks = |seed: &u64| {
        let report = run(&faithful(4), Run { gated, ..Run::new(*seed, faults(*seed)) });
        report.known.iter().chain(&report.violations).any(|v| v.invariant == invariant)
    };
    (0..60).filter(breaks).collect()
}

/// The engines without the faults keep every promise on all of these seeds.
fn others_hold(faults: impl Fn(u64) -> Faults) {
    for seed in 0..60 {
        let report = run(&Arc::new(JustifiedLab::new(4)), Run::new(seed, faults(seed)));
        assert!(report.is_good(), "justified, {seed}: {:?}", report.violations);
        let report = run(&Arc::new(SimplexLab::new(4)), Run::new(seed, faults(seed)));
        assert!(report.is_good(), "simplex, {seed}: {:?}", report.violations);
    }
}

#[test]
fn a_split_locks_stop_the_reference_for_ever() {
    let faults = |_| Faults {
        drop: 300,
        starve_votes: 900,
        byzantine: vec![Byzantine::Withhold],
        settles_at: Duration::from_secs(60),
        ..Faults::none()
    };
    assert!(!shows("I10", true, faults).is_empty());
    others_hold(faults);
}

#[test]
fn b_three_of_six_seals_are_importable_beside_the_four_that_decide() {
    let (lab, genesis) = (faithful(6), B256::ZERO);
    let seals = |value: &LabValue, digest: B256, signers: core::ops::Range<usize>| CommittedSeals {
        round: Round::ZERO,
        seals: signers.map(|node| lab.sign(node, digest.0)).inspect(|_| assert!(value.is_valid())).collect(),
    };
    let [x, y] = [1, 2].map(|salt| LabValue::new(Height::new(1), genesis, salt, true));
    // One validator, number 2, signs both: no more than F.
    let (few, many) =
        (seals(&x, seal::committed_digest(x.id()), 0..3), seals(&y, seal::committed_digest(y.id()), 2..6));
    assert!(lab.accepts(&x, &few) && lab.accepts(&y, &many), "both can be imported");
    let digest = klay_consensus::istanbul::justified::seal_digest(x.id(), Round::ZERO);
    assert!(!JustifiedLab::new(6).accepts(&x, &seals(&x, digest, 0..3)));
    assert!(JustifiedLab::new(6).accepts(&x, &seals(&x, digest, 0..4)));
    let digest = final_digest(x.id(), proposed_in(x.header()).unwrap());
    assert!(!SimplexLab::new(6).accepts(&x, &seals(&x, digest, 0..3)));
    assert!(SimplexLab::new(6).accepts(&x, &seals(&x, digest, 0..4)));
}

#[test]
fn c_a_restart_without_memory_says_two_things() {
    let faults = |_| Faults { drop: 200, starve_votes: 500, ..Faults::crashes(8) };
    assert!(!shows("I4", false, faults).is_empty());
    others_hold(faults);
}

#[test]
fn d_a_request_that_is_sent_once_keeps_everybody_waiting() {
    let faults = |_| Faults { drop: 400, settles_at: Duration::from_secs(40), ..Faults::none() };
    // Runs in which nobody waits for a whole timeout once the network has settled.
    let soon = |compat| {
        let lab = Arc::new(IstanbulLab::new(4, compat));
        let gaps = (0..60).map(|seed| run(&lab, Run::new(seed, faults(seed))).metrics.longest_gap);
        gaps.filter(|gap| *gap < Duration::from_secs(10)).count()
    };
    let (once, repeated) = (soon(Compat::reference()), soon(Compat::default()));
    assert!(repeated > 2 * once, "soon in {once} runs, in {repeated} where the request is repeated");
    others_hold(faults);
}

#[test]
fn e_one_bad_seal_spoils_a_decision() {
    let faults = |_| Faults { byzantine: vec![Byzantine::BadSeal], ..Faults::none() };
    assert!(!shows("I6", true, faults).is_empty());
    others_hold(faults);
    for seed in 0..60 {
        let mended = run(&Arc::new(IstanbulLab::new(4, Compat::default())), Run::new(seed, faults(seed)));
        assert!(mended.is_good(), "{seed}: {:?}", mended.violations);
    }
}
