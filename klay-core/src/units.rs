//! Units of the native token: peb, ston and KLAY.

use alloy_primitives::U256;

/// One ston (today: gkei) in peb, 10^9.
pub const STON: U256 = U256::from_limbs([1_000_000_000, 0, 0, 0]);
/// One KLAY (today: KAIA) in peb, 10^18.
pub const KLAY: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);
