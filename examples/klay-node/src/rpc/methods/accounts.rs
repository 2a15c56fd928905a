//! Balances, nonces, codes, storage, accounts and their keys, proofs.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, hex};
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

/// A slot that a proof is asked for, and how it is named in the answer: one of 32 bytes as it is, a shorter one as a
/// quantity.
fn proof_key(text: &str) -> Result<(B256, Value), RpcError> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let even = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
    if even.len() > 2 * B256::len_bytes() {
        return Err(RpcError::failed("hex string too long, want at most 32 bytes"));
    }
    let decoded = hex::decode(&even).map_err(|_| RpcError::failed("hex string invalid"))?;
    let slot = B256::left_padding_from(&decoded);
    let shown = if decoded.len() == B256::len_bytes() { bytes(slot) } else { big(slot.into()) };
    Ok((slot, shown))
}

fn proof(s: &Services, address: Address, slots: &[String], id: BlockId) -> Result<Value, RpcError> {
    let keys = slots.iter().map(|text| proof_key(text)).collect::<Result<Vec<_>, _>>()?;
    let state = s.state(id)?;
    let account = state.account(address).map_err(RpcError::from_error)?;
    let account = account.ok_or(RpcError::failed("there is no account corresponding to the given address"))?;
    let hex_list = |nodes: Vec<Bytes>| nodes.iter().map(bytes).collect::<Vec<_>>();
    let mut storage = Vec::with_capacity(slots.len());
    for (slot, key) in keys {
        let value = state.storage(address, slot).map_err(RpcError::from_error)?;
        let nodes = state.storage_proof(address, slot).map_err(RpcError::from_error)?;
        let nodes = if nodes.is_empty() { Value::Null } else { Value::Array(hex_list(nodes)) };
        storage.push(json!({ "key": key, "value": big(value), "proof": nodes }));
    }
    let nodes = state.account_proof(address).map_err(RpcError::from_error)?;
    Ok(json!({
        "address": bytes(address),
        "accountProof": hex_list(nodes),
        "balance": big(account.balance),
        "codeHash": bytes(account.program.code_hash),
        "nonce": quantity(account.nonce),
        "storageHash": bytes(account.program.storage_root),
        "storageProof": storage,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_proofs_come_back_as_given() {
        let long = format!("0x{}", "0".repeat(64));
        assert_eq!(proof_key(&long), Ok((B256::ZERO, Value::String(long.clone()))));
        assert_eq!(proof_key("0x01"), Ok((B256::with_last_byte(1), Value::String("0x1".to_owned()))));
        assert!(proof_key("0xzz").is_err() && proof_key(&format!("{long}00")).is_err());
    }

    #[test]
    fn slots_are_read_leniently() {
        assert_eq!(slot_of("0x1"), B256::with_last_byte(1));
        assert_eq!(slot_of("zz"), B256::ZERO);
        assert_eq!(slot_of(""), B256::ZERO);
        assert_eq!(slot_of(&format!("0x{}", "11".repeat(40))), B256::repeat_byte(0x11));
    }
}
