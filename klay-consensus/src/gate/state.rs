//! What a key has said, as one line of JSON: to move a key to another machine together with its memory.
//!
//! ```text
//! {"chainId":1001,"key":"0x…","engine":"justified","anchor":8,"floor":7,"records":[{"slot":8,"kind":1,"body":"0x…"}]}
//! ```
//!
//! The records are those above the floor, statements and the engine's own alike, so that the engine knows its locks on
//! the other side. There is one form of each state: fields in this order and no spaces. Whoever exports a state must not
//! sign with the key any more; nothing here can see to that.
//!
//! Source: chapter 50, section 5.4.

use core::fmt::{self, Write as _};
use std::io;

use alloy_primitives::hex;

use super::{Gate, GateOpenError, GateOptions, anchor::Anchor};
use crate::{
    types::{RecordKind, Slot},
    wal::{Disk, Entry, Identity, Log, LogError, MAX_BODY, OpenError},
};

/// Longest line that is read, in bytes.
const LONGEST: usize = 4 * MAX_BODY;

/// The memory of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateState {
    /// Chain, key and engine.
    pub identity: Identity,
    /// The highest slot in which the key has signed, if it has.
    pub anchor: Option<Slot>,
    /// Nothing is signed at or below this slot.
    pub floor: Slot,
    /// What the log holds above the floor, in order.
    pub records: Vec<StateRecord>,
}

/// One record of a [`GateState`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRecord {
    /// The slot it belongs to.
    pub slot: Slot,
    /// What it is.
    pub kind: RecordKind,
    /// Its content.
    pub body: Vec<u8>,
}

/// Why a text is not the state of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no gate state: {what} expected at byte {at}")]
pub struct BadState {
    /// What was expected.
    pub what: &'static str,
    /// Where.
    pub at: usize,
}

/// Why a state cannot be moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// The gate could not be opened here either.
    #[error(transparent)]
    Open(#[from] GateOpenError),
    /// There is nothing to export.
    #[error("there is no consensus log")]
    NoLog,
    /// There is a log already: two memories of one key are not put together.
    #[error("there is a consensus log already")]
    LogExists,
    /// The state belongs to somebody else.
    #[error("the state belongs to {found}, not to {expected}")]
    Foreign {
        /// Whose state was asked for.
        expected: Box<Identity>,
        /// Whose state it is.
        found: Box<Identity>,
    },
    /// The key has signed here in a later slot than the state knows of.
    #[error("the key has signed in slot {anchor} here, the state ends at {}", state.map_or_else(|| "none".to_owned(), |s| s.to_string()))]
    Older {
        /// Highest slot signed here.
        anchor: Slot,
        /// Highest slot that the state knows of, if any.
        state: Option<Slot>,
    },
    /// The folder cannot be read.
    #[error("the folder of the log cannot be read: {0}")]
    Folder(io::ErrorKind),
    /// The log does not take a record.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl From<OpenError> for MoveError {
    fn from(error: OpenError) -> Self {
        Self::Open(error.into())
    }
}

impl GateState {
    /// Reads the state out of a log and its anchor. Nothing must be using them. `anchored` is as in [`GateOptions`].
    ///
    /// # Errors
    /// If there is no log, or a gate would refuse it.
    pub fn export<D: Disk>(
        disk: D,
        anchor: Option<D>,
        anchored: Option<Slot>,
        identity: Identity,
    ) -> Result<Self, MoveError> {
        if !Log::exists(&disk).map_err(|e| MoveError::Folder(e.kind()))? {
            return Err(MoveError::NoLog);
        }
        let options = GateOptions { anchored, ..GateOptions::default() };
        let (gate, records) = Gate::open_whole(disk, anchor, identity.clone(), options)?;
        let floor = gate.floor();
        let kept = records.into_iter().filter(|entry| entry.kind != RecordKind::Floor && entry.slot > floor);
        let records = kept.map(|Entry { slot, kind, body, .. }| StateRecord { slot, kind, body }).collect();
        let anchor = gate.anchor.as_ref().and_then(Anchor::slot).max(gate.highest_slot());
        Ok(Self { identity, anchor, floor, records })
    }

    /// Begins a log with this state for the key that `identity` names. The gate that is opened on it afterwards knows
    /// all that the exported one knew.
    ///
    /// # Errors
    /// If the state is another key's, there is a log already, or the key has signed here later than the state knows.
    pub fn import<D: Disk>(
        &self,
        disk: D,
        anchor: Option<D>,
        anchored: Option<Slot>,
        identity: &Identity,
    ) -> Result<(), MoveError> {
        if self.identity != *identity {
            let (expected, found) = (Box::new(identity.clone()), Box::new(self.identity.clone()));
            return Err(MoveError::Foreign { expected, found });
        }
        if Log::exists(&disk).map_err(|e| MoveError::Folder(e.kind()))? {
            return Err(MoveError::LogExists);
        }
        let anchor_error = |e: io::Error| MoveError::Open(GateOpenError::Anchor(e.kind()));
        let mut anchor = anchor.map(|disk| Anchor::open(disk, identity.chain_id)).transpose().map_err(anchor_error)?;
        let highest = self.highest();
        let here = anchor.as_ref().and_then(Anchor::slot).max(anchored);
        if let Some(here) = here.filter(|here| highest < Some(*here)) {
            return Err(MoveError::Older { anchor: here, state: highest });
        }
        // First: an attempt that ends here leaves a lost log, which no gate is opened on.
        if let (Some(anchor), Some(slot)) = (&mut anchor, self.anchor) {
            anchor.raise(slot).map_err(anchor_error)?;
        }
        let floor = (self.floor, RecordKind::Floor, Vec::new());
        let records = self.records.iter().map(|StateRecord { slot, kind, body }| (*slot, *kind, body.clone()));
        Log::create(disk, identity.clone(), core::iter::once(floor).chain(records))?;
        Ok(())
    }

    fn highest(&self) -> Option<Slot> {
        let signed = self.records.iter().filter(|record| record.kind == RecordKind::Signed).map(|record| record.slot);
        signed.max().max(self.anchor).max(Some(self.floor).filter(|floor| *floor > Slot::ZERO))
    }
}

impl fmt::Display for GateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { chain_id, key, engine } = &self.identity;
        let key = hex::encode_prefixed(key);
        write!(f, "{{\"chainId\":{chain_id},\"key\":\"{key}\",\"engine\":\"{engine}\",\"anchor\":")?;
        match self.anchor {
            Some(slot) => write!(f, "{slot}")?,
            None => f.write_str("null")?,
        }
        write!(f, ",\"floor\":{},\"records\":[", self.floor)?;
        for (index, StateRecord { slot, kind, body }) in self.records.iter().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            let (kind, body) = (*kind as u8, hex::encode_prefixed(body));
            write!(f, "{{\"slot\":{slot},\"kind\":{kind},\"body\":\"{body}\"}}")?;
        }
        f.write_str("]}")
    }
}

impl core::str::FromStr for GateState {
    type Err = BadState;

    /// Reads one line; white space around it is no matter.
    fn from_str(text: &str) -> Result<Self, BadState> {
        let mut line = Line { text: text.trim(), at: 0 };
        if line.text.len() > LONGEST {
            return Err(line.expected("a shorter line"));
        }
        line.word("{\"chainId\":")?;
        let chain_id = line.number()?;
        line.word(",\"key\":\"")?;
        let key = line.bytes()?;
        line.word("\",\"engine\":\"")?;
        let engine = line.until_quote()?.to_owned();
        line.word("\",\"anchor\":")?;
        let anchor = if line.word("null").is_ok() { None } else { Some(Slot::new(line.number()?)) };
        line.word(",\"floor\":")?;
        let floor = Slot::new(line.number()?);
        line.word(",\"records\":[")?;
        let mut records = Vec::new();
        while line.word("]").is_err() {
            if !records.is_empty() {
                line.word(",")?;
            }
            records.push(line.record(floor)?);
        }
        line.word("}")?;
        if line.at < line.text.len() {
            return Err(line.expected("the end"));
        }
        Ok(Self { identity: Identity { chain_id, key, engine }, anchor, floor, records })
    }
}

struct Line<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Line<'a> {
    const fn expected(&self, what: &'static str) -> BadState {
        BadState { what, at: self.at }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn word(&mut self, word: &'static str) -> Result<(), BadState> {
        if !self.rest().starts_with(word) {
            return Err(self.expected(word));
        }
        self.at += word.len();
        Ok(())
    }

    /// A number without sign or leading zeros.
    fn number(&mut self) -> Result<u64, BadState> {
        let rest = self.rest();
        let digits = rest.get(..rest.bytes().take_while(u8::is_ascii_digit).count()).unwrap_or_default();
        let number = digits.parse().ok().filter(|_| digits == "0" || !digits.starts_with('0'));
        let number = number.ok_or_else(|| self.expected("a number"))?;
        self.at += digits.len();
        Ok(number)
    }

    fn until_quote(&mut self) -> Result<&'a str, BadState> {
        let rest = self.rest();
        let text = rest.find('"').and_then(|end| rest.get(..end)).filter(|text| !text.contains(['\\', '\n']));
        let text = text.ok_or_else(|| self.expected("text in quotes"))?;
        self.at += text.len();
        Ok(text)
    }

    /// Lower-case hex behind `0x`.
    fn bytes(&mut self) -> Result<Vec<u8>, BadState> {
        let error = self.expected("lower-case hex");
        let text = self.until_quote()?;
        let digits = text.strip_prefix("0x").filter(|d| !d.bytes().any(|b| b.is_ascii_uppercase())).ok_or(error)?;
        hex::decode(digits).map_err(|_| error)
    }

    fn record(&mut self, floor: Slot) -> Result<StateRecord, BadState> {
        self.word("{\"slot\":")?;
        let above = self.expected("a slot above the floor");
        let slot = Slot::new(self.number()?);
        if slot <= floor {
            return Err(above);
        }
        self.word(",\"kind\":")?;
        let unknown = self.expected("the kind of a record");
        let kind = u8::try_from(self.number()?).ok().and_then(RecordKind::from_byte);
        let kind = kind.filter(|kind| *kind != RecordKind::Floor).ok_or(unknown)?;
        self.word(",\"body\":\"")?;
        let body = self.bytes()?;
        self.word("\"}")?;
        Ok(StateRecord { slot, kind, body })
    }
}
