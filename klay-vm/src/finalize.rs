//! What happens in a block after its transactions, in order: rewards, treasury rebalance, the Registry, the credit
//! contract of Cypress.
//!
//! Source: spec 30, section 1.6; `Finalize` of the Istanbul engine in the reference client.

use klay_core::{
    B256, Bytes, Fork, b256,
    block::Header,
    config::{CYPRESS_CHAIN_ID, ChainConfig},
    governance::GovParams,
    keccak256,
};

use crate::{
    block::BlockExecutor,
    reward::{Reward, RewardContext, StakingInfo, deferred_reward, total_fee},
    state::StateError,
    system::{CREDIT_ADDRESS, RebalanceError, Rebalanced, View, install_registry, rebalance},
};

/// Hash of the code that replaces CypressCredit on Cypress, one block before Kaia.
pub const CREDIT_V2_CODE_HASH: B256 = b256!("b45837dfb0d4edd411a8962780361c0b984e2a25a5a03be465ae9731a5d5c0ab");

/// What finalising a block needs beside the block.
#[derive(Debug, Clone, Copy)]
pub struct FinalizeContext<'a> {
    /// The block's header. Roots, bloom and gas are not looked at, the reward address is.
    pub header: &'a Header,
    /// The chain's configuration.
    pub config: &'a ChainConfig,
    /// Parameters effective at the block.
    pub params: &'a GovParams,
    /// Staking information of the block; only looked at by policy weighted random.
    pub staking: &'a StakingInfo,
    /// The parent block and the state after it.
    pub parent: View<'a>,
    /// The code with hash [`CREDIT_V2_CODE_HASH`]; needed on Cypress alone, one block before Kaia.
    pub credit_v2: Option<&'a Bytes>,
}

/// What was done at the end of a block.
#[derive(Debug)]
pub struct Finalized {
    /// What was paid.
    pub reward: Reward,
    /// The treasury rebalance, on the block of one: the balances, or why nothing changed.
    pub rebalance: Option<Result<Rebalanced, RebalanceError>>,
}

/// Why a block could not be finalised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FinalizeError {
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The code that the block installs is not at hand.
    #[error("block {number} installs the code {CREDIT_V2_CODE_HASH}, which was not given")]
    MissingCreditCode {
        /// The block.
        number: u64,
    },
}

/// Does to the state what the node itself does after the last transaction. [`BlockExecutor::finish`] comes next.
///
/// # Errors
/// If the state cannot be read, or a code is missing.
pub fn finalize(executor: &mut BlockExecutor, context: FinalizeContext<'_>) -> Result<Finalized, FinalizeError> {
    let FinalizeContext { header, config, params, .. } = context;
    let number = header.number;
    let rules = config.rules(number);

    let counted = Header { gas_used: executor.gas_used(), ..header.clone() };
    let fee = total_fee(rules, &counted, params, executor.receipts(), executor.gas_prices());
    let reward = deferred_reward(RewardContext { rules, rewardbase: header.rewardbase, params }, fee, context.staking);
    for (address, amount) in &reward.credits {
        executor.credit(*address, *amount)?;
    }

    let rebalance = rebalance(executor, context.parent)?;

    if config.forks.starts_at(Fork::Randao, number) {
        install_registry(executor, config.randao_registry.as_ref())?;
    }

    let precedes_kaia = number.checked_add(1).is_some_and(|next| config.forks.starts_at(Fork::Kaia, next));
    if precedes_kaia && config.chain_id == CYPRESS_CHAIN_ID && !executor.code(CREDIT_ADDRESS)?.is_empty() {
        let code = context.credit_v2.filter(|code| keccak256(code) == CREDIT_V2_CODE_HASH);
        executor.set_code(CREDIT_ADDRESS, code.ok_or(FinalizeError::MissingCreditCode { number })?.clone())?;
    }
    Ok(Finalized { reward, rebalance })
}
