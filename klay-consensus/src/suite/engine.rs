//! Rules of engines: the invariants of the lab.

use std::sync::Arc;

use super::{Outcome, broken};
use crate::sim::{Lab, PROFILES, Run, run, sweep};

/// Plays `seeds` seeds of each profile of the lab on all cores.
///
/// The rules are the invariants I1 to I14 of [the lab](crate::sim); what the protocol is known not to promise
/// ([`Lab::is_known_fault`]) does not count. A thousand seeds of four nodes take less than a minute in a release build.
///
/// # Errors
/// The first invariant that is broken, with profile and seed.
pub fn engine<L: Lab>(lab: &Arc<L>, seeds: u64) -> Outcome {
    let nodes = u32::try_from(lab.nodes()).unwrap_or(u32::MAX);
    let threads = std::thread::available_parallelism().map_or(1, core::num::NonZero::get);
    for profile in PROFILES {
        let make = |seed| Run::new(seed, profile.faults(nodes, seed));
        let swept = sweep(lab, 0..seeds, threads, make, |_, _| {});
        if let Some(failing) = swept.failing {
            let seed = failing.seed;
            let report = run(lab, failing);
            let violation = report.violations.first();
            let (rule, what) = violation.map_or(("I13", "not the second time"), |v| (v.invariant, v.what.as_str()));
            return Err(broken(rule, format!("profile {}, seed {seed}: {what}", profile.name)));
        }
    }
    Ok(())
}
