//! What keys cost.

use klay_core::Role;

use super::{AccountKey, KeyError, MAX_KEYS, MultiSig, MultiSigRules};

/// Gas for each public key that an account update installs.
pub const CREATION_GAS_PER_KEY: u64 = 20_000;
/// Gas for each signature beyond the first.
pub const SIGNATURE_GAS_PER_KEY: u64 = 15_000;

impl AccountKey {
    /// Gas that an account update pays for this key, on top of its other costs.
    ///
    /// # Errors
    /// If a multisig key has more than ten members.
    ///
    /// Source: spec 20, section 2.7.
    pub fn creation_gas(&self) -> Result<u64, KeyError> {
        match self {
            Self::Nil | Self::Legacy | Self::Fail => Ok(0),
            Self::Public(_) => Ok(CREATION_GAS_PER_KEY),
            Self::WeightedMultiSig(key) if key.keys().len() > MAX_KEYS => Err(KeyError::MaxKeysExceed),
            Self::WeightedMultiSig(key) => Ok(key.keys().len() as u64 * CREATION_GAS_PER_KEY),
            Self::RoleBased(key) => {
                key.roles().iter().try_fold(0u64, |sum, role| Ok(sum.saturating_add(role.creation_gas()?)))
            }
        }
    }

    /// Gas for checking `signatures` signatures of an account with this key in `role`.
    ///
    /// Counted by the signatures in the transaction, not by the distinct signers. Without any signature, which only a
    /// threshold of 0 lets through, the reference client's subtraction wraps below zero, and so does this one.
    ///
    /// # Errors
    /// If the multisig key that answers has no members or more than ten, or there is no role; no installed key is so.
    ///
    /// Source: spec 20, section 2.7.
    pub fn signature_gas(&self, role: Role, signatures: usize, rules: MultiSigRules) -> Result<u64, KeyError> {
        match self {
            Self::Nil | Self::Legacy | Self::Public(_) | Self::Fail => Ok(0),
            Self::WeightedMultiSig(key) => key.signature_gas(signatures, rules),
            Self::RoleBased(key) => match key.role(role) {
                None => Err(KeyError::ZeroLength),
                Some(Self::RoleBased(_)) => Err(KeyError::NestedCompositeType),
                Some(key) => key.signature_gas(role, signatures, rules),
            },
        }
    }
}

impl MultiSig {
    fn signature_gas(&self, signatures: usize, rules: MultiSigRules) -> Result<u64, KeyError> {
        match self.keys().len() {
            0 => Err(KeyError::ZeroLength),
            members if members > MAX_KEYS => Err(KeyError::MaxKeysExceedInValidation),
            members => {
                let counted = match rules {
                    MultiSigRules::BeforeIstanbul => members,
                    MultiSigRules::Istanbul => signatures,
                };
                Ok((counted as u64).wrapping_sub(1).wrapping_mul(SIGNATURE_GAS_PER_KEY))
            }
        }
    }
}
