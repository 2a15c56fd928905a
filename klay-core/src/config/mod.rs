//! Chain id, fork schedule and the parameters that a genesis fixes.
//!
//! A fork is switched by [`ForkSchedule`]; everything that governance may change later ([`crate::governance`]) starts
//! with the values here.
//!
//! Source: spec 30, sections 2.1 and 2.2; `params/config.go` in the reference client.

mod fork;
#[cfg(feature = "serde")]
mod json;
mod network;

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};

pub use fork::{Fork, ForkCompatError, ForkOrderError, ForkSchedule, Rules};
pub use network::{BAOBAB_CHAIN_ID, CYPRESS_CHAIN_ID, Network};

/// Everything that a genesis file's `config` says.
///
/// ```
/// use klay_core::config::{ChainConfig, Fork};
///
/// let cypress = ChainConfig::cypress();
/// assert!(cypress.rules(99_841_497).has(Fork::Magma));
/// assert!(!cypress.rules(99_841_496).has(Fork::Magma));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainConfig {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// When each fork starts.
    pub forks: ForkSchedule,
    /// Treasury rebalance of KIP-103.
    pub kip103: Rebalance,
    /// Treasury rebalance of KIP-160.
    pub kip160: Rebalance,
    /// What the Registry of KIP-149 starts with at the Randao fork.
    pub randao_registry: Option<RegistryConfig>,
    /// Validators: epoch, policy, committee size.
    pub istanbul: Option<IstanbulConfig>,
    /// Blobs per block, from Osaka.
    pub blob_schedule: Option<BlobSchedule>,
    /// Price of a unit of gas before Magma, in peb.
    pub unit_price: u64,
    /// `governance.deriveshaimpl` at genesis: how list roots are derived.
    pub derive_sha_impl: u64,
    /// Governance, rewards and base fee.
    pub governance: Option<GovernanceConfig>,
}

/// A one-time rebalance of treasury accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rebalance {
    /// The block; `None` for never.
    pub block: Option<u64>,
    /// The contract that holds the accounts and amounts; zero for none.
    pub contract: Address,
}

impl Rebalance {
    /// Whether it happens at block `number`: the block must be this one and the contract must be set.
    pub fn happens_at(&self, number: u64) -> bool {
        self.block == Some(number) && !self.contract.is_zero()
    }
}

/// Initial content of the Registry contract.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistryConfig {
    /// Name to address of a system contract.
    pub records: BTreeMap<String, Address>,
    /// Who may add records.
    pub owner: Address,
}

/// Consensus parameters at genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IstanbulConfig {
    /// Blocks per governance epoch.
    pub epoch: u64,
    /// Proposer policy: 0 round robin, 1 sticky, 2 weighted random.
    pub policy: u64,
    /// Committee size.
    pub sub: u64,
}

impl Default for IstanbulConfig {
    fn default() -> Self {
        Self { epoch: 604_800, policy: 0, sub: 21 }
    }
}

/// Blobs per block, by fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlobSchedule {
    /// From Osaka.
    pub osaka: Option<BlobConfig>,
}

/// Blobs per block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobConfig {
    /// Blobs per block that leave the excess unchanged.
    pub target: u64,
    /// Most blobs per block.
    pub max: u64,
    /// Of EIP-4844; Klaytn does not price by it.
    pub base_fee_update_fraction: u64,
}

impl BlobConfig {
    /// Osaka's values on every known chain.
    pub const OSAKA: Self = Self { target: 1, max: 1, base_fee_update_fraction: 5_007_716 };
}

/// Governance at genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GovernanceConfig {
    /// The account that governs in mode `single`.
    pub governing_node: Address,
    /// `none` or `single`.
    pub governance_mode: String,
    /// Contract that holds parameters from Kore on; zero for none.
    pub gov_param_contract: Address,
    /// Rewards.
    pub reward: Option<RewardConfig>,
    /// Base fee.
    pub kip71: Option<Kip71Config>,
}

impl Default for GovernanceConfig {
    fn default() -> Self {
        Self {
            governing_node: Address::ZERO,
            governance_mode: "none".to_owned(),
            gov_param_contract: Address::ZERO,
            reward: Some(RewardConfig::default()),
            kip71: None,
        }
    }
}

/// Rewards at genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewardConfig {
    /// Minted per block, in peb.
    pub minting_amount: U256,
    /// Percentages of proposer, KIF and KEF: `34/54/12`.
    pub ratio: String,
    /// Percentages of proposer and stakers: `20/80`; `None` if the configuration does not say.
    pub kip82_ratio: Option<String>,
    /// Whether stakes are flattened before proposers are drawn.
    pub use_gini_coeff: bool,
    /// Whether fees are paid out at the end of a block instead of after each transaction.
    pub deferred_tx_fee: bool,
    /// Blocks between readings of the stakes, before Kaia.
    pub staking_update_interval: u64,
    /// Blocks between proposer lists, before Randao.
    pub proposer_update_interval: u64,
    /// Least stake of a validator, in KLAY.
    pub minimum_stake: U256,
}

impl Default for RewardConfig {
    fn default() -> Self {
        Self {
            minting_amount: U256::ZERO,
            ratio: "100/0/0".to_owned(),
            kip82_ratio: None,
            use_gini_coeff: false,
            deferred_tx_fee: false,
            staking_update_interval: 86_400,
            proposer_update_interval: 3_600,
            minimum_stake: U256::from(2_000_000u64),
        }
    }
}

/// Base fee parameters of KIP-71 at genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kip71Config {
    /// Least base fee, in peb.
    pub lower_bound_base_fee: u64,
    /// Highest base fee, in peb.
    pub upper_bound_base_fee: u64,
    /// Gas per block that leaves the base fee unchanged.
    pub gas_target: u64,
    /// Gas above this counts as this much.
    pub max_block_gas_used_for_base_fee: u64,
    /// Slows the change down.
    pub base_fee_denominator: u64,
}

impl Default for Kip71Config {
    fn default() -> Self {
        Self {
            lower_bound_base_fee: 25_000_000_000,
            upper_bound_base_fee: 750_000_000_000,
            gas_target: 30_000_000,
            max_block_gas_used_for_base_fee: 60_000_000,
            base_fee_denominator: 20,
        }
    }
}

impl ChainConfig {
    /// A chain with this id, no forks, and nothing else set.
    pub fn new(chain_id: u64) -> Self {
        Self {
            chain_id,
            forks: ForkSchedule::default(),
            kip103: Rebalance::default(),
            kip160: Rebalance::default(),
            randao_registry: None,
            istanbul: None,
            blob_schedule: None,
            unit_price: 0,
            derive_sha_impl: 0,
            governance: None,
        }
    }

    /// A chain with every fork at block 0, round robin, fees paid at the end of a block and nothing minted.
    ///
    /// The Registry is not configured: on such a chain it is part of the genesis allocation, as it is otherwise
    /// installed when the Randao fork block is executed.
    pub fn all_forks(chain_id: u64) -> Self {
        Self {
            forks: ForkSchedule::all_at_genesis(),
            istanbul: Some(IstanbulConfig::default()),
            blob_schedule: Some(BlobSchedule { osaka: Some(BlobConfig::OSAKA) }),
            unit_price: 25_000_000_000,
            governance: Some(GovernanceConfig {
                reward: Some(RewardConfig {
                    kip82_ratio: Some("20/80".to_owned()),
                    deferred_tx_fee: true,
                    ..RewardConfig::default()
                }),
                kip71: Some(Kip71Config::default()),
                ..GovernanceConfig::default()
            }),
            ..Self::new(chain_id)
        }
    }

    /// The forks active at block `number`.
    pub fn rules(&self, number: u64) -> Rules {
        self.forks.rules(number)
    }

    /// Whether `fork` is active at block `number`.
    pub const fn is_active(&self, fork: Fork, number: u64) -> bool {
        self.forks.is_active(fork, number)
    }

    /// Blobs allowed at block `number`; `None` before Osaka.
    pub fn blob_config(&self, number: u64) -> Option<BlobConfig> {
        self.forks
            .is_active(Fork::Osaka, number)
            .then(|| self.blob_schedule.and_then(|schedule| schedule.osaka).unwrap_or(BlobConfig::OSAKA))
    }

    /// Fills in what a genesis file may leave out, as the reference client does before it writes a genesis: Istanbul,
    /// governance and reward sections, and the two intervals where they are zero.
    #[must_use]
    pub fn with_genesis_defaults(mut self) -> Self {
        self.istanbul.get_or_insert_default();
        let reward = self.governance.get_or_insert_default().reward.get_or_insert_default();
        let defaults = RewardConfig::default();
        if reward.staking_update_interval == 0 {
            reward.staking_update_interval = defaults.staking_update_interval;
        }
        if reward.proposer_update_interval == 0 {
            reward.proposer_update_interval = defaults.proposer_update_interval;
        }
        self
    }
}
