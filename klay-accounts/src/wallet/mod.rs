//! Secret keys and what holds them: keyrings, keystore files, wallet keys, mnemonics; and signed messages.
//!
//! A keyring knows its address separately from its keys, since an account's key can be replaced while its address
//! stays. Nothing here prints a secret: `Debug` shows addresses, errors name places.
//!
//! Source: spec 20, section 4; KIP-3; KIP-97.

mod keyring;
#[cfg(feature = "keystore")]
pub mod keystore;
pub mod message;
#[cfg(feature = "mnemonic")]
pub mod mnemonic;
mod secret;
mod wallet_key;

pub use keyring::{Keyring, KeyringError, Weights};
#[cfg(feature = "keystore")]
pub use keystore::{Keystore, KeystoreError};
pub use secret::{SecretKey, SecretKeyError};
pub use wallet_key::{WalletKey, WalletKeyError};

#[cfg(feature = "rand")]
pub use secret::system_entropy;
