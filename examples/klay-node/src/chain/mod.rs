//! The read side of the chain: blocks, receipts, transactions, states, parameters, logs and new heads.

mod block;
mod logs;

use std::sync::Arc;

use klay_core::{B256, ChainConfig, Rules, U256, storage::StorageError};
use tokio::sync::broadcast;

pub use block::{BlockReceipts, HeadEvent, SealedBlock, TxLocation};
pub use logs::{LogEntry, LogFilter, LogSearchError};

/// Why the chain could not answer. Absent things are `None`, not errors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The store failed or holds something unreadable.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The state of this block is not kept any more.
    #[error("state of block {number} is not available")]
    NoState {
        /// The block.
        number: u64,
    },
    /// There is no such block.
    #[error("the block does not exist (block number: {number})")]
    NoBlock {
        /// The block.
        number: u64,
    },
}

/// The chain as stored and as it grows. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Chain(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ChainConfig,
    heads: broadcast::Sender<HeadEvent>,
}

impl Chain {
    /// Chain id and forks.
    pub fn config(&self) -> &ChainConfig {
        &self.0.config
    }

    /// Hash of block 0.
    pub fn genesis_hash(&self) -> B256 {
        todo!()
    }

    /// The newest block. Never waits for the store.
    pub fn head(&self) -> Arc<SealedBlock> {
        todo!()
    }

    /// The block at this height.
    ///
    /// # Errors
    /// If the store fails.
    pub fn block_by_number(&self, _number: u64) -> Result<Option<Arc<SealedBlock>>, ChainError> {
        todo!()
    }

    /// The block with this hash.
    ///
    /// # Errors
    /// If the store fails.
    pub fn block_by_hash(&self, _hash: B256) -> Result<Option<Arc<SealedBlock>>, ChainError> {
        todo!()
    }

    /// The height of the block with this hash.
    ///
    /// # Errors
    /// If the store fails.
    pub fn number_of(&self, _hash: B256) -> Result<Option<u64>, ChainError> {
        todo!()
    }

    /// The receipts of the block at this height.
    ///
    /// # Errors
    /// If the store fails.
    pub fn receipts(&self, _number: u64) -> Result<Option<Arc<BlockReceipts>>, ChainError> {
        todo!()
    }

    /// The block that holds the transaction with this hash, and the place in it.
    ///
    /// # Errors
    /// If the store fails.
    pub fn transaction(&self, _hash: B256) -> Result<Option<TxLocation>, ChainError> {
        todo!()
    }

    /// As [`Self::transaction`] by the hash without the fee payer's part.
    ///
    /// # Errors
    /// If the store fails.
    pub fn by_sender_hash(&self, _sender_hash: B256) -> Result<Option<TxLocation>, ChainError> {
        todo!()
    }

    /// The forks active at a height.
    pub fn rules_at(&self, number: u64) -> Rules {
        self.0.config.rules(number)
    }

    /// The base fee that the next block will have; `None` before Magma.
    pub fn next_base_fee(&self) -> Option<U256> {
        todo!()
    }

    /// Every block from now on, after it became durable. A receiver that falls behind by more than the channel's
    /// length sees `Lagged` and reads the rest by number.
    pub fn subscribe_heads(&self) -> broadcast::Receiver<HeadEvent> {
        self.0.heads.subscribe()
    }

    /// Logs of blocks `from..=to` that match, in order.
    ///
    /// # Errors
    /// If there are more than `limit`, the deadline passes, or the store fails.
    pub fn logs(&self, _filter: &LogFilter, _from: u64, _to: u64, _limit: usize) -> Result<Vec<LogEntry>, LogSearchError> {
        todo!()
    }
}
