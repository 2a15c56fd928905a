//! The long suites of the lab, for every engine: seeds with every fault, crashes, partitions, twins, changing chains.
//!
//! ```sh
//! cargo run --release -p klay-consensus --features simulate --example nightly -- 100000 4,7
//! ```
//!
//! The first number is how many seeds each engine gets for each number of validators; crashes and partitions get three
//! tenths of it, twins and chains half. An optional third argument names the engines. Prints a line for each suite; exit
//! code 1 if a promise was broken.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{process::ExitCode, sync::Arc, time::Instant};

use klay_consensus::{
    istanbul::Compat,
    sim::{Lab, Profile, Run, istanbul::IstanbulLab, justified::JustifiedLab, simplex::SimplexLab, sweep},
};

/// Profiles, and how many thousandths of the seeds each gets.
const SUITES: [(&str, u64); 5] = [("all", 1000), ("crash", 300), ("partition", 300), ("twins", 500), ("chain", 500)];

fn suites<L: Lab + Clone>(name: &str, lab: &L, validators: u32, seeds: u64) -> bool {
    let lab = Arc::new(lab.clone());
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let mut good = true;
    for (profile, share) in SUITES {
        let profile = Profile::named(profile).unwrap();
        let start = Instant::now();
        let make = |seed| Run::new(seed, profile.faults(validators, seed));
        let sweep = sweep(&lab, 0..(seeds * share).div_ceil(1000), threads, make, |_, _| {});
        let took = start.elapsed();
        println!(
            "{name:<10} N {validators:<2} {:<9} {:>6} seeds {:>9} heights {:>11} steps {:>6.0} s {:>7.0} steps/s  gap {:>6.1} s  broken {:?} known {:?}",
            profile.name,
            sweep.seeds,
            sweep.metrics.heights,
            sweep.metrics.steps,
            took.as_secs_f64(),
            sweep.metrics.steps as f64 / took.as_secs_f64(),
            sweep.metrics.longest_gap.as_secs_f64(),
            sweep.violations,
            sweep.known,
        );
        if let Some(failing) = sweep.failing {
            good = false;
            println!("first failing run:\n{}", failing.to_text());
        }
    }
    good
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let seeds = args.next().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let sizes = args.next().unwrap_or_else(|| "1,2,3,4,5,6,7,10,13,22,31".to_owned());
    let engines = args.next().unwrap_or_else(|| "justified,simplex,istanbul".to_owned());
    let mut good = true;
    for engine in engines.split(',') {
        for validators in sizes.split(',').filter_map(|n| n.parse::<u32>().ok()) {
            let n = validators as usize;
            good &= match engine {
                "justified" => suites(engine, &JustifiedLab::new(n), validators, seeds),
                "simplex" => suites(engine, &SimplexLab::new(n), validators, seeds),
                "sequential" => suites(engine, &SimplexLab::new(n).in_sequence(), validators, seeds),
                "istanbul" => suites(engine, &IstanbulLab::new(n, Compat::default()), validators, seeds),
                _ => false,
            };
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
