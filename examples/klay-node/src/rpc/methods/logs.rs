//! Log queries and polled filters.

use std::{sync::Arc, time::Instant};

use serde_json::Value;

use super::{ETH, KAIA};
use crate::{
    chain::{LogEntry, LogFilter, LogSearchError},
    rpc::{
        Namespace, RpcError, Services, Table,
        decode::{BlockNumber, Criteria, FilterId, Params},
        filters::{Kind, Poll},
        shapes::{Flavour, bytes, log},
        table::Run,
    },
};

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    for (flavour, namespace) in [(Flavour::Kaia, &KAIA), (Flavour::Eth, &ETH)] {
        add_flavour(table, services, flavour, namespace);
        table.each(namespace, "subscribe", <(String, Option<Criteria>)>::SPECS, &Run::Subscribe);
        table.each(namespace, "unsubscribe", <(FilterId,)>::SPECS, &Run::Unsubscribe);
    }
}

fn add_flavour(table: &mut Table, services: &Arc<Services>, flavour: Flavour, namespace: &[Namespace]) {
    let s = Arc::clone(services);
    table.heavy(namespace, "getLogs", move |(criteria,): (Criteria,)| query(&s, &criteria));
    let s = Arc::clone(services);
    table.quick(namespace, "newFilter", move |(criteria,): (Criteria,)| {
        check_range(&criteria)?;
        let next = s.node.chain().head().number() + 1;
        s.filters.add(flavour, Kind::Logs { criteria, next }).map(|id| id.0)
    });
    let s = Arc::clone(services);
    table.quick(namespace, "newBlockFilter", move |()| {
        let next = s.node.chain().head().number() + 1;
        s.filters.add(flavour, Kind::Blocks { next }).map(|id| id.0)
    });
    let s = Arc::clone(services);
    table.quick(namespace, "newPendingTransactionFilter", move |()| {
        s.filters.add(flavour, Kind::Pending(s.node.pool().subscribe_pending())).map(|id| id.0)
    });
    let s = Arc::clone(services);
    table.quick(namespace, "uninstallFilter", move |(id,): (FilterId,)| Ok(s.filters.remove(flavour, &id)));
    let s = Arc::clone(services);
    table.heavy(namespace, "getFilterChanges", move |(id,): (FilterId,)| changes(&s, flavour, &id));
    let s = Arc::clone(services);
    table.heavy(namespace, "getFilterLogs", move |(id,): (FilterId,)| {
        let criteria = s.filters.criteria(flavour, &id)?;
        query(&s, &criteria)
    });
}

/// What is wrong with a range before anything is looked up.
pub(in crate::rpc) fn check_range(criteria: &Criteria) -> Result<(), RpcError> {
    if criteria.from == Some(BlockNumber::Pending) || criteria.to == Some(BlockNumber::Pending) {
        return Err(RpcError::failed("pending logs are not supported"));
    }
    if let (Some(BlockNumber::Number(from)), Some(BlockNumber::Number(to))) = (criteria.from, criteria.to)
        && from > to
    {
        return Err(RpcError::failed("invalid from and to block combination: from > to"));
    }
    Ok(())
}

/// The search that criteria mean.
pub(in crate::rpc) fn filter_of(criteria: &Criteria) -> LogFilter {
    LogFilter { addresses: criteria.addresses.clone(), topics: criteria.topics.clone(), deadline: None }
}

fn query(s: &Services, criteria: &Criteria) -> Result<Value, RpcError> {
    if let Some(hash) = criteria.block_hash {
        let number = s.block_by_hash(hash)?.ok_or(RpcError::NoHeaderHash(hash))?.number();
        return search(s, criteria, number, number);
    }
    if criteria.from == Some(BlockNumber::Pending) || criteria.to == Some(BlockNumber::Pending) {
        return Err(RpcError::failed("pending logs are not supported"));
    }
    let head = s.node.chain().head().number();
    let from = criteria.from.map_or(head, |number| s.height(number));
    let to = criteria.to.map_or(head, |number| s.height(number));
    let found = search(s, criteria, from, to.min(head))?;
    match from <= to && to > head {
        // The reference client goes block by block up to the first that is not there.
        true => Err(RpcError::NoHeaderNumber(from.max(head + 1))),
        false => Ok(found),
    }
}

fn search(s: &Services, criteria: &Criteria, from: u64, to: u64) -> Result<Value, RpcError> {
    if from > to {
        return Ok(Value::Array(Vec::new()));
    }
    let mut filter = filter_of(criteria);
    filter.deadline = Some(Instant::now() + s.limits.log_timeout);
    let found = s.node.chain().logs(&filter, from, to, s.limits.log_results)?;
    Ok(show(&found))
}

fn show(found: &[LogEntry]) -> Value {
    Value::Array(found.iter().map(log::entry).collect())
}

fn changes(s: &Services, flavour: Flavour, id: &FilterId) -> Result<Value, RpcError> {
    let head = s.node.chain().head().number();
    let found = match s.filters.poll(flavour, id)? {
        Poll::Pending(hashes) => return Ok(Value::Array(hashes.iter().map(bytes).collect())),
        Poll::Blocks { from } => {
            let mut hashes = Vec::new();
            for number in from..=head {
                hashes.extend(s.block(BlockNumber::Number(number))?.map(|block| bytes(block.hash)));
            }
            Value::Array(hashes)
        }
        Poll::Logs { criteria, from } => {
            let first = match criteria.from {
                Some(BlockNumber::Number(number)) => from.max(number),
                _ => from,
            };
            let last = match criteria.to {
                Some(BlockNumber::Number(number)) => head.min(number),
                _ => head,
            };
            search(s, &criteria, first, last)?
        }
    };
    s.filters.shown(flavour, id, head + 1)?;
    Ok(found)
}

impl From<LogSearchError> for RpcError {
    fn from(error: LogSearchError) -> Self {
        Self::from_error(error)
    }
}
