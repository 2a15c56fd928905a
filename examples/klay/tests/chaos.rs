//! Networks under faults, for as long as they are asked to: not part of the everyday tests.
//!
//! ```text
//! KLAY_CHAOS=600 cargo test --release -p klay --test chaos -- --nocapture --test-threads 1
//! ```
//!
//! `KLAY_CHAOS` is the time of each story in seconds. The story of links needs the right to make network namespaces.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod adversary;
mod nodes;

use std::{
    collections::BTreeMap,
    fs,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use adversary::Adversary;
use klay_core::B256;
use klay_node::dev::{self, DevAccounts};
use nodes::{Network, Node, WAIT, program, transfer, until};
use serde_json::{Value, json};

/// The time of a story; `None`, said plainly, if it is not to be told.
fn time(story: &str) -> Option<Duration> {
    let seconds = std::env::var("KLAY_CHAOS").ok().and_then(|text| text.parse().ok());
    if seconds.is_none() {
        println!("NOT RUN: {story} (set KLAY_CHAOS to its length in seconds)");
    }
    seconds.map(Duration::from_secs)
}

/// Clients that send one transfer after the other to a node and write down where it landed.
struct Clients {
    seen: Arc<Mutex<BTreeMap<B256, Value>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<Duration>>,
}

impl Clients {
    fn start(node: &Node, count: u32) -> Self {
        let accounts = DevAccounts::derive(dev::MNEMONIC, count).unwrap();
        let (seen, stop) = (Arc::<Mutex<BTreeMap<B256, Value>>>::default(), Arc::new(AtomicBool::new(false)));
        let threads = accounts.keys.into_iter().map(|key| {
            let (node, seen, stop) = (node.clone(), Arc::clone(&seen), Arc::clone(&stop));
            thread::spawn(move || {
                let mut longest = Duration::ZERO;
                for nonce in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let start = Instant::now();
                    let hash = node.send(&transfer(&key, nonce));
                    let receipt = node.wait_for_receipt(hash);
                    longest = longest.max(start.elapsed());
                    seen.lock().unwrap().insert(hash, receipt["blockHash"].clone());
                }
                longest
            })
        });
        let threads = threads.collect();
        Self { seen, stop, threads }
    }

    /// Ends them; every transaction that was seen in a block is still in that block, at every node.
    fn end(self, nodes: &[Node]) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let longest = self.threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap();
        let seen = self.seen.lock().unwrap();
        for (hash, block) in seen.iter() {
            for node in nodes {
                let receipt = node.call("eth_getTransactionReceipt", &json!([hash])).unwrap();
                assert_eq!(receipt["blockHash"], *block, "{hash} is lost or elsewhere at {}", node.url);
            }
        }
        println!("{} transactions, the longest wait for one {longest:?}", seen.len());
        seen.len()
    }
}

#[test]
fn validators_are_killed_one_after_the_other() {
    let Some(time) = time("a validator killed every 20 seconds") else { return };
    let engine = std::env::var("KLAY_ENGINE").unwrap_or_else(|_| "istanbul".to_owned());
    let mut network = Network::start(&engine, 4, 1, &[]);
    network.wait_for_block(2, &[0, 1, 2, 3, 4]);
    let endpoint = network.node(4);
    let clients = Clients::start(&endpoint, 4);
    let mut processes: Vec<u32> = (0..4).map(|index| network.pid(index)).collect();
    let mut recoveries = Vec::new();
    let end = Instant::now() + time;
    for victim in (0..4).cycle() {
        let next = Instant::now() + Duration::from_secs(20);
        nodes::signal("-KILL", processes[usize::from(victim)]);
        thread::sleep(Duration::from_secs(5));
        let head = endpoint.head();
        let start = Instant::now();
        processes[usize::from(victim)] = network.restart(victim);
        until(WAIT, "the validator to be back", || {
            network.node(victim).try_head().is_some_and(|number| number >= head)
        });
        recoveries.push(start.elapsed());
        thread::sleep(next.saturating_duration_since(Instant::now()));
        assert!(endpoint.head() > head, "the chain stands at {head}");
        if Instant::now() >= end {
            break;
        }
    }
    recoveries.sort_unstable();
    println!("{} kills; from the start of the process to the head: {recoveries:?}", recoveries.len());
    let all: Vec<Node> = (0..5).map(|index| network.node(index)).collect();
    assert!(clients.end(&all) > 10);
    let head = endpoint.head();
    network.wait_for_block(head, &[0, 1, 2, 3, 4]);
    network.check_equal(&[0, 1, 2, 3, 4]);
    println!("head {head} after {time:?}");
}

#[test]
fn a_validator_lies() {
    let Some(time) = time("a byzantine validator: equivocation, bad seals, garbage, flood") else { return };
    let network = Network::start("istanbul", 4, 1, &[]);
    network.wait_for_block(2, &[0, 1, 2, 3, 4]);
    network.kill(3);
    let adversary = Adversary::start(&network.folder_of(3));
    let clients = Clients::start(&network.node(4), 2);
    let (start, head) = (Instant::now(), network.node(4).head());
    thread::sleep(time.mul_f32(0.7));
    adversary.rage();
    thread::sleep(time.mul_f32(0.3));
    let blocks = network.node(4).head() - head;
    println!("{blocks} blocks in {:?}, {} lies told", start.elapsed(), adversary.told());
    // Each fourth block waits for a round, at most.
    assert!(blocks >= time.as_secs() / 4, "{blocks} blocks");
    let honest: Vec<Node> = [0, 1, 2, 4].map(|index| network.node(index)).into();
    assert!(clients.end(&honest) > 3);
    network.check_equal(&[0, 1, 2, 4]);
    let counted = |name: &str| -> u64 {
        let value = |node: &Node| {
            let page = node.page("/metrics");
            page.lines().find_map(|line| line.strip_prefix(name)).and_then(|v| v.trim().parse::<u64>().ok())
        };
        honest[..3].iter().filter_map(value).sum()
    };
    println!(
        "evidence {}, refused messages {}",
        counted("klay_evidence_total "),
        counted("klay_consensus_rejected_total ")
    );
    assert!(counted("klay_evidence_total ") > 0);
    assert!(counted("klay_peers_banned ") > 0, "whoever floods is cut off");
    assert_eq!(counted("klay_forks_total "), 0);
}

/// Four validators in network namespaces on one of two bridges.
struct Links {
    processes: Vec<Child>,
}

fn ip(arguments: &str) -> bool {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    Command::new("ip").args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl Links {
    fn start(folder: &std::path::Path) -> Option<Self> {
        Self::remove();
        let is_made = ip("link add klaybr0 type bridge")
            && ip("link add klaybr1 type bridge")
            && ip("addr add 10.77.0.254/24 dev klaybr0")
            && ip("link set klaybr0 up")
            && ip("link set klaybr1 up")
            && (0..4).all(|n| {
                ip(&format!("netns add klay{n}"))
                    && ip(&format!("link add vklay{n} type veth peer name eth0 netns klay{n}"))
                    && ip(&format!("link set vklay{n} master klaybr0 up"))
                    && ip(&format!("-n klay{n} addr add 10.77.0.{}/24 dev eth0", n + 1))
                    && ip(&format!("-n klay{n} link set eth0 up"))
                    && ip(&format!("-n klay{n} link set lo up"))
            });
        if !is_made {
            Self::remove();
            return None;
        }
        let written = Command::new(program())
            .args(["init", "--validators=4", "--host=10.77.0.1,10.77.0.2,10.77.0.3,10.77.0.4", "--http=0.0.0.0:8551"])
            .args(["--ws=off", "--data"])
            .arg(folder)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(written.success());
        let processes = (0..4).map(|n| {
            let node = folder.join(format!("node{n}"));
            let log = fs::File::create(node.join("log")).unwrap();
            Command::new("ip")
                .args(["netns", "exec", &format!("klay{n}")])
                .arg(program())
                .args(["node", "--config"])
                .arg(node.join("node.json"))
                .stderr(log)
                .spawn()
                .unwrap()
        });
        Some(Self { processes: processes.collect() })
    }

    fn node(n: u8) -> Node {
        Node::new(format!("http://10.77.0.{}:8551", n + 1))
    }

    /// Puts a node on this bridge: those on different ones do not see each other.
    fn plug(n: u8, bridge: u8) {
        assert!(ip(&format!("link set vklay{n} master klaybr{bridge}")));
    }

    fn remove() {
        for n in 0..4 {
            ip(&format!("netns del klay{n}"));
            ip(&format!("link del vklay{n}"));
        }
        ip("link del klaybr0");
        ip("link del klaybr1");
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ended = process.kill();
            let _ended = process.wait();
        }
        Self::remove();
    }
}

#[test]
fn links_are_cut_and_healed() {
    let Some(time) = time("links cut between network namespaces") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(links) = Links::start(folder.path()) else {
        println!("NOT RUN: links cut between network namespaces (no right to make them)");
        return;
    };
    let nodes: Vec<Node> = (0..4).map(Links::node).collect();
    until(WAIT, "the first blocks", || nodes.iter().all(|node| node.try_head().is_some_and(|head| head >= 3)));
    let end = Instant::now() + time;
    for turn in 0.. {
        // One is cut off: the others go on; afterwards it catches up.
        let lonely = turn % 4;
        let others: Vec<&Node> = (0..4).filter(|n| *n != lonely).map(|n| &nodes[usize::from(n)]).collect();
        let head = others[0].head();
        Links::plug(lonely, 1);
        until(WAIT, "the majority to go on", || {
            others.iter().all(|node| node.try_head().is_some_and(|h| h > head + 5))
        });
        let (start, head) = (Instant::now(), others[0].head());
        Links::plug(lonely, 0);
        let late = &nodes[usize::from(lonely)];
        until(WAIT, "the lonely one to catch up", || late.try_head().is_some_and(|h| h >= head));
        println!("node {lonely} was back {:?} after its link", start.elapsed());

        // No side has a majority: nothing is decided, and it goes on when the link is back.
        Links::plug(2, 1);
        Links::plug(3, 1);
        thread::sleep(Duration::from_secs(3));
        let head = nodes[0].head();
        thread::sleep(Duration::from_secs(10));
        assert!(nodes[0].head() <= head + 1 && nodes[1].head() <= head + 1, "half of the validators have decided");
        let start = Instant::now();
        Links::plug(2, 0);
        Links::plug(3, 0);
        until(Duration::from_secs(90), "the chain to go on", || {
            nodes.iter().all(|node| node.try_head().is_some_and(|h| h > head + 2))
        });
        println!("the chain went on {:?} after the links", start.elapsed());
        let lowest = nodes.iter().map(Node::head).min().unwrap();
        for number in 1..=lowest {
            let hashes: Vec<Value> = nodes.iter().map(|node| node.block(number)["hash"].clone()).collect();
            assert!(hashes.iter().all(|hash| *hash == hashes[0]), "block {number}: {hashes:?}");
        }
        if Instant::now() >= end {
            break;
        }
    }
    drop(links);
}
