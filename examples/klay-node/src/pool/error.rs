//! Why a transaction is not admitted, in the reference client's words.

use klay_core::{B256, DecodeError, crypto::RecoverError};

/// The first rule that a transaction breaks. `Display` is the text that JSON-RPC answers.
///
/// Source: spec 10, sections 4.3, 4.4, 6.1 and 6.5.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The bytes are not a transaction.
    #[error("{0}")]
    Decode(DecodeError),
    /// Already here.
    #[error("known transaction: {0:x}")]
    Known(B256),
    /// The pool or the way into it is full.
    #[error("txpool is full")]
    Full,
    /// A signature is invalid.
    #[error("invalid sender: {0}")]
    Sender(RecoverError),
}
