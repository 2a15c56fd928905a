//! Failing runs made small.

use std::sync::Arc;

use super::{Faults, Lab, Report, Run, run};

/// A run that still fails in the same way, with fewer heights and faults, and its report. `None` if the run does not
/// fail.
pub fn shrink<L: Lab>(lab: &Arc<L>, failing: Run) -> Option<(Run, Report)> {
    let mut report = run(lab, failing.clone());
    let broken = report.violations.first()?.invariant;
    let mut smallest = failing;
    loop {
        let mut better = None;
        for candidate in simpler(&smallest) {
            let tried = run(lab, candidate.clone());
            if tried.violations.first().is_some_and(|v| v.invariant == broken) {
                better = Some((candidate, tried));
                break;
            }
        }
        let Some((candidate, tried)) = better else { return Some((smallest, report)) };
        (smallest, report) = (candidate, tried);
    }
}

/// Runs that lack one thing of this one. Streams are independent, so the rest happens as before.
fn simpler(run: &Run) -> Vec<Run> {
    let mut candidates = Vec::new();
    let mut with = |change: &dyn Fn(&mut Faults)| {
        let mut candidate = run.clone();
        change(&mut candidate.faults);
        if candidate.faults != run.faults {
            candidates.push(candidate);
        }
    };
    with(&|f| f.drop = 0);
    with(&|f| f.duplicate = 0);
    with(&|f| f.delay_wild = f.delay_max);
    with(&|f| f.isolate_deciders = 0);
    with(&|f| f.starve_votes = 0);
    with(&|f| f.clock_offset = core::time::Duration::ZERO);
    with(&|f| f.clock_drift = 0);
    with(&|f| f.invalid_values = 0);
    with(&|f| f.crashes = f.crashes.saturating_sub(1));
    with(&|f| f.partitions = f.partitions.saturating_sub(1));
    with(&|f| {
        f.byzantine.pop();
    });
    with(&|f| f.settles_at /= 2);
    if run.heights > 1 {
        candidates.push(Run { heights: run.heights / 2, ..run.clone() });
        candidates.push(Run { heights: run.heights - 1, ..run.clone() });
    }
    candidates
}
