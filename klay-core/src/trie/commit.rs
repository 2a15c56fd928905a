//! Writing the nodes that the store does not have.

use super::{
    Trie,
    encode::Reference,
    node::{Body, Node},
};
use crate::storage::{Batch, Table};
use std::sync::Arc;

/// Nodes that are in a batch and not yet known to be stored. See [`Trie::commit`].
#[must_use = "nodes count as not stored until the commit is confirmed"]
#[derive(Debug, Default)]
pub struct Commit {
    nodes: Vec<Arc<Node>>,
}

impl Trie {
    /// Adds to `batch` every node of this trie that the store does not have, under its hash in [`Table::Nodes`].
    ///
    /// The order within the batch does not matter to a store that writes it at once. Call [`Commit::confirm`] when, and
    /// only when, the batch has been written.
    pub fn commit(&self, batch: &mut Batch) -> Commit {
        let mut commit = Commit::default();
        let Some(root) = &self.root else { return commit };
        let hash = self.root();
        commit.collect(root, 0, batch);
        let short = root.known_reference().is_some_and(|reference| reference.as_hash().is_none());
        if short && !root.is_persisted() {
            let mut encoded = Vec::new();
            root.encode(0, &mut encoded);
            batch.put(Table::Nodes, hash.as_slice(), encoded);
        }
        commit
    }
}

impl Commit {
    /// How many nodes the commit added.
    pub const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether the store had every node.
    pub const fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Notes that the batch has been written: later commits leave these nodes out, and [`Trie::unload`] may drop them.
    pub fn confirm(self) {
        for node in &self.nodes {
            node.set_persisted();
        }
    }

    /// Children first, so that confirming in order never marks a node above one that is not marked.
    fn collect(&mut self, node: &Arc<Node>, depth: usize, batch: &mut Batch) {
        if node.is_persisted() {
            return;
        }
        match node.body() {
            Some(Body::Branch(children)) => {
                for child in children.iter().flatten() {
                    self.collect(child, depth + 1, batch);
                }
            }
            Some(Body::Extension { end, child, .. }) => self.collect(child, usize::from(*end), batch),
            Some(Body::Leaf { .. }) | None => {}
        }
        if let Some(hash) = node.known_reference().and_then(Reference::as_hash) {
            let mut encoded = Vec::new();
            node.encode(depth, &mut encoded);
            batch.put(Table::Nodes, hash.as_slice(), encoded);
        }
        self.nodes.push(Arc::clone(node));
    }
}
