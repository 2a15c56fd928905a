//! Objects and arrays whose members are looked at one by one.

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Decode, Reason, is_null, json_kind};

/// Members of an object in the order of the text, equal names included.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<Name<'de>>()? {
                    members.push((name.0, map.next_value::<&'de RawValue>()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The members of an object of Go type `wanted`, `null`ed ones left out; `null` itself has none.
pub(super) fn members<'a>(
    raw: &'a RawValue,
    wanted: &'static str,
) -> Result<impl Iterator<Item = (Cow<'a, str>, &'a RawValue)>, Reason> {
    let list = match json_kind(raw) {
        "null" => Vec::new(),
        "object" => {
            serde_json::from_str::<Members<'a>>(raw.get())
                .map_err(|_| Reason::text("invalid character in member name"))?
                .0
        }
        kind => return Err(Reason::kind(kind, wanted)),
    };
    Ok(list.into_iter().filter(|(_, value)| !is_null(value)))
}

/// The elements of an array; none for any other kind.
pub(super) fn elements(raw: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// A member's value, with the member named in the reason of a failure.
pub(super) fn member<T: Decode>(structure: &'static str, name: &str, raw: &RawValue) -> Result<T, Reason> {
    T::decode(raw).map_err(|reason| reason.within(structure, name))
}

/// Finds the declared spelling of a member, whose letters count without case.
pub(super) fn declared<'a>(names: &[&'a str], name: &str) -> Option<&'a str> {
    names.iter().find(|declared| declared.eq_ignore_ascii_case(name)).copied()
}
