//! Who hears whom, and when.

use core::time::Duration;

use super::{Concern, Faults, Stream};
use crate::types::{Statement, Step, Time, View};

/// An episode in which nodes of different sides do not hear each other.
#[derive(Debug, Clone)]
struct Cut {
    from: Time,
    until: Time,
    /// Bit i: on which side node i is.
    sides: u128,
}

/// The network of a run.
#[derive(Debug)]
pub(super) struct Links {
    faults: Faults,
    random: Stream,
    cuts: Vec<Cut>,
    settles: Time,
    /// Views whose second votes reach one node only, and which.
    starved: std::collections::BTreeMap<View, Option<usize>>,
    starving: Stream,
    /// Nodes that nobody hears, and until when.
    mute: std::collections::BTreeMap<usize, Time>,
}

impl Links {
    pub(super) fn new(seed: u64, faults: &Faults) -> Self {
        let mut random = Stream::new(seed, Concern::Partition);
        let settles = Time::ZERO.after(faults.settles_at);
        let cuts = (0..faults.partitions).map(|_| {
            let from = Time::from_nanos(random.below(settles.as_nanos()));
            let longest = settles.as_nanos().saturating_sub(from.as_nanos());
            let until = from.after(Duration::from_nanos(random.below(longest)));
            Cut { from, until, sides: u128::from(random.next_u64()) | u128::from(random.next_u64()) << 64 }
        });
        let cuts = cuts.collect();
        Self {
            faults: faults.clone(),
            random: Stream::new(seed, Concern::Network),
            cuts,
            settles,
            starved: Default::default(),
            starving: Stream::new(seed, Concern::Adversary),
            mute: Default::default(),
        }
    }

    pub(super) const fn settles(&self) -> Time {
        self.settles
    }

    /// Perhaps cuts off a node that has just decided.
    pub(super) fn decided(&mut self, now: Time, node: usize) {
        let isolated = self.random.chance(self.faults.isolate_deciders);
        let span = Duration::from_nanos(self.random.below(Duration::from_secs(40).as_nanos() as u64));
        if isolated && now < self.settles {
            self.mute.insert(node, now.after(span).min(self.settles));
        }
    }

    /// Whether a vote is kept from its receiver.
    pub(super) fn starves(&mut self, now: Time, to: usize, nodes: usize, statement: &Statement) -> bool {
        if statement.step != Step::Vote2 || now >= self.settles {
            return false;
        }
        let (starving, share) = (&mut self.starving, self.faults.starve_votes);
        let only = *self.starved.entry(statement.view).or_insert_with(|| {
            let chosen = starving.below(nodes as u64) as usize;
            starving.chance(share).then_some(chosen)
        });
        only.is_some_and(|only| only != to)
    }

    /// The times at which a message arrives: none if it is lost, two if it is doubled.
    pub(super) fn arrivals(&mut self, now: Time, from: usize, to: usize) -> Vec<Time> {
        let settled = now >= self.settles;
        let side = |cut: &Cut, node: usize| cut.sides >> (node % 128) & 1;
        let cut = |c: &Cut| c.from <= now && now < c.until && side(c, from) != side(c, to);
        // Drawn always, so that a fault switched off does not shift the others.
        let (lost, doubled) = (self.random.chance(self.faults.drop), self.random.chance(self.faults.duplicate));
        let longest = if settled { self.faults.delay_max } else { self.faults.delay_wild };
        let mut delay = || {
            let low = self.faults.delay_min.as_nanos() as u64;
            Duration::from_nanos(self.random.between(low, longest.as_nanos() as u64))
        };
        let (first, second) = (now.after(delay()), now.after(delay()));
        let mute = self.mute.get(&from).is_some_and(|until| now < *until);
        if mute || self.cuts.iter().any(cut) || (lost && !settled) {
            return Vec::new();
        }
        if doubled && !settled { vec![first, second] } else { vec![first] }
    }
}
