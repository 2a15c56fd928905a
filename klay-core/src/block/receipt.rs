//! Receipts and logs.
//!
//! Two forms: the consensus form, which the receipts root covers, and the storage form, which also says where each log
//! stands in the chain. `gasUsed` is of the transaction alone; nothing is cumulative, and no form has a type prefix.
//!
//! Source: spec 30, section 3.1; `blockchain/types/receipt.go` and `log.go` in the reference client.

pub use alloy_primitives::Log;
use alloy_primitives::{Address, B256, Bloom, Bytes};

use super::{bloom, status::Status};
use crate::codec::{DecodeError, DecodeErrorKind, Reader, put_bytes, put_list_header, put_u64};

/// Most topics of a log.
const MAX_TOPICS: usize = 4;

/// The result of one transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// 1 or the failure's code.
    pub status: Status,
    /// Gas used by this transaction alone.
    pub gas_used: u64,
    /// Bloom of the logs.
    pub bloom: Bloom,
    /// Logs in order.
    pub logs: Vec<Log>,
    /// Hash of the transaction (storage form only).
    pub tx_hash: B256,
    /// Address of a creation by (sender, nonce); set for every transaction without recipient (storage form only).
    pub contract_address: Option<Address>,
}

/// Where a receipt's logs stand in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// Height of the block.
    pub block_number: u64,
    /// Hash of the block.
    pub block_hash: B256,
    /// Index of the transaction in the block.
    pub tx_index: u64,
    /// Index in the block of the receipt's first log.
    pub first_log_index: u64,
}

impl Receipt {
    /// A receipt with the bloom of its logs.
    pub fn new(status: Status, gas_used: u64, logs: Vec<Log>, tx_hash: B256) -> Self {
        Self { status, gas_used, bloom: bloom::of_logs(&logs), logs, tx_hash, contract_address: None }
    }

    /// The form that the receipts root covers: `[status, gasUsed, bloom, logs]`.
    pub fn encode_consensus(&self) -> Vec<u8> {
        let mut fields = Vec::with_capacity(280 + self.logs.len() * 160);
        put_u64(u64::from(self.status.0), &mut fields);
        put_u64(self.gas_used, &mut fields);
        put_bytes(self.bloom.as_slice(), &mut fields);
        put_list(&self.logs, &mut fields, put_log);
        list_of(&fields)
    }

    /// Reads the consensus form. [`Self::tx_hash`] is left zero.
    ///
    /// # Errors
    /// If the next item is not a receipt.
    pub fn decode_consensus(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut list = reader.list("receipt")?;
        let status = Status(list.u8("receipt.status")?);
        let gas_used = list.u64("receipt.gasUsed")?;
        let bloom = Bloom::from(list.fixed::<256>("receipt.logsBloom")?);
        let mut items = list.list("receipt.logs")?;
        let mut logs = Vec::new();
        while !items.is_empty() {
            let mut item = items.list("log")?;
            logs.push(read_log(&mut item)?);
            item.end("log")?;
        }
        list.end("receipt")?;
        Ok(Self { status, gas_used, bloom, logs, tx_hash: B256::ZERO, contract_address: None })
    }

    /// The form of the database and of service chains:
    /// `[status, bloom, txHash, contractAddress, logs, gasUsed]`, each log with its position.
    pub fn encode_storage(&self, position: &LogPosition) -> Vec<u8> {
        let mut fields = Vec::with_capacity(340 + self.logs.len() * 260);
        put_u64(u64::from(self.status.0), &mut fields);
        put_bytes(self.bloom.as_slice(), &mut fields);
        put_bytes(self.tx_hash.as_slice(), &mut fields);
        put_bytes(self.contract_address.unwrap_or_default().as_slice(), &mut fields);
        let logs: Vec<(u64, &Log)> = (position.first_log_index..).zip(&self.logs).collect();
        put_list(&logs, &mut fields, |(index, log), out| {
            put_log(log, out);
            put_u64(position.block_number, out);
            put_bytes(self.tx_hash.as_slice(), out);
            put_u64(position.tx_index, out);
            put_bytes(position.block_hash.as_slice(), out);
            put_u64(*index, out);
        });
        put_u64(self.gas_used, &mut fields);
        list_of(&fields)
    }

    /// Reads the storage form, and the position of its first log if it has any.
    ///
    /// # Errors
    /// If the next item is not a stored receipt.
    pub fn decode_storage(reader: &mut Reader<'_>) -> Result<(Self, Option<LogPosition>), DecodeError> {
        let mut list = reader.list("receipt")?;
        let status = Status(list.u8("receipt.status")?);
        let bloom = Bloom::from(list.fixed::<256>("receipt.logsBloom")?);
        let tx_hash = list.hash("receipt.transactionHash")?;
        let contract_address = Some(list.address("receipt.contractAddress")?).filter(|address| !address.is_zero());
        let mut items = list.list("receipt.logs")?;
        let mut logs = Vec::new();
        let mut position = None;
        while !items.is_empty() {
            let mut item = items.list("log")?;
            logs.push(read_log(&mut item)?);
            let block_number = item.u64("log.blockNumber")?;
            item.hash("log.transactionHash")?;
            let tx_index = item.u64("log.transactionIndex")?;
            let block_hash = item.hash("log.blockHash")?;
            let first_log_index = item.u64("log.logIndex")?;
            item.end("log")?;
            position.get_or_insert(LogPosition { block_number, block_hash, tx_index, first_log_index });
        }
        let gas_used = list.u64("receipt.gasUsed")?;
        list.end("receipt")?;
        Ok((Self { status, gas_used, bloom, logs, tx_hash, contract_address }, position))
    }
}

/// Appends `[address, [topic...], data` without the list's header.
pub(crate) fn put_log(log: &Log, out: &mut Vec<u8>) {
    put_bytes(log.address.as_slice(), out);
    put_list_header(log.topics().len() * 33, out);
    for topic in log.topics() {
        put_bytes(topic.as_slice(), out);
    }
    put_bytes(&log.data.data, out);
}

pub(crate) fn read_log(item: &mut Reader<'_>) -> Result<Log, DecodeError> {
    let address = item.address("log.address")?;
    let mut list = item.list("log.topics")?;
    let mut topics = Vec::new();
    while !list.is_empty() {
        if topics.len() == MAX_TOPICS {
            return Err(list.error("log.topics", DecodeErrorKind::TooManyElements { max: MAX_TOPICS }));
        }
        topics.push(list.hash("log.topics")?);
    }
    let data = Bytes::copy_from_slice(item.bytes("log.data")?);
    Ok(Log::new_unchecked(address, topics, data))
}

/// Appends a list of lists, each filled by `put`.
fn put_list<T>(items: &[T], out: &mut Vec<u8>, put: impl Fn(&T, &mut Vec<u8>)) {
    let mut content = Vec::new();
    let mut fields = Vec::new();
    for item in items {
        fields.clear();
        put(item, &mut fields);
        put_list_header(fields.len(), &mut content);
        content.extend_from_slice(&fields);
    }
    put_list_header(content.len(), out);
    out.extend_from_slice(&content);
}

fn list_of(fields: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(fields.len() + 4);
    put_list_header(fields.len(), &mut out);
    out.extend_from_slice(fields);
    out
}
