//! Transactions that wait for a block: admission, replacement, limits and order.
//!
//! Nothing here walks all accounts or all transactions, neither for a message nor for a block: totals are running
//! totals, each sender has a queue, and sorted sets name the accounts that an event concerns (see `state`, `ready`).
//!
//! Source: spec 10, section 6; spec 75, section 5.

mod best;
mod blobs;
mod config;
mod entry;
mod error;
mod head;
mod intake;
mod payers;
mod queue;
mod ready;
mod state;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod validate;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use klay_accounts::StateAccount;
use klay_core::{Address, B256, Bytes, crypto::RecoverError, tx::HashedTx};
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, futures::Notified};

use crate::{Fee, SharedTx, metrics::Metrics};

pub use best::Best;
pub use blobs::BlobError;
pub use config::PoolConfig;
pub use error::{PoolError, SignerError};
pub use head::{HeadState, PoolHead};

use entry::Entry;
use intake::Intake;
use state::{Promoted, State};

/// Transactions that became executable and that a slow listener may be behind.
const PROMOTED: usize = 32_768;

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

/// Bytes of the transactions that wait: as they stand in blocks, with the blobs that they carry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolSize {
    /// Of those that are executable now.
    pub pending: usize,
    /// Of the others.
    pub queued: usize,
}

impl PoolSize {
    /// Of all.
    pub const fn total(self) -> usize {
        self.pending + self.queued
    }
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
    state: Mutex<State>,
    intake: Intake,
    config: PoolConfig,
    metrics: Arc<Metrics>,
    pending: broadcast::Sender<SharedTx>,
    ready: Notify,
}

impl TxPool {
    /// An empty pool behind `head`.
    pub fn new(config: PoolConfig, head: PoolHead, metrics: Arc<Metrics>) -> Self {
        let head = Arc::new(head);
        Self(Arc::new(Inner {
            state: Mutex::new(State::new(config.clone(), Arc::clone(&head))),
            intake: Intake::new(&config, head),
            config,
            metrics,
            pending: broadcast::Sender::new(PROMOTED),
            ready: Notify::new(),
        }))
    }

    /// Admits a recovered transaction and returns its hash.
    ///
    /// # Errors
    /// The first rule that it breaks, in the reference client's order (spec 10, section 6.1).
    pub fn add(&self, tx: SharedTx, origin: Origin) -> Result<B256, PoolError> {
        let hash = tx.hash();
        if self.contains(hash) {
            return Err(PoolError::Known(hash));
        }
        self.0.intake.check_form(tx.hashed(), origin, &self.0.config)?;
        self.admit([Ok(Entry::new(tx))], origin).pop().unwrap_or(Err(PoolError::Full))
    }

    /// Decodes (node form or Ethereum's raw form), recovers and admits each of `raw`, in order; one answer per item.
    ///
    /// Signatures are recovered on all cores, once per process for each hash. When too many are under way the answer
    /// is [`PoolError::Full`].
    pub async fn add_raw_batch(&self, raw: Vec<Bytes>, origin: Origin) -> Vec<Result<B256, PoolError>> {
        self.0.metrics.offered.add(raw.len() as u64);
        let answers = intake::add_batch(self, raw, origin).await;
        self.0.metrics.refused.add(answers.iter().filter(|answer| answer.is_err()).count() as u64);
        answers
    }

    /// [`Self::add_raw_batch`] for one transaction.
    ///
    /// # Errors
    /// If it does not decode, a signature is invalid, or the pool refuses it.
    pub async fn add_raw(&self, raw: Bytes, origin: Origin) -> Result<B256, PoolError> {
        self.add_raw_batch(vec![raw], origin).await.pop().unwrap_or(Err(PoolError::Full))
    }

    /// The nonce that the next transaction of `address` should have: behind all that are executable now.
    pub fn pending_nonce(&self, address: Address) -> u64 {
        let state = self.0.state.lock();
        if let Some(queue) = state.queue(address) {
            return queue.next_nonce();
        }
        let head = Arc::clone(state.head());
        drop(state);
        head.state.account(address).map(|account| account.nonce).unwrap_or_default()
    }

    /// The waiting transaction with this hash.
    pub fn get(&self, hash: B256) -> Option<SharedTx> {
        self.0.state.lock().get(hash).map(Arc::clone)
    }

    /// For each hash the waiting transaction, if it waits here.
    pub fn get_all(&self, hashes: &[B256]) -> Vec<Option<SharedTx>> {
        let state = self.0.state.lock();
        hashes.iter().map(|hash| state.get(*hash).map(Arc::clone)).collect()
    }

    /// Whether raw transactions are taken in now. What peers have accepted already gets a quarter more room than what is
    /// submitted here, so that nodes which fill up together end with the same transactions.
    pub(crate) fn has_room(&self, origin: Origin) -> bool {
        let config = &self.0.config;
        let most = |most: usize| if origin == Origin::Remote { most.saturating_add(most / 4) } else { most };
        let state = self.0.state.lock();
        state.status().pending < most(config.max_backlog) && state.size().pending < most(config.max_pending_bytes)
    }

    /// Waits until none of these is between its arrival and its admission.
    pub(crate) async fn settled(&self, hashes: &[B256]) {
        intake::settled(self, hashes).await;
    }

    /// The transactions of a block with their signers, each recovered once per process.
    ///
    /// # Errors
    /// If a signature is invalid.
    pub(crate) async fn for_block(&self, transactions: Vec<HashedTx<Fee>>) -> Result<Vec<SharedTx>, RecoverError> {
        intake::for_block(self, transactions).await
    }

    /// Whether it waits here.
    pub fn contains(&self, hash: B256) -> bool {
        self.0.state.lock().get(hash).is_some()
    }

    /// A copy of the whole pool (walks all of it: for inspection, not for each request).
    pub fn content(&self) -> PoolContent {
        let mut content = PoolContent::default();
        let state = self.0.state.lock();
        for (address, queue) in state.queues() {
            let shared = |entry: &Entry| (entry.nonce, Arc::clone(&entry.tx));
            let pending: BTreeMap<_, _> = queue.run_from(0).map(shared).collect();
            let queued: BTreeMap<_, _> = queue.queued().map(shared).collect();
            if !pending.is_empty() {
                content.pending.insert(*address, pending);
            }
            if !queued.is_empty() {
                content.queued.insert(*address, queued);
            }
        }
        content
    }

    /// Executable transactions in the order in which a block would take them, at most `limit`.
    pub fn pending(&self, limit: usize) -> Vec<SharedTx> {
        self.best().take(limit).collect()
    }

    /// Walks the executable transactions in the order in which a block takes them.
    pub fn best(&self) -> Best {
        Best::new(self.clone())
    }

    /// How many wait. Constant time.
    pub fn status(&self) -> PoolStatus {
        self.0.state.lock().status()
    }

    /// How many bytes they have. Constant time.
    pub fn size(&self) -> PoolSize {
        self.0.state.lock().size()
    }

    /// Every transaction that becomes executable from now on.
    pub fn subscribe_pending(&self) -> broadcast::Receiver<SharedTx> {
        self.0.pending.subscribe()
    }

    /// Ends when a transaction becomes executable; may also end without one.
    pub fn readied(&self) -> Notified<'_> {
        self.0.ready.notified()
    }

    /// Follows the chain to a new head whose block changed these accounts (an absent one as its default).
    pub fn follow<'a>(&self, head: PoolHead, changed: impl Iterator<Item = (Address, &'a StateAccount)>) {
        let head = Arc::new(head);
        self.0.intake.follow(Arc::clone(&head));
        let mut promoted = Promoted::default();
        let mut state = self.0.state.lock();
        state.follow(head, changed, &mut promoted);
        let expired = Instant::now().checked_sub(self.0.config.lifetime);
        if let Some(deadline) = expired.filter(|_| self.0.config.lifetime > Duration::ZERO) {
            state.expire(deadline);
        }
        drop(state);
        self.announce(promoted);
    }

    /// Takes out a transaction that a block cannot include.
    pub fn remove(&self, tx: &SharedTx) {
        let nonce = tx.tx().view().nonce;
        let mut state = self.0.state.lock();
        let is_here = state.queue(tx.sender()).and_then(|q| q.entry(nonce)).is_some_and(|e| e.tx.hash() == tx.hash());
        if is_here {
            state.drop_one(tx.sender(), nonce);
        }
    }

    /// Admits prepared transactions under one lock.
    fn admit(
        &self,
        entries: impl IntoIterator<Item = Result<Entry, PoolError>>,
        origin: Origin,
    ) -> Vec<Result<B256, PoolError>> {
        let mut promoted = Promoted::default();
        let mut state = self.0.state.lock();
        let answers = entries
            .into_iter()
            .map(|entry| {
                let entry = entry?;
                let hash = entry.tx.hash();
                state.add(entry, origin == Origin::Local, &mut promoted)?;
                Ok(hash)
            })
            .collect();
        drop(state);
        self.announce(promoted);
        answers
    }

    fn announce(&self, promoted: Promoted) {
        if promoted.0.is_empty() {
            return;
        }
        self.0.ready.notify_one();
        if self.0.pending.receiver_count() > 0 {
            for tx in promoted.0 {
                // Fails only when the last subscriber has just left.
                let _nobody = self.0.pending.send(tx);
            }
        }
    }
}
