//! Account keys: who may speak for an account.
//!
//! A key is part of the account, not of its address: it can be replaced, divided among several holders and split by
//! role. Only [`AccountKey::Legacy`] ties an account to the key pair that its address was derived from.
//!
//! Source: spec 20, section 2; `blockchain/types/accountkey` in the reference client.

mod authorize;
mod codec;
mod error;
mod gas;
#[cfg(feature = "serde")]
mod json;
mod multisig;
mod role_based;
mod update;

use std::sync::Arc;

use klay_core::PublicKey;

pub use authorize::{AuthorizeError, MultiSigRules, Refusal};
pub use error::KeyError;
pub use gas::{CREATION_GAS_PER_KEY, SIGNATURE_GAS_PER_KEY};
#[cfg(feature = "serde")]
pub use json::KeyJsonError;
pub use multisig::{MAX_KEYS, MultiSig, WeightedKey};
pub use role_based::{MAX_ROLES, RoleBased};

/// Who may speak for an account.
///
/// Cloning is cheap: lists of keys are shared.
///
/// # Invariant
/// Every public key is a point on the curve. Nothing else is promised: a key that was read from a transaction may be
/// one that no account can have; [`AccountKey::check_installable`] and [`AccountKey::check_replacable`] decide.
///
/// ```
/// use klay_accounts::AccountKey;
///
/// let key = AccountKey::decode(&[0x01, 0xc0])?;
/// assert_eq!(key, AccountKey::Legacy);
/// assert_eq!(key.encode(), [0x01, 0xc0]);
/// # Ok::<_, klay_core::DecodeError>(())
/// ```
///
/// Source: spec 20, section 2.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum AccountKey {
    /// No key. Only ever a member of an update of a role-based key, where it means "keep the old one".
    Nil,
    /// The key pair that the address was derived from; what an account has until it is updated.
    #[default]
    Legacy,
    /// One key pair, whatever the address.
    Public(PublicKey),
    /// Nobody: the key of contracts and of accounts that were given up.
    Fail,
    /// Several keys with weights, and the sum of weights that suffices.
    WeightedMultiSig(Arc<MultiSig>),
    /// A key for each role.
    RoleBased(Arc<RoleBased>),
}

impl AccountKey {
    /// The type byte, 0x00 to 0x05; `keyType` in JSON.
    pub const fn type_byte(&self) -> u8 {
        match self {
            Self::Nil => codec::NIL,
            Self::Legacy => codec::LEGACY,
            Self::Public(_) => codec::PUBLIC,
            Self::Fail => codec::FAIL,
            Self::WeightedMultiSig(_) => codec::WEIGHTED_MULTI_SIG,
            Self::RoleBased(_) => codec::ROLE_BASED,
        }
    }

    /// Whether the key holds other keys by role.
    pub const fn is_composite(&self) -> bool {
        matches!(self, Self::RoleBased(_))
    }

    /// Whether this is the key that Legacy and Ethereum typed transactions need.
    ///
    /// A role-based key whose first role is Legacy is not one.
    pub const fn is_legacy(&self) -> bool {
        matches!(self, Self::Legacy)
    }
}

impl From<PublicKey> for AccountKey {
    fn from(key: PublicKey) -> Self {
        Self::Public(key)
    }
}

impl From<MultiSig> for AccountKey {
    fn from(key: MultiSig) -> Self {
        Self::WeightedMultiSig(Arc::new(key))
    }
}

impl From<RoleBased> for AccountKey {
    fn from(key: RoleBased) -> Self {
        Self::RoleBased(Arc::new(key))
    }
}
