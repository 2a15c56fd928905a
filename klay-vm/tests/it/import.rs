//! Chains of the reference client, executed and finalised block by block to the same roots.

use crate::common;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use klay_core::{
    B256, Fork,
    block::{Block, Header, base_fee, bloom, price},
    codec::Reader,
    config::ChainConfig,
    genesis::Genesis,
    governance::{GovParams, ParamSchedule, ProposerPolicy, verify_data},
    storage::{Batch, KeyValue, Memory},
};
use klay_feedeleg::{KlaytnTx, RecoveredKlaytnTx};
use klay_vm::{
    BlockContext, BlockExecutor, BlockHashes, State,
    finalize::{FinalizeContext, finalize},
    genesis::genesis_block,
    randao::{ProposerKeys, previous_mix},
    reward::{StakingInfo, staking_source},
    system::{View, contract_params, staking_info},
};

#[derive(Debug, Clone, Default)]
struct Hashes(BTreeMap<u64, B256>);

impl BlockHashes for Hashes {
    fn block_hash(&self, number: u64) -> Option<B256> {
        self.0.get(&number).copied()
    }
}

struct Chain {
    config: ChainConfig,
    schedule: ParamSchedule,
    keys: ProposerKeys,
    /// Headers and the states after them.
    done: Vec<(Header, State)>,
    hashes: Arc<Hashes>,
}

impl Chain {
    fn start(genesis: Genesis) -> Self {
        let mut batch = Batch::default();
        let header = genesis_block(&genesis, &mut batch).unwrap();
        let store = Memory::new();
        store.write(batch).unwrap();
        let state = State::open(Arc::new(store), header.state_root);
        let mut schedule = ParamSchedule::new(&genesis.config).unwrap();
        schedule.record(&header).unwrap();
        let hashes = Arc::new(Hashes([(0, header.hash())].into()));
        Self { config: genesis.config, schedule, keys: ProposerKeys::default(), done: vec![(header, state)], hashes }
    }

    fn view(&self, number: u64) -> View<'_> {
        let (header, state) = &self.done[usize::try_from(number).unwrap()];
        View { state, header, config: &self.config }
    }

    fn params(&self, number: u64) -> GovParams {
        let params = GovParams::clone(&self.schedule.at(number));
        match self.schedule.contract_at(number) {
            Some(contract) => contract_params(self.view(number - 1), contract, number, params).unwrap(),
            None => params,
        }
    }

    fn staking(&self, number: u64, params: &GovParams) -> StakingInfo {
        let is_kaia = self.config.is_active(Fork::Kaia, number);
        staking_info(self.view(staking_source(number, params.staking_update_interval, is_kaia))).unwrap()
    }

    fn import(&mut self, block: Block<KlaytnTx>) {
        let header = &block.header;
        let number = header.number;
        let (parent, parent_state) = self.done.last().unwrap().clone();
        let rules = self.config.rules(number);
        let params = self.params(number);
        assert_eq!((number, header.parent_hash), (parent.number + 1, parent.hash()));
        header.check_fork_fields(rules).unwrap();
        if let Some(fee) = header.base_fee {
            assert_eq!(fee, base_fee::next(&parent, &params.kip71).unwrap(), "base fee of {number}");
        }
        if let Some(blob) = self.config.blob_config(number) {
            assert_eq!(header.excess_blob_gas, Some(price::next_excess_blob_gas(&parent, &blob)));
        }
        verify_data(&header.governance, number, &self.schedule).unwrap();
        let proposer = header.proposer().unwrap();
        if rules.has(Fork::Randao) {
            let key = self.keys.key_of(proposer, self.view(parent.number)).unwrap();
            let (reveal, mix) = (header.random_reveal.as_ref().unwrap(), header.mix_hash.as_ref().unwrap());
            key.verify(number, reveal, mix, previous_mix(&self.config, &parent)).unwrap();
        }
        assert_eq!(block.transactions_root(params.list_root()), header.transactions_root);

        let deferred = self.config.governance.as_ref().unwrap().reward.as_ref().unwrap().deferred_tx_fee;
        let context = BlockContext::new(self.config.chain_id, rules, header, proposer)
            .with_deferred_tx_fee(deferred)
            .with_hashes(self.hashes.clone());
        let mut executor = BlockExecutor::new(parent_state, context);
        executor.begin(header.parent_hash).unwrap();
        for (index, tx) in block.transactions.iter().enumerate() {
            let tx = RecoveredKlaytnTx::recover(tx.clone(), self.config.chain_id).unwrap();
            executor.execute(&tx).unwrap_or_else(|error| panic!("transaction {index} of block {number}: {error}"));
        }
        let staking = match params.policy {
            ProposerPolicy::WeightedRandom => self.staking(number, &params),
            _ => StakingInfo::default(),
        };
        let parent = self.view(parent.number);
        let context = FinalizeContext {
            header,
            config: &self.config,
            params: &params,
            staking: &staking,
            parent,
            credit_v2: None,
        };
        let finalized = finalize(&mut executor, context).unwrap();
        if let Some(rebalance) = finalized.rebalance {
            println!("block {number}: {rebalance:?}");
        }
        let result = executor.finish().unwrap();
        let receipts: Vec<Vec<u8>> = result.receipts.iter().map(|receipt| receipt.encode_consensus()).collect();
        assert_eq!(result.gas_used, header.gas_used, "gas of {number}");
        assert_eq!(params.list_root().root(&receipts), header.receipts_root, "receipts of {number}");
        assert_eq!(bloom::union(result.receipts.iter().map(|receipt| &receipt.bloom)), header.logs_bloom);
        assert_eq!(result.state.root(), header.state_root, "state of {number}");

        self.schedule.record(header).unwrap();
        Arc::make_mut(&mut self.hashes).0.insert(number, header.hash());
        self.done.push((block.header, result.state));
    }
}

fn import(genesis: &Path, blocks: &[u8]) -> Chain {
    let genesis: Genesis = serde_json::from_slice(&std::fs::read(genesis).unwrap()).unwrap();
    let mut chain = Chain::start(genesis.prepared().unwrap());
    let mut reader = Reader::new(blocks);
    while !reader.is_empty() {
        chain.import(Block::decode(&mut reader).unwrap());
    }
    chain
}

fn kept(name: &str) -> Chain {
    let dir = common::vectors().join("chains").join(name);
    import(&dir.join("genesis.json"), &std::fs::read(dir.join("blocks.rlp")).unwrap())
}

fn shared(name: &str) -> Option<PathBuf> {
    let dir = common::shared_dir().join("chains").join(name);
    if !dir.is_dir() {
        println!("{} is not there", dir.display());
        return None;
    }
    Some(dir)
}

fn check_shared(name: &str) {
    let Some(dir) = shared(name) else { return };
    let chain = import(&dir.join("genesis.json"), &common::gunzip(&dir.join("blocks.rlp.gz")));
    println!("{name}: {} blocks", chain.done.len() - 1);
}

#[test]
fn a_chain_with_both_treasury_rebalances() {
    assert_eq!(kept("rebalance").done.len(), 31);
}

#[test]
fn a_chain_with_stakes_funds_votes_and_ratified_parameters() {
    assert_eq!(kept("council-weighted").done.len(), 95);
}

#[test]
fn the_protocol_of_2019() {
    check_shared("klaytn-original");
}

#[test]
fn every_fork_one_after_another() {
    check_shared("forks");
}

#[test]
fn a_council_of_four_with_votes_and_randao() {
    check_shared("council-4");
}

#[test]
fn every_transaction_type_under_osaka() {
    check_shared("types-osaka");
}

#[test]
fn large_blocks() {
    check_shared("bulk");
}
