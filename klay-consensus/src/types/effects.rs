//! What an engine asks its host to do.

use super::{Domain, Evidence, Height, Lsn, Model, Rejected, Slot, Statement, Ticket, Time, TimerId};

/// How urgent a message is, and which bound it falls under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A few hundred bytes that decide something.
    Vote,
    /// Carries a value.
    Proposal,
    /// Helps somebody who is behind.
    Sync,
}

/// Something an engine misses and a host may fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted<M: Model> {
    /// A value that is certified but unknown.
    Value {
        /// Its name.
        id: M::Id,
    },
    /// The certificate of a slot.
    Certificate {
        /// The slot.
        slot: Slot,
    },
    /// The decided chain up to a height that others have reached.
    Height {
        /// That height.
        height: Height,
    },
}

/// One thing that an engine asks for. Performed in order; only sends to different peers may be reordered (EN-8).
#[derive(Debug, Clone)]
pub enum Effect<M: Model, Msg, R> {
    /// Append to the log, then report [`Input::Durable`](super::Input::Durable) once it cannot be lost.
    Persist {
        /// What to write.
        record: R,
        /// Its place in the log.
        lsn: Lsn,
    },
    /// Have the gate allow and sign `statement`; the answer is [`Input::Signed`](super::Input::Signed).
    ///
    /// The gate's own record of the statement takes `lsn`, and everything persisted before it becomes durable first.
    Sign {
        /// Which request this is.
        ticket: Ticket,
        /// What the signature says.
        statement: Statement,
        /// What kind of digest it is.
        domain: Domain,
        /// What to sign.
        digest: [u8; 32],
        /// The place of the statement in the log.
        lsn: Lsn,
    },
    /// Send to one peer.
    Send {
        /// The peer.
        to: M::Peer,
        /// The message.
        msg: Msg,
        /// Its class.
        class: Class,
        /// Not before this is durable (EN-3).
        after: Option<Lsn>,
    },
    /// Send our own message to several peers. Never to ourselves: the engine has already counted it (EN-4).
    Broadcast {
        /// The peers.
        to: Vec<M::Peer>,
        /// The message.
        msg: Msg,
        /// Its class.
        class: Class,
        /// Not before this is durable (EN-3).
        after: Option<Lsn>,
    },
    /// Pass on a message of somebody else. The engine asks each time that it accepts the message; the host does it once,
    /// or messages go round in circles.
    Relay {
        /// The peers.
        to: Vec<M::Peer>,
        /// The message.
        msg: Msg,
        /// Its class.
        class: Class,
    },
    /// Call back at `at` with [`Input::Timer`](super::Input::Timer); replaces a timer of the same name.
    SetTimer {
        /// Its name.
        id: TimerId,
        /// When.
        at: Time,
    },
    /// Forget a timer.
    Cancel(TimerId),
    /// Make a value for `slot`; the answer is [`Input::Built`](super::Input::Built). A newer request replaces it.
    Build {
        /// The slot.
        slot: Slot,
        /// The value it must follow.
        parent: M::Id,
        /// When the value should be ready at the latest.
        deadline: Time,
        /// Whether an empty value is wanted too; otherwise the answer may be "nothing to decide".
        empty: bool,
    },
    /// Check a value; the answer is [`Input::Verdict`](super::Input::Verdict).
    Check {
        /// The slot.
        slot: Slot,
        /// The value.
        value: M::Value,
    },
    /// `value` is final. Apply it, make it durable, then report [`Input::Applied`](super::Input::Applied) and
    /// [`Input::Head`](super::Input::Head).
    Decide {
        /// The slot.
        slot: Slot,
        /// The value.
        value: M::Value,
        /// The proof.
        cert: M::Cert,
        /// Not before this is durable (EN-3).
        after: Option<Lsn>,
    },
    /// Fetch something if possible; there is no answer but the thing itself.
    Need(Wanted<M>),
    /// Somebody contradicted itself.
    Evidence(Evidence<M::Peer>),
    /// A rule fired: chapter 50's id, and what about (EN-10).
    Trace(&'static str, Detail),
    /// A message was not used (EN-9).
    Rejected {
        /// Who sent it.
        from: M::Peer,
        /// Why.
        why: Rejected,
    },
    /// Nothing below this slot is needed again. The host notes that after everything else in the step: what was persisted
    /// and signed in it has earlier places in the log.
    Prune {
        /// The first slot that is.
        below: Slot,
    },
}

/// What a traced rule was about, where a number says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Detail {
    /// The view it fired in, if any.
    pub view: Option<super::View>,
    /// A count, if the rule compares one.
    pub count: Option<u32>,
}

/// Collects the effects of a step in order and numbers what goes into the log.
#[derive(Debug, Clone)]
pub struct Effects<M: Model, Msg, R> {
    list: Vec<Effect<M, Msg, R>>,
    next_lsn: Lsn,
    next_ticket: Ticket,
}

impl<M: Model, Msg, R> Effects<M, Msg, R> {
    /// An empty collection whose first record gets `next_lsn`, the place after the last one in the log.
    pub const fn new(next_lsn: Lsn) -> Self {
        Self { list: Vec::new(), next_lsn, next_ticket: Ticket::ZERO }
    }

    /// Adds an effect that needs no number.
    pub fn push(&mut self, effect: Effect<M, Msg, R>) {
        self.list.push(effect);
    }

    /// Asks for a record to be written and returns its place.
    pub fn persist(&mut self, record: R) -> Lsn {
        let lsn = self.reserve();
        self.list.push(Effect::Persist { record, lsn });
        lsn
    }

    /// Asks for a signature and returns the ticket under which it will come.
    pub fn sign(&mut self, statement: Statement, domain: Domain, digest: [u8; 32]) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket = ticket.saturating_add(1);
        let lsn = self.reserve();
        self.list.push(Effect::Sign { ticket, statement, domain, digest, lsn });
        ticket
    }

    /// Notes that a rule fired.
    pub fn trace(&mut self, rule: &'static str) {
        self.list.push(Effect::Trace(rule, Detail::default()));
    }

    /// Takes a place in the log for a record that the host writes itself.
    pub const fn reserve(&mut self) -> Lsn {
        let lsn = self.next_lsn;
        self.next_lsn = lsn.saturating_add(1);
        lsn
    }

    /// Takes out everything collected so far, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect<M, Msg, R>> + '_ {
        self.list.drain(..)
    }

    /// The same as a list of its own; `spare`, which is emptied, takes its place.
    #[must_use]
    pub fn take(&mut self, mut spare: Vec<Effect<M, Msg, R>>) -> Vec<Effect<M, Msg, R>> {
        spare.clear();
        core::mem::replace(&mut self.list, spare)
    }

    /// What is collected so far.
    pub fn as_slice(&self) -> &[Effect<M, Msg, R>] {
        &self.list
    }

    /// Whether nothing is collected.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
