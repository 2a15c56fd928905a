//! Balances, nonces, codes, storage, accounts and their keys, proofs.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use klay_accounts::AccountKey;
use serde_json::{Value, json};

use super::{BOTH, KAIA};
use crate::rpc::{
    RpcError, Services, Table,
    decode::{BlockId, BlockNumber, KeyJson},
    shapes::{big, bytes, quantity},
};

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.quick(&BOTH, "getBalance", move |(address, id): (Address, BlockId)| {
        Ok(big(s.state(id)?.balance(address).map_err(RpcError::from_error)?))
    });
    let s = Arc::clone(services);
    table.quick(&BOTH, "getTransactionCount", move |(address, id): (Address, BlockId)| {
        if id == BlockId::Number(BlockNumber::Pending) {
            return Ok(quantity(s.node.pool().pending_nonce(address)));
        }
        Ok(quantity(s.state(id)?.nonce(address).map_err(RpcError::from_error)?))
    });
    let s = Arc::clone(services);
    table.quick(&BOTH, "getCode", move |(address, id): (Address, BlockId)| {
        Ok(bytes(s.state(id)?.code(address).map_err(RpcError::from_error)?))
    });
    let s = Arc::clone(services);
    table.quick(&BOTH, "getStorageAt", move |(address, slot, id): (Address, String, BlockId)| {
        let word = s.state(id)?.storage(address, slot_of(&slot)).map_err(RpcError::from_error)?;
        Ok(bytes(word.to_be_bytes::<32>()))
    });
    add_accounts(table, services);
    add_keys(table);
    let s = Arc::clone(services);
    table.heavy(&BOTH, "getProof", move |(address, slots, id): (Address, Vec<String>, BlockId)| {
        proof(&s, address, &slots, id)
    });
}

/// A slot as clients write it; text that is no hex reads as 0, longer text keeps its last 32 bytes.
fn slot_of(text: &str) -> B256 {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let padded = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
    let decoded = hex::decode(padded).unwrap_or_default();
    let tail = &decoded[decoded.len().saturating_sub(32)..];
    B256::left_padding_from(tail)
}

fn add_accounts(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.quick(&KAIA, "getAccount", move |(address, id): (Address, BlockId)| {
        s.state(id)?.account(address).map_err(RpcError::from_error)
    });
    let s = Arc::clone(services);
    table.quick(&KAIA, "getAccountKey", move |(address, id): (Address, BlockId)| {
        let account = s.state(id)?.account(address).map_err(RpcError::from_error)?;
        // A contract has no key; the reference client shows the key that nothing fits.
        Ok(account.map(|a| if a.is_contract() { AccountKey::Fail } else { a.key }))
    });
    let s = Arc::clone(services);
    table.quick(&KAIA, "accountCreated", move |(address, id): (Address, BlockId)| {
        s.state(id)?.exists(address).map_err(RpcError::from_error)
    });
    let s = Arc::clone(services);
    table.quick(&KAIA, "isContractAccount", move |(address, id): (Address, BlockId)| {
        let account = s.state(id)?.account(address).map_err(RpcError::from_error)?;
        Ok(account.is_some_and(|a| a.has_code()))
    });
}

fn add_keys(table: &mut Table) {
    table.quick(&KAIA, "encodeAccountKey", |(json,): (KeyJson,)| {
        let key = AccountKey::from_rpc_json(&json.into_value()).map_err(RpcError::from_error)?;
        Ok(bytes(key.encode()))
    });
    table.quick(&KAIA, "decodeAccountKey", |(encoded,): (Bytes,)| {
        AccountKey::decode(&encoded).map_err(|error| RpcError::from_error(error.kind))
    });
}

fn proof(s: &Services, address: Address, slots: &[String], id: BlockId) -> Result<Value, RpcError> {
    let state = s.state(id)?;
    let account = state.account(address).map_err(RpcError::from_error)?;
    let hex_list = |nodes: Vec<Bytes>| nodes.iter().map(bytes).collect::<Vec<_>>();
    let mut storage = Vec::with_capacity(slots.len());
    for text in slots {
        let slot = slot_of(text);
        let value = state.storage(address, slot).map_err(RpcError::from_error)?;
        let nodes = state.storage_proof(address, slot).map_err(RpcError::from_error)?;
        let nodes = if nodes.is_empty() { Value::Null } else { Value::Array(hex_list(nodes)) };
        storage.push(json!({ "key": text, "value": big(value), "proof": nodes }));
    }
    let nodes = state.account_proof(address).map_err(RpcError::from_error)?;
    Ok(json!({
        "address": bytes(address),
        "accountProof": hex_list(nodes),
        "balance": big(account.as_ref().map_or(U256::ZERO, |a| a.balance)),
        "codeHash": bytes(account.as_ref().map_or_else(|| keccak256([]), |a| a.program.code_hash)),
        "nonce": quantity(account.as_ref().map_or(0, |a| a.nonce)),
        "storageHash": bytes(account.as_ref().map_or_else(|| keccak256([0x80]), |a| a.program.storage_root)),
        "storageProof": storage,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_read_leniently() {
        assert_eq!(slot_of("0x1"), B256::with_last_byte(1));
        assert_eq!(slot_of("zz"), B256::ZERO);
        assert_eq!(slot_of(""), B256::ZERO);
        assert_eq!(slot_of(&format!("0x{}", "11".repeat(40))), B256::repeat_byte(0x11));
    }
}
