#![doc = include_str!("../README.md")]

pub mod block;
pub mod call;
pub mod env;
pub mod error;
pub mod finalize;
pub mod genesis;
pub mod machine;
pub mod payload;
mod precompile;
pub mod randao;
pub mod reward;
pub mod spec;
pub mod state;
#[cfg(feature = "statetest")]
pub mod statetest;
pub mod system;
pub mod trace;
mod transition;
pub mod validate;

pub use block::{BlockExecutor, BlockResult, Executed};
pub use call::{CallError, CallOutcome, CallRequest};
pub use env::{BlockContext, BlockHashes, NoHashes};
pub use error::{Disposition, TxError};
pub use machine::Deadline;
pub use payload::{Effect, ExecutablePayload, Recipient};
pub use precompile::precompiles;
pub use state::{AccountSource, Preimages, State, StateError};
pub use trace::Tracer;
