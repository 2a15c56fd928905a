//! One authority that decides alone: for development chains and tests.
//!
//! Its blocks carry a full Istanbul `extra` with one validator: the proposer's seal and one committed seal, so that any
//! follower of an Istanbul chain accepts them. It signs through the gate like every other engine.
//!
//! | Id | Rule |
//! |---|---|
//! | DV-1 | at an interval: a value is asked for each period, or, without empty blocks, as soon after it as one is wanted |
//! | DV-2 | instant: a value is asked for whenever one is wanted and none is on its way |
//! | DV-3 | a built value is used only if it is the one last asked for and follows the head |
//! | DV-4 | the round is recorded before the first signature in it |
//! | DV-5 | sealed once, committed once, then decided; nobody hears of a value before it is applied |
//! | DV-6 | a round whose value was lost in a crash or refused by the application is not used again: the next round is |
//! | DV-7 | a refused signature stops the engine |
//!
//! DV-6 makes a crash harmless: a value that was signed but never applied was never shown to anybody (DV-5), and the
//! next round may decide another one without contradicting a statement of the same view.

mod config;
mod record;

use alloy_primitives::{Address, B256};
use klay_core::block::IstanbulExtra;

pub use config::{DevConfig, Pace};
pub use record::DevRecord;

use crate::{
    istanbul::{
        CommittedSeals, HeaderValue, Klaytn,
        seal::{self, Seal},
    },
    types::{
        ApplyError, Delays, Domain, Effect, Effects, Engine, Floor, Input, Never, Refuse, Round, SignRefused, Slot,
        Statement, Status, Step, Ticket, Time, TimerId, Validate, View,
    },
};

const PERIOD: TimerId = TimerId::new(0);

/// The engine. See [its rules](crate::dev).
#[derive(Debug)]
pub struct Dev<V: HeaderValue> {
    config: DevConfig,
    floor: Floor<Klaytn<V>>,
    round: Round,
    state: State<V>,
    /// Whether somebody wants a value.
    demand: bool,
    /// Whether the period allows one.
    due: bool,
    timer: Option<Time>,
    next_tick: Time,
}

#[derive(Debug)]
enum State<V> {
    Idle,
    Building,
    Sealing { ticket: Ticket, value: V },
    Committing { ticket: Ticket, value: V },
    Applying { id: B256 },
    Stopped,
}

type Fx<V> = Effects<Klaytn<V>, Never, DevRecord>;

impl<V: HeaderValue> Engine<Klaytn<V>> for Dev<V> {
    type Msg = Never;
    type Record = DevRecord;
    type Config = DevConfig;

    const NAME: &'static str = "dev";
    const DELAYS: Delays = Delays { block: 0, finality: 0 };

    fn open(config: DevConfig, floor: Floor<Klaytn<V>>, log: Vec<DevRecord>) -> Result<Self, Refuse> {
        config.validate()?;
        let next = floor.next_slot();
        let mut round = Round::ZERO;
        for DevRecord { entered } in log {
            if entered.slot > next {
                return Err(Refuse::ChainBehindLog { log: entered.slot, chain: next });
            }
            if entered.slot == next {
                round = round.max(entered.round.saturating_add(1)); // DV-6
            }
        }
        let next_tick = floor.next_at;
        Ok(Self { config, floor, round, state: State::Idle, demand: true, due: false, timer: None, next_tick })
    }

    fn step(&mut self, now: Time, input: Input<Klaytn<V>, Never>, fx: &mut Fx<V>) {
        if matches!(self.state, State::Stopped) {
            return;
        }
        match input {
            Input::Start => self.begin(now, fx),
            Input::Demand => {
                self.demand = true;
                self.try_build(now, fx);
            }
            Input::Timer(PERIOD) => {
                self.timer = None;
                self.due = true;
                self.try_build(now, fx);
            }
            Input::Built { slot, value } => self.built(now, slot, value, fx),
            Input::Signed { ticket, result } => self.signed(ticket, result, fx),
            Input::Applied { id, result } => self.applied(now, id, result, fx),
            Input::Head { floor } => self.head(now, floor, fx),
            Input::Stop => self.state = State::Stopped,
            // Nobody else takes part, and this engine persists nothing that it waits for.
            Input::Message { msg, .. } => match msg {},
            Input::Timer(_) | Input::Verdict { .. } | Input::Durable(_) | Input::Sets { .. } | Input::Peer { .. } => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timer
    }

    fn status(&self) -> Status<Klaytn<V>> {
        let (state, proposal) = match &self.state {
            State::Idle => ("idle", None),
            State::Building => ("building", None),
            State::Sealing { value, .. } => ("sealing", Some(value.id())),
            State::Committing { value, .. } => ("committing", Some(value.id())),
            State::Applying { id } => ("applying", Some(*id)),
            State::Stopped => ("stopped", None),
        };
        Status {
            height: self.floor.next_height(),
            round: self.round,
            state,
            waiting: false,
            proposer: Some(self.config.me),
            proposal,
            lock: None,
            vote1: 0,
            vote2: 0,
            skips: 0,
            backlog: 0,
        }
    }
}

impl<V: HeaderValue> Dev<V> {
    /// The authority.
    pub const fn authority(&self) -> Address {
        self.config.me
    }

    fn begin(&mut self, now: Time, fx: &mut Fx<V>) {
        self.demand = true;
        self.rest(now, fx);
        self.try_build(now, fx);
    }

    fn rest(&mut self, now: Time, fx: &mut Fx<V>) {
        self.state = State::Idle;
        match self.config.pace {
            Pace::Interval { .. } if self.next_tick > now => self.arm(fx),
            Pace::Interval { .. } | Pace::Instant => self.due = true,
        }
    }

    fn arm(&mut self, fx: &mut Fx<V>) {
        self.due = false;
        self.timer = Some(self.next_tick);
        fx.push(Effect::SetTimer { id: PERIOD, at: self.next_tick });
    }

    fn try_build(&mut self, now: Time, fx: &mut Fx<V>) {
        let (empty, rule) = match self.config.pace {
            Pace::Instant => (false, "DV-2"),
            Pace::Interval { empty, .. } => (empty, "DV-1"),
        };
        if !matches!(self.state, State::Idle) || !self.due || !(self.demand || empty) {
            return;
        }
        fx.trace(rule);
        if let Pace::Interval { period, .. } = self.config.pace {
            // Keeps the beat, but does not make up for beats that were missed.
            self.next_tick = self.next_tick.after(period);
            if self.next_tick <= now {
                self.next_tick = now.after(period);
            }
            self.arm(fx);
        }
        self.demand = false;
        self.state = State::Building;
        let deadline = now.after(self.config.build_time);
        fx.push(Effect::Build { slot: self.floor.next_slot(), parent: self.floor.id, deadline, empty });
    }

    fn built(&mut self, now: Time, slot: Slot, value: Option<V>, fx: &mut Fx<V>) {
        if !matches!(self.state, State::Building) || slot != self.floor.next_slot() {
            return fx.trace("DV-3");
        }
        self.state = State::Idle;
        let Some(value) = value else {
            return self.try_build(now, fx);
        };
        let follows = value.parent() == self.floor.id && value.height() == self.floor.next_height();
        if !follows || IstanbulExtra::decode(&value.header().extra).is_err() {
            return fx.trace("DV-3");
        }
        fx.trace("DV-4");
        let view = self.view();
        fx.persist(DevRecord { entered: view });
        let statement = Statement::about(view, Step::Proposal, value.content_id().0);
        let digest = seal::proposer_digest(value.header());
        let ticket = fx.sign(statement, Domain::ProposerSeal, digest.0);
        self.state = State::Sealing { ticket, value };
    }

    fn signed(&mut self, ticket: Ticket, result: Result<Seal, SignRefused>, fx: &mut Fx<V>) {
        match core::mem::replace(&mut self.state, State::Stopped) {
            State::Sealing { ticket: asked, value } if asked == ticket => {
                if let Some(sealed) = result.ok().and_then(|s| seal::with_seal(&value.header().extra, &s).ok()) {
                    return self.commit(value.with_extra(sealed), fx);
                }
            }
            State::Committing { ticket: asked, value } if asked == ticket => {
                if let Ok(seal) = result {
                    return self.decide(value, seal, fx);
                }
            }
            other => {
                self.state = other;
                return;
            }
        }
        fx.trace("DV-7");
    }

    fn commit(&mut self, value: V, fx: &mut Fx<V>) {
        let id = value.id();
        let statement = Statement::about(self.view(), Step::Vote2, id.0);
        let ticket = fx.sign(statement, Domain::CommittedSeal, seal::committed_digest(id).0);
        self.state = State::Committing { ticket, value };
    }

    fn decide(&mut self, value: V, seal: Seal, fx: &mut Fx<V>) {
        fx.trace("DV-5");
        self.state = State::Applying { id: value.id() };
        let cert = CommittedSeals { round: self.round, seals: vec![seal] };
        fx.push(Effect::Decide { slot: self.floor.next_slot(), value, cert, after: None });
    }

    fn applied(&mut self, now: Time, asked: B256, result: Result<(), ApplyError>, fx: &mut Fx<V>) {
        if !matches!(&self.state, State::Applying { id } if *id == asked) {
            return;
        }
        match result {
            Ok(()) => {} // The head follows.
            Err(ApplyError::Storage) => self.state = State::Stopped,
            Err(_) => {
                fx.trace("DV-6");
                self.round = self.round.saturating_add(1);
                // Not at once: the same transactions would give the same value.
                self.demand = false;
                self.rest(now, fx);
            }
        }
    }

    fn head(&mut self, now: Time, floor: Floor<Klaytn<V>>, fx: &mut Fx<V>) {
        if floor.height <= self.floor.height {
            return;
        }
        self.floor = floor;
        self.round = Round::ZERO;
        fx.push(Effect::Prune { below: self.floor.next_slot() });
        self.begin(now, fx);
    }

    const fn view(&self) -> View {
        View::new(self.floor.next_slot(), self.round)
    }
}
