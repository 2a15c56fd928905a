//! What a consensus key has said, taken from one machine to another.
//!
//! The store of the chain is opened meanwhile, which only one process can do: nothing is taken from under a node that
//! runs.

use std::path::PathBuf;

use klay_consensus::{
    gate::{GateState, MoveError},
    wal::Identity,
};
use klay_core::Address;

use super::{EngineKind, LogFolder, disks};
use crate::node::{Data, StartError};

/// Why a key's memory cannot be moved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MoveGateError {
    /// A node runs on this folder, or it cannot be used.
    #[error("the node's folder cannot be opened, does a node run on it? {0}")]
    InUse(#[from] StartError),
    /// The folders of log and anchor cannot be used.
    #[error("consensus log: {0}")]
    Folder(#[from] std::io::Error),
    /// The log, the anchor or the state.
    #[error(transparent)]
    State(#[from] MoveError),
}

/// The log of one key in a node's folder.
#[derive(Debug, Clone)]
pub struct GateHome {
    data: PathBuf,
    identity: Identity,
}

impl GateHome {
    /// The log of `key` on a chain with this engine, in the folder of a node.
    pub fn new(data: PathBuf, chain_id: u64, key: Address, engine: EngineKind) -> Self {
        Self { data, identity: Identity { chain_id, key: key.to_vec(), engine: engine.name().to_owned() } }
    }

    /// What the key has said.
    ///
    /// # Errors
    /// If a node runs, or the log cannot be used.
    pub fn export(&self) -> Result<GateState, MoveGateError> {
        let _held = Data::Folder(self.data.clone()).open()?;
        let Some((log, anchor)) = disks(&LogFolder::within(&self.data))? else { return Err(MoveError::NoLog.into()) };
        Ok(GateState::export(log, Some(anchor), self.identity.clone())?)
    }

    /// Takes over what the key has said elsewhere.
    ///
    /// # Errors
    /// If a node runs, the state is another key's, or there is a log here already.
    pub fn import(&self, state: &GateState) -> Result<(), MoveGateError> {
        let _held = Data::Folder(self.data.clone()).open()?;
        let Some((log, anchor)) = disks(&LogFolder::within(&self.data))? else { return Err(MoveError::NoLog.into()) };
        Ok(state.import(log, Some(anchor), &self.identity)?)
    }
}
