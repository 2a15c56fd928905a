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

/// How many blocks, and how many lists of receipts, are kept after they were read, if they are not large.
const LOADED: usize = 32;

/// Blocks and receipts read from the store.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) blocks: Lately<SealedBlock>,
    pub(super) receipts: Lately<BlockReceipts>,
}

impl Loaded {
    pub(super) const fn new(options: &ChainOptions) -> Self {
        let max_transactions = options.recent_transactions;
        Self { blocks: Lately::new(max_transactions), receipts: Lately::new(max_transactions) }
    }
}

/// What was read of some blocks, the last one read at the end.
#[derive(Debug)]
pub(super) struct Lately<T> {
    kept: VecDeque<Read<T>>,
    transactions: usize,
    max_transactions: usize,
}

#[derive(Debug)]
struct Read<T> {
    number: u64,
    transactions: usize,
    what: Arc<T>,
}

impl<T> Lately<T> {
    const fn new(max_transactions: usize) -> Self {
        Self { kept: VecDeque::new(), transactions: 0, max_transactions }
    }

    pub(super) fn get(&mut self, number: u64) -> Option<Arc<T>> {
        let at = self.kept.iter().position(|read| read.number == number)?;
        let read = self.kept.remove(at)?;
        let what = Arc::clone(&read.what);
        self.kept.push_back(read);
        Some(what)
    }

    /// Keeps what was read of a block of so many transactions, and lets go of what was not asked for longest.
    pub(super) fn keep(&mut self, number: u64, transactions: usize, what: Arc<T>) {
        if self.get(number).is_some() {
            return;
        }
        self.transactions += transactions;
        self.kept.push_back(Read { number, transactions, what });
        while self.kept.len() > 1 && (self.kept.len() > LOADED || self.transactions > self.max_transactions) {
            if let Some(old) = self.kept.pop_front() {
                self.transactions -= old.transactions;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_kept_by_number_and_by_size() {
        let mut lately = Lately::new(100);
        let held = |lately: &Lately<u64>| lately.kept.iter().map(|read| read.number).collect::<Vec<_>>();
        for number in 0..40 {
            lately.keep(number, 1, Arc::new(number));
        }
        assert_eq!(held(&lately), (8..40).collect::<Vec<_>>(), "as many as there may be");
        assert_eq!((lately.get(8).as_deref(), lately.get(7)), (Some(&8), None));
        lately.keep(8, 1, Arc::new(8));
        assert_eq!((lately.kept.len(), lately.transactions), (32, 32), "once only");
        lately.keep(50, 97, Arc::new(50));
        assert_eq!((held(&lately), lately.transactions), (vec![38, 39, 8, 50], 100), "the last ones asked for stay");
        lately.keep(51, 1_000, Arc::new(51));
        assert_eq!((held(&lately), lately.transactions), (vec![51], 1_000), "one stays, however large");
    }
}
