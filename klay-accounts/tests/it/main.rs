//! Every test of the crate in one program, which is linked once.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;
#[cfg(feature = "serde")]
mod keys;
#[cfg(feature = "serde")]
mod leaves;
mod names;
mod properties;
#[cfg(feature = "serde")]
mod signatures;
#[cfg(all(feature = "keystore", feature = "mnemonic"))]
mod wallets;
