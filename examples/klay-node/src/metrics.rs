//! Counters of a node's work.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The present value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the node has done since it started.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Transactions whose signatures were recovered. Each is recovered once per process, so that this equals the
    /// number of different transactions that arrived with a sane encoding; only one that the pool refused for now is
    /// recovered again if it is offered again.
    pub recoveries: Counter,
    /// Raw transactions offered.
    pub offered: Counter,
    /// Transactions refused by decoding, recovery or the pool.
    pub refused: Counter,
    /// Transactions committed in blocks.
    pub committed: Counter,
    /// Blocks added to the chain.
    pub blocks: Counter,
    /// Rounds that ended without a decision, of blocks that this node decided with others.
    pub round_changes: Counter,
    /// Messages, frames and transactions that were dropped because a queue was full or a peer sent too much.
    pub dropped: Counter,
    /// Pieces of evidence against validators.
    pub evidence: Counter,
    /// Blocks that contradict one in the chain. Anything but 0 is an emergency.
    pub forks: Counter,
}
