//! `admin_`, `debug_dumpBlock` and `debug_preimage`: the node, its chain as a file, its state with names.

use std::time::Duration;

use alloy_primitives::{Address, B256, U256, hex, keccak256};
use klay_core::ChainConfig;
use klay_node::{
    NodeConfig,
    chain::ChainOptions,
    dev::{self, DevAccounts},
    node::Authority,
    rpc::{Limits, Services, table},
};
use serde_json::{Value, json};

use crate::common::rpc::Rpc;

/// In each block, in peb.
const MINTED: U256 = U256::from_limbs([9, 0, 0, 0]);

/// A node whose states stay readable and whose chain can be written and read as a file.
async fn node(authority: impl FnOnce(&DevAccounts) -> Option<Authority>) -> Rpc {
    let accounts = DevAccounts::derive(dev::MNEMONIC, 2).unwrap();
    let mut config = ChainConfig::all_forks(dev::CHAIN_ID);
    config.governance.get_or_insert_default().reward.get_or_insert_default().minting_amount = MINTED;
    let validators = core::slice::from_ref(&accounts.authority);
    let genesis = accounts.network_genesis(config, validators, Address::ZERO).prepared().unwrap();
    Rpc::with_files(NodeConfig {
        wallet: accounts.wallet(),
        authority: authority(&accounts),
        chain: ChainOptions::archive(),
        ..NodeConfig::new(genesis)
    })
    .await
}

async fn instant() -> Rpc {
    node(|accounts| Some(Authority::instant(accounts.authority.clone()))).await
}

impl Rpc {
    /// A contract that stores 1 in slot 1 and 200 in slot 2 while it is made, and has no code.
    async fn storing_contract(&self) -> Address {
        let receipt = self.send(json!({ "gas": "0x30d40", "input": "0x600160015560c860025500" })).await;
        receipt["contractAddress"].as_str().unwrap().parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_dumped_with_the_names_of_accounts_and_slots() {
    let dev = instant().await;
    let contract = dev.storing_contract().await;
    let dump = dev.ok("debug_dumpBlock", json!(["latest"])).await;
    let head = dev.node.chain().head();
    assert_eq!(dump["root"], hex::encode(head.header.state_root));
    let account = &dump["accounts"][hex::encode(contract)];
    assert_eq!((&account["nonce"], &account["balance"]), (&json!(1), &json!("0")));
    let slot = |n: u8| hex::encode(B256::with_last_byte(n));
    // Words are shown as they stand in the leaves: RLP.
    assert_eq!(account["storage"], json!({ slot(1): "01", slot(2): "81c8" }));
    for (name, account) in dump["accounts"].as_object().unwrap() {
        let address: Address = name.parse().unwrap();
        let balance = dev.ok("eth_getBalance", json!([address, "latest"])).await;
        let balance = u128::from_str_radix(&balance.as_str().unwrap()[2..], 16).unwrap();
        assert_eq!(account["balance"], balance.to_string());
    }
    let genesis = dev.ok("debug_dumpBlock", json!(["0x0"])).await;
    assert!(genesis["accounts"].get(hex::encode(contract)).is_none());
    assert_eq!(dev.refusal("debug_dumpBlock", json!(["0xffff"])).await, "block #65535 not found");

    assert_eq!(dev.ok("debug_preimage", json!([keccak256(contract)])).await, json!(contract));
    assert_eq!(
        dev.ok("debug_preimage", json!([keccak256(B256::with_last_byte(2))])).await,
        json!(format!("0x{}", slot(2)))
    );
    assert_eq!(dev.refusal("debug_preimage", json!([B256::ZERO])).await, "unknown preimage");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_goes_into_a_file_and_into_another_node() {
    let dev = instant().await;
    dev.storing_contract().await;
    dev.node.stop().await;
    let folder = tempfile::tempdir().unwrap();
    for name in ["chain.rlp", "chain.rlp.gz"] {
        let file = folder.path().join(name).display().to_string();
        assert_eq!(dev.ok("admin_exportChain", json!([file])).await, true);
        let again = dev.refusal("admin_exportChain", json!([file])).await;
        assert_eq!(again, "location would overwrite an existing file");
        let other = node(|_| None).await;
        assert_eq!(other.ok("admin_importChain", json!([file])).await, true);
        assert_eq!(other.node.chain().head().hash, dev.node.chain().head().hash);
        assert_eq!(other.ok("admin_importChain", json!([file])).await, true, "nothing is new");
    }
    let block = dev.ok("debug_getBlockRlp", json!(["0x1"])).await;
    let other = node(|_| None).await;
    assert_eq!(other.ok("admin_importChainFromString", json!([block])).await, true);
    assert_eq!(other.node.chain().head().number(), 1);
    let file = |name: &str| folder.path().join(name).display().to_string();
    let missing = other.refusal("admin_importChain", json!([file("none")])).await;
    assert_eq!(missing, format!("open {}: no such file or directory", file("none")));
    let last_only = other.refusal("admin_exportChain", json!([file("a"), null, "0x1"])).await;
    assert_eq!(last_only, "last cannot be specified without first");
    let turned = other.refusal("admin_exportChain", json!([file("b"), "0x1", "0x0"])).await;
    assert_eq!(turned, "export failed: first (1) is greater than last (0)");
    let beyond = other.refusal("admin_exportChain", json!([file("c"), "0x0", "0x9"])).await;
    assert!(beyond.starts_with("export failed on #") && beyond.ends_with(": not found"), "{beyond}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_for_those_who_were_let_in() {
    let dev = node(|_| None).await;
    let everybody = table(&Services::new(dev.node, Limits::default()));
    for name in ["exportChain", "importChain", "importChainFromString"] {
        assert!(everybody.find(&format!("admin_{name}")).is_none(), "{name}");
    }
    assert!(everybody.find("admin_nodeInfo").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_says_who_it_is() {
    let dev = instant().await;
    let info = dev.ok("admin_nodeInfo", json!([])).await;
    let author = dev.node.author().unwrap();
    assert_eq!(info["nodeAddress"], author.to_string());
    assert_eq!(info["blsPublicKeyInfo"]["publicKey"].as_str().unwrap().len(), 96);
    assert_eq!(info["blsPublicKeyInfo"]["pop"].as_str().unwrap().len(), 192);
    assert_eq!(info["protocols"]["istanbul"]["genesis"], json!(dev.node.chain().genesis_hash()));
    assert_eq!(info["protocols"]["istanbul"]["network"], dev::CHAIN_ID);
    for member in ["id", "name", "kni", "ip", "ports", "listenAddr"] {
        assert!(info.get(member).is_some(), "{member}");
    }
    assert_eq!(dev.ok("admin_peers", json!([])).await, json!([]));
    assert_eq!(dev.ok("admin_datadir", json!([])).await, "");
}

/// Sums are kept as blocks are appended; what an older store lacks is added up from the blocks, to the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_is_known_without_reading_the_chain() {
    let dev = node(|accounts| Some(Authority::interval(accounts.authority.clone(), Duration::from_millis(1)))).await;
    while dev.node.chain().head().number() < 130 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    dev.node.stop().await;
    let minted = |answer: Value| {
        let text = answer["totalMinted"].as_str().unwrap().trim_start_matches("0x").to_owned();
        U256::from_str_radix(&text, 16).unwrap()
    };
    let at = async |number: u64| minted(dev.ok("kaia_getTotalSupply", json!([format!("{number:#x}")])).await);
    let first = at(0).await;
    for number in [1, 127, 128, 129, 130] {
        assert_eq!(at(number).await - first, MINTED * U256::from(number));
    }
}
