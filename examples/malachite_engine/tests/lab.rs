//! An engine that nobody here wrote keeps every promise of the lab.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use klay_consensus::{
    sim::{Byzantine, Faults, Lab as _, PROFILES, Profile, Run, run, value::LabValue},
    types::{Engine as _, Floor, Height, Limits, Record as _, Refuse, Time},
};
use malachite_engine::{Malachite, MalachiteLab, Memo, WordCodec};

#[test]
fn four_validators_decide_ten_heights_in_three_delays() {
    let faults = Profile::named("steady").unwrap().faults(4, 1);
    let report = run(&Arc::new(MalachiteLab::new(4)), Run::new(1, faults));
    assert!(report.finished && report.is_good(), "{:?}", report.violations);
    assert!(report.metrics.heights >= 10);
    assert_eq!(report.metrics.rounds, 0);
    // Three delays of a tenth of a second, and the application's checks.
    let deciding = report.metrics.deciding.as_secs_f64() / report.metrics.decisions as f64;
    assert!((0.3..0.4).contains(&deciding), "{deciding} s");
}

#[test]
fn no_invariant_breaks_under_any_profile() {
    for profile in PROFILES {
        for (n, seeds) in [(4, 6), (7, 2)] {
            for seed in 0..seeds {
                let report = run(&Arc::new(MalachiteLab::new(n)), Run::new(seed, profile.faults(n as u32, seed)));
                assert!(report.is_good(), "{} n={n} {seed}: {:?}", profile.name, report.violations);
                assert!(report.finished, "{} n={n} {seed}: not finished", profile.name);
            }
        }
    }
}

#[test]
fn smaller_and_odd_sets_decide_too() {
    for n in [1, 2, 3, 5, 6] {
        for (profile, seed) in [("none", 1), ("crash", 2), ("partition", 3)] {
            let faults = Profile::named(profile).unwrap().faults(n as u32, seed);
            let report = run(&Arc::new(MalachiteLab::new(n)), Run::new(seed, faults));
            assert!(report.finished && report.is_good(), "{profile} n={n}: {:?}", report.violations);
        }
    }
}

#[test]
fn the_same_run_twice_gives_the_same_digest() {
    let faults = Profile::named("all").unwrap().faults(4, 5);
    let play = || run(&Arc::new(MalachiteLab::new(4)), Run::new(5, faults.clone())).digest;
    assert_eq!(play(), play());
}

#[test]
fn double_votes_are_reported() {
    let faults = Faults { byzantine: vec![Byzantine::DoubleVote], ..Faults::none() };
    let report = run(&Arc::new(MalachiteLab::new(4)), Run::new(3, faults));
    assert!(report.is_good(), "{:?}", report.violations);
    assert!(report.metrics.evidence > 0);
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    for bytes in [&[][..], &[0xc0], &[0xc1, 0x80], &[0xc2, 0x09, 0xc0], &[0xc2, 0x02, 0xc0]] {
        let word = <WordCodec as klay_consensus::types::Codec<klay_consensus::istanbul::Klaytn<LabValue>>>::decode(
            &WordCodec,
            bytes,
            Limits::default(),
        );
        assert!(word.is_err(), "{bytes:x?}");
    }
    let _: &dyn klay_consensus::types::Codec<_, Msg = _> = MalachiteLab::new(1).codec();
}

#[test]
fn a_log_ahead_of_the_chain_is_refused() {
    let lab = MalachiteLab::new(4);
    let floor = Floor { height: Height::ZERO, id: lab.genesis(), next_at: Time::ZERO };
    let value = lab.value(0, Height::new(2), lab.genesis(), 1, true);
    let memo = Memo::Value {
        round: malachite_types::Round::new(0),
        from: malachite_engine::Who(lab.peer(0)),
        valid: true,
        value,
    };
    let mut bytes = Vec::new();
    memo.encode(&mut bytes);
    assert_eq!(Memo::decode(memo.kind(), &bytes).unwrap(), memo);
    let refused = Malachite::open(lab.config(0), floor, vec![memo]).unwrap_err();
    assert!(matches!(refused, Refuse::ChainBehindLog { .. }), "{refused}");
}
