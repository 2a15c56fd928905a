//! What the engine decides about: a block, built here together with its execution or received as bytes.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use klay_consensus::{
    istanbul::{HeaderValue, WireValue},
    types::{Height, Value},
};
use klay_core::{
    B256, Bytes, DecodeError,
    block::Header,
    codec::{Reader, header_len, put_list_header},
};
use klay_vm::BlockResult;

use crate::SharedTx;

/// A block that is being decided. Cloning is cheap.
#[derive(Clone)]
pub struct Proposal {
    header: Arc<Header>,
    id: B256,
    body: Body,
}

#[derive(Clone)]
enum Body {
    /// Executed here.
    Executed(Arc<Executed>),
    /// As it came: the encodings of its transactions, one after the other. Nobody has looked at them.
    Received(Bytes),
}

/// Transactions and what they did.
#[derive(Debug)]
pub(crate) struct Executed {
    /// The transactions, the same objects that the pool held.
    pub(crate) transactions: Vec<SharedTx>,
    /// Their effect; the state behind the block.
    pub(crate) result: BlockResult,
    payload: OnceLock<Bytes>,
}

impl Executed {
    pub(crate) const fn new(transactions: Vec<SharedTx>, result: BlockResult) -> Self {
        Self { transactions, result, payload: OnceLock::new() }
    }

    /// The same of transactions that came as these bytes.
    pub(crate) fn received(transactions: Vec<SharedTx>, result: BlockResult, payload: Bytes) -> Self {
        Self { transactions, result, payload: payload.into() }
    }

    /// The encodings of its transactions, one after the other.
    pub(super) fn payload(&self) -> &Bytes {
        self.payload.get_or_init(|| {
            let mut payload = Vec::with_capacity(self.transactions.iter().map(|tx| tx.encoded().len()).sum());
            self.transactions.iter().for_each(|tx| payload.extend_from_slice(tx.encoded()));
            payload.into()
        })
    }
}

impl Proposal {
    /// A proposal that was built here, sealed or not.
    pub(super) fn new(header: Header, body: Executed) -> Self {
        Self { id: header.hash(), header: Arc::new(header), body: Body::Executed(Arc::new(body)) }
    }

    /// Transactions and result, if it was built here.
    pub(super) const fn executed(&self) -> Option<&Arc<Executed>> {
        match &self.body {
            Body::Executed(executed) => Some(executed),
            Body::Received(_) => None,
        }
    }

    /// The encodings of its transactions, one after the other.
    pub(crate) fn payload(&self) -> &Bytes {
        match &self.body {
            Body::Executed(executed) => executed.payload(),
            Body::Received(payload) => payload,
        }
    }

    /// The hashes of its transactions, if they are at hand.
    pub(crate) fn hashes(&self) -> Option<Vec<B256>> {
        self.executed().map(|executed| executed.transactions.iter().map(|tx| tx.hash()).collect())
    }
}

impl PartialEq for Proposal {
    fn eq(&self, other: &Self) -> bool {
        self.header == other.header && self.payload() == other.payload()
    }
}

impl Eq for Proposal {}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proposal")
            .field("number", &self.header.number)
            .field("id", &self.id)
            .field("bytes", &self.payload().len())
            .finish_non_exhaustive()
    }
}

impl Value for Proposal {
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
        self.payload().len()
    }
}

impl HeaderValue for Proposal {
    fn header(&self) -> &Header {
        &self.header
    }

    fn with_extra(self, extra: Bytes) -> Self {
        let header = Header { extra, ..(*self.header).clone() };
        Self { id: header.hash(), header: Arc::new(header), body: self.body }
    }
}

impl WireValue for Proposal {
    fn encode(&self, out: &mut Vec<u8>) {
        let (header, payload) = (self.header.encode(), self.payload());
        let content = header.len() + header_len(payload.len()) + payload.len();
        out.reserve(header_len(content) + content);
        put_list_header(content, out);
        out.extend_from_slice(&header);
        put_list_header(payload.len(), out);
        out.extend_from_slice(payload);
    }

    /// Reads a block. Its transactions are left as they are until it is checked.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut list = reader.list("block")?;
        let header = Header::decode(&mut list)?;
        let payload = Bytes::copy_from_slice(list.list("block.transactions")?.rest());
        list.end("block")?;
        Ok(Self { id: header.hash(), header: Arc::new(header), body: Body::Received(payload) })
    }
}
