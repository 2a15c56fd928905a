//! feePayer: who pays for the transaction.

use klay_core::{Address, Bytes};

/// The payer's 20 bytes, not padded to a word: the sender's where nobody else pays, zero where there is no
/// transaction.
pub(super) fn run(payer: Address) -> Bytes {
    Bytes::copy_from_slice(payer.as_slice())
}
