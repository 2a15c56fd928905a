//! What a run has shown.

use std::collections::BTreeMap;

use core::time::Duration;

/// A promise that was broken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant: I1 to I14 of chapter 50, section 6.2.
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
    /// Sum of the failed attempts before all decisions, one per height.
    pub rounds: u64,
    /// Most failed attempts before a decision.
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
    /// Messages that did not decode.
    pub malformed: u64,
    /// Messages that engines did not use, by rule.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Rules that fired, and how often.
    pub rules: BTreeMap<&'static str, u64>,
    /// From the making of a value to its decision, summed over all nodes that decided it.
    pub deciding: Duration,
    /// How many decisions that sum counts.
    pub decisions: u64,
    /// From the making of a value to the making of the next one, summed.
    pub following: Duration,
    /// How many values that sum counts.
    pub followed: u64,
    /// From the settling of the network to the next decision.
    pub recovery: Option<Duration>,
    /// Longest time between two decisions of successive heights after everything had settled.
    pub longest_gap: Duration,
    /// Simulated time.
    pub elapsed: Duration,
}

impl Metrics {
    /// All messages.
    pub fn sent(&self) -> u64 {
        self.messages.values().sum()
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        self.heights += other.heights;
        self.rounds += other.rounds;
        self.max_round = self.max_round.max(other.max_round);
        for (all, more) in [
            (&mut self.messages, &other.messages),
            (&mut self.rejected, &other.rejected),
            (&mut self.rules, &other.rules),
        ] {
            for (name, count) in more {
                *all.entry(name).or_default() += count;
            }
        }
        self.bytes += other.bytes;
        self.steps += other.steps;
        self.syncs += other.syncs;
        self.restarts += other.restarts;
        self.evidence += other.evidence;
        self.malformed += other.malformed;
        self.deciding += other.deciding;
        self.decisions += other.decisions;
        self.following += other.following;
        self.followed += other.followed;
        self.recovery = self.recovery.max(other.recovery);
        self.longest_gap = self.longest_gap.max(other.longest_gap);
        self.elapsed += other.elapsed;
    }
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
    /// Broken promises that the protocol is known not to keep.
    pub known: Vec<Violation>,
    /// Counts.
    pub metrics: Metrics,
}

impl Report {
    /// Whether every promise was kept and the run has finished.
    pub const fn is_good(&self) -> bool {
        self.finished && self.violations.is_empty() && self.known.is_empty()
    }
}
