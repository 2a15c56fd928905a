//! Messages that come too early.
//!
//! Source: chapter 50, section 1.7.

use std::collections::BTreeMap;

use core::fmt;

use alloy_primitives::Address;

use super::super::{Code, Message};
use crate::types::View;

/// Messages kept per sender when bounds apply.
const PER_SENDER: usize = 64;
/// Proposals among them: a proposal carries a whole value.
const PROPOSALS_PER_SENDER: usize = 2;
/// Messages kept per sender otherwise: far beyond what an honest sender has under way.
const PER_SENDER_UNBOUNDED: usize = 16_384;
/// Heights ahead of the present when bounds apply.
const HEIGHTS: u64 = 4;
/// Rounds ahead of the present when bounds apply.
const ROUNDS: u64 = 128;

/// The reference's priority, higher first (BK-5). Wraps, and overlaps the next height from round 100 on.
pub const fn backlog_priority(code: Code, view: View) -> i64 {
    let slot = view.slot.get().wrapping_mul(1000);
    let late = match code {
        Code::RoundChange => slot,
        Code::Preprepare => slot.wrapping_add(view.round.get().wrapping_mul(10)).wrapping_add(1),
        Code::Commit => slot.wrapping_add(view.round.get().wrapping_mul(10)).wrapping_add(2),
        Code::Prepare => slot.wrapping_add(view.round.get().wrapping_mul(10)).wrapping_add(3),
    };
    (late as i64).wrapping_neg()
}

/// What orders the messages of one sender: earliest first, arrival breaks ties.
type Key = (u64, u64, i64, u64);

/// Per sender, the messages that come too early.
#[derive(Clone)]
pub(super) struct Backlog<V> {
    bounded: bool,
    arrivals: u64,
    senders: BTreeMap<Address, BTreeMap<Key, Message<V>>>,
}

/// What will come out, in its order; how it came in has no part in that.
impl<V> fmt::Debug for Backlog<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.senders.values().flat_map(BTreeMap::values)).finish()
    }
}

impl<V> Backlog<V> {
    pub(super) const fn new(bounded: bool) -> Self {
        Self { bounded, arrivals: 0, senders: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.senders.values().map(BTreeMap::len).sum()
    }

    /// Keeps a message; `false` if it lies outside the bounds.
    pub(super) fn push(&mut self, now: View, from: Address, message: Message<V>) -> bool {
        let (code, view) = (message.code(), message.view());
        self.arrivals += 1;
        let key = if self.bounded {
            let heights = view.slot.get().saturating_sub(now.slot.get());
            let base = if heights == 0 { now.round.get() } else { 0 };
            if heights > HEIGHTS || view.round.get().saturating_sub(base) > ROUNDS {
                return false;
            }
            let round = if code == Code::RoundChange { 0 } else { view.round.get() };
            (view.slot.get(), round, -backlog_priority(code, View::default()), self.arrivals)
        } else {
            (0, 0, backlog_priority(code, view).wrapping_neg(), self.arrivals)
        };
        let kept = self.senders.entry(from).or_default();
        let proposals = || kept.iter().filter(|(_, message)| message.code() == Code::Preprepare);
        let limit = if self.bounded { PER_SENDER } else { PER_SENDER_UNBOUNDED };
        let furthest = if self.bounded && code == Code::Preprepare && proposals().count() >= PROPOSALS_PER_SENDER {
            proposals().next_back().map(|(last, _)| *last)
        } else if kept.len() >= limit {
            kept.last_key_value().map(|(last, _)| *last)
        } else {
            None
        };
        if let Some(furthest) = furthest {
            // The furthest one goes: the present needs the nearest.
            if furthest <= key {
                return false;
            }
            kept.remove(&furthest);
        }
        kept.insert(key, message);
        true
    }

    /// Takes what has become ready: per sender up to the first message that `is_future` says is not. Old ones among
    /// them are for the caller to sort out.
    pub(super) fn take_ready(&mut self, is_future: impl Fn(&Message<V>) -> bool) -> Vec<(Address, Message<V>)> {
        let mut ready = Vec::new();
        for (from, kept) in &mut self.senders {
            while let Some((key, message)) = kept.pop_first() {
                if is_future(&message) {
                    kept.insert(key, message);
                    break;
                }
                ready.push((*from, message));
            }
        }
        self.senders.retain(|_, kept| !kept.is_empty());
        ready
    }
}
