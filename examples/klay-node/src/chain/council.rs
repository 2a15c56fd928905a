//! Feeds the rules about validators from the chain: see [`crate::council`].

use std::sync::Arc;

use klay_consensus::valset::{
    AddressSet, ListRule, RemoveVote, Stakes, StakingEntry, demoted, demotes, list_made_at, proposer_list,
    without_removed,
};
use klay_core::{
    Address, B256, Fork,
    block::{Header, IstanbulExtra},
    governance::{GovParams, GovernanceMode, ProposerPolicy},
    storage::{Batch, ChainStore, StorageError},
};
use klay_vm::{
    State,
    randao::previous_mix,
    reward::{StakingInfo, staking_source},
    system::{View, contract_params, staking_info},
};
use parking_lot::{Mutex, RwLock};

use super::{Chain, ChainError};
use crate::council::{BlockCouncil, Change, CouncilError, Draw, History, Lately, stored};

/// Answers that are kept of each kind.
const KEPT: usize = 128;

/// Councils over time and answers given lately.
#[derive(Debug)]
pub(super) struct Councils {
    history: RwLock<History>,
    blocks: Mutex<Lately<Arc<BlockCouncil>>>,
    lists: Mutex<Lately<Arc<Vec<Address>>>>,
    stakes: Mutex<Lately<Arc<StakingInfo>>>,
    /// What a governance contract said, and the head on whose state it was asked.
    contract: Mutex<Lately<(u64, Arc<GovParams>)>>,
}

impl Councils {
    /// The councils up to block `last` of a stored chain.
    pub(super) fn open(blocks: &ChainStore, genesis: &Header, last: u64) -> Result<Self, ChainError> {
        let extra = IstanbulExtra::decode(&genesis.extra);
        let first = extra.map_err(|source| StorageError::Corrupt { what: "genesis extra-data", source })?.validators;
        let mut history = History::new(AddressSet::new(first));
        for (number, council) in stored::councils(&**blocks.store(), last)? {
            let header = blocks.header(number)?.ok_or(ChainError::NoBlock { number })?;
            // The members are known; the header says whom a vote removed.
            let change = history.change(&header, Address::ZERO);
            let removed = change.map_or_else(Vec::new, |change| change.removed);
            history.apply(Change { number, council: Arc::new(council), removed });
        }
        Ok(Self {
            history: RwLock::new(history),
            blocks: Mutex::new(Lately::new(KEPT)),
            lists: Mutex::new(Lately::new(KEPT)),
            stakes: Mutex::new(Lately::new(KEPT)),
            contract: Mutex::new(Lately::new(KEPT)),
        })
    }
}

impl Chain {
    /// The validators of block `number`, which may be the one after the head.
    ///
    /// # Errors
    /// If the chain does not reach so far, or a state that it depends on is not kept.
    pub fn council_at(&self, number: u64) -> Result<Arc<BlockCouncil>, CouncilError> {
        self.check_height(number)?;
        if let Some(known) = self.0.councils.blocks.lock().get(number) {
            return Ok(known);
        }
        let found = Arc::new(self.find_council(number)?);
        self.0.councils.blocks.lock().keep(number, Arc::clone(&found));
        Ok(found)
    }

    /// The registered validators of block `number`, demoted ones included.
    ///
    /// # Errors
    /// If the chain does not reach to the block before.
    pub fn registered_at(&self, number: u64) -> Result<Arc<AddressSet>, ChainError> {
        self.check_height(number)?;
        Ok(self.0.councils.history.read().at(number))
    }

    /// Who proposed block `number` if it was decided in this round, otherwise who should have.
    ///
    /// # Errors
    /// As [`Self::council_at`].
    pub fn proposer_at(&self, number: u64, round: u64) -> Result<Address, CouncilError> {
        if number > 0 && number <= self.head().number() {
            let header = self.header(number)?;
            let decided = IstanbulExtra::decode(&header.extra).map(|extra| u64::from(extra.round()));
            if decided == Ok(round) {
                return Ok(header.proposer().unwrap_or_default());
            }
        }
        Ok(self.council_at(number)?.proposer(round)?)
    }

    /// The parameters effective at block `number`, those of a governance contract included.
    ///
    /// The contract is asked on the newest state, as the reference client does.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn governance_at(&self, number: u64) -> Result<Arc<GovParams>, ChainError> {
        let (params, contract) = {
            let schedule = self.0.params.read();
            (schedule.at(number), schedule.contract_at(number))
        };
        let Some(contract) = contract else { return Ok(params) };
        let head = self.0.head.load_full();
        let newest = head.block.number();
        match self.0.councils.contract.lock().get(number) {
            Some((asked_at, known)) if asked_at == newest => return Ok(known),
            _ => {}
        }
        let view = View { state: &head.state, header: &head.block.header, config: self.config() };
        let found = Arc::new(contract_params(view, contract, number, GovParams::clone(&params))?);
        self.0.councils.contract.lock().keep(number, (newest, Arc::clone(&found)));
        Ok(found)
    }

    /// The parameters effective at block `number`, with a contract asked on the state behind its parent, whatever the
    /// newest one is: what counts when a block is executed, once or again.
    pub(crate) fn governance_over(
        &self,
        number: u64,
        (parent, state): (&Header, &State),
    ) -> Result<Arc<GovParams>, ChainError> {
        let head = self.0.head.load_full();
        if head.block.number() == parent.number && head.state.root() == state.root() {
            return self.governance_at(number);
        }
        let (params, contract) = {
            let schedule = self.0.params.read();
            (schedule.at(number), schedule.contract_at(number))
        };
        let Some(contract) = contract else { return Ok(params) };
        let view = View { state, header: parent, config: self.config() };
        Ok(Arc::new(contract_params(view, contract, number, GovParams::clone(&params))?))
    }

    /// The stakes that count at block `number`, which may be the one after the head.
    ///
    /// # Errors
    /// If the chain does not reach so far, the state that it is read from is not kept, or a contract does not answer.
    pub fn staking_at(&self, number: u64) -> Result<Arc<StakingInfo>, CouncilError> {
        self.check_height(number)?;
        let is_kaia = self.rules_at(number).has(Fork::Kaia);
        let interval = self.governance_at(number)?.staking_update_interval;
        let source = staking_source(number, interval, is_kaia);
        if let Some(known) = self.0.councils.stakes.lock().get(source) {
            return Ok(known);
        }
        let written = stored::staking(&**self.0.store.store(), source).map_err(ChainError::from)?;
        let found = Arc::new(match written {
            Some(found) => found,
            None => self.read_staking(&self.header(source)?, &self.state_at(source)?)?,
        });
        self.0.councils.stakes.lock().keep(source, Arc::clone(&found));
        Ok(found)
    }

    /// What the header of a block that is about to be appended adds to the history of councils; `state` is the one
    /// behind it. Goes into the batch of the block.
    pub(super) fn put_history(
        &self,
        header: &Header,
        state: &State,
        batch: &mut Batch,
    ) -> Result<Option<Change>, CouncilError> {
        let number = header.number;
        if !header.vote.is_empty() || !header.governance.is_empty() {
            stored::put_voted(batch, number);
        }
        let params = self.governance_at(number)?;
        if self.outlives_state(number, &params) {
            stored::put_staking(batch, &self.read_staking(header, state)?);
        }
        let change = self.change(header, &params);
        if let Some(change) = &change {
            stored::put_council(batch, number, &change.council);
        }
        Ok(change)
    }

    /// Whether the stakes behind a block are asked for long after it, when its state may be gone: before Kaia for the
    /// following intervals, and before Randao for a list of proposers.
    fn outlives_state(&self, number: u64, params: &GovParams) -> bool {
        let rules = self.rules_at(number.saturating_add(1));
        params.policy == ProposerPolicy::WeightedRandom
            && match rules.has(Fork::Kaia) {
                false => number.is_multiple_of(params.staking_update_interval.max(1)),
                true => !rules.has(Fork::Randao),
            }
    }

    /// As [`Self::put_history`] for a block that is stored already.
    pub(super) fn history_of(&self, header: &Header) -> Result<Option<Change>, ChainError> {
        if header.vote.is_empty() {
            return Ok(None);
        }
        Ok(self.change(header, &*self.governance_at(header.number)?))
    }

    /// Takes over what [`Self::put_history`] found, after the block was stored.
    pub(super) fn follow(&self, change: Option<Change>) {
        if let Some(change) = change {
            self.0.councils.history.write().apply(change);
        }
    }

    fn change(&self, header: &Header, params: &GovParams) -> Option<Change> {
        self.0.councils.history.read().change(header, params.governing_node)
    }

    fn read_staking(&self, header: &Header, state: &State) -> Result<StakingInfo, CouncilError> {
        let view = View { state, header, config: self.config() };
        staking_info(view).map_err(|source| CouncilError::Staking { source_block: header.number, source })
    }

    fn find_council(&self, number: u64) -> Result<BlockCouncil, CouncilError> {
        let params = self.governance_at(number)?;
        let council = self.registered_at(number)?;
        let demoted = self.demoted(number, &council, &params)?;
        let qualified = council.without(&demoted);
        let (draw, parent_hash) = match number.checked_sub(1) {
            None => (Draw::Genesis, B256::ZERO),
            Some(parent) => {
                let parent = self.sealed(parent)?;
                (self.draw(number, &params, &qualified, &parent)?, parent.hash)
            }
        };
        Ok(BlockCouncil { number, params, council, demoted, qualified, parent_hash, draw })
    }

    fn demoted(&self, number: u64, council: &AddressSet, params: &GovParams) -> Result<AddressSet, CouncilError> {
        let weighted = params.policy == ProposerPolicy::WeightedRandom;
        if !demotes(number, weighted, self.rules_at(number).has(Fork::Istanbul)) {
            return Ok(AddressSet::default());
        }
        let stakes = stakes(&*self.staking_at(number)?);
        let spared = (params.governance_mode == GovernanceMode::Single).then_some(params.governing_node);
        Ok(demoted(council, &stakes, params.minimum_stake.as_limbs()[0], spared))
    }

    fn qualified(&self, number: u64) -> Result<AddressSet, CouncilError> {
        let council = self.registered_at(number)?;
        Ok(council.without(&self.demoted(number, &council, &*self.governance_at(number)?)?))
    }

    fn draw(
        &self,
        number: u64,
        params: &GovParams,
        qualified: &AddressSet,
        parent: &Sealed,
    ) -> Result<Draw, CouncilError> {
        // Before block 1 there is no author: the first of the set stands in.
        let previous = || match parent.header.number {
            0 => qualified.as_slice().first().copied().unwrap_or_default(),
            _ => parent.author(),
        };
        Ok(match params.policy {
            ProposerPolicy::RoundRobin => Draw::RoundRobin { previous: previous() },
            ProposerPolicy::Sticky => Draw::Sticky { previous: previous() },
            ProposerPolicy::WeightedRandom if self.rules_at(number).has(Fork::Randao) => {
                Draw::Randao { mix_hash: previous_mix(self.config(), &parent.header) }
            }
            ProposerPolicy::WeightedRandom => {
                let interval = params.proposer_update_interval;
                let made_at = list_made_at(number, interval);
                let removed = self.removed(made_at, interval, number)?;
                let list = without_removed(&self.list(made_at)?, &removed, number);
                Draw::List { list, made_at, interval }
            }
        })
    }

    /// The list of proposers made at block `made_at`, under the rules and with the validators of the block after it.
    fn list(&self, made_at: u64) -> Result<Arc<Vec<Address>>, CouncilError> {
        if let Some(known) = self.0.councils.lists.lock().get(made_at) {
            return Ok(known);
        }
        let first = made_at.saturating_add(1);
        let candidates = self.qualified(first)?;
        let hash = self.sealed(made_at)?.hash;
        let found = Arc::new(if self.rules_at(first).has(Fork::Kore) {
            proposer_list(&candidates, ListRule::Uniform, hash)
        } else {
            let use_gini = self.governance_at(first)?.use_gini_coeff;
            let stakes = stakes(&*self.staking_at(made_at)?);
            proposer_list(&candidates, ListRule::Weighted { stakes: &stakes, use_gini }, hash)
        });
        self.0.councils.lists.lock().keep(made_at, Arc::clone(&found));
        Ok(found)
    }

    /// Votes that removed qualified validators in blocks `made_at..number`, as far as the interval goes.
    fn removed(&self, made_at: u64, interval: u64, number: u64) -> Result<Vec<RemoveVote>, CouncilError> {
        let until = number.min(made_at.saturating_add(interval));
        let votes = self.0.councils.history.read().removals(made_at..until);
        let mut found = Vec::with_capacity(votes.len());
        for (number, mut removed) in votes {
            let qualified = self.qualified(number)?;
            removed.retain(|address| qualified.contains(*address));
            found.push(RemoveVote { number, removed });
        }
        Ok(found)
    }

    /// The block before `number` must be there.
    fn check_height(&self, number: u64) -> Result<(), ChainError> {
        let next = self.head().number().saturating_add(1);
        if number > next { Err(ChainError::NoBlock { number }) } else { Ok(()) }
    }

    fn sealed(&self, number: u64) -> Result<Sealed, ChainError> {
        if let Some(block) = self.0.recent.read().block(number) {
            return Ok(Sealed { header: block.header.clone(), hash: block.hash, author: Some(block.proposer) });
        }
        let header = self.header(number)?;
        let hash = self.0.store.hash(number)?.ok_or(ChainError::NoBlock { number })?;
        Ok(Sealed { header, hash, author: None })
    }
}

/// A header with what is known of it.
struct Sealed {
    header: Header,
    hash: B256,
    author: Option<Address>,
}

impl Sealed {
    fn author(&self) -> Address {
        self.author.or_else(|| self.header.proposer()).unwrap_or_default()
    }
}

fn stakes(info: &StakingInfo) -> Stakes {
    let entries: Vec<_> = info
        .nodes
        .iter()
        .map(|entry| StakingEntry { node: entry.node, reward: entry.reward, stake: entry.stake })
        .collect();
    Stakes::consolidate(&entries)
}
