//! Records of trie nodes as a damaged store may give them: refused, or a trie that is at one with itself.

#![no_main]

use klay_core::{
    B256,
    crypto::keccak256,
    storage::{Batch, KeyValue, Memory, Table},
    trie::Trie,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|records: Vec<Vec<u8>>| {
    let (Some(first), store) = (records.first(), Memory::new()) else { return };
    let root = keccak256(first);
    let mut batch = Batch::default();
    for record in &records {
        batch.put(Table::Nodes, keccak256(record).as_slice(), record.as_slice());
    }
    store.write(batch).expect("memory");
    let trie = Trie::at(root);
    let mut last = None;
    for entry in trie.iter(&store, B256::ZERO) {
        let Ok((key, value)) = entry else { return };
        assert!(last.is_none_or(|last| last < key));
        assert_eq!(trie.get(&store, &key).expect("it was read before"), Some(value));
        last = Some(key);
    }
});
