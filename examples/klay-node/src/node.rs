//! The handle on a running node.

use std::{fmt, sync::Arc};

use klay_core::{Address, B256, ChainConfig, Signature, auth::SignError};

use crate::{chain::Chain, metrics::Metrics, pool::TxPool};

/// Accounts that the node signs for (`eth_accounts`, `kaia_sendTransaction`): dev accounts or a keystore.
pub trait NodeWallet: fmt::Debug + Send + Sync + 'static {
    /// The addresses, in their own order.
    fn addresses(&self) -> Vec<Address>;

    /// Signs `digest` for `address`; `v` of the result is the parity, 0 or 1.
    ///
    /// # Errors
    /// If there is no such key or it is locked.
    fn sign(&self, address: Address, digest: B256) -> Result<Signature, SignError>;
}

/// A wallet without keys.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWallet;

impl NodeWallet for NoWallet {
    fn addresses(&self) -> Vec<Address> {
        Vec::new()
    }

    fn sign(&self, address: Address, _digest: B256) -> Result<Signature, SignError> {
        Err(SignError::NoKey(address))
    }
}

/// A running node. Cloning is cheap; all clones are the same node.
#[derive(Debug, Clone)]
pub struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    chain: Chain,
    pool: TxPool,
    wallet: Arc<dyn NodeWallet>,
    metrics: Arc<Metrics>,
    network_id: u64,
}

impl Node {
    /// The chain as stored.
    pub fn chain(&self) -> &Chain {
        &self.0.chain
    }

    /// Transactions that wait.
    pub fn pool(&self) -> &TxPool {
        &self.0.pool
    }

    /// What the genesis says about the chain: id and forks.
    pub fn config(&self) -> &ChainConfig {
        self.0.chain.config()
    }

    /// The number in `net_version`.
    pub fn network_id(&self) -> u64 {
        self.0.network_id
    }

    /// Accounts the node signs for.
    pub fn wallet(&self) -> &dyn NodeWallet {
        &*self.0.wallet
    }

    /// Counters.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}
