//! What all states over one store share: codes in the machine's form and storage tries, by hash.

use std::sync::{Mutex, MutexGuard, PoisonError};

use klay_core::{B256, trie::Trie};
use revm::{bytecode::Bytecode, primitives::B256Map};

/// Codes kept in memory; one of the largest possible takes about 27 kB.
const CODES: usize = 1024;
/// Storage tries kept open.
const TRIES: usize = 4096;

/// A map that forgets what was not used for long: two generations, of which the older is dropped when the younger is
/// full.
#[derive(Debug)]
struct Generations<V> {
    capacity: usize,
    young: B256Map<V>,
    old: B256Map<V>,
}

impl<V: Clone> Generations<V> {
    fn with_capacity(capacity: usize) -> Self {
        Self { capacity, young: B256Map::default(), old: B256Map::default() }
    }

    fn find(&mut self, key: &B256) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.insert(*key, value.clone());
        Some(value)
    }

    fn insert(&mut self, key: B256, value: V) {
        if self.young.len() >= self.capacity {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

/// Caches behind every version of the state over one store.
///
/// Everything is found under its own hash, so nothing ever has to be invalidated.
#[derive(Debug)]
pub(super) struct Shared {
    codes: Mutex<Generations<Bytecode>>,
    tries: Mutex<Generations<Trie>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            codes: Mutex::new(Generations::with_capacity(CODES)),
            tries: Mutex::new(Generations::with_capacity(TRIES)),
        }
    }
}

impl Shared {
    pub(super) fn code(&self, hash: &B256) -> Option<Bytecode> {
        lock(&self.codes).find(hash)
    }

    pub(super) fn keep_code(&self, hash: B256, code: Bytecode) {
        lock(&self.codes).insert(hash, code);
    }

    pub(super) fn trie(&self, root: &B256) -> Option<Trie> {
        lock(&self.tries).find(root)
    }

    pub(super) fn keep_trie(&self, root: B256, trie: Trie) {
        lock(&self.tries).insert(root, trie);
    }
}

/// A cache is consistent after every single operation, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_survives_and_the_rest_is_forgotten() {
        let mut cache = Generations::with_capacity(2);
        let key = B256::with_last_byte;
        cache.insert(key(1), 1);
        for n in 2..20 {
            assert_eq!(cache.find(&key(1)), Some(1));
            cache.insert(key(n), n);
        }
        assert_eq!(cache.find(&key(3)), None);
        assert!(cache.young.len() + cache.old.len() <= 4);
    }
}
