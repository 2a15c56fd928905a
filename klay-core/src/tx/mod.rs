//! Transactions: legacy, Ethereum typed, and Klaytn's payload under a fee mode.

pub mod body;
pub mod envelope;
pub mod ethereum;
pub mod fee;
pub mod gas;
#[cfg(feature = "serde")]
pub mod json;
pub mod legacy;
pub mod payload;
pub mod recovered;
pub mod sidecar;
pub mod sign;
mod signatures;
pub mod tx_type;
pub mod typed;
pub mod view;

pub use body::Body;
pub use envelope::TxEnvelope;
pub use ethereum::{DynamicPrice, EthereumFields, EthereumKind, EthereumTx};
pub use fee::{FeeMode, FeeRatio, FeeRatioError, FeeSplit, SenderPays};
pub use legacy::LegacyTx;
pub use payload::{EncodedKey, Payload, PayloadType};
pub use recovered::{HashedTx, RecoveredTx, SenderAuth};
pub use sidecar::BlobSidecar;
pub use sign::SignTxError;
pub use tx_type::TxType;
pub use typed::Tx;
pub use view::TxView;
