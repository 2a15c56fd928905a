//! Account keys in their JSON form (spec 20, section 5.2).

use alloy_primitives::U256;
use serde_json::value::RawValue;

use super::{
    Decode, Quantity, Reason,
    object::{declared, member, members},
    scalar::integer,
};

/// An account key as a client wrote it (`accountkey.AccountKeyJSON`). Whether it makes sense is up to the method.
#[derive(Debug, Clone)]
pub struct KeyJson {
    /// Which kind, if given.
    pub key_type: Option<u64>,
    /// The rest, whose form depends on the kind.
    pub key: Option<Box<RawValue>>,
}

/// A point (`accountkey.AccountKeyPublicJSON`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PointJson {
    /// First coordinate.
    pub x: Option<U256>,
    /// Second coordinate.
    pub y: Option<U256>,
}

/// A key with its weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WeightedJson {
    /// Weight.
    pub weight: u64,
    /// Key.
    pub key: PointJson,
}

/// Keys and what their weights must reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MultiSigJson {
    /// Threshold.
    pub threshold: u64,
    /// Keys.
    pub keys: Vec<WeightedJson>,
}

impl Decode for KeyJson {
    const GO: &'static str = "accountkey.AccountKeyJSON";
    const LIST: &'static str = "[]accountkey.AccountKeyJSON";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        const ROOT: &str = "AccountKeyJSON";
        let mut json = Self { key_type: None, key: None };
        for (name, value) in members(raw, Self::GO)? {
            match declared(&["keyType", "key"], &name) {
                Some(name @ "keyType") => {
                    let code = integer(value, "accountkey.AccountKeyType").map_err(|r| r.within(ROOT, name))?;
                    json.key_type = Some(code);
                }
                Some(_) => json.key = Some(value.to_owned()),
                None => {}
            }
        }
        Ok(json)
    }
}

impl Decode for PointJson {
    const GO: &'static str = "accountkey.PublicKeySerializable";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        const ROOT: &str = "PublicKeySerializable";
        let mut point = Self::default();
        for (name, value) in members(raw, Self::GO)? {
            match declared(&["x", "y"], &name) {
                Some("x") => point.x = Some(member::<Quantity>(ROOT, "x", value)?.0),
                Some(name) => point.y = Some(member::<Quantity>(ROOT, name, value)?.0),
                None => {}
            }
        }
        Ok(point)
    }
}

impl Decode for WeightedJson {
    const GO: &'static str = "accountkey.WeightedPublicKey";
    const LIST: &'static str = "accountkey.WeightedPublicKeys";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        const ROOT: &str = "WeightedPublicKey";
        let mut weighted = Self::default();
        for (name, value) in members(raw, Self::GO)? {
            match declared(&["weight", "key"], &name) {
                Some(name @ "weight") => {
                    weighted.weight = integer::<u32>(value, "uint").map_err(|r| r.within(ROOT, name))?.into();
                }
                Some(name) => weighted.key = member(ROOT, name, value)?,
                None => {}
            }
        }
        Ok(weighted)
    }
}

impl Decode for MultiSigJson {
    const GO: &'static str = "accountkey.AccountKeyWeightedMultiSig";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        const ROOT: &str = "AccountKeyWeightedMultiSig";
        let mut multisig = Self::default();
        for (name, value) in members(raw, Self::GO)? {
            match declared(&["threshold", "keys"], &name) {
                Some(name @ "threshold") => {
                    multisig.threshold = integer::<u32>(value, "uint").map_err(|r| r.within(ROOT, name))?.into();
                }
                Some(name) => multisig.keys = member(ROOT, name, value)?,
                None => {}
            }
        }
        Ok(multisig)
    }
}
