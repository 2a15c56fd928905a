#![doc = include_str!("../README.md")]

pub mod block;
pub mod call;
pub mod env;
pub mod error;
pub mod machine;
mod precompile;
pub mod spec;
pub mod state;
pub mod validate;

pub use block::{BlockExecutor, BlockResult, Executed};
pub use call::{CallError, CallOutcome, CallRequest};
pub use env::{BlockContext, BlockHashes, NoHashes};
pub use error::{Disposition, TxError};
pub use state::{State, StateError};
