//! States of seats by number: what comes of a state under a message is worked out once.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    rc::Rc,
};

use super::{Event, Height, IdOf, Lab, MsgOf, Parcel, Seat, Table, Time};
use crate::types::Engine as _;

/// What is asked of a state again and again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub(super) rounds: u64,
    pub(super) deadline: Option<Time>,
    pub(super) has_left: bool,
}

/// What comes of a state.
pub(super) struct Next<L: Lab> {
    pub(super) state: u32,
    /// Messages by number.
    pub(super) sent: Rc<[u32]>,
    pub(super) decided: Rc<[(Height, IdOf<L>)]>,
}

impl<L: Lab> Clone for Next<L> {
    fn clone(&self) -> Self {
        Self { state: self.state, sent: Rc::clone(&self.sent), decided: Rc::clone(&self.decided) }
    }
}

/// A table whose states and messages have numbers.
pub(super) struct Cache<L: Lab> {
    pub(super) table: Table<L>,
    states: Vec<(usize, Seat<L>, Facts)>,
    numbers: HashMap<u128, u32>,
    parcels: Vec<Parcel<L>>,
    parcel_numbers: HashMap<(u128, usize), u32>,
    known: HashMap<(u32, u32), Next<L>>,
    bare: HashMap<u32, u32>,
    /// Whether those who have left are told apart by nothing but what they have decided.
    pub(super) merge_left: bool,
}

/// The number of no message: a timer.
const TIMER: u32 = u32::MAX;
/// Another one: the patience of a seat ends.
const PATIENCE: u32 = u32::MAX - 1;
/// And another: a seat asks again for what it lacks.
const QUESTION: u32 = u32::MAX - 2;

impl<L: Lab> Cache<L>
where
    L::Engine: Clone + fmt::Debug,
{
    pub(super) fn new(table: Table<L>) -> Self {
        Self {
            table,
            states: Vec::new(),
            numbers: HashMap::new(),
            parcels: Vec::new(),
            parcel_numbers: HashMap::new(),
            known: HashMap::new(),
            bare: HashMap::new(),
            merge_left: false,
        }
    }

    /// The first states and messages.
    pub(super) fn open(&mut self) -> (Vec<u32>, Vec<u32>) {
        let (seats, parcels) = self.table.open();
        let states = seats.into_iter().enumerate().map(|(index, seat)| self.state(index, seat)).collect();
        (states, parcels.into_iter().map(|parcel| self.parcel(parcel)).collect())
    }

    fn state(&mut self, index: usize, seat: Seat<L>) -> u32 {
        let mut printer = Printer::default();
        // Writing into a printer does not fail.
        let _ok = if self.merge_left && self.table.has_left(&seat) {
            write!(printer, "{index} {:?}", seat.tip).is_ok()
        } else {
            write!(printer, "{index} {:?} {:?} {:?} {:?}", seat.engine, seat.memory, seat.now, seat.timers).is_ok()
        };
        let next = self.states.len() as u32;
        let number = *self.numbers.entry(printer.print()).or_insert(next);
        if number == next {
            let facts = self.table.facts(&seat);
            self.states.push((index, seat, facts));
        }
        number
    }

    fn parcel(&mut self, parcel: Parcel<L>) -> u32 {
        let next = self.parcels.len() as u32;
        let number = *self.parcel_numbers.entry((parcel.sent.print, parcel.to)).or_insert(next);
        if number == next {
            self.parcels.push(parcel);
        }
        number
    }

    pub(super) fn facts(&self, state: u32) -> Facts {
        self.states[state as usize].2
    }

    pub(super) fn parcel_at(&self, number: u32) -> &Parcel<L> {
        &self.parcels[number as usize]
    }

    /// The state when a message has arrived.
    pub(super) fn deliver(&mut self, state: u32, parcel: u32) -> Next<L> {
        self.next(state, parcel)
    }

    /// The state when the earliest timer has fired.
    pub(super) fn fire(&mut self, state: u32) -> Next<L> {
        self.next(state, TIMER)
    }

    /// The state when a seat has lost its patience.
    pub(super) fn give_up(&mut self, state: u32) -> Next<L> {
        self.next(state, PATIENCE)
    }

    /// The state when a seat has asked again for what it lacks.
    pub(super) fn ask(&mut self, state: u32) -> Next<L> {
        self.next(state, QUESTION)
    }

    /// What a seat can answer to whatever it is asked.
    pub(super) fn answers(&self, state: u32) -> Vec<MsgOf<L>> {
        let mut answers = self.table.lab.answers(&self.states[state as usize].1.engine);
        answers.iter_mut().for_each(|answer| self.table.lab.plain(answer));
        answers
    }

    /// The state without the votes of others that are only kept.
    pub(super) fn bare(&mut self, state: u32) -> u32 {
        if let Some(bare) = self.bare.get(&state) {
            return *bare;
        }
        let (index, seat, _) = &self.states[state as usize];
        let (index, mut seat) = (*index, seat.clone());
        self.table.lab.forget_votes(&mut seat.engine);
        let bare = self.state(index, seat);
        self.bare.insert(state, bare);
        bare
    }

    /// A message that anybody may send, to a seat.
    pub(super) fn parcel_to(&mut self, to: usize, msg: MsgOf<L>) -> u32 {
        let from = (to + 1) % self.table.keys.len();
        let sent = self.table.sent(from, msg);
        self.parcel(Parcel { to, sent })
    }

    fn next(&mut self, state: u32, what: u32) -> Next<L> {
        if let Some(next) = self.known.get(&(state, what)) {
            return next.clone();
        }
        let (index, seat, facts) = &self.states[state as usize];
        let (index, mut seat) = (*index, seat.clone());
        if facts.has_left {
            let next = Next { state, sent: Rc::new([]), decided: Rc::new([]) };
            self.known.insert((state, what), next.clone());
            return next;
        }
        let outcome = if what == TIMER {
            self.table.happen(index, &mut seat, &Event::Timer)
        } else if what == PATIENCE {
            self.table.give_up(index, &mut seat)
        } else if what == QUESTION {
            self.table.ask(index, &mut seat)
        } else {
            let sent = Rc::clone(&self.parcels[what as usize].sent);
            self.table.happen(index, &mut seat, &Event::Message(&sent))
        };
        let sent = outcome.sent.into_iter().map(|parcel| self.parcel(parcel)).collect();
        let next = Next { state: self.state(index, seat), sent, decided: outcome.decided.into() };
        self.known.insert((state, what), next.clone());
        next
    }

    /// Whether a message changes nothing at a seat and is not answered.
    pub(super) fn changes_nothing(&mut self, state: u32, parcel: u32) -> bool {
        let next = self.next(state, parcel);
        next.state == state && next.sent.is_empty() && next.decided.is_empty()
    }

    /// Whether a message is a vote that is only kept for now.
    pub(super) fn is_early(&self, state: u32, parcel: u32) -> bool {
        let sent = &self.parcels[parcel as usize].sent;
        let rounds = self.facts(state).rounds;
        self.table.lab.keeps_votes() && sent.is_vote && sent.round.is_some_and(|round| round > rounds)
    }

    /// The print of all that a seat has said and decided, with what it says and decides now.
    pub(super) fn said(&self, before: u128, sent: &[u32], decided: Option<u32>) -> u128 {
        let parcels = sent.iter().map(|parcel| &self.parcels[*parcel as usize]);
        // Only what commits its sender to something.
        let sent = parcels.filter(|parcel| self.table.lab.claim(&parcel.sent.msg).is_some()).map(|parcel| {
            let Parcel { to, sent } = parcel;
            let (mut bytes, mut msg) = (vec![sent.from as u8, *to as u8], sent.msg.clone());
            self.table.lab.plain(&mut msg);
            self.table.lab.codec().encode(&msg, &mut bytes);
            print(&bytes)
        });
        let decided = decided.map(|state| print(format!("{:?}", self.tip(state)).as_bytes()));
        sent.chain(decided).fold(before, u128::wrapping_add)
    }

    /// What each seat has decided, as prints.
    pub(super) fn outcome(&self, states: &[u32]) -> Vec<Option<u128>> {
        let outcome = |state: &u32| {
            let tip = self.tip(*state);
            (tip.0 > Height::ZERO).then(|| print(format!("{tip:?}").as_bytes()))
        };
        states.iter().map(outcome).collect()
    }

    pub(super) const fn count(&self) -> usize {
        self.states.len()
    }

    pub(super) fn tip(&self, state: u32) -> (Height, IdOf<L>) {
        self.states[state as usize].1.tip
    }

    /// I1 among seats in these states.
    pub(super) fn agree(&mut self, states: &[u32]) {
        let tips: Vec<_> = states.iter().map(|state| self.tip(*state)).collect();
        self.table.agree(&tips);
    }

    pub(super) fn standing(&self, states: &[u32]) -> String {
        let stand = |state: &u32| {
            let seat = &self.states[*state as usize].1;
            let status = seat.engine.status();
            format!("{} {} {}", seat.tip.0, status.round, status.state)
        };
        states.iter().map(stand).collect::<Vec<_>>().join("; ")
    }
}

/// A print of 128 bits of everything written into it. Not meant to withstand anybody.
#[derive(Debug, Clone, Copy)]
struct Printer([u64; 2]);

impl Default for Printer {
    fn default() -> Self {
        Self([0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f])
    }
}

impl Printer {
    fn add(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(bytes.len() as u64);
    }

    const fn mix(&mut self, word: u64) {
        let [a, b] = self.0;
        let a = (a ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let b = (b.rotate_left(29) ^ word).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        self.0 = [a ^ a >> 32, b ^ b >> 29];
    }

    const fn print(self) -> u128 {
        (self.0[0] as u128) << 64 | self.0[1] as u128
    }
}

/// A print of lists of numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Words(Printer);

impl Words {
    pub(super) fn of<const N: usize>(lists: [&[u32]; N]) -> u128 {
        let mut words = Self::default();
        for list in lists {
            words.add(list);
        }
        words.print()
    }

    pub(super) fn add(&mut self, list: &[u32]) {
        for number in list {
            self.0.mix(u64::from(*number));
        }
        self.0.mix(u64::MAX - list.len() as u64);
    }

    pub(super) const fn print(self) -> u128 {
        self.0.print()
    }
}

impl fmt::Write for Printer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.as_bytes());
        Ok(())
    }
}

/// The print of a list of bytes.
pub(super) fn print(bytes: &[u8]) -> u128 {
    let mut printer = Printer::default();
    printer.add(bytes);
    printer.print()
}
