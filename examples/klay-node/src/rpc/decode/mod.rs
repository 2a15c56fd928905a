//! Parameters: from JSON text to Rust types, with the reference client's reason where that fails.
//!
//! A type that can be a parameter implements [`Decode`]; its Go name is part of the text that clients see. Which
//! parameters a method has, and which of them may be missing, is the tuple type of its handler ([`Params`]): the
//! rules of section 1.5 of chapter 80 exist once, here, and not per method.

mod block;
mod call;
mod filter;
mod key;
mod object;
mod params;
mod scalar;
mod send;
mod trace;

pub use block::{BlockId, BlockNumber, Count};
pub use call::{Authorization, CallRequest, EthCallRequest, OverrideAccount, Overrides};
pub use filter::Criteria;
pub use key::KeyJson;
pub use params::{Param, Params, Spec};
pub use scalar::{BlockNonce, FilterId, HexUint, HexUint64, Quantity};
pub use send::{AccountUpdateRequest, SendRequest, ValueTransferRequest};
pub(super) use send::{access_list, signed};
pub use trace::{TraceConfig, TracerConfig};

use serde_json::value::RawValue;

/// Why a JSON value is not what a parameter wants, in the reference client's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// `json: cannot unmarshal <found> into Go value of type <wanted>`, or `struct field` if a member is named.
    Kind {
        /// What stands there: a JSON kind, a number, or what is wrong with the hex string.
        found: String,
        /// The Go type.
        wanted: &'static str,
        /// The struct and the path of members in it.
        field: Option<(&'static str, String)>,
    },
    /// A text of its own.
    Text(String),
}

impl Reason {
    /// `found` where a `wanted` must stand.
    pub fn kind(found: impl Into<String>, wanted: &'static str) -> Self {
        Self::Kind { found: found.into(), wanted, field: None }
    }

    /// A reason without the frame of words around it.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The same reason, seen from a struct in whose `member` the value stands.
    #[must_use]
    pub fn within(self, structure: &'static str, member: &str) -> Self {
        match self {
            Self::Kind { found, wanted, field } => {
                let path = match field {
                    Some((_, inner)) => format!("{member}.{inner}"),
                    None => member.to_owned(),
                };
                Self::Kind { found, wanted, field: Some((structure, path)) }
            }
            text => text,
        }
    }
}

impl core::fmt::Display for Reason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Kind { found, wanted, field: None } => {
                write!(f, "json: cannot unmarshal {found} into Go value of type {wanted}")
            }
            Self::Kind { found, wanted, field: Some((structure, path)) } => {
                write!(f, "json: cannot unmarshal {found} into Go struct field {structure}.{path} of type {wanted}")
            }
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A type that a parameter can have.
pub trait Decode: Sized {
    /// Name of the Go type in messages.
    const GO: &'static str;
    /// Name of a list of it.
    const LIST: &'static str = "[]interface {}";

    /// Reads the value.
    ///
    /// # Errors
    /// In the reference client's words.
    fn decode(raw: &RawValue) -> Result<Self, Reason>;
}

/// The kind of a JSON text, as Go names it.
pub(super) fn json_kind(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// Whether the text is `null`.
pub(crate) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}
