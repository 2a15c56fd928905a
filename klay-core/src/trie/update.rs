//! Many changes in one pass.

use super::{
    NodeStore, Trie, TrieError,
    nibbles::{common_prefix, nibble, truncated, with_nibble},
    node::{Body, Children, Loader, Node},
};
use alloy_primitives::B256;
use core::cell::Cell;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

impl Trie {
    /// This trie with `changes` made: a value sets the key, `None` or an empty value deletes it.
    ///
    /// The result is the same for every way in which changes are cut into calls. Shares what does not change; hashes
    /// nothing.
    ///
    /// # Errors
    /// If the changes are not strictly ascending by key, a node on the way is missing or corrupt, or the store fails.
    pub fn update<S, V>(&self, store: &S, changes: &[(B256, Option<V>)]) -> Result<Self, TrieError>
    where
        S: NodeStore + ?Sized,
        V: AsRef<[u8]> + Sync,
    {
        check_order(changes)?;
        let resident = AtomicUsize::new(self.resident());
        let update = Update::new(store, &resident);
        let root = update.node(self.root.as_ref(), 0, changes)?;
        update.count();
        Ok(Self { root, resident: Arc::new(resident) })
    }
}

pub(super) type Change<V> = (B256, Option<V>);
pub(super) type Place = Option<Arc<Node>>;

pub(super) fn check_order<V>(changes: &[Change<V>]) -> Result<(), TrieError> {
    match changes.windows(2).position(|pair| pair[0].0 >= pair[1].0) {
        Some(at) => Err(TrieError::Unsorted { index: at + 1 }),
        None => Ok(()),
    }
}

/// The value that a change sets.
fn live<V: AsRef<[u8]>>(change: &Change<V>) -> Option<&[u8]> {
    change.1.as_ref().map(AsRef::as_ref).filter(|value| !value.is_empty())
}

/// The first and the last change that set a value.
fn live_bounds<V: AsRef<[u8]>>(changes: &[Change<V>]) -> Option<(&Change<V>, &Change<V>)> {
    let first = changes.iter().find(|change| live(change).is_some())?;
    let last = changes.iter().rfind(|change| live(change).is_some())?;
    Some((first, last))
}

/// Every run of changes that have the same nibble at `depth`, with that nibble.
pub(super) fn by_nibble<V>(changes: &[Change<V>], depth: usize) -> impl Iterator<Item = (usize, &[Change<V>])> {
    let at = move |change: &Change<V>| nibble(change.0.as_slice(), depth);
    changes.chunk_by(move |a, b| at(a) == at(b)).map(move |run| (at(&run[0]), run))
}

/// One thread's part in making changes.
pub(super) struct Update<'a, S: ?Sized> {
    loader: Loader<'a, S>,
    /// Nodes that were made, and nodes in whose place others came. Counted here, since a counter that threads share costs
    /// as much as making a node.
    made: Cell<usize>,
    gone: Cell<usize>,
}

impl<'a, S: NodeStore + ?Sized> Update<'a, S> {
    /// `resident` counts the nodes of the trie that is being made.
    pub(super) const fn new(store: &'a S, resident: &'a AtomicUsize) -> Self {
        Self { loader: Loader { store, resident }, made: Cell::new(0), gone: Cell::new(0) }
    }

    /// Adds what was made and what is gone to the trie's count.
    pub(super) fn count(self) {
        let (made, gone) = (self.made.get(), self.gone.get());
        // Saturating: a node may have been read through an older trie, which counted it.
        let counted = |nodes: usize| Some((nodes + made).saturating_sub(gone));
        let _before = self.loader.resident.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }

    fn make(&self, body: Body) -> Arc<Node> {
        self.made.update(|nodes| nodes + 1);
        Node::new(body)
    }
}

/// Every method gets the changes below one place of the trie: they share their first `depth` nibbles and are sorted.
impl<S: NodeStore + ?Sized> Update<'_, S> {
    /// What stands at the place of `node` after the changes; `node` itself if none changes anything.
    pub(super) fn node<V: AsRef<[u8]>>(
        &self,
        node: Option<&Arc<Node>>,
        depth: usize,
        changes: &[Change<V>],
    ) -> Result<Place, TrieError> {
        let (Some(node), Some((path, _))) = (node, changes.first()) else {
            return Ok(node.cloned().or_else(|| self.built(depth, changes)));
        };
        let result = match self.loader.body(node, path, depth)? {
            Body::Leaf { key, value } => self.leaf(node, key, value, depth, changes),
            Body::Extension { prefix, end, child } => {
                self.extension(node, prefix, usize::from(*end), child, depth, changes)?
            }
            Body::Branch(children) => self.branch(Some(node), children, depth, changes)?,
        };
        self.replaces(Some(node), result.as_ref());
        Ok(result)
    }

    /// Counts what was at a place, unless it is still there.
    pub(super) fn replaces(&self, before: Option<&Arc<Node>>, after: Option<&Arc<Node>>) {
        if before.is_some() && before.map(Arc::as_ptr) != after.map(Arc::as_ptr) {
            self.gone.update(|nodes| nodes + 1);
        }
    }

    /// The children of `node`, which is the root, if it is a branch; `path` is any path.
    pub(super) fn children<'n>(&self, node: &'n Node, path: &B256) -> Result<Option<&'n Children>, TrieError> {
        match self.loader.body(node, path, 0)? {
            Body::Branch(children) => Ok(Some(children)),
            Body::Leaf { .. } | Body::Extension { .. } => Ok(None),
        }
    }

    /// A subtree of nothing but the changes.
    fn built<V: AsRef<[u8]>>(&self, depth: usize, changes: &[Change<V>]) -> Place {
        let (first, last) = live_bounds(changes)?;
        if first.0 == last.0 {
            return live(first).map(|value| self.make(Body::Leaf { key: first.0, value: value.into() }));
        }
        let fork = common_prefix(first.0.as_slice(), last.0.as_slice());
        let mut children = Box::<Children>::default();
        for run in
            below(changes, &first.0, fork).chunk_by(|a, b| nibble(a.0.as_slice(), fork) == nibble(b.0.as_slice(), fork))
        {
            children[nibble(run[0].0.as_slice(), fork)] = self.built(fork + 1, run);
        }
        Some(self.extended(&first.0, depth, fork, self.make(Body::Branch(children))))
    }

    fn leaf<V: AsRef<[u8]>>(
        &self,
        node: &Arc<Node>,
        key: &B256,
        value: &Arc<[u8]>,
        depth: usize,
        changes: &[Change<V>],
    ) -> Place {
        let Ok(at) = changes.binary_search_by(|change| change.0.cmp(key)) else {
            return match live_bounds(changes) {
                None => Some(Arc::clone(node)),
                Some(_) => Some(self.joined(key, value, depth, changes)),
            };
        };
        let same = live(&changes[at]) == Some(value);
        let alone = live_bounds(changes).is_some_and(|(first, last)| first.0 == *key && last.0 == *key);
        if same && alone { Some(Arc::clone(node)) } else { self.built(depth, changes) }
    }

    /// A subtree of the changes and of one more key that they do not name.
    fn joined<V: AsRef<[u8]>>(&self, key: &B256, value: &Arc<[u8]>, depth: usize, changes: &[Change<V>]) -> Arc<Node> {
        let Some((first, last)) = live_bounds(changes) else {
            return self.make(Body::Leaf { key: *key, value: Arc::clone(value) });
        };
        let (low, high) = (first.0.min(*key), last.0.max(*key));
        let fork = common_prefix(low.as_slice(), high.as_slice());
        let home = nibble(key.as_slice(), fork);
        let mut children = Box::<Children>::default();
        for run in
            below(changes, key, fork).chunk_by(|a, b| nibble(a.0.as_slice(), fork) == nibble(b.0.as_slice(), fork))
        {
            let at = nibble(run[0].0.as_slice(), fork);
            children[at] =
                if at == home { Some(self.joined(key, value, fork + 1, run)) } else { self.built(fork + 1, run) };
        }
        children[home].get_or_insert_with(|| self.make(Body::Leaf { key: *key, value: Arc::clone(value) }));
        self.extended(key, depth, fork, self.make(Body::Branch(children)))
    }

    fn extension<V: AsRef<[u8]>>(
        &self,
        node: &Arc<Node>,
        prefix: &B256,
        end: usize,
        child: &Arc<Node>,
        depth: usize,
        changes: &[Change<V>],
    ) -> Result<Place, TrieError> {
        let shared = |change: &Change<V>| common_prefix(prefix.as_slice(), change.0.as_slice());
        let fork = live_bounds(changes).map_or(end, |(first, last)| shared(first).min(shared(last)).min(end));
        let inner = below(changes, prefix, fork);
        if fork < end {
            let mut children = Box::<Children>::default();
            children[nibble(prefix.as_slice(), fork)] = Some(self.extended(prefix, fork + 1, end, Arc::clone(child)));
            let Some(below) = self.branch(None, &children, fork, inner)? else { return Ok(None) };
            return self.merged(prefix, depth, fork, below).map(Some);
        }
        match self.node(Some(child), end, inner)? {
            None => Ok(None),
            Some(new) if Arc::ptr_eq(&new, child) => Ok(Some(Arc::clone(node))),
            Some(new) => self.merged(prefix, depth, end, new).map(Some),
        }
    }

    /// `same` is the node that has these children, if there is one yet.
    fn branch<V: AsRef<[u8]>>(
        &self,
        same: Option<&Arc<Node>>,
        children: &Children,
        depth: usize,
        changes: &[Change<V>],
    ) -> Result<Place, TrieError> {
        let changed = by_nibble(changes, depth)
            .map(|(at, run)| self.node(children[at].as_ref(), depth + 1, run).map(|child| (at, child)));
        self.branched(same, children, depth, changes, changed)
    }

    /// As [`Self::branch`], given what stands at the places that are named in `changes`.
    pub(super) fn branched<V>(
        &self,
        same: Option<&Arc<Node>>,
        children: &Children,
        depth: usize,
        changes: &[Change<V>],
        changed: impl Iterator<Item = Result<(usize, Place), TrieError>>,
    ) -> Result<Place, TrieError> {
        let mut new: Option<Box<Children>> = None;
        for child in changed {
            let (at, child) = child?;
            if child.as_ref().map(Arc::as_ptr) != children[at].as_ref().map(Arc::as_ptr) {
                new.get_or_insert_with(|| Box::new(children.clone()))[at] = child;
            }
        }
        let new = match (new, same) {
            (None, Some(same)) => return Ok(Some(Arc::clone(same))),
            (None, None) => Box::new(children.clone()),
            (Some(new), _) => new,
        };
        let mut left = new.iter().enumerate().filter_map(|(at, child)| Some((at, child.as_ref()?)));
        match (left.next(), left.next()) {
            (None, _) => Ok(None),
            (Some((at, child)), None) => {
                let path = changes.first().map_or(B256::ZERO, |change| change.0);
                self.merged(&with_nibble(path, depth, at), depth, depth + 1, Arc::clone(child)).map(Some)
            }
            (Some(_), Some(_)) => Ok(Some(self.make(Body::Branch(new)))),
        }
    }

    /// The node at `depth` for a subtree whose only node at `end` is a branch.
    fn extended(&self, path: &B256, depth: usize, end: usize, branch: Arc<Node>) -> Arc<Node> {
        if depth == end {
            return branch;
        }
        self.make(Body::Extension { prefix: truncated(*path, end), end: end as u8, child: branch })
    }

    /// The node at `depth` for a subtree whose only node at `end` is `child`, of any kind.
    fn merged(&self, path: &B256, depth: usize, end: usize, child: Arc<Node>) -> Result<Arc<Node>, TrieError> {
        if depth == end {
            return Ok(child);
        }
        let moved = match self.loader.body(&child, path, end)? {
            Body::Leaf { key, value } => Body::Leaf { key: *key, value: Arc::clone(value) },
            Body::Extension { prefix, end, child } => {
                Body::Extension { prefix: *prefix, end: *end, child: Arc::clone(child) }
            }
            Body::Branch(_) => return Ok(self.extended(path, depth, end, child)),
        };
        self.gone.update(|nodes| nodes + 1);
        Ok(self.make(moved))
    }
}

/// The changes whose keys share the first `end` nibbles of `path`.
fn below<'c, V>(changes: &'c [Change<V>], path: &B256, end: usize) -> &'c [Change<V>] {
    let prefix = |change: &Change<V>| truncated(change.0, end);
    let path = truncated(*path, end);
    let from = changes.partition_point(|change| prefix(change) < path);
    let len = changes[from..].partition_point(|change| prefix(change) == path);
    &changes[from..from + len]
}
