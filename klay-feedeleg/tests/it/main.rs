//! Every test of the crate in one program, which is linked once.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;
mod properties;
#[cfg(feature = "serde")]
mod rpc;
mod transactions;
mod traps;
mod two_parties;
