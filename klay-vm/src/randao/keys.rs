//! Which key a proposer has registered.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use klay_core::{Address, B256, Bytes, Fork};

use super::{ProvenKey, RandaoError};
use crate::system::{KIP113, REGISTRY_ADDRESS, View, active_address, bls_keys};

/// Proven keys that are kept; beyond it they are proven anew.
const MAX_PROVEN: usize = 4096;

/// Key and proof of possession of each node that has registered them.
pub type RegisteredKeys = BTreeMap<Address, (Bytes, Bytes)>;

/// Reads proposers' keys, and remembers what it has read and verified. Shared between threads.
#[derive(Debug, Default)]
pub struct ProposerKeys(Mutex<Cache>);

#[derive(Debug, Default)]
struct Cache {
    /// The registered keys by the contract, its storage root and the Registry's.
    registered: Option<((Address, B256, B256), Arc<RegisteredKeys>)>,
    /// Keys by key and proof.
    proven: BTreeMap<(Bytes, Bytes), ProvenKey>,
}

impl ProposerKeys {
    /// The key of `proposer` for the block after `parent`.
    ///
    /// On the Randao fork block the contract is the one that the configuration names, later the one in the Registry.
    ///
    /// # Errors
    /// If the proposer has no key or no valid one, or the contracts cannot be read.
    pub fn key_of(&self, proposer: Address, parent: View<'_>) -> Result<ProvenKey, RandaoError> {
        let registered = self.registered(parent)?;
        let (key, proof) = registered.get(&proposer).ok_or(RandaoError::NoKey { proposer })?;
        let entry = (key.clone(), proof.clone());
        if let Some(proven) = self.lock().proven.get(&entry) {
            return Ok(*proven);
        }
        let proven = ProvenKey::new(key, proof)?;
        let mut cache = self.lock();
        if cache.proven.len() >= MAX_PROVEN {
            cache.proven.clear();
        }
        cache.proven.insert(entry, proven);
        Ok(proven)
    }

    /// Keys and proofs as registered for the block after `parent`, not verified.
    ///
    /// # Errors
    /// If the contracts cannot be read.
    pub fn registered(&self, parent: View<'_>) -> Result<Arc<RegisteredKeys>, RandaoError> {
        let next = parent.header.number.saturating_add(1);
        let contract = if parent.config.forks.starts_at(Fork::Randao, next) {
            let registry = parent.config.randao_registry.as_ref();
            *registry.and_then(|registry| registry.records.get(KIP113)).ok_or(RandaoError::NoRegistry)?
        } else {
            active_address(parent, KIP113)?
        };
        let root = |address| -> Result<B256, RandaoError> {
            let account = parent.state.account(address).map_err(crate::system::SystemError::from)?;
            Ok(account.unwrap_or_default().program.storage_root)
        };
        let id = (contract, root(contract)?, root(REGISTRY_ADDRESS)?);
        if let Some((cached, registered)) = &self.lock().registered
            && *cached == id
        {
            return Ok(Arc::clone(registered));
        }
        let registered = Arc::new(bls_keys(parent, contract)?);
        self.lock().registered = Some((id, Arc::clone(&registered)));
        Ok(registered)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
