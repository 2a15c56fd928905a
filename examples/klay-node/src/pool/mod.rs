//! Transactions that wait for a block.

mod error;

use std::{collections::BTreeMap, sync::Arc};

use klay_core::{Address, B256, Bytes};
use tokio::sync::broadcast;

use crate::SharedTx;

pub use error::PoolError;

/// Where a transaction came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Submitted to this node by JSON-RPC or by the node itself.
    Local,
    /// Received from a peer.
    Remote,
}

/// How many transactions wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Executable now: nonces follow the account's without a gap.
    pub pending: usize,
    /// Waiting for a nonce or for a lower base fee.
    pub queued: usize,
}

/// All waiting transactions, by sender and nonce.
#[derive(Debug, Clone, Default)]
pub struct PoolContent {
    /// Executable now.
    pub pending: BTreeMap<Address, BTreeMap<u64, SharedTx>>,
    /// Waiting.
    pub queued: BTreeMap<Address, BTreeMap<u64, SharedTx>>,
}

/// The pool. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct TxPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pending: broadcast::Sender<SharedTx>,
}

impl TxPool {
    /// Admits a recovered transaction and returns its hash.
    ///
    /// # Errors
    /// The first rule that it breaks, in the reference client's order (spec 10, section 6.1).
    pub fn add(&self, _tx: SharedTx, _origin: Origin) -> Result<B256, PoolError> {
        todo!()
    }

    /// Decodes (node form or Ethereum's raw form), recovers and admits each of `raw`, in order; one answer per item.
    ///
    /// Signatures are recovered on all cores, once per process for each hash. When too many are under way the answer
    /// is [`PoolError::Full`].
    pub async fn add_raw_batch(&self, _raw: Vec<Bytes>, _origin: Origin) -> Vec<Result<B256, PoolError>> {
        todo!()
    }

    /// [`Self::add_raw_batch`] for one transaction.
    ///
    /// # Errors
    /// If it does not decode, a signature is invalid, or the pool refuses it.
    pub async fn add_raw(&self, _raw: Bytes, _origin: Origin) -> Result<B256, PoolError> {
        todo!()
    }

    /// The nonce that the next transaction of `address` should have: behind all that are executable now.
    pub fn pending_nonce(&self, _address: Address) -> u64 {
        todo!()
    }

    /// The waiting transaction with this hash.
    pub fn get(&self, _hash: B256) -> Option<SharedTx> {
        todo!()
    }

    /// Whether it waits here.
    pub fn contains(&self, hash: B256) -> bool {
        self.get(hash).is_some()
    }

    /// A copy of the whole pool (walks all of it: for inspection, not for each request).
    pub fn content(&self) -> PoolContent {
        todo!()
    }

    /// Executable transactions in the order in which a block would take them, at most `limit`.
    pub fn pending(&self, _limit: usize) -> Vec<SharedTx> {
        todo!()
    }

    /// How many wait. Constant time.
    pub fn status(&self) -> PoolStatus {
        todo!()
    }

    /// Every transaction that becomes executable from now on.
    pub fn subscribe_pending(&self) -> broadcast::Receiver<SharedTx> {
        self.0.pending.subscribe()
    }
}
