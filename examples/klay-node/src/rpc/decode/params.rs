//! The list of parameters of a method, as a tuple type.

use serde::{
    Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Decode, Reason, is_null, json_kind};
use crate::rpc::RpcError;

/// One parameter, for the documentation and for checks over the whole table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Go type that messages name.
    pub go: &'static str,
    /// Whether it may be missing or `null`.
    pub optional: bool,
}

/// A position in the list: a type that must be there, or an `Option` of one.
pub trait Param: Sized {
    /// What the position holds.
    const SPEC: Spec;

    /// Reads the position; `None` if the list is shorter.
    ///
    /// # Errors
    /// If the value is missing or does not decode.
    fn read(raw: Option<&RawValue>, index: usize) -> Result<Self, RpcError>;
}

impl<T: Decode> Param for T {
    const SPEC: Spec = Spec { go: T::GO, optional: false };

    fn read(raw: Option<&RawValue>, index: usize) -> Result<Self, RpcError> {
        let raw = raw.ok_or(RpcError::MissingArgument { index })?;
        T::decode(raw).map_err(|reason| RpcError::InvalidArgument { index, reason })
    }
}

impl<T: Decode> Param for Option<T> {
    const SPEC: Spec = Spec { go: T::GO, optional: true };

    fn read(raw: Option<&RawValue>, index: usize) -> Result<Self, RpcError> {
        match raw.filter(|raw| !is_null(raw)) {
            Some(raw) => T::read(Some(raw), index).map(Some),
            None => Ok(None),
        }
    }
}

/// The parameters of a method.
pub trait Params: Sized {
    /// One entry per position.
    const SPECS: &'static [Spec];

    /// Reads `params`; absent and `null` are the empty list.
    ///
    /// # Errors
    /// As section 1.4 of chapter 80 says, the first wrong position decides.
    fn read(params: Option<&RawValue>) -> Result<Self, RpcError>;
}

/// Splits `params` and stops after `max` + 1 elements; nothing behind them can change the answer.
fn split(params: Option<&RawValue>, max: usize) -> Result<Vec<&RawValue>, RpcError> {
    let Some(raw) = params.filter(|raw| !is_null(raw)) else { return Ok(Vec::new()) };
    if json_kind(raw) != "array" {
        return Err(RpcError::NonArrayArgs);
    }
    struct Take(usize);
    impl<'de> Visitor<'de> for Take {
        type Value = Vec<&'de RawValue>;
        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("an array")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::with_capacity(self.0 + 1);
            while let Some(raw) = seq.next_element::<&'de RawValue>()? {
                if list.len() <= self.0 {
                    list.push(raw);
                }
            }
            Ok(list)
        }
    }
    serde_json::Deserializer::from_str(raw.get()).deserialize_seq(Take(max)).map_err(|_| RpcError::NonArrayArgs)
}

impl Params for () {
    const SPECS: &'static [Spec] = &[];

    /// A method without parameters swallows any list.
    fn read(params: Option<&RawValue>) -> Result<Self, RpcError> {
        split(params, 0).map(drop)
    }
}

macro_rules! tuple {
    ($count:literal: $($name:ident $index:literal),+) => {
        impl<$($name: Param),+> Params for ($($name,)+) {
            const SPECS: &'static [Spec] = &[$($name::SPEC),+];

            fn read(params: Option<&RawValue>) -> Result<Self, RpcError> {
                let list = split(params, $count)?;
                // What is there is decoded first, then the surplus, then what is missing.
                let given = ($(if $index < list.len() { Some($name::read(Some(list[$index]), $index)?) } else { None },)+);
                if list.len() > $count {
                    return Err(RpcError::TooManyArguments { max: $count });
                }
                #[allow(non_snake_case)]
                let ($($name,)+) = given;
                Ok(($(match $name { Some(value) => value, None => $name::read(None, $index)? },)+))
            }
        }
    };
}

tuple!(1: A 0);
tuple!(2: A 0, B 1);
tuple!(3: A 0, B 1, C 2);
tuple!(4: A 0, B 1, C 2, D 3);
tuple!(5: A 0, B 1, C 2, D 3, E 4);

/// A parameter that decodes to itself, for methods that look at their parameters on their own.
impl Decode for Box<RawValue> {
    const GO: &'static str = "interface {}";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        Ok(raw.to_owned())
    }
}
