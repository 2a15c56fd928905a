//! States that are not kept, made by executing blocks again.

use std::{collections::VecDeque, sync::Arc};

use klay_vm::{BlockResult, State};
use parking_lot::Mutex;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::RpcError;
use crate::{Chain, SealedBlock, chain::ChainError, driver};

/// Most blocks that are executed for one state.
pub(super) const MAX_BLOCKS: u64 = 128;
/// Most transactions in them: about a second of work.
pub(super) const MAX_TRANSACTIONS: usize = 20_000;
/// States that stay at hand.
const KEPT: usize = 16;

/// The states that were made last. One is made at a time.
#[derive(Debug, Default)]
pub(super) struct Remade(Mutex<VecDeque<(u64, State)>>);

impl Remade {
    /// The state after block `number`, as kept, or made from an older one that is near enough.
    pub(super) fn state_at(&self, chain: &Chain, number: u64) -> Result<State, RpcError> {
        match chain.state_at(number) {
            Err(ChainError::NoState { .. }) => aside(|| self.make(chain, number)),
            kept => kept.map_err(RpcError::from_error),
        }
    }

    fn make(&self, chain: &Chain, number: u64) -> Result<State, RpcError> {
        let mut made = self.0.lock();
        if let Some((_, state)) = made.iter().find(|(at, _)| *at == number) {
            return Ok(state.clone());
        }
        let (mut state, blocks) = path_to(chain, number)?;
        for block in blocks {
            state = execute(chain, &block, state)?.state;
        }
        made.push_back((number, state.clone()));
        if made.len() > KEPT {
            made.pop_front();
        }
        Ok(state)
    }
}

/// Executes a stored block over the state behind its parent.
pub(super) fn execute(chain: &Chain, block: &SealedBlock, state: State) -> Result<BlockResult, RpcError> {
    let transactions = chain.proven(block).map_err(RpcError::from_error)?;
    let block = SealedBlock { transactions, ..block.clone() };
    driver::replay(chain, &block, state).map_err(RpcError::from_error)
}

/// The newest state that is kept before block `number`, and the blocks from there to it.
fn path_to(chain: &Chain, number: u64) -> Result<(State, VecDeque<Arc<SealedBlock>>), RpcError> {
    let mut blocks = VecDeque::new();
    let mut transactions = 0;
    for height in (number.saturating_sub(MAX_BLOCKS)..=number).rev() {
        match chain.state_at(height) {
            Err(ChainError::NoState { .. }) => {}
            kept => return Ok((kept.map_err(RpcError::from_error)?, blocks)),
        }
        let block = chain.block_by_number(height).map_err(RpcError::from_error)?;
        let block = block.ok_or(RpcError::NoBlockNumber(height))?;
        transactions += block.transactions.len();
        if transactions > MAX_TRANSACTIONS {
            break;
        }
        blocks.push_front(block);
    }
    Err(RpcError::from_error(ChainError::NoState { number }))
}

/// Works without holding up the tasks of this thread.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
