//! What the engine decides about: a block together with its execution.

use std::{fmt, sync::Arc};

use klay_consensus::{
    istanbul::HeaderValue,
    types::{Height, Value},
};
use klay_core::{B256, Bytes, block::Header};
use klay_vm::BlockResult;

use crate::SharedTx;

/// A block that was built and executed here. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Proposal {
    header: Arc<Header>,
    id: B256,
    body: Arc<Executed>,
}

/// Transactions and what they did.
#[derive(Debug)]
pub(super) struct Executed {
    /// The transactions, the same objects that the pool held.
    pub(super) transactions: Vec<SharedTx>,
    /// Their effect; the state behind the block.
    pub(super) result: BlockResult,
}

impl Proposal {
    /// A proposal with this header, sealed or not.
    pub(super) fn new(header: Header, body: Executed) -> Self {
        Self { id: header.hash(), header: Arc::new(header), body: Arc::new(body) }
    }

    /// Transactions and result.
    pub(super) const fn body(&self) -> &Arc<Executed> {
        &self.body
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proposal")
            .field("number", &self.header.number)
            .field("id", &self.id)
            .field("transactions", &self.body.transactions.len())
            .finish_non_exhaustive()
    }
}

impl Value for Proposal {
    type Id = B256;

    fn id(&self) -> B256 {
        self.id
    }

    fn parent(&self) -> B256 {
        self.header.parent_hash
    }

    fn height(&self) -> Height {
        Height::new(self.header.number)
    }

    fn size(&self) -> usize {
        self.body.transactions.iter().map(|tx| tx.encoded().len()).sum()
    }
}

impl HeaderValue for Proposal {
    fn header(&self) -> &Header {
        &self.header
    }

    fn with_extra(self, extra: Bytes) -> Self {
        let header = Header { extra, ..(*self.header).clone() };
        Self { id: header.hash(), header: Arc::new(header), body: self.body }
    }
}
