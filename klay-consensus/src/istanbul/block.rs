//! A block as it stands on the wire.

use alloy_primitives::{B256, Bytes};
use klay_core::{
    DecodeError,
    block::Header,
    codec::{Reader, put_list_header},
};

use super::{HeaderValue, WireValue};
use crate::types::{Height, Value};

/// A block whose transactions nobody has looked at: for those who read messages and do not execute anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawBlock {
    header: Header,
    id: B256,
    transactions: Bytes,
}

impl RawBlock {
    /// A header and the encodings of transactions, one after the other.
    pub fn new(header: Header, transactions: Bytes) -> Self {
        Self { id: header.hash(), header, transactions }
    }

    /// The encodings of its transactions, one after the other.
    pub const fn transactions(&self) -> &Bytes {
        &self.transactions
    }
}

impl Value for RawBlock {
    type Id = B256;

    fn id(&self) -> B256 {
        self.id
    }

    fn parent(&self) -> B256 {
        self.header.parent_hash
    }

    fn height(&self) -> Height {
        Height::new(self.header.number)
    }

    fn size(&self) -> usize {
        self.transactions.len()
    }
}

impl HeaderValue for RawBlock {
    fn header(&self) -> &Header {
        &self.header
    }

    fn with_extra(self, extra: Bytes) -> Self {
        Self::new(Header { extra, ..self.header }, self.transactions)
    }
}

impl WireValue for RawBlock {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut content = self.header.encode();
        put_list_header(self.transactions.len(), &mut content);
        content.extend_from_slice(&self.transactions);
        put_list_header(content.len(), out);
        out.extend_from_slice(&content);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut list = reader.list("block")?;
        let header = Header::decode(&mut list)?;
        let transactions = Bytes::copy_from_slice(list.list("block.transactions")?.rest());
        list.end("block")?;
        Ok(Self::new(header, transactions))
    }
}
