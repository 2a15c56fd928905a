//! A block with everything that readers ask of it.

use std::sync::Arc;

use klay_core::{
    Address, B256,
    block::{Header, Receipt},
    codec::header_len,
};

use crate::SharedTx;

/// A block of the chain, with what is derived from it.
#[derive(Debug, Clone)]
pub struct SealedBlock {
    /// The header, sealed.
    pub header: Header,
    /// Its hash.
    pub hash: B256,
    /// The transactions in order; the same objects that the pool held.
    pub transactions: Vec<SharedTx>,
    /// Length of the block's RLP, in bytes.
    pub size: usize,
    /// Who sealed it; the zero address for genesis.
    pub proposer: Address,
}

impl SealedBlock {
    /// A block whose hash and proposer are known.
    pub fn new(header: Header, hash: B256, transactions: Vec<SharedTx>, proposer: Address) -> Self {
        let list: usize = transactions.iter().map(|tx| tx.encoded().len()).sum();
        let content = header.encode().len() + header_len(list) + list;
        Self { header, hash, transactions, size: header_len(content) + content, proposer }
    }

    /// The height.
    pub const fn number(&self) -> u64 {
        self.header.number
    }
}

/// The receipts of one block, in order of its transactions.
#[derive(Debug, Clone, Default)]
pub struct BlockReceipts {
    /// One per transaction.
    pub receipts: Vec<Receipt>,
}

impl BlockReceipts {
    /// How many logs the transactions before `index` made: the `logIndex` of the first log of transaction `index`.
    pub fn first_log_index(&self, index: usize) -> u64 {
        self.receipts.iter().take(index).map(|r| r.logs.len() as u64).sum()
    }
}

/// Where a transaction is.
#[derive(Debug, Clone)]
pub struct TxLocation {
    /// The block.
    pub block: Arc<SealedBlock>,
    /// Its place among the block's transactions, from 0.
    pub index: usize,
}

impl TxLocation {
    /// The transaction.
    pub fn transaction(&self) -> Option<&SharedTx> {
        self.block.transactions.get(self.index)
    }
}

/// A new head: the block and what it did. Sent after the block is durable, which may be later than it can be read: while
/// many blocks come they are made durable together.
#[derive(Debug, Clone)]
pub struct HeadEvent {
    /// The block.
    pub block: Arc<SealedBlock>,
    /// Its receipts.
    pub receipts: Arc<BlockReceipts>,
}
