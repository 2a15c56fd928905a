//! What the chain keeps in memory: the newest blocks with their states, and blocks read from the store lately.

use std::{collections::VecDeque, sync::Arc};

use klay_vm::State;

use super::{BlockReceipts, ChainOptions, Head, SealedBlock};

/// The newest blocks, oldest first, without a gap.
#[derive(Debug)]
pub(super) struct Recent {
    heads: VecDeque<Head>,
    transactions: usize,
    max_blocks: usize,
    max_transactions: usize,
}

impl Recent {
    pub(super) fn new(options: &ChainOptions) -> Self {
        Self {
            heads: VecDeque::new(),
            transactions: 0,
            max_blocks: options.recent_blocks.max(1),
            max_transactions: options.recent_transactions,
        }
    }

    pub(super) fn push(&mut self, head: Head) {
        self.transactions += head.block.transactions.len();
        self.heads.push_back(head);
        while self.heads.len() > 1 && (self.heads.len() > self.max_blocks || self.transactions > self.max_transactions)
        {
            if let Some(old) = self.heads.pop_front() {
                self.transactions -= old.block.transactions.len();
            }
        }
    }

    fn get(&self, number: u64) -> Option<&Head> {
        let first = self.heads.front()?.block.number();
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        self.heads.get(at)
    }

    pub(super) fn block(&self, number: u64) -> Option<Arc<SealedBlock>> {
        self.get(number).map(|head| Arc::clone(&head.block))
    }

    pub(super) fn receipts(&self, number: u64) -> Option<Arc<BlockReceipts>> {
        self.get(number).map(|head| Arc::clone(&head.receipts))
    }

    pub(super) fn state(&self, number: u64) -> Option<State> {
        self.get(number).map(|head| head.state.clone())
    }
}

/// How many blocks, and how many lists of receipts, are kept after they were read.
const LOADED: usize = 32;

/// Blocks and receipts read from the store, the last one read at the end.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    blocks: VecDeque<Arc<SealedBlock>>,
    receipts: VecDeque<(u64, Arc<BlockReceipts>)>,
}

impl Loaded {
    pub(super) fn block(&mut self, number: u64) -> Option<Arc<SealedBlock>> {
        let at = self.blocks.iter().position(|block| block.number() == number)?;
        let block = self.blocks.remove(at)?;
        self.blocks.push_back(Arc::clone(&block));
        Some(block)
    }

    pub(super) fn keep_block(&mut self, block: Arc<SealedBlock>) {
        self.blocks.push_back(block);
        if self.blocks.len() > LOADED {
            self.blocks.pop_front();
        }
    }

    pub(super) fn receipts(&mut self, number: u64) -> Option<Arc<BlockReceipts>> {
        let at = self.receipts.iter().position(|(of, _)| *of == number)?;
        let found = self.receipts.remove(at)?;
        self.receipts.push_back(found.clone());
        Some(found.1)
    }

    pub(super) fn keep_receipts(&mut self, number: u64, receipts: Arc<BlockReceipts>) {
        self.receipts.push_back((number, receipts));
        if self.receipts.len() > LOADED {
            self.receipts.pop_front();
        }
    }
}
