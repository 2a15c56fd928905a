//! What the pool knows of the chain: the newest block's state and the rules of the next block.

use std::{fmt::Debug, sync::Arc};

use klay_accounts::StateAccount;
use klay_core::{Address, Fork, Rules, U256};

use super::PoolError;

/// Accounts as they stand behind the newest block.
pub trait HeadState: Debug + Send + Sync + 'static {
    /// The account, or what an absent one reads as.
    ///
    /// # Errors
    /// If the state cannot be read.
    fn account(&self, address: Address) -> Result<StateAccount, PoolError>;
}

/// The newest block as the pool sees it.
#[derive(Debug, Clone)]
pub struct PoolHead {
    /// Height of the newest block.
    pub number: u64,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Forks of the newest block: data gas and signature rules go by these.
    pub rules: Rules,
    /// Forks of the next block: types, prices and the gas floor go by these.
    pub next_rules: Rules,
    /// Unit price before Magma, base fee of the next block since, in peb.
    pub price: U256,
    /// Accounts behind the newest block.
    pub state: Arc<dyn HeadState>,
}

impl PoolHead {
    /// Least fee cap of an executable transaction, in peb; 0 before Magma, when admission asks for one exact price.
    pub(super) fn floor_price(&self) -> u128 {
        if self.next_rules.has(Fork::Magma) { price(self.price) } else { 0 }
    }

    /// Whether blocks are filled by tip; otherwise by arrival.
    pub(super) const fn is_by_tip(&self) -> bool {
        self.next_rules.has(Fork::Kaia)
    }

    /// Price of a unit of blob gas in the next block, in peb.
    pub(super) fn blob_base_fee(&self) -> U256 {
        self.price.saturating_mul(U256::from(8))
    }
}

/// A price as the order of the pool sees it: whatever exceeds 128 bits is alike.
pub(super) fn price(value: U256) -> u128 {
    value.saturating_to()
}
