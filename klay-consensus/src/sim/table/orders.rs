//! Every order in which the messages of one height can arrive.
//!
//! Deliveries to different nodes commute, so orders that leave every node in the same state with the same messages under
//! way are one from there on; each such state is gone on from once. Nothing is lost.

use std::{collections::HashMap, fmt, mem};

use super::{
    Lab, Table, Violation,
    cache::{Cache, Next, Words},
};

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub struct Orders {
    /// Events after which an order is not followed any further.
    pub depth: u32,
    /// Rounds that may begin. With one, no timer fires.
    pub rounds: u64,
    /// How often timers may fire at each node.
    pub firings: u32,
    /// States under way at one depth beyond which the search stops.
    pub room: usize,
}

impl Orders {
    /// One round, to its end.
    pub const fn one_round() -> Self {
        Self { depth: u32::MAX, rounds: 1, firings: 0, room: usize::MAX }
    }

    /// Two rounds, each node giving up on the first one when it likes, for so many events.
    pub const fn two_rounds(depth: u32) -> Self {
        Self { depth, rounds: 2, firings: 1, room: usize::MAX }
    }
}

/// What the orders have shown.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// How many orders there are up to the depth reached; beyond 2^53 rounded.
    pub orders: f64,
    /// Different states of all nodes and messages.
    pub states: u64,
    /// Deliveries and timers tried.
    pub events: u64,
    /// States in which nothing can happen any more.
    pub ends: u64,
    /// Different states of single nodes.
    pub seats: u64,
    /// Events of the longest order.
    pub depth: u32,
    /// Whether the search stopped for lack of room.
    pub stopped: bool,
    /// Broken promises.
    pub violations: Vec<Violation>,
}

/// A state: the seats, how often a timer has fired at each, the messages under way in order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    seats: Vec<u32>,
    fired: Vec<u32>,
    pending: Vec<u32>,
}

/// Tries every order of one height among all nodes of a lab.
pub(in crate::sim) fn orders<L: Lab + Clone>(lab: &L, wanted: Orders) -> Seen
where
    L::Engine: Clone + fmt::Debug,
{
    let mut cache = Cache::new(Table::new(lab.clone(), 0, 1));
    let (seats, mut pending) = cache.open();
    pending.sort_unstable();
    let mut seen = Seen { states: 1, ..Seen::default() };
    let mut level = vec![(State { fired: vec![0; seats.len()], seats, pending }, 1.0)];
    while !level.is_empty() && seen.depth < wanted.depth {
        if level.len() > wanted.room {
            seen.stopped = true;
            break;
        }
        let mut next = Vec::new();
        let mut places = HashMap::new();
        for (state, ways) in mem::take(&mut level) {
            let followers = cache.followers(&state, wanted);
            if followers.is_empty() {
                seen.ends += 1;
                seen.orders += ways;
                cache.check_end(&state, wanted);
            }
            seen.events += followers.len() as u64;
            for follower in followers {
                let place = *places.entry(follower.print()).or_insert(next.len());
                if place == next.len() {
                    next.push((follower, 0.0));
                }
                next[place].1 += ways;
            }
        }
        seen.depth += u32::from(!next.is_empty());
        seen.states += next.len() as u64;
        level = next;
    }
    seen.orders += level.iter().map(|(_, ways)| ways).sum::<f64>();
    seen.seats = cache.count() as u64;
    seen.violations = mem::take(&mut cache.table.violations);
    seen
}

impl State {
    fn print(&self) -> u128 {
        let mut words = Words::default();
        for list in [&self.seats, &self.fired, &self.pending] {
            words.add(list);
        }
        words.print()
    }
}

impl<L: Lab> Cache<L>
where
    L::Engine: Clone + fmt::Debug,
{
    fn followers(&mut self, state: &State, wanted: Orders) -> Vec<State> {
        let mut followers = Vec::with_capacity(state.pending.len());
        for (at, parcel) in state.pending.iter().enumerate() {
            let to = self.parcel_at(*parcel).to;
            let next = self.deliver(state.seats[to], *parcel);
            let mut follower = state.clone();
            follower.pending.remove(at);
            self.follow(&mut follower, to, &next);
            followers.push(follower);
        }
        for seat in 0..state.seats.len() {
            let facts = self.facts(state.seats[seat]);
            let may = state.fired[seat] < wanted.firings && facts.rounds + 1 < wanted.rounds && !facts.has_left;
            if may && facts.deadline.is_some() {
                let next = self.fire(state.seats[seat]);
                let mut follower = state.clone();
                follower.fired[seat] += 1;
                self.follow(&mut follower, seat, &next);
                followers.push(follower);
            }
        }
        followers
    }

    /// Puts what has happened at a seat into the state of all.
    fn follow(&mut self, state: &mut State, seat: usize, next: &Next<L>) {
        state.seats[seat] = next.state;
        for parcel in next.sent.iter() {
            if let Err(place) = state.pending.binary_search(parcel) {
                state.pending.insert(place, *parcel);
            }
        }
        // Who has decided does not listen any more.
        state.pending.retain(|parcel| !self.facts(state.seats[self.parcel_at(*parcel).to]).has_left);
        if !next.decided.is_empty() {
            self.agree(&state.seats);
        }
    }

    /// Without loss and with patience, everybody decides.
    fn check_end(&mut self, state: &State, wanted: Orders) {
        if wanted.rounds == 1 && !state.seats.iter().all(|seat| self.facts(*seat).has_left) {
            let what = self.standing(&state.seats);
            self.table.violated("I10", 0, what);
        }
    }
}
