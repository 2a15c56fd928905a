//! The end of a block: rewards, the state root, and what the header says about it all.
//!
//! Source: spec 30, sections 1.6 and 6.

use klay_core::{
    Fork, U256,
    block::{Header, Receipt, price},
    governance::ProposerPolicy,
};
use klay_vm::{BlockExecutor, BlockResult, State, StateError, TxError};

use crate::{Chain, SharedTx, chain::SealedBlock};

/// Blob gas of one blob.
const GAS_PER_BLOB: u64 = 131_072;

/// Why a block cannot be executed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The chain cannot be read.
    #[error(transparent)]
    Chain(#[from] crate::chain::ChainError),
    /// A transaction of a stored block is refused.
    #[error("transaction {index}: {source}")]
    Transaction {
        /// Its place.
        index: usize,
        /// Why.
        source: TxError,
    },
    /// A stored block does not lead to the state that its header names.
    #[error("state root {got}, header says {expected}")]
    StateRoot {
        /// Of the header.
        expected: klay_core::B256,
        /// Of the execution.
        got: klay_core::B256,
    },
}

/// Pays the rewards of the block and computes its state root.
pub(super) fn finish(
    chain: &Chain,
    mut executor: BlockExecutor,
    header: &Header,
    transactions: &[SharedTx],
) -> Result<BlockResult, ExecuteError> {
    let reward = simple_reward(chain, header, transactions, &executor);
    if !reward.is_zero() {
        executor.credit(header.rewardbase, reward)?;
    }
    Ok(executor.finish()?)
}

/// What the rewardbase gets under every policy but weighted random: what is minted, and the fees less what is burnt.
fn simple_reward(chain: &Chain, header: &Header, transactions: &[SharedTx], executor: &BlockExecutor) -> U256 {
    let (rules, params) = (chain.rules_at(header.number), chain.params_at(header.number));
    debug_assert!(params.policy != ProposerPolicy::WeightedRandom);
    if !params.deferred_tx_fee {
        return params.minting_amount;
    }
    let gas = U256::from(executor.gas_used());
    let Some(base_fee) = header.base_fee else {
        return params.minting_amount + gas * U256::from(params.unit_price);
    };
    let mut fees = gas * base_fee;
    if rules.has(Fork::Kaia) {
        for (tx, receipt) in transactions.iter().zip(executor.receipts()) {
            let view = tx.view();
            fees += U256::from(receipt.gas_used) * price::effective_tip(base_fee, view.fee_cap, view.tip_cap);
        }
    }
    let burnt = fees / U256::from(2);
    params.minting_amount + (fees - burnt)
}

/// Executes a block of the store again, over the state behind its parent.
///
/// # Errors
/// If a transaction is refused or the state root is another one: the store is damaged, or the rules have changed.
pub(crate) fn replay(chain: &Chain, block: &SealedBlock, state: State) -> Result<BlockResult, ExecuteError> {
    let mut executor = BlockExecutor::new(state, chain.context_of(&block.header, block.proposer));
    executor.begin(block.header.parent_hash)?;
    for (index, tx) in block.transactions.iter().enumerate() {
        executor.execute(tx).map_err(|source| ExecuteError::Transaction { index, source })?;
    }
    let result = finish(chain, executor, &block.header, &block.transactions)?;
    match (block.header.state_root, result.state.root()) {
        (expected, got) if expected != got => Err(ExecuteError::StateRoot { expected, got }),
        _ => Ok(result),
    }
}

/// The wire forms, for the root over them.
pub(super) fn encoded(transactions: &[SharedTx]) -> Vec<&[u8]> {
    transactions.iter().map(|tx| tx.encoded()).collect()
}

/// The consensus forms, for the root over them.
pub(super) fn encoded_receipts(receipts: &[Receipt]) -> Vec<Vec<u8>> {
    receipts.iter().map(Receipt::encode_consensus).collect()
}

/// Blob gas of all blobs that the transactions name.
pub(super) fn blob_gas(transactions: &[SharedTx]) -> u64 {
    transactions.iter().map(|tx| tx.view().blob_hashes.len() as u64 * GAS_PER_BLOB).sum()
}
