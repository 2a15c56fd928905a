//! Chains of the reference client import whole, to the recorded hashes, receipts and accounts, and go on after a stop.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::common::{Recorded, feed, refused};
use klay_core::{
    B256,
    storage::{Batch, KeyValue, Memory, StorageError, Table, Visit},
};
use klay_node::{
    Chain,
    chain::{ChainError, ChainOptions, OpenError},
    export::export,
    import::{Refusal, import},
    metrics::Metrics,
};
use serde_json::Value;

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// Everything that `expected.json` says about a chain.
fn check(recorded: &Recorded) {
    let expected = recorded.json("expected.json.gz");
    let chain = recorded.imported();
    let head = chain.head();
    assert_eq!(head.hash.to_string(), expected["head"]["hash"].as_str().unwrap());
    for block in expected["blocks"].as_array().unwrap() {
        let found = chain.block_by_number(number(&block["number"])).unwrap().unwrap();
        let header = &found.header;
        assert_eq!(found.hash.to_string(), block["hash"].as_str().unwrap());
        assert_eq!(header.state_root.to_string(), block["stateRoot"].as_str().unwrap());
        if header.number > 0 {
            assert_eq!(header.seal_hash().to_string(), block["sigHash"].as_str().unwrap());
        }
        assert_eq!(found.transactions.len() as u64, block["txCount"].as_u64().unwrap());
    }
    let mut receipts = expected["receipts"].as_array().unwrap().iter();
    for height in 1..=head.number() {
        let found = chain.receipts(height).unwrap().unwrap();
        for receipt in &found.receipts {
            let expected = receipts.next().unwrap();
            assert_eq!(receipt.tx_hash.to_string(), expected["transactionHash"].as_str().unwrap());
            let status = expected.get("txError").filter(|error| !error.is_null()).unwrap_or(&expected["status"]);
            assert_eq!(u64::from(receipt.status.0), number(status), "{}", receipt.tx_hash);
            assert_eq!(receipt.gas_used, number(&expected["gasUsed"]));
            assert_eq!(receipt.bloom.to_string(), expected["logsBloom"].as_str().unwrap());
            let logs = expected["logs"].as_array().unwrap();
            assert_eq!(receipt.logs.len(), logs.len());
            for (log, expected) in receipt.logs.iter().zip(logs) {
                assert_eq!(serde_json::to_value(log.address).unwrap(), expected["address"]);
                assert_eq!(serde_json::to_value(log.data.topics()).unwrap(), expected["topics"]);
                assert_eq!(log.data.data.to_string(), expected["data"].as_str().unwrap());
            }
        }
    }
    assert!(receipts.next().is_none());
    let (_, state) = chain.head_state();
    for (address, expected) in expected["accounts"].as_object().unwrap() {
        let address = address.parse().unwrap();
        let account = state.account(address).unwrap();
        let Some(expected) = expected.as_object() else {
            assert_eq!(account, None, "{address}");
            continue;
        };
        let found = serde_json::to_value(account.unwrap()).unwrap();
        assert_eq!(found["accType"], expected["account"]["accType"], "{address}");
        // The older client leaves out what follows the key of a user.
        for (name, value) in expected["account"]["account"].as_object().unwrap() {
            assert_eq!(&found["account"][name], value, "{name} of {address}");
        }
        let slots = expected.get("storage").and_then(Value::as_object).into_iter().flatten();
        for (slot, word) in slots {
            let found = state.storage(address, slot.parse().unwrap()).unwrap();
            assert_eq!(B256::from(found).to_string(), word.as_str().unwrap(), "{slot} of {address}");
        }
        for slot in expected.get("zeroSlots").and_then(Value::as_array).into_iter().flatten() {
            let slot = slot.as_str().unwrap().parse().unwrap();
            assert!(state.storage(address, slot).unwrap().is_zero(), "{slot} of {address}");
        }
    }
    let mut exported = Vec::new();
    export(&chain, 1..=head.number(), &mut exported).unwrap();
    assert!(exported == recorded.blocks.concat(), "the export is what was imported");
}

fn check_shared(name: &str) {
    if let Some(recorded) = Recorded::shared(name) {
        check(&recorded);
    }
}

#[test]
fn klaytn_original() {
    check_shared("klaytn-original");
}

#[test]
fn forks() {
    check_shared("forks");
}

#[test]
fn types_osaka() {
    check_shared("types-osaka");
}

#[test]
fn council_4() {
    check_shared("council-4");
}

#[test]
fn council_weighted() {
    check_shared("council-weighted");
}

#[test]
fn rebalance() {
    check_shared("rebalance");
}

#[test]
fn bulk() {
    check_shared("bulk");
}

#[test]
fn service_chains() {
    for name in ["service-parent", "service-child"] {
        if let Some(recorded) = Recorded::shared(name) {
            let head = recorded.imported().head();
            assert_eq!(head.hash.to_string(), recorded.json("expected.json.gz")["head"]["hash"].as_str().unwrap());
        }
    }
}

#[test]
fn an_export_comes_back_byte_by_byte() {
    let recorded = Recorded::kept("rebalance");
    let chain = recorded.imported();
    let mut exported = Vec::new();
    assert_eq!(export(&chain, 0..=30, &mut exported).unwrap(), 31);
    assert!(exported.ends_with(&recorded.blocks.concat()));
    let again = recorded.chain();
    let done = feed(&again, &exported).unwrap();
    assert_eq!((done.imported, done.skipped, done.hash), (30, 0, chain.head().hash));
    assert!(export(&chain, 30..=31, &mut exported).is_err());
}

#[test]
fn an_import_goes_on_where_another_stopped() {
    let recorded = Recorded::kept("council-4");
    let store = Arc::new(Memory::new());
    let all = recorded.blocks.concat();
    for stop_at in [13, 61, 102] {
        let chain = recorded.chain_in(store.clone());
        let before = chain.head().number();
        let done = import(&chain, &all[..], &mut |step| {
            if step.number == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        assert!(done.is_interrupted);
        assert_eq!((done.number, done.skipped, done.imported), (stop_at, before, stop_at - before));
    }
    let reopened = Chain::open_stored(store, ChainOptions::default(), &Metrics::default()).unwrap();
    assert_eq!(reopened.head().hash, recorded.imported().head().hash);
    assert_eq!(reopened.council_at(67).unwrap().council(), recorded.imported().council_at(67).unwrap().council());
    assert!(reopened.state_at(5).is_ok(), "an archive keeps every state");
}

#[test]
fn states_that_are_not_written_are_computed_again_and_stakes_kept() {
    let recorded = Recorded::kept("council-weighted");
    let store = Arc::new(Memory::new());
    let options = ChainOptions { persist_every: 1000, persist_small: 0, ..ChainOptions::default() };
    let open = || Chain::open(store.clone(), &recorded.genesis, options.clone(), &Metrics::default()).unwrap();
    let (first, rest) = recorded.blocks.split_at(57);
    feed(&open(), &first.concat()).unwrap();
    let chain = open();
    assert_eq!(feed(&chain, &rest.concat()).unwrap().number, 94);
    // The state behind block 30 is gone, the stakes are not.
    assert!(chain.state_at(30).is_err());
    assert_eq!(chain.staking_at(45).unwrap().source, 30);
    assert!(!chain.staking_at(45).unwrap().nodes.is_empty());
    assert_eq!(chain.council_at(45).unwrap().committee(0), recorded.imported().council_at(45).unwrap().committee(0));
}

#[test]
fn states_stay_readable_but_those_of_large_blocks() {
    let recorded = Recorded::kept("council-4");
    let store = Arc::new(Memory::new());
    let options = ChainOptions { persist_block: 10, persist_small: 0, ..ChainOptions::import() };
    let chain = Chain::open(store.clone(), &recorded.genesis, options.clone(), &Metrics::default()).unwrap();
    feed(&chain, &recorded.blocks.concat()).unwrap();
    drop(chain);
    let chain = Chain::open(store, &recorded.genesis, options, &Metrics::default()).unwrap();
    let gone: Vec<_> = (0..=102).filter(|number| chain.state_at(*number).is_err()).collect();
    // Block 5 holds 36 transactions, the others at most 8. How many accounts each has changed depends on little things,
    // such as whether one that was written as it was counts, so the bound lies well between.
    assert!(gone.contains(&5) && gone.len() < 10, "{gone:?}");
}

#[test]
fn a_file_of_another_chain_is_refused_where_they_part() {
    let recorded = Recorded::kept("rebalance");
    let chain = recorded.imported();
    let other = Recorded::kept("council-4");
    assert!(matches!(refused(&chain, &other.blocks.concat()), (1, Refusal::OtherBlock { .. })));
    let gap = [&recorded.blocks[..3], &recorded.blocks[4..]].concat().concat();
    let (number, refusal) = refused(&recorded.chain(), &gap);
    assert!(matches!(refusal, Refusal::Number { expected: 4, got: 5 }), "{number}: {refusal}");
    let (number, refusal) = refused(&recorded.chain(), &recorded.blocks[4..].concat());
    assert!(matches!(refusal, Refusal::Number { expected: 1, got: 5 }), "{number}: {refusal}");
    let cut = recorded.blocks.concat();
    let (number, refusal) = refused(&recorded.chain(), &cut[..cut.len() - 5]);
    assert!(matches!(refusal, Refusal::File(_)) && number == 30, "{number}: {refusal}");
}

/// A store that knows which block was the last at its last sync.
#[derive(Debug, Default)]
struct Synced {
    store: Memory,
    head: AtomicU64,
}

impl KeyValue for Synced {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.store.get(table, key)
    }
    fn scan(&self, table: Table, start: &[u8], visit: &mut Visit<'_>) -> Result<(), StorageError> {
        self.store.scan(table, start, visit)
    }
    fn write(&self, batch: Batch) -> Result<(), StorageError> {
        self.store.write(batch)
    }
    fn sync(&self) -> Result<(), StorageError> {
        let head = self.store.get(Table::Meta, b"head")?.unwrap_or_default();
        let number = head.first_chunk::<8>().map_or(0, |number| u64::from_be_bytes(*number));
        self.head.store(number, Ordering::SeqCst);
        self.store.sync()
    }
}

#[test]
fn blocks_are_announced_in_order_after_they_are_durable() {
    let recorded = Recorded::kept("rebalance");
    let store = Arc::new(Synced::default());
    let chain = recorded.chain_in(Arc::clone(&store) as Arc<dyn KeyValue>);
    let mut heads = chain.subscribe_heads();
    let mut next = 1;
    let mut hear = || {
        while let Ok(head) = heads.try_recv() {
            assert_eq!(head.block.number(), next);
            assert!(next <= store.head.load(Ordering::SeqCst), "block {next} is not durable");
            next += 1;
        }
        next
    };
    import(&chain, recorded.blocks.concat().as_slice(), &mut |_| {
        hear();
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(hear(), chain.head().number() + 1);
}

#[test]
fn a_newest_block_that_does_not_decode_is_refused() {
    let recorded = Recorded::kept("rebalance");
    for table in [Table::Bodies, Table::Receipts] {
        let store: Arc<dyn KeyValue> = Arc::new(Memory::new());
        let chain = recorded.chain_in(Arc::clone(&store));
        feed(&chain, &recorded.blocks.concat()).unwrap();
        let head = chain.head().number();
        let mut batch = Batch::default();
        batch.put(table, head.to_be_bytes(), [0x01]);
        store.write(batch).unwrap();
        let error = Chain::open_stored(store, ChainOptions::default(), &Metrics::default()).unwrap_err();
        let OpenError::Chain(ChainError::Storage(StorageError::HeadNotWhole { number, source })) = error else {
            panic!("{error}");
        };
        assert_eq!(number, head);
        assert!(matches!(*source, StorageError::Corrupt { .. }), "{source}");
    }
}
