//! Proofs of single keys and of ranges: what is true verifies, and nothing else does.

use klay_core::{
    B256, Bytes, keccak256,
    trie::{EMPTY_ROOT, ProofError, RangeProof, Trie, verify_proof, verify_range},
};
use proptest::{collection::vec, prelude::*, sample::Index};
use std::sync::Arc;

const MAX: B256 = B256::repeat_byte(0xff);

/// Content with hashed keys and, for short nodes and extensions, with keys that share all but their end.
fn content(count: u64, crowded: bool) -> Vec<(B256, Option<Vec<u8>>)> {
    let mut list: Vec<_> = (0..count)
        .map(|n| {
            let mut key = keccak256(n.to_be_bytes());
            if crowded && n % 2 == 0 {
                key.0[..30].fill(0xab);
            }
            (key, Some(if n % 5 == 0 { vec![n as u8 | 1] } else { n.to_be_bytes().repeat(1 + n as usize % 9) }))
        })
        .collect();
    list.sort();
    list.dedup_by_key(|entry| entry.0);
    list
}

fn trie(content: &[(B256, Option<Vec<u8>>)]) -> Trie {
    Trie::new().update(&(), content).unwrap()
}

fn entries(content: &[(B256, Option<Vec<u8>>)]) -> Vec<(B256, Arc<[u8]>)> {
    content.iter().map(|(key, value)| (*key, value.as_deref().unwrap().into())).collect()
}

#[test]
fn the_empty_trie_proves_absence_without_nodes() {
    let key = B256::repeat_byte(1);
    assert!(Trie::new().prove(&(), &key).unwrap().is_empty());
    assert_eq!(verify_proof::<Bytes>(EMPTY_ROOT, &key, &[]), Ok(None));
    assert_eq!(verify_proof(EMPTY_ROOT, &key, &[[0x80]]), Ok(None));
    assert_eq!(verify_proof(EMPTY_ROOT, &key, &[[0x81]]), Err(ProofError::ExtraNodes { expected: 0, got: 1 }));
    assert_eq!(verify_range::<Bytes, Bytes>(EMPTY_ROOT, &B256::ZERO, &[], &[]), Ok(false));
    assert!(verify_range::<_, Bytes>(EMPTY_ROOT, &B256::ZERO, &[(key, [1])], &[]).is_err());
}

#[test]
fn a_proof_with_a_node_missing_added_or_swapped_is_refused() {
    let content = content(300, false);
    let trie = trie(&content);
    let key = content[100].0;
    let proof = trie.prove(&(), &key).unwrap();
    assert!(proof.len() >= 3);
    for at in 0..proof.len() {
        let mut short = proof.clone();
        short.remove(at);
        assert!(matches!(verify_proof(trie.root(), &key, &short), Err(ProofError::MissingNode { .. })));
    }
    let mut long = proof.clone();
    long.push(proof[0].clone());
    let expected = proof.len();
    assert_eq!(verify_proof(trie.root(), &key, &long), Err(ProofError::ExtraNodes { expected, got: expected + 1 }));
    let mut swapped = proof.clone();
    swapped.swap(0, 1);
    assert!(matches!(verify_proof(trie.root(), &key, &swapped), Err(ProofError::MissingNode { depth: 0, .. })));
    assert!(verify_proof(keccak256("another root"), &key, &proof).is_err());
}

/// A proof node may hash to what is asked and still be no node: the one who made the root may be the attacker.
#[test]
fn nodes_that_are_none_are_named() {
    let refused: &[&[u8]] = &[
        b"",
        &[0xc0],
        &[0xc1, 0x80],
        &[0xc3, 0x80, 0x80, 0x80],
        &[0xc2, 0x20, 0x01],
        &[0xc2, 0x00, 0x80],
        &[0xc2, 0x40, 0x01],
        &[0xd1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
        &[0xd1, 1, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
        &[0xc1, 0xc0, 0x00],
        &[0xf8, 0xff, 0x00],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    for node in refused {
        let result = verify_proof(keccak256(node), &B256::ZERO, &[node]);
        assert!(matches!(result, Err(ProofError::BadNode { .. })), "{node:02x?}: {result:?}");
        let result = verify_range(keccak256(node), &B256::ZERO, &[(B256::ZERO, [1])], &[node]);
        assert!(result.is_err(), "{node:02x?}");
    }
}

#[test]
fn an_endless_extension_is_refused() {
    // Extension by one nibble to an inlined extension by one nibble to .. : more than 64 deep is not reachable, as a
    // node in its parent has less than 32 bytes; and an extension of an extension is refused at once.
    let inner = [0xc4, 0x11, 0xc2, 0x11, 0x80];
    let result = verify_proof(keccak256(inner), &B256::repeat_byte(0x11), &[inner]);
    assert!(matches!(result, Err(ProofError::BadNode { .. })), "{result:?}");
}

#[test]
fn a_range_from_a_server_goes_on_until_the_trie_ends() {
    for crowded in [false, true] {
        let content = content(700, crowded);
        let trie = trie(&content);
        let (mut start, mut all, mut more) = (B256::ZERO, Vec::new(), true);
        while more {
            let RangeProof { entries, proof } = trie.prove_range(&(), start, 2_000).unwrap();
            more = verify_range(trie.root(), &start, &entries, &proof).unwrap();
            let last = entries.last().unwrap().0;
            all.extend(entries);
            let next = alloy_primitives::U256::from_be_bytes(last.0).checked_add(alloy_primitives::U256::from(1));
            start = next.map_or(MAX, |next| B256::from(next.to_be_bytes()));
        }
        assert_eq!(all, self::entries(&content));
    }
}

#[test]
fn nothing_behind_the_last_key_is_proven_by_an_empty_range() {
    let content = content(200, false);
    let trie = trie(&content);
    let range = trie.prove_range(&(), MAX, 1).unwrap();
    assert!(range.entries.is_empty());
    assert_eq!(verify_range(trie.root(), &MAX, &range.entries, &range.proof), Ok(false));
    // The same nodes prove nothing about a start that has keys behind it.
    assert!(verify_range::<Bytes, _>(trie.root(), &content[10].0, &[], &range.proof).is_err());
}

#[test]
fn a_whole_trie_needs_no_nodes() {
    let content = content(200, true);
    let trie = trie(&content);
    let mut entries = entries(&content);
    assert_eq!(verify_range::<_, Bytes>(trie.root(), &B256::ZERO, &entries, &[]), Ok(false));
    entries.pop();
    assert!(verify_range::<_, Bytes>(trie.root(), &B256::ZERO, &entries, &[]).is_err());
}

#[test]
fn entries_out_of_order_below_the_start_or_empty_are_refused() {
    let content = content(50, false);
    let trie = trie(&content);
    let all = entries(&content);
    let proof = trie.prove_range(&(), all[5].0, 1_000_000).unwrap().proof;
    let root = trie.root();
    let error = verify_range(root, &all[5].0, &all[4..], &proof).unwrap_err();
    assert_eq!(error, ProofError::Unsorted { index: 0 });
    let mut swapped = all[5..].to_vec();
    swapped.swap(3, 4);
    assert_eq!(verify_range(root, &all[5].0, &swapped, &proof).unwrap_err(), ProofError::Unsorted { index: 4 });
    let mut empty = all[5..].to_vec();
    empty[2].1 = Arc::new([]);
    assert_eq!(verify_range(root, &all[5].0, &empty, &proof).unwrap_err(), ProofError::EmptyValue { index: 2 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_true_range_verifies_and_every_change_to_it_is_refused(
        count in 1u64..260, crowded: bool, from: Index, len in 1usize..60, offset in 0u8..3,
        victim: Index, kind in 0u8..5, noise: [u8; 3],
    ) {
        let content = content(count, crowded);
        let trie = trie(&content);
        let all = entries(&content);
        let from = from.index(all.len());
        let to = (from + len).min(all.len());
        // The start is the first key, or a little below it and not below its predecessor.
        let mut start = all[from].0;
        if offset > 0 && (from == 0 || all[from - 1].0[..31] != start[..31]) && start[31] >= offset {
            start.0[31] -= offset;
        }
        let mut proof = trie.prove(&(), &start).unwrap();
        proof.extend(trie.prove(&(), &all[to - 1].0).unwrap());
        let range = all[from..to].to_vec();
        prop_assert_eq!(verify_range(trie.root(), &start, &range, &proof), Ok(to < all.len()));

        let mut false_range = range.clone();
        let victim = victim.index(range.len());
        match kind {
            0 => { false_range[victim].1 = noise.as_slice().into(); }
            1 => { false_range[victim].0.0[31] ^= noise[0] | 1; false_range.sort(); }
            2 => { false_range.insert(victim, (start, noise.as_slice().into())); false_range.sort(); }
            3 if victim + 1 < range.len() => { false_range.remove(victim); }
            _ => { false_range[victim].1 = [&false_range[victim].1[..], &[0]].concat().into(); }
        }
        if false_range != range {
            prop_assert!(verify_range(trie.root(), &start, &false_range, &proof).is_err());
        }
    }

    #[test]
    fn hostile_proofs_never_panic(
        count in 1u64..80, crowded: bool, at: Index, flips in vec((any::<Index>(), any::<Index>(), any::<u8>()), 1..4),
        rehash: bool,
    ) {
        let content = content(count, crowded);
        let trie = trie(&content);
        let all = entries(&content);
        let key = all[at.index(all.len())].0;
        let mut proof: Vec<Vec<u8>> = trie.prove(&(), &key).unwrap().iter().map(|node| node.to_vec()).collect();
        for (node, byte, value) in flips {
            let node = node.index(proof.len());
            let byte = byte.index(proof[node].len());
            proof[node][byte] = value;
        }
        // With a root made to match, the attacker reaches the decoder.
        let root = if rehash { keccak256(&proof[0]) } else { trie.root() };
        let shown = verify_proof(root, &key, &proof);
        if root == trie.root() && let Ok(shown) = shown {
            prop_assert_eq!(shown.as_deref(), all.iter().find(|entry| entry.0 == key).map(|entry| &*entry.1));
        }
        let _ = verify_range(root, &key, &all, &proof);
        let _ = verify_range(root, &key, &all[..0], &proof);
    }

    #[test]
    fn arbitrary_bytes_are_no_proof(nodes in vec(vec(any::<u8>(), 0..80), 0..4), key: [u8; 32]) {
        let root = nodes.first().map_or(B256::repeat_byte(1), keccak256);
        let _ = verify_proof(root, &B256::from(key), &nodes);
        let _ = verify_range(root, &B256::from(key), &[(B256::from(key), [1])], &nodes);
    }
}
