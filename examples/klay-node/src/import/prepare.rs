//! What can be done about a block without the chain, ahead of its verification and on all cores: decoding, hashes,
//! signers of header and transactions.

use std::{
    io::{self, Read},
    sync::Arc,
};

use klay_consensus::istanbul::import::HeaderSigners;
use klay_core::{
    block::Header,
    codec::{DecodeError, Reader},
    crypto::RecoverError,
    tx::HashedTx,
};
use rayon::prelude::*;

use super::{
    Refusal,
    stream::{BlockStream, StreamError, unpacked},
};
use crate::{Fee, SharedTx};

/// Bytes of blocks that make a group: some hundreds of transactions.
const GROUP_BYTES: usize = 256 << 10;
/// Blocks that make a group, if they are small.
const GROUP_BLOCKS: usize = 256;

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
/// no more. Signers of blocks up to `known` are not looked for.
pub(super) fn prepare(source: impl Read + Send, known: u64, chain_id: u64, mut hand_on: impl FnMut(Vec<Item>) -> bool) {
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
        if !hand_on(prepare_group(core::mem::take(&mut group), known, chain_id, &mut last)) {
            return;
        }
        bytes = 0;
        if is_end {
            return;
        }
    }
    if !group.is_empty() {
        hand_on(prepare_group(group, known, chain_id, &mut last));
    }
}

/// `last` is the number of the last block that was read, which names the place of what follows.
fn prepare_group(
    group: Vec<Result<Vec<u8>, StreamError>>,
    known: u64,
    chain_id: u64,
    last: &mut Option<u64>,
) -> Vec<Item> {
    let prepared: Vec<_> =
        group.into_par_iter().map(|block| block.map(|block| decode(&block, known, chain_id))).collect();
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

fn decode(bytes: &[u8], known: u64, chain_id: u64) -> Result<Prepared, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut block = reader.list("block")?;
    let header = Header::decode(&mut block)?;
    let mut list = block.list("transactions")?;
    block.end("block")?;
    reader.end("block")?;
    let size = bytes.len();
    if header.number <= known {
        let signers = HeaderSigners { hash: header.hash(), author: None, committers: Vec::new() };
        return Ok(Prepared { header, signers, transactions: Vec::new(), size });
    }
    let mut hashed = Vec::new();
    while !list.is_empty() {
        hashed.push(HashedTx::<Fee>::decode_item(&mut list)?);
    }
    let (signers, transactions) = rayon::join(
        || HeaderSigners::recover(&header),
        || hashed.into_par_iter().map(|tx| recover(tx, chain_id)).collect(),
    );
    Ok(Prepared { header, signers, transactions, size })
}

fn recover(tx: HashedTx<Fee>, chain_id: u64) -> Transaction {
    let encoded = tx.shared_encoding();
    match tx.recover(chain_id) {
        Ok(tx) => Transaction::Recovered(SharedTx::new(tx)),
        Err(fault) => Transaction::Unsigned { encoded, fault },
    }
}
