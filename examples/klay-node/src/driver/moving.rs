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

use super::{EngineKind, LogFolder, folders::Disks};
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
    key_file: Option<PathBuf>,
    identity: Identity,
}

impl GateHome {
    /// The log of `key` on a chain with this engine, in the folder of a node.
    pub fn new(data: PathBuf, chain_id: u64, key: Address, engine: EngineKind) -> Self {
        let identity = Identity { chain_id, key: key.to_vec(), engine: engine.name().to_owned() };
        Self { data, key_file: None, identity }
    }

    /// The same if the key is in this file: outside the data folder it has its anchor beside it.
    #[must_use]
    pub fn with_key_file(self, file: PathBuf) -> Self {
        Self { key_file: Some(file), ..self }
    }

    /// What the key has said.
    ///
    /// # Errors
    /// If a node runs, or the log cannot be used.
    pub fn export(&self) -> Result<GateState, MoveGateError> {
        let _held = Data::Folder(self.data.clone()).open()?;
        let Disks { log, anchor, anchored } = self.disks()?;
        Ok(GateState::export(log, Some(anchor), anchored, self.identity.clone())?)
    }

    /// Takes over what the key has said elsewhere.
    ///
    /// # Errors
    /// If a node runs, the state is another key's, or there is a log here already.
    pub fn import(&self, state: &GateState) -> Result<(), MoveGateError> {
        let _held = Data::Folder(self.data.clone()).open()?;
        let Disks { log, anchor, anchored } = self.disks()?;
        Ok(state.import(log, Some(anchor), anchored, &self.identity)?)
    }

    fn disks(&self) -> Result<Disks, MoveGateError> {
        let chain_id = self.identity.chain_id;
        let folder = LogFolder::of(&self.data, self.key_file.as_deref(), chain_id)?;
        Ok(folder.disks(chain_id)?.ok_or(MoveError::NoLog)?)
    }
}
