//! The one place that makes the chain longer.

use std::sync::Arc;

use klay_core::storage::{Batch, NewBlock, chain::put_persisted_state};
use klay_vm::{BlockResult, State};

use super::{BlockReceipts, Chain, ChainError, Head, HeadEvent, SealedBlock, stored};

/// What the store does not have of the newest state.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    blocks: u64,
    accounts: usize,
}

impl Chain {
    /// Stores a block that follows the head, with its receipts and, if it is due, its state: one batch, one sync. The
    /// block is the head when this returns; nobody has been told yet.
    ///
    /// # Errors
    /// If the store fails. The chain is unchanged then.
    pub(crate) fn append(&self, block: Arc<SealedBlock>, result: &BlockResult) -> Result<Head, ChainError> {
        let mut unwritten = self.0.unwritten.lock();
        unwritten.blocks += 1;
        unwritten.accounts += result.changed.len();
        let options = &self.0.options;
        let is_due = unwritten.blocks >= options.persist_every || unwritten.accounts <= options.persist_small;

        let mut batch = Batch::default();
        let commit = is_due.then(|| {
            let commit = result.state.commit(&mut batch);
            put_persisted_state(&mut batch, block.number(), result.state.root());
            commit
        });
        self.store_block(&block, result, batch)?;
        let state = match commit {
            Some(commit) => {
                *unwritten = Unwritten::default();
                commit.confirm()
            }
            None => result.state.clone(),
        };
        drop(unwritten);
        Ok(self.advance(block, Arc::new(BlockReceipts { receipts: result.receipts.clone() }), state))
    }

    /// Takes over a block that is stored already, executed again after a crash.
    pub(super) fn resume(&self, block: Arc<SealedBlock>, result: BlockResult) {
        let mut unwritten = self.0.unwritten.lock();
        unwritten.blocks += 1;
        unwritten.accounts += result.changed.len();
        drop(unwritten);
        self.advance(block, Arc::new(BlockReceipts { receipts: result.receipts }), result.state);
    }

    fn store_block(&self, block: &SealedBlock, result: &BlockResult, batch: Batch) -> Result<(), ChainError> {
        let hashes: Vec<_> = block.transactions.iter().map(|tx| tx.hash()).collect();
        let sender_hashes: Vec<_> = block.transactions.iter().map(|tx| tx.sender_hash()).collect();
        let new = NewBlock {
            number: block.number(),
            hash: block.hash,
            header: block.header.encode(),
            body: stored::encode_body(&block.transactions),
            receipts: stored::encode_receipts(&result.receipts),
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

    /// Writes the newest state, so that the next start executes nothing again.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) fn persist(&self) -> Result<(), ChainError> {
        let mut unwritten = self.0.unwritten.lock();
        if unwritten.blocks == 0 {
            return Ok(());
        }
        let head = self.0.head.load_full();
        let mut batch = Batch::default();
        let commit = head.state.commit(&mut batch);
        put_persisted_state(&mut batch, head.block.number(), head.state.root());
        self.0.store.store().write(batch)?;
        self.0.store.store().sync()?;
        let state = commit.confirm();
        self.0.head.store(Arc::new(Head { state, ..(*head).clone() }));
        *unwritten = Unwritten::default();
        Ok(())
    }
}
