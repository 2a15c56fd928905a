//! The vocabulary that all engines share: positions, times, the model, effects, and the contract itself.

mod codec;
mod committee;
mod effects;
pub mod engine;
mod evidence;
mod model;
mod position;
pub mod quorum;
mod record;
mod reject;
mod sign;
mod statement;
mod time;
pub mod timeouts;

pub use codec::{Codec, Limits, Malformed};
pub use committee::{Committee, Committees, NotYet};
pub use effects::{Class, Detail, Effect, Effects, Wanted};
pub use engine::{ApplyError, Delays, Engine, Input, Never, Refuse, Status, Validate, Verdict};
pub use evidence::{Evidence, EvidencePool, Misbehaviour, Unproven};
pub use model::{Floor, Model, Value};
pub use position::{Height, Lsn, Round, Slot, Ticket, TimerId, View};
pub use record::{Record, RecordKind};
pub use reject::{Fault, Keep, Rejected};
pub use sign::{Domain, SignError, SignRefused, Signer, Verifier};
pub use statement::{Statement, Step};
pub use time::{Time, WallTime};
pub use timeouts::{RoundHistory, Timeouts, TimerKind};
