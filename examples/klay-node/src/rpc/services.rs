//! What the methods work with: the node, the bounds, and how a block parameter becomes a block or a state.

use std::sync::{Arc, atomic::AtomicBool};

use alloy_primitives::{Address, B256, U256};
use klay_core::{
    Fork, Rules, Signature,
    block::IstanbulExtra,
    governance::{GovParams, ProposerPolicy},
};
use klay_vm::{
    BlockContext, State,
    reward::{StakingInfo, staking_source},
    system::{View, staking_info},
};

use super::{
    Limits, RpcError,
    decode::{BlockId, BlockNumber},
    filters::Filters,
    keyring::Keyring,
    methods::supply::Sums,
    remade::Remade,
};
use crate::{Node, SealedBlock, chain::ChainError, council::CouncilError};

/// The node as the methods see it.
#[derive(Debug)]
pub struct Services {
    /// The node.
    pub node: Node,
    /// The bounds.
    pub limits: Limits,
    /// Name and version in `web3_clientVersion`.
    pub client_version: String,
    /// Filters that clients poll.
    pub(super) filters: Filters,
    /// States that are not kept.
    pub(super) remade: Remade,
    /// Whether stakes without nodes were shown already.
    pub(super) has_shown_no_stakes: AtomicBool,
    /// Sums of what was made and burnt.
    pub(super) sums: Sums,
    /// Keys that clients brought.
    pub(super) keyring: Keyring,
}

impl Services {
    /// Serves `node` within `limits`.
    pub fn new(node: Node, limits: Limits) -> Arc<Self> {
        let client_version = format!(
            "Klaytn/klay-{}/v2.2.1/{}-{}/rust",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            std::env::consts::ARCH
        );
        let filters = Filters::new(limits.filters, limits.filter_life);
        Arc::new(Self {
            node,
            limits,
            client_version,
            filters,
            remade: Remade::default(),
            has_shown_no_stakes: AtomicBool::new(false),
            sums: Sums::default(),
            keyring: Keyring::default(),
        })
    }

    /// The block with this number or word; the block being built is not visible, `pending` is the head.
    pub(super) fn block(&self, number: BlockNumber) -> Result<Option<Arc<SealedBlock>>, RpcError> {
        let chain = self.node.chain();
        match number {
            BlockNumber::Latest | BlockNumber::Pending => Ok(Some(chain.head())),
            BlockNumber::Number(number) => chain.block_by_number(number).map_err(RpcError::from_error),
        }
    }

    /// The block with this hash.
    pub(super) fn block_by_hash(&self, hash: B256) -> Result<Option<Arc<SealedBlock>>, RpcError> {
        self.node.chain().block_by_hash(hash).map_err(RpcError::from_error)
    }

    /// A block that the answer is about.
    pub(super) fn known_block(&self, number: BlockNumber) -> Result<Arc<SealedBlock>, RpcError> {
        self.block(number)?.ok_or_else(|| RpcError::NoBlockNumber(self.height(number)))
    }

    /// As [`Self::known_block`].
    pub(super) fn known_block_by_hash(&self, hash: B256) -> Result<Arc<SealedBlock>, RpcError> {
        self.block_by_hash(hash)?.ok_or(RpcError::NoBlockHash(hash))
    }

    /// As [`Self::known_block`], by number or hash.
    pub(super) fn known_block_by_id(&self, id: BlockId) -> Result<Arc<SealedBlock>, RpcError> {
        match id {
            BlockId::Number(number) => self.known_block(number),
            BlockId::Hash(hash) => self.known_block_by_hash(hash),
            BlockId::Neither => Err(RpcError::NeitherBlockNorHash),
        }
    }

    /// The number that a block parameter names.
    pub(super) fn height(&self, number: BlockNumber) -> u64 {
        match number {
            BlockNumber::Latest | BlockNumber::Pending => self.node.chain().head().number(),
            BlockNumber::Number(number) => number,
        }
    }

    /// The block whose state is asked for.
    pub(super) fn state_block(&self, id: BlockId) -> Result<Arc<SealedBlock>, RpcError> {
        match id {
            BlockId::Number(number) => self.block(number)?.ok_or_else(|| RpcError::NoHeaderNumber(self.height(number))),
            BlockId::Hash(hash) => self.block_by_hash(hash)?.ok_or(RpcError::NoHeaderForHash),
            BlockId::Neither => Err(RpcError::NeitherBlockNorHash),
        }
    }

    /// The state after a block.
    pub(super) fn state(&self, id: BlockId) -> Result<State, RpcError> {
        self.state_after(&*self.state_block(id)?)
    }

    /// The state after `block`.
    pub(super) fn state_after(&self, block: &SealedBlock) -> Result<State, RpcError> {
        self.remade.state_at(self.node.chain(), block.number())
    }

    /// The block as transactions in it see it.
    pub(super) fn context(&self, block: &SealedBlock) -> BlockContext {
        self.node.chain().context_of(&block.header, block.proposer)
    }

    /// The forks active in `block`.
    pub(super) fn rules(&self, block: &SealedBlock) -> Rules {
        self.node.chain().rules_at(block.number())
    }

    /// The parameters that are effective at a height.
    pub(super) fn params(&self, number: u64) -> Arc<GovParams> {
        self.node.chain().params_at(number)
    }

    /// The base fee of the block after `block`, in peb; none before Magma.
    pub(super) fn base_fee_after(&self, block: &SealedBlock) -> Option<U256> {
        self.node.chain().base_fee_after(&block.header)
    }

    /// What is at stake for the block at a height. Before Kaia the stakes of an earlier block count, so heights far above
    /// the head may have an answer.
    pub(super) fn staking(&self, height: u64) -> Result<Arc<StakingInfo>, RpcError> {
        let chain = self.node.chain();
        if height <= chain.head().number().saturating_add(1) {
            match chain.staking_at(height) {
                Err(CouncilError::Chain(ChainError::NoState { .. })) => {}
                found => return found.map_err(RpcError::from_error),
            }
        }
        let interval = self.params(height).staking_update_interval;
        let source = staking_source(height, interval, chain.rules_at(height).has(Fork::Kaia));
        let no_header = || RpcError::failed(format!("failed to get header for block number {source}"));
        let block = self.block(BlockNumber::Number(source))?.ok_or_else(no_header)?;
        let state = self.state_after(&block)?;
        let view = View { state: &state, header: &block.header, config: chain.config() };
        staking_info(view).map(Arc::new).map_err(RpcError::from_error)
    }

    /// As [`Self::staking`], where the rewards of the block depend on it.
    pub(super) fn staking_for_rewards(&self, height: u64, params: &GovParams) -> Result<Arc<StakingInfo>, RpcError> {
        match params.policy {
            ProposerPolicy::WeightedRandom => self.staking(height),
            _ => Ok(Arc::default()),
        }
    }

    /// The account that seals for this node.
    pub(super) fn node_address(&self) -> Address {
        if let Some(author) = self.node.author() {
            return author;
        }
        let head = self.node.chain().head();
        if !head.proposer.is_zero() {
            return head.proposer;
        }
        // Genesis has no proposer, but names who may be one.
        let named = IstanbulExtra::decode(&head.header.extra).ok().and_then(|extra| extra.validators.first().copied());
        named.unwrap_or_default()
    }

    /// Accounts that can sign here.
    pub(super) fn addresses(&self) -> Vec<Address> {
        self.keyring.addresses(self.node.wallet())
    }

    /// Signs for one of them; `v` of the result is the parity.
    pub(super) fn sign(&self, address: Address, digest: B256, password: Option<&str>) -> Result<Signature, RpcError> {
        self.keyring.sign(self.node.wallet(), address, digest, password)
    }
}
