//! Messages to bytes and back, within limits.

use super::Model;

/// Bounds of one message, so that a decoder never allocates what a peer merely announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a whole message.
    pub message: usize,
    /// Most entries of any list inside it.
    pub entries: usize,
}

impl Default for Limits {
    /// 12 MiB, the largest frame of the reference network, and 4096 entries.
    fn default() -> Self {
        Self { message: 12 << 20, entries: 4096 }
    }
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Longer than the limit.
    #[error("message of {got} bytes exceeds {limit}")]
    TooLarge {
        /// Bytes found.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A list inside has more entries than the limit.
    #[error("{what}: {got} entries exceed {limit}")]
    TooMany {
        /// The list.
        what: &'static str,
        /// Entries found.
        got: usize,
        /// Entries allowed.
        limit: usize,
    },
    /// A code that no message has.
    #[error("unknown {what} {code}")]
    Unknown {
        /// What the code names.
        what: &'static str,
        /// The code.
        code: u64,
    },
    /// A fixed-size field of another size, or bytes missing.
    #[error("{what}: {got} bytes where {expected} are needed")]
    Length {
        /// The field.
        what: &'static str,
        /// Bytes needed.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// Not canonical RLP, or not the expected shape.
    #[error(transparent)]
    Rlp(#[from] klay_core::DecodeError),
}

/// The wire form of an engine's messages.
pub trait Codec<M: Model> {
    /// The messages.
    type Msg;

    /// Appends the encoding of `msg` to `out`.
    fn encode(&self, msg: &Self::Msg, out: &mut Vec<u8>);

    /// Reads exactly one message.
    ///
    /// # Errors
    /// If the bytes are not a canonical message within the limits.
    fn decode(&self, bytes: &[u8], limits: Limits) -> Result<Self::Msg, Malformed>;
}
