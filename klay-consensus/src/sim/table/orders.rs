//! Every order in which the messages of one height can arrive.
//!
//! Deliveries to different nodes commute, so orders that leave every node in the same state with the same messages under
//! way are one from there on; each such state is gone on from once. Nothing is lost. How most of them are left out
//! without missing a decision is told in [`super::reduced`]; how to do without orders, in [`super::composed`].

use std::{
    collections::{BTreeSet, HashMap},
    fmt, mem,
};

use super::{
    Lab, Table, Violation,
    cache::{Cache, Next, Words},
    composed::composed,
    reduced::{SEATS, reduced},
};

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub struct Orders {
    /// Events after which an order is not followed any further.
    pub depth: u32,
    /// Rounds that may begin. With one, no timer fires.
    pub rounds: u64,
    /// How often each node may lose its patience: its timers fire, those left out that only repeat what was said, until
    /// it leaves the round.
    pub firings: u32,
    /// States under way at one depth beyond which the search stops; all states if it is reduced.
    pub room: usize,
    /// Whether of orders in which everybody says and decides the same only one is tried; for up to four nodes.
    pub reduced: bool,
    /// Whether what all can say together is found from what each can say by itself, whatever the depth; for up to four
    /// nodes.
    pub composed: bool,
    /// Whether everything else is tried there while votes are kept, too, to compare searches.
    pub keeps: bool,
    /// Whether all that is said is noted, to compare searches.
    pub witness: bool,
}

impl Orders {
    /// One round, to its end.
    pub const fn one_round() -> Self {
        Self {
            depth: u32::MAX,
            rounds: 1,
            firings: 0,
            room: usize::MAX,
            reduced: false,
            composed: false,
            keeps: false,
            witness: false,
        }
    }

    /// Two rounds, each node giving up on the first one when it likes, for so many events.
    pub const fn two_rounds(depth: u32) -> Self {
        Self { depth, rounds: 2, firings: 1, ..Self::one_round() }
    }

    /// The same, of orders in which everybody says and decides the same only one.
    #[must_use]
    pub const fn reduced(self) -> Self {
        Self { reduced: true, ..self }
    }

    /// The same to the end, found from the histories of single nodes.
    #[must_use]
    pub const fn composed(self) -> Self {
        Self { composed: true, depth: u32::MAX, ..self }
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
    /// Whether orders were left at the depth wanted before their end.
    pub cut: bool,
    /// What the nodes have decided where nothing can happen any more, as prints.
    pub outcomes: BTreeSet<Vec<Option<u128>>>,
    /// What the nodes have said and decided in each state, as prints, if that is wanted.
    pub said: BTreeSet<Vec<u128>>,
    /// Broken promises.
    pub violations: Vec<Violation>,
}

/// A state: the seats, how often a timer has fired at each, the messages under way in order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    seats: Vec<u32>,
    fired: Vec<u32>,
    pending: Vec<u32>,
    /// Prints of what each seat has said and decided, if that is wanted.
    said: Vec<u128>,
}

/// Tries every order of one height among all nodes of a lab.
pub(in crate::sim) fn orders<L: Lab + Clone>(lab: &L, wanted: Orders) -> Seen
where
    L::Engine: Clone + fmt::Debug,
{
    if wanted.composed && lab.composes() && lab.nodes() <= SEATS {
        return composed(lab, wanted);
    }
    if (wanted.reduced || wanted.composed) && lab.nodes() <= SEATS {
        return reduced(lab, wanted);
    }
    let mut cache = Cache::new(Table::new(lab.clone(), 0, 1));
    let (seats, mut pending) = cache.open();
    pending.sort_unstable();
    let mut seen = Seen { states: 1, ..Seen::default() };
    let fired = vec![0; seats.len()];
    let said = if wanted.witness { vec![0; seats.len()] } else { Vec::new() };
    let mut level = vec![(State { fired, seats, pending, said }, 1.0)];
    while !level.is_empty() && seen.depth < wanted.depth {
        if level.len() > wanted.room {
            seen.stopped = true;
            break;
        }
        let mut next = Vec::new();
        let mut places = HashMap::new();
        for (state, ways) in mem::take(&mut level) {
            if wanted.witness {
                seen.said.insert(state.said.clone());
            }
            let followers = cache.followers(&state, wanted);
            if followers.is_empty() {
                seen.ends += 1;
                seen.orders += ways;
                seen.outcomes.insert(cache.outcome(&state.seats));
                cache.check_end(&state.seats, wanted);
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
    seen.cut = !level.is_empty();
    if wanted.witness {
        seen.said.extend(level.iter().map(|(state, _)| state.said.clone()));
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
        for said in &self.said {
            words.add(&[(said >> 96) as u32, (said >> 64) as u32, (said >> 32) as u32, *said as u32]);
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
            if self.may_fire(state.seats[seat], state.fired[seat], wanted) {
                let next = self.give_up(state.seats[seat]);
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
        if let Some(said) = state.said.get_mut(seat) {
            *said = self.said(*said, &next.sent, (!next.decided.is_empty()).then_some(next.state));
        }
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
    pub(super) fn check_end(&mut self, seats: &[u32], wanted: Orders) {
        let has_left = |seat: &u32| self.facts(*seat).has_left;
        // Who has left does not answer.
        let unheard = self.table.lab.fetches() && seats.iter().any(has_left);
        if wanted.rounds == 1 && !unheard && !seats.iter().all(has_left) {
            let what = self.standing(seats);
            self.table.violated("I10", 0, what);
        }
    }
}
