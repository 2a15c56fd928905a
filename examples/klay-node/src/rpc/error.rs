//! What a request can fail with: code, text and, for reverts, data.

use std::borrow::Cow;

use alloy_primitives::{B256, Bytes};
use jsonrpsee::types::ErrorObjectOwned;

use super::decode::Reason;

/// Why a request has no result.
///
/// Source of codes and texts: spec 80, sections 1.4 to 1.6 and 6; `rpc-errors.json`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The body is not JSON (HTTP).
    #[error("parse error")]
    Parse,
    /// The message is not JSON (WebSocket), in the words of the reference client's decoder.
    #[error("{0}")]
    Syntax(String),
    /// Not an object, no method, or an id that is an object or array.
    #[error("invalid request")]
    InvalidRequest,
    /// `[]`.
    #[error("empty batch")]
    EmptyBatch,
    /// More requests in a batch than [`super::Limits::batch_items`].
    #[error("batch of {got} requests exceeds the limit of {max}")]
    BatchTooLong {
        /// The limit.
        max: usize,
        /// Requests in the batch.
        got: usize,
    },
    /// The answers of a batch are larger than [`super::Limits::response_bytes`].
    #[error("answer exceeds the limit of {max} bytes")]
    ResponseTooLarge {
        /// The limit, in bytes.
        max: usize,
    },
    /// No such method, or its namespace is not served.
    #[error("the method {0} does not exist/is not available")]
    MethodNotFound(String),
    /// No such subscription.
    #[error("no \"{name}\" subscription in {namespace} namespace")]
    NoSuchSubscription {
        /// What was asked for.
        name: String,
        /// Where.
        namespace: String,
    },
    /// `subscribe` without a name.
    #[error("expected subscription name as first argument")]
    NoSubscriptionName,
    /// `params` is neither an array nor null.
    #[error("non-array args")]
    NonArrayArgs,
    /// More parameters than the method has.
    #[error("too many arguments, want at most {max}")]
    TooManyArguments {
        /// Parameters of the method.
        max: usize,
    },
    /// A required parameter is absent.
    #[error("missing value for required argument {index}")]
    MissingArgument {
        /// Position from 0.
        index: usize,
    },
    /// A parameter does not decode.
    #[error("invalid argument {index}: {reason}")]
    InvalidArgument {
        /// Position from 0.
        index: usize,
        /// Why.
        reason: Reason,
    },
    /// The method failed.
    #[error("{0}")]
    Failed(Cow<'static, str>),
    /// A call was reverted with data.
    #[error("execution reverted{}", reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    Reverted {
        /// Decoded `Error(string)` or `Panic(uint256)`.
        reason: Option<String>,
        /// The returned bytes.
        data: Bytes,
    },
    /// `subscribe` over HTTP.
    #[error("notifications not supported")]
    NotificationsNotSupported,
    /// `unsubscribe` of an id that is not the connection's.
    #[error("subscription not found")]
    SubscriptionNotFound,
    /// The connection has as many subscriptions as it may.
    #[error(
        "Maximum {max} subscriptions are allowed for a websocket connection. The limit can be updated with 'admin_setMaxSubscriptionPerWSConn' API"
    )]
    TooManySubscriptions {
        /// [`super::Limits::subscriptions`].
        max: usize,
    },
    /// A filter id that does not exist or is of another kind.
    #[error("filter not found")]
    FilterNotFound,
    /// No block of that number.
    #[error("the block does not exist (block number: {0})")]
    NoBlockNumber(u64),
    /// No block of that hash.
    #[error("the block does not exist (block hash: {0})")]
    NoBlockHash(B256),
    /// No header of that number.
    #[error("the header does not exist (block number: {0})")]
    NoHeaderNumber(u64),
    /// No header of that hash.
    #[error("the header does not exist (hash: {0})")]
    NoHeaderHash(B256),
    /// State asked for by the hash of an unknown block.
    #[error("header for hash not found")]
    NoHeaderForHash,
    /// A block parameter without number and hash.
    #[error("invalid arguments; neither block nor hash specified")]
    NeitherBlockNorHash,
    /// Committee of an unknown block.
    #[error("unknown block")]
    UnknownBlock,
}

impl RpcError {
    /// A failure of the method with this text.
    pub fn failed(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Failed(text.into())
    }

    /// A failure of the method in the words of another error.
    pub fn from_error(error: impl core::fmt::Display) -> Self {
        Self::Failed(Cow::Owned(error.to_string()))
    }

    /// The code that goes with it.
    pub const fn code(&self) -> i32 {
        match self {
            Self::Parse | Self::Syntax(_) => -32700,
            Self::InvalidRequest | Self::EmptyBatch | Self::BatchTooLong { .. } => -32600,
            Self::MethodNotFound(_) | Self::NoSuchSubscription { .. } => -32601,
            Self::NoSubscriptionName
            | Self::NonArrayArgs
            | Self::TooManyArguments { .. }
            | Self::MissingArgument { .. }
            | Self::InvalidArgument { .. } => -32602,
            Self::Reverted { .. } => 3,
            _ => -32000,
        }
    }

    /// The object that goes out.
    pub fn object(&self) -> ErrorObjectOwned {
        let data = match self {
            Self::Reverted { data, .. } => Some(data),
            _ => None,
        };
        ErrorObjectOwned::owned(self.code(), self.to_string(), data)
    }
}
