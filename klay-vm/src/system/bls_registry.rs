//! A KIP-113 contract of our own, for chains whose validators come and go. Its source stands beside its code, in
//! `data/bls_registry.sol`.
//!
//! A validator that is voted in proposes blocks that others accept once its owner has registered the validator's key
//! there: `register(node, key, proof)`. See [`register_call`].

use std::collections::BTreeMap;

use klay_core::{
    Address, B256, Bytes, U256, address,
    genesis::{Genesis, GenesisAccount},
    keccak256,
};

use super::{
    abi,
    kip113::{encode_bytes, put_registry},
    registry::{number, slot_after, store_bytes},
};

/// Where [`install_bls_registry`] puts the contract.
pub const BLS_REGISTRY_ADDRESS: Address = address!("0000000000000000000000000000000000000403");

/// Slots of the owner, of the list of nodes and of the keys by node.
const OWNER: usize = 151;
const NODES: usize = 201;
const KEYS: usize = 202;

/// The contract's code.
pub const fn bls_registry_code() -> Bytes {
    Bytes::from_static(include_bytes!("data/bls_registry.bin"))
}

/// Makes a genesis in which Randao is active complete: a Registry, and a KIP-113 contract with these keys (node, public
/// key of 48 bytes, proof of 96), to which `owner` may add others. He owns the Registry too.
pub fn install_bls_registry(genesis: &mut Genesis, owner: Address, keys: &[(Address, Bytes, Bytes)]) {
    let (code, storage) = (bls_registry_code(), storage(owner, keys));
    genesis.alloc.insert(BLS_REGISTRY_ADDRESS, GenesisAccount { code, storage, ..GenesisAccount::default() });
    put_registry(genesis, BLS_REGISTRY_ADDRESS, owner);
}

/// The owner of the contract that [`install_bls_registry`] put into this genesis; `None` where it did not.
pub fn bls_registrar(genesis: &Genesis) -> Option<Address> {
    let contract = genesis.alloc.get(&BLS_REGISTRY_ADDRESS).filter(|account| account.code == bls_registry_code())?;
    contract.storage.get(&number(OWNER)).map(|owner| Address::from_word(*owner))
}

/// Input of the call by which the owner registers a node's key, or replaces it.
pub fn register_call(node: Address, key: &[u8], proof: &[u8]) -> Bytes {
    const HEAD: usize = 96;
    let (key, proof) = (encode_bytes(key), encode_bytes(proof));
    let words = [U256::from_be_slice(node.as_slice()), U256::from(HEAD), U256::from(HEAD + key.len())];
    let mut input = abi::call("register(address,bytes,bytes)", &words).to_vec();
    input.extend(key);
    input.extend(proof);
    input.into()
}

/// Input of the call by which the owner takes a node's key out.
pub fn unregister_call(node: Address) -> Bytes {
    abi::call("unregister(address)", &[U256::from_be_slice(node.as_slice())])
}

fn storage(owner: Address, keys: &[(Address, Bytes, Bytes)]) -> BTreeMap<B256, B256> {
    let mut storage = BTreeMap::from([(number(OWNER), owner.into_word()), (number(NODES), number(keys.len()))]);
    for (index, (node, key, proof)) in keys.iter().enumerate() {
        storage.insert(slot_after(keccak256(number(NODES)), index), node.into_word());
        let record = keccak256([node.into_word().as_slice(), number(KEYS).as_slice()].concat());
        store_bytes(record, key, &mut storage);
        store_bytes(slot_after(record, 1), proof, &mut storage);
    }
    storage
}
