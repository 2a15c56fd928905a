//! What the engine remembers: which rounds of a slot it has used.

use crate::types::{Malformed, Record, RecordKind, Round, Slot, View};

/// A round was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevRecord {
    /// Which one.
    pub entered: View,
}

const LEN: usize = 16;

impl Record for DevRecord {
    fn kind(&self) -> RecordKind {
        RecordKind::Entered
    }

    fn slot(&self) -> Slot {
        self.entered.slot
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.entered.slot.get().to_le_bytes());
        out.extend_from_slice(&self.entered.round.get().to_le_bytes());
    }

    fn decode(kind: RecordKind, bytes: &[u8]) -> Result<Self, Malformed> {
        if kind != RecordKind::Entered {
            return Err(Malformed::Unknown { what: "record of the dev engine", code: kind as u64 });
        }
        let length = || Malformed::Length { what: "entered view", expected: LEN, got: bytes.len() };
        let (slot, round) = bytes.split_first_chunk::<8>().ok_or_else(length)?;
        let round = <[u8; 8]>::try_from(round).map_err(|_| length())?;
        let view = View::new(Slot::new(u64::from_le_bytes(*slot)), Round::new(u64::from_le_bytes(round)));
        Ok(Self { entered: view })
    }
}
