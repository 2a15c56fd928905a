//! What is a name, and which address it is.
//!
//! A name is 12 to 20 bytes of ASCII that end in a suffix, `.klaytn` unless configured otherwise. Its address is its
//! bytes and zeros behind. A name in an address proves nothing: only the flag of the account in the state does.
//!
//! ```
//! use klay_accounts::hra::{Name, NameRules};
//!
//! let rules = NameRules::default();
//! let name = Name::parse("alice.klaytn", &rules)?;
//! assert_eq!(name.address().to_string().to_lowercase(), "0x616c6963652e6b6c6179746e0000000000000000");
//! assert_eq!(Name::from_address(name.address(), &rules)?, name);
//! # Ok::<_, klay_accounts::hra::NameError>(())
//! ```

use alloy_primitives::{Address, B256};
use klay_core::keccak256;

/// Which first parts are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// A lower case letter, then lower case letters and digits.
    #[default]
    Strict,
    /// As in 2019: a letter, then letters and digits, case significant.
    K2019,
}

/// What a chain takes for a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NameRules {
    /// Which first parts are allowed.
    pub profile: Profile,
    /// Suffixes, each with its leading point.
    pub suffixes: Vec<String>,
    /// First parts that nobody may claim, compared by skeleton.
    pub reserved: Vec<String>,
}

/// A text that is a name under some rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    bytes: [u8; MAX_LEN],
    len: usize,
    first_len: usize,
}

/// Why a text or an address is not a name. Positions count bytes from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No bytes.
    #[error("name is empty")]
    Empty,
    /// A byte outside ASCII.
    #[error("byte {position} is not ASCII")]
    NonAscii {
        /// Where.
        position: usize,
    },
    /// More bytes than an address has.
    #[error("name of {got} bytes is longer than {max}")]
    TooLong {
        /// Most bytes.
        max: usize,
        /// Bytes given.
        got: usize,
    },
    /// None of the configured suffixes.
    #[error("name has no known suffix")]
    MissingSuffix,
    /// Too few bytes before the suffix.
    #[error("first part of {got} bytes is shorter than {min}")]
    TooShort {
        /// Fewest bytes.
        min: usize,
        /// Bytes given.
        got: usize,
    },
    /// The first byte is not a letter.
    #[error("name does not begin with a letter")]
    BadFirstChar,
    /// A byte that is neither letter nor digit.
    #[error("byte {position} is neither letter nor digit")]
    BadChar {
        /// Where.
        position: usize,
    },
    /// Upper case where only lower case is allowed.
    #[error("name is not in lower case; did you mean {suggestion}?")]
    NotCanonical {
        /// The name in lower case.
        suggestion: String,
    },
    /// A zero byte that is not padding.
    #[error("zero at byte {position} inside a name")]
    EmbeddedZero {
        /// Where.
        position: usize,
    },
}

/// Bytes of an address.
const MAX_LEN: usize = 20;
/// Fewest bytes before the suffix.
const MIN_FIRST_LEN: usize = 5;

impl NameRules {
    /// The rules of 2019.
    pub fn k2019() -> Self {
        Self { profile: Profile::K2019, reserved: Vec::new(), ..Self::default() }
    }

    /// Whether the chain keeps the name, or one that looks like it, for nobody.
    pub fn is_reserved(&self, name: &Name) -> bool {
        let skeleton = name.skeleton();
        self.reserved.iter().any(|word| skeleton_of(word) == skeleton)
    }

    fn suffix_of<'a>(&self, text: &'a str) -> Option<&'a str> {
        let suffix = self.suffixes.iter().filter(|suffix| text.ends_with(*suffix)).max_by_key(|suffix| suffix.len())?;
        text.get(text.len() - suffix.len()..)
    }
}

impl Default for NameRules {
    fn default() -> Self {
        let reserved = [
            "admin",
            "bridge",
            "council",
            "foundation",
            "governance",
            "kaiachain",
            "klaytn",
            "official",
            "support",
            "system",
            "treasury",
            "validator",
            "wallet",
        ];
        Self {
            profile: Profile::Strict,
            suffixes: vec![".klaytn".to_owned()],
            reserved: reserved.map(str::to_owned).to_vec(),
        }
    }
}

impl Name {
    /// Reads a name. Nothing is repaired.
    ///
    /// Does not check reserved words: see [`NameRules::is_reserved`].
    ///
    /// # Errors
    /// With what makes it none, bytes outside ASCII first.
    pub fn parse(text: &str, rules: &NameRules) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(position) = text.bytes().position(|byte| !byte.is_ascii()) {
            return Err(NameError::NonAscii { position });
        }
        if text.len() > MAX_LEN {
            return Err(NameError::TooLong { max: MAX_LEN, got: text.len() });
        }
        let suffix = rules.suffix_of(text).ok_or(NameError::MissingSuffix)?;
        let first = &text[..text.len() - suffix.len()];
        check_first_part(first)?;
        if rules.profile == Profile::Strict && first.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(NameError::NotCanonical { suggestion: normalize(text) });
        }
        let mut bytes = [0; MAX_LEN];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes, len: text.len(), first_len: first.len() })
    }

    /// The name that the bytes of `address` are.
    ///
    /// # Errors
    /// If they are none.
    pub fn from_address(address: Address, rules: &NameRules) -> Result<Self, NameError> {
        let bytes = trimmed(&address);
        if let Some(position) = bytes.iter().position(|byte| *byte == 0) {
            return Err(NameError::EmbeddedZero { position });
        }
        let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        if valid.len() < bytes.len() {
            return Err(NameError::NonAscii { position: valid.len() });
        }
        Self::parse(valid, rules)
    }

    /// The address: the name's bytes, then zeros.
    pub const fn address(&self) -> Address {
        Address::new(self.bytes)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).expect("a parsed name is ASCII")
    }

    /// What stands before the suffix.
    pub fn first_part(&self) -> &str {
        &self.as_str()[..self.first_len]
    }

    /// The first part with look-alikes made equal: names whose skeletons are equal are in conflict.
    pub fn skeleton(&self) -> String {
        skeleton_of(self.first_part())
    }

    /// Hash of the skeleton, the key under which a registry keeps it.
    pub fn skeleton_key(&self) -> B256 {
        keccak256(self.skeleton())
    }
}

impl core::fmt::Display for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A to Z in lower case; everything else as it is.
pub fn normalize(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// Whether the rules of 2019 kept an address for names: letters, digits and points, and zeros behind.
pub fn is_reserved_address(address: Address) -> bool {
    let bytes = trimmed(&address);
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'.')
}

/// The skeleton of a first part: lower case, 0 as o, 1 and i as l; then from the left `rn` as m and `vv` as w, once.
pub fn skeleton_of(first_part: &str) -> String {
    let mut skeleton = String::with_capacity(first_part.len());
    let mut letters = first_part
        .chars()
        .map(|letter| match letter.to_ascii_lowercase() {
            '0' => 'o',
            '1' | 'i' => 'l',
            other => other,
        })
        .peekable();
    while let Some(letter) = letters.next() {
        skeleton.push(match letter {
            'r' if letters.next_if_eq(&'n').is_some() => 'm',
            'v' if letters.next_if_eq(&'v').is_some() => 'w',
            other => other,
        });
    }
    skeleton
}

fn check_first_part(first: &str) -> Result<(), NameError> {
    if first.len() < MIN_FIRST_LEN {
        return Err(NameError::TooShort { min: MIN_FIRST_LEN, got: first.len() });
    }
    if !first.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        return Err(NameError::BadFirstChar);
    }
    match first.bytes().position(|byte| !byte.is_ascii_alphanumeric()) {
        None => Ok(()),
        Some(position) => Err(NameError::BadChar { position }),
    }
}

fn trimmed(address: &Address) -> &[u8] {
    let zeros = address.iter().rev().take_while(|byte| **byte == 0).count();
    &address[..MAX_LEN - zeros]
}
