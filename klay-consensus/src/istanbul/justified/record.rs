//! What the engine remembers across a restart.

use alloy_primitives::Bytes;

use crate::types::{Malformed, Record, RecordKind, Round, Slot, View};

/// A record of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JustifiedRecord {
    /// A round after the first was entered.
    Entered {
        /// Which one.
        view: View,
    },
    /// A value was prepared. Precedes the commit.
    Prepared {
        /// Where.
        view: View,
        /// A round change that carries value and prepares, unsigned, in its wire form.
        proof: Bytes,
    },
}

impl Record for JustifiedRecord {
    fn kind(&self) -> RecordKind {
        match self {
            Self::Entered { .. } => RecordKind::Entered,
            Self::Prepared { .. } => RecordKind::Certificate,
        }
    }

    fn slot(&self) -> Slot {
        match self {
            Self::Entered { view } | Self::Prepared { view, .. } => view.slot,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (Self::Entered { view } | Self::Prepared { view, .. }) = self;
        out.extend_from_slice(&view.slot.get().to_le_bytes());
        out.extend_from_slice(&view.round.get().to_le_bytes());
        if let Self::Prepared { proof, .. } = self {
            out.extend_from_slice(proof);
        }
    }

    fn decode(kind: RecordKind, bytes: &[u8]) -> Result<Self, Malformed> {
        let short = || Malformed::Length { what: "view of a record", expected: 16, got: bytes.len() };
        let (slot, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
        let (round, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let view = View::new(Slot::new(u64::from_le_bytes(*slot)), Round::new(u64::from_le_bytes(*round)));
        match kind {
            RecordKind::Entered if rest.is_empty() => Ok(Self::Entered { view }),
            RecordKind::Entered => Err(short()),
            RecordKind::Certificate => Ok(Self::Prepared { view, proof: Bytes::copy_from_slice(rest) }),
            other => Err(Malformed::Unknown { what: "record of the justified engine", code: other as u64 }),
        }
    }
}
