//! What can be done about a block without the chain, ahead of its verification and on all cores: decoding, hashes,
//! signers of header and transactions.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::Arc,
};

use klay_consensus::istanbul::import::HeaderSigners;
use klay_core::{
    Address,
    block::Header,
    codec::{DecodeError, Reader},
    crypto::RecoverError,
    tx::HashedTx,
};
use klay_vm::randao::ProvenKey;
use parking_lot::RwLock;
use rayon::prelude::*;

use super::{
    Refusal,
    stream::{BlockStream, StreamError, unpacked},
};
use crate::{Fee, SharedTx};

/// Bytes of blocks that make a group: some hundreds of transactions.
const GROUP_BYTES: usize = 256 << 10;
/// Blocks that make a group, if they are small.
const GROUP_BLOCKS: usize = 64;

/// The next thing in a source.
#[derive(Debug)]
pub(super) enum Item {
    /// A block.
    Block(Box<Prepared>),
    /// Something that is not the block which was to be here.
    Wrong { number: u64, refusal: Refusal },
    /// The source failed after this block.
    Unreadable { number: u64, source: io::Error },
}

/// A block of which everything is known but whether it is right.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) header: Header,
    pub(super) signers: HeaderSigners,
    /// Empty for a block that is to be skipped.
    pub(super) transactions: Vec<Transaction>,
    /// Length of its RLP, in bytes.
    pub(super) size: usize,
    /// Whether the Randao reveal is a signature by the key that its author was last known to have.
    pub(super) reveal: Option<(ProvenKey, bool)>,
}

/// BLS keys that authors were seen to have. A guess at the keys that the chain will name, by which reveals are checked
/// ahead of it.
pub(super) type KnownKeys = RwLock<BTreeMap<Address, ProvenKey>>;

/// What preparing needs to know.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a> {
    /// The newest block of the chain: signers up to it are not looked for.
    pub(super) known: u64,
    /// Of the chain.
    pub(super) chain_id: u64,
    /// Filled by whoever verifies.
    pub(super) keys: &'a KnownKeys,
}

/// A transaction of a block, with its signers if there are any.
#[derive(Debug)]
pub(super) enum Transaction {
    Recovered(SharedTx),
    Unsigned { encoded: Arc<[u8]>, fault: RecoverError },
}

impl Transaction {
    /// The wire form.
    pub(super) fn encoded(&self) -> &[u8] {
        match self {
            Self::Recovered(tx) => tx.encoded(),
            Self::Unsigned { encoded, .. } => encoded,
        }
    }
}

/// Reads `source` to its end, or to the first thing that is no block, and hands on groups of blocks until `hand_on` wants
/// no more.
pub(super) fn prepare(source: impl Read + Send, ahead: Ahead<'_>, mut hand_on: impl FnMut(Vec<Item>) -> bool) {
    let stream = match unpacked(source) {
        Ok(source) => BlockStream::new(source),
        Err(source) => {
            hand_on(vec![Item::Unreadable { number: 0, source }]);
            return;
        }
    };
    let (mut group, mut bytes) = (Vec::new(), 0);
    let mut last = None;
    for block in stream {
        let is_end = block.is_err();
        if let Ok(block) = &block {
            bytes += block.len();
        }
        group.push(block);
        if !is_end && bytes < GROUP_BYTES && group.len() < GROUP_BLOCKS {
            continue;
        }
        if !hand_on(prepare_group(core::mem::take(&mut group), ahead, &mut last)) {
            return;
        }
        bytes = 0;
        if is_end {
            return;
        }
    }
    if !group.is_empty() {
        hand_on(prepare_group(group, ahead, &mut last));
    }
}

/// `last` is the number of the last block that was read, which names the place of what follows.
fn prepare_group(group: Vec<Result<Vec<u8>, StreamError>>, ahead: Ahead<'_>, last: &mut Option<u64>) -> Vec<Item> {
    let prepared: Vec<_> = group.into_par_iter().map(|block| block.map(|block| decode(&block, ahead))).collect();
    let mut items = Vec::with_capacity(prepared.len());
    for block in prepared {
        let next = last.map_or(1, |last| last.saturating_add(1));
        let item = match block {
            Ok(Ok(block)) if last.is_some() && block.header.number != next => {
                let refusal = Refusal::Number { expected: next, got: block.header.number };
                Item::Wrong { number: next, refusal }
            }
            Ok(Ok(block)) => {
                *last = Some(block.header.number);
                Item::Block(Box::new(block))
            }
            Ok(Err(error)) => Item::Wrong { number: next, refusal: Refusal::Encoding(error) },
            Err(StreamError::Read(source)) => Item::Unreadable { number: next.saturating_sub(1), source },
            Err(error) => Item::Wrong { number: next, refusal: Refusal::File(error) },
        };
        items.push(item);
    }
    items
}

fn decode(bytes: &[u8], ahead: Ahead<'_>) -> Result<Prepared, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut block = reader.list("block")?;
    let header = Header::decode(&mut block)?;
    let mut list = block.list("transactions")?;
    block.end("block")?;
    reader.end("block")?;
    let size = bytes.len();
    if header.number <= ahead.known {
        let signers = HeaderSigners { hash: header.hash(), author: None, committers: Vec::new() };
        return Ok(Prepared { header, signers, transactions: Vec::new(), size, reveal: None });
    }
    let mut hashed = Vec::new();
    while !list.is_empty() {
        hashed.push(HashedTx::<Fee>::decode_item(&mut list)?);
    }
    let (signers, transactions) = rayon::join(
        || HeaderSigners::recover(&header),
        || hashed.into_par_iter().map(|tx| recover(tx, ahead.chain_id)).collect(),
    );
    let reveal = reveal(&header, &signers, ahead.keys);
    Ok(Prepared { header, signers, transactions, size, reveal })
}

fn reveal(header: &Header, signers: &HeaderSigners, keys: &KnownKeys) -> Option<(ProvenKey, bool)> {
    let (reveal, author) = (header.random_reveal.as_ref()?, signers.author?);
    let key = *keys.read().get(&author)?;
    Some((key, key.reveals(header.number, reveal)))
}

fn recover(tx: HashedTx<Fee>, chain_id: u64) -> Transaction {
    let encoded = tx.shared_encoding();
    match tx.recover(chain_id) {
        Ok(tx) => Transaction::Recovered(SharedTx::new(tx)),
        Err(fault) => Transaction::Unsigned { encoded, fault },
    }
}
