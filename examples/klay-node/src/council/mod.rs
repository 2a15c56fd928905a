//! Who seals a block: council, qualified and demoted validators, committee and proposer of each round, for any block of a
//! chain and for the one after its head.
//!
//! | Question | Answer | Depends on |
//! |---|---|---|
//! | [`Chain::governance_at`] | parameters | ratified header fields, and from Kore the contract that they name |
//! | [`Chain::registered_at`] | council | votes in the headers before |
//! | [`Chain::staking_at`] | stakes | AddressBook and Registry behind an earlier block |
//! | [`Chain::council_at`] | all of it | the above, and the hash, author or mix hash of the parent |
//!
//! [`BlockCouncil`] is a value: it holds what it needs and asks nobody. Rules are those of `klay_consensus::valset`; here
//! they are fed from a stored chain. Answers are kept by height, as they never change.
//!
//! Source: spec 30, sections 6.5 and 7.7 to 7.9; spec 50, section 2; `kaiax/valset` in the reference client.
//!
//! [`Chain::governance_at`]: crate::Chain::governance_at
//! [`Chain::registered_at`]: crate::Chain::registered_at
//! [`Chain::staking_at`]: crate::Chain::staking_at
//! [`Chain::council_at`]: crate::Chain::council_at

mod history;
mod lately;
pub(crate) mod stored;

use std::sync::Arc;

use klay_consensus::valset::{AddressSet, Policy, SelectError, Selection};
use klay_core::{Address, B256, governance::GovParams};
use klay_vm::system::SystemError;

pub(crate) use history::{Change, History};
pub(crate) use lately::Lately;

use crate::chain::ChainError;

/// Why it cannot be said who seals a block.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CouncilError {
    /// The chain cannot be read, or does not reach so far.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The contracts that hold the stakes do not answer.
    #[error("stakes behind block {source_block}: {source}")]
    Staking {
        /// The block after which they were read.
        source_block: u64,
        /// Why.
        source: SystemError,
    },
    /// Nobody can be selected.
    #[error(transparent)]
    Select(#[from] SelectError),
}

/// The validators of one block.
#[derive(Debug, Clone)]
pub struct BlockCouncil {
    pub(crate) number: u64,
    pub(crate) params: Arc<GovParams>,
    pub(crate) council: Arc<AddressSet>,
    pub(crate) demoted: AddressSet,
    pub(crate) qualified: AddressSet,
    pub(crate) parent_hash: B256,
    pub(crate) draw: Draw,
}

/// What a proposer is drawn from.
#[derive(Debug, Clone)]
pub(crate) enum Draw {
    /// Nobody proposes a genesis.
    Genesis,
    /// See [`Policy::RoundRobin`].
    RoundRobin { previous: Address },
    /// See [`Policy::Sticky`].
    Sticky { previous: Address },
    /// See [`Policy::List`].
    List { list: Vec<Address>, made_at: u64, interval: u64 },
    /// See [`Policy::Randao`].
    Randao { mix_hash: B256 },
}

impl BlockCouncil {
    /// The block.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The parameters effective at the block.
    pub const fn params(&self) -> &Arc<GovParams> {
        &self.params
    }

    /// All registered validators.
    pub fn council(&self) -> &AddressSet {
        &self.council
    }

    /// Those set aside for having too little at stake.
    pub const fn demoted(&self) -> &AddressSet {
        &self.demoted
    }

    /// The council without the demoted.
    pub const fn qualified(&self) -> &AddressSet {
        &self.qualified
    }

    /// Who should propose in a round, by the schedule; the zero address for a genesis.
    ///
    /// # Errors
    /// If nobody is qualified.
    pub fn proposer(&self, round: u64) -> Result<Address, SelectError> {
        self.selection().map_or(Ok(Address::ZERO), |selection| selection.proposer(round))
    }

    /// Who votes in a round, in the order in which they are drawn.
    ///
    /// # Errors
    /// If nobody is qualified.
    pub fn committee(&self, round: u64) -> Result<Vec<Address>, SelectError> {
        let all = || Ok(self.qualified.as_slice().to_vec());
        self.selection().map_or_else(all, |selection| selection.committee(round))
    }

    /// Members whose number decides about quorums.
    pub fn voting_size(&self) -> u32 {
        let size = (self.qualified.len() as u64).min(self.params.committee_size);
        u32::try_from(size).unwrap_or(u32::MAX)
    }

    fn selection(&self) -> Option<Selection<'_>> {
        let policy = match &self.draw {
            Draw::Genesis => return None,
            Draw::RoundRobin { previous } => Policy::RoundRobin { previous: *previous },
            Draw::Sticky { previous } => Policy::Sticky { previous: *previous },
            Draw::List { list, made_at, interval } => Policy::List { list, made_at: *made_at, interval: *interval },
            Draw::Randao { mix_hash } => Policy::Randao { mix_hash: *mix_hash },
        };
        Some(Selection {
            number: self.number,
            qualified: &self.qualified,
            policy,
            committee_size: self.params.committee_size,
            parent_hash: self.parent_hash,
            // Of klaytn 1.12, not of the reference release.
            add_round: false,
        })
    }
}
