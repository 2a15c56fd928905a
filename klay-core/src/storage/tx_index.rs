//! Where a transaction is, by its hash or by its sender transaction hash.
//!
//! One entry per transaction in an ordered store costs about 10 µs, as every entry lands on another page; that is more
//! than the rest of a transfer's storage. Here a block writes the list of its hashes as one value, an index in memory
//! covers the blocks since the last *flush*, and a flush turns many transactions into few larger values.
//!
//! # Layout
//!
//! [`Table::TxHashes`], by block number: a list of 32-byte hashes `count (u32) ‖ tx hash × count ‖ sender hash × count`,
//! without the second part where no transaction has a sender transaction hash of its own. Blocks without transactions
//! have no value. Numbers are big endian.
//!
//! [`Table::TxIndex`] is a tree of buckets. A bucket of level L is named by the first 8 + 4·L bits of a hash. Key:
//! `level (1 byte) ‖ bucket (8 bytes) ‖ flush number (8 bytes)`; value: sorted entries of 16 bytes,
//! `first 8 bytes of the hash ‖ block number (44 bits) ‖ position in the block (20 bits)`. A flush adds a value to each
//! bucket of level 0. Each bucket is taken up in turn, every sixteenth time that its parent is (of level 0: every
//! sixteenth flush): its values become one, or if that is large, one more value in each of its sixteen children. So an
//! entry is written once per level and values stay a few kilobytes, however long the chain.
//!
//! [`Table::Meta`], key `tx-index`: `next block to be indexed (u64) ‖ flushes (u64) ‖ levels (u8)`, written in the
//! batch of a flush, which is that of a block.
//!
//! An entry is a hint. What counts is the hash in the block's list, so that equal beginnings of two hashes and entries
//! of blocks that were taken back do no harm.

use super::{Batch, KeyValue, StorageError, Table};
use crate::codec::{DecodeError, DecodeErrorKind};
use alloy_primitives::B256;
use core::ops::ControlFlow;
use std::collections::VecDeque;

/// The place of a transaction in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxLocation {
    /// Number of the block.
    pub number: u64,
    /// Position in the block, from 0.
    pub index: u32,
}

/// Transactions in memory that make a flush due.
const FLUSH_ENTRIES: usize = 32_768;
/// Blocks in memory that make a flush due, which bounds what a start has to read.
const FLUSH_BLOCKS: u64 = 8_192;
/// Entries in a bucket from which on they move to its children.
const BUCKET_ENTRIES: usize = 1_024;
/// Levels at most; 28 bits at the last one name 268 million buckets.
const MAX_LEVELS: u8 = 6;
const ENTRY_LEN: usize = 16;
const INDEX_BITS: u32 = 20;
const META_KEY: &[u8] = b"tx-index";

type Entry = (u64, u64);

/// The index: what it has in memory, and where what is on disk ends.
#[derive(Debug, Default)]
pub(super) struct TxIndex {
    /// Sorted entries of each block that has transactions, from `next` on.
    recent: VecDeque<(u64, Vec<Entry>)>,
    recent_entries: usize,
    /// First block that is not in [`Table::TxIndex`].
    next: u64,
    flushes: u64,
    levels: u8,
}

impl TxIndex {
    /// Reads what blocks up to `head` have written since the last flush.
    pub(super) fn open(store: &dyn KeyValue, head: Option<u64>) -> Result<Self, StorageError> {
        let mut index = Self::default();
        if let Some(meta) = store.get(Table::Meta, META_KEY)? {
            let meta: &[u8; 17] = meta.as_slice().try_into().map_err(|_| corrupt("tx index head", meta.len()))?;
            index.next = number_at(meta, 0);
            index.flushes = number_at(meta, 8);
            index.levels = meta[16].min(MAX_LEVELS);
        }
        let mut failure = None;
        store.scan(Table::TxHashes, &index.next.to_be_bytes(), &mut |key, value| {
            let Some(number) = block_number(key).filter(|number| Some(*number) <= head) else {
                return ControlFlow::Break(());
            };
            match HashList::parse(value) {
                Ok(list) => index.remember(number, list.entries(number)),
                Err(error) => failure = Some(error),
            }
            if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        failure.map_or(Ok(index), Err)
    }

    /// Adds to `batch` what block `number` needs for its transactions to be found, and a flush if one is due. The
    /// result takes effect with [`Self::finish`] when the batch has been written.
    pub(super) fn append(
        &self,
        store: &dyn KeyValue,
        number: u64,
        tx: &[B256],
        sender: &[B256],
        batch: &mut Batch,
    ) -> Result<Appended, StorageError> {
        let sender = if sender == tx { &[] } else { sender };
        if !tx.is_empty() {
            let mut value = Vec::with_capacity(4 + 32 * (tx.len() + sender.len()));
            value.extend_from_slice(&(tx.len() as u32).to_be_bytes());
            for hash in tx.iter().chain(sender) {
                value.extend_from_slice(hash.as_slice());
            }
            batch.put(Table::TxHashes, number.to_be_bytes(), value);
        }
        let entries = entries_of(number, tx.iter().copied(), sender.iter().copied());
        let due = self.recent_entries + entries.len() >= FLUSH_ENTRIES || number + 1 >= self.next + FLUSH_BLOCKS;
        if !due {
            return Ok(Appended { number, entries, flush: None });
        }
        let mut all: Vec<Entry> = self.recent.iter().flat_map(|(_, entries)| entries).copied().collect();
        all.extend_from_slice(&entries);
        all.sort_unstable();
        let mut flush = Flush { store, number: self.flushes, levels: self.levels, batch };
        flush.run(&all)?;
        let levels = flush.levels;
        batch.put(Table::Meta, META_KEY, meta(number + 1, self.flushes + 1, levels));
        Ok(Appended { number, entries, flush: Some(levels) })
    }

    /// Takes over an appended block.
    pub(super) fn finish(&mut self, appended: Appended) {
        match appended.flush {
            None => self.remember(appended.number, appended.entries),
            Some(levels) => {
                *self = Self { next: appended.number + 1, flushes: self.flushes + 1, levels, ..Self::default() };
            }
        }
    }

    /// Adds to `batch` what makes blocks above `head` be indexed anew; their entries on disk are never believed.
    pub(super) fn rewind(&self, head: u64, batch: &mut Batch) {
        if self.next > head + 1 {
            batch.put(Table::Meta, META_KEY, meta(head + 1, self.flushes, self.levels));
        }
    }

    /// Forgets blocks above `head`, after [`Self::rewind`] has been written.
    pub(super) fn finish_rewind(&mut self, head: u64) {
        while let Some((_, entries)) = self.recent.pop_back_if(|(number, _)| *number > head) {
            self.recent_entries -= entries.len();
        }
        self.next = self.next.min(head + 1);
    }

    /// Finds a transaction by its hash or, if it has one of its own, by its sender transaction hash.
    pub(super) fn find(
        &self,
        store: &dyn KeyValue,
        hash: &B256,
        kind: HashKind,
    ) -> Result<Option<TxLocation>, StorageError> {
        let prefix = prefix_of(hash);
        let mut candidates = Vec::new();
        for (_, entries) in &self.recent {
            push_matches(entries, prefix, &mut candidates);
        }
        if let Some(found) = confirmed(store, &candidates, hash, kind)? {
            return Ok(Some(found));
        }
        candidates.clear();
        for level in 0..=self.levels {
            for (_, entries) in values(store, level, bucket_of(prefix, level))? {
                push_matches(&entries, prefix, &mut candidates);
            }
        }
        confirmed(store, &candidates, hash, kind)
    }

    fn remember(&mut self, number: u64, entries: Vec<Entry>) {
        if !entries.is_empty() {
            self.recent_entries += entries.len();
            self.recent.push_back((number, entries));
        }
    }
}

/// A block whose writes are in a batch.
#[derive(Debug)]
pub(super) struct Appended {
    number: u64,
    entries: Vec<Entry>,
    /// Levels after the flush that is in the same batch, if there is one.
    flush: Option<u8>,
}

/// Which of the two hashes is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashKind {
    Tx,
    Sender,
}

struct Flush<'a> {
    store: &'a dyn KeyValue,
    number: u64,
    levels: u8,
    batch: &'a mut Batch,
}

impl Flush<'_> {
    fn run(&mut self, entries: &[Entry]) -> Result<(), StorageError> {
        let turn = self.number % 16;
        let mut rest = entries;
        for bucket in 0..256 {
            let (own, behind) = split_bucket(rest, bucket, 0);
            rest = behind;
            if bucket % 16 == turn {
                self.take_up(0, bucket, own)?;
            } else {
                self.put(0, bucket, own);
            }
        }
        Ok(())
    }

    /// Makes one value of a bucket and what is new to it, or hands everything to its children.
    fn take_up(&mut self, level: u8, bucket: u64, new: &[Entry]) -> Result<(), StorageError> {
        let old = values(self.store, level, bucket)?;
        if old.is_empty() {
            self.put(level, bucket, new);
            return Ok(());
        }
        let mut all = new.to_vec();
        for (flush, entries) in old {
            all.extend(entries);
            self.batch.delete(Table::TxIndex, key_of(level, bucket, flush));
        }
        all.sort_unstable();
        if all.len() < BUCKET_ENTRIES || level == MAX_LEVELS {
            self.put(level, bucket, &all);
            return Ok(());
        }
        self.levels = self.levels.max(level + 1);
        let turn = self.number >> (4 * (u32::from(level) + 1)) & 0x0f;
        let mut rest = all.as_slice();
        for child in 0..16 {
            let (own, behind) = split_bucket(rest, bucket << 4 | child, level + 1);
            rest = behind;
            if child == turn {
                self.take_up(level + 1, bucket << 4 | child, own)?;
            } else {
                self.put(level + 1, bucket << 4 | child, own);
            }
        }
        Ok(())
    }

    fn put(&mut self, level: u8, bucket: u64, entries: &[Entry]) {
        if entries.is_empty() {
            return;
        }
        let mut value = Vec::with_capacity(entries.len() * ENTRY_LEN);
        for (prefix, place) in entries {
            value.extend_from_slice(&prefix.to_be_bytes());
            value.extend_from_slice(&place.to_be_bytes());
        }
        self.batch.put(Table::TxIndex, key_of(level, bucket, self.number), value);
    }
}

fn meta(next: u64, flushes: u64, levels: u8) -> [u8; 17] {
    let mut meta = [0; 17];
    meta[..8].copy_from_slice(&next.to_be_bytes());
    meta[8..16].copy_from_slice(&flushes.to_be_bytes());
    meta[16] = levels;
    meta
}

fn split_bucket(sorted: &[Entry], bucket: u64, level: u8) -> (&[Entry], &[Entry]) {
    sorted.split_at(sorted.partition_point(|(prefix, _)| bucket_of(*prefix, level) <= bucket))
}

const fn bucket_of(prefix: u64, level: u8) -> u64 {
    prefix >> (56 - 4 * level as u32)
}

fn key_of(level: u8, bucket: u64, flush: u64) -> Vec<u8> {
    let mut key = vec![level];
    key.extend_from_slice(&bucket.to_be_bytes());
    key.extend_from_slice(&flush.to_be_bytes());
    key
}

/// The values of a bucket with the flushes that wrote them.
fn values(store: &dyn KeyValue, level: u8, bucket: u64) -> Result<Vec<(u64, Vec<Entry>)>, StorageError> {
    let start = key_of(level, bucket, 0);
    let name = &start[..9];
    let mut found = Vec::new();
    store.scan(Table::TxIndex, &start, &mut |key, value| {
        let Some(flush) = key.strip_prefix(name).and_then(block_number) else { return ControlFlow::Break(()) };
        let (entries, _) = value.as_chunks::<ENTRY_LEN>();
        found.push((flush, entries.iter().map(|entry| (number_at(entry, 0), number_at(entry, 8))).collect()));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn push_matches(sorted: &[Entry], prefix: u64, found: &mut Vec<TxLocation>) {
    let from = sorted.partition_point(|entry| entry.0 < prefix);
    found.extend(
        sorted[from..].iter().take_while(|entry| entry.0 == prefix).map(|(_, place)| TxLocation {
            number: place >> INDEX_BITS,
            index: (place & ((1 << INDEX_BITS) - 1)) as u32,
        }),
    );
}

fn confirmed(
    store: &dyn KeyValue,
    candidates: &[TxLocation],
    hash: &B256,
    kind: HashKind,
) -> Result<Option<TxLocation>, StorageError> {
    for candidate in candidates {
        let Some(value) = store.get(Table::TxHashes, &candidate.number.to_be_bytes())? else { continue };
        let list = HashList::parse(&value)?;
        if list.at(candidate.index as usize, kind) == Some(*hash) {
            return Ok(Some(*candidate));
        }
    }
    Ok(None)
}

fn entries_of(number: u64, tx: impl Iterator<Item = B256>, sender: impl Iterator<Item = B256>) -> Vec<Entry> {
    let place = |index: usize| number << INDEX_BITS | index as u64 & ((1 << INDEX_BITS) - 1);
    let by = |(index, hash): (usize, B256)| (prefix_of(&hash), place(index));
    let mut entries: Vec<Entry> = tx.enumerate().map(by).chain(sender.enumerate().map(by)).collect();
    entries.sort_unstable();
    entries.dedup();
    entries
}

fn prefix_of(hash: &B256) -> u64 {
    number_at(hash.as_slice(), 0)
}

/// The number at `at`; zero where there are no eight bytes.
fn number_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(block_number).unwrap_or_default()
}

fn block_number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

const fn corrupt(what: &'static str, got: usize) -> StorageError {
    StorageError::Corrupt { what, source: DecodeError::new(what, got, DecodeErrorKind::Invalid("wrong length")) }
}

/// A value of [`Table::TxHashes`].
#[derive(Debug, Clone, Copy)]
pub(super) struct HashList<'a> {
    tx: &'a [[u8; 32]],
    sender: &'a [[u8; 32]],
}

impl<'a> HashList<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Result<Self, StorageError> {
        let wrong = || corrupt("transaction hashes", value.len());
        let (count, hashes) = value.split_first_chunk::<4>().ok_or_else(wrong)?;
        let count = u32::from_be_bytes(*count) as usize;
        let (hashes, rest) = hashes.as_chunks::<32>();
        let (tx, sender) = hashes.split_at_checked(count).ok_or_else(wrong)?;
        if !rest.is_empty() || !(sender.is_empty() || sender.len() == count) {
            return Err(wrong());
        }
        Ok(Self { tx, sender })
    }

    /// The hashes of the transactions in order.
    pub(super) fn tx_hashes(&self) -> Vec<B256> {
        self.tx.iter().map(B256::from).collect()
    }

    fn entries(&self, number: u64) -> Vec<Entry> {
        entries_of(number, self.tx.iter().map(B256::from), self.sender.iter().map(B256::from))
    }

    fn at(&self, index: usize, kind: HashKind) -> Option<B256> {
        let list = if kind == HashKind::Sender && !self.sender.is_empty() { self.sender } else { self.tx };
        list.get(index).map(B256::from)
    }
}
