//! The chain: blocks, receipts, transactions, states, parameters, logs and new heads to read, and one place that
//! appends.
//!
//! The newest blocks and the states behind them are in memory. A block that comes alone is in the store, durable, before
//! it can be seen here. Of blocks that come in numbers (an import, a node that catches up) some are seen before the sync
//! that makes them durable, and power loss may take them back; they are announced after it, as all are. A state is written
//! every [`ChainOptions::persist_every`] blocks, or at once where little has changed, and the blocks above the last
//! written state are executed again when the chain is opened.

mod append;
mod block;
mod context;
mod council;
mod logs;
mod names;
mod open;
mod persist;
mod recent;
mod stored;
mod supply;

use std::sync::Arc;

use arc_swap::ArcSwap;
use klay_core::{
    B256, ChainConfig, Rules, U256,
    block::Header,
    governance::GovParams,
    storage::{ChainStore, StorageError, Table},
};
use klay_vm::{State, StateError};
use parking_lot::{Mutex, RwLock};
use tokio::sync::broadcast;

pub use block::{BlockReceipts, HeadEvent, SealedBlock, TxLocation};
pub use logs::{LogEntry, LogFilter, LogSearchError};
pub use open::OpenError;

use context::Params;
use council::Councils;
use recent::{Loaded, Recent};
use supply::SupplyAt;

pub(crate) use supply::{CHECKPOINT, Supply};

/// Why the chain could not answer. Absent things are `None`, not errors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The store failed or holds something unreadable.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
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
    /// A signature of a stored transaction does not recover.
    #[error("stored transaction {index} of block {number} is damaged")]
    BadTransaction {
        /// The block.
        number: u64,
        /// The transaction's place.
        index: usize,
    },
}

/// How much a chain keeps, and when it writes states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainOptions {
    /// States are written at least every so many blocks; 1 writes each.
    pub persist_every: u64,
    /// A state is written at once if no more accounts than this have changed since the last one that was written.
    pub persist_small: usize,
    /// A state is written with its block if the block has changed no more accounts than this, however much is not
    /// written before it.
    pub persist_block: usize,
    /// A state is written if more accounts than this have changed since the last one: bounds what is held in memory and
    /// what is executed again after a crash.
    pub persist_changed: usize,
    /// Newest blocks kept in memory with their states, if they are not large.
    pub recent_blocks: usize,
    /// Most transactions in the newest blocks kept in memory (the newest block is always kept), and in those kept after
    /// they were read from the store.
    pub recent_transactions: usize,
    /// Nodes of the account trie in memory from which on those that were not used lately are dropped.
    pub resident_nodes: usize,
    /// Whether addresses and slots are kept under their hashes, so that a state can be shown with names. Those of a
    /// genesis with more than 100,000 accounts are not.
    pub preimages: bool,
}

impl Default for ChainOptions {
    fn default() -> Self {
        Self {
            persist_every: 128,
            persist_small: 64,
            persist_block: 0,
            persist_changed: 1_000_000,
            recent_blocks: 128,
            recent_transactions: 20_000,
            resident_nodes: 1_000_000,
            preimages: true,
        }
    }
}

impl ChainOptions {
    /// Writes the state of every block, so that all of them stay readable.
    pub fn archive() -> Self {
        Self { persist_every: 1, ..Self::default() }
    }

    /// For importing many blocks: writes the state of every block but those that change more than 1,000 accounts.
    pub fn import() -> Self {
        Self { persist_block: 1_000, persist_changed: 200_000, recent_transactions: 8_000, ..Self::default() }
    }
}

/// The chain as stored and as it grows. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Chain(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ChainConfig,
    options: ChainOptions,
    store: ChainStore,
    genesis_hash: B256,
    head: ArcSwap<Head>,
    params: RwLock<Params>,
    councils: Councils,
    recent: RwLock<Recent>,
    loaded: Mutex<Loaded>,
    unwritten: Mutex<persist::Unwritten>,
    writing: persist::Stopwatch,
    supply: Mutex<Option<SupplyAt>>,
    names: Mutex<names::Names>,
    heads: broadcast::Sender<HeadEvent>,
}

/// The newest block, with everything about it.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) block: Arc<SealedBlock>,
    pub(crate) receipts: Arc<BlockReceipts>,
    pub(crate) state: State,
}

impl From<Head> for HeadEvent {
    fn from(head: Head) -> Self {
        Self { block: head.block, receipts: head.receipts }
    }
}

impl Chain {
    /// Chain id and forks.
    pub fn config(&self) -> &ChainConfig {
        &self.0.config
    }

    /// Hash of block 0.
    pub fn genesis_hash(&self) -> B256 {
        self.0.genesis_hash
    }

    /// The newest block. Never waits for the store.
    pub fn head(&self) -> Arc<SealedBlock> {
        Arc::clone(&self.0.head.load().block)
    }

    /// The state behind the newest block, with the height of that block. Never waits for the store.
    pub fn head_state(&self) -> (u64, State) {
        let head = self.0.head.load();
        (head.block.number(), head.state.clone())
    }

    /// The block at this height.
    ///
    /// # Errors
    /// If the store fails.
    pub fn block_by_number(&self, number: u64) -> Result<Option<Arc<SealedBlock>>, ChainError> {
        if let Some(block) = self.0.recent.read().block(number) {
            return Ok(Some(block));
        }
        if number > self.head().number() {
            // Perhaps in the store already, but not announced.
            return Ok(None);
        }
        if let Some(block) = self.0.loaded.lock().blocks.get(number) {
            return Ok(Some(block));
        }
        let block = self.0.load_block(number)?;
        if let Some(block) = &block {
            self.0.loaded.lock().blocks.keep(number, block.transactions.len(), Arc::clone(block));
        }
        Ok(block)
    }

    /// The block with this hash.
    ///
    /// # Errors
    /// If the store fails.
    pub fn block_by_hash(&self, hash: B256) -> Result<Option<Arc<SealedBlock>>, ChainError> {
        match self.number_of(hash)? {
            Some(number) => self.block_by_number(number),
            None => Ok(None),
        }
    }

    /// The height of the block with this hash.
    ///
    /// # Errors
    /// If the store fails.
    pub fn number_of(&self, hash: B256) -> Result<Option<u64>, ChainError> {
        let head = self.0.head.load();
        if head.block.hash == hash {
            return Ok(Some(head.block.number()));
        }
        let number = self.0.store.number(&hash)?;
        // A block is in the store a moment before it is announced.
        Ok(number.filter(|number| *number <= head.block.number()))
    }

    /// The hash of the block at this height.
    ///
    /// # Errors
    /// If the store fails.
    pub fn hash_of(&self, number: u64) -> Result<Option<B256>, ChainError> {
        if let Some(block) = self.0.recent.read().block(number) {
            return Ok(Some(block.hash));
        }
        if number > self.head().number() {
            return Ok(None);
        }
        Ok(self.0.store.hash(number)?)
    }

    /// The header of the block at this height, without reading its body.
    ///
    /// # Errors
    /// If there is no such block, or the store fails.
    pub fn header(&self, number: u64) -> Result<Header, ChainError> {
        if let Some(block) = self.0.recent.read().block(number) {
            return Ok(block.header.clone());
        }
        self.0.store.header(number)?.filter(|_| number <= self.head().number()).ok_or(ChainError::NoBlock { number })
    }

    /// The RLP of the block at this height, with its seals and without blobs.
    ///
    /// # Errors
    /// If the store fails.
    pub fn block_rlp(&self, number: u64) -> Result<Option<Vec<u8>>, ChainError> {
        if number > self.head().number() {
            return Ok(None);
        }
        let Some(header) = self.0.store.header_bytes(number)? else { return Ok(None) };
        let body = self.0.store.body_bytes(number)?.ok_or(StorageError::Missing { what: "body", number })?;
        Ok(Some(crate::export::block_rlp(&header, &body)?))
    }

    /// The receipts of the block at this height.
    ///
    /// # Errors
    /// If the store fails.
    pub fn receipts(&self, number: u64) -> Result<Option<Arc<BlockReceipts>>, ChainError> {
        if let Some(receipts) = self.0.recent.read().receipts(number) {
            return Ok(Some(receipts));
        }
        if number > self.head().number() {
            return Ok(None);
        }
        if let Some(receipts) = self.0.loaded.lock().receipts.get(number) {
            return Ok(Some(receipts));
        }
        let receipts = self.0.load_receipts(number)?.map(Arc::new);
        if let Some(receipts) = &receipts {
            self.0.loaded.lock().receipts.keep(number, receipts.receipts.len(), Arc::clone(receipts));
        }
        Ok(receipts)
    }

    /// The block that holds the transaction with this hash, and the place in it.
    ///
    /// # Errors
    /// If the store fails.
    pub fn transaction(&self, hash: B256) -> Result<Option<TxLocation>, ChainError> {
        let found = self.0.store.tx_location(&hash)?;
        self.located(found)
    }

    /// As [`Self::transaction`] by the hash without the fee payer's part.
    ///
    /// # Errors
    /// If the store fails.
    pub fn by_sender_hash(&self, sender_hash: B256) -> Result<Option<TxLocation>, ChainError> {
        let found = self.0.store.sender_tx_location(&sender_hash)?;
        self.located(found)
    }

    fn located(&self, found: Option<klay_core::storage::TxLocation>) -> Result<Option<TxLocation>, ChainError> {
        let Some(found) = found.filter(|found| found.number <= self.head().number()) else { return Ok(None) };
        let index = usize::try_from(found.index).unwrap_or(usize::MAX);
        Ok(self.block_by_number(found.number)?.map(|block| TxLocation { block, index }))
    }

    /// The state behind the block at this height.
    ///
    /// # Errors
    /// If there is no such block, or its state is not kept.
    pub fn state_at(&self, number: u64) -> Result<State, ChainError> {
        let head = self.0.head.load();
        if head.block.number() == number {
            return Ok(head.state.clone());
        }
        if let Some(state) = self.0.recent.read().state(number) {
            return Ok(state);
        }
        let header = self.0.store.header(number)?.filter(|_| number < head.block.number());
        let root = header.ok_or(ChainError::NoBlock { number })?.state_root;
        let is_stored = self.0.store.store().get(Table::Nodes, root.as_slice())?.is_some();
        if is_stored { Ok(head.state.at(root)) } else { Err(ChainError::NoState { number }) }
    }

    /// The address or the storage slot with this hash, if the chain has met it and keeps such.
    ///
    /// # Errors
    /// If the store fails.
    pub fn preimage(&self, hash: B256) -> Result<Option<Vec<u8>>, ChainError> {
        Ok(self.0.names.lock().find(&hash)?)
    }

    /// The forks active at a height.
    pub fn rules_at(&self, number: u64) -> Rules {
        self.0.config.rules(number)
    }

    /// The governance parameters effective at a height. Where the state fails under a governance contract, those that
    /// headers ratified; see [`Self::governance_at`].
    pub fn params_at(&self, number: u64) -> Arc<GovParams> {
        self.governance_at(number).unwrap_or_else(|error| {
            tracing::error!(%error, number, "parameters of the contract cannot be read");
            self.0.params.read().at(number)
        })
    }

    /// The base fee that the next block will have, in peb; `None` before Magma.
    pub fn next_base_fee(&self) -> Option<U256> {
        self.base_fee_after(&self.0.head.load().block.header)
    }

    /// Every block from now on, after it became durable. A receiver that falls behind by more than the channel's
    /// length sees `Lagged` and reads the rest by number.
    pub fn subscribe_heads(&self) -> broadcast::Receiver<HeadEvent> {
        self.0.heads.subscribe()
    }
}
