//! The toy is safe whatever happens, and stops when somebody is silent.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use klay_consensus::sim::{Byzantine, Faults, Profile, Run, run};
use own_engine::UnanimousLab;

#[test]
fn it_keeps_every_promise_while_nobody_is_hostile() {
    for profile in ["none", "steady", "network", "partition", "crash", "clock"] {
        let profile = Profile::named(profile).unwrap();
        for seed in 0..10 {
            let report = run(&Arc::new(UnanimousLab(4)), Run::new(seed, profile.faults(4, seed)));
            assert!(report.is_good(), "{} {seed}: {:?}", profile.name, report.violations);
        }
    }
}

#[test]
fn one_silent_node_stops_it_and_the_lab_says_so() {
    let faults = Faults { byzantine: vec![Byzantine::Silent], ..Faults::none() };
    let report = run(&Arc::new(UnanimousLab(4)), Run::new(1, faults));
    assert_eq!(report.violations.first().unwrap().invariant, "I10");
}

#[test]
fn it_fits_into_two_hundred_lines() {
    assert!(include_str!("../src/lib.rs").lines().count() <= 200);
}
