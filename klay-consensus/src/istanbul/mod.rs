//! Istanbul: the consensus of Klaytn and Kaia, on the wire and in memory.
//!
//! Source: chapter 50, section 1.

mod envelope;
mod message;
mod model;
pub mod seal;

pub use envelope::{Envelope, NETWORK_CODE};
pub use message::{Body, Code, Message, Preprepare, Subject, WireValue, put_view, read_view};
pub use model::{CommittedSeals, HeaderValue, Klaytn};
