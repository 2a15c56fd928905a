//! Plays the toy engine and one of the crate's on the same seeds.

use std::sync::Arc;

use klay_consensus::sim::{Lab, Profile, Run, justified::JustifiedLab, sweep};
use own_engine::UnanimousLab;

fn show<L: Lab>(name: &str, lab: L, profile: &str) {
    let Some(profile) = Profile::named(profile) else { return };
    let make = |seed| Run::new(seed, profile.faults(4, seed));
    let sweep = sweep(&Arc::new(lab), 0..50, 2, make, |_, _| {});
    let per_height = sweep.metrics.sent() as f64 / sweep.metrics.heights.max(1) as f64;
    println!("{name:<10} {:<10} {per_height:>6.1} messages a height, broken: {:?}", profile.name, sweep.violations);
}

fn main() {
    for profile in ["none", "network", "partition", "crash", "byzantine"] {
        show("unanimous", UnanimousLab(4), profile);
        show("justified", JustifiedLab::new(4), profile);
    }
}
