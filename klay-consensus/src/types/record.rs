//! What goes into the write-ahead log.

use core::fmt::Debug;

use super::{Malformed, Slot};

/// The kind of a log record. Engines use the middle ones; the gate and the host write the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// A statement that the gate allowed.
    Signed = 1,
    /// A slot and round was entered.
    Entered = 2,
    /// A lock was taken.
    Lock = 3,
    /// A quorum certificate.
    Certificate = 4,
    /// A proposal or a reference to it.
    Proposal = 5,
    /// A decision and its proof.
    Decided = 6,
    /// Evidence.
    Evidence = 7,
    /// The chain is durable up to here.
    Floor = 8,
    /// A lock was released.
    Unlock = 9,
}

impl RecordKind {
    /// The kind with this number.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Signed),
            2 => Some(Self::Entered),
            3 => Some(Self::Lock),
            4 => Some(Self::Certificate),
            5 => Some(Self::Proposal),
            6 => Some(Self::Decided),
            7 => Some(Self::Evidence),
            8 => Some(Self::Floor),
            9 => Some(Self::Unlock),
            _ => None,
        }
    }
}

/// A record that an engine persists and gets back when it is opened again.
///
/// The encoding must be canonical: `decode(encode(r)) == r`, and nothing else decodes.
pub trait Record: Clone + Debug + Send + Sized + 'static {
    /// What kind of record this is.
    fn kind(&self) -> RecordKind;

    /// The slot it belongs to; the log forgets records of slots that are final.
    fn slot(&self) -> Slot;

    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads exactly one record.
    ///
    /// # Errors
    /// If the bytes are not one.
    fn decode(kind: RecordKind, bytes: &[u8]) -> Result<Self, Malformed>;
}
