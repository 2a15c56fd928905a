//! One account's waiting transactions: a run that can be executed, and the rest.

use std::{collections::BTreeMap, time::Instant};

use klay_accounts::StateAccount;

use super::{PoolSize, entry::Entry, ready::Place};

/// The transactions of one sender, by nonce.
///
/// Those from the account's nonce on without a gap, each with a fee cap that reaches the pool's price, form the *run*:
/// they can be executed. The run ends at the first nonce that is missing or too cheap.
#[derive(Debug)]
pub(super) struct Queue {
    /// The account behind the newest block.
    pub(super) account: StateAccount,
    entries: BTreeMap<u64, Entry>,
    run_end: u64,
    /// Bytes of all entries.
    bytes: usize,
    /// Bytes of the run.
    run_bytes: usize,
    /// At most the lowest fee cap in the run.
    run_floor: u128,
    /// At least the highest cost of an entry for the sender.
    dearest: klay_core::U256,
    /// When the last transaction arrived.
    pub(super) beat: Instant,
}

/// What the indexes of the pool know about a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Summary {
    /// Length of the run.
    pub(super) pending: usize,
    /// Transactions outside the run.
    pub(super) queued: usize,
    /// Bytes of both.
    pub(super) size: PoolSize,
    /// The first of the run.
    pub(super) head: Option<Place>,
    /// At most the lowest fee cap in the run, where there is one.
    pub(super) floor: Option<u128>,
    /// Fee cap of the transaction that ends the run by being too cheap.
    pub(super) blocked: Option<u128>,
    /// Since when the queued ones wait.
    pub(super) waiting: Option<Instant>,
}

impl Queue {
    pub(super) const fn new(account: StateAccount, now: Instant) -> Self {
        let run_end = account.nonce;
        Self {
            account,
            entries: BTreeMap::new(),
            run_end,
            bytes: 0,
            run_bytes: 0,
            run_floor: u128::MAX,
            dearest: klay_core::U256::ZERO,
            beat: now,
        }
    }

    /// The nonce behind the run.
    pub(super) const fn next_nonce(&self) -> u64 {
        self.run_end
    }

    pub(super) fn entry(&self, nonce: u64) -> Option<&Entry> {
        self.entries.get(&nonce)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries outside the run.
    pub(super) fn queued(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.range(self.run_end..).map(|(_, entry)| entry)
    }

    /// The entries of the run from `nonce` on.
    pub(super) fn run_from(&self, nonce: u64) -> impl Iterator<Item = &Entry> {
        self.entries.range(nonce.min(self.run_end)..self.run_end).map(|(_, entry)| entry)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Puts `entry` at its nonce and returns what was there.
    pub(super) fn put(&mut self, entry: Entry, price: u128) -> Option<Entry> {
        self.dearest = self.dearest.max(entry.costs.sender);
        let (is_in_run, size) = (entry.nonce < self.run_end, entry.size);
        if is_in_run {
            self.run_floor = self.run_floor.min(entry.fee_cap);
        }
        let old = self.entries.insert(entry.nonce, entry);
        let old_size = old.as_ref().map_or(0, |old| old.size);
        self.bytes = self.bytes - old_size + size;
        if is_in_run {
            self.run_bytes = self.run_bytes - old_size + size;
        }
        self.extend_run(price);
        old
    }

    /// Takes out the entry at `nonce`; what follows it waits.
    pub(super) fn take(&mut self, nonce: u64) -> Option<Entry> {
        let entry = self.entries.remove(&nonce)?;
        self.bytes -= entry.size;
        if nonce < self.run_end {
            // No more steps than `extend_run` took to add these.
            let behind: usize = self.run_from(nonce).map(|entry| entry.size).sum();
            self.run_bytes -= entry.size + behind;
        }
        self.run_end = self.run_end.min(nonce).max(self.account.nonce);
        Some(entry)
    }

    /// Lets the run grow as far as nonces and prices allow.
    pub(super) fn extend_run(&mut self, price: u128) {
        while let Some(entry) = self.entries.get(&self.run_end).filter(|entry| entry.fee_cap >= price) {
            self.run_floor = self.run_floor.min(entry.fee_cap);
            self.run_bytes += entry.size;
            self.run_end += 1;
        }
    }

    /// Ends the run before the first entry that is too cheap.
    pub(super) fn cut_run(&mut self, price: u128) {
        let (mut end, mut bytes, mut floor) = (self.account.nonce, 0, u128::MAX);
        for (nonce, entry) in self.entries.range(self.account.nonce..self.run_end) {
            if entry.fee_cap < price {
                break;
            }
            floor = floor.min(entry.fee_cap);
            bytes += entry.size;
            end = nonce + 1;
        }
        (self.run_end, self.run_bytes, self.run_floor) = (end, bytes, floor);
    }

    /// Follows the account to a newer block; the result is what it has made obsolete.
    pub(super) fn follow(&mut self, account: StateAccount, price: u128) -> Vec<Entry> {
        let kept = self.entries.split_off(&account.nonce);
        let gone: Vec<Entry> = std::mem::replace(&mut self.entries, kept).into_values().collect();
        for entry in &gone {
            self.bytes -= entry.size;
            if entry.nonce < self.run_end {
                self.run_bytes -= entry.size;
            }
        }
        if account.nonce < self.account.nonce {
            // Only when the chain was set back: nonces in between are missing again.
            (self.run_end, self.run_bytes) = (account.nonce, 0);
        }
        self.run_end = self.run_end.max(account.nonce);
        self.account = account;
        self.extend_run(price);
        gone
    }

    /// Nonces that the sender cannot pay for any more.
    pub(super) fn unpayable(&mut self) -> Vec<u64> {
        if self.dearest <= self.account.balance {
            return Vec::new();
        }
        self.dearest = self.entries.values().map(|entry| entry.costs.sender).max().unwrap_or_default();
        let poor = self.entries.iter().filter(|(_, entry)| entry.costs.sender > self.account.balance);
        poor.map(|(nonce, _)| *nonce).collect()
    }

    fn run_len(&self) -> usize {
        usize::try_from(self.run_end - self.account.nonce).unwrap_or(usize::MAX)
    }

    /// How many entries are outside the run.
    pub(super) fn queued_len(&self) -> usize {
        self.entries.len().saturating_sub(self.run_len())
    }

    pub(super) fn summary(&self, by_tip: bool) -> Summary {
        let (pending, queued) = (self.run_len(), self.queued_len());
        let head = if pending > 0 { self.entries.get(&self.account.nonce) } else { None };
        Summary {
            pending,
            queued,
            size: PoolSize { pending: self.run_bytes, queued: self.bytes - self.run_bytes },
            head: head.map(|entry| entry.place(by_tip)),
            floor: head.map(|_| self.run_floor),
            blocked: self.entries.get(&self.run_end).map(|entry| entry.fee_cap),
            waiting: (queued > 0).then_some(self.beat),
        }
    }
}
