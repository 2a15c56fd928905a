//! The addresses and storage slots behind the hashed keys of states.
//!
//! New ones stay in memory until the next state is written, and go into the store right before it. What a crash leaves
//! unwritten comes again when the blocks above the written state are executed again.

use std::{collections::BTreeMap, mem, sync::Arc};

use klay_core::{
    Address, B256,
    storage::{KeyValue, PreimageStore, StorageError},
};
use klay_vm::Preimages;

/// What stands behind hashes, as far as the chain has met it.
#[derive(Debug)]
pub(super) struct Names {
    stored: PreimageStore,
    new: BTreeMap<B256, Name>,
}

#[derive(Debug, Clone, Copy)]
enum Name {
    Account(Address),
    Slot(B256),
}

impl Names {
    /// Those in `store`.
    pub(super) fn open(store: Arc<dyn KeyValue>) -> Result<Self, StorageError> {
        Ok(Self { stored: PreimageStore::open(store)?, new: BTreeMap::new() })
    }

    /// Takes over what a block has added.
    pub(super) fn learn(&mut self, preimages: &Preimages) {
        self.new.extend(preimages.accounts.iter().map(|(hash, address)| (*hash, Name::Account(*address))));
        self.new.extend(preimages.slots.iter().map(|(hash, slot)| (*hash, Name::Slot(*slot))));
    }

    /// The address or slot with this hash.
    pub(super) fn find(&self, hash: &B256) -> Result<Option<Vec<u8>>, StorageError> {
        match self.new.get(hash) {
            Some(name) => Ok(Some(name.as_ref().to_vec())),
            None => self.stored.find(hash),
        }
    }

    /// Stores what is new, without waiting for the disk. What could not be stored stays new.
    pub(super) fn write(&mut self) -> Result<(), StorageError> {
        self.stored.add(self.new.iter().map(|(hash, name)| (*hash, *name)))?;
        mem::take(&mut self.new);
        Ok(())
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Account(address) => address.as_slice(),
            Self::Slot(slot) => slot.as_slice(),
        }
    }
}
