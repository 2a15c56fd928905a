//! The trie agrees with an independent implementation, however changes are cut into calls, stored and unloaded.

use alloy_trie::{HashBuilder, Nibbles};
use klay_core::{
    B256, keccak256,
    storage::{Batch, KeyValue, Memory, Table},
    trie::{EMPTY_ROOT, Trie, TrieError, ordered_root, verify_proof},
};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;

type Content = BTreeMap<B256, Vec<u8>>;
type Changes = Vec<(B256, Option<Vec<u8>>)>;

fn expected_root(content: &Content) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in content {
        builder.add_leaf(Nibbles::unpack(*key), value);
    }
    builder.root()
}

fn apply(content: &mut Content, changes: &[(B256, Option<Vec<u8>>)]) {
    for (key, value) in changes {
        match value.as_ref().filter(|value| !value.is_empty()) {
            Some(value) => content.insert(*key, value.clone()),
            None => content.remove(key),
        };
    }
}

fn write(store: &Memory, trie: &Trie) -> usize {
    let mut batch = Batch::default();
    let commit = trie.commit(&mut batch);
    let count = commit.len();
    store.write(batch).unwrap();
    commit.confirm();
    count
}

/// Keys that share long beginnings now and then, so that extensions and nodes inside their parents come up.
fn key() -> impl Strategy<Value = B256> {
    (0usize..64, 0u8..4, 0u8..4, any::<bool>()).prop_map(|(at, a, b, wide)| {
        let mut key = if wide { [a << 6; 32] } else { [0; 32] };
        key[at / 2] ^= if at % 2 == 0 { b << 4 } else { b };
        key[31] ^= a;
        B256::from(key)
    })
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 1..3), vec(any::<u8>(), 30..120), Just(vec![0x05])]
}

fn changes() -> impl Strategy<Value = Changes> {
    vec((key(), proptest::option::weighted(0.7, value())), 0..24)
        .prop_map(|list| list.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect())
}

#[test]
fn many_threads_make_the_same_trie() {
    let mut changes: Changes = (0..5_000u32).map(|n| (keccak256(n.to_be_bytes()), Some(vec![1; 70]))).collect();
    changes.sort_unstable();
    let trie = Trie::new().update_on(&(), &changes, 8).unwrap();
    let again = Trie::new().update(&(), &changes).unwrap();
    assert_eq!((trie.root(), trie.resident()), (again.root(), again.resident()));
    changes.truncate(2_000);
    changes.iter_mut().for_each(|(_, value)| *value = Some(vec![2; 70]));
    let (after, expected) = (trie.update_on(&(), &changes, 3).unwrap(), again.update(&(), &changes).unwrap());
    assert_eq!((after.root(), after.resident()), (expected.root(), expected.resident()));
    let unsorted = [changes[1].clone(), changes[0].clone()];
    assert!(matches!(trie.update_on(&(), &unsorted, 2), Err(TrieError::Unsorted { index: 1 })));
    let lost = Trie::at(trie.root());
    assert!(matches!(lost.update_on(&(), &changes, 2), Err(TrieError::MissingNode { depth: 0, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_way_of_making_the_same_changes_gives_the_reference_root(
        steps in vec(changes(), 1..6),
        unload: bool,
        threads in 0..4usize,
    ) {
        let store = Memory::new();
        let (mut trie, mut single, mut content) = (Trie::new(), Trie::new(), Content::new());
        for changes in &steps {
            apply(&mut content, changes);
            let serial = trie.update(&store, changes).unwrap();
            trie = trie.update_on(&store, changes, threads).unwrap();
            // What one reads from the store, the other has in memory.
            prop_assert!(unload || trie.resident() == serial.resident());
            for change in changes.iter().rev() {
                single = single.update(&(), std::slice::from_ref(change)).unwrap();
            }
            prop_assert_eq!(trie.root(), expected_root(&content));
            prop_assert_eq!(serial.root(), trie.root());
            prop_assert_eq!(single.root(), trie.root());
            write(&store, &trie);
            prop_assert_eq!(write(&store, &trie), 0);
            if unload {
                trie = trie.unload().unload();
                prop_assert_eq!(trie.root(), expected_root(&content));
                prop_assert!(trie.resident() <= 1);
            }
        }
        let built: Changes = content.iter().map(|(key, value)| (*key, Some(value.clone()))).collect();
        prop_assert_eq!(Trie::new().update(&(), &built).unwrap().root(), trie.root());

        let reopened = Trie::at(trie.root());
        for (key, value) in &content {
            prop_assert!(trie.get(&store, key).unwrap().as_deref() == Some(value.as_slice()));
            prop_assert!(reopened.get(&store, key).unwrap().as_deref() == Some(value.as_slice()));
        }
        for (key, _) in steps.iter().flatten().filter(|(key, _)| !content.contains_key(key)) {
            prop_assert_eq!(reopened.get(&store, key).unwrap(), None);
        }
        let all: Vec<_> = Trie::at(trie.root()).iter(&store, B256::ZERO).map(|e| e.unwrap()).map(|(k, v)| (k, v.to_vec())).collect();
        prop_assert_eq!(all, content.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn iteration_starts_at_the_first_key_not_below(changes in changes(), start in key()) {
        let mut content = Content::new();
        apply(&mut content, &changes);
        let trie = Trie::new().update(&(), &changes).unwrap();
        let found: Vec<_> = trie.iter(&(), start).map(|entry| entry.unwrap().0).collect();
        prop_assert_eq!(found, content.range(start..).map(|(key, _)| *key).collect::<Vec<_>>());
    }

    #[test]
    fn a_proof_shows_the_value_or_its_absence(changes in changes(), other in key()) {
        let mut content = Content::new();
        apply(&mut content, &changes);
        let trie = Trie::new().update(&(), &changes).unwrap();
        for key in content.keys().chain([&other]) {
            let proof = trie.prove(&(), key).unwrap();
            let shown = verify_proof(trie.root(), key, &proof).unwrap();
            prop_assert_eq!(shown.as_deref(), content.get(key).map(Vec::as_slice));
        }
    }

    #[test]
    fn list_roots_agree_with_the_reference(items in vec(vec(any::<u8>(), 1..80), 0..300)) {
        prop_assert_eq!(ordered_root(&items), alloy_trie::root::ordered_trie_root_with_encoder(&items, |item, out| out.extend_from_slice(item)));
    }
}

#[test]
fn list_roots_of_many_items_agree_with_the_reference() {
    let items: Vec<Vec<u8>> = (0..70_000u32).map(|n| n.to_be_bytes().repeat(1 + n as usize % 5)).collect();
    let expected = alloy_trie::root::ordered_trie_root_with_encoder(&items, |item, out| out.extend_from_slice(item));
    assert_eq!(ordered_root(&items), expected);
}

#[test]
fn a_trie_shares_the_past() {
    let key = B256::repeat_byte;
    let old = Trie::new().update(&(), &[(key(1), Some("a")), (key(2), Some("b"))]).unwrap();
    let root = old.root();
    let new = old.update(&(), &[(key(1), None), (key(2), Some("c"))]).unwrap();
    assert_ne!(new.root(), root);
    assert_eq!(old.root(), root);
    assert_eq!(old.get(&(), &key(1)).unwrap().as_deref(), Some(&b"a"[..]));
    assert_eq!(new.get(&(), &key(1)).unwrap(), None);
}

#[test]
fn an_empty_value_deletes() {
    let key = B256::repeat_byte(7);
    let trie = Trie::new().update(&(), &[(key, Some("x"))]).unwrap();
    assert_eq!(trie.update(&(), &[(key, Some(""))]).unwrap().root(), EMPTY_ROOT);
}

#[test]
fn changes_out_of_order_are_refused() {
    let key = B256::repeat_byte;
    let result = Trie::new().update(&(), &[(key(2), Some("x")), (key(2), Some("y"))]);
    assert!(matches!(result, Err(TrieError::Unsorted { index: 1 })));
}

#[test]
fn a_commit_that_is_not_confirmed_is_made_again() {
    let store = Memory::new();
    let trie =
        Trie::new().update(&store, &[(B256::repeat_byte(1), Some("a")), (B256::repeat_byte(2), Some("b"))]).unwrap();
    let mut lost = Batch::default();
    let count = {
        let commit = trie.commit(&mut lost);
        commit.len()
    };
    assert_eq!(trie.unload().unload().get(&store, &B256::repeat_byte(1)).unwrap().as_deref(), Some(&b"a"[..]));
    assert_eq!(write(&store, &trie), count);
    assert_eq!(write(&store, &trie), 0);
    assert_eq!(Trie::at(trie.root()).iter(&store, B256::ZERO).count(), 2);
}

#[test]
fn nodes_replaced_between_two_commits_are_not_written() {
    let store = Memory::new();
    let base: Changes = (0..200u8)
        .map(|n| (klay_core::keccak256([n]), Some(vec![n; 40])))
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .collect();
    let mut trie = Trie::new().update(&store, &base).unwrap();
    write(&store, &trie);
    for round in 0..10u8 {
        trie = trie.update(&store, &[(base[0].0, Some(vec![round; 40]))]).unwrap();
        trie.root();
    }
    assert!(write(&store, &trie) <= 4);
}

#[test]
fn a_missing_node_is_named_and_the_trie_stays_usable() {
    let store = Memory::new();
    let changes: Changes = (0..64u8)
        .map(|n| (klay_core::keccak256([n]), Some(vec![n; 40])))
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .collect();
    let trie = Trie::new().update(&store, &changes).unwrap();
    write(&store, &trie);
    // The leaf is stored with the branch above it.
    let proof = trie.prove(&store, &changes[9].0).unwrap();
    let hash = klay_core::keccak256(&proof[1]);
    let record = store.get(Table::Nodes, hash.as_slice()).unwrap().unwrap();
    let mut batch = Batch::default();
    batch.delete(Table::Nodes, hash.as_slice());
    store.write(batch).unwrap();

    let reopened = Trie::at(trie.root());
    let error = reopened.get(&store, &changes[9].0).unwrap_err();
    assert!(matches!(error, TrieError::MissingNode { hash: missing, .. } if missing == hash), "{error}");
    assert!(reopened.update(&store, &[(changes[9].0, Some("x"))]).is_err());
    let other = &changes.iter().find(|change| change.0[0] >> 4 != changes[9].0[0] >> 4).unwrap();
    assert_eq!(reopened.get(&store, &other.0).unwrap().as_deref(), other.1.as_deref());

    let mut batch = Batch::default();
    batch.put(Table::Nodes, hash.as_slice(), record);
    store.write(batch).unwrap();
    assert_eq!(reopened.get(&store, &changes[9].0).unwrap().as_deref(), changes[9].1.as_deref());
}

#[test]
fn removing_a_key_merges_with_a_sibling_that_is_only_stored() {
    let store = Memory::new();
    let [a, b] = [0x10, 0x11].map(|first| {
        let mut key = [0x55; 32];
        key[0] = first;
        B256::from(key)
    });
    let trie = Trie::new().update(&store, &[(a, Some([1; 40])), (b, Some([2; 40]))]).unwrap();
    write(&store, &trie);
    let left = Trie::at(trie.root()).update(&store, &[(a, None::<&[u8]>)]).unwrap();
    assert_eq!(left.root(), expected_root(&Content::from([(b, vec![2; 40])])));
}

#[test]
fn unloading_keeps_what_was_visited_and_what_is_not_stored() {
    let store = Memory::new();
    let changes: Changes = (0..=255u8)
        .map(|n| (klay_core::keccak256([n]), Some(vec![n; 40])))
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .collect();
    let trie = Trie::new().update(&store, &changes).unwrap();
    let loaded = trie.resident();
    assert!(loaded >= 256);
    assert_eq!(trie.unload().unload().resident(), loaded);
    write(&store, &trie);
    let trie = trie.unload();
    assert_eq!(trie.resident(), 0, "everything was marked as visited before the commit");

    trie.get(&store, &changes[3].0).unwrap();
    let on_the_way = trie.resident();
    assert!((12..=40).contains(&on_the_way), "the root, a branch and what is packed with it: {on_the_way}");
    let kept = trie.unload();
    assert_eq!(kept.resident(), on_the_way);
    assert_eq!(kept.unload().resident(), 0);
    assert_eq!(kept.root(), trie.root());
}
