//! Every test of the crate in one program, which is linked once.
//!
//! Most of them start processes and wait for them, beside each other: the tests get more threads than there are cores
//! (`.cargo/config.toml`).

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[cfg(unix)]
mod adversary;
#[cfg(unix)]
mod chaos;
mod commands;
#[cfg(unix)]
mod discovery;
#[cfg(unix)]
mod durability;
#[cfg(unix)]
mod gate;
#[cfg(unix)]
mod hosts;
#[cfg(unix)]
mod import;
mod lab;
#[cfg(unix)]
mod network;
#[cfg(unix)]
mod nodes;
#[cfg(unix)]
mod served;
mod statetest;
