//! Why a block is refused: the rule, what it expects, and what was found.

use klay_consensus::istanbul::import::HeaderError;
use klay_core::{
    B256, Bloom, DecodeError, U256,
    crypto::RecoverError,
    governance::{DataRefusal, VoteRefusal},
};
use klay_vm::{TxError, randao::RandaoError};

use super::stream::StreamError;

/// The rule that a block breaks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The file is damaged.
    #[error(transparent)]
    File(StreamError),
    /// The bytes are no block.
    #[error(transparent)]
    Encoding(DecodeError),
    /// The block does not follow the one before.
    #[error("expected number {expected}, found {got}")]
    Number {
        /// The next number.
        expected: u64,
        /// The block's.
        got: u64,
    },
    /// The chain has another block of this number.
    #[error("expected hash {expected}, found {got}")]
    OtherBlock {
        /// Hash of the chain's block.
        expected: B256,
        /// Hash of this one.
        got: B256,
    },
    /// The header.
    #[error("{0}")]
    Header(HeaderError),
    /// The Randao fields.
    #[error(transparent)]
    Randao(RandaoError),
    /// The vote.
    #[error(transparent)]
    Vote(VoteRefusal),
    /// The governance field.
    #[error(transparent)]
    Governance(DataRefusal),
    /// The block is too large, from Osaka on.
    #[error("expected at most {limit} bytes, found {got}")]
    Size {
        /// Most bytes of RLP.
        limit: usize,
        /// The block's.
        got: usize,
    },
    /// The header names other transactions.
    #[error("expected {expected}, the header's; found {got}")]
    TransactionsRoot {
        /// The header's.
        expected: B256,
        /// Of the body.
        got: B256,
    },
    /// A transaction pays less than the base fee.
    #[error("transaction {index}: expected at least {base_fee} peb, found {got}")]
    Price {
        /// Its place.
        index: usize,
        /// The block's.
        base_fee: U256,
        /// The transaction's price or cap, in peb.
        got: U256,
    },
    /// The blobs of the transactions are not those that the header counts.
    #[error("expected blob gas {expected}, the header's; found {got}")]
    BlobGas {
        /// The header's; 0 where it has none.
        expected: u64,
        /// Of the transactions.
        got: u64,
    },
    /// A signature yields no key, or is made for another chain.
    #[error("transaction {index}: {source}")]
    Signature {
        /// The transaction's place.
        index: usize,
        /// Why.
        source: RecoverError,
    },
    /// A transaction that cannot be part of the block.
    #[error("transaction {index}: {source}")]
    Transaction {
        /// Its place.
        index: usize,
        /// Why.
        source: TxError,
    },
    /// The header counts other gas.
    #[error("expected {expected}, the header's; found {got}")]
    GasUsed {
        /// The header's.
        expected: u64,
        /// Of the execution.
        got: u64,
    },
    /// The header has another bloom.
    #[error("expected {expected}, the header's; found {got}")]
    Bloom {
        /// The header's.
        expected: Box<Bloom>,
        /// Of the execution.
        got: Box<Bloom>,
    },
    /// The header names other receipts.
    #[error("expected {expected}, the header's; found {got}")]
    ReceiptsRoot {
        /// The header's.
        expected: B256,
        /// Of the execution.
        got: B256,
    },
    /// The header names another state.
    #[error("expected {expected}, the header's; found {got}")]
    StateRoot {
        /// The header's.
        expected: B256,
        /// Of the execution.
        got: B256,
    },
}

impl Refusal {
    /// The rule in a word or two.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::File(_) | Self::Encoding(_) => "encoding",
            Self::Number { .. } => "number",
            Self::OtherBlock { .. } => "hash",
            Self::Header(error) => header_rule(error),
            Self::Randao(_) => "randao",
            Self::Vote(_) => "vote",
            Self::Governance(_) => "governance",
            Self::Size { .. } => "block size",
            Self::TransactionsRoot { .. } => "transactions root",
            Self::Price { .. } => "gas price",
            Self::BlobGas { .. } => "blob gas",
            Self::Signature { .. } => "transaction signature",
            Self::Transaction { .. } => "transaction",
            Self::GasUsed { .. } => "gas used",
            Self::Bloom { .. } => "logs bloom",
            Self::ReceiptsRoot { .. } => "receipts root",
            Self::StateRoot { .. } => "state root",
        }
    }

    /// What the rule expects and what was found, where it is a comparison.
    pub fn sides(&self) -> Option<(String, String)> {
        let both = |expected: &dyn ToString, got: &dyn ToString| Some((expected.to_string(), got.to_string()));
        match self {
            Self::Number { expected, got } | Self::BlobGas { expected, got } | Self::GasUsed { expected, got } => {
                both(expected, got)
            }
            Self::OtherBlock { expected, got }
            | Self::TransactionsRoot { expected, got }
            | Self::ReceiptsRoot { expected, got }
            | Self::StateRoot { expected, got } => both(expected, got),
            Self::Bloom { expected, got } => both(expected, got),
            Self::Size { limit, got } => both(&format!("at most {limit}"), got),
            Self::Price { base_fee, got, .. } => both(&format!("at least {base_fee}"), got),
            Self::Header(error) => header_sides(error),
            Self::Randao(RandaoError::WrongMix { expected, got }) => both(expected, got),
            Self::Governance(DataRefusal::Mismatch { expected, got }) => both(expected, got),
            Self::Vote(VoteRefusal::NotTheAuthor { voter, author }) => both(author, voter),
            _ => None,
        }
    }
}

const fn header_rule(error: &HeaderError) -> &'static str {
    match error {
        HeaderError::MissingBaseFee | HeaderError::BaseFee { .. } | HeaderError::NoBaseFee(_) => "base fee",
        HeaderError::Future { .. } | HeaderError::Timestamp { .. } => "timestamp",
        HeaderError::Extra => "extra data",
        HeaderError::BlockScore { .. } => "block score",
        HeaderError::UnknownAncestor => "parent",
        HeaderError::Seal | HeaderError::Unauthorized { .. } => "proposer seal",
        HeaderError::UnexpectedRandao | HeaderError::Randao => "randao",
        HeaderError::UnexpectedBlobField { .. } | HeaderError::BlobField { .. } => "blob gas",
        HeaderError::NoCommittedSeals
        | HeaderError::CommittedSignature { .. }
        | HeaderError::CommittedSeal { .. }
        | HeaderError::TooFewSeals { .. } => "committed seals",
        _ => "header",
    }
}

fn header_sides(error: &HeaderError) -> Option<(String, String)> {
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let text = |expected: String, got: String| Some((expected, got));
    match error {
        HeaderError::MissingBaseFee => text("a base fee".to_owned(), "none".to_owned()),
        HeaderError::BaseFee { got, expected } => {
            text(or_none(expected.map(|fee| fee.to_string())), or_none(got.map(|fee| fee.to_string())))
        }
        HeaderError::Future { timestamp, limit } => text(format!("at most {limit}"), timestamp.to_string()),
        HeaderError::Timestamp { got, earliest } => text(format!("at least {earliest}"), got.to_string()),
        HeaderError::BlockScore { got } => text("1".to_owned(), got.to_string()),
        HeaderError::Unauthorized { author } => text("a qualified validator".to_owned(), author.to_string()),
        HeaderError::BlobField { got, expected, .. } => {
            text(expected.to_string(), or_none(got.map(|gas| gas.to_string())))
        }
        HeaderError::NoCommittedSeals => text("at least 1".to_owned(), "0".to_owned()),
        HeaderError::CommittedSeal { signer, .. } => {
            text("a member of the council that has not sealed yet".to_owned(), signer.to_string())
        }
        HeaderError::TooFewSeals { got, needed } => text(format!("at least {needed}"), got.to_string()),
        _ => None,
    }
}
