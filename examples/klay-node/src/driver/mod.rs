//! The write side: a consensus engine behind a gate makes blocks, the chain stores them, the pool and everybody who
//! listens follow.
//!
//! A block is durable before anybody hears of it. Its transactions are the objects that the pool held: nothing is
//! decoded or recovered a second time, nothing is executed twice.

mod app;
mod build;
mod finalise;
mod proposal;

use std::{io, path::PathBuf, sync::Arc};

use klay_accounts::wallet::SecretKey;
use klay_consensus::{
    dev::{Dev, DevConfig},
    gate::{Gate, GateOpenError, GateOptions},
    host::{self, HostHandle, Setup, StartError},
    istanbul::{Klaytn, seal::KeySigner},
    types::{Never, Slot},
    wal::{Disk, FsDisk, Identity, MemoryDisk},
};

use tokio::{sync::oneshot, task::JoinHandle};

use self::{app::NodeApp, proposal::Proposal};
use crate::{Chain, TxPool, metrics::Metrics};

pub use build::Author;
pub use finalise::ExecuteError;
pub(crate) use finalise::{encoded_receipts, finish, replay};

/// Why a node cannot start to make blocks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The gate refuses the key or its log.
    #[error(transparent)]
    Gate(#[from] GateOpenError),
    /// The engine refuses.
    #[error(transparent)]
    Host(#[from] StartError),
    /// The folder of the log cannot be used.
    #[error("consensus log: {0}")]
    Folder(#[from] io::Error),
}

/// A driver that runs.
#[derive(Debug)]
pub(crate) struct Driver {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Where the consensus log lives.
#[derive(Debug, Clone)]
pub enum LogFolder {
    /// In this folder; the anchor of the key in another one.
    Disk {
        /// The log.
        log: PathBuf,
        /// Beside the key.
        anchor: PathBuf,
    },
    /// Nowhere: the chain ends with the process.
    Memory,
}

/// What a driver is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) chain: Chain,
    pub(crate) pool: TxPool,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) author: Author,
    pub(crate) key: SecretKey,
    pub(crate) config: DevConfig,
    pub(crate) log: LogFolder,
}

impl Driver {
    /// Opens the gate and lets the engine run.
    pub(crate) async fn start(parts: Parts) -> Result<Self, DriverError> {
        match parts.log.clone() {
            LogFolder::Disk { log, anchor } => {
                let (log, anchor) = (FsDisk::new(log)?, FsDisk::new(anchor)?);
                Self::launch(parts, log, Some(anchor)).await
            }
            LogFolder::Memory => Self::launch(parts, MemoryDisk::new(), None).await,
        }
    }

    async fn launch<D: Disk + 'static>(parts: Parts, disk: D, anchor: Option<D>) -> Result<Self, DriverError> {
        let Parts { chain, pool, metrics, author, key, config, .. } = parts;
        let identity =
            Identity { chain_id: chain.config().chain_id, key: author.address.to_vec(), engine: "dev".to_owned() };
        let options = GateOptions { floor: Slot::new(chain.head().number()), ..GateOptions::default() };
        let (gate, entries) = Gate::open(KeySigner::new(key), disk, anchor, identity, options)?;
        let app = NodeApp { chain, pool: pool.clone(), author: Arc::new(author), metrics };
        let setup: Setup<Klaytn<Proposal>, Dev<Proposal>, _, _> = Setup::alone(config, gate, entries, Arc::new(app));
        let host = host::start(setup).await?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(keep_telling(host, pool, stopped));
        Ok(Self { stop, task })
    }

    /// Stops the engine and waits for it. A block that is being stored is finished.
    pub(crate) async fn stop(self) {
        // A task that has ended needs no telling.
        let _ended = self.stop.send(());
        let _panicked = self.task.await;
    }
}

/// Tells the engine whenever transactions wait, until told to stop.
async fn keep_telling(host: HostHandle<Klaytn<Proposal>, Never>, pool: TxPool, mut stopped: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            () = pool.readied() => host.demand(),
            _ = &mut stopped => break,
        }
    }
    host.stop().await;
}
