//! A block executed again, transaction by transaction.

use klay_vm::{BlockExecutor, Deadline, Executed, State, Tracer, TxError};

use crate::{
    SealedBlock, SharedTx,
    rpc::{RpcError, Services, remade::execute},
};

/// Blocks that are executed again to come by a state that is not kept, unless the request says otherwise.
const REEXEC: u64 = 128;
/// The same, whatever the request says.
const MAX_REEXEC: u64 = 1_024;

/// A block under way.
pub(super) struct Replay {
    executor: BlockExecutor,
    transactions: Vec<SharedTx>,
}

impl Replay {
    /// The block ahead of its first transaction.
    pub(super) fn before(services: &Services, block: &SealedBlock, asked: Option<u64>) -> Result<Self, RpcError> {
        let chain = services.node.chain();
        let parent_hash = block.header.parent_hash;
        let parent = chain.block_by_hash(parent_hash).map_err(RpcError::from_error)?;
        let parent = parent.filter(|parent| parent.number().checked_add(1) == Some(block.number()));
        let parent = parent.ok_or_else(|| RpcError::failed(format!("parent {parent_hash:#x} not found")))?;
        let state = state_after(services, parent.number(), reexec(asked))?;
        let mut executor = BlockExecutor::new(state, services.context(block));
        executor.begin(parent_hash).map_err(RpcError::from_error)?;
        Ok(Self { executor, transactions: chain.proven(block).map_err(RpcError::from_error)? })
    }

    /// Executes a transaction in silence.
    pub(super) fn pass(&mut self, index: usize) -> Result<(), RpcError> {
        self.executor.set_deadline(None);
        let tx = self.transactions.get(index).ok_or_else(|| out_of_range(index))?;
        match self.executor.execute(tx) {
            Ok(_) => Ok(()),
            Err(error) => Err(RpcError::failed(format!("transaction {:#x} failed: {error}", tx.hash()))),
        }
    }

    /// Executes a transaction under the eyes of `tracer`.
    pub(super) fn trace<T: Tracer>(
        &mut self,
        index: usize,
        tracer: T,
        deadline: Deadline,
    ) -> Result<(Result<Executed, TxError>, T), RpcError> {
        self.executor.set_deadline(Some(deadline));
        let tx = self.transactions.get(index).ok_or_else(|| out_of_range(index))?;
        Ok(self.executor.trace(tx, tracer))
    }
}

impl Replay {
    /// The state as it is now.
    pub(super) fn into_state(self) -> Result<State, RpcError> {
        Ok(self.executor.finish().map_err(RpcError::from_error)?.state)
    }
}

fn out_of_range(index: usize) -> RpcError {
    RpcError::failed(format!("transaction index {index} out of range"))
}

/// How many blocks may be executed again.
pub(super) fn reexec(asked: Option<u64>) -> u64 {
    asked.unwrap_or(REEXEC).min(MAX_REEXEC)
}

/// The state after a block; where it is not kept, from the nearest older one by executing at most `most` blocks.
pub(super) fn state_after(services: &Services, number: u64, most: u64) -> Result<State, RpcError> {
    let chain = services.node.chain();
    let oldest = number.saturating_sub(most);
    let mut kept = number;
    let mut state = loop {
        match chain.state_at(kept) {
            Ok(state) => break state,
            Err(error) if kept == oldest => return Err(RpcError::from_error(error)),
            Err(_) => kept -= 1,
        }
    };
    for height in kept + 1..=number {
        let block = chain.block_by_number(height).map_err(RpcError::from_error)?;
        let block = block.ok_or(RpcError::NoBlockNumber(height))?;
        state = execute(chain, &block, state)?.state;
    }
    Ok(state)
}
