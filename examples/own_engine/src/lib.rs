#![doc = include_str!("../README.md")]

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::Address;
use klay_consensus::{
    dev::DevRecord,
    istanbul::{
        CommittedSeals, Klaytn,
        seal::{Authors as _, Seal, committed_digest},
    },
    sim::value::{LabValue, MockAuthors, Turns},
    types::{
        Class, Committee, Committees as _, Delays, Domain, Effect, Effects, Engine, Floor, Input, Refuse, Round, Slot,
        Statement, Status, Step, Ticket, Time, TimerId, Validate, Value as _, Verdict, View,
    },
};

type Chain = Klaytn<LabValue>;
const REPEAT: TimerId = TimerId::new(1);

mod lab;

pub use lab::{UnanimousLab, YesCodec};

/// What a node says: here is a value, and my yes to it. A yes carries the value, so that anyone may have missed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yes {
    value: LabValue,
    from: Address,
    seal: Seal,
}

/// Who we are, and who takes part.
#[derive(Debug)]
pub struct Setup {
    me: Address,
    turns: Turns,
}

#[rustfmt::skip]
impl Validate for Setup {
    fn validate(&self) -> Result<(), Refuse> { Ok(()) }
}

/// The engine: decides when everybody has said yes.
#[derive(Debug)]
pub struct Unanimous {
    setup: Setup,
    floor: Floor<Chain>,
    said: BTreeMap<Address, Yes>,
    asked: Option<(Ticket, LabValue)>,
    building: bool,
    decided: bool,
    timer: Option<Time>,
}

type Fx = Effects<Chain, Yes, DevRecord>;

impl Engine<Chain> for Unanimous {
    type Msg = Yes;
    type Record = DevRecord;
    type Config = Setup;
    const NAME: &'static str = "unanimous";
    const DELAYS: Delays = Delays { block: 2, finality: 2 };

    fn open(setup: Setup, floor: Floor<Chain>, _log: Vec<DevRecord>) -> Result<Self, Refuse> {
        let said = BTreeMap::new();
        Ok(Self { setup, floor, said, asked: None, building: false, decided: false, timer: None })
    }

    fn step(&mut self, now: Time, input: Input<Chain, Yes>, fx: &mut Fx) {
        match input {
            Input::Start => self.begin(now, fx),
            Input::Head { floor } if floor.height > self.floor.height => {
                self.floor = floor;
                fx.push(Effect::Prune { below: self.slot() });
                self.begin(now, fx);
            }
            Input::Timer(_) => {
                if let Some(mine) = self.said.get(&self.setup.me).cloned() {
                    self.tell(mine, fx);
                } else if self.is_leader() && !self.building {
                    self.build(now, fx);
                }
                self.arm(now, fx);
            }
            Input::Built { slot, value: Some(value) } if slot == self.slot() => self.say(value, fx),
            Input::Verdict { slot, id, verdict: Verdict::Valid } if slot == self.slot() => {
                let value = self.said.values().find(|yes| yes.value.id() == id).map(|yes| yes.value.clone());
                if let Some(value) = value {
                    self.say(value, fx);
                }
            }
            Input::Signed { ticket, result: Ok(seal) } => {
                if let Some((_, value)) = self.asked.take_if(|(asked, _)| *asked == ticket) {
                    let mine = Yes { value, from: self.setup.me, seal };
                    self.tell(mine.clone(), fx);
                    self.count(mine, fx);
                }
            }
            // The value was lost in a crash after it was signed: the gate waits for the same one to come back.
            Input::Signed { result: Err(_), .. } => {
                self.asked = None;
                self.building = false;
            }
            Input::Applied { result: Err(_), .. } => self.decided = false,
            Input::Message { msg, .. } => self.receive(msg, fx),
            _ => {}
        }
    }

    #[rustfmt::skip]
    fn deadline(&self) -> Option<Time> { self.timer }

    #[rustfmt::skip]
    fn status(&self) -> Status<Chain> {
        Status {
            height: self.floor.next_height(), round: Round::ZERO, state: "counting", waiting: false, proposer: None,
            proposal: None, lock: None, vote1: 0, vote2: self.said.len() as u32, skips: 0, backlog: 0,
        }
    }
}

impl Unanimous {
    #[rustfmt::skip]
    const fn slot(&self) -> Slot { self.floor.next_slot() }
    fn committee(&self) -> Option<Arc<Committee<Address>>> {
        self.setup.turns.at(self.floor.next_height(), Round::ZERO).ok()
    }
    fn is_leader(&self) -> bool {
        self.committee().is_some_and(|c| c.proposer == self.setup.me)
    }

    fn begin(&mut self, now: Time, fx: &mut Fx) {
        self.said.clear();
        (self.asked, self.decided, self.building) = (None, false, false);
        if self.is_leader() {
            self.build(now, fx);
        }
        self.arm(now, fx);
    }

    fn build(&mut self, now: Time, fx: &mut Fx) {
        self.building = true;
        fx.push(Effect::Build { slot: self.slot(), parent: self.floor.id, deadline: now, empty: true });
    }

    fn arm(&mut self, now: Time, fx: &mut Fx) {
        let at = now.after(core::time::Duration::from_millis(500));
        self.timer = Some(at);
        fx.push(Effect::SetTimer { id: REPEAT, at });
    }

    /// Once a height, which the gate sees to across crashes.
    fn say(&mut self, value: LabValue, fx: &mut Fx) {
        if self.asked.is_none() && !self.said.contains_key(&self.setup.me) && value.parent() == self.floor.id {
            let statement = Statement::about(View::first(self.slot()), Step::Vote2, value.id().0);
            self.asked = Some((fx.sign(statement, Domain::CommittedSeal, committed_digest(value.id()).0), value));
        }
    }

    fn tell(&self, yes: Yes, fx: &mut Fx) {
        let to = self.committee().iter().flat_map(|c| c.members.clone()).filter(|a| *a != self.setup.me).collect();
        fx.push(Effect::Broadcast { to, msg: yes, class: Class::Vote, after: None });
    }

    fn receive(&mut self, yes: Yes, fx: &mut Fx) {
        let Some(committee) = self.committee() else { return };
        let signed = MockAuthors.author(committed_digest(yes.value.id()), &yes.seal) == Some(yes.from);
        if !signed || !committee.is_member(yes.from) || yes.value.height() != self.floor.next_height() {
            return;
        }
        // Only the leader's word starts a vote, except that a leader who forgot learns its own from the others.
        let me_too = yes.from == committee.proposer || self.is_leader();
        if me_too && self.asked.is_none() && !self.said.contains_key(&self.setup.me) {
            fx.push(Effect::Check { slot: self.slot(), value: yes.value.clone() });
        }
        self.count(yes, fx);
    }

    fn count(&mut self, yes: Yes, fx: &mut Fx) {
        self.said.entry(yes.from).or_insert(yes);
        let Some(mine) = self.said.get(&self.setup.me).map(|yes| yes.value.clone()) else { return };
        let all = self
            .committee()
            .is_some_and(|c| c.members.iter().all(|a| self.said.get(a).is_some_and(|y| y.value.id() == mine.id())));
        if all && !self.decided {
            self.decided = true;
            let cert = CommittedSeals { round: Round::ZERO, seals: self.said.values().map(|yes| yes.seal).collect() };
            fx.push(Effect::Decide { slot: self.slot(), value: mine, cert, after: None });
        }
    }
}
