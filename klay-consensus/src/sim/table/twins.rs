//! Twins: two copies of a node with one key. In every round each group of nodes hears only itself, and a leader is
//! appointed; requests to leave the round reach everybody when nothing is under way any more.
//!
//! Scenarios that leave all nodes in the same state go on as one, so all partitions in all rounds can be tried.
//!
//! Source: chapter 50, section 6.3; Twins: BFT Systems Made Robust (OPODIS 2021).

use std::{
    collections::{HashMap, VecDeque},
    fmt, mem,
    ops::Range,
};

use super::{
    Event, Lab, Parcel, Seat, Table, Violation,
    cache::{Cache, Facts, Words},
};
use crate::sim::{Concern, Stream};

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub struct Twins {
    /// Nodes that have a copy: the last ones.
    pub twins: usize,
    /// Rounds with a leader and a partition of their own.
    pub rounds: u64,
    /// Heights that may be decided: one, or as many as there are rounds for engines that decide beside one another.
    pub heights: u64,
}

/// What the scenarios have shown.
#[derive(Debug, Clone, Default)]
pub struct Enumeration {
    /// Scenarios: choices of a leader and a partition for every round.
    pub scenarios: f64,
    /// Rounds played for them.
    pub plays: u64,
    /// Different states of all nodes at the end.
    pub ends: u64,
    /// Steps of engines.
    pub steps: u64,
    /// Ends after which nobody decides, although everybody hears everybody.
    pub stuck: u64,
    /// Broken promises, I10 left out.
    pub violations: Vec<Violation>,
}

impl Enumeration {
    /// Adds what others have shown.
    pub fn add(&mut self, other: Self) {
        self.scenarios += other.scenarios;
        self.plays += other.plays;
        self.ends += other.ends;
        self.steps += other.steps;
        self.stuck += other.stuck;
        self.violations.extend(other.violations);
    }
}

/// How often a node's timers fire in a round before the others' patience ends.
const FIRINGS: u32 = 4;
/// Rounds in which everybody hears everybody, at the end.
const HEALED: u64 = 8;

impl Twins {
    /// The leaders of all rounds, honest nodes taken for one another: each list with how many it stands for.
    pub fn leaders(&self, nodes: usize) -> Vec<(Vec<usize>, f64)> {
        let honest = nodes - self.twins;
        let mut lists = vec![(Vec::new(), 0)];
        for _ in 0..self.rounds {
            let mut longer = Vec::new();
            for (list, used) in lists {
                let fresh = usize::from(used < honest);
                for leader in (0..used + fresh).chain(honest..nodes) {
                    let mut list = list.clone();
                    list.push(leader);
                    longer.push((list, used + usize::from(leader == used && leader < honest)));
                }
            }
            lists = longer;
        }
        let stands_for = |used: usize| (0..used).map(|i| (honest - i) as f64).product();
        lists.into_iter().map(|(list, used)| (list, stands_for(used))).collect()
    }
}

/// Every partition of `seats` into at most three groups.
fn partitions(seats: usize) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![Vec::new()];
    for _ in 0..seats {
        let longer = all.iter().flat_map(|groups| {
            let used = groups.iter().max().map_or(0, |last| last + 1);
            (0..=used.min(2)).map(|group| {
                let mut groups = groups.clone();
                groups.push(group);
                groups
            })
        });
        all = longer.collect();
    }
    all
}

/// A state of all nodes between two rounds, and one way to it.
struct Point {
    seats: Vec<u32>,
    held: Vec<u32>,
    ways: f64,
    path: Vec<usize>,
}

/// Every partition in every round under one list of leaders.
pub(in crate::sim) fn enumerate_twins<L: Lab + Clone>(lab: &L, twins: Twins, leaders: &[usize]) -> Enumeration
where
    L::Engine: Clone + fmt::Debug,
{
    let lab = lab.planned(leaders).unwrap_or_else(|| lab.clone());
    let mut cache = Cache::new(Table::new(lab, twins.twins, twins.heights));
    let (seats, held) = cache.open();
    let groupings = partitions(seats.len());
    let mut seen = Enumeration::default();
    let mut points = vec![Point { seats, held, ways: 1.0, path: Vec::new() }];
    for round in 0..twins.rounds {
        let mut next: Vec<Point> = Vec::new();
        let mut places = HashMap::new();
        for point in mem::take(&mut points) {
            for (number, groups) in groupings.iter().enumerate() {
                let before = cache.table.violations.len();
                let mut players = Cached { cache: &mut cache, at: point.seats.clone() };
                let held = players.play(point.held.clone(), round, groups);
                let seats = players.at;
                seen.plays += 1;
                let path = || point.path.iter().copied().chain([number]).collect::<Vec<_>>();
                for violation in cache.table.violations.iter_mut().skip(before) {
                    violation.what += &format!(", leaders {leaders:?}, partitions {:?}", path());
                }
                let print = Words::of([&seats[..], &held]);
                let place = *places.entry(print).or_insert(next.len());
                if place == next.len() {
                    next.push(Point { seats, held, ways: 0.0, path: path() });
                }
                next[place].ways += point.ways;
            }
        }
        points = next;
    }
    seen.ends = points.len() as u64;
    seen.scenarios = points.iter().map(|point| point.ways).sum();
    for point in points {
        let mut players = Cached { cache: &mut cache, at: point.seats };
        seen.stuck += u64::from(!players.heals(point.held, twins.rounds));
    }
    seen.steps = cache.table.steps;
    seen.violations = cache.table.violations;
    seen
}

/// Leaders and partitions drawn from each seed.
pub(in crate::sim) fn sample_twins<L: Lab + Clone>(lab: &L, twins: Twins, seeds: Range<u64>) -> Enumeration {
    let nodes = lab.nodes();
    let mut seen = Enumeration::default();
    for seed in seeds {
        let mut draw = Stream::new(seed, Concern::Split);
        let leaders: Vec<_> = (0..twins.rounds).map(|_| draw.below(nodes as u64) as usize).collect();
        let lab = lab.planned(&leaders).unwrap_or_else(|| lab.clone());
        let mut table = Table::new(lab, twins.twins, twins.heights);
        table.prints = false;
        let (seats, mut held) = table.open();
        let count = seats.len();
        let mut players = Seated { table: &mut table, seats };
        for round in 0..twins.rounds {
            let groups: Vec<_> = (0..count).map(|_| draw.below(3) as u8).collect();
            held = players.play(held, round, &groups);
            seen.plays += 1;
        }
        seen.stuck += u64::from(!players.heals(held, twins.rounds));
        seen.steps += table.steps;
        for mut violation in table.violations {
            violation.what += &format!(", seed {seed}");
            seen.violations.push(violation);
        }
        seen.scenarios += 1.0;
    }
    seen
}

/// Where a message goes.
struct Route {
    from: usize,
    to: usize,
    round: Option<u64>,
    leaves: bool,
}

impl Route {
    fn of<L: Lab>(parcel: &Parcel<L>) -> Self {
        let sent = &parcel.sent;
        Self { from: sent.from, to: parcel.to, round: sent.round, leaves: sent.leaves }
    }
}

/// Those who sit around a table during a scenario.
trait Players {
    type Parcel;

    fn count(&self) -> usize;
    fn facts(&self, seat: usize) -> Facts;
    fn route(&self, parcel: &Self::Parcel) -> Route;
    fn deliver(&mut self, to: usize, parcel: Self::Parcel) -> Vec<Self::Parcel>;
    fn fire(&mut self, seat: usize) -> Vec<Self::Parcel>;
    /// Whether somebody honest has decided.
    fn has_decided(&self) -> bool;

    /// Plays a round to its end; returns what was said of later ones.
    fn play(&mut self, held: Vec<Self::Parcel>, round: u64, groups: &[u8]) -> Vec<Self::Parcel> {
        let mut queue = VecDeque::from(held);
        let mut later = Vec::new();
        let mut fired = vec![0; self.count()];
        loop {
            while let Some(parcel) = queue.pop_front() {
                let Route { from, to, round: about, leaves } = self.route(&parcel);
                if about.is_some_and(|about| about > round) {
                    later.push(parcel);
                } else if leaves || groups.get(from) == groups.get(to) {
                    queue.extend(self.deliver(to, parcel));
                }
            }
            let waits = |seat: &usize| {
                let facts = self.facts(*seat);
                !facts.has_left && facts.rounds <= round && fired[*seat] < FIRINGS
            };
            let waiting = (0..self.count()).filter(waits);
            let next = waiting.filter_map(|seat| self.facts(seat).deadline.map(|at| (at, seat))).min();
            let Some((_, seat)) = next else { return later };
            fired[seat] += 1;
            queue.extend(self.fire(seat));
        }
    }

    /// Whether somebody decides once everybody hears everybody.
    fn heals(&mut self, mut held: Vec<Self::Parcel>, first: u64) -> bool {
        let together = vec![0; self.count()];
        for round in first..first + HEALED {
            if self.has_decided() {
                return true;
            }
            held = self.play(held, round, &together);
        }
        self.has_decided()
    }
}

struct Cached<'a, L: Lab> {
    cache: &'a mut Cache<L>,
    at: Vec<u32>,
}

impl<L: Lab> Players for Cached<'_, L>
where
    L::Engine: Clone + fmt::Debug,
{
    type Parcel = u32;

    fn count(&self) -> usize {
        self.at.len()
    }

    fn facts(&self, seat: usize) -> Facts {
        self.cache.facts(self.at[seat])
    }

    fn route(&self, parcel: &u32) -> Route {
        Route::of(self.cache.parcel_at(*parcel))
    }

    fn deliver(&mut self, to: usize, parcel: u32) -> Vec<u32> {
        let next = self.cache.deliver(self.at[to], parcel);
        self.at[to] = next.state;
        if !next.decided.is_empty() {
            self.cache.agree(&self.at);
        }
        next.sent.to_vec()
    }

    fn fire(&mut self, seat: usize) -> Vec<u32> {
        let next = self.cache.fire(self.at[seat]);
        self.at[seat] = next.state;
        if !next.decided.is_empty() {
            self.cache.agree(&self.at);
        }
        next.sent.to_vec()
    }

    fn has_decided(&self) -> bool {
        let decided = |(seat, state): (usize, &u32)| {
            self.cache.table.is_honest(seat) && self.cache.tip(*state).0 > crate::types::Height::ZERO
        };
        self.at.iter().enumerate().any(decided)
    }
}

struct Seated<'a, L: Lab> {
    table: &'a mut Table<L>,
    seats: Vec<Seat<L>>,
}

impl<L: Lab> Seated<'_, L> {
    fn happen(&mut self, seat: usize, event: &Event<'_, L>) -> Vec<Parcel<L>> {
        if self.table.has_left(&self.seats[seat]) {
            return Vec::new();
        }
        let outcome = self.table.happen(seat, &mut self.seats[seat], event);
        if !outcome.decided.is_empty() {
            let tips: Vec<_> = self.seats.iter().map(|seat| seat.tip).collect();
            self.table.agree(&tips);
        }
        outcome.sent
    }
}

impl<L: Lab> Players for Seated<'_, L> {
    type Parcel = Parcel<L>;

    fn count(&self) -> usize {
        self.seats.len()
    }

    fn facts(&self, seat: usize) -> Facts {
        self.table.facts(&self.seats[seat])
    }

    fn route(&self, parcel: &Parcel<L>) -> Route {
        Route::of(parcel)
    }

    fn deliver(&mut self, to: usize, parcel: Parcel<L>) -> Vec<Parcel<L>> {
        self.happen(to, &Event::Message(&parcel.sent))
    }

    fn fire(&mut self, seat: usize) -> Vec<Parcel<L>> {
        self.happen(seat, &Event::Timer)
    }

    fn has_decided(&self) -> bool {
        let decided =
            |(index, seat): (usize, &Seat<L>)| self.table.is_honest(index) && seat.tip.0 > crate::types::Height::ZERO;
        self.seats.iter().enumerate().any(decided)
    }
}

#[cfg(test)]
mod tests {
    use super::{Twins, partitions};

    #[test]
    fn leaders_and_partitions_are_complete() {
        let twins = Twins { twins: 1, rounds: 4, heights: 1 };
        let leaders = twins.leaders(4);
        assert_eq!(leaders.len(), 51);
        assert_eq!(leaders.iter().map(|(_, many)| many).sum::<f64>(), 256.0);
        assert_eq!(partitions(5).len(), 41);
    }
}
