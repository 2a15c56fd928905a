//! Hashes, addresses, bytes, quantities, and JSON's own kinds.

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde_json::value::RawValue;

use super::{Decode, Reason, is_null, json_kind};

/// `hexutil.Uint64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HexUint64(pub u64);

/// `hexutil.Uint`: an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HexUint(pub u64);

/// `*hexutil.Big`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity(pub U256);

/// `rpc.ID`: the name of a filter or subscription.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FilterId(pub String);

/// What stands between the quotes, not unescaped: no hex string has anything to escape.
fn quoted<'a>(raw: &'a RawValue, wanted: &'static str) -> Result<&'a str, Reason> {
    raw.get()
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .ok_or_else(|| Reason::kind("non-string", wanted))
}

fn without_prefix(text: &str) -> Option<&str> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

/// The digits behind `0x`, an even number of them; the empty string has none.
pub(super) fn even_digits(text: &str) -> Result<&str, &'static str> {
    if text.is_empty() {
        return Ok("");
    }
    let digits = without_prefix(text).ok_or("hex string without 0x prefix")?;
    if digits.len() % 2 != 0 {
        return Err("hex string of odd length");
    }
    Ok(digits)
}

/// The digits of a number of at most `max` digits, in the order of checks of the reference client.
pub(super) fn number_digits<'a>(text: &'a str, max: usize, range: &'static str) -> Result<&'a str, &'static str> {
    let digits = without_prefix(text).ok_or("hex string without 0x prefix")?;
    if digits.is_empty() {
        return Err("hex string \"0x\"");
    }
    if digits.len() > 1 && digits.starts_with('0') {
        return Err("hex number with leading zero digits");
    }
    if digits.len() > max {
        return Err(range);
    }
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("invalid hex string");
    }
    Ok(digits)
}

/// A number of at most 64 bits behind `0x`.
pub(super) fn parse_u64(text: &str) -> Result<u64, &'static str> {
    let digits = number_digits(text, 16, "hex number > 64 bits")?;
    u64::from_str_radix(digits, 16).map_err(|_| "invalid hex string")
}

fn fixed<const N: usize>(raw: &RawValue, wanted: &'static str) -> Result<[u8; N], Reason> {
    let text = quoted(raw, wanted)?;
    let digits = even_digits(text).map_err(|found| Reason::kind(found, wanted))?;
    if digits.len() != N * 2 {
        return Err(Reason::Text(format!("hex string has length {}, want {} for {wanted}", digits.len(), N * 2)));
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| Reason::kind("invalid hex string", wanted))?;
    Ok(bytes)
}

fn hex_u64(raw: &RawValue, wanted: &'static str) -> Result<u64, Reason> {
    let text = quoted(raw, wanted)?;
    if text.is_empty() {
        return Ok(0);
    }
    parse_u64(text).map_err(|found| Reason::kind(found, wanted))
}

impl Decode for Address {
    const GO: &'static str = "common.Address";
    const LIST: &'static str = "[]common.Address";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        fixed::<20>(raw, Self::GO).map(Self::from)
    }
}

impl Decode for B256 {
    const GO: &'static str = "common.Hash";
    const LIST: &'static str = "[]common.Hash";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        fixed::<32>(raw, Self::GO).map(Self::from)
    }
}

impl Decode for Bytes {
    const GO: &'static str = "hexutil.Bytes";
    const LIST: &'static str = "[]hexutil.Bytes";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        let digits = even_digits(quoted(raw, Self::GO)?).map_err(|found| Reason::kind(found, Self::GO))?;
        // `hex::decode` would accept a second prefix.
        let mut bytes = vec![0; digits.len() / 2];
        if digits.starts_with("0x") || hex::decode_to_slice(digits, &mut bytes).is_err() {
            return Err(Reason::kind("invalid hex string", Self::GO));
        }
        Ok(bytes.into())
    }
}

/// The nonce of a block: eight bytes that mean nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockNonce(pub [u8; 8]);

impl Decode for BlockNonce {
    const GO: &'static str = "*api.BlockNonce";

    /// Read as text: reasons stand alone.
    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        let mut bytes = [0; 8];
        if is_null(raw) {
            return Ok(Self(bytes));
        }
        let text = unescaped(raw).ok_or_else(|| Reason::kind(json_kind(raw), Self::GO))?;
        let digits = even_digits(&text).map_err(Reason::text)?;
        if digits.len() != bytes.len() * 2 {
            return Err(Reason::Text(format!("hex string has length {}, want 16 for BlockNonce", digits.len())));
        }
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| Reason::text("invalid hex string"))?;
        Ok(Self(bytes))
    }
}

impl Decode for HexUint64 {
    const GO: &'static str = "hexutil.Uint64";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        hex_u64(raw, Self::GO).map(Self)
    }
}

impl Decode for HexUint {
    const GO: &'static str = "hexutil.Uint";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        hex_u64(raw, Self::GO).map(Self)
    }
}

impl Decode for Quantity {
    const GO: &'static str = "*hexutil.Big";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        let text = quoted(raw, Self::GO)?;
        if text.is_empty() {
            return Ok(Self(U256::ZERO));
        }
        let digits = number_digits(text, 64, "hex number > 256 bits").map_err(|found| Reason::kind(found, Self::GO))?;
        U256::from_str_radix(digits, 16).map(Self).map_err(|_| Reason::kind("invalid hex string", Self::GO))
    }
}

/// A JSON string with its escapes resolved; halves of surrogate pairs become U+FFFD, as in Go.
pub(super) fn unescaped(raw: &RawValue) -> Option<String> {
    let text = raw.get();
    if !text.starts_with('"') {
        return None;
    }
    Some(serde_json::from_str(text).unwrap_or_else(|_| {
        let bytes: Vec<u8> = serde_json::from_str::<ByteString>(text).map(|b| b.0).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }))
}

/// A JSON string read as bytes, where lone surrogates are allowed.
struct ByteString(Vec<u8>);

impl<'de> serde::Deserialize<'de> for ByteString {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ByteString;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<ByteString, E> {
                Ok(ByteString(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

impl Decode for String {
    const GO: &'static str = "string";
    const LIST: &'static str = "[]string";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        if is_null(raw) {
            return Ok(Self::new());
        }
        unescaped(raw).ok_or_else(|| Reason::kind(json_kind(raw), Self::GO))
    }
}

impl Decode for FilterId {
    const GO: &'static str = "rpc.ID";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        if is_null(raw) {
            return Ok(Self(String::new()));
        }
        unescaped(raw).map(Self).ok_or_else(|| Reason::kind(json_kind(raw), Self::GO))
    }
}

impl Decode for bool {
    const GO: &'static str = "bool";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        match raw.get() {
            "true" => Ok(true),
            "false" | "null" => Ok(false),
            _ => Err(Reason::kind(json_kind(raw), Self::GO)),
        }
    }
}

/// A JSON number that is a whole one of the wanted type; a fraction or an overflow is named in full.
pub(super) fn integer<T: core::str::FromStr + Default>(raw: &RawValue, wanted: &'static str) -> Result<T, Reason> {
    match json_kind(raw) {
        "null" => Ok(T::default()),
        "number" => raw.get().parse().map_err(|_| Reason::kind(format!("number {}", raw.get()), wanted)),
        kind => Err(Reason::kind(kind, wanted)),
    }
}

impl Decode for u64 {
    const GO: &'static str = "uint64";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        integer(raw, Self::GO)
    }
}

impl Decode for i64 {
    const GO: &'static str = "int";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        integer(raw, Self::GO)
    }
}

impl Decode for f64 {
    const GO: &'static str = "float64";
    const LIST: &'static str = "[]float64";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        integer(raw, Self::GO)
    }
}

impl<T: Decode> Decode for Vec<T> {
    const GO: &'static str = T::LIST;

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        match json_kind(raw) {
            "null" => Ok(Self::new()),
            "array" => super::object::elements(raw).into_iter().map(T::decode).collect(),
            kind => Err(Reason::kind(kind, Self::GO)),
        }
    }
}
