//! Many seeds of one engine, on several threads.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Lab, Metrics, Report, Run, Violation, run};

/// One seed in so many is played twice (I13).
const TWICE: u64 = 64;

/// What many runs have shown.
#[derive(Debug, Clone, Default)]
pub struct Sweep {
    /// How many.
    pub seeds: u64,
    /// Their counts together.
    pub metrics: Metrics,
    /// Runs that broke each invariant.
    pub violations: BTreeMap<&'static str, u64>,
    /// Runs in which a known fault of the protocol showed, by invariant.
    pub known: BTreeMap<&'static str, u64>,
    /// Runs that did not reach their last height.
    pub unfinished: u64,
    /// The failing run with the lowest seed.
    pub failing: Option<Run>,
}

impl Sweep {
    /// Runs that broke an invariant.
    pub fn failures(&self) -> u64 {
        self.violations.values().sum()
    }

    /// Adds what another sweep has shown.
    pub fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.metrics.add(&other.metrics);
        self.unfinished += other.unfinished;
        for (counts, more) in [(&mut self.violations, other.violations), (&mut self.known, other.known)] {
            for (invariant, count) in more {
                *counts.entry(invariant).or_default() += count;
            }
        }
        self.failing = self.failing.take().or(other.failing);
    }

    fn add(&mut self, run: Run, report: &Report) {
        self.seeds += 1;
        self.metrics.add(&report.metrics);
        self.unfinished += u64::from(!report.finished);
        for (counts, violations) in [(&mut self.violations, &report.violations), (&mut self.known, &report.known)] {
            if let Some(first) = violations.first() {
                *counts.entry(first.invariant).or_default() += 1;
            }
        }
        if !report.violations.is_empty() && self.failing.as_ref().is_none_or(|f| run.seed < f.seed) {
            self.failing = Some(run);
        }
    }
}

/// Plays `make(seed)` for all seeds on `threads` threads; on this one if that is one. `done` hears of every report, in any order.
pub fn sweep<L: Lab>(
    lab: &Arc<L>,
    seeds: Range<u64>,
    threads: usize,
    make: impl Fn(u64) -> Run + Sync,
    done: impl Fn(&Run, &Report) + Sync,
) -> Sweep {
    let next = AtomicU64::new(seeds.start);
    let all = Mutex::new(Sweep::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let wanted = make(seed);
            let mut report = run(lab, wanted.clone());
            if seed.is_multiple_of(TWICE) && run(lab, wanted.clone()).digest != report.digest {
                let what = "the same run gave another digest".to_owned();
                let at = report.metrics.elapsed;
                report.violations.push(Violation { invariant: "I13", at, node: 0, what });
            }
            done(&wanted, &report);
            all.lock().unwrap_or_else(PoisonError::into_inner).add(wanted, &report);
        }
    };
    if threads < 2 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}
