//! A block: header and transactions.
//!
//! Transactions stand in the list *spliced*: a legacy one is one item, a Klaytn type two (type byte, list), one of
//! Ethereum's types three (`0x78`, type byte, list). The bytes of the list are therefore the concatenation of the
//! transactions' own encodings.
//!
//! Source: spec 30, section 1.4; `blockchain/types/block.go` in the reference client.

use super::{header::Header, roots::ListRoot};
use crate::{
    codec::{DecodeError, Reader, header_len, put_list_header},
    tx::{FeeMode, TxEnvelope, payload::PayloadType},
};
use alloy_primitives::B256;

/// A block whose transactions are `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block<T> {
    /// The header.
    pub header: Header,
    /// The transactions in order of execution.
    pub transactions: Vec<T>,
}

impl<T> Block<T> {
    /// Reads a block, each transaction by `decode`, which takes one out of the list (1, 2 or 3 items).
    ///
    /// # Errors
    /// If the next item is not a block.
    pub fn decode_with(
        reader: &mut Reader<'_>,
        decode: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let mut list = reader.list("block")?;
        let header = Header::decode(&mut list)?;
        let transactions = decode_transactions(&mut list, decode)?;
        list.end("block")?;
        Ok(Self { header, transactions })
    }
}

impl<F: FeeMode, P: PayloadType> Block<TxEnvelope<F, P>> {
    /// `[header, [tx...]]` with transactions spliced.
    pub fn encode(&self) -> Vec<u8> {
        let transactions = self.encoded_transactions();
        encode_block(&self.header, &transactions)
    }

    /// `[[tx...]]`: the form in which bodies are stored and sent without their header.
    pub fn encode_body(&self) -> Vec<u8> {
        encode_body(&self.encoded_transactions())
    }

    /// Reads a block.
    ///
    /// # Errors
    /// If the next item is not a block.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::decode_with(reader, TxEnvelope::decode_item)
    }

    /// Reads a block that is all of `bytes`.
    ///
    /// # Errors
    /// As [`Self::decode`], and if bytes follow.
    pub fn decode_all(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let block = Self::decode(&mut reader)?;
        reader.end("block")?;
        Ok(block)
    }

    /// The root that the header commits to in `transactionsRoot`, under this derivation.
    pub fn transactions_root(&self, derivation: ListRoot) -> B256 {
        derivation.root(&self.encoded_transactions())
    }

    fn encoded_transactions(&self) -> Vec<Vec<u8>> {
        self.transactions.iter().map(TxEnvelope::encode).collect()
    }
}

/// `[header, [tx...]]` from transactions in the node's wire form.
pub fn encode_block<T: AsRef<[u8]>>(header: &Header, transactions: &[T]) -> Vec<u8> {
    let header = header.encode();
    let list = list_len(transactions);
    let content = header.len() + header_len(list) + list;
    let mut out = Vec::with_capacity(header_len(content) + content);
    put_list_header(content, &mut out);
    out.extend_from_slice(&header);
    put_transactions(transactions, list, &mut out);
    out
}

/// `[[tx...]]` from transactions in the node's wire form.
pub fn encode_body<T: AsRef<[u8]>>(transactions: &[T]) -> Vec<u8> {
    let list = list_len(transactions);
    let content = header_len(list) + list;
    let mut out = Vec::with_capacity(header_len(content) + content);
    put_list_header(content, &mut out);
    put_transactions(transactions, list, &mut out);
    out
}

/// Reads the transactions of `[[tx...]]`, all of `bytes`.
///
/// # Errors
/// If the bytes are not one body.
pub fn decode_body<F: FeeMode, P: PayloadType>(bytes: &[u8]) -> Result<Vec<TxEnvelope<F, P>>, DecodeError> {
    decode_body_with(bytes, TxEnvelope::decode_item)
}

/// Reads the transactions of `[[tx...]]`, all of `bytes`, each by `decode`, which takes one out of the list.
///
/// # Errors
/// If the bytes are not one body.
pub fn decode_body_with<T>(
    bytes: &[u8],
    decode: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut body = reader.list("body")?;
    reader.end("body")?;
    let transactions = decode_transactions(&mut body, decode)?;
    body.end("body")?;
    Ok(transactions)
}

fn decode_transactions<T>(
    reader: &mut Reader<'_>,
    mut decode: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut list = reader.list("transactions")?;
    let mut transactions = Vec::new();
    while !list.is_empty() {
        transactions.push(decode(&mut list)?);
    }
    Ok(transactions)
}

fn list_len<T: AsRef<[u8]>>(transactions: &[T]) -> usize {
    transactions.iter().map(|tx| tx.as_ref().len()).sum()
}

fn put_transactions<T: AsRef<[u8]>>(transactions: &[T], len: usize, out: &mut Vec<u8>) {
    put_list_header(len, out);
    for transaction in transactions {
        out.extend_from_slice(transaction.as_ref());
    }
}
