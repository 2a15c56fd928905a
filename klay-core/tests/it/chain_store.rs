//! Blocks in a store: appended, found again, taken back, reopened.

use klay_core::{
    B256,
    block::Header,
    keccak256,
    storage::{
        Batch, BlockPointer, ChainStore, KeyValue, Memory, NewBlock, StorageError, Table, TxLocation, Visit,
        chain::{put_chain_config, put_code, put_persisted_state},
    },
    trie::Trie,
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

fn block_hash(number: u64, fork: u8) -> B256 {
    keccak256([&number.to_be_bytes()[..], &[fork]].concat())
}

/// Spread like a hash and cheaper: the tests make hundreds of thousands.
fn tx_hash(number: u64, index: u32) -> B256 {
    let mut state = number << 32 | u64::from(index);
    let mut hash = B256::ZERO;
    for word in hash.0.as_chunks_mut::<8>().0 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        *word = (mixed ^ mixed >> 31).to_be_bytes();
    }
    hash
}

fn sender_hash(number: u64, index: u32) -> B256 {
    if index.is_multiple_of(3) { tx_hash(number | 1 << 30, index) } else { tx_hash(number, index) }
}

fn header(number: u64) -> Vec<u8> {
    Header { number, ..Header::default() }.encode()
}

fn append(chain: &ChainStore, number: u64, txs: u32) {
    let tx_hashes: Vec<_> = (0..txs).map(|index| tx_hash(number, index)).collect();
    let sender_tx_hashes: Vec<_> = (0..txs).map(|index| sender_hash(number, index)).collect();
    let block = NewBlock {
        number,
        hash: block_hash(number, 0),
        header: header(number),
        body: vec![2, number as u8],
        receipts: vec![3, number as u8],
        tx_hashes: &tx_hashes,
        sender_tx_hashes: &sender_tx_hashes,
    };
    chain.append(block, Batch::default()).unwrap();
}

const fn at(number: u64, index: u32) -> Option<TxLocation> {
    Some(TxLocation { number, index })
}

#[test]
fn a_block_is_found_by_number_by_hash_and_by_its_transactions() {
    let store: Arc<dyn KeyValue> = Arc::new(Memory::new());
    let chain = ChainStore::open(Arc::clone(&store)).unwrap();
    assert_eq!(chain.head(), None);
    (0..4).for_each(|number| append(&chain, number, number as u32 * 2));
    for chain in [chain, ChainStore::open(store).unwrap()] {
        assert_eq!(chain.head(), Some(BlockPointer { number: 3, hash: block_hash(3, 0) }));
        for number in 0..4 {
            assert_eq!(chain.hash(number).unwrap(), Some(block_hash(number, 0)));
            assert_eq!(chain.number(&block_hash(number, 0)).unwrap(), Some(number));
            assert_eq!(chain.header_bytes(number).unwrap(), Some(header(number)));
            assert_eq!(chain.body_bytes(number).unwrap(), Some(vec![2, number as u8]));
            assert_eq!(chain.receipts_bytes(number).unwrap(), Some(vec![3, number as u8]));
            let hashes: Vec<_> = (0..number as u32 * 2).map(|index| tx_hash(number, index)).collect();
            assert_eq!(chain.tx_hashes(number).unwrap(), hashes);
            for index in 0..number as u32 * 2 {
                assert_eq!(chain.tx_location(&tx_hash(number, index)).unwrap(), at(number, index));
                assert_eq!(chain.sender_tx_location(&sender_hash(number, index)).unwrap(), at(number, index));
            }
        }
        assert_eq!(chain.tx_location(&sender_hash(2, 0)).unwrap(), None, "a sender hash is not a hash");
        assert_eq!(chain.sender_tx_location(&tx_hash(2, 0)).unwrap(), None, "nor the other way round");
        assert_eq!(chain.tx_location(&B256::ZERO).unwrap(), None);
        assert_eq!(chain.hash(4).unwrap(), None);
    }
}

#[test]
fn only_the_next_block_is_appended() {
    let chain = ChainStore::open(Arc::new(Memory::new())).unwrap();
    let block = |number| NewBlock { number, ..NewBlock::default() };
    let error = chain.append(block(1), Batch::default()).unwrap_err();
    assert!(matches!(error, StorageError::NotNext { expected: 0, got: 1 }), "{error}");
    chain.append(block(0), Batch::default()).unwrap();
    let error = chain.append(block(0), Batch::default()).unwrap_err();
    assert!(matches!(error, StorageError::NotNext { expected: 1, got: 0 }), "{error}");
}

#[test]
fn pointers_code_and_config_are_written_by_batch() {
    let chain = ChainStore::open(Arc::new(Memory::new())).unwrap();
    let mut batch = Batch::default();
    put_code(&mut batch, B256::repeat_byte(1), [0x60]);
    put_chain_config(&mut batch, *b"{}");
    put_persisted_state(&mut batch, 7, B256::repeat_byte(2));
    chain.append(NewBlock::default(), batch).unwrap();
    assert_eq!(chain.code(&B256::repeat_byte(1)).unwrap(), Some(vec![0x60]));
    assert_eq!(chain.chain_config().unwrap(), Some(b"{}".to_vec()));
    assert_eq!(chain.persisted_state().unwrap(), Some(BlockPointer { number: 7, hash: B256::repeat_byte(2) }));
}

#[test]
fn a_state_is_written_in_parts_and_then_pointed_to() {
    let store: Arc<dyn KeyValue> = Arc::new(Memory::new());
    let chain = ChainStore::open(Arc::clone(&store)).unwrap();
    let mut content: Vec<_> = (0..3_000u32).map(|n| (keccak256(n.to_be_bytes()), Some(n.to_be_bytes()))).collect();
    content.sort_unstable();
    let trie = Trie::new().update(&store, &content).unwrap();
    let mut nodes = Batch::default();
    let commit = trie.commit(&mut nodes);
    let size: usize = nodes.writes.iter().map(|write| write.2.as_ref().map_or(0, Vec::len)).sum();
    assert!(commit.len() > 200 && size > 128 << 10, "{} records of {size} bytes are one part", commit.len());
    chain.persist_state(5, trie.root(), nodes).unwrap();
    commit.confirm();
    let state = ChainStore::open(Arc::clone(&store)).unwrap().persisted_state().unwrap().unwrap();
    assert_eq!(state, BlockPointer { number: 5, hash: trie.root() });
    assert_eq!(Trie::at(state.hash).iter(&store, B256::ZERO).count(), 3_000);
}

fn with_format(format: &[u8]) -> Arc<dyn KeyValue> {
    let store = Memory::new();
    let mut batch = Batch::default();
    batch.put(Table::Meta, *b"format", format);
    store.write(batch).unwrap();
    Arc::new(store)
}

#[test]
fn another_format_is_refused() {
    for (format, found) in [(&9u64.to_be_bytes()[..], 9), (&4u64.to_be_bytes(), 4), (&1u64.to_be_bytes(), 1), (&[3], 0)]
    {
        let error = ChainStore::open(with_format(format)).unwrap_err();
        assert!(matches!(error, StorageError::Format { expected: 3, got } if got == found), "{error}");
        assert!(!error.is_transient());
    }
}

#[test]
fn the_format_before_this_one_is_read_and_raised() {
    let store = with_format(&2u64.to_be_bytes());
    let chain = ChainStore::open(Arc::clone(&store)).unwrap();
    assert_eq!(store.get(Table::Meta, b"format").unwrap(), Some(3u64.to_be_bytes().to_vec()));
    append(&chain, 0, 2);
    assert_eq!(ChainStore::open(store).unwrap().head().unwrap().number, 0);
}

#[test]
fn values_of_the_wrong_length_are_named() {
    for (table, key, what) in [(Table::Meta, &b"head"[..], "head"), (Table::Meta, b"tx-index", "tx index head")] {
        let store = Memory::new();
        let mut batch = Batch::default();
        batch.put(table, key, [1, 2, 3]);
        store.write(batch).unwrap();
        let error = ChainStore::open(Arc::new(store)).unwrap_err();
        assert!(matches!(error, StorageError::Corrupt { what: found, .. } if found == what), "{error}");
    }
}

#[test]
fn a_head_that_is_not_whole_is_refused() {
    let key = 2u64.to_be_bytes();
    let hash = block_hash(2, 0);
    let put = |table, value: &[u8]| (table, key.to_vec(), Some(value.to_vec()));
    let broken = [
        ((Table::Headers, key.to_vec(), None), "stored header of block 2 is missing"),
        (put(Table::Headers, &[0; 40]), "stored header of block 2 is missing"),
        (put(Table::Headers, hash.as_slice()), "stored header does not decode: "),
        ((Table::Bodies, key.to_vec(), None), "stored body of block 2 is missing"),
        ((Table::Receipts, key.to_vec(), None), "stored receipts of block 2 is missing"),
        ((Table::BlockNumbers, hash.to_vec(), None), "stored number of block 2 is missing"),
    ];
    for (write, why) in broken {
        let store: Arc<dyn KeyValue> = Arc::new(Memory::new());
        let chain = ChainStore::open(Arc::clone(&store)).unwrap();
        (0..3).for_each(|number| append(&chain, number, 2));
        store.write(Batch { writes: vec![write] }).unwrap();
        let error = ChainStore::open(store).unwrap_err();
        let StorageError::HeadNotWhole { number: 2, source } = &error else { panic!("{error}") };
        assert!(source.to_string().starts_with(why), "{source}");
        assert!(error.to_string().contains("import the blocks again"), "{error}");
    }
}

/// The index in memory is flushed to buckets, buckets are handed down, and every transaction stays findable throughout.
#[test]
fn transactions_are_found_across_flushes_levels_and_restarts() {
    let store: Arc<dyn KeyValue> = Arc::new(Memory::new());
    let mut chain = ChainStore::open(Arc::clone(&store)).unwrap();
    const PER_BLOCK: u32 = 9_000;
    for number in 0..70u64 {
        append(&chain, number, PER_BLOCK);
        if number % 10 == 9 {
            chain = ChainStore::open(Arc::clone(&store)).unwrap();
        }
        for known in [0, number / 2, number] {
            let index = (known as u32 * 7919) % PER_BLOCK;
            assert_eq!(chain.tx_location(&tx_hash(known, index)).unwrap(), at(known, index));
            let index = index / 3 * 3;
            assert_eq!(chain.sender_tx_location(&sender_hash(known, index)).unwrap(), at(known, index));
        }
    }
    let mut levels = [0usize; 8];
    let mut largest = 0;
    store
        .scan(Table::TxIndex, &[], &mut |key, value| {
            levels[usize::from(key[0])] += value.len() / 16;
            largest = largest.max(value.len());
            core::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert!(levels[1] > 0, "nothing was handed down: {levels:?}");
    assert!(largest < 64 << 10, "a value of {largest} bytes");
    for number in 0..70 {
        for index in (0..PER_BLOCK).step_by(997) {
            assert_eq!(chain.tx_location(&tx_hash(number, index)).unwrap(), at(number, index));
        }
    }
}

#[test]
fn blocks_that_were_taken_back_are_gone_and_their_places_are_free() {
    let store: Arc<dyn KeyValue> = Arc::new(Memory::new());
    let chain = ChainStore::open(Arc::clone(&store)).unwrap();
    (0..8).for_each(|number| append(&chain, number, 9_000));
    let mut batch = Batch::default();
    put_persisted_state(&mut batch, 6, B256::ZERO);
    store.write(batch).unwrap();

    chain.rewind(9).unwrap();
    assert_eq!(chain.head().unwrap().number, 7);
    chain.rewind(1).unwrap();
    for chain in [&chain, &ChainStore::open(Arc::clone(&store)).unwrap()] {
        assert_eq!(chain.head(), Some(BlockPointer { number: 1, hash: block_hash(1, 0) }));
        assert_eq!(chain.persisted_state().unwrap(), None);
        assert_eq!(chain.number(&block_hash(2, 0)).unwrap(), None);
        assert_eq!(chain.body_bytes(2).unwrap(), None);
        assert_eq!(chain.tx_location(&tx_hash(2, 5)).unwrap(), None);
        assert_eq!(chain.tx_location(&tx_hash(7, 5)).unwrap(), None);
        assert_eq!(chain.tx_location(&tx_hash(1, 5)).unwrap(), at(1, 5));
    }
    // Another block 2 with a transaction of the old block 7, in another place.
    let hashes = [tx_hash(100, 0), tx_hash(7, 5)];
    let (hash, header) = (block_hash(2, 1), header(2));
    let block = NewBlock { number: 2, hash, header, tx_hashes: &hashes, ..NewBlock::default() };
    chain.append(block, Batch::default()).unwrap();
    for chain in [&chain, &ChainStore::open(store).unwrap()] {
        assert_eq!(chain.tx_location(&tx_hash(7, 5)).unwrap(), at(2, 1));
        assert_eq!(chain.tx_location(&tx_hash(2, 5)).unwrap(), None);
        assert_eq!(chain.number(&block_hash(2, 1)).unwrap(), Some(2));
    }
}

/// A store whose writes fail while `broken` is set, and its syncs while `unsynced` is.
#[derive(Debug, Default)]
struct Faulty {
    store: Memory,
    broken: AtomicBool,
    unsynced: AtomicBool,
}

impl KeyValue for Faulty {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.store.get(table, key)
    }
    fn scan(&self, table: Table, start: &[u8], visit: &mut Visit<'_>) -> Result<(), StorageError> {
        self.store.scan(table, start, visit)
    }
    fn write(&self, batch: Batch) -> Result<(), StorageError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(StorageError::Backend("no space".into()));
        }
        self.store.write(batch)
    }
    fn sync(&self) -> Result<(), StorageError> {
        if self.unsynced.load(Ordering::Relaxed) {
            return Err(StorageError::Backend("no answer".into()));
        }
        self.store.sync()
    }
}

#[test]
fn a_block_whose_writing_failed_is_not_there_and_may_be_appended_again() {
    let store = Arc::new(Faulty::default());
    let chain = ChainStore::open(Arc::clone(&store) as Arc<dyn KeyValue>).unwrap();
    append(&chain, 0, 9_000);
    store.broken.store(true, Ordering::Relaxed);
    let hashes: Vec<_> = (0..30_000).map(|index| tx_hash(1, index)).collect();
    let block = NewBlock { number: 1, hash: block_hash(1, 0), tx_hashes: &hashes, ..NewBlock::default() };
    let error = chain.append(block.clone(), Batch::default()).unwrap_err();
    assert!(error.is_transient());
    assert_eq!(chain.head().unwrap().number, 0);
    assert_eq!(chain.tx_location(&hashes[7]).unwrap(), None);

    store.broken.store(false, Ordering::Relaxed);
    chain.append(block, Batch::default()).unwrap();
    assert_eq!(chain.tx_location(&hashes[7]).unwrap(), at(1, 7));
    assert_eq!(chain.tx_location(&tx_hash(0, 7)).unwrap(), at(0, 7));
}

#[test]
fn a_block_whose_sync_failed_is_not_the_head_and_may_be_appended_again() {
    let store = Arc::new(Faulty::default());
    let chain = ChainStore::open(Arc::clone(&store) as Arc<dyn KeyValue>).unwrap();
    append(&chain, 0, 9_000);
    // With a flush of the index in its batch.
    let hashes: Vec<_> = (0..30_000).map(|index| tx_hash(1, index)).collect();
    let header = header(1);
    let block = NewBlock { number: 1, hash: block_hash(1, 0), header, tx_hashes: &hashes, ..NewBlock::default() };
    store.unsynced.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let error = chain.append(block.clone(), Batch::default()).unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert_eq!(chain.head().unwrap().number, 0);
    }
    store.unsynced.store(false, Ordering::Relaxed);
    chain.append(block, Batch::default()).unwrap();
    for chain in [&chain, &ChainStore::open(store).unwrap()] {
        assert_eq!(chain.head().unwrap().number, 1);
        assert_eq!(chain.tx_location(&hashes[7]).unwrap(), at(1, 7));
        assert_eq!(chain.tx_location(&tx_hash(0, 7)).unwrap(), at(0, 7));
    }
}

/// A store that keeps what it holds after each write, as a crash may leave it.
#[derive(Debug, Default)]
struct Crashing {
    store: Memory,
    left: Mutex<Vec<Arc<Memory>>>,
}

impl KeyValue for Crashing {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.store.get(table, key)
    }
    fn scan(&self, table: Table, start: &[u8], visit: &mut Visit<'_>) -> Result<(), StorageError> {
        self.store.scan(table, start, visit)
    }
    fn write(&self, batch: Batch) -> Result<(), StorageError> {
        self.store.write(batch)?;
        let (left, mut all) = (Memory::new(), Batch::default());
        for table in Table::ALL {
            self.store.scan(table, &[], &mut |key, value| {
                all.put(table, key, value);
                core::ops::ControlFlow::Continue(())
            })?;
        }
        left.write(all)?;
        self.left.lock().unwrap().push(Arc::new(left));
        Ok(())
    }
    fn sync(&self) -> Result<(), StorageError> {
        self.store.sync()
    }
}

#[test]
fn a_crash_while_blocks_are_taken_back_leaves_a_shorter_chain() {
    let store = Arc::new(Crashing::default());
    let chain = ChainStore::open(Arc::clone(&store) as Arc<dyn KeyValue>).unwrap();
    // Five blocks fill the index once, so that some that are taken back are in a flush.
    (0..8).for_each(|number| append(&chain, number, 7_000));
    let mut batch = Batch::default();
    put_persisted_state(&mut batch, 5, B256::ZERO);
    // A header that is gone in the middle takes its block along with the one above.
    batch.delete(Table::Headers, 4u64.to_be_bytes());
    store.write(batch).unwrap();
    store.left.lock().unwrap().clear();
    chain.rewind(1).unwrap();
    let left = core::mem::take(&mut *store.left.lock().unwrap());
    let mut heads = Vec::new();
    for store in left {
        let chain = ChainStore::open(store).unwrap();
        let head = chain.head().unwrap().number;
        heads.push(head);
        let state = chain.persisted_state().unwrap().map(|state| state.number);
        assert_eq!(state, (head >= 5).then_some(5));
        for number in 0..8 {
            let place = (number <= head).then_some(TxLocation { number, index: 9 });
            assert_eq!(chain.tx_location(&tx_hash(number, 9)).unwrap(), place, "block {number} of {head}");
            assert_eq!(chain.body_bytes(number).unwrap().is_some(), number <= head, "block {number} of {head}");
        }
    }
    assert_eq!(heads, [6, 5, 3, 2, 1]);
}
