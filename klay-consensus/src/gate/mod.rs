//! The gate: the only owner of the signing key.
//!
//! No engine holds a key. It asks the gate, in words that every engine shares ([`Statement`]), and the gate answers
//! with a signature only if the key has never said anything that contradicts it, in this process or any before, and
//! only after the statement is durable. A wrong engine can stall behind a gate; it cannot fork a chain with our key.
//!
//! | Statement | Refused if |
//! |---|---|
//! | any | its view and step were used for another value |
//! | any | its view and step lie below the last one allowed |
//! | any | its slot is at or below the floor (the chain's head, or what an operator set) |
//! | second vote, skip | the other one was made in that view, where the engine's rules say so |
//!
//! Beside the key lies an *anchor*: the highest slot signed. A key whose log is missing or ends below its anchor is
//! refused, since what it said is forgotten; [`GateOptions::resume`] is the operator's word on how to go on. A
//! [`GateState`] takes a key's memory to another machine.
//!
//! Source: chapter 50, section 5.4.

mod anchor;
mod memory;
mod state;

use std::io;

pub(crate) use self::memory::Memory;
use self::{anchor::Anchor, memory::Allowed};
use crate::{
    types::{
        Domain, Lsn, Model, Record, RecordKind, Round, SignError, SignRefused, Signer, Slot, Statement, Step, View,
    },
    wal::{Disk, Entry, Identity, Log, LogError, OpenError},
};

pub use anchor::anchored;
pub use memory::{Conflict, GateRules};
pub use state::{BadState, GateState, MoveError, StateRecord};

/// Why a gate cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GateOpenError {
    /// The log cannot be read or belongs to somebody else.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The log refused the record of a resumption.
    #[error(transparent)]
    Write(#[from] LogError),
    /// The anchor cannot be read or written.
    #[error("the anchor cannot be used: {0}")]
    Anchor(io::ErrorKind),
    /// The key has signed, but the log is missing or an older copy.
    #[error("the key has signed in slot {anchor}, the log ends at {}", log.map_or_else(|| "none".to_owned(), |s| s.to_string()))]
    LostLog {
        /// Highest slot signed.
        anchor: Slot,
        /// Highest slot in the log, if any.
        log: Option<Slot>,
    },
    /// The operator's word is not true: the key has signed there.
    #[error("cannot resume with nothing signed from slot {unsigned} on: the key has signed in slot {anchor}")]
    ResumeTooLow {
        /// Where the key has not signed, by the operator's word.
        unsigned: Slot,
        /// Highest slot signed.
        anchor: Slot,
    },
    /// A record of a statement does not parse.
    #[error("record {0} is not a statement")]
    BadStatement(Lsn),
}

/// Why the gate did not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// It would contradict what was said.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// It cannot be remembered.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The anchor cannot be raised.
    #[error("the anchor cannot be written: {0}")]
    Anchor(io::ErrorKind),
    /// [`Gate::commit`] has to come between admission and signature.
    #[error("record {lsn} is not durable yet")]
    NotDurable {
        /// The statement's place.
        lsn: Lsn,
    },
    /// The signer failed.
    #[error(transparent)]
    Signer(#[from] SignError),
}

impl From<GateError> for SignRefused {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Conflict(conflict) => Self::Conflict(conflict),
            GateError::Signer(error) => Self::Signer(error),
            GateError::Log(_) | GateError::Anchor(_) | GateError::NotDurable { .. } => Self::Off,
        }
    }
}

/// How a gate is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct GateOptions {
    /// Which statements exclude each other.
    pub rules: GateRules,
    /// The last decided slot of the chain.
    pub floor: Slot,
    /// The highest slot of other anchors of the key, see [`anchored`]. The gate's own one is raised to it.
    pub anchored: Option<Slot>,
    /// An operator's word, after the log was lost.
    pub resume: Option<Resume>,
}

/// An operator's word on a key whose log was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// No copy of the key has signed anything in or above this slot.
    pub unsigned: Slot,
    /// The gate signs above this slot alone: the last one of the height in which the other one lies.
    pub above: Slot,
}

/// A statement that the gate has allowed and taken into the log. Turns into a signature once.
#[derive(Debug)]
#[must_use = "an admitted statement is meant to be signed"]
pub struct Admitted {
    lsn: Lsn,
    slot: Slot,
}

/// The owner of a key and of the log of what it said.
#[derive(Debug)]
pub struct Gate<S, D> {
    signer: S,
    log: Log<D>,
    anchor: Option<Anchor<D>>,
    memory: Memory,
    /// Why the anchor cannot be raised any more.
    off: Option<io::ErrorKind>,
}

impl<S, D: Disk> Gate<S, D> {
    /// Opens the log in `disk` for `identity` and returns the engine's records in it, in order. Those of slots that the
    /// chain has left behind are not among them, whether or not the log still holds them: it forgets whole segments,
    /// and an engine should not have to go through what is left of one.
    ///
    /// `anchor` is the folder beside the key; without it the loss of a log goes unnoticed, which suits only keys that
    /// are never used again after their process ends.
    ///
    /// # Errors
    /// If the log or the anchor cannot be used, or the log does not contain what the key has said.
    pub fn open(
        signer: S,
        disk: D,
        anchor: Option<D>,
        identity: Identity,
        options: GateOptions,
    ) -> Result<(Self, Vec<Entry>), GateOpenError> {
        let (gate, mut entries) = Gate::open_whole(disk, anchor, identity, options)?;
        let needed = needed_from(gate.memory.floor());
        entries.retain(|entry| !matches!(entry.kind, RecordKind::Signed | RecordKind::Floor) && entry.slot >= needed);
        let Gate { signer: (), log, anchor, memory, off } = gate;
        Ok((Self { signer, log, anchor, memory, off }, entries))
    }

    fn remember(&mut self, entries: &[Entry]) -> Result<Option<Slot>, GateOpenError> {
        let mut highest = None;
        for entry in entries {
            match entry.kind {
                RecordKind::Signed => {
                    let statement = decode(entry).ok_or(GateOpenError::BadStatement(entry.lsn))?;
                    self.memory.note(&statement);
                }
                RecordKind::Floor => self.memory.raise_floor(entry.slot),
                _ => continue,
            }
            highest = highest.max(Some(entry.slot));
        }
        Ok(highest)
    }

    fn match_anchor(&mut self, log: Option<Slot>, options: GateOptions) -> Result<(), GateOpenError> {
        let GateOptions { anchored, resume, .. } = options;
        let signed = self.anchor.as_ref().and_then(Anchor::slot).max(anchored);
        if let Some(Resume { unsigned, above }) = resume {
            if let Some(anchor) = signed.max(log).filter(|signed| *signed >= unsigned) {
                return Err(GateOpenError::ResumeTooLow { unsigned, anchor });
            }
            let floor = above.max(unsigned);
            let lsn = self.log.next_lsn();
            self.log.append(lsn, floor, RecordKind::Floor, Vec::new())?;
            self.log.sync()?;
            self.memory.raise_floor(floor);
            return self.raise_anchor(floor);
        }
        match signed {
            Some(anchor) if log.is_none_or(|log| log < anchor) => Err(GateOpenError::LostLog { anchor, log }),
            Some(anchor) => self.raise_anchor(anchor),
            None => Ok(()),
        }
    }

    fn raise_anchor(&mut self, slot: Slot) -> Result<(), GateOpenError> {
        let raised = self.anchor.as_mut().map_or(Ok(()), |anchor| anchor.raise(slot));
        raised.map_err(|error| GateOpenError::Anchor(error.kind()))
    }

    /// Checks a statement and takes it into the log at `lsn`. Not durable before [`Self::commit`].
    ///
    /// # Errors
    /// If it contradicts an earlier one, or cannot be recorded.
    pub fn admit(&mut self, lsn: Lsn, statement: &Statement) -> Result<Admitted, GateError> {
        let slot = statement.view.slot;
        if self.memory.check(statement)? == Allowed::New {
            self.log.append(lsn, slot, RecordKind::Signed, encode(statement))?;
            self.memory.note(statement);
        }
        Ok(Admitted { lsn, slot })
    }

    /// Takes a record of the engine into the log at `lsn`. Not durable before [`Self::commit`].
    ///
    /// # Errors
    /// If it cannot be recorded.
    pub fn persist(&mut self, lsn: Lsn, record: &impl Record) -> Result<(), LogError> {
        let mut body = Vec::new();
        record.encode(&mut body);
        self.log.append(lsn, record.slot(), record.kind(), body)
    }

    /// Makes everything admitted and persisted so far durable.
    ///
    /// # Errors
    /// If that fails; the gate signs nothing any more.
    pub fn commit(&mut self) -> Result<Lsn, LogError> {
        self.log.sync()
    }

    /// Signs a digest that carries an admitted statement.
    ///
    /// The gate does not know digests: that this one says what was admitted is the engine's duty.
    ///
    /// # Errors
    /// If the statement is not durable yet, the anchor cannot be raised, or the signer fails.
    pub fn sign<M: Model>(&mut self, admitted: Admitted, domain: Domain, digest: [u8; 32]) -> Result<M::Sig, GateError>
    where
        S: Signer<M>,
    {
        if self.off.is_some() {
            return Err(LogError::Failed.into());
        }
        if !self.log.is_durable() && self.log.durable() < admitted.lsn {
            return Err(GateError::NotDurable { lsn: admitted.lsn });
        }
        if let Some(anchor) = &mut self.anchor
            && let Err(error) = anchor.raise(admitted.slot)
        {
            self.off = Some(error.kind());
            return Err(GateError::Anchor(error.kind()));
        }
        Ok(self.signer.sign(domain, digest)?)
    }

    /// [`Self::admit`] and [`Self::commit`] in one: the statement is durable when this returns.
    ///
    /// # Errors
    /// As both.
    pub fn authorize(&mut self, statement: &Statement) -> Result<Admitted, GateError> {
        let admitted = self.admit(self.log.next_lsn(), statement)?;
        self.commit()?;
        Ok(admitted)
    }

    /// The chain has decided `slot` and will not lose it: nothing is signed there any more, and older records may go.
    /// The note of it takes `lsn`.
    ///
    /// # Errors
    /// If the note cannot be written or old segments cannot be removed.
    pub fn raise_floor(&mut self, lsn: Lsn, slot: Slot) -> Result<(), LogError> {
        self.memory.raise_floor(slot);
        self.log.append(lsn, slot, RecordKind::Floor, Vec::new())?;
        let below = needed_from(slot);
        if self.log.can_prune(below) {
            // The log must not end below the anchor once older statements are gone.
            self.log.sync()?;
            self.log.prune(below)?;
        }
        Ok(())
    }

    /// The slot at and below which nothing is signed.
    pub const fn floor(&self) -> Slot {
        self.memory.floor()
    }

    /// The highest slot in which something was signed, as far as the log goes back.
    pub fn highest_slot(&self) -> Option<Slot> {
        self.memory.highest_slot()
    }

    /// The place for the next record: what [`Effects::new`](crate::types::Effects::new) starts from.
    pub const fn next_lsn(&self) -> Lsn {
        self.log.next_lsn()
    }

    /// The highest place that is durable.
    pub const fn durable(&self) -> Lsn {
        self.log.durable()
    }

    /// Why nothing is signed any more, once the log or the anchor has failed.
    pub fn failure(&self) -> Option<GateError> {
        let log = self.log.failure().map(|kind| LogError::Io(kind).into());
        log.or_else(|| self.off.map(GateError::Anchor))
    }

    /// The signer, for its identity.
    pub const fn signer(&self) -> &S {
        &self.signer
    }
}

impl<D: Disk> Gate<(), D> {
    /// Opens log and anchor without a key, and returns everything in the log.
    fn open_whole(
        disk: D,
        anchor: Option<D>,
        identity: Identity,
        options: GateOptions,
    ) -> Result<(Self, Vec<Entry>), GateOpenError> {
        let anchor = match anchor {
            Some(disk) => {
                let opened = Anchor::open(disk, identity.chain_id);
                let settled = opened.and_then(|mut anchor| anchor.settle().map(|()| anchor));
                Some(settled.map_err(|e| GateOpenError::Anchor(e.kind()))?)
            }
            None => None,
        };
        let (log, entries) = Log::open(disk, identity)?;
        let memory = Memory::new(options.rules, options.floor);
        let mut gate = Self { signer: (), log, anchor, memory, off: None };
        let highest = gate.remember(&entries)?;
        gate.match_anchor(highest, options)?;
        Ok((gate, entries))
    }
}

/// The lowest slot whose records may still be asked for when the chain has decided `floor`.
const fn needed_from(floor: Slot) -> Slot {
    floor.saturating_sub(2)
}

/// Reads back an engine's records, as [`Gate::open`] returns them.
///
/// # Errors
/// If one does not parse.
pub fn records<R: Record>(entries: Vec<Entry>) -> Result<Vec<R>, crate::types::Malformed> {
    entries.into_iter().map(|entry| R::decode(entry.kind, &entry.body)).collect()
}

/// The statement in an entry of the log, if it is one.
#[cfg(feature = "simulate")]
pub(crate) fn statement(entry: &Entry) -> Option<Statement> {
    if entry.kind == RecordKind::Signed { decode(entry) } else { None }
}

fn encode(statement: &Statement) -> Vec<u8> {
    let mut body = statement.view.round.get().to_le_bytes().to_vec();
    body.push(statement.step as u8);
    if let Some(id) = statement.id {
        body.extend_from_slice(&id);
    }
    body
}

fn decode(entry: &Entry) -> Option<Statement> {
    let (round, rest) = entry.body.split_first_chunk::<8>()?;
    let (step, id) = rest.split_first()?;
    let id = if id.is_empty() { None } else { Some(<[u8; 32]>::try_from(id).ok()?) };
    let view = View::new(entry.slot, Round::new(u64::from_le_bytes(*round)));
    Some(Statement { view, step: Step::from_byte(*step)?, id })
}
