//! Chains of the reference client, imported and asked what its nodes were asked: every recorded answer, errors
//! included, value by value.
//!
//! Source: `vectors/chains` beside the specification; `tests/vectors/chains` keeps a part of the requests.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use crate::common::{Recorded as Chain, gunzip};
use klay_node::{
    Node, NodeConfig,
    chain::ChainOptions,
    node::Data,
    rpc::{Engine, Limits, Services, table},
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

/// How many differences of a method are printed.
const SHOWN: usize = 3;

/// A request and what the reference client's node answered.
struct Recorded {
    method: String,
    params: Value,
    answer: Value,
    is_unordered: bool,
}

/// A recorded request as it is written down.
#[derive(serde::Deserialize)]
struct Row<'a> {
    method: String,
    #[serde(borrow)]
    params: &'a RawValue,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    unordered: bool,
}

impl From<Row<'_>> for Recorded {
    fn from(row: Row<'_>) -> Self {
        let answer = match row.error {
            Some(error) => json!({ "error": parsed(error.get()) }),
            None => json!({ "result": row.result.map_or(Value::Null, |result| parsed(result.get())) }),
        };
        Self { method: row.method, params: parsed(row.params.get()), answer, is_unordered: row.unordered }
    }
}

/// A value, however deep: calls nest a thousandfold.
fn parsed(text: &str) -> Value {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.disable_recursion_limit();
    Value::deserialize(&mut deserializer).unwrap()
}

/// An imported chain behind the engine that serves HTTP and WebSocket.
struct Served {
    engine: Engine,
    _data: tempfile::TempDir,
}

impl Served {
    /// A node on a chain that another one imported: everything comes from the store. It makes no blocks.
    async fn import(chain: &Chain, options: ChainOptions, network_id: Option<u64>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let importer = NodeConfig {
            data: Data::Folder(data.path().to_owned()),
            chain: options.clone(),
            ..NodeConfig::new(chain.genesis.clone())
        };
        let importer = Node::start(importer).await.unwrap();
        importer.import(&*chain.blocks.concat()).unwrap();
        importer.stop().await;
        drop(importer);
        let config = NodeConfig { chain: options, network_id, ..NodeConfig::stored(data.path().to_owned()) };
        let limits = Limits { is_strict: true, ..Limits::default() };
        let services = Services::new(Node::start(config).await.unwrap(), limits);
        Self { engine: Engine::new(table(&services), Limits::default()), _data: data }
    }

    async fn ask(&self, method: &str, params: &Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let answer = self.engine.answer(request.as_bytes(), None).await.text;
        let mut answer = parsed(core::str::from_utf8(&answer).unwrap());
        match answer.get_mut("error") {
            Some(error) => json!({ "error": error.take() }),
            None => json!({ "result": answer["result"] }),
        }
    }

    async fn compare(&self, name: &str, requests: &[Recorded]) -> Tally {
        let mut tally = Tally::new(name);
        for request in requests {
            let found = self.ask(&request.method, &request.params).await;
            tally.count(request, &found);
        }
        tally
    }
}

/// Answers per method, and those that differ.
struct Tally {
    name: String,
    methods: BTreeMap<String, (usize, Vec<String>)>,
}

impl Tally {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), methods: BTreeMap::new() }
    }

    fn count(&mut self, request: &Recorded, found: &Value) {
        let (count, differences) = self.methods.entry(request.method.clone()).or_default();
        *count += 1;
        if request.answer == *found {
            return;
        }
        let mut expected = request.answer.clone();
        let mut found = found.clone();
        if request.is_unordered {
            sort_access_list(&mut expected);
            sort_access_list(&mut found);
        }
        let mut where_ = Vec::new();
        difference(&expected, &found, "", &mut where_);
        if !where_.is_empty() {
            differences.push(format!("{} {}\n{}", request.method, cut(&request.params), where_.join("\n")));
        }
    }

    fn finish(self) {
        let mut report = String::new();
        let (mut all, mut wrong) = (0, 0);
        for (method, (count, differences)) in &self.methods {
            all += count;
            wrong += differences.len();
            if !differences.is_empty() {
                writeln!(report, "== {method}: {} of {count} differ", differences.len()).unwrap();
                for text in differences.iter().take(SHOWN) {
                    writeln!(report, "{text}").unwrap();
                }
            }
        }
        println!("{}: {} of {all} answers of {} methods are equal", self.name, all - wrong, self.methods.len());
        assert!(wrong == 0, "{}: {wrong} of {all} answers differ\n{report}", self.name);
    }
}

fn cut(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Where two values differ, by path. The order of members does not count; fractions count by value.
fn difference(expected: &Value, found: &Value, path: &str, out: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let names = expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name)));
            for name in names {
                let at = format!("{path}.{name}");
                match (expected.get(name), found.get(name)) {
                    (Some(expected), Some(found)) => difference(expected, found, &at, out),
                    (Some(expected), None) => out.push(format!("  {at}: expected {}, found nothing", cut(expected))),
                    (None, found) => out.push(format!("  {at}: expected nothing, found {}", cut(found.unwrap()))),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (expected, found)) in a.iter().zip(b).enumerate() {
                difference(expected, found, &format!("{path}[{index}]"), out);
            }
        }
        (Value::Number(a), Value::Number(b)) if is_fraction(a) && a.as_f64() == b.as_f64() => {}
        (expected, found) if expected == found => {}
        (expected, found) => {
            out.push(format!("  {path}: expected {}\n  {path}: found    {}", cut(expected), cut(found)))
        }
    }
}

fn is_fraction(number: &serde_json::Number) -> bool {
    number.to_string().contains(['.', 'e', 'E'])
}

fn sort_access_list(answer: &mut Value) {
    let Some(list) = answer.pointer_mut("/result/accessList").and_then(Value::as_array_mut) else { return };
    for item in list.iter_mut() {
        if let Some(keys) = item["storageKeys"].as_array_mut() {
            keys.sort_by_key(Value::to_string);
        }
    }
    list.sort_by_key(Value::to_string);
}

/// The kept part of the requests, on a chain that is kept too.
async fn kept(name: &str, options: ChainOptions) {
    let served = Served::import(&Chain::kept(name), options, None).await;
    served.compare(&format!("{name}, kept"), &kept_requests(name)).await.finish();
}

fn kept_requests(name: &str) -> Vec<Recorded> {
    let path = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/chains/{}.jsonl.gz"), name);
    let text = String::from_utf8(gunzip(Path::new(&path))).unwrap();
    text.lines().map(|line| serde_json::from_str::<Row<'_>>(line).unwrap().into()).collect()
}

/// What is refused first, the pending block, logs beyond the head, other forms of raw bytes, unknown tracers.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_records_leave_out() {
    let served = Served::import(&Chain::kept("council-4"), ChainOptions::archive(), None).await;
    served.compare("council-4, asked", &kept_requests("council-4-asked")).await.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_chain_with_stakes_funds_and_votes() {
    kept("council-weighted", ChainOptions::archive()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_chain_with_randao_and_a_changing_council() {
    kept("council-4", ChainOptions::archive()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn states_that_are_not_kept_are_made_again() {
    let options = ChainOptions { persist_every: 40, persist_small: 0, recent_blocks: 2, ..ChainOptions::default() };
    kept("council-4", options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_chain_with_both_rebalances() {
    kept("rebalance", ChainOptions::archive()).await;
}

/// All requests of a chain beside the repository.
async fn whole(name: &str, network_id: Option<u64>) {
    let Some(chain) = Chain::shared(name) else { return };
    let served = Served::import(&chain, ChainOptions::archive(), network_id).await;
    let text = gunzip(&chain.folder.join("rpc.json.gz"));
    let requests: Vec<_> =
        serde_json::from_slice::<Vec<Row<'_>>>(&text).unwrap().into_iter().map(Recorded::from).collect();
    served.compare(name, &requests).await.finish();
    rejected(&served, name, &chain).await;
}

/// What the reference client's node at the head refuses is refused in the same words.
async fn rejected(served: &Served, name: &str, chain: &Chain) {
    let plain = chain.folder.join("rejected.json");
    let list: Value = match std::fs::read(plain) {
        Ok(text) => serde_json::from_slice(&text).unwrap(),
        Err(_) => chain.json("rejected.json.gz"),
    };
    let mut tally = Tally::new(&format!("{name}, refused transactions"));
    for row in list.as_array().unwrap() {
        let request = Recorded {
            method: row["label"].as_str().unwrap().to_owned(),
            params: json!([row["raw"]]),
            answer: json!({ "error": row["error"] }),
            is_unordered: false,
        };
        let found = served.ask("kaia_sendRawTransaction", &request.params).await;
        tally.count(&request, &found);
    }
    tally.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn types_osaka() {
    whole("types-osaka", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forks() {
    whole("forks", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn klaytn_original() {
    whole("klaytn-original", Some(940_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn council_4() {
    whole("council-4", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn council_weighted() {
    whole("council-weighted", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk() {
    whole("bulk", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rebalance() {
    whole("rebalance", None).await;
}
