//! Nodes as they are stored: a record per node, with small nodes in the record of the branch above them.
//!
//! # Form
//!
//! ```text
//! record = encoding of the node
//!          then, if it is a branch, for each child that is packed, in the order of their places: record of the child
//! ```
//!
//! Packed are the children of a branch that are leaves, and those that are branches of at most [`SMALL`] children which
//! are all leaves. Children inside the encoding of their parent stand there and nowhere else. So a record holds at most
//! `1 + 16 * (1 + SMALL)` nodes, and a trie of a million accounts has 70,000 records where it has 1,400,000 nodes. Which
//! nodes are packed follows from the content of the trie alone, so that a record is the same whenever it is written.
//!
//! A packed node carries no name of its own: it is the child whose reference it hashes to.
//!
//! # In memory
//!
//! A loaded branch has its packed children loaded. So a node that is not loaded has a record of its own, whatever has
//! become of the nodes above it since.

use super::{
    encode::Reference,
    nibbles::with_nibble,
    node::{Body, Children, Node},
};
use crate::codec::{DecodeError, DecodeErrorKind, Reader};
use alloy_primitives::B256;

/// Most children of a packed branch.
const SMALL: usize = 4;

const FIELD: &str = "packed trie node";

/// Whether a child of a branch is loaded, stored and unloaded with the branch.
pub(super) fn is_packed(child: &Node) -> bool {
    match child.body() {
        Some(Body::Leaf { .. }) => true,
        Some(Body::Branch(children)) if is_small(children) => true,
        Some(_) => child.is_in_place(),
        None => false,
    }
}

fn is_small(children: &Children) -> bool {
    let is_leaf = |child: &Node| matches!(child.body(), Some(Body::Leaf { .. }));
    children.iter().flatten().count() <= SMALL && children.iter().flatten().all(|child| is_leaf(child))
}

/// How many nodes a packed child is.
pub(super) fn len(child: &Node) -> usize {
    match child.body() {
        Some(Body::Branch(children)) => 1 + children.iter().flatten().map(|child| len(child)).sum::<usize>(),
        Some(Body::Extension { child, .. }) => 1 + len(child),
        Some(Body::Leaf { .. }) | None => 1,
    }
}

/// Appends the record of a loaded node that stands at `depth` and whose children have been hashed.
pub(super) fn write(node: &Node, depth: usize, out: &mut Vec<u8>) {
    node.encode(depth, out);
    if let Some(Body::Branch(children)) = node.body() {
        for child in children.iter().flatten().filter(|child| is_packed(child) && !child.is_in_place()) {
            write(child, depth + 1, out);
        }
    }
}

/// Reads the record of a node that stands behind the first `depth` nibbles of `path`, and says how many nodes it holds.
///
/// # Errors
/// If it is not a record. What the node itself hashes to is not looked at; every packed node is checked.
pub(super) fn read(record: &[u8], path: &B256, depth: usize) -> Result<(Body, usize), DecodeError> {
    let mut input = Reader::new(record);
    let mut body = Body::read(&mut input, path, depth)?;
    let mut nodes = 1;
    if let Body::Branch(children) = &mut body {
        let mut next = 0;
        while !input.is_empty() {
            let at = input.clone();
            let mut child = Packed::read(children, next, &mut input, path, depth)?;
            match &mut child.body {
                Body::Leaf { .. } => {}
                Body::Branch(leaves) => {
                    nodes += read_leaves(leaves, &mut input, &child.path, depth + 1)?;
                    if !is_small(leaves) {
                        return Err(at.error(FIELD, DecodeErrorKind::Invalid("branch of too many leaves")));
                    }
                }
                Body::Extension { .. } => return Err(at.error(FIELD, DecodeErrorKind::Invalid("extension"))),
            }
            nodes += 1;
            next = child.put(children) + 1;
        }
    }
    input.end("trie record")?;
    Ok((body, nodes))
}

/// Reads the leaves of a packed branch; gives their number.
fn read_leaves(leaves: &mut Children, input: &mut Reader<'_>, path: &B256, depth: usize) -> Result<usize, DecodeError> {
    let (mut count, mut next) = (0, 0);
    while leaves.iter().flatten().any(|leaf| leaf.body().is_none()) {
        let at = input.clone();
        let leaf = Packed::read(leaves, next, input, path, depth)?;
        if !matches!(leaf.body, Body::Leaf { .. }) {
            return Err(at.error(FIELD, DecodeErrorKind::Invalid("not a leaf")));
        }
        next = leaf.put(leaves) + 1;
        count += 1;
    }
    Ok(count)
}

/// A packed child that has been read.
struct Packed {
    at: usize,
    path: B256,
    body: Body,
    reference: Reference,
}

impl Packed {
    /// Reads the next node, which is one of `children` from place `from` on.
    fn read(
        children: &Children,
        from: usize,
        input: &mut Reader<'_>,
        path: &B256,
        depth: usize,
    ) -> Result<Self, DecodeError> {
        let mut node = input.clone();
        let reference = Reference::to(input.item(FIELD)?.raw);
        let is_it = |child: &Node| child.body().is_none() && child.known_reference() == Some(&reference);
        let at = (from..children.len()).find(|at| children[*at].as_ref().is_some_and(|child| is_it(child)));
        let at = at.ok_or_else(|| node.error(FIELD, DecodeErrorKind::Invalid("no child of its branch")))?;
        let path = with_nibble(*path, depth, at);
        let body = Body::read(&mut node, &path, depth + 1)?;
        Ok(Self { at, path, body, reference })
    }

    /// Takes its place among `children`; says which.
    fn put(self, children: &mut Children) -> usize {
        children[self.at] = Some(Node::packed(self.body, self.reference));
        self.at
    }
}
