//! From a password to a key, within bounds: the parameters come from a file that anyone may have written.

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::KeystoreError;

/// Most memory that scrypt may take, in bytes: 128 n r.
pub const MAX_SCRYPT_MEMORY: u64 = 1 << 30;
/// Most work that scrypt may take: n r p. Eight times what the node's standard takes.
pub const MAX_SCRYPT_WORK: u64 = 1 << 24;
/// Most rounds of pbkdf2, about ten seconds.
pub const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// How a password becomes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kdf {
    /// Costs memory and time.
    Scrypt {
        /// Cost, a power of two.
        n: u64,
        /// Block size.
        r: u32,
        /// Parallel lanes.
        p: u32,
    },
    /// Costs time only; with hmac-sha256.
    Pbkdf2 {
        /// Rounds.
        c: u32,
    },
}

/// Parameters of a key derivation that are impossible or too costly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// scrypt's n is not a power of two above 1.
    #[error("scrypt n is {n}, not a power of two above 1")]
    NotAPowerOfTwo {
        /// The file's n.
        n: u64,
    },
    /// A parameter is 0.
    #[error("key derivation parameter {name} is 0")]
    Zero {
        /// The parameter.
        name: &'static str,
    },
    /// scrypt would take too much memory.
    #[error("scrypt takes {got} bytes, more than {max}")]
    Memory {
        /// Bytes allowed.
        max: u64,
        /// Bytes needed.
        got: u64,
    },
    /// scrypt would take too long.
    #[error("scrypt takes {got} steps, more than {max}")]
    Work {
        /// n r p allowed.
        max: u64,
        /// n r p needed.
        got: u64,
    },
    /// pbkdf2 would take too long.
    #[error("pbkdf2 takes {got} rounds, more than {max}")]
    Rounds {
        /// Rounds allowed.
        max: u32,
        /// Rounds needed.
        got: u32,
    },
    /// Fewer derived bytes than cipher and code need.
    #[error("derived key of {got} bytes where {expected} are needed")]
    KeyLength {
        /// Bytes needed.
        expected: u64,
        /// Bytes derived.
        got: u64,
    },
}

/// Bytes that cipher and message authentication code use.
const KEY_LEN: usize = 32;

impl Kdf {
    /// What caver writes: fast, weak against guessing.
    pub const CAVER: Self = Self::Scrypt { n: 4096, r: 8, p: 1 };
    /// What the node writes.
    pub const STANDARD: Self = Self::Scrypt { n: 262_144, r: 8, p: 1 };
    /// What the node writes when told to be light.
    pub const LIGHT: Self = Self::Scrypt { n: 4096, r: 8, p: 6 };
    /// What caver writes when told to use pbkdf2.
    pub const PBKDF2: Self = Self::Pbkdf2 { c: 262_144 };

    /// Whether the parameters are possible and affordable.
    ///
    /// # Errors
    /// With the first bound that is crossed.
    pub fn check(self) -> Result<(), LimitError> {
        match self {
            Self::Scrypt { n, .. } if n < 2 || !n.is_power_of_two() => Err(LimitError::NotAPowerOfTwo { n }),
            Self::Scrypt { r: 0, .. } => Err(LimitError::Zero { name: "r" }),
            Self::Scrypt { p: 0, .. } => Err(LimitError::Zero { name: "p" }),
            Self::Scrypt { n, r, p } => {
                let blocks = n.saturating_mul(r.into());
                let (memory, work) = (blocks.saturating_mul(128), blocks.saturating_mul(p.into()));
                if memory > MAX_SCRYPT_MEMORY {
                    return Err(LimitError::Memory { max: MAX_SCRYPT_MEMORY, got: memory });
                }
                if work > MAX_SCRYPT_WORK {
                    return Err(LimitError::Work { max: MAX_SCRYPT_WORK, got: work });
                }
                Ok(())
            }
            Self::Pbkdf2 { c: 0 } => Err(LimitError::Zero { name: "c" }),
            Self::Pbkdf2 { c } if c > MAX_PBKDF2_ROUNDS => Err(LimitError::Rounds { max: MAX_PBKDF2_ROUNDS, got: c }),
            Self::Pbkdf2 { .. } => Ok(()),
        }
    }

    pub(super) fn derive(self, password: &[u8], salt: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>, KeystoreError> {
        self.check()?;
        let mut key = Zeroizing::new([0; KEY_LEN]);
        match self {
            Self::Scrypt { n, r, p } => {
                let params = scrypt::Params::new(n.trailing_zeros() as u8, r, p).map_err(|_| KeystoreError::Kdf)?;
                scrypt::scrypt(password, salt, &params, &mut *key).map_err(|_| KeystoreError::Kdf)?;
            }
            Self::Pbkdf2 { c } => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, c, &mut *key),
        }
        Ok(key)
    }

    /// The members `kdf` and `kdfparams`.
    pub(super) fn to_form(self, salt: String) -> (&'static str, Value) {
        match self {
            Self::Scrypt { n, r, p } => ("scrypt", json!({"dklen": KEY_LEN, "salt": salt, "n": n, "r": r, "p": p})),
            Self::Pbkdf2 { c } => ("pbkdf2", json!({"dklen": KEY_LEN, "salt": salt, "c": c, "prf": "hmac-sha256"})),
        }
    }
}

/// The parameters of one cipher object.
pub(super) struct KdfParams {
    pub(super) kdf: Kdf,
    pub(super) salt: String,
}

#[derive(Deserialize)]
struct ScryptForm {
    n: u64,
    r: u32,
    p: u32,
    dklen: u64,
    salt: String,
}

#[derive(Deserialize)]
struct Pbkdf2Form {
    c: u32,
    prf: String,
    dklen: u64,
    salt: String,
}

impl KdfParams {
    pub(super) fn from_value(kdf: &str, params: &Value) -> Result<Self, KeystoreError> {
        let shape = |_| KeystoreError::Shape("kdfparams");
        let (kdf, dklen, salt) = match kdf {
            "scrypt" => {
                let ScryptForm { n, r, p, dklen, salt } = Deserialize::deserialize(params).map_err(shape)?;
                (Kdf::Scrypt { n, r, p }, dklen, salt)
            }
            "pbkdf2" => {
                let Pbkdf2Form { c, prf, dklen, salt } = Deserialize::deserialize(params).map_err(shape)?;
                if prf != "hmac-sha256" {
                    return Err(KeystoreError::Kdf);
                }
                (Kdf::Pbkdf2 { c }, dklen, salt)
            }
            _ => return Err(KeystoreError::Kdf),
        };
        // More bytes than needed begin with the same ones, so only the needed ones are derived.
        if dklen < KEY_LEN as u64 {
            return Err(LimitError::KeyLength { expected: KEY_LEN as u64, got: dklen }.into());
        }
        Ok(Self { kdf, salt })
    }
}
