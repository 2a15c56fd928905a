//! The world at one state root.

use std::sync::Arc;

use klay_core::{
    Address, B256, Bytes, U256,
    storage::{Batch, KeyValue, StorageError},
};

/// Why the state cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A code that an account names is not there.
    #[error("code {0} is missing")]
    MissingCode(B256),
}

/// All accounts at one state root: immutable, shared, cheap to clone.
#[derive(Debug, Clone)]
pub struct State {
    store: Arc<dyn KeyValue>,
    root: B256,
}

impl State {
    /// The state with `root` in `store`. The root need not be there until something is read.
    ///
    /// # Errors
    /// If the store fails.
    pub fn open(store: Arc<dyn KeyValue>, root: B256) -> Result<Self, StateError> {
        Ok(Self { store, root })
    }

    /// The root.
    pub const fn root(&self) -> B256 {
        self.root
    }

    /// Whether there is an account at `address`.
    ///
    /// # Errors
    /// If the store fails or holds something that does not decode.
    pub fn exists(&self, _address: Address) -> Result<bool, StateError> {
        todo!()
    }

    /// Number of transactions sent from `address`; 0 for an absent account.
    ///
    /// # Errors
    /// As [`Self::exists`].
    pub fn nonce(&self, _address: Address) -> Result<u64, StateError> {
        todo!()
    }

    /// Balance of `address` in peb; 0 for an absent account.
    ///
    /// # Errors
    /// As [`Self::exists`].
    pub fn balance(&self, _address: Address) -> Result<U256, StateError> {
        todo!()
    }

    /// The code at `address`; empty for an absent account and one without code.
    ///
    /// # Errors
    /// As [`Self::exists`].
    pub fn code(&self, _address: Address) -> Result<Bytes, StateError> {
        todo!()
    }

    /// The word in a storage slot; 0 where nothing was stored.
    ///
    /// # Errors
    /// As [`Self::exists`].
    pub fn storage(&self, _address: Address, _slot: B256) -> Result<U256, StateError> {
        todo!()
    }

    /// Trie nodes from the state root to the account (or to where it is not), root first.
    ///
    /// # Errors
    /// As [`Self::exists`].
    pub fn account_proof(&self, _address: Address) -> Result<Vec<Bytes>, StateError> {
        todo!()
    }

    /// Trie nodes from the account's storage root to the slot, root first; empty without storage.
    ///
    /// # Errors
    /// As [`Self::exists`].
    pub fn storage_proof(&self, _address: Address, _slot: B256) -> Result<Vec<Bytes>, StateError> {
        todo!()
    }

    /// Adds everything that is not stored yet to `batch`.
    ///
    /// # Errors
    /// As [`Self::exists`].
    pub fn commit(&self, _batch: &mut Batch) -> Result<(), StateError> {
        todo!()
    }

    /// The same state without what [`Self::commit`] handed over: call it once that batch is written.
    #[must_use]
    pub fn committed(&self) -> Self {
        todo!()
    }
}
