#![doc = include_str!("../README.md")]

pub mod chain;
pub mod council;
pub mod dev;
pub mod driver;
pub mod export;
pub mod import;
pub mod metrics;
pub mod network;
pub mod node;
pub mod ops;
pub mod pool;
pub mod rpc;
pub mod workload;

use std::sync::Arc;

pub use chain::{Chain, SealedBlock};
pub use klay_feedeleg::{Fee, KlaytnTx, RecoveredKlaytnTx};
pub use node::{Node, NodeConfig, NodeWallet};
pub use pool::{Origin, PoolError, TxPool};

/// The one copy of a transaction that pool, builder, chain and RPC share.
pub type SharedTx = Arc<RecoveredKlaytnTx>;
