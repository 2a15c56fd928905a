//! Keystore files: secret keys under a password.
//!
//! Version 3 holds one key, version 4 (KIP-3) one key, several keys, or a list of keys for each role. The address in
//! a file is what it says, not what its keys say. A version 4 file with `crypto` instead of `keyring` is a BLS
//! keystore (EIP-2335), another format, and refused; so is version 1.
//!
//! ```
//! use klay_accounts::wallet::{Keyring, Keystore, SecretKey, keystore::{Kdf, Version}};
//!
//! let keyring = Keyring::single(SecretKey::from_slice(&[1; 32])?);
//! # let mut counter = 0u8;
//! # let entropy = |bytes: &mut [u8]| bytes.iter_mut().for_each(|b| { counter = counter.wrapping_add(1); *b = counter });
//! // `entropy` fills salts, initialisation vectors and the file's id; take the operating system's
//! let file = Keystore::encrypt(&keyring, Version::V4, b"password", Kdf::CAVER, entropy)?;
//! let text = file.to_json();
//!
//! let opened = Keystore::from_json(&text)?.decrypt(b"password")?;
//! assert_eq!(opened.address(), keyring.address());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: spec 20, section 4.1; KIP-3; `accounts/keystore` in the reference client.

mod cipher;
mod kdf;

use alloy_primitives::{Address, hex};
use serde::Serialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Keyring, KeyringError, SecretKey, SecretKeyError};
use crate::key::{MAX_KEYS, MAX_ROLES};
pub use cipher::Cipher;
pub use kdf::{Kdf, LimitError, MAX_PBKDF2_ROUNDS, MAX_SCRYPT_MEMORY, MAX_SCRYPT_WORK};

/// A file as it was read, still closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keystore {
    address: Option<Address>,
    id: String,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// Version 3.
    One(Cipher),
    /// Version 4: keys for all roles.
    Flat(Vec<Cipher>),
    /// Version 4: a list for each role.
    ByRole(Vec<Vec<Cipher>>),
}

/// The format to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One key.
    V3,
    /// Any keyring.
    V4,
}

/// Why a keystore file cannot be read, opened or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// Not JSON.
    #[error("keystore is not valid json")]
    NotJson,
    /// Neither version 3 nor 4.
    #[error("keystore version is neither 3 nor 4")]
    Version,
    /// Members missing, too many or of a wrong kind.
    #[error("keystore has a wrong shape: {0}")]
    Shape(&'static str),
    /// A cipher other than aes-128-ctr.
    #[error("cipher not supported, only aes-128-ctr is")]
    Cipher,
    /// A key derivation other than scrypt and pbkdf2 with hmac-sha256.
    #[error("key derivation not supported, only scrypt and pbkdf2 are")]
    Kdf,
    /// Parameters that are impossible, or would take too much memory or time.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The message authentication code does not match: wrong password or damaged file.
    #[error("could not decrypt key with given passphrase")]
    Mac,
    /// What was encrypted is not a secret key.
    #[error(transparent)]
    Secret(#[from] SecretKeyError),
    /// The keys make no keyring.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// Version 3 holds one key and no more.
    #[error("keystore version 3 holds one key")]
    NotSingle,
    /// Opened for another account than the file's.
    #[error("keystore of {got}, not of {expected}")]
    WrongAddress {
        /// Account wanted.
        expected: Address,
        /// Account of the file.
        got: Address,
    },
}

/// The secret keys of a file as bytes, by role; one list where there are no roles.
pub type PlainKeys = Vec<Vec<Zeroizing<Vec<u8>>>>;

impl Keystore {
    /// Reads a file. Nothing is decrypted, and no parameter is trusted yet.
    ///
    /// # Errors
    /// If the text is not a keystore of version 3 or 4.
    pub fn from_json(text: &str) -> Result<Self, KeystoreError> {
        let value: Value = serde_json::from_str(text).map_err(|_| KeystoreError::NotJson)?;
        let object = value.as_object().ok_or(KeystoreError::Shape("not an object"))?;
        let content = match object.get("version").and_then(Value::as_u64) {
            Some(3) => read_v3(object)?,
            Some(4) => read_v4(object)?,
            _ => return Err(KeystoreError::Version),
        };
        let address = match object.get("address") {
            None if matches!(content, Content::One(_)) => None,
            Some(Value::String(text)) if matches!(text.strip_prefix("0x").unwrap_or(text).len(), 40) => {
                Some(text.parse().map_err(|_| KeystoreError::Shape("address"))?)
            }
            _ => return Err(KeystoreError::Shape("address")),
        };
        let id = object.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self { address, id, content })
    }

    /// Encrypts a keyring. `entropy` must fill the bytes it is given with randomness of the operating system.
    ///
    /// # Errors
    /// If version 3 is asked for and there is not exactly one key, or the parameters are out of bounds.
    pub fn encrypt(
        keyring: &Keyring,
        version: Version,
        password: &[u8],
        kdf: Kdf,
        mut entropy: impl FnMut(&mut [u8]),
    ) -> Result<Self, KeystoreError> {
        let mut id = [0; 16];
        entropy(&mut id);
        let mut encrypt = |key: &SecretKey| Cipher::encrypt(key.expose(), password, kdf, &mut entropy);
        let content = match version {
            Version::V3 => Content::One(encrypt(keyring.only_key().ok_or(KeystoreError::NotSingle)?)?),
            Version::V4 => {
                let mut lists = keyring
                    .lists()
                    .into_iter()
                    .map(|keys| keys.iter().map(&mut encrypt).collect::<Result<Vec<_>, _>>())
                    .collect::<Result<Vec<_>, _>>()?;
                if keyring.is_role_based() { Content::ByRole(lists) } else { Content::Flat(lists.remove(0)) }
            }
        };
        Ok(Self { address: Some(keyring.address()), id: uuid_v4(id), content })
    }

    /// The account that the file names; a foreign version 3 file may name none.
    pub const fn address(&self) -> Option<Address> {
        self.address
    }

    /// The file's id, as written.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Opens the file.
    ///
    /// Takes as long as the file's parameters say, within the bounds of [`Kdf::check`], for each key.
    ///
    /// # Errors
    /// If the password is wrong, the parameters are out of bounds, or the content is not a keyring.
    pub fn decrypt(&self, password: &[u8]) -> Result<Keyring, KeystoreError> {
        let mut lists = self
            .decrypt_plain(password)?
            .iter()
            .map(|keys| keys.iter().map(|key| SecretKey::from_slice(key)).collect::<Result<Vec<_>, _>>())
            .collect::<Result<Vec<_>, _>>()?;
        if lists.iter().map(Vec::len).sum::<usize>() == 1 && lists[0].len() == 1 {
            let key = lists.remove(0).remove(0);
            return Ok(Keyring::decoupled(self.address.unwrap_or_else(|| key.address()), key));
        }
        let address = self.address.ok_or(KeystoreError::Shape("address"))?;
        if let Content::ByRole(_) = self.content {
            lists.resize_with(MAX_ROLES, Vec::new);
            let roles = <[_; MAX_ROLES]>::try_from(lists).map_err(|_| KeystoreError::Shape("keyring"))?;
            return Ok(Keyring::role_based(address, roles)?);
        }
        Ok(Keyring::multiple(address, lists.remove(0))?)
    }

    /// Opens the file if it is the one of `address`.
    ///
    /// # Errors
    /// As [`Self::decrypt`], or if the file names another account.
    pub fn decrypt_for(&self, address: Address, password: &[u8]) -> Result<Keyring, KeystoreError> {
        match self.address {
            Some(got) if got != address => Err(KeystoreError::WrongAddress { expected: address, got }),
            _ => self.decrypt(password),
        }
    }

    /// What was encrypted, even where it is not a secret key: old tools dropped leading zero bytes.
    ///
    /// # Errors
    /// If the password is wrong or the parameters are out of bounds.
    pub fn decrypt_plain(&self, password: &[u8]) -> Result<PlainKeys, KeystoreError> {
        let list = |ciphers: &[Cipher]| ciphers.iter().map(|cipher| cipher.decrypt(password)).collect();
        match &self.content {
            Content::One(cipher) => Ok(vec![vec![cipher.decrypt(password)?]]),
            Content::Flat(ciphers) => Ok(vec![list(ciphers)?]),
            Content::ByRole(roles) => roles.iter().map(|ciphers| list(ciphers)).collect(),
        }
    }

    /// The file, as one line of JSON.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct File<'a> {
            version: u8,
            id: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            address: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            crypto: Option<&'a Cipher>,
            #[serde(skip_serializing_if = "Option::is_none")]
            keyring: Option<Lists<'a>>,
        }
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Lists<'a> {
            Flat(&'a [Cipher]),
            ByRole(&'a [Vec<Cipher>]),
        }
        let (version, crypto, keyring) = match &self.content {
            Content::One(cipher) => (3, Some(cipher), None),
            Content::Flat(ciphers) => (4, None, Some(Lists::Flat(ciphers))),
            Content::ByRole(roles) => (4, None, Some(Lists::ByRole(roles))),
        };
        let address = self.address.map(|address| format!("0x{}", hex::encode(address)));
        serde_json::to_string(&File { version, id: &self.id, address, crypto, keyring })
            .expect("strings and numbers under string keys always serialize")
    }
}

fn read_v3(object: &Map<String, Value>) -> Result<Content, KeystoreError> {
    match (object.get("crypto"), object.get("keyring")) {
        (Some(crypto), None) => Ok(Content::One(Cipher::from_value(crypto)?)),
        (_, Some(_)) => Err(KeystoreError::Shape("version 3 with keyring")),
        (None, None) => Err(KeystoreError::Shape("crypto is missing")),
    }
}

fn read_v4(object: &Map<String, Value>) -> Result<Content, KeystoreError> {
    let keyring = match (object.get("crypto"), object.get("keyring")) {
        (None, Some(keyring)) => keyring.as_array().ok_or(KeystoreError::Shape("keyring is not an array"))?,
        (Some(_), Some(_)) => return Err(KeystoreError::Shape("both crypto and keyring")),
        (Some(_), None) => return Err(KeystoreError::Shape("version 4 with crypto is a BLS keystore (EIP-2335)")),
        (None, None) => return Err(KeystoreError::Shape("keyring is missing")),
    };
    match keyring.first() {
        None => Err(KeystoreError::Shape("keyring is empty")),
        Some(Value::Array(_)) if keyring.len() > MAX_ROLES => Err(KeystoreError::Shape("more than three roles")),
        Some(Value::Array(_)) => {
            let roles = keyring
                .iter()
                .map(|role| read_list(role.as_array().ok_or(KeystoreError::Shape("keyring is mixed"))?))
                .collect::<Result<Vec<_>, _>>()?;
            if roles.iter().all(Vec::is_empty) {
                return Err(KeystoreError::Shape("keyring is empty"));
            }
            Ok(Content::ByRole(roles))
        }
        Some(_) => Ok(Content::Flat(read_list(keyring)?)),
    }
}

fn read_list(list: &[Value]) -> Result<Vec<Cipher>, KeystoreError> {
    if list.len() > MAX_KEYS {
        return Err(KeyringError::TooManyKeys { max: MAX_KEYS, got: list.len() }.into());
    }
    list.iter()
        .map(
            |cipher| {
                if cipher.is_array() {
                    Err(KeystoreError::Shape("keyring is mixed"))
                } else {
                    Cipher::from_value(cipher)
                }
            },
        )
        .collect()
}

fn uuid_v4(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode(bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}
