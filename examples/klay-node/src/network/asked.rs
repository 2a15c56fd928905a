//! Transactions that are being asked for, so that each is asked of one peer at a time, and of another one if that peer
//! takes too long.

use std::{
    collections::hash_map::Entry,
    time::{Duration, Instant},
};

use alloy_primitives::map::B256Map;
use klay_core::B256;
use parking_lot::Mutex;

/// Hashes that are asked for at the same time. What finds no place is announced again while it waits.
const MOST: usize = 262_144;
/// How long a hash is left to whom it was asked of. It is less than the time between two reminders, so that a peer which
/// says nothing keeps it from the others for one of them at most.
const HELD: Duration = Duration::from_secs(3);

/// The hashes that are asked for now, of all questions, and since when.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<B256Map<Instant>>);

/// The hashes of one question. They are free again when it ends, also when nobody waits for its answer any more: a peer
/// that leaves in between would otherwise keep them from everybody for ever.
#[derive(Debug)]
pub(super) struct Asking<'a> {
    asked: &'a Asked,
    since: Instant,
    hashes: Vec<B256>,
}

impl Asked {
    /// Takes those that nobody asks for yet, or that somebody has asked for in vain so far.
    pub(super) fn take(&self, hashes: impl IntoIterator<Item = B256>) -> Asking<'_> {
        self.take_at(Instant::now(), hashes)
    }

    fn take_at(&self, since: Instant, hashes: impl IntoIterator<Item = B256>) -> Asking<'_> {
        let mut asked = self.0.lock();
        let is_free = |hash: &B256| {
            let has_room = asked.len() < MOST;
            match asked.entry(*hash) {
                Entry::Occupied(held) if since.duration_since(*held.get()) < HELD => false,
                Entry::Vacant(_) if !has_room => false,
                entry => {
                    entry.insert_entry(since);
                    true
                }
            }
        };
        let hashes = hashes.into_iter().filter(is_free).collect();
        Asking { asked: self, since, hashes }
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
            // What another question has taken over is its own.
            if asked.get(hash) == Some(&self.since) {
                asked.remove(hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, B256, HELD, Instant, MOST};

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

    #[test]
    fn a_hash_is_asked_of_somebody_else_if_the_first_is_slow() {
        let (asked, start) = (Asked::default(), Instant::now());
        let slow = asked.take_at(start, [hash(1), hash(2)]);
        let other = asked.take_at(start + HELD / 2, [hash(2), hash(3)]);
        assert_eq!(other.hashes(), [hash(3)]);
        let third = asked.take_at(start + HELD, [hash(1), hash(3)]);
        assert_eq!(third.hashes(), [hash(1)]);
        drop(slow);
        let fourth = asked.take_at(start + HELD, (1..4).map(hash));
        assert_eq!(fourth.hashes(), [hash(2)], "the third one is asking for the first");
        drop((other, third, fourth));
        assert!(asked.0.lock().is_empty());
    }
}
