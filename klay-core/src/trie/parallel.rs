//! Many changes on several threads.

use super::{
    NodeStore, Trie, TrieError,
    node::Children,
    update::{Change, Place, Update, by_nibble, check_order},
};
use alloy_primitives::B256;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

impl Trie {
    /// As [`Self::update`] and then [`Self::root`], on up to `threads` threads, this one among them: each takes what lies
    /// below one nibble of the root at a time. They are started here, which is worth it from about a thousand changes on.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub fn update_on<S, V>(&self, store: &S, changes: &[(B256, Option<V>)], threads: usize) -> Result<Self, TrieError>
    where
        S: NodeStore + ?Sized,
        V: AsRef<[u8]> + Sync,
    {
        check_order(changes)?;
        let resident = AtomicUsize::new(self.resident());
        let update = Update::new(store, &resident);
        let none = Children::default();
        let children = match (&self.root, changes.first()) {
            (Some(root), Some((path, _))) => update.children(root, path)?,
            (None, _) => Some(&none),
            (Some(_), None) => None,
        };
        let root = match children {
            Some(children) => {
                let below = below(store, &resident, children, changes, threads);
                let root = update.branched(self.root.as_ref(), children, 0, changes, below.into_iter())?;
                update.replaces(self.root.as_ref(), root.as_ref());
                root
            }
            None => update.node(self.root.as_ref(), 0, changes)?,
        };
        update.count();
        let trie = Self { root, resident: Arc::new(resident) };
        trie.root();
        Ok(trie)
    }
}

/// What comes to stand at those places of the root that `changes` concern, hashed.
fn below<S, V>(
    store: &S,
    resident: &AtomicUsize,
    children: &Children,
    changes: &[Change<V>],
    threads: usize,
) -> Vec<Result<(usize, Place), TrieError>>
where
    S: NodeStore + ?Sized,
    V: AsRef<[u8]> + Sync,
{
    let parts: Vec<_> = by_nibble(changes, 0).map(|(at, run)| (at, run, OnceLock::new())).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let update = Update::new(store, resident);
        let mut scratch = Vec::with_capacity(600);
        while let Some((at, run, done)) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let place = update.node(children[*at].as_ref(), 1, run);
            if let Ok(Some(node)) = &place {
                node.reference(1, &mut scratch);
            }
            done.get_or_init(|| place);
        }
        update.count();
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(parts.len()) {
            // Where no thread can be started, those that run do all of it.
            let _started = thread::Builder::new().name("klay-root".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    let done = |place: OnceLock<_>| place.into_inner().expect("every part is taken by a thread, and all have ended");
    parts.into_iter().map(|(at, _, place)| done(place).map(|place| (at, place))).collect()
}
