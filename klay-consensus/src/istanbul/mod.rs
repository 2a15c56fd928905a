//! Istanbul: the consensus of Klaytn and Kaia, on the wire and in memory.
//!
//! Source: chapter 50, section 1.

mod block;
mod envelope;
mod evidence;
pub mod import;
pub mod justified;
pub mod machine;
mod message;
mod model;
pub mod seal;

pub use block::RawBlock;
pub use envelope::{Envelope, NETWORK_CODE};
pub use evidence::check_evidence;
pub use machine::{
    Compat, Istanbul, IstanbulConfig, IstanbulRecord, PROPOSE_TIMER, QUEUE_TIMERS, QueuedEvent, REPEAT_TIMER,
    RETRY_TIMER, ROUND_TIMER, Relay, Rules, backlog_priority,
};
pub use message::{Body, Code, IstanbulCodec, Message, Preprepare, Subject, WireValue, put_view, read_view};
pub use model::{CommittedSeals, HeaderValue, Klaytn};
