//! Every test of the crate in one program, which is linked once.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
#![allow(clippy::large_enum_variant, clippy::missing_const_for_fn, clippy::redundant_clone, unreachable_pub)]

mod common;
mod dev_engine;
#[cfg(feature = "simulate")]
mod enumerations;
mod evidence;
mod gate_and_log;
#[cfg(feature = "runtime")]
mod host;
#[cfg(feature = "runtime")]
mod host_halts;
#[cfg(feature = "runtime")]
mod host_tasks;
mod import;
mod import_is_commit;
mod justified;
#[cfg(feature = "simulate")]
mod known_faults;
#[cfg(feature = "simulate")]
mod penalty;
#[cfg(feature = "simulate")]
mod simplex_hostile;
mod simplex_messages;
#[cfg(feature = "simulate")]
mod simplex_nodes;
#[cfg(feature = "simulate")]
mod simulation;
#[cfg(all(feature = "simulate", feature = "runtime"))]
mod suites;
mod traces;
mod valset;
#[cfg(feature = "simulate")]
mod value_forms;
mod vectors_in_full;
mod wire;
