//! The trie as a value: reading, rooting, unloading.

use super::{
    EMPTY_ROOT, NodeStore, TrieError,
    encode::Reference,
    nibbles::{common_prefix, nibble},
    node::{Body, Children, Loader, Node},
    record::{self, is_packed},
};
use alloy_primitives::B256;
use core::fmt;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A map from 32-byte keys to byte strings with a root hash; immutable and cheap to clone.
///
/// Every method that may have to read takes the store, which has to be the one that the nodes were written to.
#[derive(Clone, Default)]
pub struct Trie {
    pub(super) root: Option<Arc<Node>>,
    pub(super) resident: Arc<AtomicUsize>,
}

impl Trie {
    /// The trie without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// The stored trie with this root; nothing is read until a key is asked for.
    pub fn at(root: B256) -> Self {
        Self { root: (root != EMPTY_ROOT).then(|| Node::unloaded(root)), resident: Arc::default() }
    }

    /// Whether there are no keys.
    pub const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The root hash. Hashes what has changed since roots were last asked for, so the second call is free.
    pub fn root(&self) -> B256 {
        let Some(node) = &self.root else { return EMPTY_ROOT };
        node.reference(0, &mut Vec::with_capacity(600)).root()
    }

    /// The value at `key`.
    ///
    /// # Errors
    /// If a node on the way is missing or corrupt, or the store fails.
    pub fn get<S: NodeStore + ?Sized>(&self, store: &S, key: &B256) -> Result<Option<Arc<[u8]>>, TrieError> {
        let loader = Loader { store, resident: &self.resident };
        let mut next = self.root.as_ref();
        let mut depth = 0;
        while let Some(node) = next {
            match loader.body(node, key, depth)? {
                Body::Leaf { key: found, value } => return Ok((found == key).then(|| Arc::clone(value))),
                Body::Extension { prefix, end, child } => {
                    depth = usize::from(*end);
                    next = (common_prefix(prefix.as_slice(), key.as_slice()) >= depth).then_some(child);
                }
                Body::Branch(children) => {
                    next = children[nibble(key.as_slice(), depth)].as_ref();
                    depth += 1;
                }
            }
        }
        Ok(None)
    }

    /// About how many nodes this trie holds in memory, as a measure for when to [unload](Self::unload).
    ///
    /// Exact right after unloading; nodes that older tries read or that only they hold are not counted.
    pub fn resident(&self) -> usize {
        self.resident.load(Ordering::Relaxed)
    }

    /// The same trie with every persisted part out of memory through which no read or update has gone since the last
    /// call. Called twice in a row it keeps only what is not persisted. Leaves go with the branch above them.
    ///
    /// Takes time in proportion to the nodes in memory. They are freed when the last trie that shares them is dropped.
    #[must_use]
    pub fn unload(&self) -> Self {
        let mut kept = 0;
        let root = self.root.as_ref().map(|root| unloaded(root, &mut kept));
        Self { root, resident: Arc::new(AtomicUsize::new(kept)) }
    }
}

impl fmt::Debug for Trie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = match &self.root {
            None => Some(EMPTY_ROOT),
            Some(node) => node.known_reference().map(Reference::root),
        };
        f.debug_struct("Trie").field("root", &root).field("resident", &self.resident()).finish()
    }
}

fn unloaded(node: &Arc<Node>, kept: &mut usize) -> Arc<Node> {
    let Some(body) = node.body() else { return Arc::clone(node) };
    let visited = node.take_visited();
    if !visited
        && node.is_persisted()
        && let Some(hash) = node.known_reference().and_then(Reference::as_hash)
    {
        return Node::unloaded(hash);
    }
    *kept += 1;
    match body {
        Body::Leaf { .. } => Arc::clone(node),
        Body::Extension { prefix, end, child } => {
            let lighter = unloaded(child, kept);
            if Arc::ptr_eq(child, &lighter) {
                return Arc::clone(node);
            }
            node.with_body(Body::Extension { prefix: *prefix, end: *end, child: lighter })
        }
        Body::Branch(children) => {
            let lighter = std::array::from_fn(|at| {
                let child = children[at].as_ref()?;
                if !is_packed(child) {
                    return Some(unloaded(child, kept));
                }
                *kept += record::len(child);
                Some(Arc::clone(child))
            });
            let lighter = Box::new(Children::from(lighter));
            let same = children.iter().zip(lighter.iter()).all(|pair| match pair {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                _ => true,
            });
            if same { Arc::clone(node) } else { node.with_body(Body::Branch(lighter)) }
        }
    }
}
