//! Messages: signing, and who signed (spec 20, section 4.6).

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use klay_accounts::{AccountKey, key::MultiSigRules};
use klay_core::{PublicKey, auth::Role, crypto, tx::HashedTx};
use serde_json::Value;

use super::{BOTH, KAIA, blocks::addresses};
use crate::{
    Fee,
    rpc::{
        RpcError, Services, Table,
        decode::{BlockId, BlockNumber},
        shapes::bytes,
    },
};

/// How a message is framed before it is hashed.
#[derive(Debug, Clone, Copy)]
enum Prefix {
    /// KIP-97.
    Klaytn,
    /// EIP-191.
    Ethereum,
}

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.quick(&BOTH, "accounts", move |()| Ok(addresses(&s.addresses())));
    let s = Arc::clone(services);
    table.quick(&BOTH, "sign", move |(address, data): (Address, Bytes)| sign(&s, address, &data, None));
    let s = Arc::clone(services);
    table.quick(
        &KAIA,
        "recoverFromMessage",
        move |(address, data, signature, number): (Address, Bytes, Bytes, BlockNumber)| {
            recover_from_message(&s, address, &data, &signature, number)
        },
    );
    let s = Arc::clone(services);
    table.heavy(&KAIA, "recoverFromTransaction", move |(raw, number): (Bytes, BlockNumber)| {
        recover_from_transaction(&s, &raw, number)
    });
}

fn message_hash(prefix: Prefix, data: &[u8]) -> B256 {
    let name = match prefix {
        Prefix::Klaytn => "Klaytn",
        Prefix::Ethereum => "Ethereum",
    };
    let mut framed = format!("\x19{name} Signed Message:\n{}", data.len()).into_bytes();
    framed.extend_from_slice(data);
    keccak256(framed)
}

/// Signs a message; with a password also by a locked key.
pub(super) fn sign(s: &Services, address: Address, data: &[u8], password: Option<&str>) -> Result<Value, RpcError> {
    let hash = message_hash(Prefix::Ethereum, data);
    let signature = s.sign(address, hash, password)?;
    let mut compact = Vec::with_capacity(65);
    compact.extend_from_slice(&signature.r.to_be_bytes::<32>());
    compact.extend_from_slice(&signature.s.to_be_bytes::<32>());
    compact.push(if signature.v.is_zero() { 27 } else { 28 });
    Ok(bytes(compact))
}

/// Who signed a message, going by the signature alone.
pub(super) fn ec_recover(data: &[u8], signature: &[u8]) -> Result<Value, RpcError> {
    let signature = checked_signature(signature)?;
    Ok(bytes(signer(Prefix::Ethereum, data, &signature)?.address()))
}

/// A signature over a message: `r`, `s`, and `v` 27 or 28, which is turned into 0 or 1.
fn checked_signature(signature: &[u8]) -> Result<[u8; 65], RpcError> {
    let mut signature: [u8; 65] =
        signature.try_into().map_err(|_| RpcError::failed("signature must be 65 bytes long"))?;
    signature[64] = match signature[64] {
        27 => 0,
        28 => 1,
        _ => return Err(RpcError::failed("invalid signature (V is not 27 or 28)")),
    };
    Ok(signature)
}

fn signer(prefix: Prefix, data: &[u8], signature: &[u8; 65]) -> Result<PublicKey, RpcError> {
    let (r, rest) = signature.split_at(32);
    let s = U256::from_be_slice(&rest[..32]);
    crypto::recover(message_hash(prefix, data), rest[32] == 1, U256::from_be_slice(r), s)
        .map_err(|_| RpcError::failed("invalid signature"))
}

fn recover_from_message(
    s: &Services,
    address: Address,
    data: &[u8],
    signature: &[u8],
    number: BlockNumber,
) -> Result<Value, RpcError> {
    let signature = checked_signature(signature)?;
    let account = s.state(BlockId::Number(number))?.account(address).map_err(RpcError::from_error)?;
    let key = account.map_or(AccountKey::Legacy, |account| account.key);
    for prefix in [Prefix::Klaytn, Prefix::Ethereum] {
        let signer = signer(prefix, data, &signature)?;
        if key.validate_member(address, &signer) {
            return Ok(bytes(signer.address()));
        }
    }
    Err(RpcError::failed("Invalid signature"))
}

fn recover_from_transaction(s: &Services, raw: &[u8], number: BlockNumber) -> Result<Value, RpcError> {
    let Some(first) = raw.first() else { return Err(RpcError::failed("Empty input")) };
    let decoded = if (1..8).contains(first) { HashedTx::<Fee>::decode_ethereum(raw) } else { HashedTx::decode(raw) };
    let hashed = decoded.map_err(|error| super::raw::malformed(&error, raw))?;
    let block = s.state_block(BlockId::Number(number))?;
    let tx = hashed.recover(s.node.config().chain_id).map_err(RpcError::from_error)?;
    let account = s.state_after(&block)?.account(tx.sender()).map_err(RpcError::from_error)?;
    let key = account.map_or(AccountKey::Legacy, |account| account.key);
    let view = tx.view();
    if !klay_vm::validate::is_active(view.tx_type, s.rules(&block)) {
        return Err(RpcError::failed("transaction type not supported"));
    }
    match tx.auth() {
        klay_core::tx::SenderAuth::Address if key.is_legacy() => Ok(bytes(tx.sender())),
        klay_core::tx::SenderAuth::Address => {
            Err(RpcError::failed("a legacy transaction must be with a legacy account key"))
        }
        klay_core::tx::SenderAuth::Keys(keys) => {
            let rules = MultiSigRules::of(s.rules(&block));
            let role: Role = view.role;
            key.validate(role, tx.sender(), keys, rules).map_err(RpcError::from_error)?;
            Ok(bytes(tx.sender()))
        }
    }
}
