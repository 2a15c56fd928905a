//! Writing what the store does not have.

use super::{
    Trie,
    encode::Reference,
    node::{Body, Node},
    record::{self, is_packed},
};
use crate::storage::{Batch, Table};
use alloy_primitives::B256;
use std::sync::Arc;

/// Nodes whose records are in a batch and not yet known to be stored. See [`Trie::commit`].
#[must_use = "nodes count as not stored until the commit is confirmed"]
#[derive(Debug, Default)]
pub struct Commit {
    nodes: Vec<Arc<Node>>,
}

impl Trie {
    /// Adds to `batch` what the store does not have of this trie, as [records](super#persistence) in [`Table::Nodes`].
    ///
    /// The order within the batch does not matter to a store that writes it at once. Call [`Commit::confirm`] when, and
    /// only when, the batch has been written.
    pub fn commit(&self, batch: &mut Batch) -> Commit {
        let Some(root) = &self.root else { return Commit::default() };
        let hash = self.root();
        let mut collector = Collector { batch, nodes: Vec::new(), record: Vec::new() };
        collector.collect(root, 0);
        if root.is_in_place() && !root.is_persisted() {
            collector.put(root, 0, hash);
        }
        Commit { nodes: collector.nodes }
    }
}

impl Commit {
    /// How many records the commit added.
    pub const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether the store had everything.
    pub const fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Notes that the batch has been written: later commits leave these nodes out, and [`Trie::unload`] may drop them.
    pub fn confirm(self) {
        for node in &self.nodes {
            node.set_persisted();
        }
    }
}

struct Collector<'b> {
    batch: &'b mut Batch,
    /// Those that get a record.
    nodes: Vec<Arc<Node>>,
    record: Vec<u8>,
}

impl Collector<'_> {
    /// Children first, so that confirming in order never marks a node above one that is not marked.
    fn collect(&mut self, node: &Arc<Node>, depth: usize) {
        if node.is_persisted() {
            return;
        }
        match node.body() {
            Some(Body::Branch(children)) => {
                for child in children.iter().flatten().filter(|child| !is_packed(child)) {
                    self.collect(child, depth + 1);
                }
            }
            Some(Body::Extension { end, child, .. }) => self.collect(child, usize::from(*end)),
            Some(Body::Leaf { .. }) | None => {}
        }
        if let Some(hash) = node.known_reference().and_then(Reference::as_hash) {
            self.put(node, depth, hash);
        }
    }

    fn put(&mut self, node: &Arc<Node>, depth: usize, hash: B256) {
        self.record.clear();
        record::write(node, depth, &mut self.record);
        self.batch.put(Table::Nodes, hash.as_slice(), self.record.as_slice());
        self.nodes.push(Arc::clone(node));
    }
}
