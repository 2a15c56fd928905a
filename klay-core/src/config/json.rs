//! The JSON form: `config` of a genesis file, and the result of `kaia_getChainConfig`.
//!
//! Amounts beyond 2^53 are JSON numbers and are read digit by digit.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Number;

use super::{
    BlobConfig, BlobSchedule, ChainConfig, Fork, ForkSchedule, GovernanceConfig, IstanbulConfig, Kip71Config,
    Rebalance, RegistryConfig, RewardConfig,
};

impl Serialize for ChainConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ChainConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        if wire.clique.is_some() {
            return Err(D::Error::custom("'clique' consensus is not supported, use 'istanbul' instead"));
        }
        if wire.gxhash.is_some() {
            return Err(D::Error::custom("'gxhash' consensus is not supported, use 'istanbul' instead"));
        }
        Ok(wire.into())
    }
}

/// The members in the reference client's order.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    chain_id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    istanbul_compatible_block: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    london_compatible_block: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eth_tx_type_compatible_block: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    magma_compatible_block: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kore_compatible_block: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shanghai_compatible_block: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancun_compatible_block: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kaia_compatible_block: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prague_compatible_block: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    osaka_compatible_block: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kip103_compatible_block: Option<u64>,
    #[serde(default)]
    kip103_contract_address: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kip160_compatible_block: Option<u64>,
    #[serde(default)]
    kip160_contract_address: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    randao_compatible_block: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    randao_registry: Option<WireRegistry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    istanbul: Option<WireIstanbul>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blob_schedule: Option<WireBlobSchedule>,
    #[serde(default)]
    unit_price: u64,
    #[serde(default)]
    derive_sha_impl: u64,
    #[serde(default)]
    governance: Option<WireGovernance>,
    #[serde(default, skip_serializing)]
    clique: Option<serde::de::IgnoredAny>,
    #[serde(default, skip_serializing)]
    gxhash: Option<serde::de::IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
struct WireRegistry {
    #[serde(default)]
    records: BTreeMap<String, Address>,
    #[serde(default)]
    owner: Address,
}

#[derive(Serialize, Deserialize)]
struct WireIstanbul {
    #[serde(default)]
    epoch: u64,
    #[serde(default)]
    policy: u64,
    #[serde(default)]
    sub: u64,
}

#[derive(Serialize, Deserialize)]
struct WireBlobSchedule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    osaka: Option<WireBlob>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireBlob {
    #[serde(default)]
    target: u64,
    #[serde(default)]
    max: u64,
    #[serde(default)]
    base_fee_update_fraction: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireGovernance {
    #[serde(default)]
    governing_node: Address,
    #[serde(default)]
    governance_mode: String,
    #[serde(default)]
    gov_param_contract: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reward: Option<WireReward>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kip71: Option<WireKip71>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReward {
    #[serde(with = "decimal")]
    minting_amount: U256,
    #[serde(default)]
    ratio: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    kip82ratio: String,
    #[serde(default)]
    use_gini_coeff: bool,
    #[serde(default)]
    deferred_tx_fee: bool,
    #[serde(default)]
    staking_update_interval: u64,
    #[serde(default)]
    proposer_update_interval: u64,
    #[serde(with = "decimal")]
    minimum_stake: U256,
}

#[derive(Serialize, Deserialize)]
struct WireKip71 {
    #[serde(default)]
    lowerboundbasefee: u64,
    #[serde(default)]
    upperboundbasefee: u64,
    #[serde(default)]
    gastarget: u64,
    #[serde(default)]
    maxblockgasusedforbasefee: u64,
    #[serde(default)]
    basefeedenominator: u64,
}

/// An unsigned integer of any size as a JSON number.
mod decimal {
    use super::*;

    pub(super) fn serialize<S: Serializer>(value: &U256, serializer: S) -> Result<S::Ok, S::Error> {
        let number: Number = serde_json::from_str(&value.to_string()).map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<U256, D::Error> {
        let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(U256::ZERO) };
        let text = number.to_string();
        U256::from_str_radix(&text, 10)
            .map_err(|_| D::Error::custom(format_args!("{text} is not an unsigned integer of at most 256 bits")))
    }
}

impl From<&ChainConfig> for Wire {
    fn from(config: &ChainConfig) -> Self {
        let at = |fork| config.forks.block(fork);
        Self {
            chain_id: config.chain_id,
            istanbul_compatible_block: at(Fork::Istanbul),
            london_compatible_block: at(Fork::London),
            eth_tx_type_compatible_block: at(Fork::EthTxType),
            magma_compatible_block: at(Fork::Magma),
            kore_compatible_block: at(Fork::Kore),
            shanghai_compatible_block: at(Fork::Shanghai),
            cancun_compatible_block: at(Fork::Cancun),
            kaia_compatible_block: at(Fork::Kaia),
            prague_compatible_block: at(Fork::Prague),
            osaka_compatible_block: at(Fork::Osaka),
            kip103_compatible_block: config.kip103.block,
            kip103_contract_address: config.kip103.contract,
            kip160_compatible_block: config.kip160.block,
            kip160_contract_address: config.kip160.contract,
            randao_compatible_block: at(Fork::Randao),
            randao_registry: config
                .randao_registry
                .as_ref()
                .map(|registry| WireRegistry { records: registry.records.clone(), owner: registry.owner }),
            istanbul: config.istanbul.map(|istanbul| WireIstanbul {
                epoch: istanbul.epoch,
                policy: istanbul.policy,
                sub: istanbul.sub,
            }),
            blob_schedule: config.blob_schedule.map(|schedule| WireBlobSchedule {
                osaka: schedule.osaka.map(|blob| WireBlob {
                    target: blob.target,
                    max: blob.max,
                    base_fee_update_fraction: blob.base_fee_update_fraction,
                }),
            }),
            unit_price: config.unit_price,
            derive_sha_impl: config.derive_sha_impl,
            governance: config.governance.as_ref().map(WireGovernance::from),
            clique: None,
            gxhash: None,
        }
    }
}

impl From<&GovernanceConfig> for WireGovernance {
    fn from(config: &GovernanceConfig) -> Self {
        Self {
            governing_node: config.governing_node,
            governance_mode: config.governance_mode.clone(),
            gov_param_contract: config.gov_param_contract,
            reward: config.reward.as_ref().map(|reward| WireReward {
                minting_amount: reward.minting_amount,
                ratio: reward.ratio.clone(),
                kip82ratio: reward.kip82_ratio.clone().unwrap_or_default(),
                use_gini_coeff: reward.use_gini_coeff,
                deferred_tx_fee: reward.deferred_tx_fee,
                staking_update_interval: reward.staking_update_interval,
                proposer_update_interval: reward.proposer_update_interval,
                minimum_stake: reward.minimum_stake,
            }),
            kip71: config.kip71.map(|kip71| WireKip71 {
                lowerboundbasefee: kip71.lower_bound_base_fee,
                upperboundbasefee: kip71.upper_bound_base_fee,
                gastarget: kip71.gas_target,
                maxblockgasusedforbasefee: kip71.max_block_gas_used_for_base_fee,
                basefeedenominator: kip71.base_fee_denominator,
            }),
        }
    }
}

impl From<Wire> for ChainConfig {
    fn from(wire: Wire) -> Self {
        let forks = [
            (Fork::Istanbul, wire.istanbul_compatible_block),
            (Fork::London, wire.london_compatible_block),
            (Fork::EthTxType, wire.eth_tx_type_compatible_block),
            (Fork::Magma, wire.magma_compatible_block),
            (Fork::Kore, wire.kore_compatible_block),
            (Fork::Shanghai, wire.shanghai_compatible_block),
            (Fork::Cancun, wire.cancun_compatible_block),
            (Fork::Randao, wire.randao_compatible_block),
            (Fork::Kaia, wire.kaia_compatible_block),
            (Fork::Prague, wire.prague_compatible_block),
            (Fork::Osaka, wire.osaka_compatible_block),
        ]
        .into_iter()
        .filter_map(|(fork, block)| Some((fork, block?)))
        .fold(ForkSchedule::default(), |schedule, (fork, block)| schedule.with(fork, block));
        Self {
            chain_id: wire.chain_id,
            forks,
            kip103: Rebalance { block: wire.kip103_compatible_block, contract: wire.kip103_contract_address },
            kip160: Rebalance { block: wire.kip160_compatible_block, contract: wire.kip160_contract_address },
            randao_registry: wire
                .randao_registry
                .map(|registry| RegistryConfig { records: registry.records, owner: registry.owner }),
            istanbul: wire.istanbul.map(|istanbul| IstanbulConfig {
                epoch: istanbul.epoch,
                policy: istanbul.policy,
                sub: istanbul.sub,
            }),
            blob_schedule: wire.blob_schedule.map(|schedule| BlobSchedule {
                osaka: schedule.osaka.map(|blob| BlobConfig {
                    target: blob.target,
                    max: blob.max,
                    base_fee_update_fraction: blob.base_fee_update_fraction,
                }),
            }),
            unit_price: wire.unit_price,
            derive_sha_impl: wire.derive_sha_impl,
            governance: wire.governance.map(GovernanceConfig::from),
        }
    }
}

impl From<WireGovernance> for GovernanceConfig {
    fn from(wire: WireGovernance) -> Self {
        Self {
            governing_node: wire.governing_node,
            governance_mode: wire.governance_mode,
            gov_param_contract: wire.gov_param_contract,
            reward: wire.reward.map(|reward| RewardConfig {
                minting_amount: reward.minting_amount,
                ratio: reward.ratio,
                kip82_ratio: Some(reward.kip82ratio).filter(|ratio| !ratio.is_empty()),
                use_gini_coeff: reward.use_gini_coeff,
                deferred_tx_fee: reward.deferred_tx_fee,
                staking_update_interval: reward.staking_update_interval,
                proposer_update_interval: reward.proposer_update_interval,
                minimum_stake: reward.minimum_stake,
            }),
            kip71: wire.kip71.map(|kip71| Kip71Config {
                lower_bound_base_fee: kip71.lowerboundbasefee,
                upper_bound_base_fee: kip71.upperboundbasefee,
                gas_target: kip71.gastarget,
                max_block_gas_used_for_base_fee: kip71.maxblockgasusedforbasefee,
                base_fee_denominator: kip71.basefeedenominator,
            }),
        }
    }
}
