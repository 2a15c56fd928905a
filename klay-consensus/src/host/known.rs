//! What has been passed on.

use std::collections::{BTreeSet, VecDeque};

use alloy_primitives::{B256, keccak256};

/// The names of the messages passed on last, oldest first out.
#[derive(Debug, Default)]
pub(super) struct Known {
    names: BTreeSet<B256>,
    order: VecDeque<B256>,
}

impl Known {
    /// As many as the reference client remembers.
    const LIMIT: usize = 4096;

    /// Notes a message; `false` if it is known.
    pub(super) fn note(&mut self, bytes: &[u8]) -> bool {
        let name = keccak256(bytes);
        if !self.names.insert(name) {
            return false;
        }
        self.order.push_back(name);
        if self.order.len() > Self::LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Known;

    #[test]
    fn a_message_is_known_until_as_many_others_have_come() {
        let mut known = Known::default();
        assert!(known.note(b"first"));
        for n in 1..Known::LIMIT as u64 {
            assert!(known.note(&n.to_le_bytes()));
            assert!(!known.note(&n.to_le_bytes()));
        }
        assert!(!known.note(b"first"));
        assert!(known.note(b"one more"));
        assert!(known.note(b"first"));
        assert_eq!((known.names.len(), known.order.len()), (Known::LIMIT, Known::LIMIT));
    }
}
