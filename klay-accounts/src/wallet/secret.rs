//! One secret key.

use core::{fmt, str::FromStr};

use alloy_primitives::{Address, B256};
use klay_core::{PublicKey, Sign, Signature, auth::SignError, crypto};
use zeroize::Zeroizing;

/// A secret scalar of secp256k1 and its point.
///
/// Wiped when dropped; `Debug` shows the address.
///
/// ```
/// use klay_accounts::wallet::SecretKey;
///
/// let key: SecretKey = "0x45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8".parse()?;
/// assert_eq!(format!("{key:?}"), "SecretKey(0xa94f5374Fce5edBC8E2a8697C15331677e6EbF0B)");
/// # Ok::<_, klay_accounts::wallet::SecretKeyError>(())
/// ```
#[derive(Clone)]
pub struct SecretKey {
    scalar: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

/// Why bytes or text are not a secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretKeyError {
    /// Other than 32 bytes.
    #[error("secret key of {got} bytes where {expected} are needed")]
    WrongLength {
        /// Bytes of a key.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// Zero, or not below the order of the curve.
    #[error("secret key is out of range")]
    OutOfRange,
    /// The text has a character that is not a hexadecimal digit.
    #[error("secret key is not hexadecimal")]
    NotHex,
}

impl SecretKey {
    /// A key from its 32 bytes, big-endian.
    ///
    /// # Errors
    /// If there are not 32 bytes, or their value is 0 or not below the order of the curve.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, SecretKeyError> {
        let scalar: [u8; 32] =
            bytes.try_into().map_err(|_| SecretKeyError::WrongLength { expected: 32, got: bytes.len() })?;
        let scalar = Zeroizing::new(scalar);
        let public = PublicKey::from_secret(&scalar).ok_or(SecretKeyError::OutOfRange)?;
        Ok(Self { scalar, public })
    }

    /// A new key from the operating system's randomness.
    ///
    /// # Errors
    /// If the system has none.
    #[cfg(feature = "rand")]
    pub fn random() -> Result<Self, getrandom::Error> {
        loop {
            let mut scalar = Zeroizing::new([0; 32]);
            system_entropy(&mut *scalar)?;
            if let Ok(key) = Self::from_slice(&*scalar) {
                return Ok(key);
            }
        }
    }

    /// The point.
    pub const fn public_key(&self) -> PublicKey {
        self.public
    }

    /// The address that belongs to the point.
    pub fn address(&self) -> Address {
        self.public.address()
    }

    /// The 32 bytes, for whoever writes them somewhere safe.
    pub fn expose(&self) -> &[u8; 32] {
        &self.scalar
    }
}

impl Sign for SecretKey {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign_digest(&self, digest: B256) -> Result<Signature, SignError> {
        crypto::sign_digest(&self.scalar, digest)
    }
}

/// 64 hexadecimal digits, `0x` in front or not.
impl FromStr for SecretKey {
    type Err = SecretKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() != 64 {
            return Err(SecretKeyError::WrongLength { expected: 32, got: digits.len() / 2 });
        }
        let mut scalar = Zeroizing::new([0; 32]);
        alloy_primitives::hex::decode_to_slice(digits, &mut *scalar).map_err(|_| SecretKeyError::NotHex)?;
        Self::from_slice(&*scalar)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.address())
    }
}

/// Fills `bytes` from the operating system's randomness.
///
/// # Errors
/// If the system has none.
#[cfg(feature = "rand")]
pub fn system_entropy(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    getrandom::fill(bytes)
}
