//! Lengths of RLP items, so that encoders can write headers before contents.

use klay_core::codec::header_len;

/// Length of an integer of `bits` significant bits.
pub(crate) const fn integer_len(bits: usize) -> usize {
    if bits <= 7 { 1 } else { 1 + bits.div_ceil(8) }
}

/// Length of a list whose elements take `body` bytes.
pub(crate) const fn list_len(body: usize) -> usize {
    header_len(body) + body
}
