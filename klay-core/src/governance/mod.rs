//! Governance in headers: votes, ratified parameters, and which parameters are effective at a block.
//!
//! A validator puts a [`Vote`] into the header that it proposes. The header of each epoch's first block carries the
//! parameters that were voted for in the epoch before ([`GovernanceData`]); they are effective one epoch later
//! ([`ParamSchedule`]). From Kore on a contract may override them.
//!
//! Source: spec 30, section 7; `kaiax/gov` in the reference client.

mod data;
mod flat_json;
mod param;
mod params;
mod schedule;
mod verify;
mod vote;

pub use data::{DataError, GovernanceData};
pub use param::{ParamError, ParamName, ParamValue};
pub use params::{GovParams, GovernanceMode, ProposerPolicy, Ratio};
pub use schedule::{ParamSchedule, ScheduleError, previous_epoch_start};
pub use verify::{DataRefusal, VoteContext, VoteRefusal, verify_data, verify_vote};
pub use vote::{Vote, VoteAction, VoteError};
