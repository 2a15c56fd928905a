//! What the engine remembers across a restart. The reference remembers nothing (1.13).

use alloy_primitives::{B256, Bytes};

use crate::types::{Malformed, Record, RecordKind, Round, Slot, View};

/// A record of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IstanbulRecord {
    /// A round after the first was entered or asked for.
    Entered {
        /// Which one.
        view: View,
    },
    /// A value was locked. Precedes the commit.
    Lock {
        /// Where.
        view: View,
        /// Its name.
        id: B256,
        /// The value in its wire form.
        value: Bytes,
    },
    /// The application refused the value that was locked (VT-8).
    Released {
        /// Where.
        view: View,
    },
}

impl Record for IstanbulRecord {
    fn kind(&self) -> RecordKind {
        match self {
            Self::Entered { .. } => RecordKind::Entered,
            Self::Lock { .. } => RecordKind::Lock,
            Self::Released { .. } => RecordKind::Unlock,
        }
    }

    fn slot(&self) -> Slot {
        match self {
            Self::Entered { view } | Self::Lock { view, .. } | Self::Released { view } => view.slot,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (Self::Entered { view } | Self::Lock { view, .. } | Self::Released { view }) = self;
        out.extend_from_slice(&view.slot.get().to_le_bytes());
        out.extend_from_slice(&view.round.get().to_le_bytes());
        if let Self::Lock { id, value, .. } = self {
            out.extend_from_slice(id.as_slice());
            out.extend_from_slice(value);
        }
    }

    fn decode(kind: RecordKind, bytes: &[u8]) -> Result<Self, Malformed> {
        let short = |what, expected| Malformed::Length { what, expected, got: bytes.len() };
        let view = || short("view of a record", 16);
        let (slot, rest) = bytes.split_first_chunk::<8>().ok_or_else(view)?;
        let (round, rest) = rest.split_first_chunk::<8>().ok_or_else(view)?;
        let view = View::new(Slot::new(u64::from_le_bytes(*slot)), Round::new(u64::from_le_bytes(*round)));
        match kind {
            RecordKind::Entered if rest.is_empty() => Ok(Self::Entered { view }),
            RecordKind::Unlock if rest.is_empty() => Ok(Self::Released { view }),
            RecordKind::Entered | RecordKind::Unlock => Err(short("view and nothing else", 16)),
            RecordKind::Lock => {
                let (id, value) = rest.split_first_chunk::<32>().ok_or_else(|| short("lock", 48))?;
                Ok(Self::Lock { view, id: B256::from(*id), value: Bytes::copy_from_slice(value) })
            }
            other => Err(Malformed::Unknown { what: "record of the istanbul engine", code: other as u64 }),
        }
    }
}
