//! Who hears whom, and when.

use core::time::Duration;

use super::{Concern, Faults, Stream};
use crate::types::Time;

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
        Self { faults: faults.clone(), random: Stream::new(seed, Concern::Network), cuts, settles }
    }

    pub(super) const fn settles(&self) -> Time {
        self.settles
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
        if self.cuts.iter().any(cut) || (lost && !settled) {
            return Vec::new();
        }
        if doubled && !settled { vec![first, second] } else { vec![first] }
    }
}
