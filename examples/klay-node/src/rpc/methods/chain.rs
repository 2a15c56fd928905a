//! Facts about the node and its chain: ids, versions, forks, `net_`, `web3_`.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes, keccak256};
use klay_core::{Fork, Rules};
use serde_json::{Value, json};

use super::{BOTH, ETH, KAIA};
use crate::rpc::{
    Namespace, RpcError, Services, Table,
    decode::{BlockNonce, BlockNumber, HexUint64},
    shapes::{Object, Put, quantity},
};

/// The sub-protocol version that the reference client names.
const PROTOCOL_VERSION: u64 = 0x43;

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let s = Arc::clone(services);
    table.quick(&BOTH, "blockNumber", move |()| Ok(quantity(s.node.chain().head().number())));
    let chain_id = services.node.config().chain_id;
    table.quick(&BOTH, "chainId", move |()| Ok(quantity(chain_id)));
    table.quick(&KAIA, "chainID", move |()| Ok(quantity(chain_id)));
    let s = Arc::clone(services);
    table.quick(&BOTH, "syncing", move |()| {
        let (head, best) = (s.node.chain().head().number(), s.node.network().map_or(0, |network| network.best_known()));
        if best <= head + 1 {
            return Ok(json!(false));
        }
        Ok(json!({ "startingBlock": "0x0", "currentBlock": quantity(head), "highestBlock": quantity(best) }))
    });
    table.quick(&KAIA, "protocolVersion", |()| Ok(quantity(PROTOCOL_VERSION)));
    let s = Arc::clone(services);
    table.quick(&KAIA, "clientVersion", move |()| Ok(s.client_version.clone()));
    for name in ["isParallelDBWrite", "isSenderTxHashIndexingEnabled"] {
        table.quick(&KAIA, name, |()| Ok(true));
    }
    table.quick(&KAIA, "isConsoleLogEnabled", |()| Ok(false));
    let s = Arc::clone(services);
    table.quick(&KAIA, "forkStatus", move |(number,): (BlockNumber,)| {
        let number = s.height(number);
        if number > s.node.chain().head().number() {
            return Err(RpcError::NoBlockNumber(number));
        }
        let config = s.node.config();
        let is_rebalance = config.kip103.happens_at(number);
        Ok(fork_status(s.node.chain().rules_at(number), config.chain_id, is_rebalance))
    });
    add_eth_constants(table);
    add_net(table, services);
}

/// Answers that Ethereum's clients expect of any node and that mean little here.
fn add_eth_constants(table: &mut Table) {
    table.quick(&ETH, "mining", |()| Ok(false));
    table.quick(&ETH, "hashrate", |()| Ok("0x0"));
    table.quick(&ETH, "getHashrate", |()| Ok(0));
    table.quick(&ETH, "getWork", |()| Err::<(), _>(RpcError::failed("no mining work available yet")));
    table.quick(&ETH, "submitWork", |_: (BlockNonce, B256, B256)| Ok(false));
    table.quick(&ETH, "submitHashrate", |_: (HexUint64, B256)| Ok(false));
}

fn peers(services: &Services) -> Vec<crate::network::PeerInfo> {
    services.node.network().map(crate::network::Network::peers).unwrap_or_default()
}

fn add_net(table: &mut Table, services: &Arc<Services>) {
    let net = [Namespace::Net];
    let id = services.node.network_id();
    table.quick(&net, "version", move |()| Ok(id.to_string()));
    table.quick(&net, "networkID", move |()| Ok(id));
    table.quick(&net, "listening", |()| Ok(true));
    let s = Arc::clone(services);
    table.quick(&net, "peerCount", move |()| Ok(quantity(peers(&s).len() as u64)));
    let s = Arc::clone(services);
    table.quick(&net, "peerCountByType", move |()| {
        let mut counts = std::collections::BTreeMap::from([("total", 0u64)]);
        for peer in peers(&s) {
            *counts.entry("total").or_default() += 1;
            *counts.entry(peer.role.name()).or_default() += 1;
        }
        Ok(json!(counts))
    });
    let s = Arc::clone(services);
    table.quick(&[Namespace::Web3], "clientVersion", move |()| Ok(s.client_version.clone()));
    let sha3 = |(data,): (Bytes,)| Ok(keccak256(data));
    table.quick(&[Namespace::Web3], "sha3", sha3);
    table.quick(&KAIA, "sha3", sha3);
}

fn fork_status(rules: Rules, chain_id: u64, is_kip103: bool) -> Value {
    let mut status = Object::new();
    status.put("ChainID", chain_id);
    for (name, fork) in [
        ("IsIstanbul", Fork::Istanbul),
        ("IsLondon", Fork::London),
        ("IsEthTxType", Fork::EthTxType),
        ("IsMagma", Fork::Magma),
        ("IsKore", Fork::Kore),
        ("IsShanghai", Fork::Shanghai),
        ("IsCancun", Fork::Cancun),
        ("IsRandao", Fork::Randao),
        ("IsKaia", Fork::Kaia),
        ("IsPrague", Fork::Prague),
        ("IsOsaka", Fork::Osaka),
    ] {
        status.put(name, rules.has(fork));
    }
    status.put("IsKIP103", is_kip103);
    Value::Object(status)
}
