//! Engines in a world where everything goes wrong keep their promises.

use std::sync::Arc;

use alloy_primitives::{B256, keccak256};
use klay_consensus::{
    istanbul::Compat,
    sim::{
        Faults, Lab, Report, Run, istanbul::IstanbulLab, justified::JustifiedLab, run, shrink, simplex::SimplexLab,
        value::LabValue,
    },
    simplex::{Certificate, Kind, Simplex, SimplexRecord, Vote},
    types::{Engine as _, Floor, Height, Slot, Time},
};

fn seeds() -> u64 {
    std::env::var("KLAY_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

fn istanbul(n: usize) -> Arc<IstanbulLab> {
    Arc::new(IstanbulLab::new(n, Compat::default()))
}

/// Whether nothing but progress may have failed.
fn is_safe(report: &Report) -> bool {
    report.violations.iter().all(|v| v.invariant == "I10")
}

#[test]
fn a_network_that_behaves_decides_every_height_in_round_zero() {
    for n in [1, 2, 3, 4, 5, 6, 7, 10] {
        let report = run(&istanbul(n), Run::new(1, Faults::none()));
        assert!(report.is_good(), "n = {n}: {report:?}");
        assert_eq!(report.metrics.max_round, 0, "n = {n}: {report:?}");
    }
}

#[test]
fn the_same_run_twice_is_the_same_run() {
    for seed in 0..8 {
        let again = || run(&istanbul(4), Run::new(seed, Faults::all(4, seed)));
        assert_eq!(again(), again());
    }
}

#[test]
fn no_fault_makes_istanbul_unsafe() {
    let mut stalled = 0;
    for n in [3, 4, 5, 6, 7] {
        for seed in 0..seeds() {
            let report = run(&istanbul(n), Run::new(seed, Faults::all(n as u32, seed)));
            assert!(is_safe(&report), "n = {n}, seed = {seed}: {report:#?}");
            stalled += u64::from(!report.finished);
        }
    }
    println!("{stalled} of {} runs stalled: the reference's locks can", 5 * seeds());
}

#[test]
fn loss_and_delay_alone_are_recovered_from() {
    for n in [4, 7] {
        for seed in 0..seeds() {
            let report = run(&istanbul(n), Run::new(seed, Faults::network()));
            assert!(is_safe(&report), "n = {n}, seed = {seed}: {report:#?}");
        }
    }
}

#[test]
fn without_gate_and_memory_a_restart_contradicts_itself() {
    let lab = Arc::new(IstanbulLab::new(4, Compat::reference()));
    let broken = (0..60).any(|seed| {
        let run_without = Run { gated: false, ..Run::new(seed, Faults::crashes(6)) };
        run(&lab, run_without).violations.iter().any(|v| v.invariant == "I4")
    });
    assert!(broken, "the reference's fault D2 must show");
    for seed in 0..60 {
        let report = run(&istanbul(4), Run::new(seed, Faults::crashes(6)));
        assert!(is_safe(&report), "seed = {seed}: {report:#?}");
    }
}

#[test]
fn a_failing_run_is_made_small() {
    let lab = Arc::new(IstanbulLab::new(4, Compat::reference()));
    let faults = |seed| Faults { crashes: 6, ..Faults::all(4, seed) };
    let failing = (0..200)
        .map(|seed| Run { gated: false, ..Run::new(seed, faults(seed)) })
        .find(|candidate| run(&lab, candidate.clone()).violations.iter().any(|v| v.invariant == "I4"))
        .unwrap();
    let (small, report) = shrink(&lab, failing.clone()).unwrap();
    assert_eq!(report.violations[0].invariant, run(&lab, failing.clone()).violations[0].invariant);
    assert!(small.heights < failing.heights && small.faults.byzantine.len() <= failing.faults.byzantine.len());
}

#[test]
fn justified_rounds_keep_every_promise_under_every_fault() {
    for n in [1, 2, 3, 4, 5, 6, 7, 10] {
        let lab = Arc::new(JustifiedLab::new(n));
        for seed in 0..seeds() {
            let report = run(&lab, Run::new(seed, Faults::all(n as u32, seed)));
            assert!(report.is_good(), "n = {n}, seed = {seed}: {report:#?}");
        }
    }
}

#[test]
fn justified_rounds_need_no_more_messages_than_istanbul_when_nothing_fails() {
    for n in [4, 7] {
        let legacy = run(&istanbul(n), Run::new(3, Faults::none())).metrics;
        let ours = run(&Arc::new(JustifiedLab::new(n)), Run::new(3, Faults::none())).metrics;
        assert_eq!((ours.max_round, ours.heights), (0, legacy.heights));
        let total = |m: &klay_consensus::sim::Metrics| m.messages.values().sum::<u64>();
        assert!(total(&ours) <= total(&legacy) + 8, "{ours:?} {legacy:?}");
    }
}

#[test]
fn simplex_keeps_every_promise_under_every_fault() {
    for n in [1, 2, 3, 4, 5, 6, 7, 10] {
        let lab = Arc::new(SimplexLab::new(n));
        for seed in 0..seeds() {
            let report = run(&lab, Run::new(seed, Faults::all(n as u32, seed)));
            assert!(report.is_good(), "n = {n}, seed = {seed}: {report:#?}");
        }
    }
}

/// A run of so many heights, with faults for four fifths of them.
fn long<L: Lab>(lab: L, seed: u64, heights: u64) -> Report {
    let seconds = heights * 4 / if lab.pipelined() { 10 } else { 5 };
    let faults = Faults::soak(lab.nodes() as u32, seed, seconds);
    run(&Arc::new(lab), Run { heights, ..Run::new(seed, faults) })
}

#[test]
fn ten_thousand_heights_with_faults_that_come_back() {
    for report in [long(JustifiedLab::new(4), 1, 4_000), long(SimplexLab::new(4), 1, 4_000)] {
        assert!(report.is_good() && report.metrics.heights >= 4_000, "{report:#?}");
    }
    // Its locks may stop it; nothing else may happen.
    let report = long(IstanbulLab::new(4, Compat::default()), 1, 2_000);
    assert!(is_safe(&report), "{report:#?}");
}

/// The gate hands back no records of slots that the chain has left behind; whatever it does hand back, no more is kept.
#[test]
fn what_is_kept_of_a_log_is_bounded() {
    let lab = SimplexLab::new(4);
    let certified = |view: u64| {
        let vote = Vote { kind: Kind::Notarize, view: Slot::new(view), id: keccak256(view.to_be_bytes()) };
        let seals = (0..3).map(|node| lab.sign(node, vote.digest(B256::ZERO).0)).collect();
        SimplexRecord::Certified(Certificate { vote, seals })
    };
    let log: Vec<_> = (1..=5_000).map(certified).collect();
    let floor = Floor { height: Height::new(4_990), id: keccak256([]), next_at: Time::ZERO };
    let engine = Simplex::<LabValue>::open(lab.config(0), floor, log).unwrap();
    assert_eq!(engine.status().backlog, 4_096);
}
