//! How much was made and burnt so far, added up as blocks are appended.
//!
//! [`Table::Meta`] holds the sums behind the newest block under `supply`, with its number, and those behind every 128th
//! block under `supply` and that number, so that the sums behind any block are at most 127 blocks away. A store that was
//! made before there were sums has none; they are then added up by whoever asks.

use klay_core::{
    U256,
    block::Header,
    genesis::Genesis,
    storage::{Batch, KeyValue, StorageError, Table},
};
use klay_vm::{
    BlockResult,
    reward::{RewardContext, burnt_fee, total_fee},
};

use super::{Chain, ChainError};

/// Blocks between two sums that stay.
pub(crate) const CHECKPOINT: u64 = 128;
const KEY: &[u8] = b"supply";

/// What was made and burnt up to some block, in peb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Supply {
    /// The genesis allocation and everything minted since.
    pub(crate) minted: U256,
    /// Fees that nobody got.
    pub(crate) burnt_fee: U256,
}

/// The sums behind a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SupplyAt {
    number: u64,
    supply: Supply,
}

impl Supply {
    /// With a block's share.
    pub(crate) const fn and(self, minted: U256, burnt_fee: U256) -> Self {
        Self { minted: self.minted.saturating_add(minted), burnt_fee: self.burnt_fee.saturating_add(burnt_fee) }
    }

    fn encode(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.minted.to_be_bytes::<32>());
        bytes[32..].copy_from_slice(&self.burnt_fee.to_be_bytes::<32>());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (minted, burnt_fee) = bytes.split_at_checked(32)?;
        let word = |bytes: &[u8]| Some(U256::from_be_bytes(<[u8; 32]>::try_from(bytes).ok()?));
        Some(Self { minted: word(minted)?, burnt_fee: word(burnt_fee)? })
    }
}

impl SupplyAt {
    /// The sums behind the genesis block, which go into `batch`.
    pub(super) fn put_genesis(genesis: &Genesis, batch: &mut Batch) {
        let minted = genesis.alloc.values().fold(U256::ZERO, |sum, account| sum.saturating_add(account.balance));
        Self { number: 0, supply: Supply { minted, burnt_fee: U256::ZERO } }.put(batch);
    }

    /// The sums behind block `head`, if they are stored.
    pub(super) fn load(store: &dyn KeyValue, head: u64) -> Result<Option<Self>, StorageError> {
        let Some(bytes) = store.get(Table::Meta, KEY)? else { return Ok(None) };
        let Some((number, supply)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
        let number = u64::from_be_bytes(*number);
        let supply = Supply::decode(supply).filter(|_| number == head);
        Ok(supply.map(|supply| Self { number, supply }))
    }

    fn put(self, batch: &mut Batch) {
        let number = self.number.to_be_bytes();
        let supply = self.supply.encode();
        batch.put(Table::Meta, KEY, [&number[..], &supply].concat());
        if self.number.is_multiple_of(CHECKPOINT) {
            batch.put(Table::Meta, [KEY, &number].concat(), supply);
        }
    }
}

impl Chain {
    /// What was made and burnt up to block `number`, a multiple of [`CHECKPOINT`], if it was added up.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) fn supply_at(&self, number: u64) -> Result<Option<Supply>, ChainError> {
        let key = [KEY, &number.to_be_bytes()].concat();
        let found = self.0.store.store().get(Table::Meta, &key)?;
        Ok(found.and_then(|bytes| Supply::decode(&bytes)))
    }

    /// The sums behind the block with `header`, which is about to be appended; they go into `batch`. None where those
    /// of its parent are not known.
    pub(super) fn put_supply(&self, header: &Header, result: &BlockResult, batch: &mut Batch) -> Option<SupplyAt> {
        let before = (*self.0.supply.lock()).filter(|before| before.number.checked_add(1) == Some(header.number))?;
        let (rules, params) = (self.rules_at(header.number), self.params_at(header.number));
        let context = RewardContext { rules, rewardbase: header.rewardbase, params: &params };
        let fee = total_fee(rules, header, &params, &result.receipts, &result.gas_prices);
        let supply = before.supply.and(params.minting_amount, burnt_fee(context, fee));
        let at = SupplyAt { number: header.number, supply };
        at.put(batch);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_come_back_from_their_bytes() {
        let supply = Supply::default().and(U256::from(7), U256::MAX).and(U256::ONE, U256::ONE);
        assert_eq!(supply, Supply { minted: U256::from(8), burnt_fee: U256::MAX });
        assert_eq!(Supply::decode(&supply.encode()), Some(supply));
        assert_eq!((Supply::decode(&[0; 63]), Supply::decode(&[0; 65])), (None, None));
    }
}
