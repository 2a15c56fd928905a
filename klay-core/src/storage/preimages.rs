//! What stands behind hashes: the addresses and storage slots that keys of a state are made of.
//!
//! # Layout
//!
//! [`Table::Preimages`] holds *lists*, numbered from 0, under `0xff ‖ number (8 bytes)`: up to 512 times
//! `length (1 byte) ‖ preimage`. The rest of the table is an index of them by hash in the manner of [`super::buckets`],
//! with the key `preimages` of [`Table::Meta`]. So a preimage costs a part of a value and not a key.
//!
//! What is added again is stored again, and found all the same.

use super::{
    Batch, KeyValue, StorageError, Table,
    buckets::{Buckets, Owner, Place, corrupt, entries_of, list_number},
};
use crate::crypto::keccak256;
use alloy_primitives::B256;
use core::ops::ControlFlow;
use std::sync::Arc;

const OWNER: Owner =
    Owner { table: Table::Preimages, meta: b"preimages", what: "preimage index head", flush_lists: 1_024 };

/// First byte of the key of a list; levels of the index are far below.
const LIST: u8 = 0xff;

/// Most preimages in a list: all of a list is read for one of them.
const LIST_LEN: usize = 512;

/// Longest preimage that is stored.
pub const MAX_LEN: usize = 255;

/// The preimages in a store. One at a time may add to a store.
///
/// ```
/// use klay_core::{keccak256, storage::{Memory, PreimageStore}};
/// use std::sync::Arc;
///
/// let mut preimages = PreimageStore::open(Arc::new(Memory::new()))?;
/// preimages.add([(keccak256("one"), "one"), (keccak256("two"), "two")])?;
/// assert_eq!(preimages.find(&keccak256("two"))?.as_deref(), Some(&b"two"[..]));
/// assert_eq!(preimages.find(&keccak256("three"))?, None);
/// # Ok::<_, klay_core::storage::StorageError>(())
/// ```
#[derive(Debug)]
pub struct PreimageStore {
    store: Arc<dyn KeyValue>,
    index: Buckets,
    /// Number of the next list.
    next: u64,
}

impl PreimageStore {
    /// The preimages in `store`.
    ///
    /// # Errors
    /// If the store fails or holds something that does not decode.
    pub fn open(store: Arc<dyn KeyValue>) -> Result<Self, StorageError> {
        let mut index = Buckets::open(&*store, OWNER)?;
        let mut next = index.next();
        let mut failure = None;
        store.scan(Table::Preimages, &list_key(next), &mut |key, value| {
            let Some(number) = key.strip_prefix(&[LIST]).and_then(list_number) else {
                return ControlFlow::Break(());
            };
            match hashes(value) {
                Ok(hashes) => index.remember(number, entries_of(number, hashes.into_iter().enumerate())),
                Err(error) => failure = Some(error),
            }
            next = number.saturating_add(1);
            if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        failure.map_or(Ok(Self { store, index, next }), Err)
    }

    /// Stores preimages with their hashes. They are durable with the next [sync](KeyValue::sync) of the store.
    ///
    /// One longer than [`MAX_LEN`] is left out.
    ///
    /// # Errors
    /// If the store fails; then some may be stored, and all may be added again.
    pub fn add<P: AsRef<[u8]>>(&mut self, preimages: impl IntoIterator<Item = (B256, P)>) -> Result<(), StorageError> {
        let mut preimages = preimages.into_iter().filter(|(_, preimage)| preimage.as_ref().len() <= MAX_LEN).peekable();
        while preimages.peek().is_some() {
            let (mut hashes, mut list) = (Vec::new(), Vec::new());
            for (hash, preimage) in preimages.by_ref().take(LIST_LEN) {
                hashes.push(hash);
                list.push(preimage.as_ref().len() as u8);
                list.extend_from_slice(preimage.as_ref());
            }
            let mut batch = Batch::default();
            batch.put(Table::Preimages, list_key(self.next), list);
            let entries = entries_of(self.next, hashes.into_iter().enumerate());
            let appended = self.index.append(&*self.store, self.next, entries, &mut batch)?;
            self.store.write(batch)?;
            self.index.finish(appended);
            self.next += 1;
        }
        Ok(())
    }

    /// The preimage of `hash`, if it has been added.
    ///
    /// # Errors
    /// If the store fails or holds something that does not decode.
    pub fn find(&self, hash: &B256) -> Result<Option<Vec<u8>>, StorageError> {
        self.index.find(&*self.store, hash, |Place { list, index }| {
            let Some(value) = self.store.get(Table::Preimages, &list_key(list))? else { return Ok(None) };
            let found = items(&value).nth(index as usize).transpose()?;
            Ok(found.filter(|preimage| keccak256(preimage) == *hash).map(<[u8]>::to_vec))
        })
    }
}

fn list_key(number: u64) -> [u8; 9] {
    let mut key = [LIST; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The preimages of a list in order; ends with an error at the first that is cut off.
fn items(list: &[u8]) -> impl Iterator<Item = Result<&[u8], StorageError>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let (len, behind) = rest.split_first()?;
        let Some((item, behind)) = behind.split_at_checked(usize::from(*len)) else {
            rest = &[];
            return Some(Err(corrupt("preimages", list.len())));
        };
        rest = behind;
        Some(Ok(item))
    })
}

fn hashes(list: &[u8]) -> Result<Vec<B256>, StorageError> {
    items(list).map(|item| item.map(keccak256)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::storage::Memory;

    fn name(number: u32) -> Vec<u8> {
        number.to_be_bytes().repeat(if number.is_multiple_of(3) { 8 } else { 5 })
    }

    #[test]
    fn preimages_are_found_across_flushes_and_restarts() {
        let store: Arc<dyn KeyValue> = Arc::new(Memory::new());
        let mut preimages = PreimageStore::open(Arc::clone(&store)).unwrap();
        for round in 0..30u32 {
            // Some lists are small, some calls fill many lists, and some preimages come again.
            let count = if round % 2 == 0 { 5 } else { 7_000 };
            let all = (0..count).map(|n| name(round * 5_000 + n)).map(|name| (keccak256(&name), name));
            preimages.add(all).unwrap();
            if round % 4 == 3 {
                preimages = PreimageStore::open(Arc::clone(&store)).unwrap();
            }
            for number in [0, 4, round * 5_000, round * 5_000 + count - 1] {
                let name = name(number);
                assert_eq!(preimages.find(&keccak256(&name)).unwrap().as_deref(), Some(name.as_slice()), "{number}");
            }
        }
        assert_eq!(preimages.find(&keccak256("nobody")).unwrap(), None);
        let (mut keys, mut buckets) = (0, 0);
        store
            .scan(Table::Preimages, &[], &mut |key, _| {
                keys += 1;
                buckets += usize::from(key[0] != LIST);
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(buckets > 0, "nothing was flushed");
        assert!(keys < 105_000 / 40, "{keys} keys for 105,000 preimages");
    }

    #[test]
    fn a_list_that_is_cut_off_is_an_error() {
        let store: Arc<dyn KeyValue> = Arc::new(Memory::new());
        let hash = keccak256("abc");
        PreimageStore::open(Arc::clone(&store)).unwrap().add([(hash, "abc")]).unwrap();
        let mut batch = Batch::default();
        batch.put(Table::Preimages, list_key(0), *b"\x03ab");
        store.write(batch).unwrap();
        assert!(matches!(PreimageStore::open(store), Err(StorageError::Corrupt { what: "preimages", .. })));
    }

    #[test]
    fn what_is_too_long_is_left_out() {
        let mut preimages = PreimageStore::open(Arc::new(Memory::new())).unwrap();
        let long = vec![1; MAX_LEN + 1];
        preimages.add([(keccak256(&long), &long[..]), (keccak256("x"), b"x")]).unwrap();
        assert_eq!(preimages.find(&keccak256(&long)).unwrap(), None);
        assert_eq!(preimages.find(&keccak256("x")).unwrap().as_deref(), Some(&b"x"[..]));
    }
}
