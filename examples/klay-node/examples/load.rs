//! Sends signed transfers to a node over JSON-RPC batches and measures what they cost it.
//!
//! ```text
//! cargo run --release -p klay-node --example load -- --url 127.0.0.1:8551 --pid PID --count 20000 --senders 100
//! ```
//!
//! The senders are those of the published workload (keccak("klay-load/sender/SEED/i")); they are funded first, by the
//! first account of the well-known development mnemonic. Everything is signed before the clock starts. The node's CPU
//! time is read from /proc, so that the tool also measures nodes that are not ours.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use klay_core::{
    Address, Bytes, PublicKey, SenderPays, TxEnvelope, U256,
    crypto::{keccak256, sign_digest},
    hex,
    tx::{Body, LegacyTx, Payload, payload::ValueTransfer},
};
use serde_json::{Value, json};

type Tx = TxEnvelope<SenderPays>;

/// First account of `test test test test test test test test test test test junk`.
const BANK: [u8; 32] = hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");

#[derive(Debug, Clone)]
struct Options {
    url: String,
    pid: Option<u32>,
    count: usize,
    senders: usize,
    batch: usize,
    connections: usize,
    klaytn: bool,
    shuffle: bool,
    price: u64,
    probe: bool,
}

impl Options {
    fn from_args() -> Self {
        let mut options = Self {
            url: "127.0.0.1:8551".into(),
            pid: None,
            count: 20_000,
            senders: 100,
            batch: 100,
            connections: 4,
            klaytn: false,
            shuffle: false,
            price: 750_000_000_000,
            probe: false,
        };
        let mut args = std::env::args().skip(1);
        while let Some(name) = args.next() {
            let mut value = || args.next().unwrap_or_else(|| panic!("{name} wants a value"));
            match name.as_str() {
                "--url" => options.url = value(),
                "--pid" => options.pid = Some(value().parse().unwrap()),
                "--count" => options.count = value().parse().unwrap(),
                "--senders" => options.senders = value().parse().unwrap(),
                "--batch" => options.batch = value().parse().unwrap(),
                "--connections" => options.connections = value().parse().unwrap(),
                "--price" => options.price = value().parse().unwrap(),
                "--klaytn" => options.klaytn = true,
                "--shuffle" => options.shuffle = true,
                "--probe" => options.probe = true,
                other => panic!("unknown option {other}"),
            }
        }
        options
    }
}

/// One keep-alive HTTP connection.
struct Client {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Client {
    fn new(host: &str) -> Self {
        let stream = TcpStream::connect(host).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream), host: host.into() }
    }

    fn post(&mut self, body: &str) -> Value {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        let answer = self.post(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string());
        answer["result"].clone()
    }

    fn number(&mut self, method: &str, params: &Value) -> u64 {
        let answer = self.call(method, params);
        let text = answer.as_str().unwrap_or_else(|| panic!("{method} answered {answer}"));
        u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
    }
}

fn secret(text: String) -> [u8; 32] {
    keccak256(text).0
}

fn address(secret: &[u8; 32]) -> Address {
    PublicKey::from_secret(secret).unwrap().address()
}

fn transfer(
    secret: &[u8; 32],
    klaytn: bool,
    chain_id: u64,
    nonce: u64,
    to: Address,
    value: U256,
    price: u64,
) -> String {
    let gas_price = U256::from(price);
    if klaytn {
        let payload = Payload::ValueTransfer(ValueTransfer { to, value });
        let body = Body { nonce, gas_price, gas_limit: 21_000, from: address(secret), payload };
        let mut tx = body.paid_by(SenderPays);
        let digest = Tx::Klaytn(tx.clone()).signing_hash(Some(chain_id));
        tx.signatures.push(sign_digest(secret, digest).unwrap().with_chain_id(chain_id));
        return hex::encode_prefixed(Tx::Klaytn(tx).encode());
    }
    let mut tx = LegacyTx {
        nonce,
        gas_price,
        gas_limit: 21_000,
        to: Some(to),
        value,
        input: Bytes::new(),
        signature: Default::default(),
    };
    let digest = Tx::Legacy(tx.clone()).signing_hash(Some(chain_id));
    tx.signature = sign_digest(secret, digest).unwrap().with_chain_id(chain_id);
    hex::encode_prefixed(Tx::Legacy(tx).encode())
}

/// Sends all of `raw` in batches over several connections; returns how many were refused.
fn send(options: &Options, method: &str, raw: Vec<String>) -> usize {
    let batches: Vec<String> = raw
        .chunks(options.batch)
        .map(|chunk| {
            let calls: Vec<String> = chunk
                .iter()
                .enumerate()
                .map(|(id, raw)| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":["{raw}"]}}"#))
                .collect();
            format!("[{}]", calls.join(","))
        })
        .collect();
    let batches = Arc::new(batches);
    let next = Arc::new(AtomicUsize::new(0));
    let refused = Arc::new(AtomicUsize::new(0));
    let first = Arc::new(Mutex::new(None));
    let threads: Vec<_> = (0..options.connections)
        .map(|_| {
            let (batches, next, refused) = (Arc::clone(&batches), Arc::clone(&next), Arc::clone(&refused));
            let (first, url) = (Arc::clone(&first), options.url.clone());
            thread::spawn(move || {
                let mut client = Client::new(&url);
                while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answers = client.post(batch);
                    for answer in answers.as_array().into_iter().flatten() {
                        if answer.get("error").is_some() {
                            refused.fetch_add(1, Ordering::Relaxed);
                            first.lock().unwrap().get_or_insert_with(|| answer["error"].to_string());
                        }
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    if let Some(error) = first.lock().unwrap().as_ref() {
        println!("first refusal: {error}");
    }
    refused.load(Ordering::Relaxed)
}

/// Waits until `wanted` transactions stand in blocks after `from`; returns the count and the last block looked at.
fn wait(client: &mut Client, from: u64, wanted: usize, patience: Duration) -> (usize, u64, Vec<(Instant, usize)>) {
    let (mut seen, mut next, mut at, mut blocks) = (0, from + 1, Instant::now(), Vec::new());
    while seen < wanted && at.elapsed() < patience {
        let head = client.number("eth_blockNumber", &json!([]));
        while next <= head {
            let count = client.number("eth_getBlockTransactionCountByNumber", &json!([format!("0x{next:x}")]));
            if count > 0 {
                blocks.push((Instant::now(), count as usize));
                at = Instant::now();
            }
            seen += count as usize;
            next += 1;
        }
        thread::sleep(Duration::from_millis(50));
    }
    (seen, next - 1, blocks)
}

/// CPU seconds that a process has used.
fn cpu(pid: Option<u32>) -> f64 {
    let Some(pid) = pid else { return 0.0 };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

fn memory(pid: Option<u32>) -> String {
    let Some(pid) = pid else { return String::new() };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS")).collect::<Vec<_>>().join(", ")
}

fn main() {
    let options = Options::from_args();
    let mut client = Client::new(&options.url);
    let chain_id = client.number("eth_chainId", &json!([]));
    let keys: Vec<[u8; 32]> = (0..options.senders).map(|i| secret(format!("klay-load/sender/1/{i}"))).collect();
    let method = if options.klaytn { "kaia_sendRawTransaction" } else { "eth_sendRawTransaction" };

    let bank = address(&BANK);
    let nonce = client.number("eth_getTransactionCount", &json!([bank, "latest"]));
    let start = client.number("eth_blockNumber", &json!([]));
    let ten = U256::from(10_000_000_000_000_000_000u128);
    let funding: Vec<String> = keys
        .iter()
        .zip(nonce..)
        .map(|(key, nonce)| transfer(&BANK, false, chain_id, nonce, address(key), ten, options.price))
        .collect();
    let one_by_one = Options { connections: 1, ..options.clone() };
    let refused = send(&one_by_one, "eth_sendRawTransaction", funding);
    let (funded, start, _) = wait(&mut client, start, keys.len() - refused, Duration::from_secs(20));
    println!("funded {funded} of {} senders, {refused} refused", keys.len());

    let nonces: Vec<u64> =
        keys.iter().map(|key| client.number("eth_getTransactionCount", &json!([address(key), "latest"]))).collect();
    let mut raw: Vec<String> = (0..options.count)
        .map(|k| {
            let (sender, turn) = (k % keys.len(), (k / keys.len()) as u64);
            let to = Address::from_slice(&keccak256(format!("klay-load/receiver/1/{}", k % 10_000))[12..]);
            transfer(&keys[sender], options.klaytn, chain_id, nonces[sender] + turn, to, U256::from(1), options.price)
        })
        .collect();
    if options.shuffle {
        let mut seed = 1u64;
        for i in (1..raw.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            raw.swap(i, (seed >> 33) as usize % (i + 1));
        }
    }

    let stop = Arc::new(AtomicBool::new(false));
    let probe = options.probe.then(|| {
        let (stop, url) = (Arc::clone(&stop), options.url.clone());
        thread::spawn(move || {
            let mut client = Client::new(&url);
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let at = Instant::now();
                client.call("eth_call", &json!([{"to": Address::repeat_byte(0xaa), "data": "0x"}, "latest"]));
                times.push(at.elapsed());
                thread::sleep(Duration::from_millis(10));
            }
            times.sort();
            times
        })
    });
    let (before, at) = (cpu(options.pid), Instant::now());
    let refused = send(&options, method, raw);
    let sent = at.elapsed();
    let (seen, end, blocks) = wait(&mut client, start, options.count - refused, Duration::from_secs(30));
    let (took, used) = (at.elapsed(), cpu(options.pid) - before);
    stop.store(true, Ordering::Relaxed);
    println!(
        "{seen} of {} committed in blocks {}..={end}, {refused} refused; accepted in {:.2} s, all seen after {:.2} s: {:.0} tx/s; node CPU {used:.2} s, {:.4} ms a transaction; {}",
        options.count,
        start + 1,
        sent.as_secs_f64(),
        took.as_secs_f64(),
        seen as f64 / took.as_secs_f64(),
        used * 1000.0 / seen.max(1) as f64,
        memory(options.pid),
    );
    println!("transactions by block: {:?}", blocks.iter().map(|b| b.1).collect::<Vec<_>>());
    if let Some(probe) = probe {
        let times = probe.join().unwrap();
        let p = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        println!("eth_call: {} calls, p50 {:?}, p95 {:?}, p99 {:?}", times.len(), p(50), p(95), p(99));
    }
}
