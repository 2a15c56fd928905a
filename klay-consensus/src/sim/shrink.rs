//! Failing runs made small.

use std::sync::Arc;

use super::{Byzantine, Faults, Lab, Report, Run, faults::Setting, run};

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
    let mut add = |change: &dyn Fn(&mut Run)| {
        let mut candidate = run.clone();
        change(&mut candidate);
        if candidate != *run {
            candidates.push(candidate);
        }
    };
    let count = run.faults.clone().settings().len();
    for index in 0..count {
        add(&|candidate| copy_usual(&mut candidate.faults, index));
    }
    for index in 0..run.faults.byzantine.len() {
        // Nodes keep their places, so what is left out becomes silent first.
        add(&|candidate| candidate.faults.byzantine[index] = Byzantine::Silent);
    }
    add(&|candidate| candidate.faults.byzantine.truncate(candidate.faults.byzantine.len().saturating_sub(1)));
    add(&|candidate| candidate.faults.crashes = candidate.faults.crashes.saturating_sub(1));
    add(&|candidate| candidate.faults.partitions = candidate.faults.partitions.saturating_sub(1));
    add(&|candidate| candidate.faults.settles_at /= 2);
    add(&|candidate| candidate.heights = (candidate.heights / 2).max(1));
    add(&|candidate| candidate.heights = candidate.heights.saturating_sub(1).max(1));
    candidates
}

/// Sets one fault to what it is when nothing goes wrong.
fn copy_usual(faults: &mut Faults, index: usize) {
    let mut usual = Faults::none();
    let text = usual.settings().get(index).map(|(_, setting)| setting.text());
    if let (Some(text), Some((_, setting))) = (text, faults.settings().get_mut(index)) {
        // Without the time in which it happens, no fault happens; that is tried in halves.
        if !matches!(setting, Setting::Span(_)) || text != "0" {
            let _known = setting.set(&text);
        }
    }
}
