//! A set that forgets: the newest hashes, between one and two times the limit of them.

use alloy_primitives::map::B256Set;
use klay_core::B256;

/// Hashes seen lately, in two generations.
#[derive(Debug)]
pub(super) struct Recent {
    young: B256Set,
    old: B256Set,
    limit: usize,
}

impl Recent {
    /// Remembers at least the last `limit` hashes.
    pub(super) fn new(limit: usize) -> Self {
        Self { young: B256Set::default(), old: B256Set::default(), limit: limit.max(1) }
    }

    /// Adds a hash; `false` if it was there.
    pub(super) fn insert(&mut self, hash: B256) -> bool {
        if self.contains(&hash) {
            return false;
        }
        if self.young.len() >= self.limit {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(hash)
    }

    /// Whether it was added lately.
    pub(super) fn contains(&self, hash: &B256) -> bool {
        self.young.contains(hash) || self.old.contains(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::{B256, Recent};

    #[test]
    fn the_newest_are_remembered_and_the_number_is_bounded() {
        let mut recent = Recent::new(10);
        for n in 0..100u8 {
            assert!(recent.insert(B256::repeat_byte(n)));
            assert!(!recent.insert(B256::repeat_byte(n)));
            assert!((0..=n).rev().take(10).all(|m| recent.contains(&B256::repeat_byte(m))));
        }
        assert!(!recent.contains(&B256::repeat_byte(0)));
        assert!(recent.young.len() + recent.old.len() <= 20);
    }
}
