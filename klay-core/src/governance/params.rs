//! The full set of parameters effective at one block.

use core::fmt;

use alloy_primitives::{Address, U256};

use super::param::{ParamError, ParamName, ParamValue};
use crate::{
    block::ListRoot,
    config::{ChainConfig, GovernanceConfig, Kip71Config, Network},
};

/// Who may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GovernanceMode {
    /// `none`: any council member.
    #[default]
    None,
    /// `single`: the governing node.
    Single,
}

impl GovernanceMode {
    /// The mode of this name.
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "single" => Some(Self::Single),
            _ => None,
        }
    }

    /// `none` or `single`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Single => "single",
        }
    }
}

/// How proposers are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ProposerPolicy {
    /// 0: one after the other.
    #[default]
    RoundRobin,
    /// 1: the same until it fails.
    Sticky,
    /// 2: drawn, before Kore by stake.
    WeightedRandom,
}

impl ProposerPolicy {
    /// The policy of this number.
    pub const fn from_parameter(value: u64) -> Option<Self> {
        match value {
            0 => Some(Self::RoundRobin),
            1 => Some(Self::Sticky),
            2 => Some(Self::WeightedRandom),
            _ => None,
        }
    }

    /// The number.
    pub const fn parameter(self) -> u64 {
        self as u64
    }
}

/// Percentages that add up to 100, written `34/54/12`.
///
/// ```
/// use klay_core::governance::Ratio;
///
/// let ratio = Ratio::<3>::parse("34/54/12").unwrap();
/// assert_eq!(ratio.parts(), [34, 54, 12]);
/// assert!(Ratio::<3>::parse("34/54/13").is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ratio<const N: usize> {
    parts: [u8; N],
    text: String,
}

impl<const N: usize> Ratio<N> {
    /// Reads the text form; each part may carry a sign or leading zeros, as the reference client accepts them.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = [0; N];
        let mut rest = text.split('/');
        for part in &mut parts {
            let number: i64 = rest.next()?.parse().ok()?;
            *part = u8::try_from(number).ok().filter(|part| *part <= 100)?;
        }
        let sum: u32 = parts.iter().copied().map(u32::from).sum();
        (rest.next().is_none() && sum == 100).then(|| Self { parts, text: text.to_owned() })
    }

    /// The percentages.
    pub const fn parts(&self) -> [u8; N] {
        self.parts
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<const N: usize> fmt::Display for Ratio<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Every parameter at one block.
///
/// ```
/// use klay_core::{config::ChainConfig, governance::GovParams};
///
/// let genesis = GovParams::from_config(&ChainConfig::cypress());
/// assert_eq!(genesis.unit_price, 25_000_000_000);
/// assert_eq!(GovParams::default().unit_price, 250_000_000_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GovParams {
    /// Derivation of list roots, at most 2.
    pub derive_sha_impl: u64,
    /// Who may decide.
    pub governance_mode: GovernanceMode,
    /// The account that governs in mode `single`.
    pub governing_node: Address,
    /// Contract that overrides parameters from Kore on; zero for none.
    pub gov_param_contract: Address,
    /// Price of a unit of gas before Magma, in peb.
    pub unit_price: u64,
    /// Committee size, more than 0.
    pub committee_size: u64,
    /// Blocks per epoch.
    pub epoch: u64,
    /// How proposers are chosen.
    pub policy: ProposerPolicy,
    /// Base fee.
    pub kip71: Kip71Config,
    /// Whether fees are paid out at the end of a block.
    pub deferred_tx_fee: bool,
    /// Percentages of proposer and stakers.
    pub kip82_ratio: Ratio<2>,
    /// Least stake of a validator, in KLAY.
    pub minimum_stake: U256,
    /// Minted per block, in peb.
    pub minting_amount: U256,
    /// Blocks between proposer lists, before Randao.
    pub proposer_update_interval: u64,
    /// Percentages of proposer, KIF and KEF.
    pub ratio: Ratio<3>,
    /// Blocks between readings of the stakes, before Kaia.
    pub staking_update_interval: u64,
    /// Whether stakes are flattened before proposers are drawn, before Kore.
    pub use_gini_coeff: bool,
}

impl Default for GovParams {
    fn default() -> Self {
        Self {
            derive_sha_impl: 0,
            governance_mode: GovernanceMode::None,
            governing_node: Address::ZERO,
            gov_param_contract: Address::ZERO,
            unit_price: 250_000_000_000,
            committee_size: 21,
            epoch: 604_800,
            policy: ProposerPolicy::RoundRobin,
            kip71: Kip71Config::default(),
            deferred_tx_fee: false,
            kip82_ratio: Ratio { parts: [20, 80], text: "20/80".to_owned() },
            minimum_stake: U256::from(2_000_000u64),
            minting_amount: U256::ZERO,
            proposer_update_interval: 3_600,
            ratio: Ratio { parts: [100, 0, 0], text: "100/0/0".to_owned() },
            staking_update_interval: 86_400,
            use_gini_coeff: false,
        }
    }
}

impl GovParams {
    /// The defaults with the values of `config` on top. Values that a parameter does not allow are left out; on the
    /// public networks only the parameters that existed at their genesis are taken.
    pub fn from_config(config: &ChainConfig) -> Self {
        let is_public = Network::from_chain_id(config.chain_id).is_some();
        let mut params = Self::default();
        for name in ParamName::ALL {
            if is_public && !existed_at_public_genesis(name) {
                continue;
            }
            if let Some(value) = configured(config, name) {
                // A value that is not allowed leaves the default in place.
                let _ = params.set(name, &value);
            }
        }
        params
    }

    /// How list roots are derived.
    pub const fn list_root(&self) -> ListRoot {
        ListRoot::from_parameter(self.derive_sha_impl)
    }

    /// Sets one parameter.
    ///
    /// # Errors
    /// If the value is of another form or not allowed; the set is then unchanged.
    pub fn set(&mut self, name: ParamName, value: &ParamValue) -> Result<(), ParamError> {
        name.check(value)?;
        let unset = match value {
            ParamValue::U64(value) => self.u64_mut(name).map(|field| *field = *value).is_none(),
            ParamValue::Bool(value) => self.bool_mut(name).map(|field| *field = *value).is_none(),
            ParamValue::Big(value) => self.big_mut(name).map(|field| *field = *value).is_none(),
            ParamValue::Address(value) => self.address_mut(name).map(|field| *field = *value).is_none(),
            ParamValue::Text(_) => true,
        };
        match (name, value) {
            (ParamName::Policy, ParamValue::U64(value)) => {
                self.policy = ProposerPolicy::from_parameter(*value).unwrap_or_default();
            }
            (ParamName::GovernanceMode, ParamValue::Text(text)) => {
                self.governance_mode = GovernanceMode::from_text(text).unwrap_or_default();
            }
            (ParamName::Kip82Ratio, ParamValue::Text(text)) => {
                self.kip82_ratio = Ratio::parse(text).ok_or(ParamError::Malformed { name })?;
            }
            (ParamName::Ratio, ParamValue::Text(text)) => {
                self.ratio = Ratio::parse(text).ok_or(ParamError::Malformed { name })?;
            }
            _ if unset => return Err(ParamError::Malformed { name }),
            _ => {}
        }
        Ok(())
    }

    /// The value of one parameter.
    pub fn value(&self, name: ParamName) -> ParamValue {
        match name {
            ParamName::DeriveShaImpl => ParamValue::U64(self.derive_sha_impl),
            ParamName::GovernanceMode => ParamValue::Text(self.governance_mode.as_str().to_owned()),
            ParamName::GoverningNode => ParamValue::Address(self.governing_node),
            ParamName::GovParamContract => ParamValue::Address(self.gov_param_contract),
            ParamName::UnitPrice => ParamValue::U64(self.unit_price),
            ParamName::CommitteeSize => ParamValue::U64(self.committee_size),
            ParamName::Epoch => ParamValue::U64(self.epoch),
            ParamName::Policy => ParamValue::U64(self.policy.parameter()),
            ParamName::BaseFeeDenominator => ParamValue::U64(self.kip71.base_fee_denominator),
            ParamName::GasTarget => ParamValue::U64(self.kip71.gas_target),
            ParamName::LowerBoundBaseFee => ParamValue::U64(self.kip71.lower_bound_base_fee),
            ParamName::MaxBlockGasUsedForBaseFee => ParamValue::U64(self.kip71.max_block_gas_used_for_base_fee),
            ParamName::UpperBoundBaseFee => ParamValue::U64(self.kip71.upper_bound_base_fee),
            ParamName::DeferredTxFee => ParamValue::Bool(self.deferred_tx_fee),
            ParamName::Kip82Ratio => ParamValue::Text(self.kip82_ratio.as_str().to_owned()),
            ParamName::MinimumStake => ParamValue::Big(self.minimum_stake),
            ParamName::MintingAmount => ParamValue::Big(self.minting_amount),
            ParamName::ProposerUpdateInterval => ParamValue::U64(self.proposer_update_interval),
            ParamName::Ratio => ParamValue::Text(self.ratio.as_str().to_owned()),
            ParamName::StakingUpdateInterval => ParamValue::U64(self.staking_update_interval),
            ParamName::UseGiniCoeff => ParamValue::Bool(self.use_gini_coeff),
        }
    }

    /// Puts the answer of a governance contract (`getAllParamsAt`) on top: names and value bytes in parallel. Unknown
    /// names and values that are malformed or not allowed are skipped; nothing is taken if the lengths differ.
    #[must_use]
    pub fn with_contract<N: AsRef<str>, V: AsRef<[u8]>>(mut self, names: &[N], values: &[V]) -> Self {
        if names.len() != values.len() {
            return self;
        }
        for (name, value) in names.iter().zip(values) {
            let Some(name) = ParamName::from_name(name.as_ref()) else { continue };
            if let Ok(value) = name.read(value.as_ref()) {
                // Values that `read` lets through are settable.
                let _ = self.set(name, &value);
            }
        }
        self
    }

    const fn u64_mut(&mut self, name: ParamName) -> Option<&mut u64> {
        Some(match name {
            ParamName::DeriveShaImpl => &mut self.derive_sha_impl,
            ParamName::UnitPrice => &mut self.unit_price,
            ParamName::CommitteeSize => &mut self.committee_size,
            ParamName::Epoch => &mut self.epoch,
            ParamName::BaseFeeDenominator => &mut self.kip71.base_fee_denominator,
            ParamName::GasTarget => &mut self.kip71.gas_target,
            ParamName::LowerBoundBaseFee => &mut self.kip71.lower_bound_base_fee,
            ParamName::MaxBlockGasUsedForBaseFee => &mut self.kip71.max_block_gas_used_for_base_fee,
            ParamName::UpperBoundBaseFee => &mut self.kip71.upper_bound_base_fee,
            ParamName::ProposerUpdateInterval => &mut self.proposer_update_interval,
            ParamName::StakingUpdateInterval => &mut self.staking_update_interval,
            _ => return None,
        })
    }

    const fn bool_mut(&mut self, name: ParamName) -> Option<&mut bool> {
        match name {
            ParamName::DeferredTxFee => Some(&mut self.deferred_tx_fee),
            ParamName::UseGiniCoeff => Some(&mut self.use_gini_coeff),
            _ => None,
        }
    }

    const fn big_mut(&mut self, name: ParamName) -> Option<&mut U256> {
        match name {
            ParamName::MinimumStake => Some(&mut self.minimum_stake),
            ParamName::MintingAmount => Some(&mut self.minting_amount),
            _ => None,
        }
    }

    const fn address_mut(&mut self, name: ParamName) -> Option<&mut Address> {
        match name {
            ParamName::GoverningNode => Some(&mut self.governing_node),
            ParamName::GovParamContract => Some(&mut self.gov_param_contract),
            _ => None,
        }
    }
}

/// What the configuration says about a parameter, if it has the section.
pub(super) fn configured(config: &ChainConfig, name: ParamName) -> Option<ParamValue> {
    let governance = config.governance.as_ref();
    let reward = governance.and_then(|governance| governance.reward.as_ref());
    let kip71 = governance.and_then(|governance| governance.kip71.as_ref());
    let istanbul = config.istanbul.as_ref();
    Some(match name {
        ParamName::DeriveShaImpl => ParamValue::U64(config.derive_sha_impl),
        ParamName::UnitPrice => ParamValue::U64(config.unit_price),
        ParamName::GovernanceMode => ParamValue::Text(governance?.governance_mode.clone()),
        ParamName::GoverningNode => ParamValue::Address(governance?.governing_node),
        ParamName::GovParamContract => ParamValue::Address(governance?.gov_param_contract),
        ParamName::CommitteeSize => ParamValue::U64(istanbul?.sub),
        ParamName::Epoch => ParamValue::U64(istanbul?.epoch),
        ParamName::Policy => ParamValue::U64(istanbul?.policy),
        ParamName::BaseFeeDenominator => ParamValue::U64(kip71?.base_fee_denominator),
        ParamName::GasTarget => ParamValue::U64(kip71?.gas_target),
        ParamName::LowerBoundBaseFee => ParamValue::U64(kip71?.lower_bound_base_fee),
        ParamName::MaxBlockGasUsedForBaseFee => ParamValue::U64(kip71?.max_block_gas_used_for_base_fee),
        ParamName::UpperBoundBaseFee => ParamValue::U64(kip71?.upper_bound_base_fee),
        ParamName::DeferredTxFee => ParamValue::Bool(reward?.deferred_tx_fee),
        ParamName::Kip82Ratio => ParamValue::Text(reward?.kip82_ratio.clone()?),
        ParamName::MinimumStake => ParamValue::Big(reward?.minimum_stake),
        ParamName::MintingAmount => ParamValue::Big(reward?.minting_amount),
        ParamName::ProposerUpdateInterval => ParamValue::U64(reward?.proposer_update_interval),
        ParamName::Ratio => ParamValue::Text(reward?.ratio.clone()),
        ParamName::StakingUpdateInterval => ParamValue::U64(reward?.staking_update_interval),
        ParamName::UseGiniCoeff => ParamValue::Bool(reward?.use_gini_coeff),
    })
}

const fn existed_at_public_genesis(name: ParamName) -> bool {
    !matches!(
        name,
        ParamName::GovParamContract
            | ParamName::BaseFeeDenominator
            | ParamName::GasTarget
            | ParamName::LowerBoundBaseFee
            | ParamName::MaxBlockGasUsedForBaseFee
            | ParamName::UpperBoundBaseFee
            | ParamName::Kip82Ratio
    )
}

impl ChainConfig {
    /// The configuration with the values of `params` in place of its own: what `kaia_getChainConfig` shows.
    #[must_use]
    pub fn with_params(mut self, params: &GovParams) -> Self {
        let istanbul = self.istanbul.get_or_insert_default();
        istanbul.epoch = params.epoch;
        istanbul.policy = params.policy.parameter();
        istanbul.sub = params.committee_size;
        self.unit_price = params.unit_price;
        self.derive_sha_impl = params.derive_sha_impl;
        self.governance = Some(GovernanceConfig {
            governing_node: params.governing_node,
            governance_mode: params.governance_mode.as_str().to_owned(),
            gov_param_contract: params.gov_param_contract,
            reward: Some(crate::config::RewardConfig {
                minting_amount: params.minting_amount,
                ratio: params.ratio.as_str().to_owned(),
                kip82_ratio: Some(params.kip82_ratio.as_str().to_owned()),
                use_gini_coeff: params.use_gini_coeff,
                deferred_tx_fee: params.deferred_tx_fee,
                staking_update_interval: params.staking_update_interval,
                proposer_update_interval: params.proposer_update_interval,
                minimum_stake: params.minimum_stake,
            }),
            kip71: Some(params.kip71),
        });
        self
    }
}
