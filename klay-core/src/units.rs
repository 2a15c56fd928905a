//! Units of the native token: peb, ston and KLAY.

use alloy_primitives::U256;

/// One ston (today: gkei) in peb, 10^9.
pub const STON: U256 = U256::from_limbs([1_000_000_000, 0, 0, 0]);
/// One KLAY (today: KAIA) in peb, 10^18.
pub const KLAY: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

/// `ston` ston in peb.
///
/// ```
/// # use klay_core::{U256, units};
/// assert_eq!(units::ston(25), U256::from(25_000_000_000u64)); // the lowest base fee of the public networks
/// assert_eq!(units::klay(1), units::ston(1_000_000_000));
/// ```
pub fn ston(ston: u64) -> U256 {
    STON * U256::from(ston)
}

/// `klay` KLAY in peb.
pub fn klay(klay: u64) -> U256 {
    KLAY * U256::from(klay)
}
