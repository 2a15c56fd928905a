//! A node in memory: immutable, shared, perhaps not loaded yet.

use super::{
    NodeStore, TrieError,
    encode::{Reference, push_branch, push_extension, push_leaf},
    nibbles::{KEY_NIBBLES, join_hex_prefix, with_nibble},
    record,
};
use crate::codec::{DecodeError, DecodeErrorKind, Reader};
use alloy_primitives::B256;
use core::ops::{Deref, DerefMut};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU8, AtomicUsize, Ordering},
};

const PERSISTED: u8 = 1;
const VISITED: u8 = 2;

/// The sixteen places of a branch.
#[derive(Debug, Default)]
pub(super) struct Children([Option<Arc<Node>>; 16]);

/// A node at a fixed place of a trie.
///
/// # Invariant
/// `reference` or `body` is set. A persisted node has a [record] of its own, as has everything below it that is not
/// packed into another. Both cells are written once and with the only value that they can have, so sharing between tries
/// and threads is safe.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Node {
    // First, so that it shares a cache line with the counters of the `Arc`: a parent that is written anew touches the
    // counter and reads the reference of every child.
    reference: OnceLock<Reference>,
    flags: AtomicU8,
    body: OnceLock<Body>,
}

/// What a node holds. Keys are whole, so that a leaf or extension that moves up or down keeps its content; the depth of
/// the node says how much of the key its encoding leaves out.
#[derive(Debug)]
pub(super) enum Body {
    /// The end of a key.
    Leaf { key: B256, value: Arc<[u8]> },
    /// Nibbles that all keys below share: up to `end`, where the child, a branch, stands.
    Extension { prefix: B256, end: u8, child: Arc<Node> },
    /// A fork with at least two children.
    Branch(Box<Children>),
}

impl Node {
    /// A node that the store does not have.
    pub(super) fn new(body: Body) -> Arc<Self> {
        Arc::new(Self { reference: OnceLock::new(), flags: AtomicU8::new(VISITED), body: OnceLock::from(body) })
    }

    /// A node that is in the store under `hash` and has not been read.
    pub(super) fn unloaded(hash: B256) -> Arc<Self> {
        Arc::new(Self {
            reference: OnceLock::from(Reference::hash(hash)),
            flags: AtomicU8::new(PERSISTED),
            body: OnceLock::new(),
        })
    }

    /// A node that was read out of the record of its parent.
    pub(super) fn packed(body: Body, reference: Reference) -> Arc<Self> {
        Arc::new(Self {
            reference: OnceLock::from(reference),
            flags: AtomicU8::new(VISITED),
            body: OnceLock::from(body),
        })
    }

    /// This node with other children of the same content.
    pub(super) fn with_body(&self, body: Body) -> Arc<Self> {
        let flags = self.flags.load(Ordering::Acquire) & PERSISTED;
        Arc::new(Self { reference: self.reference.clone(), flags: AtomicU8::new(flags), body: OnceLock::from(body) })
    }

    /// Whether the store has a record of this node, and everything below it.
    pub(super) fn is_persisted(&self) -> bool {
        self.flags.load(Ordering::Acquire) & PERSISTED != 0
    }

    /// Notes that the store has a record of this node, and everything below it.
    pub(super) fn set_persisted(&self) {
        self.flags.fetch_or(PERSISTED, Ordering::Release);
    }

    /// Whether the node was passed on the way to a key since the last call.
    pub(super) fn take_visited(&self) -> bool {
        self.flags.fetch_and(!VISITED, Ordering::Relaxed) & VISITED != 0
    }

    fn visit(&self) {
        if self.flags.load(Ordering::Relaxed) & VISITED == 0 {
            self.flags.fetch_or(VISITED, Ordering::Relaxed);
        }
    }

    /// The content, if it is in memory.
    pub(super) fn body(&self) -> Option<&Body> {
        self.body.get()
    }

    /// Whether the node is known to stand inside the encoding of its parent.
    pub(super) fn is_in_place(&self) -> bool {
        self.reference.get().is_some_and(Reference::is_in_place)
    }

    /// The reference, if it is known.
    pub(super) fn known_reference(&self) -> Option<&Reference> {
        self.reference.get()
    }

    /// The reference of a node that stands at `depth`; hashes whatever below has not been hashed.
    pub(super) fn reference(&self, depth: usize, scratch: &mut Vec<u8>) -> &Reference {
        if let Some(reference) = self.reference.get() {
            return reference;
        }
        match self.body.get() {
            Some(Body::Branch(children)) => {
                for child in children.iter().flatten() {
                    child.reference(depth + 1, scratch);
                }
            }
            Some(Body::Extension { end, child, .. }) => {
                child.reference(usize::from(*end), scratch);
            }
            Some(Body::Leaf { .. }) | None => {}
        }
        scratch.clear();
        self.encode(depth, scratch);
        self.reference.get_or_init(|| Reference::to(scratch))
    }

    /// Appends the encoding of a loaded node that stands at `depth` and whose children have been hashed.
    pub(super) fn encode(&self, depth: usize, out: &mut Vec<u8>) {
        if let Some(body) = self.body.get() {
            body.encode(depth, out);
        }
    }
}

impl Children {
    /// Reads a line of each child's memory. A branch is copied and dropped by changing the counters of all its
    /// children one after another; most are not in the cache, and reads, unlike those changes, wait for memory together.
    fn approach(&self) {
        for child in self.iter().flatten() {
            core::hint::black_box(child.reference.get().is_some());
        }
    }
}

impl Clone for Children {
    fn clone(&self) -> Self {
        self.approach();
        Self(self.0.clone())
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.approach();
    }
}

impl From<[Option<Arc<Node>>; 16]> for Children {
    fn from(places: [Option<Arc<Node>>; 16]) -> Self {
        Self(places)
    }
}

impl Deref for Children {
    type Target = [Option<Arc<Node>>; 16];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Children {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Body {
    /// Appends the encoding at `depth`; the children have been hashed.
    pub(super) fn encode(&self, depth: usize, out: &mut Vec<u8>) {
        match self {
            Self::Leaf { key, value } => push_leaf(key.as_slice(), depth, value, out),
            Self::Extension { prefix, end, child } => {
                let child = hashed(child);
                push_extension(prefix.as_slice(), depth, usize::from(*end), child, out);
            }
            Self::Branch(children) => push_branch(children.iter().map(|child| child.as_ref().map(hashed)), out),
        }
    }

    /// Reads the encoding of a node that stands behind the first `depth` nibbles of `path`.
    pub(super) fn decode(encoded: &[u8], path: &B256, depth: usize) -> Result<Self, DecodeError> {
        let mut input = Reader::new(encoded);
        let body = Self::read(&mut input, path, depth)?;
        input.end("trie node")?;
        Ok(body)
    }

    /// Reads one node that stands behind the first `depth` nibbles of `path`.
    pub(super) fn read(input: &mut Reader<'_>, path: &B256, depth: usize) -> Result<Self, DecodeError> {
        let mut list = input.list("trie node")?;
        let start = list.clone();
        let mut items = 0;
        while !list.is_empty() {
            list.item("trie node")?;
            items += 1;
        }
        let mut list = start;
        match items {
            2 => Self::read_short(&mut list, path, depth),
            17 => Self::read_branch(&mut list, path, depth),
            _ => Err(list.error("trie node", DecodeErrorKind::Invalid("neither 2 nor 17 elements"))),
        }
    }

    fn read_short(list: &mut Reader<'_>, path: &B256, depth: usize) -> Result<Self, DecodeError> {
        let at = list.clone();
        let form = list.bytes("trie path")?;
        let (leaf, key, end) = join_hex_prefix(path, depth, form)
            .filter(|(leaf, _, end)| if *leaf { *end == KEY_NIBBLES } else { *end > depth && *end < KEY_NIBBLES })
            .ok_or_else(|| at.error("trie path", DecodeErrorKind::Invalid("not a hex prefix of this depth")))?;
        if leaf {
            let at = list.clone();
            let value = list.bytes("trie value")?;
            if value.is_empty() {
                return Err(at.error("trie value", DecodeErrorKind::Invalid("empty value")));
            }
            return Ok(Self::Leaf { key, value: value.into() });
        }
        let at = list.clone();
        let child = read_child(list, &key, end)?
            .ok_or_else(|| at.error("trie child", DecodeErrorKind::Invalid("extension without a child")))?;
        if matches!(child.body(), Some(Self::Leaf { .. } | Self::Extension { .. })) {
            return Err(at.error("trie child", DecodeErrorKind::Invalid("extension of something else than a branch")));
        }
        Ok(Self::Extension { prefix: key, end: end as u8, child })
    }

    fn read_branch(list: &mut Reader<'_>, path: &B256, depth: usize) -> Result<Self, DecodeError> {
        if depth >= KEY_NIBBLES {
            return Err(list.error("trie node", DecodeErrorKind::Invalid("branch below the last nibble")));
        }
        let start = list.clone();
        let mut children = Box::<Children>::default();
        for (nibble, place) in children.iter_mut().enumerate() {
            *place = read_child(list, &with_nibble(*path, depth, nibble), depth + 1)?;
        }
        if !list.bytes("trie branch value")?.is_empty() {
            return Err(list.error("trie branch value", DecodeErrorKind::Invalid("value in a branch")));
        }
        if children.iter().flatten().count() < 2 {
            return Err(start.error("trie node", DecodeErrorKind::Invalid("branch with less than two children")));
        }
        Ok(Self::Branch(children))
    }
}

fn hashed(child: &Arc<Node>) -> &Reference {
    child.known_reference().expect("children are hashed before their parent is encoded")
}

/// Reads one reference: nothing, a hash, or a node in place.
fn read_child(list: &mut Reader<'_>, path: &B256, depth: usize) -> Result<Option<Arc<Node>>, DecodeError> {
    const FIELD: &str = "trie child";
    if !list.next_is_list() {
        let at = list.clone();
        return match list.bytes(FIELD)? {
            [] => Ok(None),
            hash if hash.len() == 32 => Ok(Some(Node::unloaded(B256::from_slice(hash)))),
            other => Err(at.error(FIELD, DecodeErrorKind::WrongLength { expected: 32, got: other.len() })),
        };
    }
    let mut rest = list.clone();
    let raw = list.item(FIELD)?.raw;
    if raw.len() >= 32 {
        return Err(rest.error(FIELD, DecodeErrorKind::TooLong { max: 31, got: raw.len() }));
    }
    // The encoding is canonical, so what was read is also what would be written.
    Ok(Some(Node::packed(Body::read(&mut rest, path, depth)?, Reference::to(raw))))
}

/// Reads nodes on demand and counts them.
#[derive(Debug)]
pub(super) struct Loader<'a, S: ?Sized> {
    pub(super) store: &'a S,
    pub(super) resident: &'a AtomicUsize,
}

impl<S: NodeStore + ?Sized> Loader<'_, S> {
    /// The content of `node`, which stands behind the first `depth` nibbles of `path`; keeps what it reads.
    pub(super) fn body<'n>(&self, node: &'n Node, path: &B256, depth: usize) -> Result<&'n Body, TrieError> {
        node.visit();
        if let Some(body) = node.body() {
            return Ok(body);
        }
        let (body, nodes) = read(self.store, node, path, depth)?;
        self.resident.fetch_add(nodes, Ordering::Relaxed);
        Ok(node.body.get_or_init(|| body))
    }
}

/// `node` with its content, which is not kept in the trie that `node` belongs to.
pub(super) fn detached<S: NodeStore + ?Sized>(
    store: &S,
    node: &Arc<Node>,
    path: &B256,
    depth: usize,
) -> Result<Arc<Node>, TrieError> {
    if node.body().is_some() {
        return Ok(Arc::clone(node));
    }
    Ok(node.with_body(read(store, node, path, depth)?.0))
}

/// Content of a node that is in the store, and how many nodes were read with it.
fn read<S: NodeStore + ?Sized>(store: &S, node: &Node, path: &B256, depth: usize) -> Result<(Body, usize), TrieError> {
    let hash =
        node.known_reference().and_then(Reference::as_hash).expect("a node without content was made from its hash");
    let stored = store.node(&hash)?.ok_or(TrieError::MissingNode { hash, depth })?;
    record::read(&stored, path, depth).map_err(|source| TrieError::CorruptNode { hash, source })
}
