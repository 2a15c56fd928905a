//! Promises that every engine keeps, checked while a run goes on.
//!
//! Source: chapter 50, section 6.2.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use super::Violation;
use crate::types::{Height, Statement, Step, Time, View};

/// What is known of a whole run.
#[derive(Debug)]
pub(super) struct Invariants<P, I> {
    /// The value that somebody has accepted at each height.
    accepted: BTreeMap<Height, I>,
    /// What each honest key has said.
    said: BTreeMap<(P, View, Step), Option<[u8; 32]>>,
    /// What each node's log holds durably.
    durable: BTreeSet<(usize, View, Step)>,
    /// Highest lock round of each node at a height.
    locks: BTreeMap<usize, (Height, u64)>,
    pub(super) violations: Vec<Violation>,
}

impl<P: Ord + Copy + Debug, I: Ord + Copy + Debug> Invariants<P, I> {
    pub(super) const fn new() -> Self {
        Self {
            accepted: BTreeMap::new(),
            said: BTreeMap::new(),
            durable: BTreeSet::new(),
            locks: BTreeMap::new(),
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
    pub(super) fn accept(&mut self, at: Time, node: usize, height: Height, id: I) {
        let first = *self.accepted.entry(height).or_insert(id);
        if first != id {
            self.violated("I1", at, node, format!("height {height}: {id:?} after {first:?}"));
        }
    }

    /// I4: no honest key says two things. I5: nothing is said before it is durable.
    pub(super) fn speak(&mut self, at: Time, node: usize, who: P, statement: &Statement) {
        let Statement { view, step, id } = *statement;
        let first = *self.said.entry((who, view, step)).or_insert(id);
        if first != id {
            self.violated("I4", at, node, format!("{step} in {view}: {id:?} after {first:?}"));
        }
        if !self.durable.contains(&(node, view, step)) {
            self.violated("I5", at, node, format!("{step} in {view} is not durable"));
        }
    }

    pub(super) fn is_durable(&mut self, node: usize, statement: &Statement) {
        self.durable.insert((node, statement.view, statement.step));
    }

    /// I7: within a height and a life, the round of a lock does not fall.
    pub(super) fn lock(&mut self, at: Time, node: usize, height: Height, round: Option<u64>) {
        let Some(round) = round else { return };
        let last = self.locks.get(&node).filter(|(h, _)| *h == height).map(|(_, r)| *r);
        if last.is_some_and(|last| last > round) {
            self.violated("I7", at, node, format!("lock of round {round} after {last:?}"));
        }
        self.locks.insert(node, (height, round));
    }

    /// A node begins a new life: what it had not made durable was not said.
    pub(super) fn restart(&mut self, node: usize) {
        self.locks.remove(&node);
    }

    pub(super) fn accepted_heights(&self) -> u64 {
        self.accepted.len() as u64
    }
}
