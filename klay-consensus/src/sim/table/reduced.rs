//! The orders of arrival that differ in what anybody says or decides, one of each.
//!
//! Nothing is lost and nothing is withdrawn, so a node does not care when something silent happened elsewhere. Take any
//! order. As long as a seat has a silent delivery (see [`super::blocks`]) that could as well come after the next thing
//! that this seat says, with the same state of the seat and the same messages in the end, put it there: everybody else
//! still gets every message no later than it is needed. This ends, since either a silent delivery comes to have fewer
//! noticed events behind it or there is one silent delivery less. What is left is a sequence of blocks, and silent
//! deliveries at the end that nobody notices. So every order of up to `depth` events has a sequence of blocks of no more
//! events in which every seat says and decides the same: whoever has tried all sequences of blocks has seen every set
//! of decisions. Agreement is a question of decisions alone, and a decision stays.
//!
//! What else makes states equal:
//!
//! * Engines forget what no rule reads any more ([`Lab::forget`]), proofs within messages have one form
//!   ([`Lab::plain`]), and time stands still although timers fire: nothing that is said depends on it here.
//! * Votes of a later round, where an engine only keeps them ([`Lab::keeps_votes`]), arrive when the seat is there.
//! * A block after which the seat is as before and nobody has learnt anything is left out: whatever can come of it can
//!   come without it, with more under way.
//! * What a seat answers without being changed by it, it answers at once, and as often as its state changes: more is
//!   under way then, and whatever could happen with less still can. So for Simplex, which helps those who are behind,
//!   somewhat more is tried than can happen.
//! * Copies of one message under way are one, if the second changes nothing after the first.
//!
//! The first two are read off the engines' rules. That they hold shows where all orders can be tried: the reduced ones
//! say and decide the same, to the word (`tests/it/enumerations.rs`).
//!
//! A message that changes nothing at a seat is put away, so that seats which differ in such messages only are one. That
//! it would not have changed anything later either is checked afterwards, for every state that followed; if it is not
//! so, the message is kept there and the search is done again. So it is with copies.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt, mem,
    rc::Rc,
};

use super::{
    Lab, Table,
    blocks::{Block, Event, Pending, take},
    cache::Cache,
    orders::{Orders, Seen},
};

/// Seats of a table whose orders are reduced.
pub(super) const SEATS: usize = 4;

/// The post at a seat where nobody sits.
const NOBODY: u32 = u32::MAX;

/// A seat with what is under way to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Post {
    state: u32,
    fired: u32,
    pending: Pending,
    /// A print of all that it has said and decided, if that is wanted.
    said: u128,
}

/// A block as a step of the whole table.
#[derive(Debug, Clone)]
struct Move {
    to: u32,
    /// The messages sent, by number of the list.
    sends: u32,
    events: u32,
    decides: bool,
}

/// A state of the table: the post of each seat by number.
type State = [u32; SEATS];

struct Search<L: Lab> {
    cache: Cache<L>,
    wanted: Orders,
    posts: Vec<Post>,
    post_numbers: HashMap<Post, u32>,
    moves: Vec<Option<Rc<[Move]>>>,
    /// What each post answers without being changed by it, as lists of messages.
    answers: HashMap<u32, Rc<[u32]>>,
    /// Lists of messages, apart for each seat.
    mail: Vec<[Vec<u32>; SEATS]>,
    mail_numbers: HashMap<Rc<[u32]>, u32>,
    mailed: HashMap<(u32, u32), u32>,
    /// What was put away in which state, and what must not be.
    put_away: BTreeMap<u32, BTreeSet<u32>>,
    /// What followed which state in a block, and by what.
    follows: BTreeMap<u32, BTreeSet<(Event, u32)>>,
    kept: BTreeSet<(u32, u32)>,
    /// Messages that were sent again while they were under way: one copy stands for all, unless it has to be counted.
    merged: BTreeSet<u32>,
    counted: BTreeSet<u32>,
}

/// Tries the orders of one height that differ.
pub(super) fn reduced<L: Lab + Clone>(lab: &L, wanted: Orders) -> Seen
where
    L::Engine: Clone + fmt::Debug,
{
    let mut table = Table::new(lab.clone(), 0, 1);
    table.forgets = Some(wanted.rounds);
    let mut cache = Cache::new(table);
    cache.merge_left = true;
    let mut search = Search {
        cache,
        wanted,
        posts: Vec::new(),
        post_numbers: HashMap::new(),
        moves: Vec::new(),
        answers: HashMap::new(),
        mail: Vec::new(),
        mail_numbers: HashMap::new(),
        mailed: HashMap::new(),
        put_away: BTreeMap::new(),
        follows: BTreeMap::new(),
        kept: BTreeSet::new(),
        merged: BTreeSet::new(),
        counted: BTreeSet::new(),
    };
    loop {
        let mut seen = search.run();
        if search.is_settled() {
            seen.seats = search.cache.count() as u64;
            seen.violations = mem::take(&mut search.cache.table.violations);
            return seen;
        }
        search.forget();
    }
}

impl<L: Lab> Search<L>
where
    L::Engine: Clone + fmt::Debug,
{
    fn run(&mut self) -> Seen {
        let mut seen = Seen::default();
        let mut visited: HashSet<State> = HashSet::new();
        // By events: each state is gone on from where it is reached with the fewest.
        let mut levels: BTreeMap<u32, Vec<State>> = BTreeMap::from([(0, vec![self.open()])]);
        while let Some((depth, level)) = levels.pop_first() {
            for state in level {
                if !visited.insert(state) {
                    continue;
                }
                if visited.len() > self.wanted.room {
                    seen.stopped = true;
                    return seen;
                }
                seen.states += 1;
                seen.depth = seen.depth.max(depth);
                if self.wanted.witness {
                    seen.said.insert(self.said(state));
                }
                let mut is_end = true;
                for seat in (0..SEATS).filter(|seat| state[*seat] != NOBODY) {
                    for next in self.moves(state[seat]).iter() {
                        let follower = self.follow(state, seat, next);
                        if self.is_idle(state, follower, seat) {
                            continue;
                        }
                        is_end = false;
                        if next.events > self.wanted.depth - depth {
                            seen.cut = true;
                            continue;
                        }
                        seen.events += 1;
                        if !visited.contains(&follower) {
                            levels.entry(depth + next.events).or_default().push(follower);
                        }
                    }
                }
                if is_end {
                    self.end(state, &mut seen);
                }
            }
        }
        seen
    }

    fn open(&mut self) -> State {
        let (seats, parcels) = self.cache.open();
        let mut pending = [const { Pending::new() }; SEATS];
        for parcel in parcels {
            *pending[self.cache.parcel_at(parcel).to].entry(parcel).or_default() += 1;
        }
        let mut state = [NOBODY; SEATS];
        for ((place, seat), pending) in state.iter_mut().zip(seats).zip(pending) {
            *place = self.post(Post { state: seat, fired: 0, pending, said: 0 });
        }
        self.answered(state)
    }

    /// The number of a post, without the messages that change nothing.
    fn post(&mut self, mut post: Post) -> u32 {
        let facts = self.cache.facts(post.state);
        if facts.has_left {
            post.pending.clear();
        }
        if facts.has_left || facts.rounds + 1 >= self.wanted.rounds {
            post.fired = 0;
        }
        for message in post.pending.keys().copied().collect::<Vec<_>>() {
            if self.cache.changes_nothing(post.state, message) && !self.kept.contains(&(post.state, message)) {
                post.pending.remove(&message);
                self.put_away.entry(post.state).or_default().insert(message);
            }
        }
        if let Some(number) = self.post_numbers.get(&post) {
            return *number;
        }
        let number = self.posts.len() as u32;
        self.posts.push(post.clone());
        self.post_numbers.insert(post, number);
        self.moves.push(None);
        number
    }

    fn moves(&mut self, number: u32) -> Rc<[Move]> {
        if let Some(moves) = &self.moves[number as usize] {
            return Rc::clone(moves);
        }
        let post = self.posts[number as usize].clone();
        let blocks = self.cache.blocks(post.state, post.fired, &post.pending, self.wanted);
        let mut moves: BTreeMap<(u32, u32), Move> = BTreeMap::new();
        for block in blocks {
            let next = self.play(&post, &block);
            // Of blocks that come to the same, the shortest.
            let best = moves.entry((next.to, next.sends)).or_insert_with(|| next.clone());
            if next.events < best.events {
                *best = next;
            }
        }
        let moves: Rc<[Move]> = moves.into_values().collect();
        self.moves[number as usize] = Some(Rc::clone(&moves));
        moves
    }

    fn play(&mut self, post: &Post, block: &Block) -> Move {
        let mut at = post.state;
        for event in &block.events {
            let state = self.cache.happens(at, *event).state;
            self.follows.entry(at).or_default().insert((*event, state));
            at = state;
        }
        let mut next = Post { state: block.state, fired: post.fired + u32::from(block.fires()), ..post.clone() };
        for event in &block.events {
            if let Event::Arrives(message) = event {
                take(&mut next.pending, *message);
            }
        }
        if self.wanted.witness {
            next.said = self.cache.said(next.said, &block.sent, block.decides.then_some(block.state));
        }
        let sends = self.mail(&block.sent);
        Move { to: self.post(next), sends, events: block.events.len() as u32, decides: block.decides }
    }

    fn mail(&mut self, sent: &Rc<[u32]>) -> u32 {
        if let Some(number) = self.mail_numbers.get(sent) {
            return *number;
        }
        let mut mail = [const { Vec::new() }; SEATS];
        for parcel in sent.iter() {
            mail[self.cache.parcel_at(*parcel).to].push(*parcel);
        }
        let number = self.mail.len() as u32;
        self.mail.push(mail);
        self.mail_numbers.insert(Rc::clone(sent), number);
        number
    }

    fn follow(&mut self, mut state: State, seat: usize, next: &Move) -> State {
        state[seat] = next.to;
        for (to, place) in state.iter_mut().enumerate() {
            if to != seat && !self.mail[next.sends as usize][to].is_empty() {
                *place = self.deliver_to(*place, next.sends, to);
            }
        }
        state = self.answered(state);
        if next.decides {
            let seats: Vec<_> = self.states(state);
            self.cache.agree(&seats);
        }
        state
    }

    /// Everything is answered at once that changes nothing at the seat that answers.
    fn answered(&mut self, mut state: State) -> State {
        loop {
            let before = state;
            for seat in (0..SEATS).filter(|seat| before[*seat] != NOBODY) {
                for mail in self.answers(state[seat]).iter() {
                    for (to, place) in state.iter_mut().enumerate() {
                        if to != seat && !self.mail[*mail as usize][to].is_empty() {
                            *place = self.deliver_to(*place, *mail, to);
                        }
                    }
                }
            }
            if state == before {
                return state;
            }
        }
    }

    fn answers(&mut self, number: u32) -> Rc<[u32]> {
        if let Some(known) = self.answers.get(&number) {
            return Rc::clone(known);
        }
        let post = self.posts[number as usize].clone();
        let mut answers = BTreeSet::new();
        for message in post.pending.keys() {
            let next = self.cache.deliver(post.state, *message);
            if next.state == post.state && !next.sent.is_empty() && next.decided.is_empty() {
                answers.insert(self.mail(&next.sent));
            }
        }
        let answers: Rc<[u32]> = answers.into_iter().collect();
        self.answers.insert(number, Rc::clone(&answers));
        answers
    }

    /// Whether a block has only used up what was under way: the seat is as before, and nobody has learnt anything. All
    /// that can come of it can come without it.
    fn is_idle(&self, state: State, follower: State, seat: usize) -> bool {
        let [before, after] = [state, follower].map(|state| &self.posts[state[seat] as usize]);
        let same = (before.state, before.fired, before.said) == (after.state, after.fired, after.said);
        same && (0..SEATS).all(|other| other == seat || state[other] == follower[other])
    }

    fn deliver_to(&mut self, number: u32, mail: u32, to: usize) -> u32 {
        if let Some(known) = self.mailed.get(&(number, mail)) {
            return *known;
        }
        let mut post = self.posts[number as usize].clone();
        for parcel in &self.mail[mail as usize][to] {
            let copies = post.pending.entry(*parcel).or_default();
            if *copies == 0 || self.counted.contains(parcel) {
                *copies += 1;
            } else {
                self.merged.insert(*parcel);
            }
        }
        let next = self.post(post);
        self.mailed.insert((number, mail), next);
        next
    }

    fn states(&self, state: State) -> Vec<u32> {
        let filled = state.iter().filter(|post| **post != NOBODY);
        filled.map(|post| self.posts[*post as usize].state).collect()
    }

    fn said(&self, state: State) -> Vec<u128> {
        let filled = state.iter().filter(|post| **post != NOBODY);
        filled.map(|post| self.posts[*post as usize].said).collect()
    }

    fn end(&mut self, state: State, seen: &mut Seen) {
        seen.ends += 1;
        let seats = self.states(state);
        seen.outcomes.insert(self.cache.outcome(&seats));
        self.cache.check_end(&seats, self.wanted);
    }

    /// Whether what was put away would have changed nothing later either. Where it would, it is kept from now on.
    fn is_settled(&mut self) -> bool {
        let follows = mem::take(&mut self.follows);
        let mut work: Vec<_> =
            self.put_away.iter().flat_map(|(state, messages)| messages.iter().map(|m| (*state, *m))).collect();
        let mut checked: BTreeSet<_> = work.iter().copied().collect();
        let mut before: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
        let mut wrong = Vec::new();
        let counted = self.counted.len();
        for (event, next) in follows.values().flatten() {
            let Event::Arrives(what) = event else { continue };
            if self.merged.contains(what) && !self.cache.changes_nothing(*next, *what) {
                self.counted.insert(*what);
            } else if self.merged.contains(what) && checked.insert((*next, *what)) {
                work.push((*next, *what));
            }
        }
        while let Some((state, message)) = work.pop() {
            for (_, next) in follows.get(&state).into_iter().flatten() {
                if self.cache.changes_nothing(*next, message) {
                    before.entry((*next, message)).or_default().push(state);
                    if checked.insert((*next, message)) {
                        work.push((*next, message));
                    }
                } else {
                    wrong.push((state, message));
                }
            }
        }
        let settled = wrong.is_empty() && counted == self.counted.len();
        // Nor may it be put away in a state that leads there.
        while let Some((state, message)) = wrong.pop() {
            if self.merged.contains(&message) {
                self.counted.insert(message);
            }
            if self.kept.insert((state, message)) {
                wrong.extend(before.get(&(state, message)).into_iter().flatten().map(|earlier| (*earlier, message)));
            }
        }
        settled
    }

    fn forget(&mut self) {
        self.posts.clear();
        self.post_numbers.clear();
        self.moves.clear();
        self.answers.clear();
        self.mailed.clear();
        self.put_away.clear();
        self.merged.clear();
    }
}
