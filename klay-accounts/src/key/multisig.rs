//! Several keys with weights.

use klay_core::PublicKey;

use super::KeyError;

/// Most members of a multisig key that can be installed.
pub const MAX_KEYS: usize = 10;

/// A member of a [`MultiSig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WeightedKey {
    /// What the member's signature adds to the sum; at least 1 in an installed key.
    pub weight: u64,
    /// The member.
    pub key: PublicKey,
}

/// Several keys with weights, and the sum of weights that suffices.
///
/// # Invariant
/// A value from [`MultiSig::new`] is installable: 1 to 10 different members, weights of at least 1 whose sum fits 64
/// bits and reaches the threshold. A decoded one is whatever the wire held. A threshold of 0 is installable; no
/// signature is then too few.
///
/// Source: spec 20, sections 2.1 to 2.3.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MultiSig {
    threshold: u64,
    keys: Vec<WeightedKey>,
}

impl MultiSig {
    /// An installable key.
    ///
    /// # Errors
    /// With the first rule of installation that is broken.
    pub fn new(threshold: u64, keys: Vec<WeightedKey>) -> Result<Self, KeyError> {
        let key = Self::new_unchecked(threshold, keys);
        key.check_installable()?;
        Ok(key)
    }

    /// A key as the wire holds it. Trusts the caller that it is only read, or checked before it is installed.
    pub const fn new_unchecked(threshold: u64, keys: Vec<WeightedKey>) -> Self {
        Self { threshold, keys }
    }

    /// The sum of weights that suffices.
    pub const fn threshold(&self) -> u64 {
        self.threshold
    }

    /// The members in order.
    pub fn keys(&self) -> &[WeightedKey] {
        &self.keys
    }

    /// The place of `key` among the members.
    pub(super) fn position(&self, key: &PublicKey) -> Option<usize> {
        self.keys.iter().position(|member| member.key == *key)
    }

    pub(super) fn check_installable(&self) -> Result<(), KeyError> {
        if self.keys.is_empty() {
            return Err(KeyError::ZeroLength);
        }
        if self.keys.len() > MAX_KEYS {
            return Err(KeyError::MaxKeysExceed);
        }
        let mut sum = 0u64;
        for (i, member) in self.keys.iter().enumerate() {
            if member.weight == 0 {
                return Err(KeyError::ZeroKeyWeight);
            }
            if self.keys[..i].iter().any(|earlier| earlier.key == member.key) {
                return Err(KeyError::DuplicatedKey);
            }
            sum = sum.checked_add(member.weight).ok_or(KeyError::WeightedSumOverflow)?;
        }
        if sum < self.threshold {
            return Err(KeyError::UnsatisfiableThreshold);
        }
        Ok(())
    }
}
