//! The key-value store behind a chain: a trait, and memory, sled and redb behind it.
//!
//! | Store | Feature | For |
//! |---|---|---|
//! | [`Memory`] | | tests, development chains that are thrown away |
//! | `Sled` | `sled` | a node's default |
//! | `Redb` | `redb` | the same with another trade: slower writes, quick start, no background work |
//!
//! [`ChainStore`] keeps blocks and what is asked about them in any of these; trie nodes are written by
//! [`Trie::commit`](crate::trie::Trie::commit).
//!
//! # Layout
//!
//! | Table | Key | Value |
//! |---|---|---|
//! | [`Meta`](Table::Meta) | a name in ASCII | see [`chain`] |
//! | [`Headers`](Table::Headers) | block number | block hash (32 bytes), header RLP |
//! | [`Bodies`](Table::Bodies) | block number | body, the caller's encoding |
//! | [`Receipts`](Table::Receipts) | block number | the caller's encoding; [`receipts`] has a compact one |
//! | [`BlockNumbers`](Table::BlockNumbers) | block hash | block number |
//! | [`TxIndex`](Table::TxIndex) | see [`tx_index`] | see [`tx_index`] |
//! | [`TxHashes`](Table::TxHashes) | block number | see [`tx_index`] |
//! | [`Nodes`](Table::Nodes) | node hash | record of a trie node and what is packed with it: see [`trie`](crate::trie#persistence) |
//! | [`Code`](Table::Code) | code hash | code |
//! | [`Consensus`](Table::Consensus) | the node's own | the node's own: evidence against validators |
//! | [`Preimages`](Table::Preimages) | see [`preimages`] | addresses and storage slots: see [`preimages`] |
//!
//! Numbers are 8 bytes, big endian, so that the order of keys is the order of blocks.

pub mod buckets;
pub mod chain;
mod memory;
pub mod preimages;
pub mod receipts;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "sled")]
mod sled;
pub mod tx_index;

#[cfg(feature = "redb")]
pub use self::redb::Redb;
#[cfg(feature = "sled")]
pub use self::sled::Sled;
pub use chain::{BlockPointer, ChainStore, NewBlock};
pub use memory::Memory;
pub use preimages::PreimageStore;
pub use tx_index::TxLocation;

use crate::DecodeError;
use core::{fmt::Debug, ops::ControlFlow};
use std::sync::Arc;

/// Failure of a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The store could not do its work: no space, no permission, a lock held elsewhere. Nothing says that what is
    /// stored is wrong; the same call may succeed later, if the store is not [`Failed`](Self::Failed) then.
    #[error("store: {0}")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store found its own files damaged.
    #[error("store is damaged: {0}")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A write or a sync has failed before, so that nobody knows what is stored of what was written last. The store can
    /// be read, and takes nothing until it is opened again.
    #[error("store takes no more writes, as one of them failed: start again to find out what is stored")]
    Failed,
    /// The last block is not whole, as its writing failed or the disk lost a part of it.
    #[error(
        "the last block, {number}, is not whole: {source}; import the blocks again, or fetch them into a new folder"
    )]
    HeadNotWhole {
        /// The block.
        number: u64,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// A stored value does not decode.
    #[error("stored {what} does not decode: {source}")]
    Corrupt {
        /// What was read.
        what: &'static str,
        /// Why it does not decode.
        source: DecodeError,
    },
    /// A value that another one refers to is not there.
    #[error("stored {what} of block {number} is missing")]
    Missing {
        /// What was looked for.
        what: &'static str,
        /// The block it belongs to.
        number: u64,
    },
    /// The data is of another version of this format.
    #[error("store has format {got}, this program reads {expected}")]
    Format {
        /// Version that is written and read.
        expected: u64,
        /// Version found.
        got: u64,
    },
    /// A block that does not follow the last one.
    #[error("block {got} cannot be appended where {expected} is next")]
    NotNext {
        /// Number of the next block.
        expected: u64,
        /// Number of the block given.
        got: u64,
    },
}

impl StorageError {
    /// What this failure says that came from reading the last block: that [the block is not whole](Self::HeadNotWhole),
    /// unless the store could not be read at all.
    pub fn of_head(self, number: u64) -> Self {
        match self {
            Self::Missing { .. } | Self::Corrupt { .. } | Self::Damaged(_) => {
                Self::HeadNotWhole { number, source: Box::new(self) }
            }
            other => other,
        }
    }

    /// Whether trying again may help; otherwise the store has failed, or what is stored, or what was asked, is wrong.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Backend(_))
    }
}

/// A key space. The number is part of the format on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Table {
    /// Single values: format version, head, persisted state, chain config.
    Meta = 0,
    /// Block number (8 bytes, big endian) to block hash and header RLP.
    Headers = 1,
    /// Block number to body.
    Bodies = 2,
    /// Block number to receipts.
    Receipts = 3,
    /// Block hash to number.
    BlockNumbers = 4,
    /// Transaction hashes of many blocks to where they are. See [`tx_index`].
    TxIndex = 5,
    /// Block number to the hashes of its transactions. See [`tx_index`].
    TxHashes = 6,
    /// Trie node hash to the record of the node.
    Nodes = 7,
    /// Code hash to code.
    Code = 8,
    /// What a node keeps about consensus: evidence against validators.
    Consensus = 9,
    /// The addresses and storage slots behind hashes. Not needed to go on; for those who read the state. See
    /// [`preimages`].
    Preimages = 10,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 11] = [
        Self::Meta,
        Self::Headers,
        Self::Bodies,
        Self::Receipts,
        Self::BlockNumbers,
        Self::TxIndex,
        Self::TxHashes,
        Self::Nodes,
        Self::Code,
        Self::Consensus,
        Self::Preimages,
    ];
}

/// Writes that become visible together or not at all. Of two writes to one key the later counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Table, key and new value; `None` deletes.
    pub writes: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets `key`.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes.push((table, key.into(), Some(value.into())));
    }

    /// Removes `key`.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.writes.push((table, key.into(), None));
    }

    /// Whether there is nothing to write.
    pub const fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// Called with a key and its value; says whether to go on.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// An ordered store of byte strings with atomic batches.
///
/// Batches become durable in the order in which they were written: after power loss or a kill, what is there is a
/// prefix of them that holds at least everything before the last [`sync`](Self::sync).
pub trait KeyValue: Debug + Send + Sync + 'static {
    /// The value at `key`.
    ///
    /// # Errors
    /// If the store fails.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// Visits the entries of `table` from `start` on, in the byte order of keys, until `visit` breaks. What is written
    /// meanwhile may or may not be seen; `visit` must not write.
    ///
    /// # Errors
    /// If the store fails.
    fn scan(&self, table: Table, start: &[u8], visit: &mut Visit<'_>) -> Result<(), StorageError>;

    /// Applies all of `batch` or nothing. Not necessarily durable when it returns: see [`Self::sync`].
    ///
    /// # Errors
    /// If the store fails. Then nothing of the batch is visible, or the store is [failed](StorageError::Failed).
    fn write(&self, batch: Batch) -> Result<(), StorageError>;

    /// Returns when everything written before survives power loss.
    ///
    /// # Errors
    /// If the store fails. What was written since the last sync may be lost then.
    fn sync(&self) -> Result<(), StorageError>;

    /// Whether it takes no more writes: see [`StorageError::Failed`].
    fn has_failed(&self) -> bool {
        false
    }
}

impl<S: KeyValue + ?Sized> KeyValue for Arc<S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        (**self).get(table, key)
    }

    fn scan(&self, table: Table, start: &[u8], visit: &mut Visit<'_>) -> Result<(), StorageError> {
        (**self).scan(table, start, visit)
    }

    fn write(&self, batch: Batch) -> Result<(), StorageError> {
        (**self).write(batch)
    }

    fn sync(&self) -> Result<(), StorageError> {
        (**self).sync()
    }

    fn has_failed(&self) -> bool {
        (**self).has_failed()
    }
}
