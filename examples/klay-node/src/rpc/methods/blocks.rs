//! Blocks, headers, counts, uncles, consensus information.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use klay_consensus::valset::AddressSet;
use klay_core::block::IstanbulExtra;
use serde_json::Value;

use super::{BOTH, ETH, KAIA};
use crate::{
    SealedBlock,
    rpc::{
        Namespace, RpcError, Services, Table,
        decode::{BlockId, BlockNumber, HexUint},
        shapes::{Flavour, Object, Put, block, bytes, receipt::Shown, tx::TxPlace},
    },
};

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    for (flavour, namespace) in [(Flavour::Kaia, &KAIA), (Flavour::Eth, &ETH)] {
        add_flavour(table, services, flavour, namespace);
    }
    let s = Arc::clone(services);
    table.heavy(&BOTH, "getBlockTransactionCountByNumber", move |(number,): (BlockNumber,)| {
        Ok(count(s.block(number)?.as_deref()))
    });
    let s = Arc::clone(services);
    table.heavy(&BOTH, "getBlockTransactionCountByHash", move |(hash,): (B256,)| {
        Ok(count(s.block_by_hash(hash)?.as_deref()))
    });
    add_uncles(table, services);
    add_consensus(table, services);
}

fn add_flavour(table: &mut Table, services: &Arc<Services>, flavour: Flavour, namespace: &[Namespace]) {
    let show = move |s: &Services, found: Arc<SealedBlock>, is_full| {
        Value::Object(block::block(&found, s.rules(&found), flavour, is_full))
    };
    let s = Arc::clone(services);
    table.heavy(namespace, "getBlockByNumber", move |(number, is_full): (BlockNumber, bool)| {
        match s.block(number)? {
            Some(found) => Ok(without_seal(show(&s, found, is_full), number)),
            None if flavour == Flavour::Eth => Ok(Value::Null),
            None => Err(RpcError::NoBlockNumber(s.height(number))),
        }
    });
    let s = Arc::clone(services);
    table.heavy(namespace, "getBlockByHash", move |(hash, is_full): (B256, bool)| match s.block_by_hash(hash)? {
        Some(found) => Ok(show(&s, found, is_full)),
        None if flavour == Flavour::Eth => Ok(Value::Null),
        None => Err(RpcError::NoBlockHash(hash)),
    });
    let s = Arc::clone(services);
    table.heavy(namespace, "getHeaderByNumber", move |(number,): (BlockNumber,)| match s.block(number)? {
        Some(found) => {
            let header = Value::Object(block::header(&found, s.rules(&found), flavour));
            Ok(if flavour == Flavour::Eth { without_seal(header, number) } else { header })
        }
        None if flavour == Flavour::Eth => Ok(Value::Null),
        None => Err(RpcError::NoHeaderNumber(s.height(number))),
    });
    let s = Arc::clone(services);
    table.heavy(namespace, "getHeaderByHash", move |(hash,): (B256,)| match s.block_by_hash(hash)? {
        Some(found) => Ok(Value::Object(block::header(&found, s.rules(&found), flavour))),
        None if flavour == Flavour::Eth => Ok(Value::Null),
        None => Err(RpcError::NoHeaderHash(hash)),
    });
    let s = Arc::clone(services);
    table.heavy(namespace, "getBlockReceipts", move |(id,): (BlockId,)| {
        receipts(&s, &*s.known_block_by_id(id)?, flavour)
    });
}

/// The pending block, which is the head, is shown without what a seal gives it.
fn without_seal(mut shown: Value, number: BlockNumber) -> Value {
    if let (BlockNumber::Pending, Some(members)) = (number, shown.as_object_mut()) {
        for name in ["hash", "nonce", "miner"] {
            members.put(name, Value::Null);
        }
    }
    shown
}

/// All receipts of a block.
fn receipts(s: &Services, block: &SealedBlock, flavour: Flavour) -> Result<Vec<Value>, RpcError> {
    let found = s.node.chain().receipts(block.number()).map_err(RpcError::from_error)?.unwrap_or_default();
    let rules = s.rules(block);
    let show = |(index, tx)| {
        let shown = Shown { tx, place: TxPlace::new(block, index, rules), receipts: &found };
        match flavour {
            Flavour::Kaia => shown.kaia(),
            Flavour::Eth => shown.eth(),
        }
        .map(Value::Object)
    };
    block.transactions.iter().enumerate().map(show).collect::<Option<_>>().ok_or(RpcError::failed("internal error"))
}

fn count(block: Option<&SealedBlock>) -> Value {
    block.map_or(Value::Null, |b| crate::rpc::shapes::quantity(b.transactions.len() as u64))
}

fn add_uncles(table: &mut Table, services: &Arc<Services>) {
    table.quick(&ETH, "getUncleByBlockNumberAndIndex", |_: (BlockNumber, HexUint)| Ok(Value::Null));
    table.quick(&ETH, "getUncleByBlockHashAndIndex", |_: (B256, HexUint)| Ok(Value::Null));
    let s = Arc::clone(services);
    table.heavy(&ETH, "getUncleCountByBlockNumber", move |(number,): (BlockNumber,)| {
        Ok(s.block(number)?.map(|_| "0x0"))
    });
    let s = Arc::clone(services);
    table.heavy(&ETH, "getUncleCountByBlockHash", move |(hash,): (B256,)| Ok(s.block_by_hash(hash)?.map(|_| "0x0")));
}

/// Most blocks between the ends of a range.
const MAX_RANGE: u64 = 50;

fn add_consensus(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getBlockWithConsensusInfoByNumber", move |(number,): (Option<BlockNumber>,)| {
        let number = number.ok_or(RpcError::failed("block number is not assigned"))?;
        with_consensus(&s, &*s.known_block(number)?).map(|shown| without_seal(shown, number))
    });
    let s = Arc::clone(services);
    table.heavy(&KAIA, "getBlockWithConsensusInfoByHash", move |(hash,): (B256,)| {
        with_consensus(&s, &*s.known_block_by_hash(hash)?)
    });
    let s = Arc::clone(services);
    table.heavy(
        &KAIA,
        "getBlockWithConsensusInfoByNumberRange",
        move |(start, end): (Option<BlockNumber>, Option<BlockNumber>)| {
            let (Some(start), Some(end)) = (start, end) else {
                return Err(RpcError::failed("range values should not be nil"));
            };
            // Words are numbers below zero to the reference client.
            match (start, end) {
                (BlockNumber::Number(start), BlockNumber::Number(end)) => range(&s, start, end),
                (BlockNumber::Number(_), _) => Err(RpcError::failed("start should be smaller than end")),
                _ => Err(RpcError::failed("start block number should be positive")),
            }
        },
    );
}

fn range(s: &Services, start: u64, end: u64) -> Result<Value, RpcError> {
    if end > s.node.chain().head().number() {
        return Err(RpcError::failed("end block number should be smaller than the latest block number"));
    }
    if start > end {
        return Err(RpcError::failed("start should be smaller than end"));
    }
    if end - start > MAX_RANGE {
        return Err(RpcError::failed("number of requested blocks should be smaller than 50"));
    }
    let mut object = Object::new();
    for number in start..=end {
        let shown = s.known_block(BlockNumber::Number(number)).and_then(|block| with_consensus(s, &block));
        object.put(&format!("{number:#x}"), shown.unwrap_or_default());
    }
    Ok(Value::Object(object))
}

/// A block with its receipts and with who agreed on it.
fn with_consensus(s: &Services, sealed: &SealedBlock) -> Result<Value, RpcError> {
    let mut object = block::block(sealed, s.rules(sealed), Flavour::Kaia, false);
    object.put("transactions", receipts(s, sealed, Flavour::Kaia)?);
    let header = &sealed.header;
    if sealed.number() == 0 {
        object.put("committee", Value::Null);
        object.put("committers", Value::Null);
        object.put_hex("sigHash", B256::ZERO);
        object.put_hex("proposer", Address::ZERO);
        object.put("originProposer", Value::Null);
        object.put("round", 0);
        return Ok(Value::Object(object));
    }
    let broken = || RpcError::failed("internal error");
    let registered = s.node.chain().registered_at(sealed.number()).map_err(RpcError::from_error)?;
    let committers = s.node.engine().committers(header, sealed.hash, &registered).ok_or_else(broken)?;
    let round = IstanbulExtra::decode(&header.extra).map_err(|_| broken())?.round();
    let chain = s.node.chain();
    // Here as a set, in the order of addresses; `getCommittee` gives the order in which it is drawn.
    let committee = super::governance::committee_of(s, sealed).map(AddressSet::new);
    object.put("committee", committee.ok().map(|set| addresses(set.as_slice())));
    object.put("committers", addresses(&committers));
    object.put_hex("sigHash", header.seal_hash());
    object.put_hex("proposer", sealed.proposer);
    object.put("originProposer", chain.proposer_at(sealed.number(), 0).ok().map(bytes));
    object.put("round", round);
    Ok(Value::Object(object))
}

/// A list of addresses.
pub(super) fn addresses(list: &[Address]) -> Vec<Value> {
    list.iter().map(bytes).collect()
}
