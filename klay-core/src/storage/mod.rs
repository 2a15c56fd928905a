//! The key-value store behind a chain: a trait, and memory, sled and redb behind it.

use std::fmt::Debug;

/// Failure of a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The store's own error.
    #[error("store: {0}")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored value does not decode.
    #[error("stored {what} does not decode: {source}")]
    Corrupt {
        /// What was read.
        what: &'static str,
        /// Why it does not decode.
        source: crate::DecodeError,
    },
}

/// A key space. The number is part of the format on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Table {
    /// Single values: format version, head, chain config.
    Meta = 0,
    /// Block number (8 bytes, big endian) to header RLP.
    Headers = 1,
    /// Block number to body RLP.
    Bodies = 2,
    /// Block number to receipts in storage form.
    Receipts = 3,
    /// Block hash to number.
    BlockNumbers = 4,
    /// Transaction hash to block number and index.
    TxIndex = 5,
    /// Sender transaction hash to transaction hash.
    SenderTxIndex = 6,
    /// Trie node hash to node.
    Nodes = 7,
    /// Code hash to code.
    Code = 8,
    /// Consensus: gate and log records.
    Consensus = 9,
}

/// Writes that become visible together or not at all.
#[derive(Debug, Clone, Default)]
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
}

/// An ordered store of byte strings with atomic batches.
pub trait KeyValue: Debug + Send + Sync + 'static {
    /// The value at `key`.
    ///
    /// # Errors
    /// If the store fails.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;
    /// Applies all of `batch` or nothing. Not necessarily durable when it returns: see [`Self::sync`].
    ///
    /// # Errors
    /// If the store fails.
    fn write(&self, batch: Batch) -> Result<(), StorageError>;
    /// Returns when everything written before survives power loss.
    ///
    /// # Errors
    /// If the store fails.
    fn sync(&self) -> Result<(), StorageError>;
}
