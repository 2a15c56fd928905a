//! Walking a trie in the order of its keys.

use super::{
    NodeStore, Trie, TrieError,
    nibbles::{KEY_NIBBLES, common_prefix, nibble, with_nibble},
    node::{Body, Node, detached},
};
use alloy_primitives::B256;
use std::sync::Arc;

impl Trie {
    /// Keys and values from `start` on, ascending. What has to be read is not kept in memory.
    ///
    /// ```
    /// use klay_core::{B256, trie::Trie};
    ///
    /// let key = B256::repeat_byte;
    /// let trie = Trie::new().update(&(), &[(key(1), Some("one")), (key(2), Some("two")), (key(3), Some("three"))])?;
    /// let keys: Result<Vec<_>, _> = trie.iter(&(), key(2)).map(|entry| entry.map(|(key, _)| key)).collect();
    /// assert_eq!(keys?, [key(2), key(3)]);
    /// # Ok::<_, klay_core::trie::TrieError>(())
    /// ```
    pub fn iter<'s, S: NodeStore + ?Sized>(&self, store: &'s S, start: B256) -> Iter<'s, S> {
        let stack = self.root.iter().map(|root| Frame { node: Arc::clone(root), path: B256::ZERO, depth: 0, next: 0 });
        Iter { store, start, stack: stack.collect() }
    }
}

/// A key and its value.
pub type Entry = (B256, Arc<[u8]>);

/// Keys and values in ascending order. Made by [`Trie::iter`]; ends after an error.
#[derive(Debug)]
pub struct Iter<'s, S: ?Sized> {
    store: &'s S,
    start: B256,
    stack: Vec<Frame>,
}

#[derive(Debug)]
struct Frame {
    node: Arc<Node>,
    /// The nibbles that lead here, then anything.
    path: B256,
    depth: usize,
    /// The first place of a branch that has not been visited.
    next: usize,
}

impl<S: NodeStore + ?Sized> Iter<'_, S> {
    fn advance(&mut self) -> Result<Option<Entry>, TrieError> {
        while let Some(mut frame) = self.stack.pop() {
            frame.node = detached(self.store, &frame.node, &frame.path, frame.depth)?;
            let node = Arc::clone(&frame.node);
            match node.body() {
                Some(Body::Leaf { key, value }) if *key >= self.start => return Ok(Some((*key, Arc::clone(value)))),
                Some(Body::Extension { prefix, end, child }) => {
                    let end = usize::from(*end);
                    if self.reaches_start(prefix, end) {
                        self.stack.push(Frame { node: Arc::clone(child), path: *prefix, depth: end, next: 0 });
                    }
                }
                Some(Body::Branch(children)) => {
                    let mut at = frame.next;
                    if at == 0 && self.on_start(&frame.path, frame.depth) {
                        at = nibble(self.start.as_slice(), frame.depth);
                    }
                    let found = (at..16).find_map(|at| Some((at, children[at].as_ref()?)));
                    if let Some((at, child)) = found {
                        let below = Frame {
                            node: Arc::clone(child),
                            path: with_nibble(frame.path, frame.depth, at),
                            depth: frame.depth + 1,
                            next: 0,
                        };
                        frame.next = at + 1;
                        self.stack.push(frame);
                        self.stack.push(below);
                    }
                }
                Some(Body::Leaf { .. }) | None => {}
            }
        }
        Ok(None)
    }

    /// Whether the way to a node is the beginning of `start`, so that its first places are below `start`.
    fn on_start(&self, path: &B256, depth: usize) -> bool {
        common_prefix(path.as_slice(), self.start.as_slice()) >= depth
    }

    /// Whether a key that begins with `end` nibbles of `prefix` may be `start` or above.
    fn reaches_start(&self, prefix: &B256, end: usize) -> bool {
        let shared = common_prefix(prefix.as_slice(), self.start.as_slice()).min(KEY_NIBBLES);
        shared >= end || prefix > &self.start
    }
}

impl<S: NodeStore + ?Sized> Iterator for Iter<'_, S> {
    type Item = Result<Entry, TrieError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.advance();
        if result.is_err() {
            self.stack.clear();
        }
        result.transpose()
    }
}
