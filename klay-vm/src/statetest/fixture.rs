//! Reading test files.

use std::{collections::BTreeMap, str::FromStr};

use klay_core::{Address, B256, Bytes, U256, hex};
use serde_json::Value;

/// Why a file is not one of tests.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FixtureError {
    /// Not JSON.
    #[error("not JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// A part is missing or of another shape.
    #[error("{0} is missing or malformed")]
    Shape(&'static str),
    /// A number that is none, or too large.
    #[error("{what}: {value:?} is not a number that fits")]
    Number {
        /// What it is for.
        what: &'static str,
        /// The text.
        value: String,
    },
    /// The state could not be made.
    #[error(transparent)]
    State(#[from] crate::StateError),
}

/// An account before or after a test.
#[derive(Debug, Clone, Default)]
pub(super) struct Allocation {
    pub(super) balance: U256,
    pub(super) nonce: u64,
    pub(super) code: Bytes,
    pub(super) storage: BTreeMap<U256, U256>,
}

/// The member `key` of an object.
pub(super) fn member<'v>(value: &'v Value, key: &'static str) -> Result<&'v Value, FixtureError> {
    value.get(key).ok_or(FixtureError::Shape(key))
}

/// A string member.
pub(super) fn text<'v>(value: &'v Value, key: &'static str) -> Result<&'v str, FixtureError> {
    member(value, key)?.as_str().ok_or(FixtureError::Shape(key))
}

/// The items of a list member.
pub(super) fn list<'v>(value: &'v Value, key: &'static str) -> Result<&'v [Value], FixtureError> {
    member(value, key)?.as_array().map(Vec::as_slice).ok_or(FixtureError::Shape(key))
}

/// A number in hexadecimal, `0x` or not, with any number of digits up to 256 bits. Empty is zero.
pub(super) fn number(what: &'static str, text: &str) -> Result<U256, FixtureError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.is_empty() {
        return Ok(U256::ZERO);
    }
    U256::from_str_radix(digits, 16).map_err(|_| FixtureError::Number { what, value: text.to_owned() })
}

/// As [`number`], for 64 bits.
pub(super) fn small(what: &'static str, text: &str) -> Result<u64, FixtureError> {
    number(what, text)?.try_into().map_err(|_| FixtureError::Number { what, value: text.to_owned() })
}

/// A number member.
pub(super) fn number_of(value: &Value, key: &'static str) -> Result<U256, FixtureError> {
    number(key, text(value, key)?)
}

/// A 64-bit number member.
pub(super) fn small_of(value: &Value, key: &'static str) -> Result<u64, FixtureError> {
    small(key, text(value, key)?)
}

/// A number member that need not be there.
pub(super) fn number_if(value: &Value, key: &'static str) -> Result<Option<U256>, FixtureError> {
    value.get(key).and_then(Value::as_str).map(|text| number(key, text)).transpose()
}

/// An address, `0x` or not.
pub(super) fn address(text: &str) -> Result<Address, FixtureError> {
    Address::from_str(text).map_err(|_| FixtureError::Shape("address"))
}

/// A hash member.
pub(super) fn hash_of(value: &Value, key: &'static str) -> Result<B256, FixtureError> {
    B256::from_str(text(value, key)?).map_err(|_| FixtureError::Shape(key))
}

/// Bytes in hexadecimal, `0x` or not.
pub(super) fn bytes(text: &str) -> Result<Bytes, FixtureError> {
    hex::decode(text).map(Bytes::from).map_err(|_| FixtureError::Shape("bytes"))
}

/// Accounts by address.
pub(super) fn allocations(value: &Value) -> Result<BTreeMap<Address, Allocation>, FixtureError> {
    let accounts = value.as_object().ok_or(FixtureError::Shape("accounts"))?;
    accounts.iter().map(|(key, account)| Ok((address(key)?, allocation(account)?))).collect()
}

fn allocation(value: &Value) -> Result<Allocation, FixtureError> {
    let storage = member(value, "storage")?.as_object().ok_or(FixtureError::Shape("storage"))?;
    let word = |(slot, word): (&String, &Value)| {
        let word = word.as_str().ok_or(FixtureError::Shape("storage word"))?;
        Ok((number("slot", slot)?, number("word", word)?))
    };
    Ok(Allocation {
        balance: number_of(value, "balance")?,
        nonce: small_of(value, "nonce")?,
        code: bytes(text(value, "code")?)?,
        storage: storage.iter().map(word).collect::<Result<_, FixtureError>>()?,
    })
}
