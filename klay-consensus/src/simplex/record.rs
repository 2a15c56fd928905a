//! What the engine remembers across a restart.

use alloy_primitives::Bytes;

use crate::types::{Limits, Malformed, Record, RecordKind, Slot};

use super::Certificate;

/// A record of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SimplexRecord {
    /// A view was entered: nothing is said in earlier ones any more, except that the one just left is final.
    Entered {
        /// Which one.
        view: Slot,
    },
    /// A quorum has spoken.
    Certified(Certificate),
    /// A value that we are about to vote for, in its wire form.
    Value {
        /// Where.
        view: Slot,
        /// The value.
        value: Bytes,
    },
}

impl Record for SimplexRecord {
    fn kind(&self) -> RecordKind {
        match self {
            Self::Entered { .. } => RecordKind::Entered,
            Self::Certified(_) => RecordKind::Certificate,
            Self::Value { .. } => RecordKind::Proposal,
        }
    }

    fn slot(&self) -> Slot {
        match self {
            Self::Entered { view } | Self::Value { view, .. } => *view,
            Self::Certified(certificate) => certificate.vote.view,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Entered { view } => out.extend_from_slice(&view.get().to_le_bytes()),
            Self::Certified(certificate) => certificate.encode(out),
            Self::Value { view, value } => {
                out.extend_from_slice(&view.get().to_le_bytes());
                out.extend_from_slice(value);
            }
        }
    }

    fn decode(kind: RecordKind, bytes: &[u8]) -> Result<Self, Malformed> {
        let view = || {
            let short = Malformed::Length { what: "view of a record", expected: 8, got: bytes.len() };
            let (view, rest) = bytes.split_first_chunk::<8>().ok_or(short)?;
            Ok::<_, Malformed>((Slot::new(u64::from_le_bytes(*view)), rest))
        };
        match kind {
            RecordKind::Entered => match view()? {
                (view, []) => Ok(Self::Entered { view }),
                _ => Err(Malformed::Length { what: "entered view", expected: 8, got: bytes.len() }),
            },
            RecordKind::Certificate => {
                let mut reader = klay_core::codec::Reader::new(bytes);
                let certificate = Certificate::decode(&mut reader, Limits::default())?;
                reader.end("certificate")?;
                Ok(Self::Certified(certificate))
            }
            RecordKind::Proposal => {
                let (view, value) = view()?;
                Ok(Self::Value { view, value: Bytes::copy_from_slice(value) })
            }
            other => Err(Malformed::Unknown { what: "record of the simplex engine", code: other as u64 }),
        }
    }
}
