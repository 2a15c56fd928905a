//! An index from hashes to places that costs little per entry.
//!
//! One key per entry in an ordered store costs about 10 µs, as every entry lands on another page. Here whoever owns the
//! index writes *lists* of what is indexed, numbered from 0, as one value each; the index in memory covers the lists
//! since the last *flush*, and a flush turns many entries into few larger values.
//!
//! # Layout
//!
//! A table holds a tree of buckets. A bucket of level L is named by the first 8 + 4·L bits of a hash. Key:
//! `level (1 byte) ‖ bucket (8 bytes) ‖ flush number (8 bytes)`; value: sorted entries of 16 bytes,
//! `first 8 bytes of the hash ‖ list number (44 bits) ‖ position in the list (20 bits)`. A flush adds a value to each
//! bucket of level 0. Each bucket is taken up in turn, every sixteenth time that its parent is (of level 0: every
//! sixteenth flush): its values become one, or if that is large, one more value in each of its sixteen children. So an
//! entry is written once per level and values stay a few kilobytes, however many there are.
//!
//! [`Table::Meta`] holds under a name of the owner: `next list to be indexed (u64) ‖ flushes (u64) ‖ levels (u8)`,
//! written in the batch of a flush.
//!
//! An entry is a hint. What counts is the hash in the list, so that equal beginnings of two hashes and entries of lists
//! that were taken back do no harm.

use super::{Batch, KeyValue, StorageError, Table};
use crate::codec::{DecodeError, DecodeErrorKind};
use alloy_primitives::B256;
use core::ops::ControlFlow;
use std::collections::VecDeque;

/// Entries in memory that make a flush due.
const FLUSH_ENTRIES: usize = 32_768;
/// Entries in a bucket from which on they move to its children.
const BUCKET_ENTRIES: usize = 1_024;
/// Levels at most; 28 bits at the last one name 268 million buckets.
const MAX_LEVELS: u8 = 6;
const ENTRY_LEN: usize = 16;
const INDEX_BITS: u32 = 20;

/// Where something is that has a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Number of the list.
    pub(super) list: u64,
    /// Position in it, from 0.
    pub(super) index: u32,
}

/// The beginning of a hash, and a [`Place`] in 64 bits.
pub(super) type Entry = (u64, u64);

/// An index: what it has in memory, and where what is on disk ends.
#[derive(Debug)]
pub(super) struct Buckets {
    owner: Owner,
    /// Sorted entries of each list that has any, from `next` on.
    recent: VecDeque<(u64, Vec<Entry>)>,
    recent_entries: usize,
    /// First list that is not in the table.
    next: u64,
    flushes: u64,
    levels: u8,
}

/// What tells indices apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    /// Where the buckets are.
    pub(super) table: Table,
    /// Key in [`Table::Meta`].
    pub(super) meta: &'static [u8],
    /// What it is, for errors.
    pub(super) what: &'static str,
    /// Lists in memory that make a flush due, which bounds what a start has to read.
    pub(super) flush_lists: u64,
}

impl Buckets {
    /// The index on disk; lists from [`Self::next`] on are to be [remembered](Self::remember).
    pub(super) fn open(store: &dyn KeyValue, owner: Owner) -> Result<Self, StorageError> {
        let mut index = Self::empty(owner);
        if let Some(meta) = store.get(Table::Meta, owner.meta)? {
            let meta: &[u8; 17] = meta.as_slice().try_into().map_err(|_| corrupt(owner.what, meta.len()))?;
            index.next = number_at(meta, 0);
            index.flushes = number_at(meta, 8);
            index.levels = meta[16].min(MAX_LEVELS);
        }
        Ok(index)
    }

    const fn empty(owner: Owner) -> Self {
        Self { owner, recent: VecDeque::new(), recent_entries: 0, next: 0, flushes: 0, levels: 0 }
    }

    /// The first list that is not on disk.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Notes a list that is stored and not indexed on disk.
    pub(super) fn remember(&mut self, list: u64, entries: Vec<Entry>) {
        if !entries.is_empty() {
            self.recent_entries += entries.len();
            self.recent.push_back((list, entries));
        }
    }

    /// Indexes a list: adds a flush to `batch` if one is due. The result takes effect with [`Self::finish`] when the
    /// batch has been written.
    pub(super) fn append(
        &self,
        store: &dyn KeyValue,
        list: u64,
        entries: Vec<Entry>,
        batch: &mut Batch,
    ) -> Result<Appended, StorageError> {
        let due =
            self.recent_entries + entries.len() >= FLUSH_ENTRIES || list + 1 >= self.next + self.owner.flush_lists;
        if !due {
            return Ok(Appended { list, entries, flush: None });
        }
        let mut all: Vec<Entry> = self.recent.iter().flat_map(|(_, entries)| entries).copied().collect();
        all.extend_from_slice(&entries);
        all.sort_unstable();
        let mut flush = Flush { store, table: self.owner.table, number: self.flushes, levels: self.levels, batch };
        flush.run(&all)?;
        let levels = flush.levels;
        batch.put(Table::Meta, self.owner.meta, meta(list + 1, self.flushes + 1, levels));
        Ok(Appended { list, entries, flush: Some(levels) })
    }

    /// Takes over an appended list.
    pub(super) fn finish(&mut self, appended: Appended) {
        match appended.flush {
            None => self.remember(appended.list, appended.entries),
            Some(levels) => {
                let (next, flushes) = (appended.list + 1, self.flushes + 1);
                *self = Self { next, flushes, levels, ..Self::empty(self.owner) };
            }
        }
    }

    /// Adds to `batch` what makes lists above `last` be indexed anew; their entries on disk are never believed.
    pub(super) fn rewind(&self, last: u64, batch: &mut Batch) {
        if self.next > last + 1 {
            batch.put(Table::Meta, self.owner.meta, meta(last + 1, self.flushes, self.levels));
        }
    }

    /// Forgets lists above `last`, after [`Self::rewind`] has been written.
    pub(super) fn finish_rewind(&mut self, last: u64) {
        while let Some((_, entries)) = self.recent.pop_back_if(|(list, _)| *list > last) {
            self.recent_entries -= entries.len();
        }
        self.next = self.next.min(last + 1);
    }

    /// The first thing with `hash` that `confirm` finds at one of the places where one may be.
    pub(super) fn find<T>(
        &self,
        store: &dyn KeyValue,
        hash: &B256,
        mut confirm: impl FnMut(Place) -> Result<Option<T>, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        let prefix = prefix_of(hash);
        let mut first = |places: &[Place]| places.iter().find_map(|place| confirm(*place).transpose()).transpose();
        let mut places = Vec::new();
        for (_, entries) in &self.recent {
            push_matches(entries, prefix, &mut places);
        }
        if let Some(found) = first(&places)? {
            return Ok(Some(found));
        }
        places.clear();
        // A flush may be in the store already that is not finished here; it adds one level at most.
        for level in 0..=(self.levels + 1).min(MAX_LEVELS) {
            for (_, entries) in values(store, self.owner.table, level, bucket_of(prefix, level))? {
                push_matches(&entries, prefix, &mut places);
            }
        }
        first(&places)
    }
}

/// A list whose writes are in a batch.
#[derive(Debug)]
pub(super) struct Appended {
    list: u64,
    entries: Vec<Entry>,
    /// Levels after the flush that is in the same batch, if there is one.
    flush: Option<u8>,
}

struct Flush<'a> {
    store: &'a dyn KeyValue,
    table: Table,
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
        let old = values(self.store, self.table, level, bucket)?;
        if old.is_empty() {
            self.put(level, bucket, new);
            return Ok(());
        }
        let mut all = new.to_vec();
        for (flush, entries) in old {
            all.extend(entries);
            self.batch.delete(self.table, key_of(level, bucket, flush));
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
        self.batch.put(self.table, key_of(level, bucket, self.number), value);
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
fn values(store: &dyn KeyValue, table: Table, level: u8, bucket: u64) -> Result<Vec<(u64, Vec<Entry>)>, StorageError> {
    let start = key_of(level, bucket, 0);
    let name = &start[..9];
    let mut found = Vec::new();
    store.scan(table, &start, &mut |key, value| {
        let Some(flush) = key.strip_prefix(name).and_then(list_number) else { return ControlFlow::Break(()) };
        let (entries, _) = value.as_chunks::<ENTRY_LEN>();
        found.push((flush, entries.iter().map(|entry| (number_at(entry, 0), number_at(entry, 8))).collect()));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn push_matches(sorted: &[Entry], prefix: u64, found: &mut Vec<Place>) {
    let from = sorted.partition_point(|entry| entry.0 < prefix);
    found.extend(
        sorted[from..]
            .iter()
            .take_while(|entry| entry.0 == prefix)
            .map(|(_, place)| Place { list: place >> INDEX_BITS, index: (place & ((1 << INDEX_BITS) - 1)) as u32 }),
    );
}

/// The entries of hashes at their positions in a list.
pub(super) fn entries_of(list: u64, hashes: impl IntoIterator<Item = (usize, B256)>) -> Vec<Entry> {
    let place = |index: usize| list << INDEX_BITS | index as u64 & ((1 << INDEX_BITS) - 1);
    let mut entries: Vec<Entry> = hashes.into_iter().map(|(index, hash)| (prefix_of(&hash), place(index))).collect();
    entries.sort_unstable();
    entries.dedup();
    entries
}

fn prefix_of(hash: &B256) -> u64 {
    number_at(hash.as_slice(), 0)
}

/// The number at `at`; zero where there are no eight bytes.
fn number_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(list_number).unwrap_or_default()
}

/// The number that a key or a part of one is, if it has eight bytes.
pub(super) fn list_number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// A value whose length is wrong.
pub(super) const fn corrupt(what: &'static str, got: usize) -> StorageError {
    StorageError::Corrupt { what, source: DecodeError::new(what, got, DecodeErrorKind::Invalid("wrong length")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::storage::Memory;

    /// Hashes that begin alike, so that one bucket gets all of them.
    fn hash(list: u64, index: u64) -> B256 {
        let mut hash = B256::ZERO;
        hash[2..8].copy_from_slice(&(list << 16 | index).to_be_bytes()[2..]);
        hash
    }

    #[test]
    fn all_is_found_while_a_flush_is_written_and_not_finished() {
        const OWNER: Owner = Owner { table: Table::TxIndex, meta: b"test", what: "test", flush_lists: 1 };
        const PER_LIST: u64 = 600;
        let store = Memory::new();
        let mut index = Buckets::open(&store, OWNER).unwrap();
        let mut added = 0;
        for list in 0..34 {
            let hashes = (0..PER_LIST).map(|at| (at as usize, hash(list, at)));
            let mut batch = Batch::default();
            let appended = index.append(&store, list, entries_of(list, hashes), &mut batch).unwrap();
            store.write(batch).unwrap();
            added += usize::from(appended.flush > Some(index.levels));
            for known in 0..list {
                let place = index.find(&store, &hash(known, 7), |place| Ok((place.list == known).then_some(place)));
                assert_eq!(place.unwrap(), Some(Place { list: known, index: 7 }), "while {list} is added");
            }
            index.finish(appended);
        }
        assert!(added > 0, "no flush has added a level");
    }
}
