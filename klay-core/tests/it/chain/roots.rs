use klay_core::{B256, block::ListRoot, keccak256, trie::EMPTY_ROOT};
use serde_json::Value;

use super::{bytes, hash, list, shared, vector};

fn check(cases: &[Value]) {
    for case in cases {
        let items: Vec<Vec<u8>> = list(&case["items"]).iter().map(bytes).collect();
        assert_eq!(ListRoot::Original.root(&items), hash(&case["original"]), "{} items", items.len());
        assert_eq!(ListRoot::Simple.root(&items), hash(&case["simple"]), "{} items", items.len());
        assert_eq!(ListRoot::Concat.root(&items), hash(&case["concat"]), "{} items", items.len());
    }
}

#[test]
fn the_three_derivations_reproduce() {
    check(list(&vector("list_roots.json")));
    let Some(file) = shared("chain-derivesha.json") else { return };
    // Cases that give a rule in place of their items are in the compact copy, spelled out.
    let cases: Vec<Value> = list(&file["cases"]).iter().filter(|case| case["items"].is_array()).cloned().collect();
    check(&cases);
}

#[test]
fn empty_lists_differ_by_derivation() {
    assert_eq!(ListRoot::Original.empty(), EMPTY_ROOT);
    assert_eq!(ListRoot::Simple.empty(), keccak256([]));
    assert_eq!(ListRoot::Concat.empty(), keccak256([]));
}

#[test]
fn an_odd_last_leaf_is_paired_with_itself() {
    let pair = |left: B256, right: B256| keccak256([left.0, right.0].concat());
    let [a, b, c] = ["a", "b", "c"].map(keccak256);
    assert_eq!(ListRoot::Simple.root(&["a"]), a);
    assert_eq!(ListRoot::Simple.root(&["a", "b", "c"]), pair(pair(a, b), pair(c, c)));
}

#[test]
fn an_unknown_parameter_means_the_original_derivation() {
    let derivations = [0, 1, 2, 3, u64::MAX].map(ListRoot::from_parameter);
    assert_eq!(
        derivations,
        [ListRoot::Original, ListRoot::Simple, ListRoot::Concat, ListRoot::Original, ListRoot::Original]
    );
}
