#![doc = include_str!("../README.md")]

pub mod dev;
pub mod gate;
#[cfg(feature = "runtime")]
pub mod host;
pub mod istanbul;
#[cfg(feature = "simulate")]
pub mod sim;
pub mod simplex;
#[cfg(feature = "simulate")]
pub mod suite;
pub mod types;
pub mod valset;
pub mod wal;
