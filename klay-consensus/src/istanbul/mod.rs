//! Istanbul: the consensus of Klaytn and Kaia, on the wire and in memory.
//!
//! Source: chapter 50, section 1.

mod model;
pub mod seal;

pub use model::{CommittedSeals, HeaderValue, Klaytn};
