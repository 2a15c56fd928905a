//! Networks under faults, for as long as they are asked to: not part of the everyday tests.
//!
//! ```text
//! KLAY_CHAOS=600 cargo test --release -p klay --test it -- chaos --nocapture --test-threads 1
//! ```
//!
//! `KLAY_CHAOS` is the time of each story in seconds, `KLAY_ENGINE` the engine (`istanbul` unless told otherwise). The
//! story of links needs the right to make network namespaces. With `KLAY_CLIENTS` set, ethers, viem and caver-js send as
//! well (`npm ci --prefix examples/clients/js` installs them).

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use klay_accounts::wallet::SecretKey;
use klay_core::B256;
use klay_node::dev::{self, DevAccounts};
use serde_json::{Value, json};

use crate::{
    adversary::Adversary,
    hosts::Hosts,
    nodes::{Network, Node, WAIT, signal, transfer, until},
};

/// How long a client waits for a receipt before it sends again, elsewhere.
const PATIENCE: Duration = Duration::from_secs(3);

/// The time of a story; `None`, said plainly, if it is not to be told.
fn time(story: &str) -> Option<Duration> {
    let seconds = std::env::var("KLAY_CHAOS").ok().and_then(|text| text.parse().ok());
    if seconds.is_none() {
        println!("NOT RUN: {story} (set KLAY_CHAOS to its length in seconds)");
    }
    seconds.map(Duration::from_secs)
}

fn engine() -> String {
    std::env::var("KLAY_ENGINE").unwrap_or_else(|_| "istanbul".to_owned())
}

/// Clients that send one transfer after the other and write down in which block they saw it. Each has a node of its own
/// and goes on to the next one when that does not answer.
struct Clients {
    seen: Arc<Mutex<BTreeMap<B256, Value>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<Duration>>,
    foreign: Option<Foreign>,
}

impl Clients {
    fn start(nodes: &[Node], count: u32) -> Self {
        let accounts = DevAccounts::derive(dev::MNEMONIC, count).unwrap();
        let (seen, stop) = (Arc::<Mutex<BTreeMap<B256, Value>>>::default(), Arc::new(AtomicBool::new(false)));
        let threads = accounts.keys.into_iter().enumerate().map(|(index, key)| {
            let client = Client { nodes: nodes.to_vec(), turn: index, key, stop: Arc::clone(&stop) };
            let seen = Arc::clone(&seen);
            thread::spawn(move || client.run(&seen))
        });
        let threads = threads.collect();
        let foreign = std::env::var_os("KLAY_CLIENTS").map(|_| Foreign::start(nodes, &seen));
        Self { seen, stop, threads, foreign }
    }

    /// Ends them; every transaction that was seen in a block is still in that block, at every node.
    fn end(self, nodes: &[Node]) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let longest = self.threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap();
        if let Some(foreign) = self.foreign {
            println!("seen in blocks by other people's clients: {:?}", foreign.end());
        }
        let seen = self.seen.lock().unwrap();
        for node in nodes {
            for (hash, block) in seen.iter() {
                // A node may be catching up.
                let mut receipt = Value::Null;
                until(WAIT, &format!("{hash} at {}", node.url), || {
                    receipt = node.call("eth_getTransactionReceipt", &json!([hash])).unwrap_or_default();
                    !receipt.is_null()
                });
                assert_eq!(receipt["blockHash"], *block, "{hash} is elsewhere at {}", node.url);
            }
        }
        println!("{} transactions seen in blocks, the longest wait for one {longest:?}", seen.len());
        seen.len()
    }
}

/// The clients of `examples/clients/js/steady.mjs`, which nobody here wrote.
struct Foreign {
    process: Child,
    reader: thread::JoinHandle<BTreeMap<String, u32>>,
}

impl Foreign {
    fn start(nodes: &[Node], seen: &Arc<Mutex<BTreeMap<B256, Value>>>) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../clients/js/steady.mjs");
        let mut command = Command::new("node");
        command.arg(script).args(nodes.iter().map(|node| &node.url)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (lines, seen) = (BufReader::new(process.stdout.take().unwrap()).lines(), Arc::clone(seen));
        let reader = thread::spawn(move || {
            let mut counts = BTreeMap::<String, u32>::new();
            for line in lines {
                let line = line.unwrap();
                let [client, hash, block] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
                *counts.entry(client.to_owned()).or_default() += 1;
                seen.lock().unwrap().insert(hash.parse().unwrap(), json!(block));
            }
            counts
        });
        Self { process, reader }
    }

    /// Ends them; how many transactions each has seen in blocks: each at least one.
    fn end(mut self) -> BTreeMap<String, u32> {
        drop(self.process.stdin.take());
        let counts = self.reader.join().unwrap();
        assert!(self.process.wait().unwrap().success());
        assert_eq!(counts.len(), 3, "ethers, viem, caver: {counts:?}");
        counts
    }
}

struct Client {
    nodes: Vec<Node>,
    turn: usize,
    key: SecretKey,
    stop: Arc<AtomicBool>,
}

impl Client {
    /// Sends until it is stopped; the longest wait for a receipt.
    fn run(mut self, seen: &Mutex<BTreeMap<B256, Value>>) -> Duration {
        let mut longest = Duration::ZERO;
        for nonce in 0.. {
            let tx = transfer(&self.key, nonce);
            let (start, raw) = (Instant::now(), klay_core::hex::encode_prefixed(tx.encode()));
            let Some(block) = self.deliver(tx.hash(), &raw) else { break };
            longest = longest.max(start.elapsed());
            seen.lock().unwrap().insert(tx.hash(), block);
        }
        longest
    }

    /// The block that one node shows with it; `None` if it is time to stop.
    fn deliver(&mut self, hash: B256, raw: &str) -> Option<Value> {
        loop {
            let node = &self.nodes[self.turn % self.nodes.len()];
            // It may be there already.
            let _known = node.call("eth_sendRawTransaction", &json!([raw]));
            let sent = Instant::now();
            while sent.elapsed() < PATIENCE {
                if self.stop.load(Ordering::Relaxed) {
                    return None;
                }
                match node.call("eth_getTransactionReceipt", &json!([hash])) {
                    Ok(Value::Null) => thread::sleep(Duration::from_millis(50)),
                    Ok(receipt) => return Some(receipt["blockHash"].clone()),
                    Err(_) => break,
                }
            }
            thread::sleep(Duration::from_millis(50));
            self.turn += 1;
        }
    }
}

/// The sum of a counter over these nodes.
fn counted(nodes: &[Node], name: &str) -> u64 {
    let value = |node: &Node| {
        let page = node.page("/metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.trim().parse::<u64>().ok())
    };
    nodes.iter().filter_map(value).sum()
}

/// All nodes have the same blocks, and none has seen another one.
fn check_chain(nodes: &[Node]) -> u64 {
    let lowest = nodes.iter().map(Node::head).min().unwrap();
    for number in 1..=lowest {
        let blocks: Vec<Value> = nodes.iter().map(|node| node.block(number)).collect();
        for block in &blocks {
            assert_eq!(block["hash"], blocks[0]["hash"], "block {number}");
            assert_eq!(block["stateRoot"], blocks[0]["stateRoot"], "state of block {number}");
        }
    }
    assert_eq!(counted(nodes, "klay_forks_total"), 0);
    lowest
}

fn show(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    if let (Some(first), Some(last)) = (times.first(), times.last()) {
        println!(
            "{what}: {} times, {first:.1?} to {last:.1?}, half within {:.1?}",
            times.len(),
            times[times.len() / 2]
        );
    }
}

#[test]
fn nodes_are_killed_one_after_the_other() {
    let Some(time) = time("a node killed every 20 seconds") else { return };
    let mut network = Network::start(&engine(), 4, 1, &[]);
    network.wait_for_block(2, &[0, 1, 2, 3, 4]);
    let nodes: Vec<Node> = (0..5).map(|index| network.node(index)).collect();
    let clients = Clients::start(&[&nodes[4..], &nodes[..4]].concat(), 6);
    let mut processes: Vec<u32> = (0..5).map(|index| network.pid(index)).collect();
    let mut recoveries = Vec::new();
    let (start, first) = (Instant::now(), nodes[0].head());
    // The endpoint, at which clients are, has its turn too.
    for victim in (0..5).cycle() {
        let (next, witness) = (Instant::now() + Duration::from_secs(20), usize::from((victim + 1) % 5));
        signal("-KILL", processes[usize::from(victim)]);
        thread::sleep(Duration::from_secs(5));
        let (head, back) = (nodes[witness].head(), Instant::now());
        processes[usize::from(victim)] = network.restart(victim);
        until(WAIT, "the node to be back", || nodes[usize::from(victim)].try_head().is_some_and(|n| n >= head));
        recoveries.push(back.elapsed());
        thread::sleep(next.saturating_duration_since(Instant::now()));
        assert!(nodes[witness].head() > head, "the chain stands at {head}");
        if start.elapsed() >= time {
            break;
        }
    }
    show("killed and back at the head", &mut recoveries);
    assert!(clients.end(&nodes) > 10);
    let head = nodes[0].head();
    network.wait_for_block(head, &[0, 1, 2, 3, 4]);
    println!("{} blocks in {:?}, the same at all nodes up to {}", head - first, start.elapsed(), check_chain(&nodes));
}

#[test]
fn a_validator_lies() {
    let Some(time) = time("a byzantine validator: equivocation, bad seals, garbage, flood") else { return };
    let engine = engine();
    let network = Network::start(&engine, 4, 1, &[]);
    network.wait_for_block(2, &[0, 1, 2, 3, 4]);
    network.kill(3);
    let honest: Vec<Node> = [0, 1, 2, 4].map(|index| network.node(index)).into();
    let adversary = Adversary::start(&network.folder_of(3));
    let clients = Clients::start(&[&honest[3..], &honest[..3]].concat(), 6);
    let (start, first) = (Instant::now(), honest[3].head());
    let blocks = || honest[3].head() - first;
    thread::sleep(time.mul_f32(0.7));
    println!("{} blocks in {:?} beside {} lies", blocks(), start.elapsed(), adversary.told());
    let (head, turn) = (honest[3].head(), Instant::now());
    adversary.rage();
    thread::sleep(time.mul_f32(0.3));
    println!("{} blocks in {:?} of flood", honest[3].head() - head, turn.elapsed());
    // Each fourth block waits for a round, at most.
    assert!(blocks() >= time.as_secs() / 4, "{} blocks", blocks());
    assert!(clients.end(&honest) > 3);
    check_chain(&honest);
    println!(
        "evidence {}, refused messages {}, undecodable ones {}, misdeeds {}",
        counted(&honest, "klay_evidence_total"),
        counted(&honest, "klay_consensus_rejected_total"),
        counted(&honest, "klay_consensus_malformed_total"),
        counted(&honest, "klay_misdeeds_flood_total"),
    );
    // It speaks Istanbul; to the other engines all of it is noise.
    assert!(engine != "istanbul" || counted(&honest[..3], "klay_evidence_total") > 0);
    assert_eq!(counted(&honest[..3], "klay_peers_banned"), 3, "whoever floods is cut off");
}

#[test]
fn links_are_cut_and_healed() {
    let Some(time) = time("links cut between network namespaces") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(mut hosts) = Hosts::new("klay", 77, 4) else {
        println!("NOT RUN: links cut between network namespaces (no right to make them)");
        return;
    };
    hosts.init(folder.path(), &["--validators=4", &format!("--engine={}", engine())]);
    (0..4).for_each(|n| hosts.start(n, folder.path(), &[]));
    let nodes: Vec<Node> = (0..4).map(|n| hosts.node(n)).collect();
    until(WAIT, "the first blocks", || nodes.iter().all(|node| node.try_head().is_some_and(|head| head >= 3)));
    let clients = Clients::start(&nodes, 4);
    let (start, mut back, mut on) = (Instant::now(), Vec::new(), Vec::new());
    for turn in 0.. {
        // One is cut off: the others go on; afterwards it catches up.
        let lonely = turn % 4;
        let others: Vec<&Node> = (0..4).filter(|n| *n != lonely).map(|n| &nodes[usize::from(n)]).collect();
        // The host of the tests is beside the others; it cannot ask the lonely one.
        let head = others[0].head();
        hosts.plug(lonely, 1);
        thread::sleep(Duration::from_secs(15));
        until(WAIT, "the majority to go on", || {
            others.iter().all(|node| node.try_head().is_some_and(|h| h > head + 5))
        });
        let (healed, head) = (Instant::now(), others[0].head());
        hosts.plug(lonely, 0);
        let late = &nodes[usize::from(lonely)];
        until(WAIT, "the lonely one to catch up", || late.try_head().is_some_and(|h| h >= head));
        back.push(healed.elapsed());

        // No side has a majority: nothing is decided, and it goes on when the link is back.
        hosts.plug(2, 1);
        hosts.plug(3, 1);
        thread::sleep(Duration::from_secs(3));
        let head = nodes[0].head();
        thread::sleep(Duration::from_secs(12));
        assert!(nodes[0].head() <= head + 1 && nodes[1].head() <= head + 1, "half of the validators have decided");
        let healed = Instant::now();
        hosts.plug(2, 0);
        hosts.plug(3, 0);
        until(Duration::from_secs(90), "the chain to go on", || {
            nodes.iter().all(|node| node.try_head().is_some_and(|h| h > head + 2))
        });
        on.push(healed.elapsed());
        check_chain(&nodes);
        if start.elapsed() >= time {
            break;
        }
    }
    show("cut off alone, caught up after its link was back", &mut back);
    show("two against two, three blocks more after the links were back", &mut on);
    assert!(clients.end(&nodes) > 10);
    println!("head {} after {:?}", check_chain(&nodes), start.elapsed());
}
