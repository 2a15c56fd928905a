//! Where a transaction is, by its hash or by its sender transaction hash.
//!
//! [`Table::TxHashes`], by block number: a list of 32-byte hashes `count (u32) ‖ tx hash × count ‖ sender hash × count`,
//! without the second part where no transaction has a sender transaction hash of its own. Blocks without transactions
//! have no value. Numbers are big endian.
//!
//! [`Table::TxIndex`] and the key `tx-index` of [`Table::Meta`] are as [`super::buckets`] says, with these lists, whose
//! numbers are those of blocks. A flush is in the batch of a block.

use super::{
    Batch, KeyValue, StorageError, Table,
    buckets::{Appended, Buckets, Entry, Owner, Place, corrupt, entries_of, list_number},
};
use alloy_primitives::B256;
use core::ops::ControlFlow;

/// The place of a transaction in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxLocation {
    /// Number of the block.
    pub number: u64,
    /// Position in the block, from 0.
    pub index: u32,
}

const OWNER: Owner = Owner { table: Table::TxIndex, meta: b"tx-index", what: "tx index head", flush_lists: 8_192 };

/// The index.
#[derive(Debug)]
pub(super) struct TxIndex(Buckets);

impl TxIndex {
    /// Reads what blocks up to `head` have written since the last flush.
    pub(super) fn open(store: &dyn KeyValue, head: Option<u64>) -> Result<Self, StorageError> {
        let mut buckets = Buckets::open(store, OWNER)?;
        let mut failure = None;
        store.scan(Table::TxHashes, &buckets.next().to_be_bytes(), &mut |key, value| {
            let Some(number) = list_number(key).filter(|number| Some(*number) <= head) else {
                return ControlFlow::Break(());
            };
            match HashList::parse(value) {
                Ok(list) => buckets.remember(number, list.entries(number)),
                Err(error) => failure = Some(error),
            }
            if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        failure.map_or(Ok(Self(buckets)), Err)
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
        self.0.append(store, number, entries(number, tx.iter().copied(), sender.iter().copied()), batch)
    }

    /// Takes over an appended block.
    pub(super) fn finish(&mut self, appended: Appended) {
        self.0.finish(appended);
    }

    /// Adds to `batch` what makes blocks above `head` be indexed anew.
    pub(super) fn rewind(&self, head: u64, batch: &mut Batch) {
        self.0.rewind(head, batch);
    }

    /// Forgets blocks above `head`, after [`Self::rewind`] has been written.
    pub(super) fn finish_rewind(&mut self, head: u64) {
        self.0.finish_rewind(head);
    }

    /// Finds a transaction by its hash or, if it has one of its own, by its sender transaction hash.
    pub(super) fn find(
        &self,
        store: &dyn KeyValue,
        hash: &B256,
        kind: HashKind,
    ) -> Result<Option<TxLocation>, StorageError> {
        self.0.find(store, hash, |Place { list, index }| {
            let Some(value) = store.get(Table::TxHashes, &list.to_be_bytes())? else { return Ok(None) };
            let found = HashList::parse(&value)?.at(index as usize, kind) == Some(*hash);
            Ok(found.then_some(TxLocation { number: list, index }))
        })
    }
}

/// Which of the two hashes is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashKind {
    Tx,
    Sender,
}

fn entries(number: u64, tx: impl Iterator<Item = B256>, sender: impl Iterator<Item = B256>) -> Vec<Entry> {
    entries_of(number, tx.enumerate().chain(sender.enumerate()))
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
        entries(number, self.tx.iter().map(B256::from), self.sender.iter().map(B256::from))
    }

    fn at(&self, index: usize, kind: HashKind) -> Option<B256> {
        let list = if kind == HashKind::Sender && !self.sender.is_empty() { self.sender } else { self.tx };
        list.get(index).map(B256::from)
    }
}
