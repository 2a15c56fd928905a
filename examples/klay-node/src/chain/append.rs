//! The one place that makes the chain longer.

use std::sync::Arc;

use klay_core::storage::{Batch, ChainStore, KeyValue, NewBlock, StorageError, receipts::encode_receipts};
use klay_vm::{BlockResult, State};

use super::{BlockReceipts, Chain, ChainError, Head, HeadEvent, SealedBlock, persist::Plan, stored};
use crate::council::CouncilError;

impl Chain {
    /// Stores a block that follows the head, with its receipts: one batch, one sync. The block is the head when this
    /// returns; nobody has been told yet.
    ///
    /// # Errors
    /// If the store fails. The chain is unchanged then.
    pub(crate) fn append(&self, block: Arc<SealedBlock>, result: &BlockResult) -> Result<Head, CouncilError> {
        self.append_with(block, result, ChainStore::append)
    }

    /// As [`Self::append`], without waiting for the disk: see [`Self::sync`]. The block is seen before it is durable, and
    /// is announced after the sync.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub(crate) fn append_unsynced(&self, block: Arc<SealedBlock>, result: &BlockResult) -> Result<Head, CouncilError> {
        self.append_with(block, result, ChainStore::append_unsynced)
    }

    /// Waits until everything appended is on disk.
    ///
    /// # Errors
    /// If the store fails. What was appended since the last sync is in the chain all the same, and may be lost.
    pub(crate) fn sync(&self) -> Result<(), ChainError> {
        Ok(self.0.store.store().sync()?)
    }

    /// Whether the store takes no more blocks: see [`KeyValue::has_failed`].
    pub(crate) fn has_failed(&self) -> bool {
        self.0.store.store().has_failed()
    }

    fn append_with(
        &self,
        block: Arc<SealedBlock>,
        result: &BlockResult,
        store: impl FnOnce(&ChainStore, NewBlock<'_>, Batch) -> Result<(), StorageError>,
    ) -> Result<Head, CouncilError> {
        let mut batch = Batch::default();
        let change = self.put_history(&block.header, &result.state, &mut batch)?;
        let supply = self.put_supply(&block.header, result, &mut batch);
        let mut unwritten = self.0.unwritten.lock();
        let mut state = result.state.clone();
        let (options, changed) = (&self.0.options, result.changed.len());
        if let Some(written) = unwritten.written(options.keeps(changed)) {
            state = self.lighter(state.without_written(&written));
        }
        unwritten.count(changed);
        self.learn(result);
        let plan = unwritten.plan(changed, options);

        let commit = match plan {
            Plan::WithBlock => Some(self.commit_with(block.number(), &state, &mut batch)),
            Plan::Behind | Plan::Later => None,
        };
        let stored = commit.transpose().and_then(|commit| {
            self.store_block(&block, result, batch, store)?;
            Ok(commit)
        });
        let commit = match stored {
            Ok(commit) => commit,
            Err(error) => {
                unwritten.uncount(changed);
                return Err(error.into());
            }
        };
        if let Some(commit) = commit {
            state = self.lighter(commit.confirm());
            unwritten.clear();
        }
        self.follow(change);
        *self.0.supply.lock() = supply;
        let head = self.advance(block, Arc::new(BlockReceipts { receipts: result.receipts.clone() }), state);
        if plan == Plan::Behind {
            self.write_behind(&head, &mut unwritten);
        }
        Ok(head)
    }

    /// Takes over a block that is stored already, executed again after a crash.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub(super) fn resume(&self, block: Arc<SealedBlock>, result: BlockResult) -> Result<(), ChainError> {
        let change = self.history_of(&block.header)?;
        self.0.unwritten.lock().count(result.changed.len());
        self.learn(&result);
        self.follow(change);
        self.advance(block, Arc::new(BlockReceipts { receipts: result.receipts }), result.state);
        Ok(())
    }

    fn learn(&self, result: &BlockResult) {
        if self.0.options.preimages {
            self.0.names.lock().learn(&result.preimages);
        }
    }

    /// `state` without the parts that were not used lately, if it fills too much memory.
    fn lighter(&self, state: State) -> State {
        if state.resident() > self.0.options.resident_nodes { state.unload() } else { state }
    }

    fn store_block(
        &self,
        block: &SealedBlock,
        result: &BlockResult,
        batch: Batch,
        store: impl FnOnce(&ChainStore, NewBlock<'_>, Batch) -> Result<(), StorageError>,
    ) -> Result<(), ChainError> {
        let hashes: Vec<_> = block.transactions.iter().map(|tx| tx.hash()).collect();
        let sender_hashes: Vec<_> = block.transactions.iter().map(|tx| tx.sender_hash()).collect();
        let new = NewBlock {
            number: block.number(),
            hash: block.hash,
            header: block.header.encode(),
            body: stored::encode_body(&block.transactions),
            receipts: encode_receipts(&result.receipts),
            tx_hashes: &hashes,
            sender_tx_hashes: &sender_hashes,
        };
        Ok(store(&self.0.store, new, batch)?)
    }

    fn advance(&self, block: Arc<SealedBlock>, receipts: Arc<BlockReceipts>, state: State) -> Head {
        if let Err(error) = self.0.params.write().record(&block.header) {
            tracing::warn!(%error, number = block.number(), "governance field is ignored");
        }
        let head = Head { block, receipts, state };
        self.0.recent.write().push(head.clone());
        self.0.head.store(Arc::new(head.clone()));
        head
    }

    /// Tells everybody who listens. The block must be durable.
    pub(crate) fn announce(&self, head: impl Into<HeadEvent>) {
        // Fails only when nobody listens.
        let _nobody = self.0.heads.send(head.into());
    }
}
