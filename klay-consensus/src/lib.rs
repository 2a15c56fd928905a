//! Consensus engines behind one deterministic contract.

pub mod gate;
pub mod types;
pub mod wal;
