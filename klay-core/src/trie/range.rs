//! Proofs that a run of keys and values is all that a trie has between two keys.

use super::{
    EMPTY_ROOT, Entry, NodeStore, ProofError, Trie, TrieError,
    encode::Reference,
    nibbles::{filled, nibble, truncated, with_nibble},
    node::{Body, Node},
    proof::decoded,
    sorted::{Hasher, reference_of},
};
use crate::crypto::keccak256;
use alloy_primitives::{B256, Bytes};
use std::{collections::BTreeMap, sync::Arc};

/// A run of a trie's content with the nodes that prove that it is complete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeProof {
    /// Keys and values in ascending order.
    pub entries: Vec<Entry>,
    /// The nodes on the ways to the first key asked for and to the last key given, each once.
    pub proof: Vec<Bytes>,
}

impl Trie {
    /// Content from `start` on, until `max_bytes` of keys and values are reached or passed, or the trie ends.
    ///
    /// At least one entry is given if there is one.
    ///
    /// # Errors
    /// If a node on the way is missing or corrupt, or the store fails.
    pub fn prove_range<S: NodeStore + ?Sized>(
        &self,
        store: &S,
        start: B256,
        max_bytes: usize,
    ) -> Result<RangeProof, TrieError> {
        let mut range = RangeProof::default();
        let mut size = 0;
        for entry in self.iter(store, start) {
            let (key, value) = entry?;
            size += key.len() + value.len();
            range.entries.push((key, value));
            if size >= max_bytes {
                break;
            }
        }
        range.proof = self.prove(store, &start)?;
        if let Some((last, _)) = range.entries.last() {
            for node in self.prove(store, last)? {
                if !range.proof.contains(&node) {
                    range.proof.push(node);
                }
            }
        }
        Ok(range)
    }
}

/// Checks that `entries` are all that the trie with this root has from `start` to the last of them and, if there are
/// none, that it has nothing from `start` on. Returns whether it has keys behind the last.
///
/// `proof` holds the nodes on the ways to `start` and to the last key, in any order. Without any node the entries have
/// to be the whole trie.
///
/// Each subtree between the two ways is hashed from the entries and compared with the reference in the proof; nothing
/// is taken from the proof but what hashes to the root.
///
/// # Errors
/// If the entries are not ascending, lack or add something, or the proof lacks a node. No input makes this panic.
pub fn verify_range<V: AsRef<[u8]>, P: AsRef<[u8]>>(
    root: B256,
    start: &B256,
    entries: &[(B256, V)],
    proof: &[P],
) -> Result<bool, ProofError> {
    if let Some(index) = (0..entries.len()).find(|index| match index.checked_sub(1) {
        None => entries[0].0 < *start,
        Some(before) => entries[before].0 >= entries[*index].0,
    }) {
        return Err(ProofError::Unsorted { index });
    }
    if let Some(index) = entries.iter().position(|(_, value)| value.as_ref().is_empty()) {
        return Err(ProofError::EmptyValue { index });
    }
    if proof.is_empty() || root == EMPTY_ROOT {
        let whole = reference_of(entries, 0, &mut Hasher::default()).map_or(EMPTY_ROOT, |reference| reference.root());
        return if whole == root { Ok(false) } else { Err(ProofError::Mismatch { path: B256::ZERO, depth: 0 }) };
    }
    let mut check = RangeCheck {
        start: *start,
        end: entries.last().map_or(B256::repeat_byte(0xff), |(key, _)| *key),
        nodes: proof.iter().map(|node| (keccak256(node), node.as_ref())).collect(),
        more: false,
        hasher: Hasher::default(),
    };
    check.place(Some(&Node::unloaded(root)), B256::ZERO, 0, entries)?;
    Ok(check.more)
}

struct RangeCheck<'p> {
    start: B256,
    end: B256,
    nodes: BTreeMap<B256, &'p [u8]>,
    more: bool,
    hasher: Hasher,
}

impl RangeCheck<'_> {
    /// Checks the subtree behind `depth` nibbles of `path` against the entries whose keys begin with them.
    fn place<V: AsRef<[u8]>>(
        &mut self,
        node: Option<&Arc<Node>>,
        path: B256,
        depth: usize,
        entries: &[(B256, V)],
    ) -> Result<(), ProofError> {
        let mismatch = ProofError::Mismatch { path: truncated(path, depth), depth };
        let Some(node) = node else {
            return if entries.is_empty() { Ok(()) } else { Err(mismatch) };
        };
        let (low, high) = (truncated(path, depth), filled(path, depth));
        if low > self.end {
            self.more = true;
        }
        if low > self.end || high < self.start {
            return if entries.is_empty() { Ok(()) } else { Err(mismatch) };
        }
        // The root's children are compared, never the root as a whole: its hash is not that of a short node.
        if low >= self.start && high <= self.end && depth > 0 {
            let expected = reference_of(entries, depth, &mut self.hasher);
            let known = node.known_reference();
            return if expected.as_ref() == known { Ok(()) } else { Err(mismatch) };
        }
        let node = self.opened(node, &path, depth)?;
        match node.body() {
            Some(Body::Leaf { key, value }) => {
                self.more |= *key > self.end;
                let inside = *key >= self.start && *key <= self.end;
                match entries {
                    [] if !inside => Ok(()),
                    [(given, bytes)] if inside && given == key && bytes.as_ref() == &**value => Ok(()),
                    _ => Err(mismatch),
                }
            }
            Some(Body::Extension { prefix, end, child }) => {
                let end = usize::from(*end);
                if entries.iter().any(|(key, _)| truncated(*key, end) != truncated(*prefix, end)) {
                    return Err(mismatch);
                }
                self.place(Some(child), *prefix, end, entries)
            }
            Some(Body::Branch(children)) => {
                let mut rest = entries;
                for (at, child) in children.iter().enumerate() {
                    let count = rest.partition_point(|(key, _)| nibble(key.as_slice(), depth) <= at);
                    let (inner, behind) = rest.split_at(count);
                    rest = behind;
                    self.place(child.as_ref(), with_nibble(path, depth, at), depth + 1, inner)?;
                }
                Ok(())
            }
            None => Err(mismatch),
        }
    }

    fn opened(&self, node: &Arc<Node>, path: &B256, depth: usize) -> Result<Arc<Node>, ProofError> {
        if node.body().is_some() {
            return Ok(Arc::clone(node));
        }
        let hash = node.known_reference().and_then(Reference::as_hash).unwrap_or_default();
        let encoded = self.nodes.get(&hash).ok_or(ProofError::MissingNode { hash, depth })?;
        Ok(node.with_body(decoded(encoded, hash, path, depth)?))
    }
}
