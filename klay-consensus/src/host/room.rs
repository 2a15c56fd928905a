//! What waits for the engine, by sender: one validator's allowance leaves room for the words of all others.

use std::{collections::BTreeMap, sync::Mutex, sync::PoisonError};

use super::HostLimits;

/// Bytes up to which a message counts as a message only: a vote has room whatever the blocks take.
const SMALL: u64 = 16 << 10;
/// Messages of one sender that have room whatever others have sent.
const FEW: u64 = 16;
/// The part of all bytes that one sender may take.
const PART: u64 = 4;

#[derive(Debug, Default, Clone, Copy)]
struct Share {
    messages: u64,
    bytes: u64,
}

impl Share {
    const fn add(&mut self, bytes: u64) {
        self.messages = self.messages.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    const fn remove(&mut self, bytes: u64) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[derive(Debug)]
struct Shares<P> {
    all: Share,
    each: BTreeMap<P, Share>,
}

/// The messages that wait for the engine.
#[derive(Debug)]
pub(super) struct Room<P>(Mutex<Shares<P>>);

impl<P: Copy + Ord> Room<P> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Shares { all: Share { messages: 0, bytes: 0 }, each: BTreeMap::new() }))
    }

    /// Takes room for a message of `len` bytes; false if there is none.
    pub(super) fn enter(&self, from: P, len: u64, limits: &HostLimits) -> bool {
        let bytes = counted(len);
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Shares { all, each } = &mut *shares;
        let mine = each.get(&from).copied().unwrap_or_default();
        let many = mine.messages >= limits.inbound_each || all.messages >= limits.inbound && mine.messages >= FEW;
        let large = all.bytes.saturating_add(bytes) > limits.inbound_bytes
            || mine.bytes > 0 && mine.bytes.saturating_add(bytes) > limits.inbound_bytes / PART;
        if many || bytes > 0 && large {
            return false;
        }
        all.add(bytes);
        each.entry(from).or_default().add(bytes);
        true
    }

    /// The engine has had these.
    pub(super) fn leave(&self, heard: impl Iterator<Item = (P, u64)>) {
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Shares { all, each } = &mut *shares;
        for (from, len) in heard {
            let bytes = counted(len);
            all.remove(bytes);
            if let Some(share) = each.get_mut(&from) {
                share.remove(bytes);
                if share.messages == 0 {
                    each.remove(&from);
                }
            }
        }
    }
}

const fn counted(len: u64) -> u64 {
    if len <= SMALL { 0 } else { len }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HostLimits = HostLimits {
        inbound: 10,
        inbound_each: 4,
        inbound_bytes: 16 * SMALL,
        outbound: 0,
        checks: 0,
        message: crate::types::Limits { message: 0, entries: 0 },
    };

    #[test]
    fn one_sender_leaves_room_for_others() {
        let room = Room::new();
        assert_eq!((0..9).filter(|_| room.enter(1, 100, &LIMITS)).count(), 4);
        assert!(room.enter(2, 100, &LIMITS));
        room.leave([(1, 100); 4].into_iter());
        assert!(room.enter(1, 100, &LIMITS));
    }

    #[test]
    fn all_senders_together_are_bounded() {
        let room = Room::new();
        let limits = HostLimits { inbound_each: 100, ..LIMITS };
        assert_eq!((0..200).filter(|_| room.enter(1, 100, &limits)).count(), 16);
        assert_eq!((0..200).filter(|_| room.enter(2, 100, &limits)).count(), 16, "a few words of everybody");
    }

    #[test]
    fn large_messages_leave_room_for_votes() {
        let room = Room::new();
        assert!(room.enter(1, 3 * SMALL, &LIMITS));
        assert!(!room.enter(1, 2 * SMALL, &LIMITS), "a quarter of all");
        assert!(room.enter(1, SMALL, &LIMITS));
        assert!(room.enter(2, 13 * SMALL, &LIMITS), "one message that fits is taken, however large");
        assert!(!room.enter(3, 2 * SMALL, &LIMITS), "all bytes are taken");
        assert!(room.enter(3, SMALL, &LIMITS));
        room.leave([(2, 13 * SMALL)].into_iter());
        assert!(room.enter(3, 2 * SMALL, &LIMITS));
    }
}
