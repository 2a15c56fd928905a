//! All keys of one account.

use alloy_primitives::{Address, B256};
use klay_core::{PublicKey, Role, Sign, Signatures, auth::SignError};

use super::SecretKey;
use crate::key::{AccountKey, KeyError, MAX_KEYS, MAX_ROLES, MultiSig, RoleBased, WeightedKey};

/// The keys that sign for one account, and the account's address.
///
/// The address does not follow from the keys, except where [`Keyring::single`] says so.
///
/// ```
/// use klay_accounts::{AccountKey, wallet::{Keyring, SecretKey}};
/// use klay_core::{Authority, B256, Role, Sign};
///
/// let keys = [1u8, 2].map(|n| SecretKey::from_slice(&[n; 32]).expect("in range")).to_vec();
/// let keyring = Keyring::multiple(keys[0].address(), keys)?;
///
/// // what an account update installs, and what is signed afterwards
/// let key = keyring.account_key()?;
/// assert!(matches!(key, AccountKey::WeightedMultiSig(_)));
/// assert_eq!(keyring.sign(Role::Transaction, B256::ZERO, 1337)?.len(), 2);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// Source: spec 20, section 4.3.
#[derive(Debug, Clone)]
pub struct Keyring {
    address: Address,
    keys: Keys,
}

#[derive(Debug, Clone)]
enum Keys {
    Single([SecretKey; 1]),
    Multiple(Vec<SecretKey>),
    RoleBased([Vec<SecretKey>; MAX_ROLES]),
}

/// Threshold and weights of a multisig key that is to be made of a keyring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights {
    /// The sum that suffices.
    pub threshold: u64,
    /// A weight for each key, in order.
    pub weights: Vec<u64>,
}

/// Why a keyring cannot be made or cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// No key where one is needed.
    #[error("no key for role {role:?}")]
    NoKey {
        /// The role asked for.
        role: Role,
    },
    /// More keys than a multisig key can have.
    #[error("{got} keys where at most {max} are allowed")]
    TooManyKeys {
        /// Most keys.
        max: usize,
        /// Keys given.
        got: usize,
    },
    /// A list of weights of another length than the list of keys.
    #[error("{got} weights for {expected} keys")]
    WeightCount {
        /// Keys.
        expected: usize,
        /// Weights.
        got: usize,
    },
    /// The account key would not be installable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl Keyring {
    /// One key at its own address.
    pub fn single(key: SecretKey) -> Self {
        Self { address: key.address(), keys: Keys::Single([key]) }
    }

    /// One key at an address that need not be its own.
    pub const fn decoupled(address: Address, key: SecretKey) -> Self {
        Self { address, keys: Keys::Single([key]) }
    }

    /// Several keys that sign together, whatever the role.
    ///
    /// # Errors
    /// Without a key, or with more than ten.
    pub fn multiple(address: Address, keys: Vec<SecretKey>) -> Result<Self, KeyringError> {
        if keys.is_empty() {
            return Err(KeyringError::NoKey { role: Role::Transaction });
        }
        check_count(&keys)?;
        Ok(Self { address, keys: Keys::Multiple(keys) })
    }

    /// A list of keys for each role, in the order of [`Role`]; an empty one falls back to the first.
    ///
    /// # Errors
    /// Without any key, or with more than ten in one list.
    pub fn role_based(address: Address, roles: [Vec<SecretKey>; MAX_ROLES]) -> Result<Self, KeyringError> {
        if roles.iter().all(Vec::is_empty) {
            return Err(KeyringError::NoKey { role: Role::Transaction });
        }
        roles.iter().try_for_each(|keys| check_count(keys))?;
        Ok(Self { address, keys: Keys::RoleBased(roles) })
    }

    /// The account.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The keys that sign in `role`.
    ///
    /// # Errors
    /// If neither this role nor the first has any.
    pub fn keys(&self, role: Role) -> Result<&[SecretKey], KeyringError> {
        match &self.keys {
            Keys::Single(key) => Ok(key),
            Keys::Multiple(keys) => Ok(keys),
            Keys::RoleBased(roles) => [role as usize, 0]
                .into_iter()
                .map(|i| roles[i].as_slice())
                .find(|keys| !keys.is_empty())
                .ok_or(KeyringError::NoKey { role }),
        }
    }

    /// The lists of keys as they were given: one list, or one for each role.
    pub fn lists(&self) -> Vec<&[SecretKey]> {
        match &self.keys {
            Keys::Single(key) => vec![key],
            Keys::Multiple(keys) => vec![keys],
            Keys::RoleBased(roles) => roles.iter().map(Vec::as_slice).collect(),
        }
    }

    /// Whether there is a list of keys for each role.
    pub const fn is_role_based(&self) -> bool {
        matches!(self.keys, Keys::RoleBased(_))
    }

    /// The only key, if there is just one and no roles.
    pub const fn only_key(&self) -> Option<&SecretKey> {
        match &self.keys {
            Keys::Single([key]) => Some(key),
            _ => None,
        }
    }

    /// Signs `digest` with every key of `role`, in order, for a Klaytn transaction on `chain_id`.
    ///
    /// # Errors
    /// If there is no key for the role, or one does not sign.
    pub fn sign(&self, role: Role, digest: B256, chain_id: u64) -> Result<Signatures, KeyringError> {
        let signatures = self
            .keys(role)?
            .iter()
            .map(|key| Ok(key.sign_digest(digest)?.with_chain_id(chain_id)))
            .collect::<Result<_, KeyringError>>()?;
        Ok(Signatures::new(signatures))
    }

    /// The keys of `role` as the signers that transactions take: `tx.sign(chain_id, &keyring.signers(role)?)`.
    ///
    /// # Errors
    /// If neither this role nor the first has any.
    pub fn signers(&self, role: Role) -> Result<Vec<&dyn Sign>, KeyringError> {
        Ok(self.keys(role)?.iter().map(|key| key as &dyn Sign).collect())
    }

    /// The account key that an account update installs so that this keyring can sign: every weight and threshold 1.
    ///
    /// # Errors
    /// If it would not be installable, as with the same key twice in one list.
    pub fn account_key(&self) -> Result<AccountKey, KeyringError> {
        self.account_key_with(&[const { None }; MAX_ROLES])
    }

    /// As [`Self::account_key`], with thresholds and weights. Without roles only the first of `weights` counts.
    ///
    /// A list of one key without weights becomes that key; an empty list becomes [`AccountKey::Nil`], which only an
    /// update of a role-based key accepts.
    ///
    /// # Errors
    /// If the numbers of keys and weights differ, or the key would break a rule of multisig keys.
    pub fn account_key_with(&self, weights: &[Option<Weights>; MAX_ROLES]) -> Result<AccountKey, KeyringError> {
        match &self.keys {
            Keys::Single(key) => list_key(key, weights[0].as_ref()),
            Keys::Multiple(keys) => multisig_key(keys, weights[0].as_ref()),
            Keys::RoleBased(roles) => {
                let roles = roles
                    .iter()
                    .zip(weights)
                    .map(|(keys, weights)| list_key(keys, weights.as_ref()))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(RoleBased::update(roles).into())
            }
        }
    }

    /// The public halves of the keys of `role`, in order.
    ///
    /// # Errors
    /// If neither this role nor the first has any.
    pub fn public_keys(&self, role: Role) -> Result<Vec<PublicKey>, KeyringError> {
        Ok(self.keys(role)?.iter().map(SecretKey::public_key).collect())
    }
}

fn list_key(keys: &[SecretKey], weights: Option<&Weights>) -> Result<AccountKey, KeyringError> {
    match (keys, weights) {
        ([], _) => Ok(AccountKey::Nil),
        ([key], None) => Ok(key.public_key().into()),
        (keys, weights) => multisig_key(keys, weights),
    }
}

fn multisig_key(keys: &[SecretKey], weights: Option<&Weights>) -> Result<AccountKey, KeyringError> {
    let (threshold, weights) = match weights {
        None => (1, vec![1; keys.len()]),
        Some(Weights { threshold, weights }) if weights.len() == keys.len() => (*threshold, weights.clone()),
        Some(Weights { weights, .. }) => {
            return Err(KeyringError::WeightCount { expected: keys.len(), got: weights.len() });
        }
    };
    let members = keys.iter().zip(weights).map(|(key, weight)| WeightedKey { weight, key: key.public_key() }).collect();
    Ok(MultiSig::new(threshold, members)?.into())
}

const fn check_count(keys: &[SecretKey]) -> Result<(), KeyringError> {
    if keys.len() > MAX_KEYS {
        return Err(KeyringError::TooManyKeys { max: MAX_KEYS, got: keys.len() });
    }
    Ok(())
}
