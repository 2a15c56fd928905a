//! Four validators in one process. Which engine they run is one line.
//!
//! ```sh
//! cargo run --release -p klay-node --example swap_engine
//! ```

#![allow(dead_code, reason = "the test of this example calls `decide` with every engine")]

use std::{
    error::Error,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use klay_accounts::wallet::SecretKey;
use klay_core::config::ChainConfig;
use klay_node::{
    Node, NodeConfig,
    dev::{self, DevAccounts},
    driver::EngineKind,
    network::{NetworkConfig, Role, peer_id},
    node::{Membership, Validator},
};

/// The one line: `Istanbul`, `Justified` or `Simplex`.
const ENGINE: EngineKind = EngineKind::Justified;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for (number, proposer) in decide(ENGINE, 5).await? {
        println!("block {number} by {proposer}");
    }
    Ok(())
}

/// Lets four validators with this engine decide some blocks, and returns numbers and proposers.
pub(crate) async fn decide(engine: EngineKind, blocks: u64) -> Result<Vec<(u64, String)>, Box<dyn Error>> {
    let keys = (1..=4).map(|n| SecretKey::from_slice(&[n; 32])).collect::<Result<Vec<_>, _>>()?;
    let accounts = DevAccounts::derive(dev::MNEMONIC, 1)?;
    let owner = accounts.authority.address();
    let genesis = accounts.network_genesis(ChainConfig::all_forks(dev::CHAIN_ID), &keys, owner).prepared()?;
    let places = free_places(keys.len())?;

    let mut nodes = Vec::new();
    for (me, key) in keys.iter().enumerate() {
        let mut network = NetworkConfig::new(key.clone(), Role::Consensus);
        network.listen.extend(places.get(me));
        for (peer, place) in keys.iter().zip(&places).take(me) {
            network.peers.push(format!("{}@{place}", peer_id(peer)?).parse()?);
        }
        let validator = Some(Validator::new(key.clone()));
        let membership = Membership { network, engine, block_time: 1, validator };
        nodes.push(Node::start(NodeConfig { membership: Some(membership), ..NodeConfig::new(genesis.clone()) }).await?);
    }
    while nodes.iter().any(|node| node.chain().head().number() < blocks) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut decided = Vec::new();
    for number in 1..=blocks {
        let hashes = nodes.iter().map(|node| node.chain().header(number).map(|header| header.hash()));
        let hashes = hashes.collect::<Result<Vec<_>, _>>()?;
        assert!(hashes.windows(2).all(|two| two[0] == two[1]), "one block at each height");
        let proposer = nodes[0].chain().header(number)?.proposer().ok_or("a block without a seal")?;
        decided.push((number, proposer.to_string()));
    }
    for node in nodes {
        node.stop().await;
    }
    Ok(decided)
}

fn free_places(count: usize) -> Result<Vec<SocketAddr>, Box<dyn Error>> {
    // Held together, so that no two are the same.
    let held = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    Ok(held.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?)
}
