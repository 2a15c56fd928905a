//! The key registry of KIP-113, and one with fixed keys for a genesis.

use std::collections::BTreeMap;

use klay_core::{
    Address, Bytes, U256, address,
    config::RegistryConfig,
    genesis::{Genesis, GenesisAccount},
};

use super::{REGISTRY_ADDRESS, SystemError, View, abi, registry_code, registry_storage};

/// Where [`fix_bls_keys`] puts the keys.
pub const FIXED_KEYS_ADDRESS: Address = address!("0000000000000000000000000000000000000403");
/// The Registry's name for the contract.
pub(crate) const KIP113: &str = "KIP113";

/// BLS public keys and proofs of possession as the KIP-113 contract at `contract` has them: nothing is verified.
///
/// # Errors
/// If the contract does not answer as its interface says.
pub fn bls_keys(view: View<'_>, contract: Address) -> Result<BTreeMap<Address, (Bytes, Bytes)>, SystemError> {
    let function = "getAllBlsInfo()";
    let (nodes, keys) = view.read(contract, function, abi::call(function, &[]), |values| {
        let nodes = values.list(|item| item.address())?;
        let keys = values.list(|key| {
            let mut key = key.tuple()?;
            Some((Bytes::copy_from_slice(key.bytes()?), Bytes::copy_from_slice(key.bytes()?)))
        })?;
        Some((nodes, keys))
    })?;
    if nodes.len() != keys.len() {
        return Err(SystemError::Malformed { contract, function });
    }
    Ok(nodes.into_iter().zip(keys).collect())
}

/// Makes a genesis in which Randao is active complete: a Registry, and a KIP-113 contract that has these keys (node,
/// public key of 48 bytes, proof of 96) for ever.
///
/// Such a chain cannot change its keys; it suits development chains and tests. Where validators come and go, use
/// [`install_bls_registry`](super::install_bls_registry).
pub fn fix_bls_keys(genesis: &mut Genesis, keys: &[(Address, Bytes, Bytes)]) {
    let code = answering(&encode_keys(keys));
    genesis.alloc.insert(FIXED_KEYS_ADDRESS, GenesisAccount { code, ..GenesisAccount::default() });
    put_registry(genesis, FIXED_KEYS_ADDRESS, keys.first().map(|(node, ..)| *node).unwrap_or_default());
}

/// Puts a Registry into a genesis that names the KIP-113 contract.
pub(super) fn put_registry(genesis: &mut Genesis, kip113: Address, owner: Address) {
    let config = RegistryConfig { records: BTreeMap::from([(KIP113.to_owned(), kip113)]), owner };
    let (code, storage) = (registry_code(), registry_storage(&config));
    genesis.alloc.insert(REGISTRY_ADDRESS, GenesisAccount { code, storage, ..GenesisAccount::default() });
    genesis.config.randao_registry = Some(config);
}

/// Code that gives `answer` to every call.
fn answering(answer: &[u8]) -> Bytes {
    const COPY_AND_RETURN: [u8; 12] = [0x80, 0x60, 0x0f, 0x60, 0x00, 0x39, 0x60, 0x00, 0xf3, 0x00, 0x00, 0x00];
    // PUSH2 length, DUP1, PUSH1 15, PUSH1 0, CODECOPY, PUSH1 0, RETURN, and the answer from byte 15 on.
    let len = u16::try_from(answer.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[0x61], &len[..], &COPY_AND_RETURN, answer].concat().into()
}

/// `(address[], (bytes, bytes)[])`
fn encode_keys(keys: &[(Address, Bytes, Bytes)]) -> Vec<u8> {
    const WORD: usize = 32;
    let word = |value: usize| U256::from(value).to_be_bytes::<WORD>();
    let nodes: Vec<u8> = keys.iter().flat_map(|(node, ..)| node.into_word().0).collect();
    let tuples: Vec<Vec<u8>> = keys
        .iter()
        .map(|(_, key, proof)| {
            let (key, proof) = (encode_bytes(key), encode_bytes(proof));
            [&word(2 * WORD)[..], &word(2 * WORD + key.len()), &key, &proof].concat()
        })
        .collect();
    let mut offsets = Vec::new();
    let mut at = keys.len() * WORD;
    for tuple in &tuples {
        offsets.extend(word(at));
        at += tuple.len();
    }
    let second = 3 * WORD + nodes.len();
    [&word(2 * WORD)[..], &word(second), &word(keys.len()), &nodes, &word(keys.len()), &offsets, &tuples.concat()]
        .concat()
}

pub(super) fn encode_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut out = U256::from(bytes.len()).to_be_bytes::<32>().to_vec();
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(32), 0);
    out
}
