//! Which waiting transactions a fee payer has promised to pay for.

use std::collections::BTreeSet;

use alloy_primitives::map::{AddressMap, hash_map};
use klay_accounts::{AccountKey, StateAccount};
use klay_core::{Address, U256};

use super::entry::Entry;

/// Fee payers with their transactions.
#[derive(Debug, Default)]
pub(super) struct Payers(AddressMap<Promises>);

#[derive(Debug)]
struct Promises {
    txs: BTreeSet<(Address, u64, klay_core::B256)>,
    /// At least the largest part of one transaction, in peb.
    dearest: U256,
    /// The key they were checked against.
    key: Option<AccountKey>,
}

impl Payers {
    pub(super) fn insert(&mut self, entry: &Entry) {
        if let Some(part) = entry.costs.payer {
            let promises = self.0.entry(entry.tx.payer()).or_insert_with(|| Promises {
                txs: BTreeSet::new(),
                dearest: U256::ZERO,
                key: None,
            });
            promises.txs.insert((entry.tx.sender(), entry.nonce, entry.tx.hash()));
            promises.dearest = promises.dearest.max(part);
        }
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        if entry.costs.payer.is_some()
            && let hash_map::Entry::Occupied(mut promises) = self.0.entry(entry.tx.payer())
        {
            promises.get_mut().txs.remove(&(entry.tx.sender(), entry.nonce, entry.tx.hash()));
            if promises.get().txs.is_empty() {
                promises.remove();
            }
        }
    }

    /// The transactions to look at again after `address` changed to `account`: none while it can pay the dearest one
    /// and has the key that it had the last time.
    pub(super) fn suspects(&mut self, address: Address, account: &StateAccount) -> Vec<(Address, u64)> {
        let Some(promises) = self.0.get_mut(&address) else { return Vec::new() };
        let is_same_key = promises.key.as_ref() == Some(&account.key);
        if is_same_key && promises.dearest <= account.balance {
            return Vec::new();
        }
        promises.key = Some(account.key.clone());
        promises.txs.iter().map(|(sender, nonce, _)| (*sender, *nonce)).collect()
    }
}
