//! Wrong parameters are answered with the reference client's codes and texts (spec 80, section 1.5).

use std::{path::PathBuf, time::Duration};

use klay_core::{U256, address, genesis::GenesisAccount};
use klay_node::{
    Node, NodeConfig,
    dev::{self, DevAccounts},
    node::Authority,
    rpc::{Engine, Limits, Services, table},
};
use serde_json::{Value, json};

/// A request and its answer: nothing if it is accepted, otherwise code and text.
struct Case {
    method: String,
    params: Value,
    error: Option<(i64, String)>,
}

async fn engine() -> Engine {
    let accounts = DevAccounts::derive(dev::MNEMONIC, 1).unwrap();
    let mut genesis = accounts.genesis(dev::CHAIN_ID).unwrap();
    // The account that the cases name.
    let named = address!("f77e71cf745e14129a344bcfb7e28240a5351beb");
    genesis.alloc.insert(named, GenesisAccount { balance: U256::from(1), ..GenesisAccount::default() });
    let node = Node::start(NodeConfig {
        wallet: accounts.wallet(),
        authority: Some(Authority::interval(accounts.authority.clone(), Duration::from_millis(10))),
        ..NodeConfig::new(genesis)
    })
    .await
    .unwrap();
    while node.chain().head().number() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The answers are about a head that stands still.
    node.stop().await;
    Engine::new(table(&Services::new(node, Limits::default())), Limits::default())
}

fn compact() -> Vec<Case> {
    let text = include_str!("../vectors/rpc-errors.jsonl")
        .replace("@A", "0xf77e71cf745e14129a344bcfb7e28240a5351beb")
        .replace("@a", "f77e71cf745e14129a344bcfb7e28240a5351be")
        .replace("@H", &"1".repeat(64));
    text.lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let error = row[2].as_array().map(|e| (e[0].as_i64().unwrap(), e[1].as_str().unwrap().to_owned()));
            Case { method: row[0].as_str().unwrap().to_owned(), params: row[1].clone(), error }
        })
        .collect()
}

fn full() -> Option<Vec<Case>> {
    let shared = std::env::var_os("KLAY_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")), PathBuf::from);
    let path = shared.join("vectors/rpc-errors.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("{} is not there: the compact cases alone were run", path.display());
        return None;
    };
    let file: Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap().iter().filter(|c| c["client"] != "klaytn-1.12.1");
    let read = |case: &Value| Case {
        method: case["method"].as_str().unwrap().to_owned(),
        params: case["params"].clone(),
        error: case["error"]
            .as_object()
            .map(|e| (e["code"].as_i64().unwrap(), e["message"].as_str().unwrap().to_owned())),
    };
    Some(cases.map(read).collect())
}

async fn differences(engine: &Engine, cases: &[Case]) -> (usize, Vec<String>) {
    let mut differences = Vec::new();
    let mut count = 0;
    for Case { method, params, error } in cases {
        let is_unknown = matches!(error, Some((-32601, _))) || method.is_empty();
        if engine.table().find(method).is_none() && !is_unknown {
            continue;
        }
        count += 1;
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer: Value =
            serde_json::from_slice(&engine.answer(request.to_string().as_bytes(), None).await.text).unwrap();
        let got = answer.get("error").map(|e| (e["code"].as_i64().unwrap(), e["message"].as_str().unwrap().to_owned()));
        if got != *error {
            differences.push(format!("{method} {params}\n  expected {error:?}\n  found    {got:?}"));
        }
    }
    (count, differences)
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_of_the_common_methods() {
    let engine = engine().await;
    let cases = compact();
    for case in &cases {
        let is_unknown = matches!(case.error, Some((-32601, _))) || case.method.is_empty();
        assert!(is_unknown || engine.table().find(&case.method).is_some(), "{} is not served", case.method);
    }
    let (count, differences) = differences(&engine, &cases).await;
    assert!(differences.is_empty(), "{} of {count} differ:\n{}", differences.len(), differences.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_of_every_method_that_is_served() {
    let Some(cases) = full() else { return };
    let (count, differences) = differences(&engine().await, &cases).await;
    println!("{count} cases");
    assert!(differences.is_empty(), "{} of {count} differ:\n{}", differences.len(), differences.join("\n"));
}
