//! The root of a trie in which much has changed, on several threads.

use super::{
    Trie,
    node::{Body, Node},
};
use alloy_primitives::B256;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// Nibbles down to which a trie is cut into parts: up to 256 of them.
const CUT: usize = 2;

impl Trie {
    /// As [`Self::root`], with the hashing on up to `threads` threads, this one among them. They are started here, which
    /// is worth it from about a thousand changed keys on.
    pub fn root_on(&self, threads: usize) -> B256 {
        let mut parts = Vec::new();
        if let Some(root) = &self.root {
            cut(root, 0, &mut parts);
        }
        let next = AtomicUsize::new(0);
        let work = || {
            let mut scratch = Vec::with_capacity(600);
            while let Some((node, depth)) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                node.reference(*depth, &mut scratch);
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads.min(parts.len()) {
                // Where no thread can be started, those that run do all of it.
                let _started = thread::Builder::new().name("klay-root".to_owned()).spawn_scoped(scope, work);
            }
            work();
        });
        self.root()
    }
}

/// Adds what is not hashed below the first branches, with its depth.
fn cut<'n>(node: &'n Node, depth: usize, parts: &mut Vec<(&'n Node, usize)>) {
    match node.body() {
        _ if node.known_reference().is_some() => {}
        Some(Body::Branch(children)) if depth < CUT => {
            children.iter().flatten().for_each(|child| cut(child, depth + 1, parts));
        }
        Some(_) => parts.push((node, depth)),
        None => {}
    }
}
