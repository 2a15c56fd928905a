//! Anchored records by version.

use alloy_primitives::B256;
use klay_core::{
    block::Header,
    codec::{put_bytes, put_list_header},
    tx::payload::ChainDataAnchoring,
};

use crate::number::Number;

/// Type of [`Record`] in the wrapper.
pub(crate) const TYPE_RECORD: u8 = 0;
/// Type of a JSON object in the wrapper.
#[cfg_attr(not(feature = "serde"), allow(dead_code))]
pub(crate) const TYPE_JSON: u8 = 128;

/// What a block of a service chain commits to: the oldest record, written without a wrapper.
///
/// The order of the fields is that of the encoding and not that of a header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest {
    /// Hash of the anchored block.
    pub block_hash: B256,
    /// Its root of transactions.
    pub transactions_root: B256,
    /// Hash of its parent.
    pub parent_hash: B256,
    /// Its root of receipts.
    pub receipts_root: B256,
    /// Its root of the state.
    pub state_root: B256,
    /// Its height.
    pub block_number: Number,
}

/// A [`Digest`] and what was counted since the last one: the record of type 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// The anchored block.
    pub digest: Digest,
    /// Blocks since the last record of the process that writes them.
    pub block_count: Number,
    /// Transactions in these blocks.
    pub tx_count: Number,
}

/// A record of either version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// Type 0.
    Record(Record),
    /// Without wrapper, of very old nodes.
    Legacy(Digest),
}

impl Digest {
    /// The digest of a block.
    pub fn of(header: &Header) -> Self {
        Self {
            block_hash: header.hash(),
            transactions_root: header.transactions_root,
            parent_hash: header.parent_hash,
            receipts_root: header.receipts_root,
            state_root: header.state_root,
            block_number: header.number.into(),
        }
    }

    /// The encoding without wrapper: a list of six.
    pub fn encode(&self) -> Vec<u8> {
        encode_list(|out| self.encode_fields(out))
    }

    fn encode_fields(&self, out: &mut Vec<u8>) {
        for hash in [self.block_hash, self.transactions_root, self.parent_hash, self.receipts_root, self.state_root] {
            put_bytes(hash.as_slice(), out);
        }
        put_bytes(self.block_number.as_be_bytes(), out);
    }
}

impl Record {
    /// The record of a block, `blocks` after the last one, with `transactions` in them.
    pub fn new(header: &Header, blocks: u64, transactions: u64) -> Self {
        Self { digest: Digest::of(header), block_count: blocks.into(), tx_count: transactions.into() }
    }

    /// The encoding in its wrapper: a list of type and bytes.
    pub fn encode(&self) -> Vec<u8> {
        let record = encode_list(|out| {
            self.digest.encode_fields(out);
            put_bytes(self.block_count.as_be_bytes(), out);
            put_bytes(self.tx_count.as_be_bytes(), out);
        });
        encode_list(|out| {
            out.push(0x80); // type 0
            put_bytes(&record, out);
        })
    }

    /// The payload of the transaction that anchors this record.
    pub fn payload(&self) -> ChainDataAnchoring {
        ChainDataAnchoring { input: self.encode().into() }
    }
}

impl Anchor {
    /// The record's digest, which every version has.
    pub const fn digest(&self) -> &Digest {
        match self {
            Self::Record(record) => &record.digest,
            Self::Legacy(digest) => digest,
        }
    }

    /// The encoding of its version.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Record(record) => record.encode(),
            Self::Legacy(digest) => digest.encode(),
        }
    }
}

/// The payload of a transaction that anchors a JSON object, type 128.
///
/// # Errors
/// If the text is not one JSON object.
#[cfg(feature = "serde")]
pub fn json_payload(text: &str) -> Result<ChainDataAnchoring, crate::AnchorError> {
    crate::json::parse_object(text.as_bytes())?;
    let input = encode_list(|out| {
        put_bytes(&[TYPE_JSON], out);
        put_bytes(text.as_bytes(), out);
    });
    Ok(ChainDataAnchoring { input: input.into() })
}

fn encode_list(fields: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::with_capacity(256);
    fields(&mut body);
    let mut out = Vec::with_capacity(body.len() + 4);
    put_list_header(body.len(), &mut out);
    out.extend_from_slice(&body);
    out
}
