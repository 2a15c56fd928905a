//! Human-readable addresses: accounts whose address is a name.
//!
//! No public network has them. The reference client had them on its development branch in 2019 and removed them
//! before its first public release; a flag in the state leaf and a receipt code are what is left. Chains built with
//! these crates may bring them back. This module knows what a name is; whose it is, the state knows.
//!
//! Source: spec 20, section 3.

pub mod name;

pub use name::{Name, NameError, NameRules, Profile};
