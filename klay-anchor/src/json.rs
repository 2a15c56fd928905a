//! Records as JSON, in the shape of the node's RPC.
//!
//! Source: spec 60, sections 1.1, 1.2 and 1.8; `anchoring_data.go` and `api_kaia_transaction.go` in the reference
//! client.

use serde::{Serialize, Serializer, ser::SerializeStruct};
use serde_json::{Map, Number as JsonNumber, Value};

use crate::{
    decode::{AnchorError, Wrapper, decode_legacy, decode_record},
    number::Number,
    record::{Anchor, Digest, Record, TYPE_JSON, TYPE_RECORD},
};

/// The value of `inputJSON` in a transaction object: records of type 0 and without wrapper, and JSON objects of type
/// 128. [`Value::Null`] stands there for everything else.
///
/// ```
/// let input = [0xd2, 0x81, 0x80, 0x8f].iter().copied().chain(*br#"{"id":"v8t3o4"}"#).collect::<Vec<u8>>();
/// assert_eq!(klay_anchor::input_json(&input)?, serde_json::json!({"id": "v8t3o4"}));
/// # Ok::<_, klay_anchor::AnchorError>(())
/// ```
///
/// # Errors
/// If the bytes hold none of these.
pub fn input_json(bytes: &[u8]) -> Result<Value, AnchorError> {
    match Wrapper::decode(bytes) {
        Err(_) => Ok(to_value(&decode_legacy(bytes)?)),
        Ok(Wrapper { kind: TYPE_RECORD, data }) => Ok(to_value(&decode_record(data)?)),
        Ok(Wrapper { kind: TYPE_JSON, data }) => {
            through_floats(&Value::Object(parse_object(data)?)).ok_or(AnchorError::NotAJsonObject)
        }
        Ok(Wrapper { kind, .. }) => Err(AnchorError::UnknownType(kind)),
    }
}

/// The answer of `kaia_getDecodedAnchoringTransactionByHash`, whose texts are those of [`AnchorError`].
///
/// The reference client passes the record through floating point here: above 2^53 its numbers lose their last digits,
/// and so do these. [`input_json`] keeps them.
///
/// # Errors
/// If the bytes hold no record of type 0 or without wrapper.
pub fn decoded_anchoring(bytes: &[u8]) -> Result<Value, AnchorError> {
    let value = to_value(&Anchor::decode(bytes)?);
    Ok(through_floats(&value).unwrap_or(value))
}

/// One JSON object.
pub(crate) fn parse_object(data: &[u8]) -> Result<Map<String, Value>, AnchorError> {
    match serde_json::from_str(&String::from_utf8_lossy(data)) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(AnchorError::NotAJsonObject),
    }
}

impl Serialize for Anchor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Record(record) => record.serialize(serializer),
            Self::Legacy(digest) => digest.serialize(serializer),
        }
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Digest", 6)?;
        self.serialize_fields::<S>(&mut object)?;
        object.end()
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Record", 8)?;
        self.digest.serialize_fields::<S>(&mut object)?;
        object.serialize_field("blockCount", &self.block_count)?;
        object.serialize_field("txCount", &self.tx_count)?;
        object.end()
    }
}

impl Digest {
    fn serialize_fields<S: Serializer>(&self, object: &mut S::SerializeStruct) -> Result<(), S::Error> {
        object.serialize_field("blockHash", &self.block_hash)?;
        object.serialize_field("transactionsRoot", &self.transactions_root)?;
        object.serialize_field("parentHash", &self.parent_hash)?;
        object.serialize_field("receiptsRoot", &self.receipts_root)?;
        object.serialize_field("stateRoot", &self.state_root)?;
        object.serialize_field("blockNumber", &self.block_number)
    }
}

/// A JSON number of any size.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match u64::try_from(self) {
            Ok(small) => serializer.serialize_u64(small),
            Err(_) => JsonNumber::from_string_unchecked(self.to_string()).serialize(serializer),
        }
    }
}

fn to_value(record: &impl Serialize) -> Value {
    serde_json::to_value(record).expect("hashes and numbers under string keys always serialize")
}

/// What becomes of a value that the reference client reads into untyped maps: every number a float. None if one is
/// beyond all floats.
fn through_floats(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Number(number) => Value::Number(through_float(number)?),
        Value::Array(values) => Value::Array(values.iter().map(through_floats).collect::<Option<_>>()?),
        Value::Object(object) => Value::Object(
            object.iter().map(|(name, value)| Some((name.clone(), through_floats(value)?))).collect::<Option<_>>()?,
        ),
        other => other.clone(),
    })
}

/// The shortest decimal text of the nearest float, with an exponent from 1e21 up and below 1e-6.
fn through_float(number: &JsonNumber) -> Option<JsonNumber> {
    let float = number.as_f64().filter(|float| float.is_finite())?;
    let size = float.abs();
    let text = if size == 0.0 || (1e-6..1e21).contains(&size) {
        format!("{float}")
    } else {
        let text = format!("{float:e}");
        if size < 1.0 { text } else { text.replace('e', "e+") }
    };
    Some(JsonNumber::from_string_unchecked(text))
}
