//! The Merkle Patricia trie of the state and of contract storage, kept in memory over a store of nodes.
//!
//! ```
//! use klay_core::{keccak256, trie::Trie};
//!
//! let mut changes = vec![(keccak256("a"), Some("one")), (keccak256("b"), Some("two"))];
//! changes.sort_unstable();
//! let before = Trie::new();
//! let after = before.update(&(), &changes)?;
//! assert_eq!(after.get(&(), &keccak256("a"))?.as_deref(), Some(&b"one"[..]));
//! assert_eq!(before.get(&(), &keccak256("a"))?, None); // the trie before the change is still there
//!
//! let back = after.update(&(), &[(keccak256("a"), None::<&str>)])?.update(&(), &[(keccak256("b"), None::<&str>)])?;
//! assert_eq!(back.root(), before.root());
//! # Ok::<_, klay_core::trie::TrieError>(())
//! ```
//!
//! # Keys and nodes
//!
//! A key has 32 bytes: the hash of an address or of a storage slot, made by the caller. A value is a non-empty byte
//! string; writing an empty one deletes. Nodes are those of Ethereum:
//!
//! | Node | Encoding |
//! |---|---|
//! | leaf | `rlp([hex-prefix of the rest of the key, value])` |
//! | extension | `rlp([hex-prefix of the shared nibbles, child])` |
//! | branch | `rlp([child 0, .., child 15, ""])` |
//!
//! A child is the Keccak-256 of its encoding, or the encoding itself where that is shorter than 32 bytes; a missing
//! child is the empty string. All keys have one length, so a branch never has a value: a node with one is refused.
//!
//! # Sharing
//!
//! A [`Trie`] is an immutable value and cheap to clone. [`Trie::update`] makes a new one that shares every untouched
//! subtree, so the states of the last N blocks are N values, and reading an old one costs nothing extra. A child that
//! is only in the store is known by its hash and read when a key leads through it; it then stays in memory, for every
//! trie that shares it. [`Trie::unload`] gives that memory back. Hashes are computed by [`Trie::root`],
//! each once; [`Trie::update_on`] makes and hashes a new trie on several threads.
//!
//! # Persistence
//!
//! 1. [`Trie::commit`] adds what the store does not have to a [`Batch`](crate::storage::Batch). Nodes that came and went
//!    between two commits are never written, so committing every K blocks costs less than K commits.
//! 2. The caller writes the batch, with whatever must change together with it (the pointer to the persisted state).
//! 3. [`Commit::confirm`] notes in the nodes that the store has them. Without it, as after a failed write, they count
//!    as missing and the next commit adds them again.
//!
//! A node is marked only after everything below it. Nodes are stored under their hash in records: the encoding of a node
//! and, behind that of a branch, its leaves and its smallest branches, which have no key of their own; a key costs a
//! store more than some hundred bytes. Records are never changed and, being shared by states, never deleted; writing one
//! twice does no harm. Account trie and storage tries share the table.
//!
//! # Traps
//!
//! - Removing a key may leave a branch with one child, which is then merged with it; that child has to be read even
//!   when nothing else is asked of it. A proof of the removed key alone is not enough to update a partial trie.
//! - The reference client's "extended hashes" of 39 bytes exist in its database only and are not read here.
//!
//! Source: spec 30, sections 3.4 and 4; spec 20, section 1.3.

mod commit;
mod encode;
mod iter;
mod nibbles;
mod node;
mod parallel;
mod proof;
mod range;
mod record;
mod sorted;
mod tree;
mod update;

pub use commit::Commit;
pub use iter::{Entry, Iter};
pub use proof::{ProofError, verify_proof};
pub use range::{RangeProof, verify_range};
pub use sorted::ordered_root;
pub use tree::Trie;

use crate::{
    DecodeError,
    storage::{KeyValue, StorageError, Table},
};
use alloy_primitives::{B256, b256};

/// The root of a trie without keys: the hash of the empty string's encoding.
pub const EMPTY_ROOT: B256 = b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");

/// Where nodes are read from.
///
/// Every [`KeyValue`] is one, with its table [`Table::Nodes`]; `()` is one without nodes, for a trie that is wholly in
/// memory. A store is trusted: what it returns for a hash is not hashed again, but nodes packed with it are.
pub trait NodeStore: Sync {
    /// The record of the node with this hash.
    ///
    /// # Errors
    /// If the store fails.
    fn node(&self, hash: &B256) -> Result<Option<Vec<u8>>, StorageError>;
}

impl<S: KeyValue + ?Sized> NodeStore for S {
    fn node(&self, hash: &B256) -> Result<Option<Vec<u8>>, StorageError> {
        self.get(Table::Nodes, hash.as_slice())
    }
}

impl NodeStore for () {
    fn node(&self, _: &B256) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(None)
    }
}

/// Why a trie could not be read or changed. The trie it was asked of is as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrieError {
    /// The store does not have a node: the state is not there, or not wholly.
    #[error("trie node {hash} at depth {depth} is not in the store")]
    MissingNode {
        /// Hash of the node.
        hash: B256,
        /// Nibbles from the root to it.
        depth: usize,
    },
    /// A node from the store is not one.
    #[error("trie node {hash} does not decode: {source}")]
    CorruptNode {
        /// Hash under which it is stored.
        hash: B256,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Changes that are not sorted by key, or name a key twice.
    #[error("change {index} is not above its predecessor")]
    Unsorted {
        /// Position of the first change that is out of order.
        index: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
