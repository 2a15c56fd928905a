//! The chain in a store: blocks, what is asked about them, and how far the state is written.
//!
//! # Layout
//!
//! Beside the tables by block number (see [`storage`](super)) and the transaction index (see [`super::tx_index`]),
//! [`Table::Meta`] holds:
//!
//! | Key | Value |
//! |---|---|
//! | `format` | version of the layout, u64 |
//! | `head` | number (u64) and hash of the last block |
//! | `state` | number (u64) and state root of the last block whose state is wholly in [`Table::Nodes`] |
//! | `config` | chain configuration, JSON |
//! | `tx-index` | see [`super::tx_index`] |
//! | `preimages` | see [`super::preimages`] |
//!
//! # Durability
//!
//! [`ChainStore::append`] writes a block with its receipts, its index and the new head in one batch and waits until it
//! is on disk: a block that was announced is never lost and never there by half. The state follows when its owner
//! decides: its nodes and the `state` pointer go into one batch of their own, and after a crash the blocks between
//! `state` and `head` are executed again.

use super::{
    Batch, KeyValue, StorageError, Table,
    tx_index::{HashKind, HashList, TxIndex, TxLocation},
};
use crate::{
    block::Header,
    codec::{DecodeError, DecodeErrorKind, Reader},
};
use alloy_primitives::B256;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Version of the layout that this program writes. 3 differs from 2 by large values, which sled keeps in pieces: a
/// program for 2 would read them as empty.
pub const FORMAT: u64 = 3;

/// The oldest version that is read. [`ChainStore::open`] raises it, as what is written from then on is of the newest.
const OLDEST: u64 = 2;

/// Bytes of trie nodes from which on a batch is full: an eighth of sled's buffer for writing.
const PART: usize = 64 << 10;

/// A block and a hash that goes with it: the block's own, or its state root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockPointer {
    /// Number of the block.
    pub number: u64,
    /// The hash.
    pub hash: B256,
}

/// A block as it is stored: encoded by the caller, who knows the transactions' type.
#[derive(Debug, Clone, Default)]
pub struct NewBlock<'a> {
    /// Height; 0 for the genesis block.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
    /// RLP of the header, with the final seals.
    pub header: Vec<u8>,
    /// The transactions, in the caller's encoding.
    pub body: Vec<u8>,
    /// The receipts, in the caller's encoding; [`encode_receipts`](super::receipts::encode_receipts) is a compact one.
    pub receipts: Vec<u8>,
    /// Transaction hashes in order.
    pub tx_hashes: &'a [B256],
    /// Sender transaction hashes in order, the transaction hash where it is the same; may be empty if all are.
    pub sender_tx_hashes: &'a [B256],
}

/// The blocks of one chain in a [`KeyValue`].
///
/// Readers do not wait for a block being written; blocks are appended by one thread at a time.
///
/// ```
/// use klay_core::{B256, storage::{Batch, ChainStore, Memory, NewBlock}};
/// use std::sync::Arc;
///
/// let chain = ChainStore::open(Arc::new(Memory::new()))?;
/// let (hash, tx) = (B256::repeat_byte(1), [B256::repeat_byte(2)]);
/// chain.append(NewBlock { hash, body: vec![0xc0], tx_hashes: &tx, ..NewBlock::default() }, Batch::default())?;
/// assert_eq!(chain.head().map(|head| head.hash), Some(hash));
/// assert_eq!(chain.tx_location(&tx[0])?.map(|place| (place.number, place.index)), Some((0, 0)));
/// # Ok::<_, klay_core::storage::StorageError>(())
/// ```
#[derive(Debug)]
pub struct ChainStore {
    store: Arc<dyn KeyValue>,
    /// Held by whoever writes.
    writer: Mutex<()>,
    /// What readers share; locked for the moment of the change only.
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    head: Option<BlockPointer>,
    index: TxIndex,
}

impl ChainStore {
    /// Opens the chain in `store`; an empty store gets an empty chain, one of an older [format](FORMAT) the newest.
    ///
    /// # Errors
    /// If the store fails, holds another format, its pointers do not decode, or its last block is not whole.
    pub fn open(store: Arc<dyn KeyValue>) -> Result<Self, StorageError> {
        let found = store.get(Table::Meta, b"format")?.map(|found| found.try_into().map_or(0, u64::from_be_bytes));
        if let Some(got) = found
            && !(OLDEST..=FORMAT).contains(&got)
        {
            return Err(StorageError::Format { expected: FORMAT, got });
        }
        if found != Some(FORMAT) {
            let mut batch = Batch::default();
            batch.put(Table::Meta, *b"format", FORMAT.to_be_bytes());
            store.write(batch)?;
            store.sync()?;
        }
        let head = pointer(&*store, b"head", "head")?;
        let index = TxIndex::open(&*store, head.map(|head| head.number))?;
        let chain = Self { store, writer: Mutex::default(), state: RwLock::new(State { head, index }) };
        if let Some(BlockPointer { number, hash }) = head {
            chain.check_whole(number, hash).map_err(|error| error.of_head(number))?;
        }
        Ok(chain)
    }

    /// Whether everything is there that goes into the batch of the block.
    fn check_whole(&self, number: u64, hash: B256) -> Result<(), StorageError> {
        let missing = |what| StorageError::Missing { what, number };
        self.hash_and_header(number)?.filter(|(found, _)| *found == hash).ok_or_else(|| missing("header"))?;
        self.header(number)?;
        self.body_bytes(number)?.ok_or_else(|| missing("body"))?;
        self.receipts_bytes(number)?.ok_or_else(|| missing("receipts"))?;
        self.number(&hash)?.filter(|found| *found == number).ok_or_else(|| missing("number"))?;
        Ok(())
    }

    /// The store below, for code, trie nodes and consensus records.
    pub fn store(&self) -> &Arc<dyn KeyValue> {
        &self.store
    }

    /// The last block; `None` before the genesis block.
    pub fn head(&self) -> Option<BlockPointer> {
        self.read(|state| state.head)
    }

    /// Appends the block that follows the head, with `extra` (new code, records of consensus) in the same batch, and
    /// waits until it is on disk.
    ///
    /// # Errors
    /// If the block is not the next one or the store fails. The head is as it was then, and the same block may be
    /// appended again, unless the store [takes no more](StorageError::Failed).
    pub fn append(&self, block: NewBlock<'_>, extra: Batch) -> Result<(), StorageError> {
        self.append_and(block, extra, |store| store.sync())
    }

    /// As [`Self::append`], without waiting for the disk: for imports, which sync once for many blocks.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_unsynced(&self, block: NewBlock<'_>, extra: Batch) -> Result<(), StorageError> {
        self.append_and(block, extra, |_| Ok(()))
    }

    fn append_and(
        &self,
        block: NewBlock<'_>,
        extra: Batch,
        sync: impl FnOnce(&dyn KeyValue) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let _writer = self.lock();
        let expected = self.head().map_or(0, |head| head.number + 1);
        let NewBlock { number, hash, header, body, receipts, tx_hashes, sender_tx_hashes } = block;
        if number != expected {
            return Err(StorageError::NotNext { expected, got: number });
        }
        let mut batch = extra;
        let key = number.to_be_bytes();
        let mut stored = Vec::with_capacity(32 + header.len());
        stored.extend_from_slice(hash.as_slice());
        stored.extend_from_slice(&header);
        batch.put(Table::Headers, key, stored);
        batch.put(Table::Bodies, key, body);
        batch.put(Table::Receipts, key, receipts);
        batch.put(Table::BlockNumbers, hash.as_slice(), key);
        let head = BlockPointer { number, hash };
        batch.put(Table::Meta, *b"head", head.encode());
        let appended =
            self.read(|state| state.index.append(&*self.store, number, tx_hashes, sender_tx_hashes, &mut batch))?;
        self.store.write(batch)?;
        sync(&*self.store)?;
        self.change(|state| {
            state.head = Some(head);
            state.index.finish(appended);
        });
        Ok(())
    }

    /// Writes the state of block `number`: `nodes`, as [`Trie::commit`](crate::trie::Trie::commit) collected them from
    /// the account trie and every storage trie, then the pointer to it; waits until both are on disk.
    ///
    /// Nodes are written in the order of their hashes, so that neighbours land on one page, and in parts, as a store may
    /// need many times the memory of a batch while it writes one: both together are several times faster and smaller
    /// than one batch as it comes. Until the pointer follows, nodes are merely unused, so a crash between two parts does
    /// no harm. Confirm the commits after this.
    ///
    /// # Errors
    /// If the store fails; then the pointer is as it was.
    pub fn persist_state(&self, number: u64, root: B256, nodes: Batch) -> Result<(), StorageError> {
        self.write_nodes(nodes)?;
        let mut pointer = Batch::default();
        put_persisted_state(&mut pointer, number, root);
        self.store.write(pointer)?;
        self.store.sync()
    }

    /// Writes trie nodes and code in the order and in the parts that [`Self::persist_state`] writes them in, without
    /// waiting for the disk and without moving the pointer: it may follow in the batch of a block.
    ///
    /// # Errors
    /// If the store fails.
    pub fn write_nodes(&self, nodes: Batch) -> Result<(), StorageError> {
        let mut nodes = nodes.writes;
        nodes.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let (mut part, mut size) = (Batch::default(), 0);
        for write in nodes {
            size += write.1.len() + write.2.as_ref().map_or(0, Vec::len);
            part.writes.push(write);
            if size >= PART {
                self.store.write(core::mem::take(&mut part))?;
                size = 0;
            }
        }
        if part.is_empty() { Ok(()) } else { self.store.write(part) }
    }

    /// Takes back every block above `number`, and the state pointer if it is above, and waits until that is on disk.
    /// Blocks go one by one from the top: what a crash leaves is a chain that ends somewhere between.
    ///
    /// The state pointer is removed rather than moved if it pointed above: the caller knows whether an older state is
    /// stored, and writes the pointer to it with [`put_persisted_state`].
    ///
    /// # Errors
    /// If the store fails, or has no block `number`. Some blocks may be gone then.
    pub fn rewind(&self, number: u64) -> Result<(), StorageError> {
        let _writer = self.lock();
        let Some(head) = self.head().filter(|head| head.number > number) else { return Ok(()) };
        self.hash(number)?.ok_or(StorageError::Missing { what: "header", number })?;
        let mut batch = Batch::default();
        for above in (number + 1..=head.number).rev() {
            if let Some(hash) = self.hash(above)? {
                batch.delete(Table::BlockNumbers, hash.as_slice());
            }
            for table in [Table::Headers, Table::Bodies, Table::Receipts, Table::TxHashes] {
                batch.delete(table, above.to_be_bytes());
            }
            let number = above - 1;
            // What has no header cannot be the last block, and goes with the one above it.
            let Some(hash) = self.hash(number)? else { continue };
            if self.persisted_state()?.is_some_and(|state| state.number > number) {
                batch.delete(Table::Meta, *b"state");
            }
            let head = BlockPointer { number, hash };
            batch.put(Table::Meta, *b"head", head.encode());
            self.read(|state| state.index.rewind(number, &mut batch));
            self.store.write(core::mem::take(&mut batch))?;
            self.change(|state| {
                state.head = Some(head);
                state.index.finish_rewind(number);
            });
        }
        self.store.sync()
    }

    /// The header of a block.
    ///
    /// # Errors
    /// If the store fails or the header does not decode.
    pub fn header(&self, number: u64) -> Result<Option<Header>, StorageError> {
        let Some(bytes) = self.header_bytes(number)? else { return Ok(None) };
        let mut reader = Reader::new(&bytes);
        Header::decode(&mut reader)
            .and_then(|header| reader.end("header").map(|()| Some(header)))
            .map_err(|source| StorageError::Corrupt { what: "header", source })
    }

    /// The header of a block as it was given.
    ///
    /// # Errors
    /// If the store fails.
    pub fn header_bytes(&self, number: u64) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.hash_and_header(number)?.map(|(_, header)| header))
    }

    /// The body of a block as it was given.
    ///
    /// # Errors
    /// If the store fails.
    pub fn body_bytes(&self, number: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.store.get(Table::Bodies, &number.to_be_bytes())
    }

    /// The receipts of a block as they were given.
    ///
    /// # Errors
    /// If the store fails.
    pub fn receipts_bytes(&self, number: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.store.get(Table::Receipts, &number.to_be_bytes())
    }

    /// The number of the block with this hash.
    ///
    /// # Errors
    /// If the store fails or the number does not decode.
    pub fn number(&self, hash: &B256) -> Result<Option<u64>, StorageError> {
        let Some(value) = self.store.get(Table::BlockNumbers, hash.as_slice())? else { return Ok(None) };
        let number = value.as_slice().try_into().map_err(|_| wrong_length("block number", 8, value.len()))?;
        Ok(Some(u64::from_be_bytes(number)))
    }

    /// The hash of the block with this number.
    ///
    /// # Errors
    /// If the store fails.
    pub fn hash(&self, number: u64) -> Result<Option<B256>, StorageError> {
        match self.head() {
            Some(head) if head.number == number => Ok(Some(head.hash)),
            _ => Ok(self.hash_and_header(number)?.map(|(hash, _)| hash)),
        }
    }

    /// The hashes of a block's transactions in order; empty as well if there is no such block.
    ///
    /// # Errors
    /// If the store fails or the list does not decode.
    pub fn tx_hashes(&self, number: u64) -> Result<Vec<B256>, StorageError> {
        match self.store.get(Table::TxHashes, &number.to_be_bytes())? {
            None => Ok(Vec::new()),
            Some(value) => Ok(HashList::parse(&value)?.tx_hashes()),
        }
    }

    /// Where the transaction with this hash is.
    ///
    /// # Errors
    /// If the store fails or what it holds does not decode.
    pub fn tx_location(&self, hash: &B256) -> Result<Option<TxLocation>, StorageError> {
        self.read(|state| state.index.find(&*self.store, hash, HashKind::Tx))
    }

    /// Where the transaction with this sender transaction hash is, which is the transaction hash of one that its sender
    /// pays for.
    ///
    /// # Errors
    /// If the store fails or what it holds does not decode.
    pub fn sender_tx_location(&self, hash: &B256) -> Result<Option<TxLocation>, StorageError> {
        self.read(|state| state.index.find(&*self.store, hash, HashKind::Sender))
    }

    /// The code with this hash.
    ///
    /// # Errors
    /// If the store fails.
    pub fn code(&self, hash: &B256) -> Result<Option<Vec<u8>>, StorageError> {
        self.store.get(Table::Code, hash.as_slice())
    }

    /// The last block whose state is wholly stored, with its state root.
    ///
    /// # Errors
    /// If the store fails or the pointer does not decode.
    pub fn persisted_state(&self) -> Result<Option<BlockPointer>, StorageError> {
        pointer(&*self.store, b"state", "state pointer")
    }

    /// The chain configuration, JSON.
    ///
    /// # Errors
    /// If the store fails.
    pub fn chain_config(&self) -> Result<Option<Vec<u8>>, StorageError> {
        self.store.get(Table::Meta, b"config")
    }

    fn hash_and_header(&self, number: u64) -> Result<Option<(B256, Vec<u8>)>, StorageError> {
        let Some(mut value) = self.store.get(Table::Headers, &number.to_be_bytes())? else { return Ok(None) };
        let hash = value.first_chunk::<32>().map(B256::from).ok_or_else(|| wrong_length("header", 32, value.len()))?;
        Ok(Some((hash, value.split_off(32))))
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // No code panics between two changes that belong together, so poison says nothing about the state.
    fn read<R>(&self, read: impl FnOnce(&State) -> R) -> R {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Adds to `batch` that the state of block `number`, with this root, is wholly stored: for a batch that also holds the
/// nodes that make it so. [`ChainStore::persist_state`] does both.
pub fn put_persisted_state(batch: &mut Batch, number: u64, root: B256) {
    batch.put(Table::Meta, *b"state", BlockPointer { number, hash: root }.encode());
}

/// Adds code under its hash to `batch`.
pub fn put_code(batch: &mut Batch, hash: B256, code: impl Into<Vec<u8>>) {
    batch.put(Table::Code, hash.as_slice(), code);
}

/// Adds the chain configuration to `batch`.
pub fn put_chain_config(batch: &mut Batch, json: impl Into<Vec<u8>>) {
    batch.put(Table::Meta, *b"config", json);
}

impl BlockPointer {
    fn encode(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[..8].copy_from_slice(&self.number.to_be_bytes());
        bytes[8..].copy_from_slice(self.hash.as_slice());
        bytes
    }
}

fn pointer(store: &dyn KeyValue, key: &[u8], what: &'static str) -> Result<Option<BlockPointer>, StorageError> {
    let Some(value) = store.get(Table::Meta, key)? else { return Ok(None) };
    let bytes: &[u8; 40] = value.as_slice().try_into().map_err(|_| wrong_length(what, 40, value.len()))?;
    let (number, hash) = bytes.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    Ok(Some(BlockPointer { number: u64::from_be_bytes(*number), hash: B256::from_slice(hash) }))
}

const fn wrong_length(what: &'static str, expected: usize, got: usize) -> StorageError {
    StorageError::Corrupt { what, source: DecodeError::new(what, 0, DecodeErrorKind::WrongLength { expected, got }) }
}
