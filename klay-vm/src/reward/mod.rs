//! Who is paid what at the end of a block, and how much is burnt. Integers only, all amounts in peb.
//!
//! | Mode | When | Minted | Fees |
//! |---|---|---|---|
//! | simple | policy other than weighted random | all to the reward address | with it, half burnt from Magma |
//! | full, before Kore | weighted random | validator, KIF and KEF by ratio | divided along, half burnt from Magma |
//! | full, from Kore | weighted random | the validator's part between proposer and stakers | to the proposer, half and up to its minted part burnt |
//!
//! Source: spec 30, section 6; `kaiax/reward` in the reference client.

mod full;
mod staking;

use std::collections::BTreeMap;

use klay_core::{
    Address, Fork, Rules, U256,
    block::{Header, Receipt},
    governance::{GovParams, ProposerPolicy},
};

pub use staking::{ConsolidatedNode, LiquidityPool, StakingInfo, StakingNode, staking_source};

/// What a reward depends on beside fees and stakes.
#[derive(Debug, Clone, Copy)]
pub struct RewardContext<'a> {
    /// Forks active at the block.
    pub rules: Rules,
    /// The header's reward address.
    pub rewardbase: Address,
    /// Parameters effective at the block.
    pub params: &'a GovParams,
}

/// A block's reward, in peb.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reward {
    /// Newly made.
    pub minted: U256,
    /// Fees of all transactions.
    pub total_fee: U256,
    /// The part of the fees that nobody gets.
    pub burnt_fee: U256,
    /// The proposer's part.
    pub proposer: U256,
    /// The stakers' part.
    pub stakers: U256,
    /// The part of KIF (formerly PoC, KGF, KFF).
    pub kif: U256,
    /// The part of KEF (formerly KIR, KCF).
    pub kef: U256,
    /// What each address gets.
    pub credits: BTreeMap<Address, U256>,
}

impl Reward {
    /// Adds another block's reward.
    pub fn accumulate(&mut self, other: &Self) {
        let add = |sum: &mut U256, part: U256| *sum = sum.saturating_add(part);
        add(&mut self.minted, other.minted);
        add(&mut self.total_fee, other.total_fee);
        add(&mut self.burnt_fee, other.burnt_fee);
        add(&mut self.proposer, other.proposer);
        add(&mut self.stakers, other.stakers);
        add(&mut self.kif, other.kif);
        add(&mut self.kef, other.kef);
        for (address, amount) in &other.credits {
            self.credit(*address, *amount);
        }
    }

    fn credit(&mut self, address: Address, amount: U256) {
        let sum = self.credits.entry(address).or_default();
        *sum = sum.saturating_add(amount);
    }
}

/// The fees of a block: before Magma gas at the unit price (whatever was charged), under Magma gas at the base fee, from
/// Kaia what each transaction paid. Blob fees are not part of it.
///
/// `gas_prices` are the effective prices of the transactions, one for each receipt.
pub fn total_fee(rules: Rules, header: &Header, params: &GovParams, receipts: &[Receipt], gas_prices: &[U256]) -> U256 {
    let gas_used = U256::from(header.gas_used);
    if rules.has(Fork::Kaia) {
        let fees = receipts.iter().zip(gas_prices).map(|(receipt, price)| U256::from(receipt.gas_used) * price);
        fees.fold(U256::ZERO, U256::saturating_add)
    } else if rules.has(Fork::Magma) {
        gas_used.saturating_mul(header.base_fee.unwrap_or_default())
    } else {
        gas_used * U256::from(params.unit_price)
    }
}

/// What is paid when a block is finalised. Where fees are not deferred they were paid after each transaction, and are not
/// part of it (but for a mistake of simple mode before Magma, which pays them once more).
///
/// `staking` is not looked at in simple mode.
pub fn deferred_reward(context: RewardContext<'_>, total_fee: U256, staking: &StakingInfo) -> Reward {
    if context.params.policy == ProposerPolicy::WeightedRandom {
        full::reward(context, total_fee, staking)
    } else {
        simple(context, total_fee)
    }
}

/// What a block pays in all, as `kaia_getRewards` reports it: with the fees that were paid after each transaction.
///
/// Of such fees the report shows half as burnt from Magma on, although execution pays them in full. `proposer` is who
/// sealed the block, and got them before Magma.
pub fn block_reward(context: RewardContext<'_>, proposer: Address, total_fee: U256, staking: &StakingInfo) -> Reward {
    let mut reward = deferred_reward(context, total_fee, staking);
    if context.params.deferred_tx_fee {
        return reward;
    }
    let is_magma = context.rules.has(Fork::Magma);
    let burnt = if is_magma { half(total_fee) } else { U256::ZERO };
    let distributed = total_fee - burnt;
    reward.total_fee = reward.total_fee.saturating_add(total_fee);
    reward.burnt_fee = reward.burnt_fee.saturating_add(burnt);
    reward.proposer = reward.proposer.saturating_add(distributed);
    reward.credit(if is_magma { context.rewardbase } else { proposer }, distributed);
    reward
}

/// The burnt part of a block's fees, without asking for stakes.
pub fn burnt_fee(context: RewardContext<'_>, total_fee: U256) -> U256 {
    let is_full = context.params.policy == ProposerPolicy::WeightedRandom;
    if is_full && context.rules.has(Fork::Kore) {
        full::burnt_since_kore(context.params, total_fee)
    } else if context.rules.has(Fork::Magma) {
        half(total_fee)
    } else {
        U256::ZERO
    }
}

fn simple(context: RewardContext<'_>, total_fee: U256) -> Reward {
    let minted = context.params.minting_amount;
    let is_magma = context.rules.has(Fork::Magma);
    let (total_fee, burnt_fee) = match context.params.deferred_tx_fee {
        true => (total_fee, burnt_fee(context, total_fee)),
        false if is_magma => (U256::ZERO, U256::ZERO),
        false => (total_fee, U256::ZERO),
    };
    let proposer = minted.saturating_add(total_fee - burnt_fee);
    let mut reward = Reward { minted, total_fee, burnt_fee, proposer, ..Reward::default() };
    reward.credit(context.rewardbase, proposer);
    reward
}

fn half(amount: U256) -> U256 {
    amount >> 1
}
