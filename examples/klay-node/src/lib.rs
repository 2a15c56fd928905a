#![doc = include_str!("../README.md")]

pub mod chain;
pub mod metrics;
pub mod node;
pub mod pool;
pub mod rpc;

use std::sync::Arc;

pub use chain::{Chain, SealedBlock};
pub use node::{Node, NodeWallet};
pub use pool::{Origin, PoolError, TxPool};

/// The fee modes that this node carries.
pub type Fee = klay_core::SenderPays;
/// Any transaction of this node's chain.
pub type KlaytnTx = klay_core::TxEnvelope<Fee>;
/// A transaction whose hashes and signers are known.
pub type RecoveredKlaytnTx = klay_core::tx::RecoveredTx<Fee>;
/// The one copy of a transaction that pool, builder, chain and RPC share.
pub type SharedTx = Arc<RecoveredKlaytnTx>;
