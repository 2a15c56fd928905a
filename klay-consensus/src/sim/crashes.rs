//! A crash after each thing that a node does, with each outcome for its disk.
//!
//! Source: chapter 50, section 6.3.

use std::{ops::Range, sync::Arc};

use core::time::Duration;

use super::{CrashPoint, Faults, Lab, Run, Sweep, sweep};
use crate::wal::Kept;

/// What a disk keeps of what was not synced: nothing, half of it, all.
const OUTCOMES: [Kept; 3] = [Kept::Nothing, Kept::Part(500), Kept::All];
/// Heights that follow the one in which the crash falls: the node has to be back by then (I12).
const AFTER: u64 = 3;

/// The crashes of one node during so many heights.
#[derive(Debug, Clone)]
pub struct CrashSweep {
    node: usize,
    /// How much the node has done when each height is applied.
    marks: Vec<u64>,
}

impl CrashSweep {
    /// Finds out where `node` can crash during `heights` heights in which nothing else goes wrong.
    pub fn survey<L: Lab>(lab: &Arc<L>, node: usize, heights: u64) -> Self {
        Self { node, marks: lab.survey(Self::calm(heights), node) }
    }

    fn calm(heights: u64) -> Run {
        let faults = Faults { old_copies: 1, ..Faults::steady() };
        Run { heights, ..Run::new(0, faults) }
    }

    /// How many runs there are: every place, every outcome.
    pub fn runs(&self) -> u64 {
        self.marks.last().copied().unwrap_or_default() * OUTCOMES.len() as u64
    }

    /// The run with this number.
    pub fn run(&self, number: u64) -> Run {
        let (after, outcome) = (number / OUTCOMES.len() as u64 + 1, number % OUTCOMES.len() as u64);
        let height = self.marks.partition_point(|mark| *mark < after) as u64 + 1;
        // Back at once, or when the others have gone on.
        let downtime = if after.is_multiple_of(2) { Duration::from_millis(20) } else { Duration::from_millis(1500) };
        let point = CrashPoint { node: self.node, after, kept: OUTCOMES[outcome as usize], downtime };
        Run { seed: number, crash_at: Some(point), ..Self::calm(height + AFTER) }
    }
}

/// Plays the runs of a sweep with these numbers.
pub fn crash_sweep<L: Lab>(lab: &Arc<L>, crashes: &CrashSweep, numbers: Range<u64>, threads: usize) -> Sweep {
    sweep(lab, numbers.start..numbers.end.min(crashes.runs()), threads, |number| crashes.run(number), |_, _| {})
}
