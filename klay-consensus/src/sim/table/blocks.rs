//! What a seat can do next that others notice.
//!
//! A delivery after which the seat says nothing and decides nothing is *silent*. Nobody else can tell when it happened,
//! so it may as well happen right before the event of the same seat that needs it: a *block* is some silent deliveries
//! and one event that is noticed. A block in which a silent delivery could as well come after the last event is left
//! out: the block without it is there, and the message is still under way. See [`super::reduced`] for why that is
//! enough.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    rc::Rc,
};

use super::{
    Lab,
    cache::{Cache, Next},
    orders::Orders,
};

/// What is under way to a seat, each message as often as it was sent, in order.
pub(super) type Pending = BTreeMap<u32, u8>;

/// Silent deliveries and what they lead to.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) events: Vec<Event>,
    /// The state afterwards, what was sent, and whether it has decided.
    pub(super) state: u32,
    pub(super) sent: Rc<[u32]>,
    pub(super) decides: bool,
}

impl Block {
    /// Whether the seat has given up on its round.
    pub(super) fn fires(&self) -> bool {
        self.events.last() == Some(&Event::GivesUp)
    }
}

/// An event of a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Arrives(u32),
    GivesUp,
}

/// A state reached silently: what has arrived, and what has not.
struct Quiet {
    state: u32,
    arrived: Vec<u32>,
    pending: Pending,
}

impl<L: Lab> Cache<L>
where
    L::Engine: Clone + fmt::Debug,
{
    /// Every block that may come next at a seat.
    pub(super) fn blocks(&mut self, state: u32, fired: u32, pending: &Pending, wanted: Orders) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut known = HashSet::from([(state, pending.clone())]);
        let mut quiet = vec![Quiet { state, arrived: Vec::new(), pending: pending.clone() }];
        while let Some(at) = quiet.pop() {
            let timer = self.may_fire(at.state, fired, wanted).then_some(Event::GivesUp);
            let in_time = at.pending.keys().copied().filter(|message| !self.is_early(at.state, *message));
            for event in in_time.map(Event::Arrives).chain(timer).collect::<Vec<_>>() {
                let next = self.happens(at.state, event);
                if let Event::Arrives(message) = event
                    && is_silent(&next)
                {
                    // What changes nothing need not arrive.
                    let mut left = at.pending.clone();
                    take(&mut left, message);
                    if next.state != at.state && known.insert((next.state, left.clone())) {
                        let arrived = at.arrived.iter().copied().chain([message]).collect();
                        quiet.push(Quiet { state: next.state, arrived, pending: left });
                    }
                } else if !self.can_wait(state, fired, &at.arrived, event, &next, wanted) {
                    blocks.push(block(&at.arrived, event, &next));
                }
            }
        }
        blocks
    }

    /// Whether one of the silent deliveries could as well come after the last event.
    fn can_wait(
        &mut self,
        from: u32,
        fired: u32,
        arrived: &[u32],
        last: Event,
        next: &Next<L>,
        wanted: Orders,
    ) -> bool {
        (0..arrived.len()).any(|late| self.waits(from, fired, arrived, late, last, next, wanted))
    }

    #[expect(clippy::too_many_arguments, reason = "the block, its place and the one that waits")]
    fn waits(
        &mut self,
        from: u32,
        fired: u32,
        arrived: &[u32],
        late: usize,
        last: Event,
        next: &Next<L>,
        wanted: Orders,
    ) -> bool {
        let mut state = from;
        for (place, message) in arrived.iter().enumerate() {
            if place != late {
                let step = self.happens(state, Event::Arrives(*message));
                if !is_silent(&step) {
                    return false;
                }
                state = step.state;
            }
        }
        if last == Event::GivesUp && !self.may_fire(state, fired, wanted) {
            return false;
        }
        let first = self.happens(state, last);
        if is_silent(&first) && last != Event::GivesUp {
            return false;
        }
        let then = self.happens(first.state, Event::Arrives(arrived[late]));
        let both = |a: &[u32], b: &[u32]| {
            let mut all: Vec<_> = a.iter().chain(b).copied().collect();
            all.sort_unstable();
            all
        };
        let decided = |next: &Next<L>| next.decided.len();
        then.state == next.state
            && both(&first.sent, &then.sent) == both(&next.sent, &[])
            && decided(&first) + decided(&then) == decided(next)
    }

    /// What comes of an event.
    pub(super) fn happens(&mut self, state: u32, event: Event) -> Next<L> {
        match event {
            Event::Arrives(message) => self.deliver(state, message),
            Event::GivesUp => self.give_up(state),
        }
    }

    /// Whether a seat may give up on its round.
    pub(super) fn may_fire(&self, state: u32, fired: u32, wanted: Orders) -> bool {
        let facts = self.facts(state);
        fired < wanted.firings && facts.rounds + 1 < wanted.rounds && !facts.has_left && facts.deadline.is_some()
    }
}

fn block<L: Lab>(arrived: &[u32], last: Event, next: &Next<L>) -> Block {
    let events = arrived.iter().copied().map(Event::Arrives).chain([last]).collect();
    Block { events, state: next.state, sent: Rc::clone(&next.sent), decides: !next.decided.is_empty() }
}

fn is_silent<L: Lab>(next: &Next<L>) -> bool {
    next.sent.is_empty() && next.decided.is_empty()
}

/// Takes one message out.
pub(super) fn take(pending: &mut Pending, message: u32) {
    if let Some(count) = pending.get_mut(&message) {
        *count -= 1;
        if *count == 0 {
            pending.remove(&message);
        }
    }
}
