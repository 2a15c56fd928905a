//! Account keys in their JSON form (spec 20, section 5.2).

use serde_json::{Value, value::RawValue};

use super::{
    Decode, Reason,
    object::{declared, members},
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

impl KeyJson {
    /// The key as one JSON value, for whoever knows what a key is.
    pub fn into_value(self) -> Value {
        let mut object = serde_json::Map::new();
        if let Some(code) = self.key_type {
            object.insert("keyType".to_owned(), code.into());
        }
        if let Some(key) = self.key {
            object.insert("key".to_owned(), serde_json::from_str(key.get()).unwrap_or_default());
        }
        Value::Object(object)
    }
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
