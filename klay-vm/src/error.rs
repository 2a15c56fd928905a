//! Why a transaction cannot be part of a block.

use klay_accounts::{AuthorizeError, KeyError};
use klay_core::{U256, tx::gas::GasError};

use crate::state::StateError;

/// What becomes of a pooled transaction that a proposer could not include.
///
/// Source: spec 10, section 6.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The nonce has passed: drop it and go on with the account's next.
    Passed,
    /// The nonce is ahead, or the type is not active yet: leave the account for this block.
    Later,
    /// It will not become valid by waiting: remove it.
    Drop,
}

/// Why a transaction cannot be included in a block. The state is untouched.
///
/// `Display` gives the reference client's text.
///
/// Source: spec 10, sections 3.2 and 6.5; spec 40, section 4.1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TxError {
    /// The type is not active at this block.
    #[error("transaction type not supported")]
    TypeNotSupported,
    /// The recipient is in the reserved range 0x1..0x3ff.
    #[error("the address is reserved for pre-compiled contracts")]
    ReservedAddress,
    /// A value transfer to an account that carries code.
    #[error("recipient must be an EOA without code")]
    ToMustBeEoaWithoutCode,
    /// A key update of an account that carries code.
    #[error("sender must be an EOA without code")]
    FromMustBeEoaWithoutCode,
    /// A contract execution towards an account without code.
    #[error("recipient must be an EOA with code or an SCA")]
    ToMustBeProgram,
    /// A contract execution towards a contract account with empty code.
    #[error("not a program account (e.g., an account having code and storage)")]
    NotProgramAccount,
    /// A deployment that names its address.
    #[error("contract deploy transaction can't have a recipient address")]
    DeployWithRecipient,
    /// A deployment to a readable name.
    #[error("Human-readable address is not supported now")]
    HumanReadable,
    /// Another code format than EVM.
    #[error("smart contract code format is invalid")]
    CodeFormat,
    /// The sender's signatures do not speak for the sender.
    #[error("invalid sender: {0}")]
    Sender(#[source] AuthorityError),
    /// The fee payer's signatures do not speak for the fee payer.
    #[error("invalid fee payer: {0}")]
    FeePayer(#[source] AuthorityError),
    /// The new account key may not replace the present one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Gas does not fit 64 bits.
    #[error(transparent)]
    Gas(#[from] GasError),
    /// The nonce was used.
    #[error("nonce too low")]
    NonceTooLow {
        /// The account's nonce.
        expected: u64,
        /// The transaction's nonce.
        got: u64,
    },
    /// An earlier transaction is missing.
    #[error("nonce too high")]
    NonceTooHigh {
        /// The account's nonce.
        expected: u64,
        /// The transaction's nonce.
        got: u64,
    },
    /// The account's nonce cannot grow.
    #[error("nonce has max value")]
    NonceMax,
    /// Tip above cap.
    #[error("max fee per gas higher than max priority fee per gas")]
    TipAboveFeeCap {
        /// `maxPriorityFeePerGas`, in peb.
        tip: U256,
        /// `maxFeePerGas`, in peb.
        cap: U256,
    },
    /// Cap below the block's base fee.
    #[error("max fee per gas less than block base fee")]
    FeeCapTooLow {
        /// `maxFeePerGas` or `gasPrice`, in peb.
        cap: U256,
        /// Base fee, in peb.
        base_fee: U256,
    },
    /// A blob transaction without hashes.
    #[error("blob transaction missing blob hashes")]
    MissingBlobHashes,
    /// More blobs than allowed.
    #[error("blob transaction has too many blobs")]
    TooManyBlobs,
    /// A versioned hash with another version byte than 1.
    #[error("blob {index} has invalid hash version")]
    BlobHashVersion {
        /// Position in the list.
        index: usize,
    },
    /// Blob price cap below the block's blob base fee.
    #[error("max fee per blob gas less than block blob gas fee")]
    BlobFeeCapTooLow,
    /// No authorization.
    #[error("EIP-7702 transaction with empty auth list")]
    EmptyAuthorizationList,
    /// The sender cannot pay its part of the fee.
    #[error("insufficient balance of the sender to pay for gas")]
    SenderBalance,
    /// The payer (or the sender who pays everything) cannot pay the fee.
    #[error("insufficient balance of the fee payer to pay for gas")]
    PayerBalance,
    /// Fee and value do not fit 256 bits.
    #[error("insufficient funds for gas * price + value")]
    FundsOverflow,
    /// The sender cannot move the value.
    #[error("insufficient balance for transfer")]
    InsufficientBalance,
    /// Gas limit below the intrinsic gas.
    #[error("intrinsic gas too low")]
    IntrinsicGas {
        /// Gas needed.
        needed: u64,
        /// Gas limit.
        limit: u64,
    },
    /// Gas limit below the floor of EIP-7623.
    #[error("insufficient gas for floor data gas cost")]
    FloorDataGas {
        /// Gas needed.
        needed: u64,
        /// Gas limit.
        limit: u64,
    },
    /// Init code above 49,152 bytes.
    #[error("max initcode size exceeded")]
    InitCodeSize {
        /// Bytes given.
        got: usize,
    },
    /// The proposer's time for building is over.
    #[error("time limit of the block is reached")]
    TimeLimit,
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why signatures do not speak for an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// A legacy or Ethereum transaction of an account with another key, or a key whose signatures have no price.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The account's key does not accept the signers.
    #[error(transparent)]
    Refused(#[from] AuthorizeError),
}

impl TxError {
    /// What a proposer does with the transaction.
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::NonceTooLow { .. } => Disposition::Passed,
            Self::NonceTooHigh { .. } | Self::TypeNotSupported => Disposition::Later,
            _ => Disposition::Drop,
        }
    }
}
