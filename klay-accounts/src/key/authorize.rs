//! Which signers satisfy which key.

use alloy_primitives::Address;
use klay_core::{Authority, Fork, PublicKey, Role, Rules};

use super::{AccountKey, KeyError, MultiSig};

/// How the signers of a multisig key are counted; changed by the Istanbul fork.
///
/// A block is judged by its own number; the reference client's pool judges by the number of the current head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MultiSigRules {
    /// Any number of signatures; those of strangers are ignored.
    BeforeIstanbul,
    /// At most as many signatures as members, all by members.
    #[default]
    Istanbul,
}

impl MultiSigRules {
    /// The rules at a block with these forks.
    pub const fn of(rules: Rules) -> Self {
        if rules.has(Fork::Istanbul) { Self::Istanbul } else { Self::BeforeIstanbul }
    }
}

/// A set of signatures was not accepted for an account.
///
/// Prints the reference client's text; the reason is its [source](std::error::Error::source).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid account key")]
pub struct AuthorizeError {
    /// Why.
    #[source]
    pub reason: Refusal,
}

/// Why a set of signatures was not accepted for an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Nobody can sign for this key.
    #[error("no signature satisfies this type of key")]
    Unusable,
    /// Legacy and Public keys are satisfied by exactly one signature.
    #[error("{got} signatures where exactly one is needed")]
    NotSingle {
        /// Signatures given.
        got: usize,
    },
    /// The address of the signer of a Legacy account is not the account's.
    #[error("signed by {got}, not by {expected}")]
    WrongAddress {
        /// The account.
        expected: Address,
        /// The signer's address.
        got: Address,
    },
    /// The signer is not the key of the account.
    #[error("signed by another key than the account's")]
    WrongKey,
    /// More signatures than the multisig key has members.
    #[error("{got} signatures where the key has {max} members")]
    TooManySignatures {
        /// Members of the key.
        max: usize,
        /// Signatures given.
        got: usize,
    },
    /// A signer is not a member of the multisig key.
    #[error("signature {index} is by a stranger")]
    Stranger {
        /// Place of the signature in the list.
        index: usize,
    },
    /// The signers' weights do not reach the key's threshold.
    #[error("weight {got} is below threshold {threshold}")]
    BelowThreshold {
        /// Sum of the distinct signers' weights.
        got: u64,
        /// Sum needed.
        threshold: u64,
    },
}

impl AccountKey {
    /// Decides whether `signers`, in the order of the signatures, speak for `address` in `role`.
    ///
    /// # Errors
    /// If they do not.
    ///
    /// Source: spec 20, section 2.6.
    pub fn validate(
        &self,
        role: Role,
        address: Address,
        signers: &[PublicKey],
        rules: MultiSigRules,
    ) -> Result<(), AuthorizeError> {
        self.judge(role, address, signers, rules).map_err(|reason| AuthorizeError { reason })
    }

    /// Whether `signer` may speak for `address` in any role, alone or with others.
    ///
    /// This is the test for signed messages; it knows no threshold.
    ///
    /// Source: spec 20, section 2.6.
    pub fn validate_member(&self, address: Address, signer: &PublicKey) -> bool {
        match self {
            Self::Nil | Self::Fail => false,
            Self::Legacy => signer.address() == address,
            Self::Public(key) => key == signer,
            Self::WeightedMultiSig(key) => key.position(signer).is_some(),
            Self::RoleBased(key) => {
                key.roles().iter().any(|role| !role.is_composite() && role.validate_member(address, signer))
            }
        }
    }

    /// Whether the sender of a Legacy or Ethereum typed transaction may have this key.
    ///
    /// # Errors
    /// For every key but [`AccountKey::Legacy`].
    pub const fn require_legacy(&self) -> Result<(), KeyError> {
        if self.is_legacy() { Ok(()) } else { Err(KeyError::LegacyTransactionMustBeWithLegacyKey) }
    }

    fn judge(&self, role: Role, address: Address, signers: &[PublicKey], rules: MultiSigRules) -> Result<(), Refusal> {
        match self {
            Self::Nil | Self::Fail => Err(Refusal::Unusable),
            Self::Legacy => match single(signers)?.address() {
                signer if signer == address => Ok(()),
                signer => Err(Refusal::WrongAddress { expected: address, got: signer }),
            },
            Self::Public(key) if single(signers)? == key => Ok(()),
            Self::Public(_) => Err(Refusal::WrongKey),
            Self::WeightedMultiSig(key) => key.judge(signers, rules),
            Self::RoleBased(key) => match key.role(role) {
                None | Some(Self::RoleBased(_)) => Err(Refusal::Unusable),
                Some(key) => key.judge(role, address, signers, rules),
            },
        }
    }
}

/// Judges by the rules from Istanbul on, which hold on every public network today.
impl Authority for AccountKey {
    type Error = AuthorizeError;

    fn authorize(&self, role: Role, address: Address, signers: &[PublicKey]) -> Result<(), Self::Error> {
        self.validate(role, address, signers, MultiSigRules::Istanbul)
    }
}

impl MultiSig {
    fn judge(&self, signers: &[PublicKey], rules: MultiSigRules) -> Result<(), Refusal> {
        if rules == MultiSigRules::Istanbul && signers.len() > self.keys().len() {
            return Err(Refusal::TooManySignatures { max: self.keys().len(), got: signers.len() });
        }
        let mut signed = vec![false; self.keys().len()];
        for (index, signer) in signers.iter().enumerate() {
            match self.position(signer) {
                Some(member) => signed[member] = true,
                None if rules == MultiSigRules::Istanbul => {
                    return Err(Refusal::Stranger { index });
                }
                None => {}
            }
        }
        let got = self
            .keys()
            .iter()
            .zip(&signed)
            .filter(|(_, signed)| **signed)
            .fold(0u64, |sum, (member, _)| sum.wrapping_add(member.weight));
        if got < self.threshold() {
            return Err(Refusal::BelowThreshold { got, threshold: self.threshold() });
        }
        Ok(())
    }
}

const fn single(signers: &[PublicKey]) -> Result<&PublicKey, Refusal> {
    match signers {
        [signer] => Ok(signer),
        _ => Err(Refusal::NotSingle { got: signers.len() }),
    }
}
