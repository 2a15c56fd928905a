//! Parameters, configuration, council and committee (spec 30, section 7.11).

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256};
use klay_consensus::valset::AddressSet;
use klay_core::{
    Fork,
    governance::{GovParams, ParamName, ParamValue},
};
use parking_lot::Mutex;
use serde_json::Value;

use super::{KAIA, blocks::addresses};
use crate::{
    SealedBlock,
    council::BlockCouncil,
    rpc::{
        Namespace, RpcError, Services, Table,
        decode::BlockNumber,
        shapes::{Object, Put, bytes},
    },
};

/// How long a round lasts before the next one, by the reference client's settings, in milliseconds.
const ROUND_TIMEOUT_MS: u64 = 10_000;
/// Most notes about candidates.
const MAX_CANDIDATES: usize = 1_000;

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getCouncil", move |(number,): (Option<BlockNumber>,)| Ok(addresses(&council(&s, number)?)));
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getCouncilSize", move |(number,): (Option<BlockNumber>,)| Ok(council(&s, number)?.len()));
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getCommittee", move |(number,): (Option<BlockNumber>,)| Ok(addresses(&committee(&s, number)?)));
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getCommitteeSize", move |(number,): (Option<BlockNumber>,)| Ok(committee(&s, number)?.len()));
    add_validators(table, services);
    add_params(table, services);
}

/// The height of a block or of the one after the head, whose validators are known already.
fn height_until_next(s: &Services, number: Option<BlockNumber>) -> Result<u64, RpcError> {
    let next = s.node.chain().head().number() + 1;
    match number {
        None | Some(BlockNumber::Latest) => Ok(next - 1),
        Some(BlockNumber::Pending) => Ok(next),
        Some(BlockNumber::Number(number)) if number > next => Err(RpcError::UnknownBlock),
        Some(BlockNumber::Number(number)) => Ok(number),
    }
}

/// All registered validators.
fn council(s: &Services, number: Option<BlockNumber>) -> Result<Vec<Address>, RpcError> {
    let council = s.node.chain().registered_at(height_until_next(s, number)?).map_err(RpcError::from_error)?;
    Ok(council.as_slice().to_vec())
}

/// Who voted in the round that decided a block.
fn committee(s: &Services, number: Option<BlockNumber>) -> Result<Vec<Address>, RpcError> {
    let height = height_until_next(s, number)?;
    if height > s.node.chain().head().number() {
        // It depends on the round.
        return Err(RpcError::failed("pending is not allowed"));
    }
    committee_of(s, &*s.known_block(BlockNumber::Number(height))?)
}

/// As [`committee`].
pub(super) fn committee_of(s: &Services, block: &SealedBlock) -> Result<Vec<Address>, RpcError> {
    let (council, engine) = (council_at(s, block.number())?, s.node.engine());
    let round = engine.decided_in(&block.header, block.hash, council.council());
    let round = round.ok_or_else(|| RpcError::failed("internal error"))?;
    engine.members(&council, round).map_err(RpcError::from_error)
}

fn council_at(s: &Services, height: u64) -> Result<Arc<BlockCouncil>, RpcError> {
    s.node.chain().council_at(height).map_err(RpcError::from_error)
}

fn add_validators(table: &mut Table, services: &Arc<Services>) {
    let istanbul = [Namespace::Istanbul];
    type Which = fn(&BlockCouncil) -> &AddressSet;
    let kinds: [(&str, &str, Which); 2] = [
        ("getValidators", "getValidatorsAtHash", BlockCouncil::qualified),
        ("getDemotedValidators", "getDemotedValidatorsAtHash", BlockCouncil::demoted),
    ];
    for (by_number, by_hash, which) in kinds {
        let s = Arc::clone(services);
        table.heavy(&istanbul, by_number, move |(number,): (Option<BlockNumber>,)| {
            let council = council_at(&s, height_until_next(&s, number)?)?;
            Ok(addresses(which(&council).as_slice()))
        });
        let s = Arc::clone(services);
        table.heavy(&istanbul, by_hash, move |(hash,): (B256,)| {
            let block = s.block_by_hash(hash)?.ok_or(RpcError::UnknownBlock)?;
            Ok(addresses(which(&*council_at(&s, block.number())?).as_slice()))
        });
    }
    add_candidates(table);
    table.quick(&istanbul, "getTimeout", |()| Ok(ROUND_TIMEOUT_MS));
}

/// Notes about who should become a validator, or stop to be one. As in the reference client they lead to nothing: votes
/// are cast by governance.
fn add_candidates(table: &mut Table) {
    let istanbul = [Namespace::Istanbul];
    let notes = Arc::new(Mutex::new(BTreeMap::<Address, bool>::new()));
    let n = Arc::clone(&notes);
    table.quick(&istanbul, "candidates", move |()| Ok(n.lock().clone()));
    let n = Arc::clone(&notes);
    table.quick(&istanbul, "propose", move |(address, is_wanted): (Address, bool)| {
        let mut notes = n.lock();
        if notes.len() < MAX_CANDIDATES || notes.contains_key(&address) {
            notes.insert(address, is_wanted);
        }
        Ok(())
    });
    table.quick(&istanbul, "discard", move |(address,): (Address,)| {
        notes.lock().remove(&address);
        Ok(())
    });
}

fn add_params(table: &mut Table, services: &Arc<Services>) {
    let both = [Namespace::Kaia, Namespace::Governance];
    for name in ["getParams", "itemsAt"] {
        let namespaces = if name == "getParams" { &both[..] } else { &both[1..] };
        let s = Arc::clone(services);
        table.quick(namespaces, name, move |(number,): (Option<BlockNumber>,)| {
            Ok(params_json(&shown_params(&s, s.height(number.unwrap_or(BlockNumber::Latest)))))
        });
    }
    for (name, namespaces) in
        [("getChainConfig", &both[..1]), ("chainConfigAt", &both[1..]), ("chainConfig", &both[1..])]
    {
        let s = Arc::clone(services);
        table.quick(namespaces, name, move |(number,): (Option<BlockNumber>,)| {
            let number = s.height(number.unwrap_or(BlockNumber::Latest));
            Ok(s.node.config().clone().with_params(&shown_params(&s, number)))
        });
    }
    for namespace in both {
        let s = Arc::clone(services);
        table.quick(&[namespace], "nodeAddress", move |()| Ok(bytes(s.node_address())));
    }
    for (name, namespace) in
        [("rewardbase", Namespace::Kaia), ("etherbase", Namespace::Eth), ("coinbase", Namespace::Eth)]
    {
        let s = Arc::clone(services);
        table.quick(&[namespace], name, move |()| Ok(bytes(s.node_address())));
    }
}

/// The parameters at a height, without those that a fork made meaningless.
fn shown_params(s: &Services, number: u64) -> GovParams {
    let mut params = (*s.params(number)).clone();
    let rules = s.node.chain().rules_at(number);
    if rules.has(Fork::Kore) {
        params.use_gini_coeff = false;
    }
    if rules.has(Fork::Randao) {
        params.proposer_update_interval = 1;
    }
    if rules.has(Fork::Kaia) {
        params.staking_update_interval = 1;
    }
    params
}

fn params_json(params: &GovParams) -> Value {
    let mut object = Object::new();
    for name in ParamName::ALL {
        object.put(name.name(), shown(&params.value(name)));
    }
    Value::Object(object)
}

/// A parameter's value; amounts are text.
pub(super) fn shown(value: &ParamValue) -> Value {
    match value {
        ParamValue::Text(text) => Value::String(text.clone()),
        ParamValue::U64(number) => Value::from(*number),
        ParamValue::Bool(is_set) => Value::Bool(*is_set),
        ParamValue::Address(address) => bytes(address),
        ParamValue::Big(amount) => Value::String(amount.to_string()),
    }
}
