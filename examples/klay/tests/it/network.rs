//! Networks of real processes: the `klay` program starts them, they talk over TCP, and clients talk to them.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use klay_core::units::KLAY;
use klay_node::{
    dev::{self, DevAccounts},
    network::{
        Role,
        wire::{Request, Status},
    },
};
use serde_json::{Value, json};

use crate::{
    adversary::Boaster,
    nodes::{self, Network, WAIT, transfer},
};

#[test]
fn four_validators_and_an_endpoint_agree_lose_one_and_take_it_back() {
    let accounts = DevAccounts::derive(dev::MNEMONIC, 2).unwrap();
    let mut network = Network::start("istanbul", 4, 1, &[]);
    let endpoint = network.node(4);
    network.wait_for_block(3, &[0, 1, 2, 3, 4]);

    // A client speaks to the endpoint alone; its transaction is in a block that everybody has.
    let hash = endpoint.send(&transfer(&accounts.keys[0], 0));
    let receipt = endpoint.wait_for_receipt(hash);
    let number = nodes::number(&receipt["blockNumber"]);
    network.wait_for_block(number, &[0, 1, 2, 3, 4]);
    for index in 0..5 {
        let seen = network.node(index).call("eth_getTransactionReceipt", &json!([hash])).unwrap();
        assert_eq!((&seen["blockHash"], &seen["status"]), (&receipt["blockHash"], &json!("0x1")), "node {index}");
    }

    // One of four may fail: the others go on, and clients notice nothing but a pause.
    network.kill(1);
    let head = endpoint.head();
    network.wait_for_block(head + 4, &[0, 2, 3, 4]);
    let hash = endpoint.send(&transfer(&accounts.keys[0], 1));
    endpoint.wait_for_receipt(hash);

    // It comes back, catches up and takes part again: with another one gone the quorum needs it.
    network.restart(1);
    let head = endpoint.head();
    network.wait_for_block(head, &[1]);
    network.kill(2);
    network.wait_for_block(head + 6, &[0, 1, 3, 4]);
    network.restart(2);
    let head = network.node(0).head();
    network.wait_for_block(head, &[2]);
    network.check_equal(&[0, 1, 2, 3, 4]);

    // Only what was signed is in the blocks: three of four seals or more.
    let block = endpoint.call("kaia_getBlockByNumber", &json!([format!("0x{head:x}"), false])).unwrap();
    let extra = klay_core::hex::decode(block["extraData"].as_str().unwrap()).unwrap();
    assert!(klay_core::block::IstanbulExtra::decode(&extra).unwrap().committed_seals.len() >= 3);
    let minted = endpoint.call("eth_getBalance", &json!([accounts.keys[1].address(), "latest"])).unwrap();
    assert_eq!(nodes::big(&minted), klay_core::U256::from(dev::BALANCE) * KLAY);

    let metrics = network.node(0).page("/metrics");
    assert!(metrics.contains("klay_signature_recoveries_total 2\n"), "one recovery per transaction: {metrics}");
    assert!(metrics.contains("klay_forks_total 0\n"));
    assert_eq!(network.node(3).page("/ready"), "ready\n");
    assert_eq!(network.node(3).page("/health"), "ok\n");
}

/// A height is only a word: whoever speaks of blocks and has none keeps nobody from those who have them.
#[test]
fn a_stranger_who_speaks_of_blocks_that_nobody_has_delays_nobody() {
    let accounts = DevAccounts::derive(dev::MNEMONIC, 1).unwrap();
    let mut network = Network::start("istanbul", 4, 0, &[]);
    network.wait_for_block(2, &[0, 1, 2, 3]);
    let genesis = network.node(0).block(0)["hash"].as_str().unwrap().parse().unwrap();
    let status = Status {
        role: Role::Endpoint,
        chain_id: nodes::number(&network.node(0).call("eth_chainId", &json!([])).unwrap()),
        genesis,
        engine: "istanbul".to_owned(),
        number: u64::MAX,
        hash: genesis,
    };
    let peers = network.peers_of(0);
    let boaster = Boaster::start(&peers, &status);

    // A validator comes back while the others are a few blocks ahead, and without it they are too few.
    network.kill(1);
    let head = network.node(0).head();
    network.wait_for_block(head + 4, &[0, 2, 3]);
    network.restart(1);
    network.kill(2);
    network.wait_for_block(head + 8, &[0, 1, 3]);

    // Nor does it get more than it may by asking for one thing many times.
    let hash = network.node(0).send(&transfer(&accounts.keys[0], 0));
    network.node(1).wait_for_receipt(hash);
    let asked = Request::Transactions(vec![hash; 1_024]);
    assert_eq!(boaster.ask(&peers[0], &asked).0.len(), 1);
}

#[test]
fn a_network_goes_on_after_it_was_stopped_and_changes_its_validators_by_votes() {
    let mut network = Network::start("justified", 4, 0, &["--epoch", "5"]);
    network.wait_for_block(2, &[0, 1, 2, 3]);
    let copy = network.copy_log(0);
    network.wait_for_block(4, &[0, 1, 2, 3]);
    network.stop();

    // Without its log, or with an older one, a key that has signed does not sign: it would not know what it said.
    let log = network.folder_of(0).join("consensus");
    let kept = network.folder_of(0).join("kept");
    std::fs::rename(&log, &kept).unwrap();
    assert!(network.refusal(0).contains("the key has signed in block"));
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::rename(&copy, &log).unwrap();
    assert!(network.refusal(0).contains("the key has signed in block"));
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::rename(&kept, &log).unwrap();

    network.begin();
    network.wait_for_block(6, &[0, 1, 2, 3]);

    // The fourth validator is voted out, then in again; each vote acts from the block after its own.
    let fourth = network.address(3);
    let council = |network: &Network| {
        let council = network.node(0).call("kaia_getCouncil", &json!(["latest"])).unwrap();
        council.as_array().unwrap().len()
    };
    network.node(0).call("governance_vote", &json!(["governance.removevalidator", fourth])).unwrap();
    nodes::until(WAIT, "the vote to act", || council(&network) == 3);
    let head = network.node(0).head();
    network.wait_for_block(head + 3, &[0, 1, 2, 3]);
    network.node(1).call("governance_vote", &json!(["governance.addvalidator", fourth])).unwrap();
    nodes::until(WAIT, "the other vote to act", || council(&network) == 4);

    // A parameter is ratified at the next epoch and acts one epoch later.
    network.node(2).call("governance_vote", &json!(["kip71.gastarget", 15_000_000])).unwrap();
    let target = |network: &Network| {
        let params = network.node(3).call("governance_getParams", &json!(["latest"])).unwrap();
        params["kip71.gastarget"].as_u64()
    };
    nodes::until(WAIT, "the parameter to act", || target(&network) == Some(15_000_000));
    assert!(network.node(0).call("governance_vote", &json!(["istanbul.epoch", 1])).is_err());
    network.check_equal(&[0, 1, 2, 3]);
}

#[test]
fn an_option_that_contradicts_the_folder_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let klay = |command: &str, option: &str| {
        let mut klay = Command::new(nodes::program());
        klay.args([command, option, "--data"]).arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        klay
    };
    assert!(klay("init", "--host=127.0.0.1").arg("--validators=1").status().unwrap().success());
    let config = folder.path().join("node0").join("node.json");
    let before = std::fs::read(&config).unwrap();
    let mut process = klay("network", "--engine=simplex").spawn().unwrap();
    let start = Instant::now();
    while process.try_wait().unwrap().is_none() && start.elapsed() < WAIT {
        thread::sleep(Duration::from_millis(20));
    }
    // Does nothing to one that has ended.
    process.kill().unwrap();
    let refused = process.wait_with_output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert!(said.contains("was made with --engine istanbul, not simplex; give another --data or remove it"), "{said}");
    assert_eq!(std::fs::read(&config).unwrap(), before);
    assert!(!folder.path().join("pids").exists() && !folder.path().join("node0").join("log").exists());
}

/// As an operator does it: a node that follows, its BLS key registered by the registrar, a vote of one validator.
#[test]
fn a_validator_joins_after_the_genesis() {
    let accounts = DevAccounts::derive(dev::MNEMONIC, 2).unwrap();
    let mut network = Network::start("istanbul", 4, 0, &[]);
    network.wait_for_block(2, &[0, 1, 2, 3]);
    let key = network.join(4, "istanbul");
    network.restart(4);
    let head = network.node(0).head();
    network.wait_for_block(head, &[4]);

    let shown = Command::new(nodes::program()).args(["key", "bls"]).arg(network.folder_of(4).join("nodekey")).output();
    let shown: Value = serde_json::from_slice(&shown.unwrap().stdout).unwrap();
    assert_eq!(shown["address"], json!(key.address()));
    let to = shown["register"]["to"].as_str().unwrap().parse().unwrap();
    let input: klay_core::Bytes = shown["register"]["input"].as_str().unwrap().parse().unwrap();
    let infos = |network: &Network| network.node(4).call("kaia_getBlsInfos", &json!(["latest"])).unwrap();
    assert_eq!(infos(&network).as_object().unwrap().len(), 4);

    // Only the registrar, the first development account, may write there.
    for (account, may) in [(1, false), (0, true)] {
        let hash = network.node(1).send(&nodes::contract_call(&accounts.keys[account], 0, to, input.clone()));
        let receipt = network.node(4).wait_for_receipt(hash);
        assert_eq!(receipt["status"] == "0x1", may, "{receipt}");
    }
    nodes::until(WAIT, "the key to be known", || infos(&network).as_object().unwrap().len() == 5);
    let address = key.address().to_string().to_lowercase();
    let infos = infos(&network);
    let info = infos.as_object().unwrap().iter().find(|(node, _)| node.to_lowercase() == address).unwrap().1;
    assert_eq!(format!("0x{}", info["publicKey"].as_str().unwrap()), shown["publicKey"]);
    assert!(info["verifyErr"].is_null());

    network.node(2).call("governance_vote", &json!(["governance.addvalidator", key.address()])).unwrap();
    let council = |network: &Network| {
        network.node(0).call("kaia_getCouncil", &json!(["latest"])).unwrap().as_array().unwrap().len()
    };
    nodes::until(WAIT, "the vote to act", || council(&network) == 5);
    // Rewards of a block go to its proposer here.
    let head = network.node(0).head();
    let mut proposed = None;
    nodes::until(WAIT, "a block of the fifth", || {
        let newest = network.node(0).head();
        proposed = (head..=newest).find(|number| network.node(0).block(*number)["miner"] == *address);
        proposed.is_some()
    });
    // With four of five the chain needs it: one of the others goes.
    network.kill(3);
    let head = network.node(0).head();
    network.wait_for_block(head + 5, &[0, 1, 2, 4]);
    network.check_equal(&[0, 1, 2, 4]);
}

#[test]
fn simplex_decides_too_and_survives_one() {
    let accounts = DevAccounts::derive(dev::MNEMONIC, 1).unwrap();
    let mut network = Network::start("simplex", 4, 0, &[]);
    network.wait_for_block(3, &[0, 1, 2, 3]);
    let hash = network.node(1).send(&transfer(&accounts.keys[0], 0));
    network.node(2).wait_for_receipt(hash);
    network.kill(3);
    let head = network.node(0).head();
    network.wait_for_block(head + 4, &[0, 1, 2]);
    network.restart(3);
    let head = network.node(0).head();
    network.wait_for_block(head + 4, &[0, 1, 2, 3]);
    network.check_equal(&[0, 1, 2, 3]);
}
