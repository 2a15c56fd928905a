//! Parameters, configuration, council and committee (spec 30, section 7.11).

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use klay_core::{
    Fork,
    block::IstanbulExtra,
    governance::{GovParams, ParamName, ParamValue},
};
use serde_json::{Number, Value};

use super::{KAIA, blocks::addresses};
use crate::{
    SealedBlock,
    rpc::{
        Namespace, RpcError, Services, Table,
        decode::BlockNumber,
        shapes::{Object, Put, bytes},
    },
};

/// Who may seal a block.
#[derive(Debug, Clone)]
pub(super) struct Council {
    /// All validators.
    pub council: Vec<Address>,
    /// Those who were asked for this block.
    pub committee: Vec<Address>,
    /// Who should have proposed it in round 0, where that is known.
    pub origin_proposer: Option<Address>,
}

/// The council of a block.
pub(super) fn council_of(_s: &Services, block: &SealedBlock) -> Result<Council, RpcError> {
    let extra = IstanbulExtra::decode(&block.header.extra).map_err(|_| RpcError::failed("internal error"))?;
    let round = extra.vanity[31];
    let mut council = extra.validators;
    council.sort_unstable();
    Ok(Council { committee: council.clone(), council, origin_proposer: Some(block.proposer).filter(|_| round == 0) })
}

fn council_at(s: &Services, number: Option<BlockNumber>) -> Result<Council, RpcError> {
    let block = s.block(number.unwrap_or(BlockNumber::Latest))?.ok_or(RpcError::UnknownBlock)?;
    council_of(s, &block)
}

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getCouncil", move |(number,): (Option<BlockNumber>,)| {
        Ok(addresses(&council_at(&s, number)?.council))
    });
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getCouncilSize", move |(number,): (Option<BlockNumber>,)| {
        Ok(council_at(&s, number)?.council.len())
    });
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getCommittee", move |(number,): (Option<BlockNumber>,)| {
        Ok(addresses(&council_at(&s, number)?.committee))
    });
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getCommitteeSize", move |(number,): (Option<BlockNumber>,)| {
        Ok(council_at(&s, number)?.committee.len())
    });
    add_validators(table, services);
    add_params(table, services);
}

fn add_validators(table: &mut Table, services: &Arc<Services>) {
    let istanbul = [Namespace::Istanbul];
    let s = Arc::clone(services);
    table.heavy(&istanbul, "getValidators", move |(number,): (Option<BlockNumber>,)| {
        Ok(addresses(&council_at(&s, number)?.council))
    });
    let s = Arc::clone(services);
    table.heavy(&istanbul, "getValidatorsAtHash", move |(hash,): (B256,)| {
        let block = s.block_by_hash(hash)?.ok_or(RpcError::UnknownBlock)?;
        Ok(addresses(&council_of(&s, &block)?.council))
    });
    let s = Arc::clone(services);
    table.heavy(&istanbul, "getDemotedValidators", move |(number,): (Option<BlockNumber>,)| {
        council_at(&s, number).map(|_| Vec::<Value>::new())
    });
    let s = Arc::clone(services);
    table.heavy(&istanbul, "getDemotedValidatorsAtHash", move |(hash,): (B256,)| {
        s.block_by_hash(hash)?.ok_or(RpcError::UnknownBlock).map(|_| Vec::<Value>::new())
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
        let value = match params.value(name) {
            ParamValue::Text(text) => Value::String(text),
            ParamValue::U64(number) => Value::Number(Number::from(number)),
            ParamValue::Bool(is_set) => Value::Bool(is_set),
            ParamValue::Address(address) => bytes(address),
            ParamValue::Big(amount) => Value::String(amount.to_string()),
        };
        object.put(name.name(), value);
    }
    Value::Object(object)
}
