#![doc = include_str!("../README.md")]

pub mod account;
pub mod hra;
pub mod key;
#[cfg(feature = "serde")]
mod quantity;
pub mod wallet;
mod wire;

pub use account::{CodeInfo, EMPTY_CODE_HASH, EMPTY_ROOT, Program, StateAccount};
pub use key::{AccountKey, AuthorizeError, KeyError, MultiSig, MultiSigRules, RoleBased, WeightedKey};
#[cfg(feature = "serde")]
pub use quantity::QuantityError;
