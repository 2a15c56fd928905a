//! The one place that makes the chain longer.

use std::sync::Arc;

use klay_core::storage::{Batch, NewBlock, receipts::encode_receipts};
use klay_vm::{BlockResult, State};

use super::{BlockReceipts, Chain, ChainError, Head, HeadEvent, SealedBlock, persist::Plan, stored};

impl Chain {
    /// Stores a block that follows the head, with its receipts: one batch, one sync. The block is the head when this
    /// returns; nobody has been told yet.
    ///
    /// # Errors
    /// If the store fails. The chain is unchanged then.
    pub(crate) fn append(&self, block: Arc<SealedBlock>, result: &BlockResult) -> Result<Head, ChainError> {
        let mut unwritten = self.0.unwritten.lock();
        let mut state = result.state.clone();
        if let Some(written) = unwritten.written(false) {
            state = self.lighter(state.without_written(&written));
        }
        unwritten.count(result.changed.len());
        let options = &self.0.options;
        let plan = unwritten.plan(options.persist_every, options.persist_small);

        let mut batch = Batch::default();
        let commit = (plan == Plan::WithBlock).then(|| Self::commit_with(block.number(), &state, &mut batch));
        if let Err(error) = self.store_block(&block, result, batch) {
            unwritten.uncount(result.changed.len());
            return Err(error);
        }
        if let Some(commit) = commit {
            state = self.lighter(commit.confirm());
            unwritten.clear();
        }
        let head = self.advance(block, Arc::new(BlockReceipts { receipts: result.receipts.clone() }), state);
        if plan == Plan::Behind {
            self.write_behind(&head, &mut unwritten);
        }
        Ok(head)
    }

    /// Takes over a block that is stored already, executed again after a crash.
    pub(super) fn resume(&self, block: Arc<SealedBlock>, result: BlockResult) {
        self.0.unwritten.lock().count(result.changed.len());
        self.advance(block, Arc::new(BlockReceipts { receipts: result.receipts }), result.state);
    }

    /// `state` without the parts that were not used lately, if it fills too much memory.
    fn lighter(&self, state: State) -> State {
        if state.resident() > self.0.options.resident_nodes { state.unload() } else { state }
    }

    fn store_block(&self, block: &SealedBlock, result: &BlockResult, batch: Batch) -> Result<(), ChainError> {
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
        Ok(self.0.store.append(new, batch)?)
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

    /// Tells everybody who listens.
    pub(crate) fn announce(&self, head: Head) {
        // Fails only when nobody listens.
        let _nobody = self.0.heads.send(HeadEvent { block: head.block, receipts: head.receipts });
    }
}
