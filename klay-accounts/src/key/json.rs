//! Keys as JSON, in the shape of the node's RPC.
//!
//! Source: spec 20, sections 5.2 and 5.3; `account_key_serializer.go` and `api_kaia.go` in the reference client.

use alloy_primitives::U256;
use klay_core::PublicKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeStruct};
use serde_json::Value;

use super::{AccountKey, MultiSig, RoleBased, WeightedKey, codec};
use crate::quantity::{self, QuantityError};

/// Why a JSON value is not a key. The texts are the reference client's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyJsonError {
    /// No `keyType`.
    #[error("key type is not specified")]
    MissingType,
    /// A `keyType` above 5.
    #[error("undefined account key type")]
    UndefinedType,
    /// No `key`.
    #[error("unexpected end of JSON input")]
    MissingKey,
    /// No `x` or no `y`.
    #[error("X or Y value of the public key does not exist")]
    MissingCoordinate,
    /// A coordinate that is not a quantity.
    #[error("json: cannot unmarshal {problem} into Go struct field {field} of type *hexutil.Big")]
    Coordinate {
        /// The member.
        field: &'static str,
        /// What is wrong with it.
        problem: QuantityError,
    },
    /// A member of another JSON type than it must have.
    #[error("json: cannot unmarshal {got} into Go {place}")]
    WrongType {
        /// JSON type found.
        got: &'static str,
        /// Member and type wanted, in the reference client's words.
        place: &'static str,
    },
    /// The point is not on secp256k1.
    #[error("the key probably contains an invalid public key: key is not on the S256 curve")]
    NotOnCurve,
    /// A threshold of 0, or none.
    #[error("invalid threshold of the multiSigKey")]
    ZeroThreshold,
    /// A weight of 0, or none.
    #[error("invalid weight of the multiSigKey")]
    ZeroWeight,
    /// A role-based key as a role.
    #[error("roleBasedKey cannot contains a roleBasedKey as a role key")]
    NestedRole,
}

impl AccountKey {
    /// Reads the argument of `kaia_encodeAccountKey`: as the [`Deserialize`] form, and in addition thresholds and
    /// weights must not be 0 and roles not role-based.
    ///
    /// Does not check whether an account can have this key: eleven members or a threshold out of reach pass.
    ///
    /// # Errors
    /// With the text of that call.
    pub fn from_rpc_json(value: &Value) -> Result<Self, KeyJsonError> {
        let key = Shape::parse(value)?;
        key.check_zero_values(false)?;
        key.build()
    }
}

impl Serialize for AccountKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("AccountKey", 2)?;
        object.serialize_field("keyType", &self.type_byte())?;
        match self {
            Self::Nil | Self::Legacy | Self::Fail => object.serialize_field("key", &Empty {})?,
            Self::Public(key) => object.serialize_field("key", &Point(key))?,
            Self::WeightedMultiSig(key) => object.serialize_field("key", &**key)?,
            Self::RoleBased(key) => object.serialize_field("key", key.roles())?,
        }
        object.end()
    }
}

impl<'de> Deserialize<'de> for AccountKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Shape::parse(&value).and_then(Shape::build).map_err(D::Error::custom)
    }
}

#[derive(Serialize)]
struct Empty {}

struct Point<'a>(&'a PublicKey);

impl Serialize for Point<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (x, y) = self.0.as_uncompressed().split_at(32);
        let mut object = serializer.serialize_struct("PublicKey", 2)?;
        object.serialize_field("x", &quantity::format(U256::from_be_slice(x)))?;
        object.serialize_field("y", &quantity::format(U256::from_be_slice(y)))?;
        object.end()
    }
}

impl Serialize for MultiSig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("WeightedMultiSig", 2)?;
        object.serialize_field("threshold", &self.threshold())?;
        object.serialize_field("keys", self.keys())?;
        object.end()
    }
}

impl Serialize for WeightedKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("WeightedPublicKey", 2)?;
        object.serialize_field("weight", &self.weight)?;
        object.serialize_field("key", &Point(&self.key))?;
        object.end()
    }
}

/// A key whose members are of the right JSON type and nothing more.
enum Shape {
    Plain(AccountKey),
    Public(Coordinates),
    WeightedMultiSig { threshold: u64, keys: Vec<(u64, Coordinates)> },
    RoleBased(Vec<Self>),
}

impl Shape {
    fn parse(value: &Value) -> Result<Self, KeyJsonError> {
        let object = object(value, "value of type accountkey.AccountKeyJSON")?;
        let key_type = match object.get("keyType") {
            None | Some(Value::Null) => return Err(KeyJsonError::MissingType),
            Some(value) => number(value, "struct field AccountKeyJSON.keyType of type accountkey.AccountKeyType")?,
        };
        let key = object.get("key");
        match u8::try_from(key_type).map_err(|_| KeyJsonError::UndefinedType)? {
            codec::NIL => empty(key, "value of type accountkey.AccountKeyNil").map(|()| Self::Plain(AccountKey::Nil)),
            codec::LEGACY => {
                empty(key, "value of type accountkey.AccountKeyLegacy").map(|()| Self::Plain(AccountKey::Legacy))
            }
            codec::FAIL => {
                empty(key, "value of type accountkey.AccountKeyFail").map(|()| Self::Plain(AccountKey::Fail))
            }
            codec::PUBLIC => Coordinates::parse(key.ok_or(KeyJsonError::MissingKey)?).map(Self::Public),
            codec::WEIGHTED_MULTI_SIG => Self::parse_multisig(key.ok_or(KeyJsonError::MissingKey)?),
            codec::ROLE_BASED => {
                let roles =
                    array(key.ok_or(KeyJsonError::MissingKey)?, "value of type accountkey.AccountKeyRoleBased")?;
                Ok(Self::RoleBased(roles.iter().map(Self::parse).collect::<Result<_, _>>()?))
            }
            _ => Err(KeyJsonError::UndefinedType),
        }
    }

    fn parse_multisig(value: &Value) -> Result<Self, KeyJsonError> {
        let multisig = object(value, "value of type accountkey.AccountKeyWeightedMultiSig")?;
        let threshold = optional_number(
            multisig.get("threshold"),
            "struct field AccountKeyWeightedMultiSig.threshold of type uint",
        )?;
        let members = match multisig.get("keys") {
            None | Some(Value::Null) => &[],
            Some(keys) => {
                array(keys, "struct field AccountKeyWeightedMultiSig.keys of type accountkey.WeightedPublicKeys")?
            }
        };
        let keys = members
            .iter()
            .map(|member| {
                let member = object(
                    member,
                    "struct field AccountKeyWeightedMultiSig.keys of type accountkey.WeightedPublicKey",
                )?;
                let weight =
                    optional_number(member.get("weight"), "struct field WeightedPublicKey.keys.weight of type uint")?;
                let key = Coordinates::parse(member.get("key").ok_or(KeyJsonError::MissingCoordinate)?)?;
                Ok((weight, key))
            })
            .collect::<Result<_, KeyJsonError>>()?;
        Ok(Self::WeightedMultiSig { threshold, keys })
    }

    fn check_zero_values(&self, is_role: bool) -> Result<(), KeyJsonError> {
        match self {
            Self::WeightedMultiSig { threshold: 0, .. } => Err(KeyJsonError::ZeroThreshold),
            Self::WeightedMultiSig { keys, .. } if keys.iter().any(|(weight, _)| *weight == 0) => {
                Err(KeyJsonError::ZeroWeight)
            }
            Self::RoleBased(_) if is_role => Err(KeyJsonError::NestedRole),
            Self::RoleBased(roles) => roles.iter().try_for_each(|role| role.check_zero_values(true)),
            Self::Plain(_) | Self::Public(_) | Self::WeightedMultiSig { .. } => Ok(()),
        }
    }

    fn build(self) -> Result<AccountKey, KeyJsonError> {
        Ok(match self {
            Self::Plain(key) => key,
            Self::Public(point) => point.build()?.into(),
            Self::WeightedMultiSig { threshold, keys } => {
                let keys = keys
                    .into_iter()
                    .map(|(weight, point)| Ok(WeightedKey { weight, key: point.build()? }))
                    .collect::<Result<_, KeyJsonError>>()?;
                MultiSig::new_unchecked(threshold, keys).into()
            }
            Self::RoleBased(roles) => {
                RoleBased::update(roles.into_iter().map(Self::build).collect::<Result<_, _>>()?).into()
            }
        })
    }
}

struct Coordinates {
    x: U256,
    y: U256,
}

impl Coordinates {
    fn parse(value: &Value) -> Result<Self, KeyJsonError> {
        if value.is_null() {
            return Err(KeyJsonError::MissingCoordinate);
        }
        let point = object(value, "value of type accountkey.publicKeySerializableInternalJSON")?;
        let coordinate = |name, field| match point.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                quantity::parse(value).map(Some).map_err(|problem| KeyJsonError::Coordinate { field, problem })
            }
        };
        let x = coordinate("x", "publicKeySerializableInternalJSON.x")?;
        let y = coordinate("y", "publicKeySerializableInternalJSON.y")?;
        match (x, y) {
            (Some(x), Some(y)) => Ok(Self { x, y }),
            _ => Err(KeyJsonError::MissingCoordinate),
        }
    }

    fn build(&self) -> Result<PublicKey, KeyJsonError> {
        let mut point = [0; 64];
        point[..32].copy_from_slice(&self.x.to_be_bytes::<32>());
        point[32..].copy_from_slice(&self.y.to_be_bytes::<32>());
        PublicKey::from_uncompressed(point).ok_or(KeyJsonError::NotOnCurve)
    }
}

fn empty(key: Option<&Value>, place: &'static str) -> Result<(), KeyJsonError> {
    match key {
        None => Err(KeyJsonError::MissingKey),
        Some(Value::Null) => Ok(()),
        Some(value) => object(value, place).map(|_| ()),
    }
}

fn object<'a>(value: &'a Value, place: &'static str) -> Result<&'a serde_json::Map<String, Value>, KeyJsonError> {
    value.as_object().ok_or_else(|| wrong_type(value, place))
}

fn array<'a>(value: &'a Value, place: &'static str) -> Result<&'a [Value], KeyJsonError> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| wrong_type(value, place))
}

fn number(value: &Value, place: &'static str) -> Result<u64, KeyJsonError> {
    value.as_u64().ok_or_else(|| wrong_type(value, place))
}

fn optional_number(value: Option<&Value>, place: &'static str) -> Result<u64, KeyJsonError> {
    match value {
        None | Some(Value::Null) => Ok(0),
        Some(value) => number(value, place),
    }
}

const fn wrong_type(value: &Value, place: &'static str) -> KeyJsonError {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    KeyJsonError::WrongType { got, place }
}
