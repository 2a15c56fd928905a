//! Runs seeds of one engine and prints what fails: `seeds ENGINE VALIDATORS PROFILE FIRST COUNT`.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use klay_consensus::{
    istanbul::Compat,
    sim::{
        Lab, Metrics, Profile, Run, istanbul::IstanbulLab, justified::JustifiedLab, run, shrink, simplex::SimplexLab,
    },
};

fn seeds<L: Lab>(lab: &Arc<L>, n: u32, profile: Profile, first: u64, count: u64) {
    let (mut all, mut bad, mut known, start) = (Metrics::default(), 0, 0, std::time::Instant::now());
    for seed in first..first + count {
        let one = std::time::Instant::now();
        let report = run(lab, Run::new(seed, profile.faults(n, seed)));
        if std::env::var_os("ALL").is_some() {
            println!("{report:?}");
        }
        if one.elapsed().as_secs() >= 5 {
            println!(
                "slow: seed {seed} {:?} {} steps {:?}",
                one.elapsed(),
                report.metrics.steps,
                report.metrics.messages
            );
        }
        all.add(&report.metrics);
        known += u64::from(!report.known.is_empty());
        if !report.violations.is_empty() {
            bad += 1;
            if bad <= 5 {
                println!("n {n} seed {seed}: {:?}", report.violations);
            }
            if bad == 1 && std::env::var_os("SHRINK").is_some() {
                let (small, report) = shrink(lab, Run::new(seed, profile.faults(n, seed))).unwrap();
                println!("{}{report:#?}", small.to_text());
                std::fs::write("failing.run", small.to_text()).unwrap();
            }
        }
    }
    let took = start.elapsed();
    println!(
        "n {n}: {count} seeds, {bad} bad, {known} known, {} heights, {} steps in {took:?} ({:.0}/s), decide {:.1} ms, next {:.1} ms, gap {:?}",
        all.heights,
        all.steps,
        all.steps as f64 / took.as_secs_f64(),
        all.deciding.as_secs_f64() * 1e3 / all.decisions.max(1) as f64,
        all.following.as_secs_f64() * 1e3 / all.followed.max(1) as f64,
        all.longest_gap,
    );
}

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [engine, validators, profile, first, count] = &args[..] else { panic!("five arguments") };
    let profile = Profile::named(profile).unwrap();
    let (first, count) = (first.parse().unwrap(), count.parse().unwrap());
    for n in validators.split(',').map(|n| n.parse::<u32>().unwrap()) {
        let size = n as usize;
        match &**engine {
            "istanbul" => seeds(&Arc::new(IstanbulLab::new(size, Compat::default())), n, profile, first, count),
            "faithful" => seeds(&Arc::new(IstanbulLab::new(size, Compat::reference())), n, profile, first, count),
            "justified" => seeds(&Arc::new(JustifiedLab::new(size)), n, profile, first, count),
            "simplex" => seeds(&Arc::new(SimplexLab::new(size)), n, profile, first, count),
            "sequential" => seeds(&Arc::new(SimplexLab::new(size).in_sequence()), n, profile, first, count),
            other => panic!("unknown engine {other}"),
        }
    }
}
