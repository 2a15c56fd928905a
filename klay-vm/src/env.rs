//! What a transaction sees of its block.

use std::{fmt::Debug, sync::Arc};

use klay_core::{Address, B256, Fork, Rules, U256, block::Header};

/// Hashes of earlier blocks, for the BLOCKHASH instruction.
pub trait BlockHashes: Debug + Send + Sync {
    /// The hash of block `number`, `None` if it is not known. Only the 256 blocks before the current one are asked for.
    fn block_hash(&self, number: u64) -> Option<B256>;
}

/// No earlier block is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHashes;

impl BlockHashes for NoHashes {
    fn block_hash(&self, _number: u64) -> Option<B256> {
        None
    }
}

/// The block that transactions are executed in.
///
/// Source: spec 30, section 1.7; spec 40, section 1.11.
#[derive(Debug, Clone)]
pub struct BlockContext {
    /// Chain id, what CHAINID pushes and EIP-7702 authorizations name.
    pub chain_id: u64,
    /// Forks active at this block.
    pub rules: Rules,
    /// Height.
    pub number: u64,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// What COINBASE pushes: the proposer recovered from the seal, not the rewardbase.
    pub coinbase: Address,
    /// Receives the fees from Magma on when they are not deferred.
    pub rewardbase: Address,
    /// Base fee in peb, from Magma on.
    pub base_fee: Option<U256>,
    /// Price of blob gas in peb, zero before Osaka.
    pub blob_base_fee: U256,
    /// What 0x44 pushes before Kore: 1 on public networks.
    pub block_score: U256,
    /// What 0x44 pushes from Kore on: the mix hash, or the parent's hash before Randao.
    pub random: B256,
    /// What GASLIMIT pushes: zero on any real chain.
    pub gas_limit: u64,
    /// `governance.reward.deferredTxFee`: fees are distributed at the end of the block, not per transaction.
    pub deferred_tx_fee: bool,
    /// Earlier blocks.
    pub hashes: Arc<dyn BlockHashes>,
    /// Ethereum's rules where its own tests need them and Klaytn differs.
    pub(crate) ethereum_rules: bool,
}

impl BlockContext {
    /// The context of the block with `header`, whose seal (or the sealing node) names `coinbase`.
    ///
    /// Fees are deferred, as on the public networks, and no earlier hash is known: see [`Self::with_deferred_tx_fee`]
    /// and [`Self::with_hashes`].
    pub fn new(chain_id: u64, rules: Rules, header: &Header, coinbase: Address) -> Self {
        let random = match header.mix_hash.as_deref() {
            Some(mix) if mix.len() == 32 => B256::from_slice(mix),
            _ => header.parent_hash,
        };
        let blob_base_fee = match (header.excess_blob_gas, header.base_fee) {
            (Some(_), Some(base_fee)) => base_fee.saturating_mul(U256::from(8)),
            _ => U256::ZERO,
        };
        Self {
            chain_id,
            rules,
            number: header.number,
            timestamp: header.timestamp,
            coinbase,
            rewardbase: header.rewardbase,
            base_fee: header.base_fee,
            blob_base_fee,
            block_score: header.block_score,
            random,
            gas_limit: 0,
            deferred_tx_fee: true,
            hashes: Arc::new(NoHashes),
            ethereum_rules: false,
        }
    }

    /// Who gets the fee of each transaction at once: nobody where fees are deferred, before Magma the proposer, then
    /// the reward address.
    pub(crate) const fn fee_receiver(&self) -> Option<Address> {
        if self.deferred_tx_fee {
            None
        } else if self.rules.has(Fork::Magma) {
            Some(self.rewardbase)
        } else {
            Some(self.coinbase)
        }
    }

    /// Sets where earlier hashes come from.
    #[must_use]
    pub fn with_hashes(mut self, hashes: Arc<dyn BlockHashes>) -> Self {
        self.hashes = hashes;
        self
    }

    /// Sets whether fees are distributed at the end of the block.
    #[must_use]
    pub const fn with_deferred_tx_fee(mut self, deferred: bool) -> Self {
        self.deferred_tx_fee = deferred;
        self
    }
}
