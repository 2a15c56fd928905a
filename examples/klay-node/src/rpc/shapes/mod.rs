//! Blocks, transactions and receipts as JSON, in both flavours, from one internal form.
//!
//! Everything that two methods show of a transaction is written by one function, so that a block, a lookup, a receipt
//! and the pool agree.

pub mod anchor;
pub mod block;
pub mod log;
pub mod receipt;
pub mod tx;

use alloy_primitives::{U256, hex};
use serde_json::{Map, Number, Value};

/// An object under construction.
pub type Object = Map<String, Value>;

/// Which names and members a client expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// `kaia_` and `klay_`.
    Kaia,
    /// `eth_`.
    Eth,
}

/// A quantity: hex without leading zeros.
pub fn quantity(value: u64) -> Value {
    Value::String(format!("{value:#x}"))
}

/// A quantity of up to 256 bits.
pub fn big(value: U256) -> Value {
    Value::String(format!("{value:#x}"))
}

/// An amount as a JSON number, however large.
pub fn number(value: U256) -> Value {
    // Decimal digits are a JSON number.
    value.to_string().parse::<Number>().map_or(Value::Null, Value::Number)
}

/// A number as the reference client writes it: whole ones without a point. What is no number shows as null.
pub fn fraction(value: f64) -> Value {
    if value.fract() == 0.0 {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// Bytes as hex.
pub fn bytes(value: impl AsRef<[u8]>) -> Value {
    Value::String(hex::encode_prefixed(value))
}

/// Members written one after another.
pub(crate) trait Put {
    /// Sets a member.
    fn put(&mut self, name: &str, value: impl Into<Value>);
    /// Sets a member to bytes as hex: hashes, addresses, data.
    fn put_hex(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.put(name, bytes(value));
    }
    /// Sets a member to a quantity.
    fn put_quantity(&mut self, name: &str, value: u64) {
        self.put(name, quantity(value));
    }
    /// Sets a member to a large quantity.
    fn put_big(&mut self, name: &str, value: U256) {
        self.put(name, big(value));
    }
}

impl Put for Object {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.insert(name.to_owned(), value.into());
    }
}
