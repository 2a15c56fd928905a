//! A secret key and an address in one line of text.

use core::str::FromStr;

use alloy_primitives::{Address, hex};
use zeroize::Zeroizing;

use super::{Keyring, SecretKey, SecretKeyError};

/// A secret key and the address it signs for, which need not be the key's own.
///
/// The text is the key's 64 digits, `0x00`, and `0x` with the address's 40 digits.
///
/// Source: spec 20, section 4.2.
#[derive(Debug, Clone)]
pub struct WalletKey {
    /// The key.
    pub secret: SecretKey,
    /// The account.
    pub address: Address,
}

/// Why a text is not a wallet key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WalletKeyError {
    /// Other than 110 characters, or 112 with `0x`.
    #[error("wallet key of {got} characters where {expected} are needed")]
    WrongLength {
        /// Characters without `0x` in front.
        expected: usize,
        /// Characters given, without `0x` in front.
        got: usize,
    },
    /// The type is not 00.
    #[error("wallet key type must be 00")]
    UnsupportedType,
    /// Malformed address, or one whose mix of upper and lower case is not its checksum.
    #[error("wallet key has a malformed address")]
    Address,
    /// Malformed secret key.
    #[error(transparent)]
    Secret(#[from] SecretKeyError),
}

/// Length without the optional `0x`.
const LEN: usize = 64 + 4 + 42;

impl WalletKey {
    /// The text, with `0x` in front and in lower case. Wiped when dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(hex::encode(self.secret.expose()));
        let mut text = Zeroizing::new(String::with_capacity(2 + LEN));
        for part in ["0x", &secret, "0x00", "0x", &hex::encode(self.address)] {
            text.push_str(part);
        }
        text
    }
}

impl FromStr for WalletKey {
    type Err = WalletKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_prefix("0x").unwrap_or(text);
        if text.len() != LEN || !text.is_ascii() {
            return Err(WalletKeyError::WrongLength { expected: LEN, got: text.len() });
        }
        let (secret, rest) = text.split_at(64);
        let (kind, address) = rest.split_at(4);
        if kind != "0x00" {
            return Err(WalletKeyError::UnsupportedType);
        }
        Ok(Self { secret: secret.parse()?, address: parse_address(address).ok_or(WalletKeyError::Address)? })
    }
}

impl From<WalletKey> for Keyring {
    fn from(key: WalletKey) -> Self {
        Self::decoupled(key.address, key.secret)
    }
}

/// An address with `0x`; a mix of upper and lower case must be the checksum of EIP-55.
fn parse_address(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x")?;
    let is_mixed = digits.bytes().any(|b| b.is_ascii_uppercase()) && digits.bytes().any(|b| b.is_ascii_lowercase());
    if is_mixed { Address::parse_checksummed(text, None).ok() } else { text.parse().ok() }
}
