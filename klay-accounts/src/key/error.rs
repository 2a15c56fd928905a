//! Why a key cannot be given to an account.

use klay_core::block::Status;

/// Why a key cannot become the key of an account, or cannot be charged for.
///
/// The texts are those of the reference client. These checks come before execution: a transaction that fails one is
/// not valid and leaves no receipt. [`KeyError::status`] is the receipt code that the protocol reserves for it.
///
/// Source: spec 20, section 6; spec 10, section 7.4; `kerrors/kerrors.go` in the reference client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A Nil key where there is nothing to keep.
    #[error("AccountKeyNil cannot be initialized to an account")]
    AccountKeyNilUninitializable,
    /// Fail was to be replaced by Fail.
    #[error("AccountKeyFail is not updatable")]
    AccountKeyFailNotUpdatable,
    /// A public key that is not a point of secp256k1. Cannot happen to a decoded key.
    #[error("public key is not on curve")]
    NotOnCurve,
    /// A member of a multisig key weighs nothing.
    #[error("key weight is zero")]
    ZeroKeyWeight,
    /// The bytes are not the encoding of a key.
    #[error("key is not serializable")]
    UnserializableKey,
    /// The same public key twice in one multisig key.
    #[error("duplicated key")]
    DuplicatedKey,
    /// The weights add up to more than 2^64 - 1.
    #[error("weighted sum overflow")]
    WeightedSumOverflow,
    /// All members together cannot reach the threshold.
    #[error("unsatisfiable threshold. Weighted sum of keys is less than the threshold.")]
    UnsatisfiableThreshold,
    /// A multisig key without members or a role-based key without roles.
    #[error("length is zero")]
    ZeroLength,
    /// More roles than there are.
    #[error("length too long")]
    LengthTooLong,
    /// A role-based key as a role.
    #[error("nested composite type")]
    NestedCompositeType,
    /// More than ten members in a multisig key that is to be installed.
    #[error("the number of keys exceeds the limit")]
    MaxKeysExceed,
    /// More than ten members in a multisig key that is to be checked.
    #[error("the number of keys exceeds the limit in the validation check")]
    MaxKeysExceedInValidation,
    /// The account is a contract.
    #[error("account key is not modifiable")]
    NotModifiable,
    /// A Legacy or Ethereum typed transaction from an account with another key.
    #[error("a legacy transaction must be with a legacy account key")]
    LegacyTransactionMustBeWithLegacyKey,
}

impl KeyError {
    /// The receipt code reserved for this error, if there is one.
    pub const fn status(self) -> Option<Status> {
        let code = match self {
            Self::AccountKeyFailNotUpdatable => 0x0f,
            Self::AccountKeyNilUninitializable => 0x11,
            Self::NotOnCurve => 0x12,
            Self::ZeroKeyWeight => 0x13,
            Self::UnserializableKey => 0x14,
            Self::DuplicatedKey => 0x15,
            Self::WeightedSumOverflow => 0x16,
            Self::UnsatisfiableThreshold => 0x17,
            Self::ZeroLength => 0x18,
            Self::LengthTooLong => 0x19,
            Self::NestedCompositeType => 0x1a,
            Self::LegacyTransactionMustBeWithLegacyKey => 0x1b,
            Self::MaxKeysExceed | Self::MaxKeysExceedInValidation | Self::NotModifiable => {
                return None;
            }
        };
        Some(Status(code))
    }
}
