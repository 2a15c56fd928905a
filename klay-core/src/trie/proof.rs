//! Proofs that a key has a value or that it has none.

use super::{
    EMPTY_ROOT, NodeStore, Trie, TrieError,
    encode::Reference,
    nibbles::{common_prefix, nibble},
    node::{Body, Node, detached},
};
use crate::{DecodeError, crypto::keccak256};
use alloy_primitives::{B256, Bytes};
use std::sync::Arc;

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The proof lacks the node with this hash.
    #[error("the proof has no node {hash} at depth {depth}")]
    MissingNode {
        /// Hash of the node.
        hash: B256,
        /// Nibbles from the root to it.
        depth: usize,
    },
    /// A node of the proof is not one.
    #[error("proof node {hash} does not decode: {source}")]
    BadNode {
        /// Its hash.
        hash: B256,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The proof goes on where the way to the key ends.
    #[error("the proof has {got} nodes where {expected} lead to the key")]
    ExtraNodes {
        /// Nodes that were needed.
        expected: usize,
        /// Nodes that were given.
        got: usize,
    },
    /// The keys of a range are not strictly ascending from its start.
    #[error("entry {index} of the range is not above its predecessor or the start")]
    Unsorted {
        /// Position of the first key out of order.
        index: usize,
    },
    /// An entry of a range has no value.
    #[error("entry {index} of the range has an empty value")]
    EmptyValue {
        /// Its position.
        index: usize,
    },
    /// Keys and values of a range are not those of the trie.
    #[error("the entries below {path} at depth {depth} are not those of the trie")]
    Mismatch {
        /// The nibbles to the first subtree that differs, then zeros.
        path: B256,
        /// How many nibbles these are.
        depth: usize,
    },
}

impl Trie {
    /// The nodes from the root to where the way to `key` ends, each once, top down; none for the empty trie.
    ///
    /// They prove the value or, if there is none, its absence. Nodes that stand inside their parent are part of it.
    ///
    /// # Errors
    /// If a node on the way is missing or corrupt, or the store fails.
    pub fn prove<S: NodeStore + ?Sized>(&self, store: &S, key: &B256) -> Result<Vec<Bytes>, TrieError> {
        self.root();
        let mut proof = Vec::new();
        let mut next = self.root.clone();
        let mut depth = 0;
        while let Some(node) = next {
            let node = detached(store, &node, key, depth)?;
            let stands_alone = node.known_reference().is_some_and(|reference| reference.as_hash().is_some());
            if stands_alone || depth == 0 {
                let mut encoded = Vec::new();
                node.encode(depth, &mut encoded);
                proof.push(encoded.into());
            }
            (next, depth) = step(&node, key, depth);
        }
        Ok(proof)
    }
}

/// The child on the way to `key`, and its depth.
fn step(node: &Node, key: &B256, depth: usize) -> (Option<Arc<Node>>, usize) {
    match node.body() {
        Some(Body::Branch(children)) => (children[nibble(key.as_slice(), depth)].clone(), depth + 1),
        Some(Body::Extension { prefix, end, child }) => {
            let end = usize::from(*end);
            let matches = common_prefix(prefix.as_slice(), key.as_slice()) >= end;
            (matches.then(|| Arc::clone(child)), end)
        }
        Some(Body::Leaf { .. }) | None => (None, depth),
    }
}

/// The value that `proof` shows for `key` in the trie with this root; `None` if it shows that there is none.
///
/// The proof is what [`Trie::prove`] gives: the nodes top down, no more and no fewer. For the empty trie the encoding
/// of nothing (`0x80`) is accepted beside an empty list.
///
/// # Errors
/// If a node is missing, superfluous or not a node. No input makes this panic.
pub fn verify_proof<P: AsRef<[u8]>>(root: B256, key: &B256, proof: &[P]) -> Result<Option<Arc<[u8]>>, ProofError> {
    let extra = |expected| match proof.len() {
        got if got > expected => Err(ProofError::ExtraNodes { expected, got }),
        _ => Ok(()),
    };
    if root == EMPTY_ROOT {
        if !matches!(proof, [only] if only.as_ref() == [0x80]) {
            extra(0)?;
        }
        return Ok(None);
    }
    let mut next = Some(Node::unloaded(root));
    let (mut depth, mut used) = (0, 0);
    while let Some(node) = next {
        let node = match node.known_reference().and_then(Reference::as_hash) {
            None => node,
            Some(hash) => {
                let encoded = proof.get(used).map(AsRef::as_ref).filter(|encoded| keccak256(encoded) == hash);
                let encoded = encoded.ok_or(ProofError::MissingNode { hash, depth })?;
                used += 1;
                node.with_body(decoded(encoded, hash, key, depth)?)
            }
        };
        if let Some(Body::Leaf { key: found, value }) = node.body() {
            extra(used)?;
            return Ok((found == key).then(|| Arc::clone(value)));
        }
        (next, depth) = step(&node, key, depth);
    }
    extra(used)?;
    Ok(None)
}

pub(super) fn decoded(encoded: &[u8], hash: B256, path: &B256, depth: usize) -> Result<Body, ProofError> {
    Body::decode(encoded, path, depth).map_err(|source| ProofError::BadNode { hash, source })
}
