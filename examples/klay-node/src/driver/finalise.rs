//! The end of a block: rewards and other writes of the node itself, the state root, and executing stored blocks again.
//!
//! Source: spec 30, sections 1.6 and 6.

use std::sync::Arc;

use klay_core::{
    Address,
    block::{Header, Receipt},
    governance::ProposerPolicy,
};
use klay_vm::{
    BlockExecutor, BlockResult, State, StateError, TxError,
    finalize::{FinalizeContext, FinalizeError, finalize},
    system::View,
};

use crate::{Chain, SharedTx, chain::SealedBlock, council::CouncilError};

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
    /// The end of the block.
    #[error(transparent)]
    Finalize(#[from] FinalizeError),
    /// The stakes cannot be read.
    #[error(transparent)]
    Council(#[from] CouncilError),
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

/// Does what the node itself does at the end of a block, and computes the state root. `base` is the state behind the
/// parent.
pub(crate) fn finish(
    chain: &Chain,
    executor: BlockExecutor,
    header: &Header,
    base: &State,
) -> Result<BlockResult, ExecuteError> {
    let parent = chain.header(header.number.saturating_sub(1))?;
    finish_on(chain, executor, header, (&parent, base))
}

/// As [`finish`] over a parent that need not be in the chain yet: its header and the state behind it.
pub(super) fn finish_on(
    chain: &Chain,
    mut executor: BlockExecutor,
    header: &Header,
    (parent, base): (&Header, &State),
) -> Result<BlockResult, ExecuteError> {
    let number = header.number;
    let params = chain.governance_over(number, (parent, base))?;
    let staking = match params.policy {
        ProposerPolicy::WeightedRandom => chain.staking_at(number)?,
        _ => Arc::default(),
    };
    let context = FinalizeContext {
        header,
        config: chain.config(),
        params: &params,
        staking: &staking,
        parent: View { state: base, header: parent, config: chain.config() },
        credit_v2: None,
    };
    finalize(&mut executor, context)?;
    Ok(executor.finish()?)
}

/// Executes a block of the store again, over the state behind its parent.
///
/// # Errors
/// If a transaction is refused or the state root is another one: the store is damaged, or the rules have changed.
pub(crate) fn replay(chain: &Chain, block: &SealedBlock, state: State) -> Result<BlockResult, ExecuteError> {
    let mut executor = BlockExecutor::new(state.clone(), chain.context_of(&block.header, block.proposer));
    executor.begin(block.header.parent_hash)?;
    for (index, tx) in block.transactions.iter().enumerate() {
        executor.execute(tx).map_err(|source| ExecuteError::Transaction { index, source })?;
    }
    let result = finish(chain, executor, &block.header, &state)?;
    match (block.header.state_root, result.state.root()) {
        (expected, got) if expected != got => Err(ExecuteError::StateRoot { expected, got }),
        _ => Ok(result),
    }
}

/// Executes a block over its parent: its header and the state behind it. Nothing is compared with what the header says.
///
/// # Errors
/// If a transaction is refused or the state cannot be read.
pub(super) fn execute(
    chain: &Chain,
    header: &Header,
    proposer: Address,
    transactions: &[SharedTx],
    parent: (&Header, &State),
) -> Result<BlockResult, ExecuteError> {
    let mut executor = BlockExecutor::new(parent.1.clone(), chain.context_of(header, proposer));
    executor.begin(header.parent_hash)?;
    for (index, tx) in transactions.iter().enumerate() {
        executor.execute(tx).map_err(|source| ExecuteError::Transaction { index, source })?;
    }
    finish_on(chain, executor, header, parent)
}

/// The wire forms, for the root over them.
pub(super) fn encoded(transactions: &[SharedTx]) -> Vec<&[u8]> {
    transactions.iter().map(|tx| tx.encoded()).collect()
}

/// The consensus forms, for the root over them.
pub(crate) fn encoded_receipts(receipts: &[Receipt]) -> Vec<Vec<u8>> {
    receipts.iter().map(Receipt::encode_consensus).collect()
}

/// Blob gas of all blobs that the transactions name.
pub(super) fn blob_gas(transactions: &[SharedTx]) -> u64 {
    transactions.iter().map(|tx| tx.view().blob_hashes.len() as u64 * GAS_PER_BLOB).sum()
}
