//! Secret keys from words.
//!
//! English words of BIP-39, derivation of BIP-32. Klaytn's coin type is 8217; wallets made for Ethereum, and the
//! accounts of most development chains, use 60.
//!
//! ```
//! use klay_accounts::wallet::mnemonic::{self, Mnemonic};
//!
//! let words: Mnemonic = "test test test test test test test test test test test junk".parse()?;
//! let first = words.derive("", &mnemonic::ethereum_path(0))?;
//! assert_eq!(first.address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
//! # Ok::<_, mnemonic::MnemonicError>(())
//! ```
//!
//! Source: spec 20, section 4.4; BIP-32, BIP-39, BIP-44.

use core::{fmt, str::FromStr};

use bip32::{DerivationPath, XPrv};
use bip39::Language;
use zeroize::Zeroizing;

use super::SecretKey;

/// Words that stand for the root of a tree of keys.
///
/// Wiped when dropped; `Debug` shows how many words there are.
#[derive(Clone)]
pub struct Mnemonic(bip39::Mnemonic);

/// Why words or a path give no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MnemonicError {
    /// Not 12, 15, 18, 21 or 24 words.
    #[error("mnemonic of {got} words where 12, 15, 18, 21 or 24 are needed")]
    WordCount {
        /// Words given.
        got: usize,
    },
    /// A word that is not in the list.
    #[error("word {index} of the mnemonic is not in the list")]
    UnknownWord {
        /// Its place, from 0.
        index: usize,
    },
    /// The last word does not fit the others.
    #[error("mnemonic has a wrong checksum")]
    Checksum,
    /// Other than 16, 20, 24, 28 or 32 bytes of entropy.
    #[error("entropy of {got} bytes where 16, 20, 24, 28 or 32 are needed")]
    Entropy {
        /// Bytes given.
        got: usize,
    },
    /// Not a derivation path.
    #[error("derivation path is malformed")]
    Path,
    /// The path ends in an invalid key, which happens once in 2^127.
    #[error("no key at this derivation path")]
    NoKey,
}

/// `m/44'/8217'/0'/0/index`, Klaytn's own.
pub fn klaytn_path(index: u32) -> String {
    format!("m/44'/8217'/0'/0/{index}")
}

/// `m/44'/60'/0'/0/index`, Ethereum's.
pub fn ethereum_path(index: u32) -> String {
    format!("m/44'/60'/0'/0/{index}")
}

impl Mnemonic {
    /// Words for `entropy`, which must be random.
    ///
    /// # Errors
    /// If there are not 16, 20, 24, 28 or 32 bytes.
    pub fn from_entropy(entropy: &[u8]) -> Result<Self, MnemonicError> {
        bip39::Mnemonic::from_entropy_in(Language::English, entropy)
            .map(Self)
            .map_err(|_| MnemonicError::Entropy { got: entropy.len() })
    }

    /// The key at `path`, under an additional passphrase that may be empty.
    ///
    /// # Errors
    /// If the path is malformed.
    pub fn derive(&self, passphrase: &str, path: &str) -> Result<SecretKey, MnemonicError> {
        let path: DerivationPath = path.parse().map_err(|_| MnemonicError::Path)?;
        let seed = Zeroizing::new(self.0.to_seed(passphrase));
        let key = XPrv::derive_from_path(&*seed, &path).map_err(|_| MnemonicError::NoKey)?;
        let scalar = Zeroizing::new(key.to_bytes());
        SecretKey::from_slice(&*scalar).map_err(|_| MnemonicError::NoKey)
    }

    /// The words, for whoever writes them somewhere safe. Wiped when dropped.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string())
    }
}

/// Words separated by white space.
impl FromStr for Mnemonic {
    type Err = MnemonicError;

    fn from_str(words: &str) -> Result<Self, Self::Err> {
        bip39::Mnemonic::parse_in(Language::English, words).map(Self).map_err(|error| match error {
            bip39::Error::BadWordCount(got) => MnemonicError::WordCount { got },
            bip39::Error::UnknownWord(index) => MnemonicError::UnknownWord { index },
            _ => MnemonicError::Checksum,
        })
    }
}

impl fmt::Debug for Mnemonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mnemonic({} words)", self.0.word_count())
    }
}
