//! Transactions that are being asked for, so that each is asked of one peer at a time.

use alloy_primitives::map::B256Set;
use klay_core::B256;
use parking_lot::Mutex;

/// Hashes that are asked for at the same time. What finds no place is announced again while it waits.
const MOST: usize = 65_536;

/// The hashes that are asked for now, of all questions.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<B256Set>);

/// The hashes of one question. They are free again when it ends, also when nobody waits for its answer any more: a peer
/// that leaves in between would otherwise keep them from everybody for ever.
#[derive(Debug)]
pub(super) struct Asking<'a> {
    asked: &'a Asked,
    hashes: Vec<B256>,
}

impl Asked {
    /// Takes those that nobody asks for yet.
    pub(super) fn take(&self, hashes: impl IntoIterator<Item = B256>) -> Asking<'_> {
        let mut asked = self.0.lock();
        let is_new = |hash: &B256| asked.len() < MOST && asked.insert(*hash);
        let hashes = hashes.into_iter().filter(is_new).collect();
        Asking { asked: self, hashes }
    }
}

impl Asking<'_> {
    pub(super) fn hashes(&self) -> &[B256] {
        &self.hashes
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut asked = self.asked.0.lock();
        for hash in &self.hashes {
            asked.remove(hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, B256, MOST};

    fn hash(n: usize) -> B256 {
        B256::left_padding_from(&n.to_be_bytes())
    }

    #[test]
    fn a_question_that_nobody_waits_for_frees_its_hashes() {
        let asked = Asked::default();
        let mut first = Box::pin(async {
            let asking = asked.take((0..3).map(hash));
            assert_eq!(asking.hashes().len(), 3);
            std::future::pending::<()>().await;
        });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert_eq!(asked.take((0..5).map(hash)).hashes(), [hash(3), hash(4)]);
        drop(first);
        assert_eq!(asked.take((0..5).map(hash)).hashes().len(), 5);
    }

    #[test]
    fn no_more_than_so_many_are_asked_for() {
        let asked = Asked::default();
        let many = asked.take((0..MOST + 9).map(hash));
        assert_eq!(many.hashes().len(), MOST);
        assert!(asked.take([hash(MOST + 1)]).hashes().is_empty());
        drop(many);
        assert_eq!(asked.take([hash(MOST + 1)]).hashes().len(), 1);
    }
}
