//! What nodes say to each other, byte by byte.
//!
//! Everything is a frame: its length as four bytes, big endian, then RLP. Frames travel on streams of one protocol each:
//!
//! | Protocol | Frames | Longest frame |
//! |---|---|---|
//! | `/klay/gossip/1` | [`Gossip`]; the first one is [`Gossip::Status`] | 2 MiB |
//! | `/klay/consensus/1` | [`Spoken`]: messages of the consensus engine | 12 MiB |
//! | `/klay/fetch/1` | one [`Request`], answered by one [`Answer`] | 64 KiB, [`MAX_ANSWER`] |
//!
//! Decoding is strict: nothing may follow, no list may be longer than its limit, and nothing is allocated that a peer
//! merely announces.

use klay_core::{
    B256, Bytes, DecodeError,
    codec::{DecodeErrorKind, Reader, header_len, put_bytes, put_list_header, put_u64, string_len},
};

use super::Role;

/// Longest frame of gossip.
pub const MAX_GOSSIP: usize = 2 << 20;
/// Longest frame of the consensus engine: the largest message of the reference network.
pub const MAX_SPOKEN: usize = 12 << 20;
/// Longest request.
pub const MAX_REQUEST: usize = 64 << 10;
/// Longest answer. Its last item begins before [`SOFT_ANSWER`], and is at most the header or the body of the largest block
/// that can be proposed; the rest is for what RLP puts before each item.
pub const MAX_ANSWER: usize = MAX_SPOKEN + SOFT_ANSWER + (64 << 10);
/// Most transactions or hashes in a frame of gossip or in a request.
pub const MAX_HASHES: usize = 1_024;
/// Most transactions in a block that is sent by hashes: what fits into the largest block.
pub const MAX_BLOCK_TXS: usize = 131_072;
/// Most headers in an answer.
pub const MAX_HEADERS: u64 = 192;
/// Most bodies in an answer.
pub const MAX_BODIES: u64 = 128;
/// Where an answer ends, in bytes: with the item that reaches this.
pub const SOFT_ANSWER: usize = 2 << 20;
/// Version of these protocols.
pub const VERSION: u64 = 1;

/// Who a node is, and where its chain stands. The first thing that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What kind of node it is.
    pub role: Role,
    /// The chain's id.
    pub chain_id: u64,
    /// Hash of block 0.
    pub genesis: B256,
    /// The consensus engine of the chain.
    pub engine: String,
    /// Height of the newest block.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

/// A block without its transactions' bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactBlock {
    /// The sealed header, RLP.
    pub header: Bytes,
    /// The transactions in order.
    pub hashes: Vec<B256>,
}

/// News.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gossip {
    /// Who speaks.
    Status(Status),
    /// Transactions in the node's wire form.
    Transactions(Vec<Bytes>),
    /// Transactions that can be asked for.
    Hashes(Vec<B256>),
    /// A new block.
    Block(CompactBlock),
    /// The newest block of the one who speaks.
    Head {
        /// Its height.
        number: u64,
        /// Its hash.
        hash: B256,
    },
}

/// A message of a consensus engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spoken {
    /// As the engine wrote it.
    Whole(Bytes),
    /// A message around a block whose transactions are named by hash: `before ‖ transactions ‖ after` are the bytes that
    /// the engine wrote.
    Compact {
        /// What stands before the transactions.
        before: Bytes,
        /// The transactions.
        hashes: Vec<B256>,
        /// What stands behind them.
        after: Bytes,
    },
}

/// A question to one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Sealed headers from a height on.
    Headers {
        /// The first one.
        from: u64,
        /// How many at most.
        count: u64,
    },
    /// Bodies from a height on.
    Bodies {
        /// The first one.
        from: u64,
        /// How many at most.
        count: u64,
    },
    /// Transactions that wait, or that are in a block of the last minutes.
    Transactions(Vec<B256>),
}

/// What is answered: headers, bodies (`[[tx...]]`) or transactions as they were asked for. What the peer does not have
/// is left out, and what would come after [`SOFT_ANSWER`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(pub Vec<Bytes>);

impl Gossip {
    /// The frame's content.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Status(status) => list(0, |out| {
                put_u64(VERSION, out);
                put_u64(status.role.code(), out);
                put_u64(status.chain_id, out);
                put_bytes(status.genesis.as_slice(), out);
                put_bytes(status.engine.as_bytes(), out);
                put_u64(status.number, out);
                put_bytes(status.hash.as_slice(), out);
            }),
            Self::Transactions(transactions) => list(1, |out| put_strings(transactions, out)),
            Self::Hashes(hashes) => list(2, |out| put_hashes(hashes, out)),
            Self::Block(block) => list(3, |out| {
                put_bytes(&block.header, out);
                put_hashes(&block.hashes, out);
            }),
            Self::Head { number, hash } => list(4, |out| {
                put_u64(*number, out);
                put_bytes(hash.as_slice(), out);
            }),
        }
    }

    /// Reads a frame's content.
    ///
    /// # Errors
    /// If it is not exactly one message, or a list is too long.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (kind, mut list) = open(bytes, "gossip")?;
        let message = match kind {
            0 => {
                let version = list.u64("status.version")?;
                if version != VERSION {
                    return Err(list.error("status.version", DecodeErrorKind::Invalid("another version")));
                }
                let unknown = list.error("status.role", DecodeErrorKind::Invalid("unknown role"));
                Self::Status(Status {
                    role: Role::from_code(list.u64("status.role")?).ok_or(unknown)?,
                    chain_id: list.u64("status.chainId")?,
                    genesis: list.hash("status.genesis")?,
                    engine: name(&mut list)?,
                    number: list.u64("status.number")?,
                    hash: list.hash("status.hash")?,
                })
            }
            1 => Self::Transactions(strings(&mut list, "transactions", MAX_HASHES)?),
            2 => Self::Hashes(hashes(&mut list, "hashes", MAX_HASHES)?),
            3 => {
                let header = Bytes::copy_from_slice(list.bytes("block.header")?);
                Self::Block(CompactBlock { header, hashes: hashes(&mut list, "block.hashes", MAX_BLOCK_TXS)? })
            }
            4 => Self::Head { number: list.u64("head.number")?, hash: list.hash("head.hash")? },
            _ => return Err(unknown("gossip")),
        };
        list.end("gossip")?;
        Ok(message)
    }
}

impl Spoken {
    /// The frame's content.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Whole(bytes) => list(0, |out| put_bytes(bytes, out)),
            Self::Compact { before, hashes, after } => list(1, |out| {
                put_bytes(before, out);
                put_hashes(hashes, out);
                put_bytes(after, out);
            }),
        }
    }

    /// Reads a frame's content.
    ///
    /// # Errors
    /// If it is not exactly one message.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (kind, mut list) = open(bytes, "spoken")?;
        let message = match kind {
            0 => Self::Whole(Bytes::copy_from_slice(list.bytes("spoken.message")?)),
            1 => Self::Compact {
                before: Bytes::copy_from_slice(list.bytes("spoken.before")?),
                hashes: hashes(&mut list, "spoken.hashes", MAX_BLOCK_TXS)?,
                after: Bytes::copy_from_slice(list.bytes("spoken.after")?),
            },
            _ => return Err(unknown("spoken")),
        };
        list.end("spoken")?;
        Ok(message)
    }
}

impl Request {
    /// The frame's content.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, from, count) = match self {
            Self::Headers { from, count } => (0, from, count),
            Self::Bodies { from, count } => (1, from, count),
            Self::Transactions(hashes) => return list(2, |out| put_hashes(hashes, out)),
        };
        list(kind, |out| {
            put_u64(*from, out);
            put_u64(*count, out);
        })
    }

    /// Reads a frame's content.
    ///
    /// # Errors
    /// If it is not exactly one request, or asks for too much.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (kind, mut list) = open(bytes, "request")?;
        let mut range = |most: u64| {
            let from = list.u64("request.from")?;
            let too_many = list.error("request.count", DecodeErrorKind::Invalid("too many at once"));
            let count = list.u64("request.count")?;
            if count > most { Err(too_many) } else { Ok((from, count)) }
        };
        let request = match kind {
            0 => range(MAX_HEADERS).map(|(from, count)| Self::Headers { from, count })?,
            1 => range(MAX_BODIES).map(|(from, count)| Self::Bodies { from, count })?,
            2 => Self::Transactions(hashes(&mut list, "request.hashes", MAX_HASHES)?),
            _ => return Err(unknown("request")),
        };
        list.end("request")?;
        Ok(request)
    }
}

impl Answer {
    /// Whether it ended where it was long enough: see [`SOFT_ANSWER`].
    pub fn is_full(&self) -> bool {
        self.0.iter().map(|item| item.len()).sum::<usize>() >= SOFT_ANSWER
    }

    /// The frame's content.
    pub fn encode(&self) -> Vec<u8> {
        list(0, |out| put_strings(&self.0, out))
    }

    /// Reads a frame's content: at most `limit` items.
    ///
    /// # Errors
    /// If it is not exactly one answer, or too long.
    pub fn decode(bytes: &[u8], limit: usize) -> Result<Self, DecodeError> {
        let (kind, mut list) = open(bytes, "answer")?;
        if kind != 0 {
            return Err(unknown("answer"));
        }
        let items = strings(&mut list, "answer.items", limit)?;
        list.end("answer")?;
        Ok(Self(items))
    }
}

/// `[kind, ...]`
fn list(kind: u64, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut content = Vec::new();
    put_u64(kind, &mut content);
    fill(&mut content);
    let mut out = Vec::with_capacity(header_len(content.len()) + content.len());
    put_list_header(content.len(), &mut out);
    out.extend_from_slice(&content);
    out
}

fn open<'a>(bytes: &'a [u8], what: &'static str) -> Result<(u64, Reader<'a>), DecodeError> {
    let mut input = Reader::new(bytes);
    let mut list = input.list(what)?;
    input.end(what)?;
    Ok((list.u64("kind")?, list))
}

const fn unknown(what: &'static str) -> DecodeError {
    DecodeError::new(what, 0, DecodeErrorKind::Invalid("unknown kind"))
}

fn put_strings(strings: &[Bytes], out: &mut Vec<u8>) {
    put_list_header(strings.iter().map(|s| string_len(s)).sum(), out);
    for string in strings {
        put_bytes(string, out);
    }
}

fn strings(reader: &mut Reader<'_>, what: &'static str, limit: usize) -> Result<Vec<Bytes>, DecodeError> {
    let mut list = reader.list(what)?;
    let mut strings = Vec::new();
    while !list.is_empty() {
        if strings.len() >= limit {
            return Err(list.error(what, DecodeErrorKind::Invalid("too many")));
        }
        strings.push(Bytes::copy_from_slice(list.bytes(what)?));
    }
    Ok(strings)
}

/// One string of all hashes.
fn put_hashes(hashes: &[B256], out: &mut Vec<u8>) {
    let content: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
    put_bytes(&content, out);
}

fn hashes(reader: &mut Reader<'_>, what: &'static str, limit: usize) -> Result<Vec<B256>, DecodeError> {
    let uneven = reader.error(what, DecodeErrorKind::Invalid("not a row of hashes"));
    let too_many = reader.error(what, DecodeErrorKind::Invalid("too many"));
    let (chunks, []) = reader.bytes(what)?.as_chunks::<32>() else { return Err(uneven) };
    if chunks.len() > limit {
        return Err(too_many);
    }
    Ok(chunks.iter().copied().map(B256::from).collect())
}

/// A short name in ASCII.
fn name(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let odd = reader.error("status.engine", DecodeErrorKind::Invalid("not a short name"));
    let bytes = reader.bytes("status.engine")?;
    match core::str::from_utf8(bytes) {
        Ok(name) if name.len() <= 32 && name.is_ascii() => Ok(name.to_owned()),
        _ => Err(odd),
    }
}
