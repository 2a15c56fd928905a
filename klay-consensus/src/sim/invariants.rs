//! Promises that every engine keeps, checked while a run goes on.
//!
//! Source: chapter 50, section 6.2.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use super::Violation;
use crate::types::{Height, Slot, Statement, Step, Time, View};

/// What is known of a whole run.
#[derive(Debug)]
pub(super) struct Invariants<P, I> {
    /// The value that somebody has accepted at each height.
    accepted: BTreeMap<Height, I>,
    /// What each honest key has said.
    said: BTreeMap<(P, View, Step), Option<[u8; 32]>>,
    /// What each node has said.
    by_node: BTreeMap<usize, BTreeSet<Statement>>,
    /// The highest slot in which each node has said something.
    highest: BTreeMap<usize, Slot>,
    /// Values that the application of some honest node has made or accepted.
    passed: BTreeSet<I>,
    /// Highest lock round of each node at a height.
    locks: Vec<Option<(Height, u64)>>,
    exclusive_skip: bool,
    pub(super) violations: Vec<Violation>,
}

impl<P: Ord + Copy + Debug, I: Ord + Copy + Debug> Invariants<P, I> {
    pub(super) const fn new(exclusive_skip: bool) -> Self {
        Self {
            accepted: BTreeMap::new(),
            said: BTreeMap::new(),
            by_node: BTreeMap::new(),
            highest: BTreeMap::new(),
            passed: BTreeSet::new(),
            locks: Vec::new(),
            exclusive_skip,
            violations: Vec::new(),
        }
    }

    pub(super) fn violated(&mut self, invariant: &'static str, at: Time, node: usize, what: impl Into<String>) {
        // The first ones tell the story.
        if self.violations.len() < 16 {
            let at = at.since(Time::ZERO);
            self.violations.push(Violation { invariant, at, node, what: what.into() });
        }
    }

    /// I1: nobody honest accepts two values at one height.
    pub(super) fn accept(&mut self, at: Time, node: usize, height: Height, id: I, how: &str) {
        let first = *self.accepted.entry(height).or_insert(id);
        if first != id {
            self.violated("I1", at, node, format!("{how}height {height}: {id:?} after {first:?}"));
        }
    }

    /// An honest application has made or accepted a value.
    pub(super) fn passes(&mut self, id: I) {
        self.passed.insert(id);
    }

    /// I2: what is decided was accepted by the application of an honest node.
    pub(super) fn decide(&mut self, at: Time, node: usize, id: I, height: Height, parent: I) {
        // Whoever is on one side of a fork that was reported stays there.
        let is_one_chain = !self.violations.iter().any(|violation| violation.invariant == "I1");
        let off = height.prev().and_then(|below| self.accepted.get(&below)).is_some_and(|below| *below != parent);
        if is_one_chain && off {
            self.violated("I3", at, node, format!("{id:?} was decided on {parent:?}, not on the value before"));
        }
        if !self.passed.contains(&id) {
            self.violated("I2", at, node, format!("{id:?} was decided and never checked"));
        }
    }

    /// I4: no honest key says two things. I8: no key finalizes and gives up one view.
    pub(super) fn speak(&mut self, at: Time, node: usize, who: P, statement: &Statement) {
        let Statement { view, step, id } = *statement;
        let first = *self.said.entry((who, view, step)).or_insert(id);
        if first != id {
            self.violated("I4", at, node, format!("{step} in {view}: {id:?} after {first:?}"));
        }
        let opposite = match step {
            Step::Vote2 => Some(Step::Skip),
            Step::Skip => Some(Step::Vote2),
            Step::Proposal | Step::Vote1 => None,
        };
        if self.exclusive_skip && opposite.is_some_and(|step| self.said.contains_key(&(who, view, step))) {
            self.violated("I8", at, node, format!("{step} in {view} beside its opposite"));
        }
        self.by_node.entry(node).or_default().insert(*statement);
        let highest = self.highest.entry(node).or_default();
        *highest = view.slot.max(*highest);
    }

    pub(super) fn highest_said(&self, node: usize) -> Option<Slot> {
        self.highest.get(&node).copied()
    }

    /// I5: after a crash the disk holds everything that was said above the floor. Proposals are recorded under the name
    /// that they have without seal.
    pub(super) fn crash(&mut self, at: Time, node: usize, floor: Slot, recorded: &BTreeSet<Statement>) {
        let Some(said) = self.by_node.get_mut(&node) else { return };
        said.retain(|statement| statement.view.slot > floor);
        let same = |statement: &Statement| {
            recorded.contains(statement)
                || statement.step == Step::Proposal
                    && recorded.iter().any(|r| r.view == statement.view && r.step == Step::Proposal)
        };
        let forgotten: Vec<_> = said.iter().filter(|statement| !same(statement)).copied().collect();
        for Statement { view, step, .. } in forgotten {
            self.violated("I5", at, node, format!("{step} in {view} was said and is not on the disk"));
        }
    }

    /// I7: within a height and a life, the round of a lock does not fall.
    pub(super) fn lock(&mut self, at: Time, node: usize, height: Height, round: Option<u64>) {
        let Some(round) = round else { return };
        if self.locks.len() <= node {
            self.locks.resize(node + 1, None);
        }
        let last = self.locks[node].filter(|(h, _)| *h == height).map(|(_, r)| r);
        if last.is_some_and(|last| last > round) {
            self.violated("I7", at, node, format!("lock of round {round} after {last:?}"));
        }
        self.locks[node] = Some((height, round));
    }

    /// I7: what was committed to before a crash is locked after it: in that round or a later one, or the value itself
    /// since an earlier one, for a locked value is committed to again without being locked again (VT-5). A vote for
    /// nothing commits to nothing.
    pub(super) fn remembers(&mut self, at: Time, node: usize, height: Height, lock: Option<(u64, [u8; 32])>) {
        let Some(said) = self.by_node.get(&node) else { return };
        let of_height = said.iter().filter(|s| s.step == Step::Vote2 && s.view.slot == height.slot());
        let commits = of_height.filter_map(|s| Some((s.view.round.get(), s.id?)));
        let Some((round, id)) = commits.max() else { return };
        if lock.is_none_or(|(locked, value)| locked < round && value != id) {
            let locked = lock.map(|(locked, _)| locked);
            self.violated("I7", at, node, format!("committed in round {round}, after a restart locked in {locked:?}"));
        }
    }

    /// A node begins a new life: what it had not made durable was not said.
    pub(super) fn restart(&mut self, node: usize) {
        if let Some(lock) = self.locks.get_mut(node) {
            *lock = None;
        }
    }

    pub(super) fn accepted_heights(&self) -> u64 {
        self.accepted.len() as u64
    }
}
