//! The story behind this test: a wallet is told that its payment stands in block 7, the node loses power, and after the
//! restart block 7 is another one. It starts the real program, sends transactions, kills it with SIGKILL at random
//! moments at least fifty times, and asks each time whether everything that was ever announced is still there.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use klay_accounts::wallet::SecretKey;
use klay_core::{Address, B256, Bytes, U256, storage::Sled, trie::Trie, tx::LegacyTx, units::STON};
use klay_node::{
    Chain, KlaytnTx,
    chain::ChainOptions,
    dev::{self, DevAccounts},
    metrics::Metrics,
};
use serde_json::{Value, json};

use crate::served::Served;

const KILLS: u64 = 50;
/// A slow machine announces little between two kills: it is killed more often.
const MOST_KILLS: u64 = 500;
/// So many blocks and receipts are announced in all before the test is content.
const ENOUGH: usize = 80;

/// What was ever announced.
#[derive(Debug, Default)]
struct Announced {
    /// Block hashes by number, from new heads.
    blocks: BTreeMap<u64, B256>,
    /// Block numbers by transaction hash, from receipts.
    receipts: BTreeMap<B256, u64>,
}

impl Announced {
    fn enough(&self) -> bool {
        self.blocks.len() > ENOUGH && self.receipts.len() > ENOUGH
    }
}

/// One connection; every failure after the kill is an end, not an error.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: &str) -> Option<Self> {
        TcpStream::connect(address).ok().map(|stream| Self(BufReader::new(stream)))
    }

    fn call(&mut self, method: &str, params: &Value) -> Option<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.0.get_mut().write_all((head + &body).as_bytes()).ok()?;
        let mut length = None;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
        }
        let mut body = vec![0; length?];
        self.0.read_exact(&mut body).ok()?;
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        Some(answer["result"].clone())
    }
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn hash(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}

fn transfer(key: &SecretKey, nonce: u64) -> KlaytnTx {
    let tx = LegacyTx {
        nonce,
        gas_price: U256::from(750) * STON,
        gas_limit: 21_000,
        to: Some(Address::with_last_byte(nonce as u8).create(nonce)),
        value: U256::from(1),
        input: Bytes::new(),
        signature: Default::default(),
    };
    KlaytnTx::Legacy(tx).sign(dev::CHAIN_ID, &[key]).unwrap()
}

/// Writes down every head until the node is gone.
fn watch(address: &str, announced: &Mutex<Announced>, stop: &AtomicBool) {
    let Some(mut client) = Client::new(address) else { return };
    let mut last = None;
    while !stop.load(Ordering::Relaxed) {
        let Some(head) = client.call("eth_getBlockByNumber", &json!(["latest", false])) else { return };
        let found = (number(&head["number"]), hash(&head["hash"]));
        if last != Some(found) {
            last = Some(found);
            let earlier = announced.lock().unwrap().blocks.insert(found.0, found.1);
            assert!(earlier.is_none_or(|earlier| earlier == found.1), "block {} has two hashes", found.0);
        }
    }
}

/// Sends transfers and writes down their receipts until the node is gone.
fn send(address: &str, key: &SecretKey, announced: &Mutex<Announced>, stop: &AtomicBool) {
    let Some(mut client) = Client::new(address) else { return };
    let Some(count) = client.call("eth_getTransactionCount", &json!([key.address(), "pending"])) else { return };
    let mut sent: Vec<B256> = Vec::new();
    for nonce in number(&count).. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let raw = klay_core::hex::encode_prefixed(transfer(key, nonce).encode());
        let Some(tx) = client.call("eth_sendRawTransaction", &json!([raw])) else { return };
        sent.push(hash(&tx));
        let Some(oldest) = sent.first().copied() else { continue };
        let Some(receipt) = client.call("eth_getTransactionReceipt", &json!([oldest])) else { return };
        if !receipt.is_null() {
            announced.lock().unwrap().receipts.insert(oldest, number(&receipt["blockNumber"]));
            sent.remove(0);
        }
    }
}

/// Asks a restarted node for everything that was announced before.
fn check_announced(address: &str, announced: &Announced) {
    let mut client = Client::new(address).unwrap();
    for (number, wanted) in &announced.blocks {
        let block = client.call("eth_getBlockByNumber", &json!([format!("0x{number:x}"), false])).unwrap();
        assert!(!block.is_null(), "block {number} is lost");
        assert_eq!(hash(&block["hash"]), *wanted, "block {number} is another one");
    }
    for (tx, wanted) in announced.receipts.iter().rev().take(50) {
        let receipt = client.call("eth_getTransactionReceipt", &json!([tx])).unwrap();
        assert!(!receipt.is_null(), "receipt of {tx} is lost");
        assert_eq!(number(&receipt["blockNumber"]), *wanted);
    }
}

/// Opens the data without the program and computes every root from what is stored.
fn check_roots(data: &Path, accounts: &DevAccounts) -> u64 {
    let store = Arc::new(Sled::open(data.join("chain")).unwrap());
    let genesis = accounts.genesis(dev::CHAIN_ID).unwrap();
    let chain = Chain::open(store, &genesis, ChainOptions::default(), &Metrics::default()).unwrap();
    let head = chain.head();
    let mut parent = chain.genesis_hash();
    for number in 1..=head.number() {
        let block = chain.block_by_number(number).unwrap().unwrap();
        let receipts = chain.receipts(number).unwrap().unwrap();
        assert_eq!(block.header.parent_hash, parent, "block {number} has another parent");
        assert_eq!(block.header.hash(), block.hash);
        let root = chain.params_at(number).list_root();
        let transactions: Vec<&[u8]> = block.transactions.iter().map(|tx| tx.encoded()).collect();
        assert_eq!(root.root(&transactions), block.header.transactions_root, "transactions of block {number}");
        let encoded: Vec<Vec<u8>> = receipts.receipts.iter().map(|receipt| receipt.encode_consensus()).collect();
        assert_eq!(root.root(&encoded), block.header.receipts_root, "receipts of block {number}");
        for (index, tx) in block.transactions.iter().enumerate() {
            let found = chain.transaction(tx.hash()).unwrap().unwrap();
            assert_eq!((found.block.number(), found.index), (number, index));
        }
        parent = block.hash;
    }
    let (_, state) = chain.head_state();
    let leaves: Vec<(B256, Option<Vec<u8>>)> = state
        .accounts(B256::ZERO)
        .map(|entry| entry.map(|(key, account)| (key, Some(account.encode()))).unwrap())
        .collect();
    assert_eq!(Trie::new().update(&(), &leaves).unwrap().root(), head.header.state_root, "state");
    head.number()
}

#[test]
fn nothing_announced_is_lost_when_the_process_is_killed() {
    let data = tempfile::tempdir().unwrap();
    let accounts = DevAccounts::derive(dev::MNEMONIC, 10).unwrap();
    let announced = Arc::new(Mutex::new(Announced::default()));
    let mut random = std::process::id() as u64;
    println!("seed {random}");
    let mut head = 0;
    let mut kills = 0;
    while kills < KILLS || (kills < MOST_KILLS && !announced.lock().unwrap().enough()) {
        let block_time = if kills % 2 == 0 { "0" } else { "0.1" };
        let node = Served::start(&["dev", "--block-time", block_time], data.path());
        check_announced(&node.address, &announced.lock().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for key in &accounts.keys[..3] {
            let key = key.clone();
            let (address, announced, stop) = (node.address.clone(), Arc::clone(&announced), Arc::clone(&stop));
            threads.push(thread::spawn(move || send(&address, &key, &announced, &stop)));
        }
        let (address, noted, stopped) = (node.address.clone(), Arc::clone(&announced), Arc::clone(&stop));
        threads.push(thread::spawn(move || watch(&address, &noted, &stopped)));

        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = Instant::now() + Duration::from_micros(20_000 + (random >> 33) % 400_000);
        thread::sleep(moment.saturating_duration_since(Instant::now()));
        drop(node);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());

        kills += 1;
        if kills % 10 == 0 {
            let now = check_roots(data.path(), &accounts);
            assert!(now >= head, "the chain went back from {head} to {now}");
            head = now;
        }
    }
    let announced = announced.lock().unwrap();
    let (blocks, receipts) = (announced.blocks.len(), announced.receipts.len());
    println!("{kills} kills, {blocks} blocks and {receipts} receipts announced, head {head}");
    assert!(announced.enough(), "{kills} kills, {blocks} blocks and {receipts} receipts announced, head {head}");
}
