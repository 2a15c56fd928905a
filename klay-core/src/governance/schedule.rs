//! Which parameters are effective at a block: defaults, then the configuration, then every ratified field up to the
//! start of the epoch before.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    data::{DataError, GovernanceData},
    param::{ParamName, ParamValue},
    params::GovParams,
    vote::{Vote, VoteAction},
};
use crate::{
    block::Header,
    config::{ChainConfig, Fork},
};

/// The last block whose governance field is effective at block `number`.
///
/// From Kore a field is effective one block earlier than before it.
pub const fn previous_epoch_start(number: u64, epoch: u64, is_kore: bool) -> u64 {
    if number <= epoch || epoch == 0 {
        return 0;
    }
    let number = if is_kore { number } else { number - 1 };
    (number - number % epoch).saturating_sub(epoch)
}

/// The parameters of a chain over time, fed with headers in order.
///
/// Parameters of a governance contract are not part of it: see [`GovParams::with_contract`].
///
/// ```
/// use klay_core::{config::ChainConfig, governance::ParamSchedule};
///
/// let schedule = ParamSchedule::new(&ChainConfig::cypress())?;
/// assert_eq!(schedule.at(1).committee_size, 22);
/// # Ok::<_, klay_core::governance::ScheduleError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ParamSchedule {
    epoch: u64,
    kore: Option<u64>,
    /// Parameters by the block that ratified the last of them; block 0 is always there.
    effective: BTreeMap<u64, Step>,
    /// Votes for parameters by block.
    votes: BTreeMap<u64, (ParamName, ParamValue)>,
}

#[derive(Debug, Clone)]
struct Step {
    /// With the configuration underneath.
    all: Arc<GovParams>,
    /// With nothing but the defaults underneath.
    header: Arc<GovParams>,
}

impl ParamSchedule {
    /// A chain with this configuration that has no blocks yet.
    ///
    /// # Errors
    /// If the configuration has no epoch, or one of length zero.
    pub fn new(config: &ChainConfig) -> Result<Self, ScheduleError> {
        let epoch = config.istanbul.map_or(0, |istanbul| istanbul.epoch);
        if epoch == 0 {
            return Err(ScheduleError::ZeroEpoch);
        }
        let start = Step { all: Arc::new(GovParams::from_config(config)), header: Arc::default() };
        Ok(Self {
            epoch,
            kore: config.forks.block(Fork::Kore),
            effective: BTreeMap::from([(0, start)]),
            votes: BTreeMap::new(),
        })
    }

    /// Blocks per epoch.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes in the vote and the governance field of an accepted header; headers come in ascending order.
    ///
    /// # Errors
    /// If a governance field does not decode. At genesis, such a field counts as none.
    pub fn record(&mut self, header: &Header) -> Result<(), ScheduleError> {
        let number = header.number;
        if !header.vote.is_empty()
            && let Ok(Vote { action: VoteAction::Param(name, value), .. }) = Vote::decode(&header.vote)
        {
            self.votes.insert(number, (name, value));
        }
        if header.governance.is_empty() {
            return Ok(());
        }
        match GovernanceData::decode(&header.governance) {
            Ok(data) => self.ratify(number, &data),
            Err(_) if number == 0 => {}
            Err(source) => return Err(ScheduleError::Data { number, source }),
        }
        Ok(())
    }

    /// Forgets everything about blocks above `number`.
    pub fn rewind(&mut self, number: u64) {
        self.effective.retain(|block, _| *block <= number);
        self.votes.retain(|block, _| *block <= number);
    }

    /// The parameters effective at block `number`, those of a governance contract excepted.
    pub fn at(&self, number: u64) -> Arc<GovParams> {
        Arc::clone(&self.step(number).all)
    }

    /// The parameters that headers alone make effective at block `number`: the configuration does not count. Votes are
    /// checked against these, and they name the governance contract.
    pub fn header_only_at(&self, number: u64) -> Arc<GovParams> {
        Arc::clone(&self.step(number).header)
    }

    /// The governance contract in force at block `number`.
    pub fn contract_at(&self, number: u64) -> Option<alloy_primitives::Address> {
        let contract = self.step(number).header.gov_param_contract;
        (self.is_kore(number) && !contract.is_zero()).then_some(contract)
    }

    /// What the header of epoch block `number` must ratify: the votes of the epoch before, later ones over earlier.
    pub fn expected_at(&self, number: u64) -> GovernanceData {
        let mut data = GovernanceData::default();
        for (name, value) in self.votes.range(number.saturating_sub(self.epoch)..number).map(|(_, vote)| vote) {
            // Decoded votes hold allowed values.
            let _ = data.set(*name, value.clone());
        }
        data
    }

    /// The blocks that carry ratified parameters, and 0.
    pub fn ratified_blocks(&self) -> impl Iterator<Item = u64> {
        self.effective.keys().copied()
    }

    /// The votes for parameters in blocks `range`.
    pub fn votes(
        &self,
        range: impl core::ops::RangeBounds<u64>,
    ) -> impl Iterator<Item = (u64, ParamName, &ParamValue)> {
        self.votes.range(range).map(|(block, (name, value))| (*block, *name, value))
    }

    fn step(&self, number: u64) -> &Step {
        let until = previous_epoch_start(number, self.epoch, self.is_kore(number));
        let (_, step) = self.effective.range(..=until).next_back().expect("block 0 is never removed");
        step
    }

    fn is_kore(&self, number: u64) -> bool {
        self.kore.is_some_and(|kore| kore <= number)
    }

    fn ratify(&mut self, number: u64, data: &GovernanceData) {
        let (_, last) = self.effective.range(..=number).next_back().expect("block 0 is never removed");
        let mut step = last.clone();
        for (name, value) in data.iter() {
            // Decoded data hold allowed values.
            let _ = Arc::make_mut(&mut step.all).set(name, value);
            let _ = Arc::make_mut(&mut step.header).set(name, value);
        }
        self.effective.insert(number, step);
    }
}

/// Why a schedule could not be made or go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// No epoch length.
    #[error("epoch cannot be zero")]
    ZeroEpoch,
    /// A governance field that does not decode.
    #[error("governance field of block {number}: {source}")]
    Data {
        /// The block.
        number: u64,
        /// Why.
        source: DataError,
    },
}
