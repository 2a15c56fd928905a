//! The two public networks.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256, address};

use super::{
    BlobConfig, BlobSchedule, ChainConfig, Fork, ForkSchedule, GovernanceConfig, IstanbulConfig, Rebalance,
    RegistryConfig, RewardConfig,
};

/// Chain id of Cypress (mainnet).
pub const CYPRESS_CHAIN_ID: u64 = 8217;
/// Chain id of Baobab, today Kairos (testnet).
pub const BAOBAB_CHAIN_ID: u64 = 1001;

const CYPRESS_FORKS: [u64; 11] = [
    86_816_005,
    86_816_005,
    86_816_005,
    99_841_497,
    119_750_400,
    135_456_000,
    147_534_000,
    147_534_000,
    162_900_480,
    190_670_000,
    211_090_000,
];

const BAOBAB_FORKS: [u64; 11] = [
    75_373_312,
    80_295_291,
    86_513_895,
    98_347_376,
    111_736_800,
    131_608_000,
    141_367_000,
    141_367_000,
    156_660_000,
    187_930_000,
    209_134_000,
];

const KIP103_CONTRACT: Address = address!("d5ad6d61dd87edabe2332607c328f5cc96aecb95");
const REGISTRY_OWNER: Address = address!("04992a2b7e7ce809d409ade32185d49a96aaa32d");

/// A public network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// Mainnet, chain 8217.
    Cypress,
    /// Testnet, chain 1001; today called Kairos.
    Baobab,
}

impl Network {
    /// The network of this name: `cypress` or `mainnet`, `baobab`, `kairos` or `testnet`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "cypress" | "mainnet" => Some(Self::Cypress),
            "baobab" | "kairos" | "testnet" => Some(Self::Baobab),
            _ => None,
        }
    }

    /// The network with this chain id.
    pub const fn from_chain_id(chain_id: u64) -> Option<Self> {
        match chain_id {
            CYPRESS_CHAIN_ID => Some(Self::Cypress),
            BAOBAB_CHAIN_ID => Some(Self::Baobab),
            _ => None,
        }
    }

    /// `cypress` or `baobab`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cypress => "cypress",
            Self::Baobab => "baobab",
        }
    }

    /// The chain id, which is also the network id.
    pub const fn chain_id(self) -> u64 {
        match self {
            Self::Cypress => CYPRESS_CHAIN_ID,
            Self::Baobab => BAOBAB_CHAIN_ID,
        }
    }

    /// The configuration with all forks.
    pub fn config(self) -> ChainConfig {
        match self {
            Self::Cypress => public(Public {
                chain_id: CYPRESS_CHAIN_ID,
                forks: CYPRESS_FORKS,
                kip103_block: 119_750_400,
                kip160_block: 162_900_480,
                kip160_contract: address!("a4df15717da40077c0ad528296adbbd046579ee9"),
                kip113_contract: address!("3e80e75975bdb8e04b800485dd28bebec6d97679"),
                governing_node: address!("52d41ca72af615a1ac3301b0a93efa222ecc7541"),
            }),
            Self::Baobab => public(Public {
                chain_id: BAOBAB_CHAIN_ID,
                forks: BAOBAB_FORKS,
                kip103_block: 119_145_600,
                kip160_block: 156_660_000,
                kip160_contract: address!("3d478e73c9dbebb72332712d7265961b1868d193"),
                kip113_contract: address!("4beed0651c46ae5a7cb3b7737345d2ee733789e6"),
                governing_node: address!("99fb17d324fa0e07f23b49d09028ac0919414db6"),
            }),
        }
    }
}

impl ChainConfig {
    /// Cypress, with all forks.
    pub fn cypress() -> Self {
        Network::Cypress.config()
    }

    /// Baobab, with all forks.
    pub fn baobab() -> Self {
        Network::Baobab.config()
    }
}

/// What the two networks do not share.
struct Public {
    chain_id: u64,
    forks: [u64; 11],
    kip103_block: u64,
    kip160_block: u64,
    kip160_contract: Address,
    kip113_contract: Address,
    governing_node: Address,
}

fn public(network: Public) -> ChainConfig {
    let forks = Fork::SCHEDULED
        .into_iter()
        .zip(network.forks)
        .fold(ForkSchedule::default(), |schedule, (fork, block)| schedule.with(fork, block));
    ChainConfig {
        chain_id: network.chain_id,
        forks,
        kip103: Rebalance { block: Some(network.kip103_block), contract: KIP103_CONTRACT },
        kip160: Rebalance { block: Some(network.kip160_block), contract: network.kip160_contract },
        randao_registry: Some(RegistryConfig {
            records: BTreeMap::from([("KIP113".to_owned(), network.kip113_contract)]),
            owner: REGISTRY_OWNER,
        }),
        istanbul: Some(IstanbulConfig { epoch: 604_800, policy: 2, sub: 22 }),
        blob_schedule: Some(BlobSchedule { osaka: Some(BlobConfig::OSAKA) }),
        unit_price: 25_000_000_000,
        derive_sha_impl: 2,
        governance: Some(GovernanceConfig {
            governing_node: network.governing_node,
            governance_mode: "single".to_owned(),
            gov_param_contract: Address::ZERO,
            reward: Some(RewardConfig {
                minting_amount: U256::from(9_600_000_000_000_000_000u64),
                ratio: "34/54/12".to_owned(),
                kip82_ratio: None,
                use_gini_coeff: true,
                deferred_tx_fee: true,
                staking_update_interval: 86_400,
                proposer_update_interval: 3_600,
                minimum_stake: U256::from(5_000_000u64),
            }),
            kip71: None,
        }),
    }
}
