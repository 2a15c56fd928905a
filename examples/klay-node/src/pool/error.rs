//! Why a transaction is not admitted, in the reference client's words.

use super::BlobError;
use klay_core::{B256, DecodeError, U256, crypto::RecoverError, tx::gas::GasError};

/// The first rule that a transaction breaks. `Display` is the text that JSON-RPC answers.
///
/// Source: spec 10, sections 3.2, 4.3, 4.4, 6.1 and 6.5.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The bytes are not a transaction.
    #[error("{0}")]
    Decode(DecodeError),
    /// Already here.
    #[error("known transaction: {0:x}")]
    Known(B256),
    /// The pool, or the way into it, is full.
    #[error("txpool is full")]
    Full,
    /// The pool is full and the transaction fills no gap before others of its sender.
    #[error("txpool is full and the new tx does not have missing nonce: {count}")]
    FullWithoutGap {
        /// Transactions in the pool.
        count: usize,
    },
    /// The type is not active in the next block.
    #[error("transaction type not supported")]
    TypeNotSupported,
    /// Init code is too long.
    #[error("max initcode size exceeded: code size {got}, limit {limit}")]
    InitCodeSize {
        /// Bytes given.
        got: usize,
        /// Most that are allowed.
        limit: usize,
    },
    /// More gas than a transaction may ask for.
    #[error("tx gas limit exceeds the upper limit: gas {got}, limit {limit}")]
    GasLimit {
        /// Gas asked for.
        got: u64,
        /// Most that is allowed.
        limit: u64,
    },
    /// Signed for another chain.
    #[error("invalid chain id")]
    ChainId,
    /// The tip is above the cap. (The reference client's text names them the wrong way round.)
    #[error("max fee per gas higher than max priority fee per gas")]
    TipAboveFeeCap,
    /// Before Magma: not the unit price.
    #[error("invalid unit price")]
    UnitPrice,
    /// Before Magma: the tip is not the unit price.
    #[error("invalid gas tip cap. It must be set to the same value as gas unit price")]
    TipNotUnitPrice,
    /// Before Magma: the fee cap is not the unit price.
    #[error("invalid gas fee cap. It must be set to the same value as gas unit price")]
    FeeCapNotUnitPrice,
    /// Since Magma: the price is below the next base fee.
    #[error("invalid gas price. It must be set to value greater than or equal to baseFee")]
    GasPriceBelowBaseFee,
    /// Since Magma: the fee cap is below the next base fee.
    #[error("invalid gas fee cap. It must be set to value greater than or equal to baseFee")]
    FeeCapBelowBaseFee,
    /// More than 128 KiB.
    #[error("oversized data")]
    Oversized,
    /// The sender's signatures are invalid or not accepted by the sender's key.
    #[error("invalid sender: {0}")]
    Sender(SignerError),
    /// The fee payer's signatures are invalid or not accepted by the fee payer's key.
    #[error("invalid fee payer: {0}")]
    FeePayer(SignerError),
    /// No nonce can follow.
    #[error("nonce has max value")]
    NonceMax,
    /// The nonce is used.
    #[error("nonce too low")]
    NonceTooLow,
    /// The ratio is outside 1 to 99.
    #[error("fee ratio is out of range [1, 99]")]
    FeeRatio,
    /// The sender cannot pay. (The reference client's text ends in a space.)
    #[error("insufficient funds of the sender for value ")]
    SenderFunds,
    /// The fee payer cannot pay.
    #[error("insufficient funds of the fee payer for gas * price")]
    FeePayerFunds,
    /// Less gas than the transaction costs before it does anything.
    #[error("intrinsic gas too low")]
    IntrinsicGas,
    /// Less gas than EIP-7623 asks for the data.
    #[error("insufficient gas for floor data gas cost: gas {got}, minimum needed {need}")]
    FloorGas {
        /// Gas asked for.
        got: u64,
        /// Gas needed.
        need: u64,
    },
    /// Gas does not fit 64 bits.
    #[error(transparent)]
    Gas(#[from] GasError),
    /// A blob transaction without its blobs.
    #[error("missing sidecar in blob transaction")]
    BlobSidecar,
    /// The blob fee cap is below the blob base fee.
    #[error("transaction gas price below minimum: blob fee cap {got}, minimum needed {need}")]
    BlobFeeCap {
        /// Cap given.
        got: U256,
        /// Price of the next block.
        need: U256,
    },
    /// A blob transaction without blobs.
    #[error("blobless blob transaction")]
    Blobless,
    /// More blobs than fit a block.
    #[error("too many blobs in transaction: have {got}, permitted {limit}")]
    TooManyBlobs {
        /// Blobs named.
        got: usize,
        /// Most that are allowed.
        limit: usize,
    },
    /// The sidecar does not hold the blobs that the transaction names.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// An EIP-7702 transaction without authorizations.
    #[error("set code tx must have at least one authorization tuple")]
    NoAuthorization,
    /// An account with code, or about to get it, may have one transaction in the pool.
    #[error("in-flight transaction limit reached for delegated accounts")]
    InFlight,
    /// Such an account may leave no nonce out.
    #[error("gapped-nonce tx from delegated accounts")]
    DelegatedGap,
    /// The authority has several transactions in the pool.
    #[error("authority already reserved")]
    AuthorityReserved,
    /// The recipient or created address is reserved.
    #[error("the address is reserved for pre-compiled contracts")]
    Reserved,
    /// Value transfers go to accounts without code.
    #[error("recipient must be an EOA without code")]
    RecipientNotEoa,
    /// Only accounts without code change their key.
    #[error("sender must be an EOA without code")]
    SenderNotEoa,
    /// Deployments have no recipient.
    #[error("contract deploy transaction can't have a recipient address")]
    DeployTo,
    /// Human-readable addresses do not exist.
    #[error("Human-readable address is not supported now")]
    HumanReadable,
    /// Only EVM code.
    #[error("smart contract code format is invalid")]
    CodeFormat,
    /// Contract executions go to accounts with code.
    #[error("recipient must be an EOA with code or an SCA")]
    RecipientNotContract,
    /// The contract has no code.
    #[error("not a program account (e.g., an account having code and storage)")]
    NotProgramAccount,
    /// The new account key may not replace the present one.
    #[error("{0}")]
    KeyUpdate(klay_accounts::KeyError),
    /// Another transaction has this nonce and is not to be replaced.
    #[error("there is another tx which has the same nonce in the tx pool")]
    NonceTaken,
    /// Anchoring is for the node's own bridge.
    #[error("locally anchoring chaindata tx is not allowed in this node")]
    Anchoring,
    /// The state could not be read.
    #[error("state is not available")]
    State,
}

impl PoolError {
    /// Whether no state of the chain could make the transaction valid: its bytes are none, or no key comes out of a
    /// signature. Whatever else is wrong may be right on a node that is some blocks ahead or behind, so that whoever
    /// passed the transaction on may have done well: a key that signed is the account's key there.
    pub(crate) const fn is_for_ever(&self) -> bool {
        matches!(
            self,
            Self::Decode(_) | Self::Sender(SignerError::Recover(_)) | Self::FeePayer(SignerError::Recover(_))
        )
    }
}

/// Why signatures are not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// No key comes out of a signature.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The account's key does not accept these signers.
    #[error("invalid account key")]
    Key,
    /// Legacy and Ethereum types speak for accounts with a Legacy key only.
    #[error("a legacy transaction must be with a legacy account key")]
    NotLegacyKey,
}
