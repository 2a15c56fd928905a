//! The 2048-bit filter over log addresses and topics.
//!
//! Three bits per item, from the first three byte pairs of its Keccak-256, as in Ethereum.
//!
//! Source: spec 30, section 3.3.

use alloy_primitives::{B256, Bloom, Log};

use crate::crypto::keccak256;

/// The filter of one receipt's logs.
///
/// ```
/// use klay_core::{Address, Bloom, Bytes, block::{Log, bloom}};
///
/// assert_eq!(bloom::of_logs(&[]), Bloom::ZERO);
/// let log = Log::new_unchecked(Address::ZERO, vec![], Bytes::new());
/// let bits: u32 = bloom::of_logs(&[log]).iter().map(|byte| byte.count_ones()).sum();
/// assert_eq!(bits, 3);
/// ```
pub fn of_logs(logs: &[Log]) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for log in logs {
        add(&mut bloom, log.address.as_slice());
        for topic in log.topics() {
            add(&mut bloom, topic.as_slice());
        }
    }
    bloom
}

/// The filter of a block: the union of its receipts'.
pub fn union<'a>(blooms: impl IntoIterator<Item = &'a Bloom>) -> Bloom {
    blooms.into_iter().fold(Bloom::ZERO, |union, bloom| union | *bloom)
}

/// Whether `item` (an address or a topic) may be in `bloom`; `false` is certain.
pub fn may_contain(bloom: &Bloom, item: impl AsRef<[u8]>) -> bool {
    bits(keccak256(item)).into_iter().all(|bit| bloom[255 - bit / 8] & 1 << (bit % 8) != 0)
}

fn add(bloom: &mut Bloom, item: &[u8]) {
    for bit in bits(keccak256(item)) {
        bloom[255 - bit / 8] |= 1 << (bit % 8);
    }
}

/// Positions counted from the end of the filter, each below 2048.
fn bits(hash: B256) -> [usize; 3] {
    [0, 2, 4].map(|at| usize::from(u16::from_be_bytes([hash[at], hash[at + 1]]) & 0x7ff))
}
