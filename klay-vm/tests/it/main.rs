//! Every test of the crate in one program, which is linked once.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod against_revm;
mod blocks;
mod bls_registry;
mod calls;
mod common;
mod counting;
mod delegation;
mod differential;
mod forks;
mod genesis;
mod import;
mod keys;
mod kit;
mod precompiles;
mod randao;
mod registry;
mod rejects;
mod rewards;
#[cfg(feature = "statetest")]
mod state_tests;
mod statuses;
mod system;
mod traces;
mod transitions;
mod traps;
