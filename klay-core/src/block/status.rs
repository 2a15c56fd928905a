//! Klaytn's receipt status: success, or one of the reasons of a failure.

/// What became of a transaction, as the receipt's first element.
///
/// Not a boolean: 1 is success and every other value the reason of a failure. JSON-RPC shows `status` 0x0 and the
/// reason as `txError`.
///
/// ```
/// use klay_core::block::Status;
///
/// assert!(Status::SUCCESS.is_success());
/// assert_eq!(Status(0x09).error_text(), Some("evm: execution reverted"));
/// ```
///
/// Source: spec 10, section 7.4; `blockchain/types/receipt.go` in the reference client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u8);

impl Status {
    /// Failed without a reason; not produced.
    pub const FAILED: Self = Self(0x00);
    /// Everything went well.
    pub const SUCCESS: Self = Self(0x01);
    /// Any error of the virtual machine that has no code of its own.
    pub const VM_ERROR: Self = Self(0x02);
    /// Call depth exceeded.
    pub const DEPTH: Self = Self(0x03);
    /// The address of a new contract is taken.
    pub const CONTRACT_ADDRESS_COLLISION: Self = Self(0x04);
    /// Not enough gas to store the code.
    pub const CODE_STORE_OUT_OF_GAS: Self = Self(0x05);
    /// Code is larger than allowed.
    pub const MAX_CODE_SIZE_EXCEEDED: Self = Self(0x06);
    /// Out of gas.
    pub const OUT_OF_GAS: Self = Self(0x07);
    /// State changed inside a static call.
    pub const WRITE_PROTECTION: Self = Self(0x08);
    /// Reverted.
    pub const REVERTED: Self = Self(0x09);
    /// Computation cost limit reached.
    pub const COMPUTATION_COST_LIMIT: Self = Self(0x0a);
    /// The account exists.
    pub const ACCOUNT_EXISTS: Self = Self(0x0b);
    /// The recipient carries no code.
    pub const NOT_A_PROGRAM_ACCOUNT: Self = Self(0x0c);
    /// Human-readable addresses are not supported.
    pub const HUMAN_READABLE_ADDRESS: Self = Self(0x0d);
    /// Fee ratio out of range.
    pub const FEE_RATIO_OUT_OF_RANGE: Self = Self(0x0e);
    /// A key of type Fail cannot be changed.
    pub const KEY_FAIL_NOT_UPDATABLE: Self = Self(0x0f);
    /// Another type of key.
    pub const DIFFERENT_KEY_TYPE: Self = Self(0x10);
    /// A key of type Nil cannot be installed.
    pub const KEY_NIL_UNINITIALIZABLE: Self = Self(0x11);
    /// A public key is not on the curve.
    pub const KEY_NOT_ON_CURVE: Self = Self(0x12);
    /// A key weighs zero.
    pub const KEY_WEIGHT_ZERO: Self = Self(0x13);
    /// A key cannot be serialized.
    pub const KEY_UNSERIALIZABLE: Self = Self(0x14);
    /// A key occurs twice.
    pub const KEY_DUPLICATED: Self = Self(0x15);
    /// The sum of weights overflows.
    pub const WEIGHTED_SUM_OVERFLOW: Self = Self(0x16);
    /// The threshold cannot be reached.
    pub const UNSATISFIABLE_THRESHOLD: Self = Self(0x17);
    /// No keys.
    pub const LENGTH_ZERO: Self = Self(0x18);
    /// Too many keys.
    pub const LENGTH_TOO_LONG: Self = Self(0x19);
    /// A role-based key inside a role-based key.
    pub const NESTED_ROLE_BASED: Self = Self(0x1a);
    /// A legacy transaction of an account without legacy key.
    pub const LEGACY_NEEDS_LEGACY_KEY: Self = Self(0x1b);
    /// A feature that was removed.
    pub const DEPRECATED: Self = Self(0x1c);
    /// Not supported.
    pub const NOT_SUPPORTED: Self = Self(0x1d);
    /// Unknown code format.
    pub const INVALID_CODE_FORMAT: Self = Self(0x1e);

    /// Whether it is 1.
    pub const fn is_success(self) -> bool {
        self.0 == Self::SUCCESS.0
    }

    /// The reference client's text of the failure, `None` for success and unknown codes.
    pub const fn error_text(self) -> Option<&'static str> {
        Some(match self {
            Self::VM_ERROR => "VM error occurs while running smart contract",
            Self::DEPTH => "max call depth exceeded",
            Self::CONTRACT_ADDRESS_COLLISION => "contract address collision",
            Self::CODE_STORE_OUT_OF_GAS => "contract creation code storage out of gas",
            Self::MAX_CODE_SIZE_EXCEEDED => "evm: max code size exceeded",
            Self::OUT_OF_GAS => "out of gas",
            Self::WRITE_PROTECTION => "evm: write protection",
            Self::REVERTED => "evm: execution reverted",
            Self::COMPUTATION_COST_LIMIT => "reached the opcode computation cost limit",
            Self::ACCOUNT_EXISTS => "account already exists",
            Self::NOT_A_PROGRAM_ACCOUNT => "not a program account (e.g., an account having code and storage)",
            Self::HUMAN_READABLE_ADDRESS => "Human-readable address is not supported now",
            Self::FEE_RATIO_OUT_OF_RANGE => "fee ratio is out of range [1, 99]",
            Self::KEY_FAIL_NOT_UPDATABLE => "AccountKeyFail is not updatable",
            Self::DIFFERENT_KEY_TYPE => "different account key type",
            Self::KEY_NIL_UNINITIALIZABLE => "AccountKeyNil cannot be initialized to an account",
            Self::KEY_NOT_ON_CURVE => "public key is not on curve",
            Self::KEY_WEIGHT_ZERO => "key weight is zero",
            Self::KEY_UNSERIALIZABLE => "key is not serializable",
            Self::KEY_DUPLICATED => "duplicated key",
            Self::WEIGHTED_SUM_OVERFLOW => "weighted sum overflow",
            Self::UNSATISFIABLE_THRESHOLD => {
                "unsatisfiable threshold. Weighted sum of keys is less than the threshold."
            }
            Self::LENGTH_ZERO => "length is zero",
            Self::LENGTH_TOO_LONG => "length too long",
            Self::NESTED_ROLE_BASED => "nested composite type",
            Self::LEGACY_NEEDS_LEGACY_KEY => "a legacy transaction must be with a legacy account key",
            Self::DEPRECATED => "deprecated feature",
            Self::NOT_SUPPORTED => "not supported",
            Self::INVALID_CODE_FORMAT => "smart contract code format is invalid",
            _ => return None,
        })
    }
}
