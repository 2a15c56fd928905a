//! What all seats can say and decide together, from what each of them can say and decide by itself.
//!
//! An order of arrival, seen from one seat, is a *history*: what the seat has heard and what it has said and decided
//! then. Nothing but messages joins the seats, so every order is four histories of which each hears only what the others
//! say. Instead of orders, this search goes through the histories of each seat, and then puts together those that fit.
//! There is no depth: all histories are followed to their end.
//!
//! A history keeps what the seat has said and the [`Needs`] for it: the claims that it has heard from each sender, and
//! the proofs. It goes on with anything that anybody was found to say in any history, as long as each of the others can
//! say what is needed of it in one history; what is found is said to all again, until nothing new is found. So by
//! induction over the events of an order, each seat's part of it is found, with no more needs than are met at that time.
//! More is found than can happen, since nobody asks what was said first, and a message may come twice. That is on the
//! safe side: whatever any order decides is among it, and agreement is claimed of all of it.
//!
//! What makes the histories few, beyond what [`super::reduced`] says of forgetting and of time:
//!
//! * Of histories to one state in which the same was said, one that needs what another one needs anyway stands for both:
//!   it can go on with whatever the other one goes on with.
//! * What commits nobody, certificates and values, is on offer to everybody from the moment when somebody has it
//!   ([`Lab::answers`]): who asked, and whether a vote came late enough to be answered, does not matter. What was asked
//!   is forgotten ([`Lab::forget_questions`]), and a seat may look again for what it lacks at any time. A proof needs
//!   that as many have signed as it has signatures, whoever they were and whoever hands it on.
//! * A vote that is only kept until there is a quorum may as well come right before the vote that completes it. So votes
//!   come together, any choice of those of one round and step, and those that are left over are forgotten
//!   ([`Lab::forget_votes`]): they may come again. Where a seat's own vote completes a quorum, those of others complete
//!   it after that vote.
//!
//! The third is read off the engine's rules: a vote is counted with those of its own round and step and does nothing
//! else until they are enough. That nothing gets lost shows where orders can be tried one by one: whatever seats say and
//! decide together there, they do here, and in one round nothing else (`tests/it/enumerations.rs`). And when everything
//! else is tried while votes are kept too ([`Orders::keeps`]), nothing else comes of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt, mem,
};

use super::{
    Height, IdOf, Lab, MsgOf, Parcel, Table,
    blocks::Event,
    cache::{Cache, Next, print},
    orders::{Orders, Seen},
    reduced::SEATS,
    voices::{Bits, Claim, Needs, Voices},
};

/// One way to a state of a seat.
#[derive(Debug, Clone, Copy)]
struct History {
    seat: usize,
    state: u32,
    fired: u32,
    said: Bits,
    needs: Needs,
    /// Whether another one with fewer needs stands for it.
    is_superseded: bool,
}

/// A message that anybody may send, by seat that it goes to.
#[derive(Debug, Clone, Copy)]
struct Offer {
    proofs: u64,
    to: [u32; SEATS],
}

/// How one seat may end up: what it says, what it has decided, in which state, with which needs.
type Ends<L> = BTreeMap<Bits, BTreeMap<(Height, IdOf<L>), (u32, Vec<Needs>)>>;

struct Search<L: Lab> {
    cache: Cache<L>,
    wanted: Orders,
    seats: usize,
    voices: Voices,
    histories: Vec<History>,
    /// By state, timers fired and what was said.
    places: HashMap<(u32, u32, Bits), Vec<usize>>,
    offers: Vec<Offer>,
    offer_prints: HashSet<u128>,
    /// States whose answers are on offer.
    answered: HashSet<u32>,
    /// What each seat has said before anything has happened.
    opened: [Bits; SEATS],
    events: u64,
}

/// Tries all histories of single seats in one height, and all that fit together.
pub(super) fn composed<L: Lab + Clone>(lab: &L, wanted: Orders) -> Seen
where
    L::Engine: Clone + fmt::Debug,
{
    let mut table = Table::new(lab.clone(), 0, 1);
    table.forgets = Some(wanted.rounds);
    table.asks_at_will = true;
    let mut cache = Cache::new(table);
    cache.merge_left = true;
    let mut search = Search {
        cache,
        wanted,
        seats: lab.nodes(),
        voices: Voices::default(),
        histories: Vec::new(),
        places: HashMap::new(),
        offers: Vec::new(),
        offer_prints: HashSet::new(),
        answered: HashSet::new(),
        opened: [0; SEATS],
        events: 0,
    };
    search.open();
    search.go_on();
    let mut seen = Seen { stopped: search.is_full(), events: search.events, ..Seen::default() };
    search.compose(&mut seen);
    seen.seats = search.cache.count() as u64;
    seen.violations = mem::take(&mut search.cache.table.violations);
    seen
}

impl<L: Lab> Search<L>
where
    L::Engine: Clone + fmt::Debug,
{
    fn open(&mut self) {
        let (states, parcels) = self.cache.open();
        for (seat, state) in states.into_iter().enumerate() {
            let own = parcels.iter().copied().filter(|parcel| self.cache.parcel_at(*parcel).sent.from == seat);
            let said = self.hear_of(&own.collect::<Vec<_>>());
            self.opened[seat] = said;
            self.add(History { seat, state, fired: 0, said, needs: Needs::default(), is_superseded: false });
        }
    }

    /// Goes through all histories, those that are found meanwhile too, until that brings up nothing new.
    fn go_on(&mut self) {
        while mem::take(&mut self.voices.grown) {
            let mut at = 0;
            while at < self.histories.len() && !self.is_full() {
                let history = self.histories[at];
                if !history.is_superseded && !self.cache.facts(history.state).has_left {
                    self.go_on_from(history);
                }
                at += 1;
            }
        }
    }

    const fn is_full(&self) -> bool {
        self.voices.is_full || self.histories.len() > self.wanted.room
    }

    /// Tries everything that may come next.
    fn go_on_from(&mut self, history: History) {
        if self.answered.insert(history.state) {
            for answer in self.cache.answers(history.state) {
                self.offer(answer);
            }
        }
        self.happen(history);
        for ballot in self.voices.ballots(history.seat) {
            self.vote(history, &ballot);
        }
    }

    /// Tries everything that is no vote.
    fn happen(&mut self, history: History) {
        let History { seat, state, fired, said, needs, .. } = history;
        if self.cache.may_fire(state, fired, self.wanted) {
            let next = self.cache.happens(state, Event::GivesUp);
            self.follow(History { fired: fired + 1, ..history }, &next);
        }
        let next = self.cache.ask(state);
        self.follow(history, &next);
        for number in 0..self.offers.len() {
            let Offer { proofs, to } = self.offers[number];
            let needs = needs.and_proofs(proofs);
            if self.voices.can_be(seat, said, &needs) {
                let next = self.cache.deliver(state, to[seat]);
                self.follow(History { needs, ..history }, &next);
            }
        }
    }

    /// Lets any choice of the votes of one ballot arrive, until something comes of them.
    fn vote(&mut self, history: History, ballot: &[Claim]) {
        let bare = self.cache.bare(history.state);
        let mut kept = vec![(history.state, history.needs, 0)];
        while let Some((state, needs, first)) = kept.pop() {
            for (place, claim) in ballot.iter().enumerate().skip(first) {
                let needs = needs.and(*claim);
                if !self.voices.can_be(history.seat, history.said, &needs) {
                    continue;
                }
                let next = self.cache.deliver(state, claim.parcel);
                let is_silent = next.sent.is_empty() && next.decided.is_empty();
                if !is_silent || self.cache.bare(next.state) != bare {
                    self.follow(History { needs, ..history }, &next);
                } else if next.state != state {
                    kept.push((next.state, needs, place + 1));
                    if self.wanted.keeps {
                        self.keep(History { state: next.state, needs, ..history });
                    }
                }
            }
        }
    }

    /// Tries what may come next while votes are kept, to see that it comes without them.
    fn keep(&mut self, history: History) {
        self.happen(history);
        for claim in self.voices.ballots(history.seat).into_iter().flatten() {
            let needs = history.needs.and(claim);
            if self.voices.can_be(history.seat, history.said, &needs) {
                let next = self.cache.deliver(history.state, claim.parcel);
                self.follow(History { needs, ..history }, &next);
            }
        }
    }

    /// Takes in what has happened after a history, which has the needs for it already.
    fn follow(&mut self, history: History, next: &Next<L>) {
        self.events += 1;
        let said = history.said | self.hear_of(&next.sent);
        let state = self.cache.bare(next.state);
        let facts = self.cache.facts(state);
        let is_over = facts.has_left || facts.rounds + 1 >= self.wanted.rounds;
        let fired = if is_over { 0 } else { history.fired };
        self.add(History { state, fired, said, ..history });
    }

    fn add(&mut self, history: History) {
        let History { seat, state, fired, said, needs, .. } = history;
        let (voices, histories) = (&mut self.voices, &mut self.histories);
        let place = self.places.entry((state, fired, said)).or_default();
        if place.iter().any(|other| voices.implies(seat, said, &needs, &histories[*other].needs)) {
            return;
        }
        place.retain(|other| {
            let other = &mut histories[*other];
            other.is_superseded = voices.implies(seat, said, &other.needs, &needs);
            !other.is_superseded
        });
        place.push(histories.len());
        histories.push(history);
        voices.can_say(seat, said);
    }

    /// Takes in what was sent; returns the claims among it. Questions need no answer, as all answers are on offer.
    fn hear_of(&mut self, sent: &[u32]) -> Bits {
        let mut said = 0;
        for parcel in sent {
            if let Some(known) = self.voices.known(*parcel) {
                said |= known;
                continue;
            }
            let Parcel { to, sent } = self.cache.parcel_at(*parcel).clone();
            let lab = &self.cache.table.lab;
            if let Some((_, statement)) = lab.claim(&sent.msg) {
                let ballot = (statement.view, statement.step);
                said |= self.voices.claim(*parcel, sent.from, to, ballot, lab.signs(&sent.msg));
            } else if lab.is_anonymous(&sent.msg) {
                self.offer(sent.msg.clone());
            }
        }
        said
    }

    fn offer(&mut self, msg: MsgOf<L>) {
        let mut bytes = Vec::new();
        self.cache.table.lab.codec().encode(&msg, &mut bytes);
        if self.offer_prints.insert(print(&bytes)) {
            let proofs = self.voices.proofs(self.cache.table.lab.proofs(&msg));
            let mut to = [0; SEATS];
            for (seat, parcel) in to.iter_mut().enumerate().take(self.seats) {
                *parcel = self.cache.parcel_to(seat, msg.clone());
            }
            self.offers.push(Offer { proofs, to });
            self.voices.grown = true;
        }
    }

    /// Puts histories of all seats together. A state is what each of them says, as far as it fits.
    fn compose(&mut self, seen: &mut Seen) {
        let mut ends: [Ends<L>; SEATS] = Default::default();
        for history in self.histories.iter().filter(|history| !history.is_superseded) {
            let History { seat, state, said, needs, .. } = *history;
            let tip = self.cache.tip(state);
            let (_, list) = ends[seat].entry(said).or_default().entry(tip).or_insert_with(|| (state, Vec::new()));
            if !list.iter().any(|other| self.voices.implies(seat, said, &needs, other)) {
                list.retain(|other| !self.voices.implies(seat, said, other, &needs));
                list.push(needs);
            }
        }
        let mut all = vec![[0; SEATS]];
        for (seat, ends) in ends.iter().enumerate().take(self.seats) {
            let with = |all: &[Bits; SEATS], said: Bits| {
                let mut all = *all;
                all[seat] = said;
                all
            };
            all = all.iter().flat_map(|all| ends.keys().map(move |said| with(all, *said))).collect();
        }
        let mut agreed = BTreeSet::new();
        for all in all {
            let fit = |seat: usize| {
                let ways = ends[seat].get(&all[seat]).into_iter().flat_map(BTreeMap::values);
                let fit = ways.filter(|(_, needs)| needs.iter().any(|needs| self.voices.is_said(needs, &all)));
                fit.map(|(state, _)| *state).collect::<Vec<_>>()
            };
            let fitting = product(&(0..self.seats).map(fit).collect::<Vec<_>>());
            seen.states += u64::from(!fitting.is_empty());
            for states in fitting {
                if self.wanted.witness {
                    seen.said.insert((0..self.seats).map(|seat| self.said(seat, all[seat], states[seat])).collect());
                }
                let outcome = self.cache.outcome(&states);
                if agreed.insert(outcome.clone()) {
                    self.cache.agree(&states);
                    seen.outcomes.insert(outcome);
                }
            }
        }
    }

    /// The print of all that a seat has said and decided.
    fn said(&self, seat: usize, said: Bits, state: u32) -> u128 {
        let sent = self.voices.messages(seat, said & !self.opened[seat]);
        let has_decided = self.cache.tip(state).0 > Height::ZERO;
        self.cache.said(0, &sent, has_decided.then_some(state))
    }
}

/// One of each list, in every way.
fn product(lists: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let mut all = vec![Vec::new()];
    for list in lists {
        all = all.iter().flat_map(|one| list.iter().map(|last| [&one[..], &[*last]].concat())).collect();
    }
    all
}
