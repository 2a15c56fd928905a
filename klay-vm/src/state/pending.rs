//! What a state has and its store has not.

use std::collections::hash_map::Entry;

use klay_core::{B256, trie::Trie};
use revm::{bytecode::Bytecode, primitives::B256Map};

/// Storage tries and codes of a state that the store does not have. (Account nodes know by themselves whether they are
/// stored.)
///
/// A trie is here as long as an account has it: what a block writes into a storage and the next block overwrites is never
/// stored, however many blocks lie between two states that are written.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    /// By root, with how many accounts have it.
    tries: B256Map<(Trie, usize)>,
    /// The root of each account that has one of these, by hashed address.
    owners: B256Map<B256>,
    /// By hash.
    pub(super) codes: B256Map<Bytecode>,
}

/// What a block has made of storages and codes.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Hashed addresses with their storages, also empty ones.
    pub(super) storages: Vec<(B256, Trie)>,
    /// By hash.
    pub(super) codes: B256Map<Bytecode>,
}

impl Pending {
    /// The storage trie with this root.
    pub(super) fn trie(&self, root: &B256) -> Option<&Trie> {
        self.tries.get(root).map(|(trie, _)| trie)
    }

    /// All storage tries by root.
    pub(super) fn tries(&self) -> impl Iterator<Item = (&B256, &Trie)> {
        self.tries.iter().map(|(root, (trie, _))| (root, trie))
    }

    /// Takes over what a block has made.
    pub(super) fn extend(&mut self, made: Made) {
        for (account, trie) in made.storages {
            self.release(&account);
            if !trie.is_empty() {
                let root = trie.root();
                self.owners.insert(account, root);
                self.tries.entry(root).or_insert((trie, 0)).1 += 1;
            }
        }
        self.codes.extend(made.codes);
    }

    /// Leaves out what `written` has.
    pub(super) fn without(&mut self, written: &Self) {
        self.tries.retain(|root, _| !written.tries.contains_key(root));
        let Self { tries, owners, .. } = self;
        owners.retain(|_, root| tries.contains_key(root));
        self.codes.retain(|hash, _| !written.codes.contains_key(hash));
    }

    /// The account has another storage from here on.
    fn release(&mut self, account: &B256) {
        if let Some(root) = self.owners.remove(account)
            && let Entry::Occupied(mut trie) = self.tries.entry(root)
        {
            trie.get_mut().1 -= 1;
            if trie.get().1 == 0 {
                trie.remove();
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn trie(value: u8) -> Trie {
        Trie::new().update(&(), &[(B256::repeat_byte(1), Some([value; 40]))]).unwrap()
    }

    fn made(storages: Vec<(u8, Trie)>) -> Made {
        let storages = storages.into_iter().map(|(account, trie)| (B256::repeat_byte(account), trie)).collect();
        Made { storages, codes: B256Map::default() }
    }

    fn roots(pending: &Pending) -> Vec<B256> {
        let mut roots: Vec<_> = pending.tries().map(|(root, _)| *root).collect();
        roots.sort_unstable();
        roots
    }

    #[test]
    fn a_trie_stays_as_long_as_an_account_has_it() {
        let mut pending = Pending::default();
        pending.extend(made(vec![(1, trie(7)), (2, trie(7)), (3, trie(8))]));
        pending.extend(made(vec![(1, trie(9))]));
        let mut expected = vec![trie(7).root(), trie(8).root(), trie(9).root()];
        expected.sort_unstable();
        assert_eq!(roots(&pending), expected, "the second account has it still");
        pending.extend(made(vec![(2, Trie::new()), (3, Trie::new())]));
        assert_eq!(roots(&pending), [trie(9).root()]);
        assert_eq!(pending.trie(&trie(9).root()).unwrap().root(), trie(9).root());
    }

    #[test]
    fn a_storage_that_returns_is_there_once() {
        let mut pending = Pending::default();
        for value in [1, 2, 1] {
            pending.extend(made(vec![(1, trie(value))]));
        }
        assert_eq!(roots(&pending), [trie(1).root()]);
        pending.extend(made(vec![(1, Trie::new())]));
        assert!(roots(&pending).is_empty());
    }

    #[test]
    fn what_was_written_goes_and_what_came_since_stays() {
        let mut pending = Pending::default();
        pending.extend(made(vec![(1, trie(1)), (2, trie(2))]));
        let written = pending.clone();
        pending.extend(made(vec![(1, trie(3))]));
        pending.without(&written);
        assert_eq!(roots(&pending), [trie(3).root()]);
        pending.extend(made(vec![(2, trie(4)), (1, trie(1))]));
        let mut expected = vec![trie(1).root(), trie(4).root()];
        expected.sort_unstable();
        assert_eq!(roots(&pending), expected);
    }
}
