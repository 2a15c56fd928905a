//! What a block is executed under: parameters, prices, earlier hashes.

use std::sync::Arc;

use klay_accounts::StateAccount;
use klay_core::{
    Address, B256, ChainConfig, Fork, U256,
    block::{Header, base_fee},
    governance::{GovParams, ParamSchedule, ScheduleError},
};
use klay_vm::{BlockContext, BlockHashes, State};

use super::{Chain, ChainError};
use crate::pool::{HeadState, PoolError, PoolHead};

/// The parameters over time.
#[derive(Debug)]
pub(super) struct Params(ParamSchedule);

impl Params {
    pub(super) fn new(config: &ChainConfig) -> Result<Self, ScheduleError> {
        ParamSchedule::new(config).map(Self)
    }

    pub(super) fn at(&self, number: u64) -> Arc<GovParams> {
        self.0.at(number)
    }

    pub(super) fn record(&mut self, header: &Header) -> Result<(), ScheduleError> {
        self.0.record(header)
    }

    pub(super) fn contract_at(&self, number: u64) -> Option<Address> {
        self.0.contract_at(number)
    }

    pub(super) const fn schedule(&self) -> &ParamSchedule {
        &self.0
    }
}

impl Chain {
    /// Asks the parameters over time, as far as headers decide them.
    pub fn with_schedule<R>(&self, ask: impl FnOnce(&ParamSchedule) -> R) -> R {
        ask(self.0.params.read().schedule())
    }

    /// The base fee of the block after `parent`, in peb; `None` before Magma.
    pub fn base_fee_after(&self, parent: &Header) -> Option<U256> {
        let number = parent.number.saturating_add(1);
        if !self.rules_at(number).has(Fork::Magma) {
            return None;
        }
        let params = self.params_at(number);
        // A gas target of zero leaves no formula; the fee then stands still.
        Some(base_fee::next(parent, &params.kip71).unwrap_or_else(|_| parent.base_fee.unwrap_or_default()))
    }

    /// What transactions of the block at this height see, for executing or calling again.
    ///
    /// # Errors
    /// If there is no such block or the store fails.
    pub fn block_context(&self, number: u64) -> Result<BlockContext, ChainError> {
        let block = self.block_by_number(number)?.ok_or(ChainError::NoBlock { number })?;
        Ok(self.context_of(&block.header, block.proposer))
    }

    /// What transactions of a block with this header and proposer see.
    pub fn context_of(&self, header: &Header, proposer: Address) -> BlockContext {
        let config = self.config();
        let deferred = config
            .governance
            .as_ref()
            .and_then(|governance| governance.reward.as_ref())
            .is_none_or(|reward| reward.deferred_tx_fee);
        BlockContext::new(config.chain_id, self.rules_at(header.number), header, proposer)
            .with_hashes(Arc::new(Hashes(self.clone())))
            .with_deferred_tx_fee(deferred)
    }

    /// The newest block as the pool sees it.
    pub(crate) fn pool_head(&self) -> PoolHead {
        let head = self.0.head.load();
        let number = head.block.number();
        let next = number.saturating_add(1);
        let price = self.base_fee_after(&head.block.header);
        PoolHead {
            number,
            chain_id: self.config().chain_id,
            rules: self.rules_at(number),
            next_rules: self.rules_at(next),
            price: price.unwrap_or_else(|| U256::from(self.params_at(next).unit_price)),
            state: Arc::new(Accounts(head.state.clone())),
        }
    }
}

/// Hashes of the chain's blocks, for BLOCKHASH.
#[derive(Debug)]
struct Hashes(Chain);

impl BlockHashes for Hashes {
    fn block_hash(&self, number: u64) -> Option<B256> {
        if let Some(block) = self.0.0.recent.read().block(number) {
            return Some(block.hash);
        }
        self.0.0.store.hash(number).unwrap_or_else(|error| {
            tracing::error!(%error, number, "block hash cannot be read");
            None
        })
    }
}

/// A state as the pool asks it.
#[derive(Debug)]
struct Accounts(State);

impl HeadState for Accounts {
    fn account(&self, address: Address) -> Result<StateAccount, PoolError> {
        let account = self.0.account(address).map_err(|error| {
            tracing::error!(%error, %address, "account cannot be read");
            PoolError::State
        })?;
        Ok(account.unwrap_or_default())
    }
}
