//! Search for logs by address and topics.

use std::time::Instant;

use klay_core::{Address, B256, Bloom, block::Log};

use super::ChainError;

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
    pub fn may_match(&self, _bloom: &Bloom) -> bool {
        todo!()
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
