//! From transactions to receipts and a state root.

use klay_core::{
    Address, B256, Bloom, Bytes, U256,
    block::Receipt,
    tx::{FeeMode, RecoveredTx},
};

use crate::{
    env::BlockContext,
    error::TxError,
    state::{State, StateError},
};

/// What one transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// The receipt.
    pub receipt: Receipt,
    /// Price per gas that was charged, in peb.
    pub effective_gas_price: U256,
    /// Sum of the computation cost of all instructions.
    pub computation_cost: u64,
    /// Return data or revert data of the outermost frame.
    pub output: Bytes,
}

/// A finished block.
#[derive(Debug, Clone)]
pub struct BlockResult {
    /// The state after the block; nothing of it is stored yet, see [`State::commit`].
    pub state: State,
    /// One receipt per transaction, in order.
    pub receipts: Vec<Receipt>,
    /// Effective gas price of each transaction, in peb.
    pub gas_prices: Vec<U256>,
    /// Gas used by all transactions.
    pub gas_used: u64,
    /// Union of the receipts' blooms.
    pub bloom: Bloom,
}

/// Where a block stood: see [`BlockExecutor::revert`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint(usize);

/// Executes the transactions of one block over the state of its parent.
///
/// Order: [`Self::begin`], [`Self::execute`] for each transaction, credits and other writes, [`Self::finish`].
#[derive(Debug)]
pub struct BlockExecutor {
    state: State,
    ctx: BlockContext,
}

impl BlockExecutor {
    /// An executor over `state`, the state after the parent block.
    pub const fn new(state: State, ctx: BlockContext) -> Self {
        Self { state, ctx }
    }

    /// The block's context.
    pub const fn context(&self) -> &BlockContext {
        &self.ctx
    }

    /// What happens before the first transaction: from Prague the parent's hash is handed to the history contract.
    ///
    /// # Errors
    /// If the state cannot be read. A failure of the contract is ignored, as in the reference client.
    pub fn begin(&mut self, _parent_hash: B256) -> Result<(), StateError> {
        todo!()
    }

    /// Executes one transaction.
    ///
    /// # Errors
    /// If the transaction cannot be part of this block. Nothing has changed then, and the next can be tried.
    pub fn execute<F: FeeMode>(&mut self, _tx: &RecoveredTx<F>) -> Result<Executed, TxError> {
        todo!()
    }

    /// A place to come back to, so that a group of transactions can be dropped as a whole.
    pub fn checkpoint(&mut self) -> Checkpoint {
        todo!()
    }

    /// Undoes everything since `checkpoint`.
    pub fn revert(&mut self, _checkpoint: Checkpoint) {
        todo!()
    }

    /// Balance of `address` as of now, in peb.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn balance(&mut self, _address: Address) -> Result<U256, StateError> {
        todo!()
    }

    /// Nonce of `address` as of now.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn nonce(&mut self, _address: Address) -> Result<u64, StateError> {
        todo!()
    }

    /// Code of `address` as of now.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn code(&mut self, _address: Address) -> Result<Bytes, StateError> {
        todo!()
    }

    /// A storage word as of now.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn storage(&mut self, _address: Address, _slot: B256) -> Result<U256, StateError> {
        todo!()
    }

    /// Adds `amount` peb to an account, creating it as an EOA.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn credit(&mut self, _address: Address, _amount: U256) -> Result<(), StateError> {
        todo!()
    }

    /// Sets a balance, in peb, creating the account as an EOA.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn set_balance(&mut self, _address: Address, _balance: U256) -> Result<(), StateError> {
        todo!()
    }

    /// Sets a code as the node does it for system contracts: an absent account becomes a contract with nonce 0 and
    /// code info 0.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn set_code(&mut self, _address: Address, _code: Bytes) -> Result<(), StateError> {
        todo!()
    }

    /// Sets a storage word, creating the account as in [`Self::set_code`].
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn set_storage(&mut self, _address: Address, _slot: B256, _value: U256) -> Result<(), StateError> {
        todo!()
    }

    /// The gas used so far.
    pub fn gas_used(&self) -> u64 {
        todo!()
    }

    /// The receipts so far.
    pub fn receipts(&self) -> &[Receipt] {
        todo!()
    }

    /// Deletes empty accounts and computes the root.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn finish(self) -> Result<BlockResult, StateError> {
        todo!()
    }
}
