//! Committees of the chain for an engine.

use std::sync::Arc;

use klay_consensus::{
    istanbul::Klaytn,
    types::{Committee, Committees, Height, NotYet, Round, quorum},
};
use klay_core::Address;

use super::{EngineKind, Proposal};
use crate::{Chain, council::CouncilError};

/// Asks the chain who decides a block.
#[derive(Debug)]
pub(super) struct ChainCommittees {
    pub(super) chain: Chain,
    pub(super) engine: EngineKind,
}

impl Committees<Klaytn<Proposal>> for ChainCommittees {
    fn at(&self, height: Height, round: Round) -> Result<Arc<Committee<Address>>, NotYet> {
        let found = || {
            let council = self.chain.council_at(height.get())?;
            let (members, proposer) = (self.engine.members(&council, round)?, council.proposer(round.get())?);
            let size = self.engine.voting_size(&council);
            Ok::<_, CouncilError>(Committee {
                members,
                senders: council.qualified().as_slice().to_vec(),
                proposer,
                quorum: quorum::live(size),
                weak: quorum::weak(size),
            })
        };
        found().map(Arc::new).map_err(|error| {
            tracing::debug!(%error, %height, %round, "no committee");
            NotYet(height)
        })
    }
}
