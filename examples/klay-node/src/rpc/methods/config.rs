//! `eth_config`: the forks around the head (EIP-7910 as KIP-276 has it).

use std::sync::Arc;

use alloy_eips::eip2124::ForkHash;
use klay_core::{
    Fork,
    config::{ChainConfig, Rebalance},
    genesis::CYPRESS_GENESIS_HASH,
};
use klay_vm::{
    block::HISTORY_ADDRESS,
    precompiles,
    system::{ADDRESS_BOOK_ADDRESS, CREDIT_ADDRESS, REGISTRY_ADDRESS},
};
use serde_json::{Value, json};

use super::ETH;
use crate::rpc::{
    Services, Table,
    shapes::{Object, Put, bytes},
};

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.quick(&ETH, "config", move |()| {
        let head = s.node.chain().head().number();
        let forks = fork_blocks(s.node.config());
        let (past, ahead) = forks.split_at(forks.partition_point(|block| *block <= head));
        let show = |block: Option<&u64>| block.map_or(Value::Null, |block| at_fork(&s, &forks, *block));
        Ok(json!({
            "current": at_fork(&s, &forks, past.last().copied().unwrap_or(0)),
            "next": show(ahead.first()),
            "last": show(ahead.last()),
        }))
    });
}

/// The blocks at which something begins, in ascending order; block 0 is none of them.
fn fork_blocks(config: &ChainConfig) -> Vec<u64> {
    let forks = Fork::SCHEDULED.into_iter().filter_map(|fork| config.forks.block(fork));
    let rebalances = [config.kip103.block, config.kip160.block].into_iter().flatten();
    let mut blocks: Vec<_> = forks.chain(rebalances).filter(|block| *block != 0).collect();
    blocks.sort_unstable();
    blocks.dedup();
    blocks
}

fn at_fork(s: &Services, forks: &[u64], block: u64) -> Value {
    let config = s.node.config();
    let mut contracts = Object::new();
    for (address, name) in precompiles(config.rules(block)) {
        contracts.put_hex(name, address);
    }
    let blobs = config.blob_config(block).map(|blobs| {
        json!({
            "target": blobs.target,
            "max": blobs.max,
            "baseFeeUpdateFraction": blobs.base_fee_update_fraction,
        })
    });
    let passed = forks.iter().filter(|fork| **fork <= block);
    let id = passed.fold(ForkHash::from(s.node.chain().genesis_hash()), |id, fork| id + *fork);
    json!({
        "blobSchedule": blobs,
        "chainId": format!("{:#x}", config.chain_id),
        "forkId": bytes(id.0),
        "precompiles": contracts,
        "systemContracts": system_contracts(s, block),
    })
}

fn system_contracts(s: &Services, block: u64) -> Object {
    let config = s.node.config();
    let mut contracts = Object::new();
    contracts.put_hex("ADDRESS_BOOK", ADDRESS_BOOK_ADDRESS);
    if config.is_active(Fork::Prague, block) {
        contracts.put_hex("HISTORY_STORAGE_ADDRESS", HISTORY_ADDRESS);
    }
    if config.is_active(Fork::Randao, block) {
        contracts.put_hex("REGISTRY", REGISTRY_ADDRESS);
    }
    let is_past = |rebalance: &Rebalance| rebalance.block.is_some_and(|at| at <= block);
    for (name, rebalance) in [("KIP103", config.kip103), ("KIP160", config.kip160)] {
        if is_past(&rebalance) {
            contracts.put_hex(name, rebalance.contract);
        }
    }
    if s.node.chain().genesis_hash() == CYPRESS_GENESIS_HASH {
        contracts.put_hex("MAINNET_CREDIT", CREDIT_ADDRESS);
    }
    contracts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_are_told_once_and_in_order() {
        let mut config = ChainConfig::all_forks(1);
        assert!(fork_blocks(&config).is_empty());
        config.forks = config.forks.with(Fork::Osaka, 9).with(Fork::Prague, 7);
        config.kip160 = Rebalance { block: Some(7), ..Rebalance::default() };
        config.kip103 = Rebalance { block: Some(3), ..Rebalance::default() };
        assert_eq!(fork_blocks(&config), [3, 7, 9]);
    }
}
