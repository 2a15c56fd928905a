//! The walk over executable transactions, best first.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

use alloy_primitives::map::AddressSet;
use klay_core::Address;

use super::{TxPool, ready::Cursor, state::State};
use crate::SharedTx;

/// How many transactions are fetched under one lock.
const CHUNK: usize = 256;

/// Executable transactions by effective tip, then arrival; nonces in order inside an account.
///
/// The pool stays open meanwhile: transactions that arrive behind the place where the walk stands are met, others wait
/// for the next block.
#[derive(Debug)]
pub struct Best {
    pool: TxPool,
    cursor: Cursor,
    /// Accounts that have begun: tip and arrival of the next transaction, its sender and nonce.
    begun: BinaryHeap<(u128, Reverse<u64>, Address, u64)>,
    fetched: VecDeque<SharedTx>,
    skipped: AddressSet,
}

impl Best {
    pub(super) fn new(pool: TxPool) -> Self {
        Self {
            pool,
            cursor: Cursor::default(),
            begun: BinaryHeap::new(),
            fetched: VecDeque::with_capacity(CHUNK),
            skipped: AddressSet::default(),
        }
    }

    /// Leaves out what is left of an account.
    pub fn skip_account(&mut self, address: Address) {
        self.skipped.insert(address);
    }

    fn fetch(&mut self) {
        let pool = self.pool.clone();
        let state = pool.0.state.lock();
        while self.fetched.len() < CHUNK {
            let Some(tx) = self.step(&state) else { return };
            self.fetched.push_back(tx);
        }
    }

    fn step(&mut self, state: &State) -> Option<SharedTx> {
        loop {
            let mut ahead = self.cursor;
            let fresh = state.ready.next(&mut ahead);
            let begun = self.begun.peek().map(|(tip, arrival, ..)| (*tip, *arrival));
            let take_fresh = match (fresh, begun) {
                (Some((tip, arrival, _)), Some(begun)) => (tip, Reverse(arrival)) > begun,
                (fresh, _) => fresh.is_some(),
            };
            let (address, nonce) = if take_fresh {
                self.cursor = ahead;
                let address = fresh?.2;
                (address, state.queue(address)?.account.nonce)
            } else {
                let (_, _, address, nonce) = self.begun.pop()?;
                (address, nonce)
            };
            if self.skipped.contains(&address) {
                continue;
            }
            let Some(queue) = state.queue(address) else { continue };
            let mut run = queue.run_from(nonce);
            let Some(entry) = run.next().filter(|entry| entry.nonce == nonce) else { continue };
            if let Some(next) = run.next() {
                let place = next.place(state.head().is_by_tip());
                let tip = place.effective_tip(state.head().floor_price());
                self.begun.push((tip, Reverse(place.arrival), address, next.nonce));
            }
            return Some(Arc::clone(&entry.tx));
        }
    }
}

impl Iterator for Best {
    type Item = SharedTx;

    fn next(&mut self) -> Option<SharedTx> {
        loop {
            if self.fetched.is_empty() {
                self.fetch();
            }
            let tx = self.fetched.pop_front()?;
            if !self.skipped.contains(&tx.sender()) {
                return Some(tx);
            }
        }
    }
}
