//! Readers of the Registry of KIP-149 and of the BLS keys of KIP-113 (spec 30, section 8).

use std::sync::Arc;

use alloy_primitives::hex;
use klay_core::Fork;
use klay_vm::{
    randao::{ProposerKeys, ProvenKey, RandaoError},
    system::{REGISTRY_ADDRESS, SystemError, View, active_address, all_records},
};
use serde_json::{Value, json};

use super::KAIA;
use crate::rpc::{
    RpcError, Services, Table,
    decode::BlockNumber,
    shapes::{Object, Put, bytes, number},
};

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getAllRecordsFromRegistry", move |(name, height): (String, BlockNumber)| {
        let records = read(&s, s.height(height), |view| all_records(view, &name))?;
        if records.is_empty() {
            return Err(RpcError::failed(format!("{name} has not been registered")));
        }
        let record = |(address, activation)| json!({ "addr": bytes(address), "activation": number(activation) });
        Ok(records.into_iter().map(record).collect::<Vec<_>>())
    });
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getActiveAddressFromRegistry", move |(name, number): (String, BlockNumber)| {
        let address = read(&s, s.height(number), |view| active_address(view, &name))?;
        if address.is_zero() {
            return Err(RpcError::failed(format!("no active address for {name}")));
        }
        Ok(bytes(address))
    });
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getBlsInfos", move |(number,): (BlockNumber,)| bls_infos(&s, s.height(number)));
}

/// Reads the state after a block at which Randao is active.
fn read<T>(s: &Services, height: u64, read: impl FnOnce(View<'_>) -> Result<T, SystemError>) -> Result<T, RpcError> {
    let chain = s.node.chain();
    if !chain.rules_at(height).has(Fork::Randao) {
        return Err(RpcError::failed("Randao fork is not enabled"));
    }
    let block = s.block(BlockNumber::Number(height))?.ok_or(RpcError::failed("block does not exist in blockchain"))?;
    let state = s.state_after(&block)?;
    if state.code(REGISTRY_ADDRESS)?.is_empty() {
        return Err(RpcError::failed(NO_REGISTRY));
    }
    read(View { state: &state, header: &block.header, config: chain.config() }).map_err(|error| silent(&error))
}

const NO_REGISTRY: &str = "Registry contract not installed";

/// What the reference client says of a contract that does not answer.
pub(super) fn silent(error: &SystemError) -> RpcError {
    match error {
        SystemError::NoCode { contract: REGISTRY_ADDRESS, .. } => RpcError::failed(NO_REGISTRY),
        SystemError::NoCode { .. } => RpcError::failed("no contract code at given address"),
        SystemError::Failed { status, .. } => RpcError::failed(status.error_text().unwrap_or("execution failed")),
        other => RpcError::from_error(other),
    }
}

/// The keys that count at a block: those in the state of its parent.
fn bls_infos(s: &Services, height: u64) -> Result<Value, RpcError> {
    let chain = s.node.chain();
    if !chain.rules_at(height).has(Fork::Randao) {
        return Err(RpcError::failed("cannot read kip113 address from registry before randao fork"));
    }
    let parent = height.checked_sub(1).ok_or(RpcError::failed("block number cannot be zero"))?;
    let parent = s.block(BlockNumber::Number(parent))?.ok_or(RpcError::failed("unknown ancestor"))?;
    let state = s.state_after(&parent)?;
    let view = View { state: &state, header: &parent.header, config: chain.config() };
    let keys = ProposerKeys::default().registered(view).map_err(|error| match error {
        RandaoError::System(error) => silent(&error),
        other => RpcError::from_error(other),
    })?;
    let mut object = Object::new();
    for (node, (key, proof)) in keys.iter() {
        // The reference client's error is an object without members.
        let refusal = ProvenKey::new(key, proof).err().map(|_| Object::new());
        let info = json!({ "publicKey": hex::encode(key), "pop": hex::encode(proof), "verifyErr": refusal });
        object.put(&node.to_string(), info);
    }
    Ok(Value::Object(object))
}
