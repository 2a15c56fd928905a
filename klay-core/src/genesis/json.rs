//! JSON form of a genesis file.
//!
//! Numbers are decimal text or `0x` hex, as the reference client wants them; addresses of accounts stand without `0x` (with it they are
//! accepted too); storage keys and values may be shorter than 32 bytes. `governanceData` is not read: a node computes
//! it from the configuration, see [`Genesis::prepared`]. Neither are a base fee and blob gas, which the reference
//! client's reader does not know.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Genesis, GenesisAccount};
use crate::config::ChainConfig;

impl Serialize for Genesis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire {
            config: self.config.clone(),
            timestamp: Quantity::from(self.timestamp),
            extra_data: self.extra.clone(),
            block_score: self.block_score.map(Quantity),
            alloc: self.alloc.iter().map(|(address, account)| (Key(*address), WireAccount::from(account))).collect(),
            number: Quantity::from(self.number),
            gas_used: Quantity::from(self.gas_used),
            parent_hash: self.parent_hash,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Genesis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        let small = |quantity: Quantity, field| {
            u64::try_from(quantity.0).map_err(|_| D::Error::custom(format_args!("{field} does not fit 64 bits")))
        };
        Ok(Self {
            config: wire.config,
            timestamp: small(wire.timestamp, "timestamp")?,
            extra: wire.extra_data,
            governance: None,
            block_score: wire.block_score.map(|quantity| quantity.0),
            alloc: wire
                .alloc
                .into_iter()
                .map(|(address, account)| Ok((address.0, account.try_into().map_err(D::Error::custom)?)))
                .collect::<Result<_, D::Error>>()?,
            number: small(wire.number, "number")?,
            gas_used: small(wire.gas_used, "gasUsed")?,
            parent_hash: wire.parent_hash,
            base_fee: None,
            excess_blob_gas: None,
            blob_gas_used: None,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    config: ChainConfig,
    #[serde(default)]
    timestamp: Quantity,
    #[serde(default)]
    extra_data: Bytes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    block_score: Option<Quantity>,
    alloc: BTreeMap<Key, WireAccount>,
    #[serde(default)]
    number: Quantity,
    #[serde(default)]
    gas_used: Quantity,
    #[serde(default)]
    parent_hash: B256,
}

#[derive(Serialize, Deserialize)]
struct WireAccount {
    balance: Quantity,
    #[serde(default, skip_serializing_if = "is_zero")]
    nonce: Quantity,
    #[serde(default, skip_serializing_if = "is_empty")]
    code: Bytes,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    storage: BTreeMap<Word, Word>,
}

fn is_zero(quantity: &Quantity) -> bool {
    quantity.0.is_zero()
}

fn is_empty(code: &Bytes) -> bool {
    code.is_empty()
}

impl From<&GenesisAccount> for WireAccount {
    fn from(account: &GenesisAccount) -> Self {
        Self {
            balance: Quantity(account.balance),
            nonce: Quantity::from(account.nonce),
            code: account.code.clone(),
            storage: account.storage.iter().map(|(slot, value)| (Word(*slot), Word(*value))).collect(),
        }
    }
}

impl TryFrom<WireAccount> for GenesisAccount {
    type Error = &'static str;

    fn try_from(wire: WireAccount) -> Result<Self, Self::Error> {
        Ok(Self {
            balance: wire.balance.0,
            nonce: u64::try_from(wire.nonce.0).map_err(|_| "nonce does not fit 64 bits")?,
            code: wire.code,
            storage: wire.storage.into_iter().map(|(slot, value)| (slot.0, value.0)).collect(),
        })
    }
}

/// Decimal text or hex text; written as hex text.
#[derive(Default)]
struct Quantity(U256);

impl From<u64> for Quantity {
    fn from(value: u64) -> Self {
        Self(U256::from(value))
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => (digits, 16),
            None => (text.as_str(), 10),
        };
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(D::Error::custom(format_args!("{text} is not a number")));
        }
        U256::from_str_radix(digits, radix)
            .map(Self)
            .map_err(|_| D::Error::custom(format_args!("{text} is not a number of at most 256 bits")))
    }
}

/// An account's address, with or without `0x`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key(Address);

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| D::Error::custom(format_args!("{text} is not an address")))
    }
}

/// A storage key or value of at most 32 bytes, with or without `0x`, padded on the left.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Word(B256);

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text)
            .ok()
            .filter(|bytes| bytes.len() <= 32)
            .map(|bytes| Self(B256::left_padding_from(&bytes)))
            .ok_or_else(|| D::Error::custom(format_args!("{text} is not a storage word of at most 32 bytes")))
    }
}
