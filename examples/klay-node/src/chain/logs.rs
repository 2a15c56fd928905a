//! Search for logs by address and topics.

use std::time::Instant;

use alloy_primitives::BloomInput;
use klay_core::{Address, B256, Bloom, block::Log};

use super::{BlockReceipts, Chain, ChainError, SealedBlock};

/// Which logs are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Addresses, any of which may have emitted the log; empty: any address.
    pub addresses: Vec<Address>,
    /// For each topic position the accepted values; an empty list accepts any.
    pub topics: Vec<Vec<B256>>,
    /// When to give up.
    pub deadline: Option<Instant>,
}

impl LogFilter {
    /// Whether `log` is wanted. A log with fewer topics than positions is not.
    pub fn matches(&self, log: &Log) -> bool {
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.len() <= log.topics().len()
            && self.topics.iter().zip(log.topics()).all(|(wanted, topic)| wanted.is_empty() || wanted.contains(topic))
    }

    /// Whether a block or receipt with this bloom may hold wanted logs.
    pub fn may_match(&self, bloom: &Bloom) -> bool {
        self.blooms().may_match(bloom)
    }

    fn blooms(&self) -> Blooms {
        let of = |bytes: &[u8]| Bloom::from(BloomInput::Raw(bytes));
        let mut groups = vec![self.addresses.iter().map(|address| of(address.as_slice())).collect()];
        groups.extend(self.topics.iter().map(|topics| topics.iter().map(|topic| of(topic.as_slice())).collect()));
        Blooms(groups)
    }
}

/// A filter in the form in which many blooms are asked: of each group that is not empty, one must be contained.
struct Blooms(Vec<Vec<Bloom>>);

impl Blooms {
    fn may_match(&self, bloom: &Bloom) -> bool {
        self.0.iter().all(|group| group.is_empty() || group.iter().any(|item| bloom.contains(item)))
    }
}

/// A log with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The log.
    pub log: Log,
    /// Height of its block.
    pub block_number: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Hash of its transaction.
    pub tx_hash: B256,
    /// Place of its transaction in the block.
    pub tx_index: u64,
    /// Place of the log in the block.
    pub log_index: u64,
}

/// Why a search ended without an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogSearchError {
    /// More logs than allowed.
    #[error("query returned more than {limit} results")]
    TooMany {
        /// Most logs in an answer.
        limit: usize,
    },
    /// The deadline passed.
    #[error("query timeout exceeded")]
    Timeout,
    /// The chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl SealedBlock {
    /// The logs of this block that `filter` wants, in order; `receipts` are the block's.
    pub fn logs(&self, receipts: &BlockReceipts, filter: &LogFilter) -> Vec<LogEntry> {
        let mut found = Vec::new();
        let mut log_index = 0;
        for (tx_index, receipt) in receipts.receipts.iter().enumerate() {
            for log in &receipt.logs {
                if filter.matches(log) {
                    found.push(LogEntry {
                        log: log.clone(),
                        block_number: self.number(),
                        block_hash: self.hash,
                        tx_hash: receipt.tx_hash,
                        tx_index: tx_index as u64,
                        log_index,
                    });
                }
                log_index += 1;
            }
        }
        found
    }
}

impl Chain {
    /// Logs of blocks `from..=to` that match, in order. Blocks beyond the head are left out.
    ///
    /// # Errors
    /// If there are more than `limit`, the deadline passes, or the store fails.
    pub fn logs(&self, filter: &LogFilter, from: u64, to: u64, limit: usize) -> Result<Vec<LogEntry>, LogSearchError> {
        let blooms = filter.blooms();
        let mut found = Vec::new();
        for number in from..=to.min(self.head().number()) {
            if filter.deadline.is_some_and(|deadline| Instant::now() > deadline) {
                return Err(LogSearchError::Timeout);
            }
            if !self.bloom(number)?.is_some_and(|bloom| !bloom.is_zero() && blooms.may_match(&bloom)) {
                continue;
            }
            let (Some(block), Some(receipts)) = (self.block_by_number(number)?, self.receipts(number)?) else {
                continue;
            };
            found.extend(block.logs(&receipts, filter));
            if found.len() > limit {
                return Err(LogSearchError::TooMany { limit });
            }
        }
        Ok(found)
    }

    /// The bloom of a block, without reading its body.
    fn bloom(&self, number: u64) -> Result<Option<Bloom>, ChainError> {
        if let Some(block) = self.0.recent.read().block(number) {
            return Ok(Some(block.header.logs_bloom));
        }
        Ok(self.0.store.header(number)?.map(|header| header.logs_bloom))
    }
}
