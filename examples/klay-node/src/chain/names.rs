//! The addresses and storage slots behind the hashed keys of states.
//!
//! New ones stay in memory until the next state is written and go into the store with it, sorted among its nodes. One
//! write for each as blocks come would cost more than the rest of a transfer's storage. What a crash leaves unwritten
//! comes again when the blocks above the written state are executed again.

use alloy_primitives::map::B256Map;
use klay_core::{
    Address, B256,
    storage::{Batch, Table},
};
use klay_vm::Preimages;

/// Names that the store does not have.
#[derive(Debug, Default)]
pub(super) struct Names {
    new: Named,
    /// On the way into the store.
    leaving: Named,
}

#[derive(Debug, Default)]
struct Named {
    accounts: B256Map<Address>,
    slots: B256Map<B256>,
}

impl Names {
    /// Takes over what a block has added.
    pub(super) fn learn(&mut self, preimages: &Preimages) {
        self.new.accounts.extend(preimages.accounts.iter().copied());
        self.new.slots.extend(preimages.slots.iter().copied());
    }

    /// The address or slot with this hash.
    pub(super) fn find(&self, hash: &B256) -> Option<Vec<u8>> {
        [&self.new, &self.leaving].into_iter().find_map(|named| {
            let address = named.accounts.get(hash).map(|address| address.to_vec());
            address.or_else(|| named.slots.get(hash).map(|slot| slot.to_vec()))
        })
    }

    /// From here on what is known goes into the store; what is learnt later stays.
    pub(super) fn leave(&mut self) {
        self.leaving.accounts.extend(self.new.accounts.drain());
        self.leaving.slots.extend(self.new.slots.drain());
    }

    /// Adds what [leaves](Self::leave) to `batch`.
    pub(super) fn put(&self, batch: &mut Batch) {
        for (hash, address) in &self.leaving.accounts {
            batch.put(Table::Preimages, hash.as_slice(), address.as_slice());
        }
        for (hash, slot) in &self.leaving.slots {
            batch.put(Table::Preimages, hash.as_slice(), slot.as_slice());
        }
    }

    /// Forgets what has left: the store has it.
    pub(super) fn left(&mut self) {
        self.leaving = Named::default();
    }
}

/// Adds the names of a genesis state to `batch`.
pub(super) fn put_names(preimages: &Preimages, batch: &mut Batch) {
    let mut names = Names::default();
    names.learn(preimages);
    names.leave();
    names.put(batch);
}
