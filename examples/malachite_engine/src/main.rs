//! Plays somebody else's engine and one of the crate's on the same seeds.

use std::sync::Arc;

use klay_consensus::sim::{Lab, PROFILES, Run, justified::JustifiedLab, sweep};
use malachite_engine::MalachiteLab;

fn show<L: Lab>(name: &str, lab: &Arc<L>) {
    println!("{name}\n  profile     heights  rounds  messages  to decide  broken");
    for profile in PROFILES {
        let make = |seed| Run::new(seed, profile.faults(4, seed));
        let sweep = sweep(lab, 0..100, 2, make, |_, _| {});
        let metrics = &sweep.metrics;
        let heights = metrics.heights.max(1) as f64;
        let deciding = metrics.deciding.as_secs_f64() / metrics.decisions.max(1) as f64;
        println!(
            "  {:<10} {:>8} {:>7.2} {:>9.1} {deciding:>8.2} s  {:?}",
            profile.name,
            metrics.heights,
            metrics.rounds as f64 / heights,
            metrics.sent() as f64 / heights,
            sweep.violations,
        );
    }
}

fn main() {
    show("malachite", &Arc::new(MalachiteLab::new(4)));
    show("justified", &Arc::new(JustifiedLab::new(4)));
}
