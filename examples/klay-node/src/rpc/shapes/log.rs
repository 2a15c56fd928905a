//! Logs.

use alloy_primitives::B256;
use klay_core::block::Log;
use serde_json::Value;

use super::{Object, Put, bytes};
use crate::chain::LogEntry;

/// Where a log stands.
#[derive(Debug, Clone, Copy)]
pub struct LogPlace {
    /// Height of the block.
    pub block_number: u64,
    /// Hash of the block.
    pub block_hash: B256,
    /// Hash of the transaction.
    pub tx_hash: B256,
    /// Place of the transaction in the block.
    pub tx_index: u64,
    /// Place of the log in the block.
    pub log_index: u64,
}

/// A log; the same in both flavours.
pub fn log(log: &Log, place: LogPlace) -> Value {
    let mut object = Object::new();
    object.put_hex("address", log.address);
    object.put("topics", log.topics().iter().map(bytes).collect::<Vec<_>>());
    object.put_hex("data", &log.data.data);
    object.put_quantity("blockNumber", place.block_number);
    object.put_hex("transactionHash", place.tx_hash);
    object.put_quantity("transactionIndex", place.tx_index);
    object.put_hex("blockHash", place.block_hash);
    object.put_quantity("logIndex", place.log_index);
    object.put("removed", false);
    Value::Object(object)
}

/// A log as the chain's search found it.
pub fn entry(found: &LogEntry) -> Value {
    let place = LogPlace {
        block_number: found.block_number,
        block_hash: found.block_hash,
        tx_hash: found.tx_hash,
        tx_index: found.tx_index,
        log_index: found.log_index,
    };
    log(&found.log, place)
}
