//! Signed messages.
//!
//! Two prefixes are in use: KIP-97's, by caver and wallets of its time, and that of EIP-191, by everyone else and by
//! the node from v1.0.1 on. A signature is made over the hash of prefix, length and data.
//!
//! ```
//! use klay_accounts::wallet::{SecretKey, message::{self, Prefix}};
//!
//! let key = SecretKey::from_slice(&[1; 32])?;
//! let signature = message::sign(&key, Prefix::Klaytn, b"abcd")?;
//! assert_eq!(signature.recover(Prefix::Klaytn, b"abcd")?, key.public_key());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: spec 20, section 4.6; KIP-97; EIP-191.

use alloy_primitives::{Address, B256, U256, hex};
use klay_core::{PublicKey, Sign, auth::SignError, crypto, crypto::RecoverError, keccak256};

use crate::key::AccountKey;

/// What stands in front of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// `Klaytn Signed Message:`, KIP-97.
    Klaytn,
    /// `Ethereum Signed Message:`, EIP-191.
    Ethereum,
}

/// A signature of a message, with low `s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageSignature {
    /// x coordinate of the nonce point.
    pub r: U256,
    /// The proof.
    pub s: U256,
    /// Whether y of the nonce point is odd.
    pub odd_y: bool,
}

/// Why a message's signature was not accepted. The texts are those of the node's `recoverFromMessage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Other than 65 bytes.
    #[error("signature must be 65 bytes long")]
    WrongLength {
        /// Bytes given.
        got: usize,
    },
    /// The last byte is not one of those allowed.
    #[error("invalid signature (V is not 27 or 28)")]
    WrongV {
        /// The byte given.
        got: u8,
    },
    /// The signer is not a member of the account's key, under either prefix.
    #[error("Invalid signature")]
    NotAMember,
    /// The values yield no signer.
    #[error("recovery failed")]
    RecoveryFailed,
}

impl Prefix {
    /// The digest that is signed for `data`.
    pub fn hash(self, data: &[u8]) -> B256 {
        let name = match self {
            Self::Klaytn => "Klaytn",
            Self::Ethereum => "Ethereum",
        };
        let mut message = format!("\x19{name} Signed Message:\n{}", data.len()).into_bytes();
        message.extend_from_slice(data);
        keccak256(message)
    }
}

/// Signs `data` under `prefix`.
///
/// # Errors
/// If the key cannot be used.
pub fn sign(key: &impl Sign, prefix: Prefix, data: &[u8]) -> Result<MessageSignature, SignError> {
    let signature = key.sign_digest(prefix.hash(data))?;
    Ok(MessageSignature { r: signature.r, s: signature.s, odd_y: !signature.v.is_zero() })
}

/// The address of whoever signed `data` for the account at `address` with the key `key`: a member of any role of the
/// key, whose signature may be over either prefix. What the node's `recoverFromMessage` answers, high `s` included.
///
/// # Errors
/// If the signature is malformed, or the signer has no part in the key.
pub fn recover_member(
    address: Address,
    key: &AccountKey,
    data: &[u8],
    signature: &[u8],
) -> Result<Address, MessageError> {
    let signature = MessageSignature::from_rpc_bytes(signature)?;
    let mut failure = MessageError::NotAMember;
    for prefix in [Prefix::Klaytn, Prefix::Ethereum] {
        match signature.recover_any_s(prefix, data) {
            Some(signer) if key.validate_member(address, &signer) => return Ok(signer.address()),
            Some(_) => {}
            None => failure = MessageError::RecoveryFailed,
        }
    }
    Err(failure)
}

/// The bytes that caver signs for a text: those it names, where it is strictly `0x` and hexadecimal digits; otherwise
/// the UTF-8 form without NUL characters at either end.
///
/// For compatibility only: what is signed should not depend on what a text looks like.
pub fn caver_bytes(text: &str) -> Vec<u8> {
    match text.strip_prefix("0x").filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())) {
        Some(digits) if digits.len() % 2 == 0 => hex::decode(digits).unwrap_or_default(),
        Some(digits) => hex::decode(format!("0{digits}")).unwrap_or_default(),
        None => text.trim_matches('\0').as_bytes().to_vec(),
    }
}

impl MessageSignature {
    /// From `r ‖ s ‖ v`, `v` one of 0, 1, 27, 28.
    ///
    /// # Errors
    /// With another length or `v`. The values themselves are checked on recovery.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        Self::parse(bytes, |v| match v {
            0 | 27 => Some(false),
            1 | 28 => Some(true),
            _ => None,
        })
    }

    /// As [`Self::from_bytes`] with `v` 27 or 28 only, as the node wants it.
    ///
    /// # Errors
    /// With another length or `v`.
    pub fn from_rpc_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        Self::parse(bytes, |v| match v {
            27 => Some(false),
            28 => Some(true),
            _ => None,
        })
    }

    fn parse(bytes: &[u8], parity: impl Fn(u8) -> Option<bool>) -> Result<Self, MessageError> {
        let bytes: &[u8; 65] = bytes.try_into().map_err(|_| MessageError::WrongLength { got: bytes.len() })?;
        let (r, s) = bytes[..64].split_at(32);
        let odd_y = parity(bytes[64]).ok_or(MessageError::WrongV { got: bytes[64] })?;
        Ok(Self { r: U256::from_be_slice(r), s: U256::from_be_slice(s), odd_y })
    }

    /// `r ‖ s ‖ v`, `v` 27 or 28.
    pub fn to_bytes(&self) -> [u8; 65] {
        let mut bytes = [0; 65];
        bytes[..32].copy_from_slice(&self.r.to_be_bytes::<32>());
        bytes[32..64].copy_from_slice(&self.s.to_be_bytes::<32>());
        bytes[64] = 27 + u8::from(self.odd_y);
        bytes
    }

    /// The key that signed `data` under `prefix`.
    ///
    /// Whether that key speaks for an account is another question: ask [`AccountKey::validate_member`].
    ///
    /// # Errors
    /// If the values are out of range or yield no point.
    pub fn recover(&self, prefix: Prefix, data: &[u8]) -> Result<PublicKey, RecoverError> {
        crypto::recover(prefix.hash(data), self.odd_y, self.r, self.s)
    }

    fn recover_any_s(&self, prefix: Prefix, data: &[u8]) -> Option<PublicKey> {
        let mut compact = self.to_bytes();
        compact[64] = self.odd_y.into();
        crypto::recover_compact(prefix.hash(data), &compact).ok()
    }
}
