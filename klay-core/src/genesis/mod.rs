//! What a chain starts from: configuration, validators and accounts, and the header that follows from them.
//!
//! The state root is not computed here, as it needs the encoding of accounts; `klay-vm` builds it.
//!
//! Source: spec 30, sections 2.3 and 2.4; `blockchain/genesis.go` in the reference client.

#[cfg(feature = "serde")]
mod json;
#[cfg(feature = "networks")]
mod network;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bloom, Bytes, U256, b256};

use crate::{
    block::{Header, IstanbulExtra, ListRoot},
    codec::DecodeError,
    config::{ChainConfig, Fork, ForkOrderError},
    governance::{GovernanceData, ParamError},
};

/// Hash of Cypress' genesis block.
pub const CYPRESS_GENESIS_HASH: B256 = b256!("c72e5293c3c3ba38ed8ae910f780e4caaa9fb95e79784f7ab74c3c262ea7137e");
/// Hash of Baobab's genesis block.
pub const BAOBAB_GENESIS_HASH: B256 = b256!("e33ff05ceec2581ca9496f38a2bf9baad5d4eed629e896ccb33d1dc991bc4b4a");

/// Block score where a genesis does not say one.
const DEFAULT_BLOCK_SCORE: u64 = 131_072;
/// Length of a randao reveal, in bytes.
const RANDOM_REVEAL_LEN: usize = 96;

/// The content of a genesis file.
///
/// ```
/// use klay_core::{Address, B256, config::ChainConfig, genesis::Genesis};
///
/// let genesis = Genesis::new(ChainConfig::all_forks(1337), vec![Address::repeat_byte(1)]).prepared()?;
/// let header = genesis.header(B256::ZERO);
/// assert_eq!(header.field_count(), 19);
/// # Ok::<_, klay_core::genesis::GenesisError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The chain's configuration.
    pub config: ChainConfig,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Vanity and validators.
    pub extra: Bytes,
    /// Content of the header's governance field; `None` until [`Self::prepared`] computes it.
    pub governance: Option<Bytes>,
    /// 1 on public networks; 131072 where it is not said.
    pub block_score: Option<U256>,
    /// Accounts.
    pub alloc: BTreeMap<Address, GenesisAccount>,
    /// Height; 0.
    pub number: u64,
    /// Gas used; 0 but in tests.
    pub gas_used: u64,
    /// Parent; zero but in tests.
    pub parent_hash: B256,
    /// Base fee from Magma, in peb, where it is not the lower bound.
    pub base_fee: Option<U256>,
    /// From Osaka; 0 where it is not said.
    pub excess_blob_gas: Option<u64>,
    /// From Osaka; 0 where it is not said.
    pub blob_gas_used: Option<u64>,
}

/// An account of a genesis.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GenesisAccount {
    /// In peb.
    pub balance: U256,
    /// Nonce.
    pub nonce: u64,
    /// Code; empty for none.
    pub code: Bytes,
    /// Storage.
    pub storage: BTreeMap<B256, B256>,
}

impl Genesis {
    /// A genesis at time 0 with these validators and no accounts.
    pub fn new(config: ChainConfig, validators: Vec<Address>) -> Self {
        Self {
            config,
            timestamp: 0,
            extra: IstanbulExtra::genesis(validators).encode().into(),
            governance: None,
            block_score: Some(U256::ONE),
            alloc: BTreeMap::new(),
            number: 0,
            gas_used: 0,
            parent_hash: B256::ZERO,
            base_fee: None,
            excess_blob_gas: None,
            blob_gas_used: None,
        }
    }

    /// The genesis as a node writes it: missing sections of the configuration get their defaults, the configuration is
    /// checked, and the governance field is computed from it.
    ///
    /// # Errors
    /// If it is not block 0, forks are out of order, the governing node of mode `single` is no validator in the
    /// extra-data, or a parameter is not allowed.
    pub fn prepared(mut self) -> Result<Self, GenesisError> {
        if self.number != 0 {
            return Err(GenesisError::Number { number: self.number });
        }
        self.config = self.config.with_genesis_defaults();
        self.config.forks.check_order()?;
        if let Some(governance) = &self.config.governance
            && governance.governance_mode.eq_ignore_ascii_case("single")
            && !self.validators()?.contains(&governance.governing_node)
        {
            return Err(GenesisError::GoverningNode { node: governance.governing_node });
        }
        self.governance = Some(GovernanceData::of_genesis(&self.config)?.encode().into());
        Ok(self)
    }

    /// The validators in the extra-data: the first council, in the order in which they are written.
    ///
    /// # Errors
    /// If the extra-data does not decode.
    pub fn validators(&self) -> Result<Vec<Address>, DecodeError> {
        IstanbulExtra::decode(&self.extra).map(|extra| extra.validators)
    }

    /// The header of the genesis block over a state with this root.
    pub fn header(&self, state_root: B256) -> Header {
        let is_active = |fork| self.config.is_active(fork, 0);
        let list_root = ListRoot::from_parameter(self.config.derive_sha_impl).empty();
        let kip71 = self.config.governance.as_ref().and_then(|governance| governance.kip71).unwrap_or_default();
        let base_fee = || self.base_fee.unwrap_or_else(|| U256::from(kip71.lower_bound_base_fee));
        Header {
            parent_hash: self.parent_hash,
            rewardbase: Address::ZERO,
            state_root,
            transactions_root: list_root,
            receipts_root: list_root,
            logs_bloom: Bloom::ZERO,
            block_score: self.block_score.unwrap_or(U256::from(DEFAULT_BLOCK_SCORE)),
            number: self.number,
            gas_used: self.gas_used,
            timestamp: self.timestamp,
            timestamp_fos: 0,
            extra: self.extra.clone(),
            governance: self.governance.clone().unwrap_or_default(),
            vote: Bytes::new(),
            base_fee: is_active(Fork::Magma).then(base_fee),
            random_reveal: is_active(Fork::Randao).then(|| Bytes::from_static(&[0; RANDOM_REVEAL_LEN])),
            mix_hash: is_active(Fork::Randao).then(|| Bytes::from_static(&[0; 32])),
            blob_gas_used: is_active(Fork::Osaka).then(|| self.blob_gas_used.unwrap_or(0)),
            excess_blob_gas: is_active(Fork::Osaka).then(|| self.excess_blob_gas.unwrap_or(0)),
        }
    }
}

/// Why a genesis cannot start a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// A chain starts at 0.
    #[error("number is {number}, expected 0")]
    Number {
        /// The number in the file.
        number: u64,
    },
    /// Forks are out of order.
    #[error(transparent)]
    ForkOrder(#[from] ForkOrderError),
    /// The extra-data does not decode.
    #[error("extraData: {0}")]
    Extra(#[from] DecodeError),
    /// The governing node is no validator.
    #[error("governingNode {node} is not in the validator list")]
    GoverningNode {
        /// The node.
        node: Address,
    },
    /// A parameter is not allowed.
    #[error("config: {0}")]
    Param(#[from] ParamError),
}
