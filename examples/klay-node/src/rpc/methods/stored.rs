//! `debug_`: blocks as they are stored, and which accounts they changed.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, hex, keccak256};
use serde_json::Value;

use super::blocks::addresses;
use crate::{
    SealedBlock,
    rpc::{
        Namespace, RpcError, Services, Table,
        decode::{BlockId, BlockNumber},
        remade::{MAX_BLOCKS, MAX_TRANSACTIONS, execute},
    },
};

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let debug = [Namespace::Debug];
    let s = Arc::clone(services);
    table.heavy(&debug, "getBlockRlp", move |(id,): (BlockId,)| {
        let block = named_block(&s, id)?;
        let stored = s.node.chain().block_rlp(block.number()).map_err(RpcError::from_error)?;
        stored.map(hex::encode).ok_or(RpcError::failed("internal error"))
    });
    let s = Arc::clone(services);
    table.heavy(&debug, "getModifiedAccountsByNumber", move |(start, end): (BlockNumber, Option<BlockNumber>)| {
        let find = |number, which| {
            let not_found = || format!("{which} block number #{} not found", s.height(number));
            s.block(number)?.ok_or_else(|| RpcError::failed(not_found()))
        };
        let (start, end) = (find(start, "start")?, end.map(|end| find(end, "end")).transpose()?);
        ascending(&start, end.as_deref())?;
        modified(&s, start, end, |block| format!("block number #{} has no parent", block.number()))
    });
    let s = Arc::clone(services);
    table.heavy(&debug, "getModifiedAccountsByHash", move |(start, end): (B256, Option<B256>)| {
        let find = |hash: B256, which| {
            s.block_by_hash(hash)?.ok_or_else(|| RpcError::failed(format!("{which} block {hash:x} not found")))
        };
        let (start, end) = (find(start, "start")?, end.map(|end| find(end, "end")).transpose()?);
        ascending(&start, end.as_deref())?;
        modified(&s, start, end, |block| format!("block {:x} has no parent", block.hash))
    });
}

/// A block, or an error that names it.
pub(super) fn named_block(s: &Services, id: BlockId) -> Result<Arc<SealedBlock>, RpcError> {
    let found = match id {
        BlockId::Number(number) => s.block(number)?.ok_or_else(|| format!("#{}", s.height(number))),
        BlockId::Hash(hash) => s.block_by_hash(hash)?.ok_or_else(|| hash.to_string()),
        BlockId::Neither => Err(String::new()),
    };
    found.map_err(|named| RpcError::failed(format!("block {named} not found")))
}

fn ascending(start: &SealedBlock, end: Option<&SealedBlock>) -> Result<(), RpcError> {
    match end.map(SealedBlock::number) {
        Some(end) if start.number() >= end => {
            let start = start.number();
            Err(RpcError::failed(format!("start block height ({start}) must be less than end block height ({end})")))
        }
        _ => Ok(()),
    }
}

/// Accounts that are there after `end` and were not, or were others, after `start`; by default those that `start`
/// changed. In the order of the state trie.
fn modified(
    s: &Services,
    start: Arc<SealedBlock>,
    end: Option<Arc<SealedBlock>>,
    no_parent: impl FnOnce(&SealedBlock) -> String,
) -> Result<Vec<Value>, RpcError> {
    let (start, end) = match end {
        Some(end) => (start, end),
        None => (s.block_by_hash(start.header.parent_hash)?.ok_or_else(|| RpcError::failed(no_parent(&start)))?, start),
    };
    let touched = touched(s, start.number().min(end.number()), start.number().max(end.number()))?;
    let (before, after) = (s.state_after(&start)?, s.state_after(&end)?);
    let mut found = Vec::new();
    for address in touched.into_values() {
        let account = after.account(address)?;
        if account.is_some() && account != before.account(address)? {
            found.push(address);
        }
    }
    Ok(addresses(&found))
}

/// What the blocks after `first` up to `last` change, by the keys of the state trie. They are executed again.
fn touched(s: &Services, first: u64, last: u64) -> Result<BTreeMap<B256, Address>, RpcError> {
    let too_long = || RpcError::failed(format!("blocks {first} to {last} are too many"));
    if last - first > MAX_BLOCKS {
        return Err(too_long());
    }
    let mut state = s.state_after(&*s.known_block(BlockNumber::Number(first))?)?;
    let (mut touched, mut transactions) = (BTreeMap::new(), 0);
    for number in first + 1..=last {
        let block = s.known_block(BlockNumber::Number(number))?;
        transactions += block.transactions.len();
        if transactions > MAX_TRANSACTIONS {
            return Err(too_long());
        }
        let result = execute(s.node.chain(), &block, state)?;
        touched.extend(result.changed.iter().map(|(address, _)| (keccak256(address), *address)));
        state = result.state;
    }
    Ok(touched)
}
