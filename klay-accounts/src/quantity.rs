//! JSON quantities: hexadecimal, `0x` in front, no leading zero digit.

use alloy_primitives::U256;

/// How a JSON string is not a quantity; texts of the reference client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantityError {
    /// Not a string.
    #[error("non-string")]
    NotAString,
    /// No characters.
    #[error("empty hex string")]
    Empty,
    /// No `0x`.
    #[error("hex string without 0x prefix")]
    MissingPrefix,
    /// Nothing behind `0x`.
    #[error("hex string \"0x\"")]
    NoDigits,
    /// A zero in front of other digits.
    #[error("hex number with leading zero digits")]
    LeadingZero,
    /// More than 64 digits.
    #[error("hex number > 256 bits")]
    TooLarge,
    /// A character that is no digit.
    #[error("invalid hex string")]
    InvalidDigit,
}

/// Reads a quantity.
pub(crate) fn parse(value: &serde_json::Value) -> Result<U256, QuantityError> {
    let text = value.as_str().ok_or(QuantityError::NotAString)?;
    if text.is_empty() {
        return Err(QuantityError::Empty);
    }
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).ok_or(QuantityError::MissingPrefix)?;
    if digits.is_empty() {
        return Err(QuantityError::NoDigits);
    }
    if digits.len() > 1 && digits.starts_with('0') {
        return Err(QuantityError::LeadingZero);
    }
    if digits.len() > 64 {
        return Err(QuantityError::TooLarge);
    }
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(QuantityError::InvalidDigit);
    }
    U256::from_str_radix(digits, 16).map_err(|_| QuantityError::InvalidDigit)
}

/// Writes a quantity.
pub(crate) fn format(value: U256) -> String {
    format!("{value:#x}")
}
