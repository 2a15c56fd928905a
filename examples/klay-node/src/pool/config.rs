//! Limits of the pool.

use std::time::Duration;

/// How much may wait, and for how long.
///
/// A pool holds no more than the limits for pending and queued transactions allow together, in number and in bytes. What
/// arrives is not queued beyond the limits for queued ones; what was executable and is so no more stays within the sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// Executable transactions in total.
    pub max_pending: usize,
    /// Transactions that wait for a nonce or a lower base fee, in total.
    pub max_queued: usize,
    /// Bytes of executable transactions in total: as they stand in blocks, with the blobs that they carry. In memory a
    /// long transaction takes about twice that.
    pub max_pending_bytes: usize,
    /// Bytes of transactions that wait for a nonce or a lower base fee, in total.
    pub max_queued_bytes: usize,
    /// [`Self::max_queued`] for one account, unless submitted to this node itself.
    pub account_queued: usize,
    /// How long an account's queued transactions wait after the last one arrived.
    pub lifetime: Duration,
    /// Whether chain data anchoring transactions may be submitted to this node.
    pub allow_anchoring: bool,
    /// Executable transactions at which the way in closes: raw ones are refused with `txpool is full` before anything is
    /// recovered. Divided by what the chain executes in a second this is the longest wait for a block, also under a load
    /// that is too high.
    pub max_backlog: usize,
    /// Transactions between their arrival and their admission; more are refused with `txpool is full`.
    pub max_in_flight: usize,
}

impl Default for PoolConfig {
    /// Room for a flood: what a chain under load test or a development chain needs.
    fn default() -> Self {
        Self {
            max_pending: 65_536,
            max_queued: 65_536,
            max_pending_bytes: 256 << 20,
            max_queued_bytes: 64 << 20,
            account_queued: 16_384,
            lifetime: Duration::from_secs(300),
            allow_anchoring: false,
            max_backlog: 65_536,
            max_in_flight: 16_384,
        }
    }
}

impl PoolConfig {
    /// What a node of a network takes: some seconds of work for all, and a flood of 20,000 at once.
    pub fn network() -> Self {
        Self { max_backlog: 24_576, allow_anchoring: true, ..Self::default() }
    }

    /// The reference client's limits (spec 10, section 6.3).
    pub fn reference() -> Self {
        Self { max_pending: 4_096, max_queued: 1_024, account_queued: 64, ..Self::default() }
    }
}
