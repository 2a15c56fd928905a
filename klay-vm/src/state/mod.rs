//! The world at one state root, and what a block makes of it.

mod cache;
mod pending;
mod snapshot;
mod source;
mod world;

use klay_core::{B256, DecodeError, storage::StorageError, trie::TrieError};
use revm::database_interface::DBErrorMarker;

pub use snapshot::{Accounts, State, StateCommit, Words};
pub use source::AccountSource;
pub(crate) use world::Finished;
pub use world::{Preimages, World, WorldError};

/// Why the state cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A trie node is missing or corrupt.
    #[error(transparent)]
    Trie(#[from] TrieError),
    /// A leaf is not the value that it should be.
    #[error("stored {what} does not decode: {source}")]
    Corrupt {
        /// What was read.
        what: &'static str,
        /// Why it does not decode.
        source: DecodeError,
    },
    /// A code that an account names is not there.
    #[error("code {0} is missing")]
    MissingCode(B256),
    /// The machine stopped for a reason of its own.
    #[error("machine: {0}")]
    Machine(String),
}

impl DBErrorMarker for WorldError {}
