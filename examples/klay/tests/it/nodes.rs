//! Starts networks of processes and speaks with them.

#![allow(unreachable_pub, missing_debug_implementations)]

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use klay_accounts::wallet::SecretKey;
use klay_core::{Address, B256, Bytes, U256, tx::LegacyTx, units::STON};
use klay_node::{KlaytnTx, dev};
use serde_json::{Value, json};

/// Longest wait for anything.
pub const WAIT: Duration = Duration::from_secs(120);

/// A network in a folder of its own, ended and removed when this is dropped.
pub struct Network {
    pub folder: tempfile::TempDir,
    base: u16,
    arguments: Vec<String>,
    process: Option<Child>,
    restarted: Vec<Child>,
}

/// The JSON-RPC of one node.
#[derive(Clone)]
pub struct Node {
    agent: ureq::Agent,
    pub url: String,
}

impl Network {
    pub fn start(engine: &str, validators: u16, endpoints: u16, more: &[&str]) -> Self {
        let base = free_base(2 * (validators + endpoints));
        let mut arguments = vec![
            "network".to_owned(),
            format!("--validators={validators}"),
            format!("--endpoints={endpoints}"),
            format!("--engine={engine}"),
            format!("--http-base={base}"),
        ];
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let folder = tempfile::tempdir().unwrap();
        let mut network = Self { folder, base, arguments, process: None, restarted: Vec::new() };
        network.begin();
        network
    }

    pub fn begin(&mut self) {
        let start = Instant::now();
        let process = Command::new(program())
            .args(&self.arguments)
            .arg("--data")
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        self.process = Some(process);
        until(WAIT, "the first answer", || self.node(0).try_head().is_some());
        println!("first answer after {:?}", start.elapsed());
    }

    /// Ctrl-C.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        signal("-INT", process.id());
        let ended = Instant::now() + WAIT;
        while process.try_wait().unwrap().is_none() {
            assert!(Instant::now() < ended, "the network does not end");
            thread::sleep(Duration::from_millis(20));
        }
        assert!(!self.folder.path().join("pids").exists());
    }

    pub fn node(&self, index: u16) -> Node {
        Node::new(format!("http://127.0.0.1:{}", self.base + 2 * index))
    }

    pub fn folder_of(&self, index: u16) -> PathBuf {
        self.folder.path().join(format!("node{index}"))
    }

    pub fn pid(&self, index: u16) -> u32 {
        let pids = fs::read_to_string(self.folder.path().join("pids")).unwrap();
        pids.lines().nth(index.into()).unwrap().parse().unwrap()
    }

    pub fn kill(&self, index: u16) {
        signal("-KILL", self.pid(index));
    }

    /// Starts a node that was killed, as an operator would.
    pub fn restart(&mut self, index: u16) -> u32 {
        self.restart_with(index, &[])
    }

    /// The same with other options.
    pub fn restart_with(&mut self, index: u16, more: &[&str]) -> u32 {
        let folder = self.folder_of(index);
        let log = fs::OpenOptions::new().append(true).open(folder.join("log")).unwrap();
        let mut command = Command::new(program());
        command.arg("node").arg("--config").arg(folder.join("node.json")).args(more);
        let process = command.env("KLAY_LIFELINE", "1").stdin(Stdio::piped()).stderr(log).spawn().unwrap();
        let id = process.id();
        self.restarted.push(process);
        id
    }

    /// The folder of a consensus node that the genesis does not know, with a key of its own, beside the others. It serves
    /// HTTP on the next port.
    pub fn join(&self, index: u16, engine: &str) -> SecretKey {
        let (folder, key) = (self.folder_of(index), SecretKey::random().unwrap());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("nodekey"), klay_core::hex::encode(key.expose())).unwrap();
        fs::copy(self.folder_of(0).join("genesis.json"), folder.join("genesis.json")).unwrap();
        let peers: Vec<String> = (0..index)
            .map(|n| {
                let file = fs::read(self.folder_of(n).join("node.json")).unwrap();
                let file: Value = serde_json::from_slice(&file).unwrap();
                format!("{}@{}", self.peer_id(n), file["listen"][0].as_str().unwrap())
            })
            .collect();
        let file = json!({
            "role": "cn", "engine": engine, "blockTime": 1, "genesis": "genesis.json", "key": "nodekey", "data": ".",
            "listen": ["127.0.0.1:0"], "peers": peers, "ws": "off",
            "http": format!("127.0.0.1:{}", self.base + 2 * index),
        });
        fs::write(folder.join("node.json"), file.to_string()).unwrap();
        fs::write(folder.join("log"), "").unwrap();
        key
    }

    /// Ends the node that was started again last.
    pub fn kill_restarted(&mut self) {
        let mut process = self.restarted.pop().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// The name of a node among its peers.
    pub fn peer_id(&self, index: u16) -> String {
        let key = fs::read_to_string(self.folder_of(index).join("nodekey")).unwrap();
        let key = SecretKey::from_slice(&klay_core::hex::decode(key.trim()).unwrap()).unwrap();
        klay_node::network::peer_id(&key).unwrap().to_string()
    }

    /// Where the peers of a node are: `ID@host:port`.
    pub fn peers_of(&self, index: u16) -> Vec<String> {
        let config = fs::read(self.folder_of(index).join("node.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        config["peers"].as_array().unwrap().iter().map(|peer| peer.as_str().unwrap().to_owned()).collect()
    }

    /// A copy of a node's consensus log as it is now.
    pub fn copy_log(&self, index: u16) -> PathBuf {
        let (log, copy) = (self.folder_of(index).join("consensus"), self.folder_of(index).join("copy"));
        fs::create_dir(&copy).unwrap();
        for file in fs::read_dir(log).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
        copy
    }

    /// What a node says that does not start.
    pub fn refusal(&self, index: u16) -> String {
        self.refusal_with(index, &[])
    }

    /// The same with further options.
    pub fn refusal_with(&self, index: u16, more: &[&str]) -> String {
        let output = self.run(index, more, "");
        assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Runs `klay node` for a node until it ends.
    pub fn run(&self, index: u16, more: &[&str], input: &str) -> Output {
        let mut command = Command::new(program());
        command.arg("node").arg("--config").arg(self.folder_of(index).join("node.json")).args(more);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = piped.spawn().unwrap();
        // A process that refuses its options does not read.
        let _unread = process.stdin.take().unwrap().write_all(input.as_bytes());
        let ended = Instant::now() + WAIT;
        while process.try_wait().unwrap().is_none() {
            if Instant::now() > ended {
                let _ended = process.kill();
                panic!("klay node {more:?} does not end");
            }
            thread::sleep(Duration::from_millis(20));
        }
        process.wait_with_output().unwrap()
    }

    /// Ends the processes that were started one by one.
    pub fn stop_restarted(&mut self) {
        for mut process in self.restarted.drain(..) {
            drop(process.stdin.take());
            let ended = Instant::now() + WAIT;
            while process.try_wait().unwrap().is_none() {
                assert!(Instant::now() < ended, "a node does not end");
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// The address of a node's key.
    pub fn address(&self, index: u16) -> Address {
        let key = fs::read_to_string(self.folder_of(index).join("nodekey")).unwrap();
        SecretKey::from_slice(&klay_core::hex::decode(key.trim()).unwrap()).unwrap().address()
    }

    pub fn wait_for_block(&self, number: u64, nodes: &[u16]) {
        for index in nodes {
            let node = self.node(*index);
            until(WAIT, &format!("block {number} at node {index}"), || node.try_head().is_some_and(|h| h >= number));
        }
    }

    /// The nodes have the same blocks and states, as far as all of them are.
    pub fn check_equal(&self, nodes: &[u16]) {
        let lowest = nodes.iter().map(|index| self.node(*index).head()).min().unwrap();
        for number in 1..=lowest {
            let blocks: Vec<Value> = nodes.iter().map(|index| self.node(*index).block(number)).collect();
            for block in &blocks {
                assert_eq!(block["hash"], blocks[0]["hash"], "block {number}");
                assert_eq!(block["stateRoot"], blocks[0]["stateRoot"], "state of block {number}");
            }
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for mut process in self.restarted.drain(..) {
            let _ended = process.kill();
            let _ended = process.wait();
        }
        if let Some(mut process) = self.process.take() {
            signal("-INT", process.id());
            let _ended = process.wait();
        }
        if thread::panicking() {
            println!("--- network\n{}", fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
            for index in 0.. {
                let Ok(log) = fs::read_to_string(self.folder_of(index).join("log")) else { break };
                let lines: Vec<&str> = log.lines().collect();
                println!("--- node{index}\n{}", lines[lines.len().saturating_sub(25)..].join("\n"));
            }
        }
    }
}

impl Node {
    pub fn new(url: String) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .http_status_as_error(false)
            .build();
        Self { agent: ureq::Agent::new_with_config(config), url }
    }

    pub fn call(&self, method: &str, params: &Value) -> Result<Value, String> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let sent = self.agent.post(&self.url).header("content-type", "application/json").send(&request);
        let mut answer: Value = sent
            .and_then(|mut answer| answer.body_mut().read_json())
            .map_err(|error| format!("{}: {error}", self.url))?;
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(answer["error"].to_string()),
        }
    }

    pub fn page(&self, path: &str) -> String {
        self.try_page(path).unwrap()
    }

    pub fn try_page(&self, path: &str) -> Option<String> {
        self.agent.get(format!("{}{path}", self.url)).call().ok()?.body_mut().read_to_string().ok()
    }

    pub fn try_head(&self) -> Option<u64> {
        self.call("eth_blockNumber", &json!([])).ok().map(|head| number(&head))
    }

    pub fn head(&self) -> u64 {
        self.try_head().unwrap()
    }

    pub fn block(&self, number: u64) -> Value {
        self.call("eth_getBlockByNumber", &json!([format!("0x{number:x}"), false])).unwrap()
    }

    pub fn send(&self, tx: &KlaytnTx) -> B256 {
        let raw = klay_core::hex::encode_prefixed(tx.encode());
        self.call("eth_sendRawTransaction", &json!([raw])).unwrap().as_str().unwrap().parse().unwrap()
    }

    pub fn wait_for_receipt(&self, hash: B256) -> Value {
        let mut receipt = Value::Null;
        until(WAIT, "the receipt", || {
            receipt = self.call("eth_getTransactionReceipt", &json!([hash])).unwrap_or_default();
            !receipt.is_null()
        });
        receipt
    }
}

/// The program: the one that was built with the tests, or the one in `KLAY_PROGRAM`.
pub fn program() -> PathBuf {
    std::env::var_os("KLAY_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_klay").into(), PathBuf::from)
}

pub fn transfer(key: &SecretKey, nonce: u64) -> KlaytnTx {
    let to = Some(Address::with_last_byte(nonce as u8).create(nonce));
    signed(key, LegacyTx { nonce, gas_limit: 21_000, to, value: U256::from(1), ..blank() })
}

pub fn contract_call(key: &SecretKey, nonce: u64, to: Address, input: Bytes) -> KlaytnTx {
    signed(key, LegacyTx { nonce, gas_limit: 1_000_000, to: Some(to), input, ..blank() })
}

fn blank() -> LegacyTx {
    LegacyTx {
        nonce: 0,
        gas_price: U256::from(750) * STON,
        gas_limit: 0,
        to: None,
        value: U256::ZERO,
        input: Bytes::new(),
        signature: Default::default(),
    }
}

fn signed(key: &SecretKey, tx: LegacyTx) -> KlaytnTx {
    KlaytnTx::Legacy(tx).sign(dev::CHAIN_ID, &[key]).unwrap()
}

pub fn until(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + patience;
    while !is_so() {
        assert!(Instant::now() < end, "waited {patience:?} for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

pub fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

pub fn big(value: &Value) -> U256 {
    U256::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

pub fn signal(name: &str, process: u32) {
    Command::new("kill").arg(name).arg(process.to_string()).status().unwrap();
}

/// A row of ports that are free now, from `KLAY_PORTS` on if that is set, here and 10,000 above for peers.
fn free_base(count: u16) -> u16 {
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let start = match std::env::var("KLAY_PORTS").ok().and_then(|first| first.parse().ok()) {
        Some(first) => first,
        None => 12_000 + u16::try_from(std::process::id() % 400).unwrap() * 20,
    };
    static TURN: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    let turn = TURN.fetch_add(1, std::sync::atomic::Ordering::Relaxed) * 200;
    (0..)
        .map(|row| start + turn + row * 20)
        .find(|base| (0..count).all(|n| is_free(base + n) && is_free(base + n + 10_000)))
        .unwrap()
}
