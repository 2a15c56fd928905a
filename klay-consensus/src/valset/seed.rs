//! Seeds taken from hashes.
//!
//! Source: chapter 50, section 2.2.

use alloy_primitives::B256;

/// The seed of the time before Randao: the first 15 hex digits of a block hash.
pub fn legacy_seed(hash: B256) -> i64 {
    // 60 bits, so the sign is never touched.
    (first_word(hash) >> 4) as i64
}

/// The seed since Randao: the first 8 bytes of a `mixHash`, signed.
pub fn randao_seed(mix_hash: B256) -> i64 {
    first_word(mix_hash) as i64
}

fn first_word(hash: B256) -> u64 {
    hash.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
}
