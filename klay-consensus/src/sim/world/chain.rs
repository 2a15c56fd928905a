//! The chain of each node: deciding, applying, importing, fetching.

use std::sync::Arc;

use core::time::Duration;

use crate::types::{ApplyError, Height, Input, Value, quorum};

use super::{Event, Lab, WORK, World};
use crate::sim::{
    lab::{CertOf, PeerOf, ValueOf},
    node::BlockOf,
};

/// Least time between two questions for decided values.
const FETCH: Duration = Duration::from_millis(400);
/// How a violation begins that hurts only who imports.
pub(super) const IMPORTED: &str = "imported: ";

impl<L: Lab> World<L> {
    pub(super) fn decide(&mut self, node: usize, value: ValueOf<L>, cert: CertOf<L>) {
        let life = self.nodes[node].life;
        if self.is_honest(node) {
            if value.height().get() > self.metrics.heights {
                self.links.decided(self.now, node);
            }
            if !self.lab.decides(&value, &cert) {
                self.violated("I6", node, "the proof of a decision does not hold");
            }
            // What was fetched is looked at only when it is applied.
            if !self.lab.is_valid(&value) && !self.lab.fetches() {
                self.violated("I2", node, "an invalid value was decided");
            }
            self.invariants.decide(self.now, node, value.id(), value.height(), value.parent());
            self.invariants.accept(self.now, node, value.height(), value.id(), "");
            let last = self.nodes[node].decided.max(self.nodes[node].height());
            if value.height() > last.saturating_add(1) {
                self.violated("I3", node, "a decision out of order");
            }
            if let Some(proposed) = self.made.get(&value.id()).and_then(|made| made.proposed) {
                self.metrics.deciding += self.now.since(proposed);
                self.metrics.decisions += 1;
            }
        }
        self.nodes[node].decided = self.nodes[node].decided.max(value.height());
        self.at(WORK, Event::Apply { node, life, value, cert });
    }

    pub(super) fn apply(&mut self, node: usize, value: ValueOf<L>, cert: CertOf<L>) {
        let id = value.id();
        let floor = self.floor(node);
        let fits = value.parent() == floor.id;
        let fails = self.work.chance(self.run.faults.apply_failures) && !self.settled();
        // A value whose parent failed cannot be applied either; one that came by another way is applied already.
        if fits && fails || !fits && value.height() > floor.height {
            return self.feed(node, Input::Applied { id, result: Err(ApplyError::Storage) });
        }
        if fits && !self.lab.is_valid(&value) {
            return self.feed(node, Input::Applied { id, result: Err(ApplyError::Invalid) });
        }
        if fits {
            self.extend(node, Arc::new((value, cert)), "");
        }
        self.feed(node, Input::Applied { id, result: Ok(()) });
        if fits {
            self.move_head(node);
            self.announce(node);
        }
    }

    fn extend(&mut self, node: usize, block: Arc<BlockOf<L>>, how: &str) {
        let (value, cert) = &*block;
        if self.is_honest(node) {
            self.invariants.accept(self.now, node, value.height(), value.id(), how);
            self.count_decision(node, value, cert);
        }
        let id = value.id();
        let word = id.as_ref().first_chunk::<8>().map_or(0, |w| u64::from_le_bytes(*w));
        self.mix(&[value.height().get(), word]);
        self.nodes[node].applied_at = self.now;
        self.lab.applied(self.nodes[node].key, value);
        self.nodes[node].applies(block);
    }

    fn count_decision(&mut self, node: usize, value: &ValueOf<L>, cert: &CertOf<L>) {
        if value.height().get() <= self.metrics.heights {
            return;
        }
        self.metrics.heights = value.height().get();
        let parent = self.nodes[node].chain.last().map(|block| &block.0);
        let round = self.lab.round(value, parent, cert);
        self.metrics.rounds += round;
        self.metrics.max_round = self.metrics.max_round.max(round);
        if self.now >= self.calm {
            let since = self.now.since(self.last_decision.max(self.calm));
            self.metrics.recovery.get_or_insert(since);
            self.metrics.longest_gap = self.metrics.longest_gap.max(since);
            self.check_gap(node, since, value, cert);
        }
        self.last_decision = self.now;
    }

    /// I10: as many leaders in a row may fail as there are hostile nodes, or as the lot has put there.
    fn check_gap(&mut self, node: usize, since: Duration, value: &ValueOf<L>, cert: &CertOf<L>) {
        let tolerated = quorum::tolerated(self.lab.nodes() as u32);
        if self.lab.bound(tolerated).is_none_or(|bound| since <= bound) {
            return;
        }
        let parent = self.nodes[node].chain.last().map(|block| &block.0);
        let led = self.lab.led(value, parent, cert);
        let hostile = |peer: &PeerOf<L>| {
            self.known_as.get(peer).and_then(|nodes| nodes[0]).is_some_and(|node| !self.is_honest(node))
        };
        let in_a_row = led.split(|peer| !hostile(peer)).map(<[_]>::len).max().unwrap_or_default();
        let turns = tolerated.max(u32::try_from(in_a_row).unwrap_or(u32::MAX));
        if let Some(bound) = self.lab.bound(turns).filter(|bound| since > *bound) {
            let what = format!(
                "{since:?} without a decision where {bound:?} are promised after {turns} hostile leaders, {}",
                self.standing()
            );
            self.violated("I10", node, what);
        }
    }

    fn move_head(&mut self, node: usize) {
        let floor = self.floor(node);
        self.feed(node, Input::Head { floor });
    }

    /// Tells everybody of the last block.
    pub(super) fn announce(&mut self, node: usize) {
        let Some(block) = self.nodes[node].chain.last().cloned() else { return };
        for to in (0..self.nodes.len()).filter(|to| *to != node) {
            for at in self.links.arrivals(self.now, node, to, block.0.size()).into_iter().flatten() {
                self.schedule(at, Event::Block { to, from: node, block: Arc::clone(&block) });
            }
        }
    }

    /// A decided block from somebody else: what an importer accepts.
    pub(super) fn block(&mut self, to: usize, from: usize, block: Arc<BlockOf<L>>) {
        let (value, cert) = &*block;
        // Nearly always it is one that is applied already.
        let place = usize::try_from(value.height().get().saturating_sub(1)).unwrap_or(usize::MAX);
        let known = self.nodes[to].chain.get(place).is_some_and(|own| own.0.id() == value.id());
        if known || self.nodes[to].engine.is_none() || !self.lab.accepts(value, cert) {
            return;
        }
        let floor = self.floor(to);
        if value.height() > floor.next_height() {
            // One question at a time: whoever answers with what is refused would be asked for ever.
            if self.now < self.nodes[to].fetches_again {
                return;
            }
            self.nodes[to].fetches_again = self.now.after(FETCH);
            for at in self.links.arrivals(self.now, to, from, 0).into_iter().flatten() {
                self.schedule(at, Event::Fetch { to: from, from: to, height: floor.next_height() });
            }
        } else if value.height() == floor.next_height() {
            if value.parent() == floor.id {
                self.extend(to, block, IMPORTED);
                self.move_head(to);
            } else if self.is_honest(to) {
                self.violated("I1", to, format!("{IMPORTED}a decided value on another parent"));
            }
        } else if self.is_honest(to) {
            self.invariants.accept(self.now, to, value.height(), value.id(), IMPORTED);
        }
    }

    pub(super) fn answer_fetch(&mut self, to: usize, from: usize, height: Height) {
        if self.nodes[to].engine.is_none() {
            return;
        }
        let first = usize::try_from(height.get().saturating_sub(1)).unwrap_or(usize::MAX);
        let blocks: Vec<_> = self.nodes[to].chain.iter().skip(first).take(16).cloned().collect();
        let Some(mut at) = self.links.arrivals(self.now, to, from, 0)[0] else { return };
        for block in blocks {
            at = at.after(Duration::from_nanos(1));
            self.schedule(at, Event::Block { to: from, from: to, block });
        }
    }
}
