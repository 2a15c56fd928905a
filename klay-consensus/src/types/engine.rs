//! The contract between an engine and its host.
//!
//! An engine is a value. It has no clock, thread, socket, disk or randomness: inputs go in, effects come out, and the
//! same inputs give the same effects on every platform.
//!
//! | Id | Rule |
//! |---|---|
//! | EN-1 | [`Engine::step`] is total: it never panics, never loops without bound, and allocates within stated limits whatever the input |
//! | EN-2 | no iteration over hash maps, no floats, no thread-local state, no clock |
//! | EN-3 | an effect that speaks in our name carries `after`; the host performs it only once that place of the log is durable |
//! | EN-4 | own messages are applied in the step that sends them; they are never delivered to their sender |
//! | EN-5 | messages are authenticated before they count; `checked: false` in [`Input::Message`] leaves that to the engine |
//! | EN-6 | a duplicate, old or replayed input changes nothing |
//! | EN-7 | an engine opened on its log cannot contradict any message that it may have sent |
//! | EN-8 | effects are ordered; a host may reorder only what goes to different peers |
//! | EN-9 | every message that is not used is answered by [`Effect::Rejected`](super::Effect::Rejected) |
//! | EN-10 | every rule that fires emits [`Effect::Trace`](super::Effect::Trace) with its id |
//!
//! Source: chapter 50, section 5.3.

use core::{fmt::Debug, time::Duration};

use super::{Effects, Floor, Height, Lsn, Model, Record, Round, SignRefused, Slot, Ticket, Time, TimerId};

/// The opinion of the application on a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be decided.
    Valid,
    /// It must not be decided, ever.
    Invalid(&'static str),
    /// Ask again after that span: its timestamp lies ahead.
    NotYet {
        /// Until it becomes decidable.
        wait: Duration,
    },
}

/// Why the application could not apply a decided value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The value does not execute to what it claims.
    #[error("the value is invalid")]
    Invalid,
    /// The store failed.
    #[error("storage failed")]
    Storage,
}

/// Something that happened to an engine.
#[derive(Debug, Clone)]
pub enum Input<M: Model, Msg> {
    /// The host is ready; sent once, before anything else.
    Start,
    /// A message from a peer.
    Message {
        /// Who sent it, as authenticated by the transport. Where messages are passed on, that need not be who signed it,
        /// and some count from their signer only.
        from: M::Peer,
        /// The message.
        msg: Msg,
        /// Whether the host has already checked its signatures (EN-5).
        checked: bool,
    },
    /// A timer fired.
    Timer(TimerId),
    /// The answer to [`Effect::Build`](super::Effect::Build).
    Built {
        /// The slot that it was asked for.
        slot: Slot,
        /// The value; `None` if there is nothing to decide.
        value: Option<M::Value>,
    },
    /// The answer to [`Effect::Check`](super::Effect::Check).
    Verdict {
        /// The slot that it was asked for.
        slot: Slot,
        /// The value's name.
        id: M::Id,
        /// The opinion.
        verdict: Verdict,
    },
    /// Everything in the log up to this place is durable.
    Durable(Lsn),
    /// The chain moved: an own decision is applied, or a synchronisation brought blocks.
    Head {
        /// Where it stands.
        floor: Floor<M>,
    },
    /// The answer to [`Effect::Decide`](super::Effect::Decide).
    Applied {
        /// The value's name.
        id: M::Id,
        /// Whether it is applied.
        result: Result<(), ApplyError>,
    },
    /// The committee of this height can now be looked up.
    Sets {
        /// The height.
        height: Height,
    },
    /// The answer to [`Effect::Sign`](super::Effect::Sign).
    Signed {
        /// Which request.
        ticket: Ticket,
        /// The signature, or why there is none.
        result: Result<M::Sig, SignRefused>,
    },
    /// A peer came or went.
    Peer {
        /// Who.
        peer: M::Peer,
        /// Whether it is connected.
        up: bool,
    },
    /// The application has something to put into a value.
    Demand,
    /// The host is about to stop; nothing will be performed any more.
    Stop,
}

/// Message delays that an engine needs when nothing goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// Until the next value can be proposed.
    pub block: u8,
    /// Until a value is final.
    pub finality: u8,
}

/// Why an engine cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refuse {
    /// A setting that can never work.
    #[error("{setting}: {reason}")]
    Config {
        /// The setting.
        setting: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// A log without which what was said cannot be kept to.
    #[error("the log: {0}")]
    Log(&'static str),
    /// The key that signs is not in the set that decides.
    #[error("the signing key does not belong to the validators of height {0}")]
    NotValidator(Height),
    /// The log speaks of a slot that the chain has not reached: it belongs to another chain or an older copy of it.
    #[error("the log is at slot {log}, the chain only at {chain}")]
    ChainBehindLog {
        /// Highest slot in the log.
        log: Slot,
        /// The next slot of the chain.
        chain: Slot,
    },
}

/// A configuration that knows whether it can work.
pub trait Validate {
    /// Refuses what can never work.
    ///
    /// # Errors
    /// Naming the setting.
    fn validate(&self) -> Result<(), Refuse>;
}

/// Where an engine stands, for RPC, metrics and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status<M: Model> {
    /// The height being decided.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The engine's own word for its state.
    pub state: &'static str,
    /// Whether it waits for others to join a higher round.
    pub waiting: bool,
    /// Who may propose now, if known.
    pub proposer: Option<M::Peer>,
    /// The value under discussion.
    pub proposal: Option<M::Id>,
    /// The value it will not abandon, and since which round.
    pub lock: Option<(Round, M::Id)>,
    /// First votes counted.
    pub vote1: u32,
    /// Second votes counted.
    pub vote2: u32,
    /// Requests for a new round counted.
    pub skips: u32,
    /// Messages kept for later.
    pub backlog: u32,
}

/// A consensus protocol. See [the rules of the contract](crate::types::engine).
pub trait Engine<M: Model>: Sized {
    /// What it says to its peers.
    type Msg: Clone + Debug + Send + 'static;
    /// What it keeps in the log.
    type Record: Record;
    /// How it is set up.
    type Config: Validate;

    /// Its name, written into the log: a log of another engine is refused.
    const NAME: &'static str;
    /// Its speed in message delays.
    const DELAYS: Delays;

    /// Opens the engine at `floor` with the records it has persisted and that are not pruned, in order.
    ///
    /// # Errors
    /// If the configuration cannot work or the log does not fit the chain.
    fn open(config: Self::Config, floor: Floor<M>, log: Vec<Self::Record>) -> Result<Self, Refuse>;

    /// Handles one input at time `now`, which never goes back, and adds what follows from it to `fx`.
    fn step(&mut self, now: Time, input: Input<M, Self::Msg>, fx: &mut Effects<M, Self::Msg, Self::Record>);

    /// The earliest timer that is set.
    fn deadline(&self) -> Option<Time>;

    /// Where the engine stands.
    fn status(&self) -> Status<M>;
}

/// The message of an engine that talks to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Never {}
