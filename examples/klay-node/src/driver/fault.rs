//! Why the engine of a node does nothing any more.

use std::sync::{Arc, OnceLock};

use klay_consensus::host::{Halt, StartError};

/// Why a node that should take part in consensus only follows. A node that waits for peers or for blocks has no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineFault {
    /// The engine refuses to start.
    #[error("the consensus engine does not start: {0}")]
    Start(StartError),
    /// It runs no more, or signs nothing.
    #[error("consensus: {0}")]
    Halt(Halt),
    /// Whoever talks to it is gone.
    #[error("the consensus engine has ended")]
    Ended,
}

/// The first fault of an engine.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Arc<OnceLock<EngineFault>>);

impl Faults {
    pub(super) fn note(&self, fault: EngineFault) {
        tracing::error!(%fault, "this node only follows");
        // The first one says more than what comes of it.
        let _later = self.0.set(fault).is_err();
    }

    pub(super) fn first(&self) -> Option<EngineFault> {
        self.0.get().cloned()
    }
}
