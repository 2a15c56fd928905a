//! How bodies and receipts stand in the store.
//!
//! | Value | Content |
//! |---|---|
//! | body | RLP of the body, then 20 bytes for each transaction whose type does not write its sender down, in order |
//! | receipts | a list of `[status, gas used, contract (or empty), [[address, [topic...], data]...]]` |
//!
//! With the senders at hand, reading a block recovers no signature. Blooms, transaction hashes and the places of logs
//! are left out: they follow from the rest.

use std::sync::Arc;

use klay_core::{
    Address, B256, Bytes, DecodeError, TxEnvelope,
    block::{Log, Receipt, Status, body},
    codec::{DecodeErrorKind, Reader, put_bytes, put_list_header, put_u64},
    tx::HashedTx,
};

use crate::{Fee, SharedTx};

const SENDER_LEN: usize = 20;

/// The body of a block with the senders that its bytes do not show.
pub(super) fn encode_body(transactions: &[SharedTx]) -> Vec<u8> {
    let encoded: Vec<&[u8]> = transactions.iter().map(|tx| tx.encoded()).collect();
    let mut out = body::encode_body(&encoded);
    for tx in transactions.iter().filter(|tx| !writes_sender(tx.tx())) {
        out.extend_from_slice(tx.sender().as_slice());
    }
    out
}

/// Reads the transactions of a body; senders are those that were stored.
pub(super) fn decode_body(bytes: &[u8]) -> Result<Vec<SharedTx>, DecodeError> {
    let (hashed, mut senders) = decode_transactions(bytes)?;
    let transactions = hashed.into_iter().map(|tx| {
        let sender = match tx.tx() {
            TxEnvelope::Klaytn(tx) => tx.body.from,
            _ => take_sender(&mut senders)?,
        };
        Ok(Arc::new(tx.with_sender_unchecked(sender)))
    });
    transactions.collect()
}

/// Reads the transactions of a body without their senders, for whoever recovers them.
pub(super) fn decode_transactions(bytes: &[u8]) -> Result<(Vec<HashedTx<Fee>>, &[u8]), DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut body = reader.list("body")?;
    let mut list = body.list("transactions")?;
    let mut transactions = Vec::new();
    while !list.is_empty() {
        transactions.push(HashedTx::decode_item(&mut list)?);
    }
    Ok((transactions, reader.rest()))
}

fn take_sender(senders: &mut &[u8]) -> Result<Address, DecodeError> {
    let Some((sender, rest)) = senders.split_first_chunk::<SENDER_LEN>() else {
        return Err(DecodeError::new("sender", 0, DecodeErrorKind::Missing));
    };
    *senders = rest;
    Ok(Address::from(*sender))
}

const fn writes_sender(tx: &crate::KlaytnTx) -> bool {
    matches!(tx, TxEnvelope::Klaytn(_))
}

/// Receipts without what follows from other data.
pub(super) fn encode_receipts(receipts: &[Receipt]) -> Vec<u8> {
    let mut list = Vec::with_capacity(receipts.len() * 12);
    for receipt in receipts {
        let mut logs = Vec::new();
        for log in &receipt.logs {
            put_log(log, &mut logs);
        }
        let mut fields = Vec::with_capacity(logs.len() + 36);
        put_u64(u64::from(receipt.status.0), &mut fields);
        put_u64(receipt.gas_used, &mut fields);
        put_bytes(receipt.contract_address.as_ref().map_or(&[], |address| address.as_slice()), &mut fields);
        put_list_header(logs.len(), &mut fields);
        fields.extend_from_slice(&logs);
        put_list_header(fields.len(), &mut list);
        list.extend_from_slice(&fields);
    }
    list
}

fn put_log(log: &Log, out: &mut Vec<u8>) {
    let mut fields = Vec::with_capacity(log.data.data.len() + 160);
    put_bytes(log.address.as_slice(), &mut fields);
    put_list_header(log.topics().len() * 33, &mut fields);
    for topic in log.topics() {
        put_bytes(topic.as_slice(), &mut fields);
    }
    put_bytes(&log.data.data, &mut fields);
    put_list_header(fields.len(), out);
    out.extend_from_slice(&fields);
}

/// Reads receipts; `hashes` are those of the block's transactions.
pub(super) fn decode_receipts(bytes: &[u8], hashes: &[B256]) -> Result<Vec<Receipt>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut receipts = Vec::with_capacity(hashes.len());
    for hash in hashes {
        let mut fields = reader.list("receipt")?;
        let status = Status(fields.u8("status")?);
        let gas_used = fields.u64("gasUsed")?;
        let contract_address = fields.opt_address("contractAddress")?;
        let mut list = fields.list("logs")?;
        let mut logs = Vec::new();
        while !list.is_empty() {
            logs.push(log(&mut list)?);
        }
        receipts.push(Receipt { contract_address, ..Receipt::new(status, gas_used, logs, *hash) });
    }
    reader.end("receipts")?;
    Ok(receipts)
}

fn log(list: &mut Reader<'_>) -> Result<Log, DecodeError> {
    let mut fields = list.list("log")?;
    let address = fields.address("address")?;
    let mut topics = fields.list("topics")?;
    let mut found = Vec::with_capacity(4);
    while !topics.is_empty() {
        found.push(topics.hash("topic")?);
    }
    let data = Bytes::copy_from_slice(fields.bytes("data")?);
    let at = fields.offset();
    Log::new(address, found, data)
        .ok_or_else(|| DecodeError::new("topics", at, DecodeErrorKind::Invalid("too many topics")))
}
