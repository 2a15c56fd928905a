//! What headers voted for and ratified (spec 30, sections 7.2 to 7.4 and 7.11).

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use klay_core::{
    Address, Fork,
    block::Header,
    governance::{GovParams, GovernanceData, ParamName, ParamValue, Vote, VoteAction},
};
use klay_vm::system::{View, contract_items};
use serde_json::Value;

use super::{blocks::addresses, governance::shown};
use crate::rpc::{
    Namespace, RpcError, Services, Table,
    decode::BlockNumber,
    shapes::{Object, Put, bytes, number},
};

const GOVERNANCE: [Namespace; 1] = [Namespace::Governance];

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.heavy(&GOVERNANCE, "votes", move |(height,): (Option<BlockNumber>,)| {
        let votes = votes_of_epoch(&s, s.height(height.unwrap_or(BlockNumber::Latest)));
        Ok(votes.into_iter().map(|(block, name, value)| vote_json(block, name, &value)).collect::<Vec<_>>())
    });
    let s = Arc::clone(services);
    table.heavy(&GOVERNANCE, "myVotes", move |()| my_votes(&s));
    let s = Arc::clone(services);
    table.quick(&GOVERNANCE, "idxCache", move |()| Ok(ratified_blocks(&s)));
    let s = Arc::clone(services);
    table.heavy(&GOVERNANCE, "status", move |()| status(&s));
    let s = Arc::clone(services);
    table.heavy(&GOVERNANCE, "getContractParams", move |(height, contract): (BlockNumber, Option<Address>)| {
        contract_params(&s, s.height(height), contract)
    });
}

fn epoch(s: &Services) -> u64 {
    s.node.config().istanbul.map_or(1, |istanbul| istanbul.epoch).max(1)
}

/// Votes for parameters in the epoch of block `height`, in order.
fn votes_of_epoch(s: &Services, height: u64) -> Vec<(u64, ParamName, ParamValue)> {
    let first = height - height % epoch(s);
    votes_in(s, first..first.saturating_add(epoch(s)))
}

fn votes_in(s: &Services, blocks: Range<u64>) -> Vec<(u64, ParamName, ParamValue)> {
    let owned = |(block, name, value): (u64, ParamName, &ParamValue)| (block, name, value.clone());
    s.node.chain().with_schedule(|schedule| schedule.votes(blocks).map(owned).collect())
}

fn ratified_blocks(s: &Services) -> Vec<u64> {
    s.node.chain().with_schedule(|schedule| schedule.ratified_blocks().collect())
}

fn vote_json(block: u64, name: ParamName, value: &ParamValue) -> Value {
    let mut object = Object::new();
    object.put("BlockNum", block);
    object.put("Key", name.name());
    object.put("Value", voted(value));
    Value::Object(object)
}

/// A value as votes show it: amounts are numbers there, not text as among parameters.
fn voted(value: &ParamValue) -> Value {
    match value {
        ParamValue::Text(text) => Value::String(text.clone()),
        ParamValue::U64(value) => Value::from(*value),
        ParamValue::Bool(value) => Value::Bool(*value),
        ParamValue::Address(address) => bytes(address),
        ParamValue::Big(amount) => number(*amount),
    }
}

/// What a vote asks for; addresses of validators are a list.
fn wanted(action: &VoteAction) -> Value {
    match action {
        VoteAction::Param(_, value) => voted(value),
        VoteAction::AddValidator(list) | VoteAction::RemoveValidator(list) => Value::Array(addresses(list)),
    }
}

/// A vote as the status of governance shows it.
fn named_vote(voter: Address, action: &VoteAction) -> Value {
    let mut object = Object::new();
    object.put_hex("Voter", voter);
    object.put("Name", action.key());
    object.put("Value", wanted(action));
    Value::Object(object)
}

fn header(s: &Services, height: u64) -> Result<Header, RpcError> {
    s.node.chain().header(height).map_err(RpcError::from_error)
}

/// Votes of this node: those in the epoch of the head, then those that wait to be cast.
fn my_votes(s: &Services) -> Result<Vec<Value>, RpcError> {
    let mut mine = Vec::new();
    for (block, name, value) in votes_of_epoch(s, s.node.chain().head().number()) {
        let vote = Vote::decode(&header(s, block)?.vote);
        if vote.is_ok_and(|vote| vote.voter == s.node_address()) {
            let mut vote = vote_json(block, name, &value);
            if let Some(object) = vote.as_object_mut() {
                object.put("Casted", true);
            }
            mine.push(vote);
        }
    }
    for action in s.node.votes().waiting() {
        let mut object = Object::new();
        object.put("BlockNum", 0);
        object.put("Casted", false);
        object.put("Key", action.key());
        object.put("Value", wanted(&action));
        mine.push(Value::Object(object));
    }
    Ok(mine)
}

fn status(s: &Services) -> Result<Value, RpcError> {
    let mut grouped = BTreeMap::<u64, Object>::new();
    for (block, name, value) in votes_in(s, 0..u64::MAX) {
        let vote = Vote::decode(&header(s, block)?.vote).map_err(RpcError::from_error)?;
        let shown = named_vote(vote.voter, &VoteAction::Param(name, value));
        grouped.entry(block / epoch(s)).or_default().put(&block.to_string(), shown);
    }
    let (mut governances, mut history) = (Object::new(), Object::new());
    // The reference client starts its history with its own defaults, not with the configuration.
    let mut params = GovParams::default();
    for block in ratified_blocks(s) {
        let data = GovernanceData::decode(&header(s, block)?.governance).unwrap_or_default();
        let mut items = Object::new();
        for (name, value) in data.iter() {
            items.put(name.name(), shown(value));
            // Decoded data hold allowed values.
            let _ = params.set(name, value);
        }
        governances.put(&block.to_string(), items);
        history.put(&block.to_string(), history_entry(&params));
    }
    let mut object = Object::new();
    let grouped = grouped.into_iter().map(|(epoch, votes)| (epoch.to_string(), Value::Object(votes)));
    object.put("groupedVotes", grouped.collect::<Object>());
    object.put("governances", governances);
    object.put("govHistory", history);
    object.put_hex("nodeAddress", s.node_address());
    let waiting = s.node.votes().waiting();
    object.put("myVotes", waiting.iter().map(|action| named_vote(s.node_address(), action)).collect::<Vec<_>>());
    Ok(Value::Object(object))
}

/// What a governance contract says for block `height`, by default the one that headers name. It is asked in the newest
/// state; null if there is none or it does not answer.
fn contract_params(s: &Services, height: u64, contract: Option<Address>) -> Result<Value, RpcError> {
    let chain = s.node.chain();
    if !chain.rules_at(height).has(Fork::Kore) {
        return Err(RpcError::failed("ContractEngine is not ready"));
    }
    let contract =
        contract.unwrap_or_else(|| chain.with_schedule(|schedule| schedule.header_only_at(height).gov_param_contract));
    let (block, (_, state)) = (chain.head(), chain.head_state());
    let view = View { state: &state, header: &block.header, config: chain.config() };
    let items = contract_items(view, contract, height)?;
    let show = |(name, value): (ParamName, ParamValue)| (name.name().to_owned(), voted(&value));
    Ok(items.map_or(Value::Null, |items| Value::Object(items.into_iter().map(show).collect())))
}

/// Parameters under the reference client's own names.
fn history_entry(params: &GovParams) -> Object {
    const NAMES: [(&str, ParamName); 21] = [
        ("GovernanceMode", ParamName::GovernanceMode),
        ("GoverningNode", ParamName::GoverningNode),
        ("GovParamContract", ParamName::GovParamContract),
        ("CommitteeSize", ParamName::CommitteeSize),
        ("ProposerPolicy", ParamName::Policy),
        ("Epoch", ParamName::Epoch),
        ("Ratio", ParamName::Ratio),
        ("Kip82Ratio", ParamName::Kip82Ratio),
        ("StakingUpdateInterval", ParamName::StakingUpdateInterval),
        ("ProposerUpdateInterval", ParamName::ProposerUpdateInterval),
        ("MintingAmount", ParamName::MintingAmount),
        ("MinimumStake", ParamName::MinimumStake),
        ("UseGiniCoeff", ParamName::UseGiniCoeff),
        ("DeferredTxFee", ParamName::DeferredTxFee),
        ("LowerBoundBaseFee", ParamName::LowerBoundBaseFee),
        ("UpperBoundBaseFee", ParamName::UpperBoundBaseFee),
        ("GasTarget", ParamName::GasTarget),
        ("MaxBlockGasUsedForBaseFee", ParamName::MaxBlockGasUsedForBaseFee),
        ("BaseFeeDenominator", ParamName::BaseFeeDenominator),
        ("DeriveShaImpl", ParamName::DeriveShaImpl),
        ("UnitPrice", ParamName::UnitPrice),
    ];
    NAMES.iter().map(|(shown, name)| ((*shown).to_owned(), voted(&params.value(*name)))).collect()
}
