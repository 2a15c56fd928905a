//! The pool behind its lock: all queues, and the indexes that keep every operation independent of the pool's size.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use alloy_primitives::map::{AddressMap, B256Map, hash_map};
use klay_accounts::StateAccount;
use klay_core::{Address, B256, Fork};

use super::{
    PoolConfig, PoolError, PoolSize, PoolStatus,
    entry::Entry,
    head::PoolHead,
    payers::Payers,
    queue::{Queue, Summary},
    ready::Ready,
    validate::{self, Parties},
};
use crate::SharedTx;

/// All waiting transactions.
///
/// # Invariant
/// The indexes say of each queue what its [`Summary`] says; [`State::update`] is the only way to change a queue.
#[derive(Debug)]
pub(super) struct State {
    config: PoolConfig,
    head: Arc<PoolHead>,
    by_hash: B256Map<SharedTx>,
    queues: AddressMap<Queue>,
    payers: Payers,
    /// Authorizations in waiting EIP-7702 transactions, by account.
    authorities: AddressMap<usize>,
    pub(super) ready: Ready,
    /// Accounts with a run, by the run's lowest fee cap: the first to lose when the price rises.
    floors: BTreeSet<(u128, Address)>,
    /// Accounts whose next transaction is too cheap, by its fee cap: the first to win when the price falls.
    blocked: BTreeSet<(u128, Address)>,
    /// Accounts with queued transactions, by the time of the last arrival.
    waiting: BTreeSet<(Instant, Address)>,
    status: PoolStatus,
    size: PoolSize,
    arrivals: u64,
}

/// What a change of the pool did.
#[derive(Debug, Default)]
pub(super) struct Promoted(pub(super) Vec<SharedTx>);

impl State {
    pub(super) fn new(config: PoolConfig, head: Arc<PoolHead>) -> Self {
        let mut ready = Ready::default();
        ready.set_base(head.floor_price());
        Self {
            config,
            head,
            by_hash: B256Map::default(),
            queues: AddressMap::default(),
            payers: Payers::default(),
            authorities: AddressMap::default(),
            ready,
            floors: BTreeSet::new(),
            blocked: BTreeSet::new(),
            waiting: BTreeSet::new(),
            status: PoolStatus::default(),
            size: PoolSize::default(),
            arrivals: 0,
        }
    }

    pub(super) const fn head(&self) -> &Arc<PoolHead> {
        &self.head
    }

    pub(super) const fn status(&self) -> PoolStatus {
        self.status
    }

    pub(super) const fn size(&self) -> PoolSize {
        self.size
    }

    pub(super) fn get(&self, hash: B256) -> Option<&SharedTx> {
        self.by_hash.get(&hash)
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = (&Address, &Queue)> {
        self.queues.iter()
    }

    pub(super) fn queue(&self, address: Address) -> Option<&Queue> {
        self.queues.get(&address)
    }

    /// The account behind the newest block: from its queue, if it has one.
    fn account(&self, address: Address) -> Result<StateAccount, PoolError> {
        match self.queues.get(&address) {
            Some(queue) => Ok(queue.account.clone()),
            None => self.head.state.account(address),
        }
    }

    /// Rules 9 to 18, replacement and limits; `is_local` as submitted to this node.
    pub(super) fn add(&mut self, mut entry: Entry, is_local: bool, promoted: &mut Promoted) -> Result<(), PoolError> {
        let hash = entry.tx.hash();
        if self.by_hash.contains_key(&hash) {
            return Err(PoolError::Known(hash));
        }
        let sender = entry.tx.sender();
        let account = self.account(sender)?;
        self.check(&entry, &account)?;
        let old = self.queues.get(&sender).and_then(|queue| queue.entry(entry.nonce));
        if old.is_some_and(|old| !entry.replaces(old, self.head.next_rules.has(Fork::Magma))) {
            return Err(PoolError::NonceTaken);
        }
        let replaced = old.map_or(0, |old| old.size);
        self.make_room(&entry, replaced)?;
        self.arrivals += 1;
        entry.arrival = self.arrivals;
        self.index(&entry);
        let price = self.head.floor_price();
        let now = Instant::now();
        let old = self.update(sender, Some(account), promoted, |queue| {
            queue.beat = now;
            queue.put(entry, price)
        });
        if let Some(old) = old.flatten() {
            self.forget(&old);
        }
        if !is_local {
            self.cap_queue(sender);
        }
        self.cap_all_queues(sender);
        if self.by_hash.contains_key(&hash) { Ok(()) } else { Err(PoolError::Full) }
    }

    fn check(&self, entry: &Entry, sender: &StateAccount) -> Result<(), PoolError> {
        let view = entry.tx.tx().view();
        let payer = view.fee_payer.map(|address| self.account(address)).transpose()?;
        let recipient = validate::ruled_recipient(entry.tx.tx()).map(|address| self.account(address)).transpose()?;
        let parties = Parties { sender, payer: payer.as_ref(), recipient: recipient.as_ref() };
        validate::check_state(entry, &parties, &self.head)?;
        self.check_delegation(entry, sender)?;
        validate::check_type_rules(entry, &parties)
    }

    /// Rule 17: whoever may be moved by someone else's transaction keeps one transaction in flight.
    fn check_delegation(&self, entry: &Entry, account: &StateAccount) -> Result<(), PoolError> {
        let sender = entry.tx.sender();
        if account.has_code() || self.authorities.contains_key(&sender) {
            match self.queues.get(&sender).filter(|queue| queue.next_nonce() > account.nonce) {
                None if entry.nonce != self.queues.get(&sender).map_or(account.nonce, Queue::next_nonce) => {
                    return Err(PoolError::DelegatedGap);
                }
                Some(queue) if entry.nonce >= queue.next_nonce() => return Err(PoolError::InFlight),
                _ => {}
            }
        }
        let is_busy = |address| self.queues.get(address).is_some_and(|queue| queue.len() > 1);
        if entry.authorities.iter().any(is_busy) { Err(PoolError::AuthorityReserved) } else { Ok(()) }
    }

    /// A pool that is full, in number or in bytes, takes a transaction only in exchange for the last queued one of the
    /// same sender, and only if it fills a gap before it. `replaced` bytes of its nonce make way for it in any case.
    fn make_room(&mut self, entry: &Entry, replaced: usize) -> Result<(), PoolError> {
        let bytes = self.size.total() - replaced + entry.size;
        let most = self.config.max_pending_bytes.saturating_add(self.config.max_queued_bytes);
        if self.by_hash.len() < self.config.max_pending + self.config.max_queued && bytes <= most {
            return Ok(());
        }
        let sender = entry.tx.sender();
        let Some(last) = self.queues.get(&sender).and_then(|queue| queue.queued().next_back()) else {
            return Err(PoolError::Full);
        };
        if entry.nonce >= last.nonce {
            return Err(PoolError::FullWithoutGap { count: self.by_hash.len() });
        }
        if bytes - last.size > most {
            return Err(PoolError::Full);
        }
        let last = last.nonce;
        self.drop_one(sender, last);
        Ok(())
    }

    /// Too many queued ones of one sender: the last go.
    fn cap_queue(&mut self, sender: Address) {
        while let Some(queue) = self.queues.get(&sender) {
            if queue.queued_len() <= self.config.account_queued {
                return;
            }
            let Some(last) = queue.queued().next_back().map(|entry| entry.nonce) else { return };
            self.drop_one(sender, last);
        }
    }

    /// Too many queued ones: the account that added one loses its last.
    fn cap_all_queues(&mut self, sender: Address) {
        while self.status.queued > self.config.max_queued || self.size.queued > self.config.max_queued_bytes {
            let last = self.queues.get(&sender).and_then(|queue| queue.queued().next_back()).map(|e| e.nonce);
            let Some(last) = last else { return };
            self.drop_one(sender, last);
        }
    }

    /// Takes one transaction out; those behind it wait.
    pub(super) fn drop_one(&mut self, sender: Address, nonce: u64) {
        let gone = self.update(sender, None, &mut Promoted::default(), |queue| queue.take(nonce));
        if let Some(entry) = gone.flatten() {
            self.forget(&entry);
        }
    }

    /// Drops the queued transactions of accounts that were last heard of before `deadline`.
    pub(super) fn expire(&mut self, deadline: Instant) {
        while let Some(&(beat, address)) = self.waiting.first().filter(|(beat, _)| *beat < deadline) {
            let nonces: Vec<u64> =
                self.queues.get(&address).map(|q| q.queued().map(|e| e.nonce).collect()).unwrap_or_default();
            self.waiting.remove(&(beat, address));
            for nonce in nonces {
                self.drop_one(address, nonce);
            }
        }
    }

    /// Follows the chain to a new head. `changed` are the accounts that its block touched.
    pub(super) fn follow<'a>(
        &mut self,
        head: Arc<PoolHead>,
        changed: impl Iterator<Item = (Address, &'a StateAccount)>,
        promoted: &mut Promoted,
    ) {
        let is_reordered = self.head.is_by_tip() != head.is_by_tip();
        let is_new_unit_price = !head.next_rules.has(Fork::Magma) && self.head.price != head.price;
        self.head = head;
        let price = self.head.floor_price();
        for (address, account) in changed {
            self.follow_sender(address, account, price, promoted);
            self.follow_payer(address, account);
        }
        self.set_price(price, promoted);
        if is_reordered || is_new_unit_price {
            // A fork or a vote, not a block: the one place that visits every account.
            self.rebuild();
        }
    }

    fn follow_sender(&mut self, address: Address, account: &StateAccount, price: u128, promoted: &mut Promoted) {
        let Some(queue) = self.queues.get(&address) else { return };
        let key_changed = queue.account.key != account.key;
        let account = account.clone();
        let gone = self.update(address, None, promoted, |queue| queue.follow(account, price)).unwrap_or_default();
        gone.iter().for_each(|entry| self.forget(entry));
        let Some(queue) = self.queues.get_mut(&address) else { return };
        let mut bad = queue.unpayable();
        if key_changed {
            let head = &self.head;
            let refused = |e: &&Entry| validate::check_sender(e, &e.tx.tx().view(), &queue.account, head).is_err();
            bad.extend(queue.entries().filter(refused).map(|entry| entry.nonce));
        }
        for nonce in bad {
            self.drop_one(address, nonce);
        }
    }

    fn follow_payer(&mut self, address: Address, account: &StateAccount) {
        let head = Arc::clone(&self.head);
        for (sender, nonce) in self.payers.suspects(address, account) {
            let Some(entry) = self.queues.get(&sender).and_then(|queue| queue.entry(nonce)) else { continue };
            let view = entry.tx.tx().view();
            let can_pay = entry.costs.payer.is_none_or(|part| part <= account.balance);
            if !can_pay || validate::check_payer(entry, &view, account, &head).is_err() {
                self.drop_one(sender, nonce);
            }
        }
    }

    /// Moves transactions between run and queue where the price passes their fee cap.
    fn set_price(&mut self, price: u128, promoted: &mut Promoted) {
        while let Some(&(_, address)) = self.floors.first().filter(|(floor, _)| *floor < price) {
            self.update(address, None, promoted, |queue| queue.cut_run(price));
        }
        while let Some(&(_, address)) = self.blocked.last().filter(|(cap, _)| *cap >= price) {
            self.update(address, None, promoted, |queue| queue.extend_run(price));
        }
        self.ready.set_base(price);
    }

    /// Orders all accounts anew and drops what the new rules refuse.
    fn rebuild(&mut self) {
        let queues = std::mem::take(&mut self.queues);
        let mut entries: Vec<Entry> = queues.values().flat_map(Queue::entries).cloned().collect();
        entries.sort_by_key(|entry| entry.arrival);
        let arrivals = self.arrivals;
        *self = Self::new(self.config.clone(), Arc::clone(&self.head));
        self.arrivals = arrivals;
        for entry in entries {
            if validate::check_form(entry.tx.hashed(), &self.head).is_ok() {
                // What is refused now is gone: there is nobody left to tell.
                let _refused = self.add(entry, true, &mut Promoted::default());
            }
        }
    }

    /// Changes one queue and brings all indexes in line. A missing queue is made from `account`, if given.
    fn update<R>(
        &mut self,
        address: Address,
        account: Option<StateAccount>,
        promoted: &mut Promoted,
        change: impl FnOnce(&mut Queue) -> R,
    ) -> Option<R> {
        let by_tip = self.head.is_by_tip();
        let queue = match (self.queues.entry(address), account) {
            (hash_map::Entry::Occupied(queue), _) => queue.into_mut(),
            (hash_map::Entry::Vacant(place), Some(account)) => place.insert(Queue::new(account, Instant::now())),
            (hash_map::Entry::Vacant(_), None) => return None,
        };
        let (old, run_end) = (queue.summary(by_tip), queue.next_nonce());
        let result = change(queue);
        let new = queue.summary(by_tip);
        promoted.0.extend(queue.run_from(run_end).map(|entry| Arc::clone(&entry.tx)));
        if queue.is_empty() {
            self.queues.remove(&address);
        }
        self.reindex(address, &old, &new);
        Some(result)
    }

    fn reindex(&mut self, address: Address, old: &Summary, new: &Summary) {
        self.status.pending = self.status.pending - old.pending + new.pending;
        self.status.queued = self.status.queued - old.queued + new.queued;
        self.size.pending = self.size.pending - old.size.pending + new.size.pending;
        self.size.queued = self.size.queued - old.size.queued + new.size.queued;
        if old.head != new.head {
            if let Some(place) = old.head {
                self.ready.remove(address, place);
            }
            if let Some(place) = new.head {
                self.ready.insert(address, place);
            }
        }
        swap(&mut self.floors, address, old.floor, new.floor);
        swap(&mut self.blocked, address, old.blocked, new.blocked);
        swap(&mut self.waiting, address, old.waiting, new.waiting);
    }

    fn index(&mut self, entry: &Entry) {
        self.by_hash.insert(entry.tx.hash(), Arc::clone(&entry.tx));
        self.payers.insert(entry);
        for authority in &entry.authorities {
            *self.authorities.entry(*authority).or_default() += 1;
        }
    }

    fn forget(&mut self, entry: &Entry) {
        self.by_hash.remove(&entry.tx.hash());
        self.payers.remove(entry);
        for authority in &entry.authorities {
            if let hash_map::Entry::Occupied(mut count) = self.authorities.entry(*authority) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }
}

fn swap<K: Ord + Copy>(set: &mut BTreeSet<(K, Address)>, address: Address, old: Option<K>, new: Option<K>) {
    if old != new {
        if let Some(old) = old {
            set.remove(&(old, address));
        }
        if let Some(new) = new {
            set.insert((new, address));
        }
    }
}
