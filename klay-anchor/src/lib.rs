#![doc = include_str!("../README.md")]

mod decode;
#[cfg(feature = "serde")]
mod json;
mod number;
mod record;

pub use decode::{AnchorError, Expected, RecordError};
#[cfg(feature = "serde")]
pub use json::{decoded_anchoring, input_json};
pub use number::{Number, TooLarge};
#[cfg(feature = "serde")]
pub use record::json_payload;
pub use record::{Anchor, Digest, Record};
