//! The Registry of KIP-149.
//!
//! The node installs it when the Randao fork block is finalised, after the rewards; a comment in the reference client
//! and the KIP say "one block earlier".

use std::collections::BTreeMap;

use klay_core::{Address, B256, Bytes, U256, address, config::RegistryConfig, keccak256};

use super::{SystemError, View, abi};
use crate::{block::BlockExecutor, state::StateError};

/// The Registry contract.
pub const REGISTRY_ADDRESS: Address = address!("0000000000000000000000000000000000000401");

/// The contract at `name` that is active at the block of `view`; zero if there is none.
///
/// # Errors
/// If the Registry does not answer as its interface says.
pub fn active_address(view: View<'_>, name: &str) -> Result<Address, SystemError> {
    let function = "getActiveAddr(string)";
    view.read(REGISTRY_ADDRESS, function, abi::call_with_text(function, name), |values| values.address())
}

/// Everything that was ever put down under `name`, in order: the contract, and the block from which it is meant.
///
/// # Errors
/// If the Registry does not answer as its interface says.
pub fn all_records(view: View<'_>, name: &str) -> Result<Vec<(Address, U256)>, SystemError> {
    let function = "getAllRecords(string)";
    let read = |values: &mut abi::Values<'_>| values.list(|item| Some((item.address()?, item.word()?)));
    view.read(REGISTRY_ADDRESS, function, abi::call_with_text(function, name), read)
}

/// Writes code and first records.
///
/// # Errors
/// If the state cannot be read.
pub fn install_registry(executor: &mut BlockExecutor, config: Option<&RegistryConfig>) -> Result<(), StateError> {
    executor.set_code(REGISTRY_ADDRESS, registry_code())?;
    for (slot, value) in config.map(registry_storage).unwrap_or_default() {
        executor.set_storage(REGISTRY_ADDRESS, slot, value.into())?;
    }
    Ok(())
}

/// The code that the node installs.
pub const fn registry_code() -> Bytes {
    Bytes::from_static(include_bytes!("data/registry.bin"))
}

/// Storage of a Registry with one record for each name, active from block 0; also for a genesis that starts with it.
///
/// Layout: slot 0 `mapping(string => (address, uint256)[])`, slot 1 `string[]` of names in byte order, slot 2 owner.
pub fn registry_storage(config: &RegistryConfig) -> BTreeMap<B256, B256> {
    let mut storage = BTreeMap::new();
    for (name, contract) in &config.records {
        let records = keccak256([name.as_bytes(), B256::ZERO.as_slice()].concat());
        let first = keccak256(records);
        storage.insert(records, number(1));
        storage.insert(first, contract.into_word());
        storage.insert(slot_after(first, 1), B256::ZERO);
    }
    storage.insert(number(1), number(config.records.len()));
    for (index, name) in config.records.keys().enumerate() {
        store_bytes(slot_after(keccak256(number(1)), index), name.as_bytes(), &mut storage);
    }
    storage.insert(number(2), config.owner.into_word());
    storage
}

/// Up to 31 bytes stand in the slot, left-aligned, with twice the length in its last byte; longer ones follow at the
/// hash of the slot, which holds twice the length plus one.
pub(super) fn store_bytes(slot: B256, bytes: &[u8], storage: &mut BTreeMap<B256, B256>) {
    if bytes.len() < 32 {
        let mut word = B256::right_padding_from(bytes);
        word[31] = 2 * bytes.len() as u8;
        storage.insert(slot, word);
        return;
    }
    storage.insert(slot, number(2 * bytes.len() + 1));
    for (index, chunk) in bytes.chunks(32).enumerate() {
        storage.insert(slot_after(keccak256(slot), index), B256::right_padding_from(chunk));
    }
}

pub(super) fn slot_after(slot: B256, count: usize) -> B256 {
    U256::from_be_bytes(slot.0).wrapping_add(U256::from(count)).into()
}

pub(super) fn number(value: usize) -> B256 {
    U256::from(value).into()
}
