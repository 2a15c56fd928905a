//! Integers of anchored records.

use core::fmt;

/// An unsigned integer as a record holds it: any size, in as few bytes as possible.
///
/// Records come from other chains, and nothing bounds what they count.
///
/// ```
/// use klay_anchor::Number;
///
/// let number = Number::from(300);
/// assert_eq!(number.as_be_bytes(), [0x01, 0x2c]);
/// assert_eq!(number.to_string(), "300");
/// assert_eq!(u64::try_from(&number), Ok(300));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Number(Vec<u8>);

/// Longest integer that is read, in bytes.
pub(crate) const MAX_NUMBER_LEN: usize = 1024;

/// An integer of more than 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("integer of {got} bytes does not fit 8")]
pub struct TooLarge {
    /// Bytes of the integer.
    pub got: usize,
}

impl Number {
    /// The bytes, big-endian, without leading zeros; none for 0.
    pub fn as_be_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From bytes without leading zeros.
    pub(crate) fn from_minimal(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect())
    }
}

impl TryFrom<&Number> for u64 {
    type Error = TooLarge;

    fn try_from(number: &Number) -> Result<Self, TooLarge> {
        if number.0.len() > 8 {
            return Err(TooLarge { got: number.0.len() });
        }
        Ok(number.0.iter().fold(0, |value, byte| value << 8 | Self::from(*byte)))
    }
}

/// Decimal.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BASE: u64 = 1_000_000_000;
        // Little-endian groups of nine digits.
        let mut groups = vec![0u64];
        for byte in &self.0 {
            let mut carry = u64::from(*byte);
            for group in &mut groups {
                carry += *group << 8;
                *group = carry % BASE;
                carry /= BASE;
            }
            if carry > 0 {
                groups.push(carry);
            }
        }
        let (first, rest) = groups.split_last().unwrap_or((&0, &[]));
        write!(f, "{first}")?;
        rest.iter().rev().try_for_each(|group| write!(f, "{group:09}"))
    }
}
