#![doc = include_str!("../README.md")]

pub mod combine;
pub mod fee;
pub mod partial;
pub mod payer;
pub mod policy;
pub mod request;
#[cfg(feature = "serde")]
pub mod rpc;
pub mod sponsor;

pub use combine::{CombineError, combine};
pub use fee::{Fee, HashedKlaytnTx, KlaytnTx, RecoveredKlaytnTx};
pub use partial::{Incomplete, PartialTx};
pub use payer::FeePayer;
pub use policy::{Policy, Refusal};
pub use request::{Requested, Sponsored};
pub use sponsor::{LocalSponsor, Sponsor, SponsorError};
