//! What a run has shown.

use std::collections::BTreeMap;

use core::time::Duration;

/// A promise that was broken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant: I1 to I13 of chapter 50, section 6.2.
    pub invariant: &'static str,
    /// When, since the start.
    pub at: Duration,
    /// At which node.
    pub node: usize,
    /// What happened.
    pub what: String,
}

/// Counts of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metrics {
    /// Heights that some honest node has reached.
    pub heights: u64,
    /// Sum of the rounds of all decisions, one per height.
    pub rounds: u64,
    /// Highest round of a decision.
    pub max_round: u64,
    /// Messages sent between nodes, by kind.
    pub messages: BTreeMap<&'static str, u64>,
    /// Their bytes.
    pub bytes: u64,
    /// Steps of all engines.
    pub steps: u64,
    /// Syncs of honest nodes' logs.
    pub syncs: u64,
    /// Restarts after a crash.
    pub restarts: u64,
    /// Pieces of evidence reported.
    pub evidence: u64,
    /// Messages that engines did not use, by rule.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Rules that fired, and how often.
    pub rules: BTreeMap<&'static str, u64>,
    /// From the settling of the network to the next decision.
    pub recovery: Option<Duration>,
    /// Longest time between two decisions of successive heights after the network settled.
    pub longest_gap: Duration,
    /// Simulated time.
    pub elapsed: Duration,
}

/// The outcome of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// A digest of everything that happened: equal for equal runs, on every platform.
    pub digest: u64,
    /// Whether every honest node has reached the wanted height.
    pub finished: bool,
    /// Broken promises.
    pub violations: Vec<Violation>,
    /// Counts.
    pub metrics: Metrics,
}

impl Report {
    /// Whether every promise was kept and the run has finished.
    pub const fn is_good(&self) -> bool {
        self.finished && self.violations.is_empty()
    }
}
