//! Who hears whom, and when.

use std::collections::BTreeMap;

use core::time::Duration;

use super::{Concern, Delays, Faults, Stream};
use crate::types::{Statement, Step, Time, View};

/// An episode in which nodes of different parts do not hear each other.
#[derive(Debug, Clone)]
struct Cut {
    from: Time,
    until: Time,
    parts: Vec<u8>,
}

/// An episode in which one node does not hear another.
#[derive(Debug, Clone, Copy)]
struct Deaf {
    from: Time,
    until: Time,
    speaker: usize,
    listener: usize,
}

/// One-way delays between five places of the world, in milliseconds.
const PLACES: [[u64; 5]; 5] =
    [[2, 40, 75, 110, 95], [40, 2, 45, 140, 120], [75, 45, 2, 100, 125], [110, 140, 100, 2, 50], [95, 120, 125, 50, 2]];

/// The mean one-way delay between two places, jitter included.
pub(super) fn mean_way() -> Duration {
    let sum: u64 = PLACES.iter().flatten().sum();
    Duration::from_micros(sum * 1000 / 25 * 105 / 100)
}

/// The network of a run.
#[derive(Debug)]
pub(super) struct Links {
    faults: Faults,
    nodes: usize,
    random: Stream,
    cuts: Vec<Cut>,
    deaf: Vec<Deaf>,
    slow: Vec<usize>,
    settles: Time,
    /// Views whose second votes reach one node only, and which.
    starved: BTreeMap<View, Option<usize>>,
    starving: Stream,
    /// The partition of each view.
    split: BTreeMap<View, Vec<u8>>,
    splitting: Stream,
    isolating: Stream,
    /// Nodes that nobody hears, and until when.
    mute: BTreeMap<usize, Time>,
    /// When each link has sent what it was given.
    busy: BTreeMap<(usize, usize), Time>,
}

impl Links {
    pub(super) fn new(seed: u64, faults: &Faults, nodes: usize) -> Self {
        let settles = Time::ZERO.after(faults.settles_at);
        let mut draw = Stream::new(seed, Concern::Partition);
        let episode = |draw: &mut Stream| {
            let from = Time::from_nanos(draw.below(settles.as_nanos()));
            let rest = settles.as_nanos().saturating_sub(from.as_nanos());
            let longest = match faults.episode.as_nanos() as u64 {
                0 => rest,
                episode => episode.min(rest),
            };
            (from, from.after(Duration::from_nanos(draw.below(longest))))
        };
        let cuts = (0..faults.partitions).map(|_| {
            let (from, until) = episode(&mut draw);
            Cut { from, until, parts: parts(&mut draw, nodes) }
        });
        let cuts = cuts.collect();
        let mut draw = Stream::new(seed, Concern::OneWay);
        let deaf = (0..faults.one_way).map(|_| {
            let (from, until) = episode(&mut draw);
            let mut node = || draw.below(nodes as u64) as usize;
            Deaf { from, until, speaker: node(), listener: node() }
        });
        let deaf = deaf.collect();
        let mut draw = Stream::new(seed, Concern::Slow);
        let slow = (0..faults.slow_nodes).map(|_| draw.below(nodes as u64) as usize).collect();
        Self {
            faults: faults.clone(),
            nodes,
            random: Stream::new(seed, Concern::Network),
            cuts,
            deaf,
            slow,
            settles,
            starved: BTreeMap::new(),
            starving: Stream::new(seed, Concern::Starving),
            split: BTreeMap::new(),
            splitting: Stream::new(seed, Concern::Split),
            isolating: Stream::new(seed, Concern::Isolate),
            mute: BTreeMap::new(),
            busy: BTreeMap::new(),
        }
    }

    pub(super) const fn settles(&self) -> Time {
        self.settles
    }

    /// Perhaps cuts off a node that has just decided.
    pub(super) fn decided(&mut self, now: Time, node: usize) {
        let isolated = self.isolating.chance(self.faults.isolate_deciders);
        let span = Duration::from_nanos(self.isolating.below(Duration::from_secs(40).as_nanos() as u64));
        if isolated && now < self.settles {
            self.mute.insert(node, now.after(span).min(self.settles));
        }
    }

    /// Whether a message is kept from its receiver because of what it says.
    pub(super) fn withholds(&mut self, now: Time, from: usize, to: usize, statement: &Statement) -> bool {
        if now >= self.settles {
            return false;
        }
        if self.faults.split_views > 0 {
            let (splitting, nodes) = (&mut self.splitting, self.nodes);
            let parts = self.split.entry(statement.view).or_insert_with(|| parts(splitting, nodes));
            if parts.get(from) != parts.get(to) {
                return true;
            }
        }
        if statement.step != Step::Vote2 || self.faults.starve_votes == 0 {
            return false;
        }
        let (starving, share, nodes) = (&mut self.starving, self.faults.starve_votes, self.nodes);
        let only = *self.starved.entry(statement.view).or_insert_with(|| {
            let chosen = starving.below(nodes as u64) as usize;
            starving.chance(share).then_some(chosen)
        });
        only.is_some_and(|only| only != to)
    }

    /// Whether a message arrives with a bit changed.
    pub(super) fn damages(&mut self, now: Time) -> bool {
        self.faults.corrupt > 0 && now < self.settles && self.random.chance(self.faults.corrupt)
    }

    /// The times at which a message of `size` bytes arrives: none if it is lost, two if it is doubled.
    pub(super) fn arrivals(&mut self, now: Time, from: usize, to: usize, size: usize) -> [Option<Time>; 2] {
        let settled = now >= self.settles;
        // Drawn always, so that a fault switched off does not shift the others.
        let (lost, doubled) = (self.random.below(1000), self.random.below(1000));
        let (lost, doubled) = (lost < u64::from(self.faults.drop), doubled < u64::from(self.faults.duplicate));
        let draws = [self.random.next_u64(), self.random.next_u64()];
        let sent = self.send(now, from, to, size);
        let arrive = |draw| sent.after(self.delay(draw, from, to, settled));
        let [first, second] = draws.map(arrive);
        let mute = self.mute.get(&from).is_some_and(|until| now < *until);
        if settled {
            return [Some(first), None];
        }
        if mute || lost || self.is_cut(now, from, to) {
            return [None, None];
        }
        [Some(first), doubled.then_some(second)]
    }

    fn is_cut(&self, now: Time, from: usize, to: usize) -> bool {
        let cut = |c: &Cut| c.from <= now && now < c.until && c.parts.get(from) != c.parts.get(to);
        let deaf = |d: &Deaf| d.from <= now && now < d.until && (d.speaker, d.listener) == (from, to);
        self.cuts.iter().any(cut) || self.deaf.iter().any(deaf)
    }

    /// When a link has sent a message.
    fn send(&mut self, now: Time, from: usize, to: usize, size: usize) -> Time {
        let Some(nanos) = (size as u64 * 1_000_000_000).checked_div(u64::from(self.faults.bandwidth)) else {
            return now;
        };
        let busy = self.busy.entry((from, to)).or_insert(now);
        *busy = now.max(*busy).after(Duration::from_nanos(nanos));
        *busy
    }

    fn delay(&self, draw: u64, from: usize, to: usize, settled: bool) -> Duration {
        let low = self.faults.delay_min.as_nanos() as u64;
        let high = if settled { self.faults.delay_max } else { self.faults.delay_wild };
        let scale = |draw: u64, range: u64| ((u128::from(draw) * u128::from(range + 1)) >> 64) as u64;
        let range = (high.as_nanos() as u64).saturating_sub(low);
        let nanos = match self.faults.delays {
            Delays::Uniform => low + scale(draw, range),
            Delays::Bimodal => {
                // The lowest bits choose, the others place within a tenth of the range.
                let near = if draw.is_multiple_of(10) { range - range / 10 } else { 0 };
                low + near + scale(draw, range / 10)
            }
            Delays::Wan => {
                let way = PLACES[from % 5][to % 5] * 1_000_000;
                let jitter = if settled { way / 10 } else { range };
                (way + scale(draw, jitter)).min(if settled { way + way / 10 } else { u64::MAX })
            }
        };
        let slow = !settled && (self.slow.contains(&from) || self.slow.contains(&to));
        Duration::from_nanos(if slow { nanos.saturating_mul(10) } else { nanos })
    }
}

/// Two or three parts, every node in one of them.
fn parts(draw: &mut Stream, nodes: usize) -> Vec<u8> {
    let count = 2 + draw.below(2);
    (0..nodes).map(|_| draw.below(count) as u8).collect()
}
