//! Who finds whom, who is let in, and who is cut off: real processes, on hosts of their own where that is possible.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use klay_consensus::{
    istanbul::{RawBlock, check_evidence, seal},
    types::{Evidence, Limits, Misbehaviour},
};
use klay_core::{Address, Bytes};
use serde_json::{Value, json};

use crate::{
    adversary::Adversary,
    hosts::Hosts,
    nodes::{Network, Node, WAIT, until},
};

fn change(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    change(&mut value);
    fs::write(file, value.to_string()).unwrap();
}

fn peers(node: &Node) -> Option<usize> {
    let status: Value = serde_json::from_str(&node.try_page("/status")?).ok()?;
    status["peers"].as_array().map(Vec::len)
}

fn gauge(node: &Node, name: &str) -> u64 {
    let page = node.page("/metrics");
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {page}")).trim().parse().unwrap()
}

/// Three hosts whose nodes know nobody: they meet by mDNS, agree on blocks, and meet again after a link was cut.
#[test]
fn nodes_of_a_local_network_find_each_other() {
    let Some(mut hosts) = Hosts::new("klaymd", 78, 3) else {
        println!("NOT RUN: discovery between network namespaces (no right to make them)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    hosts.init(folder.path(), &["--validators=3"]);
    for n in 0..3 {
        change(&folder.path().join(format!("node{n}/node.json")), |file| file["peers"] = json!([]));
        hosts.start(n, folder.path(), &["--mdns"]);
    }
    let start = Instant::now();
    let nodes: Vec<Node> = (0..3).map(|n| hosts.node(n)).collect();
    until(WAIT, "two peers each", || nodes.iter().all(|node| peers(node) == Some(2)));
    println!("all had met after {:?}", start.elapsed());
    until(WAIT, "the first blocks", || nodes.iter().all(|node| node.try_head().is_some_and(|head| head >= 2)));

    hosts.plug(2, 1);
    until(WAIT, "the others to notice", || peers(&nodes[0]) == Some(1) && peers(&nodes[1]) == Some(1));
    let head = nodes[0].head();
    thread::sleep(Duration::from_secs(2));
    assert!(nodes[0].head() <= head + 1, "two of three have decided");
    hosts.plug(2, 0);
    let start = Instant::now();
    until(WAIT, "all to be back", || nodes.iter().all(|node| node.try_head().is_some_and(|h| h > head + 2)));
    println!("blocks went on {:?} after the link", start.elapsed());
    let hashes: Vec<Value> = nodes.iter().map(|node| node.block(head)["hash"].clone()).collect();
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}

#[test]
fn strangers_are_limited_and_friends_are_not() {
    let mut network = Network::start("istanbul", 1, 3, &[]);
    network.wait_for_block(2, &[0, 1, 2, 3]);
    // Node 0 lets one stranger in; its file names none of the endpoints, theirs name it.
    network.kill(0);
    until(WAIT, "node 0 to be gone", || network.node(0).try_head().is_none());
    network.restart_with(0, &["--max-peers", "1"]);
    let peers_of = |n: u16| peers(&network.node(n));
    until(WAIT, "the one place to be taken", || peers_of(0) == Some(1));
    thread::sleep(Duration::from_secs(3));
    assert_eq!(peers_of(0), Some(1));
    // Those that are turned away have a peer while they try again.
    let connected = || (1..4).filter(|n| peers_of(*n) == Some(1)).count();
    until(WAIT, "one endpoint alone to have a peer", || connected() == 1);

    // Whom it names itself comes in all the same.
    let named: Vec<String> = (1..4)
        .map(|n| {
            let file: Value =
                serde_json::from_slice(&fs::read(network.folder_of(n).join("node.json")).unwrap()).unwrap();
            format!("{}@{}", network.peer_id(n), file["listen"][0].as_str().unwrap())
        })
        .collect();
    network.kill_restarted();
    let more: Vec<&str> = ["--max-peers", "1"].into_iter().chain(named.iter().flat_map(|p| ["--peer", p])).collect();
    network.restart_with(0, &more);
    until(WAIT, "all friends", || peers(&network.node(0)) == Some(3));

    // A peer more, and one less, while it runs.
    network.kill(1);
    until(WAIT, "node 1 to be gone", || network.node(1).try_head().is_none());
    network.restart_with(1, &["--admin"]);
    let peers_of = |n: u16| peers(&network.node(n));
    until(WAIT, "node 1 to be back", || peers_of(1) == Some(1));
    let node = network.node(1);
    assert_eq!(node.call("admin_addPeer", &json!([named[1]])).unwrap(), true);
    until(WAIT, "the new peer", || peers_of(1) == Some(2) && peers_of(2) == Some(2));
    assert_eq!(node.call("admin_removePeer", &json!([named[1]])).unwrap(), true);
    until(WAIT, "the new peer to be gone", || peers_of(1) == Some(1) && peers_of(2) == Some(1));
    let refused = node.call("admin_addPeer", &json!(["kni://abc@127.0.0.1:1"])).unwrap_err();
    assert!(refused.contains("is no address of a peer"), "{refused}");
    assert!(network.node(2).call("admin_addPeer", &json!([named[0]])).is_err(), "only with --admin");
}

/// Evidence of two votes in one view, checked as somebody would who does not trust the node.
fn proven(node: &Node, offender: Address) -> Option<Value> {
    let list = node.call("istanbul_getEvidence", &json!([])).unwrap();
    let is_wanted = |piece: &&Value| piece["kind"] == "doubleVote" && piece["offender"] == json!(offender);
    let piece = list.as_array().unwrap().iter().find(is_wanted)?;
    let bytes: Bytes = serde_json::from_value(piece["encoded"].clone()).unwrap();
    let evidence = Evidence::decode(&bytes, Limits::default()).unwrap();
    assert_eq!((evidence.kind, evidence.offender), (Misbehaviour::DoubleVote, offender));
    let height = format!("{:#x}", evidence.height.get());
    let of_height = node.call("istanbul_getEvidence", &json!([height, height])).unwrap();
    assert!(of_height.as_array().unwrap().contains(piece));
    assert_eq!(
        (&piece["height"], &piece["engine"], &piece["domain"]),
        (&json!(height), &json!("istanbul"), &Value::Null)
    );
    assert_eq!(piece["proof"].as_array().unwrap().len(), 2);
    let validators = node.call("istanbul_getValidators", &json!([height])).unwrap();
    let validators: Vec<Address> = serde_json::from_value(validators).unwrap();
    check_evidence::<RawBlock>(&evidence, &validators, &seal::Recover).unwrap();
    Some(piece.clone())
}

#[test]
fn whoever_floods_is_cut_off_and_the_chain_goes_on() {
    let mut network = Network::start("istanbul", 4, 0, &[]);
    network.wait_for_block(2, &[0, 1, 2, 3]);
    network.kill(3);
    let (adversary, offender) = (Adversary::start(&network.folder_of(3)), network.address(3));
    let honest: Vec<Node> = (0..3).map(|n| network.node(n)).collect();
    until(WAIT, "lies to be told", || adversary.told() > 20);
    let evidence = |node: &Node| proven(node, offender);
    until(WAIT, "evidence", || honest.iter().all(|node| evidence(node).is_some()));
    let kept = evidence(&honest[2]);
    assert!(honest.iter().all(|node| gauge(node, "klay_evidence_total") > 0));
    assert!(honest.iter().all(|node| gauge(node, "klay_peers_banned") == 0), "what it says is well-formed so far");
    adversary.rage();
    until(WAIT, "it to be cut off", || honest.iter().all(|node| gauge(node, "klay_peers_banned") == 1));
    let head = honest[0].head();
    until(WAIT, "blocks without it", || honest.iter().all(|node| node.head() >= head + 5));
    for node in &honest {
        until(WAIT, "two peers and no third", || peers(node) == Some(2));
        assert_eq!(gauge(node, "klay_forks_total"), 0);
    }
    network.check_equal(&[0, 1, 2]);

    network.kill(2);
    until(WAIT, "node 2 to be gone", || network.node(2).try_head().is_none());
    network.restart(2);
    until(WAIT, "node 2 to be back", || network.node(2).try_head().is_some());
    assert_eq!(evidence(&network.node(2)), kept, "a restart forgets nothing");
}
