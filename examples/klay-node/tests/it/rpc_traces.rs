//! Traces and calls on a development chain: what clients can ask for, and what they cannot take.
//!
//! Source: spec 40, section 6; spec 80, section 3.7. The recorded traces of the reference client are compared beside the
//! tracers.

use std::time::Duration;

use klay_node::rpc::Limits;
use serde_json::{Value, json};

use crate::common::rpc::Rpc;

impl Rpc {
    async fn deploy(&self, code: &str) -> String {
        let len = code.len() / 2;
        let init = format!("0x61{len:04x}80600c6000396000f3{code}");
        self.send(json!({ "data": init, "gas": "0x7a120" })).await["contractAddress"].as_str().unwrap().to_owned()
    }
}

/// Writes 7 to slot 1, logs nothing but the place, and calls the identity with four bytes.
const WORKS: &str = "6007600155\
    63aabbccdd600052\
    600060006004601c6000600461fffff1\
    50\
    60006000a0\
    00";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_leaves_out_is_left_out() {
    let chain = Rpc::instant(Limits::default()).await;
    let contract = chain.deploy(WORKS).await;
    let receipt = chain.send(json!({ "to": contract, "gas": "0x30d40", "data": "0x11223344ff" })).await;
    let hash = &receipt["transactionHash"];
    let trace = |config: Value| chain.ok("debug_traceTransaction", json!([hash, config]));

    let full = trace(json!({})).await;
    assert_eq!(format!("{:#x}", full["gas"].as_u64().unwrap()), receipt["gasUsed"].as_str().unwrap());
    let logs = full["structLogs"].as_array().unwrap();
    assert!(logs.iter().all(|log| ["stack", "memory", "storage"].iter().all(|name| log.get(name).is_some())));
    let after = logs.last().unwrap();
    assert_eq!(after["storage"], json!({ format!("{:064x}", 1): format!("{:064x}", 7) }));

    let bare = trace(json!({ "disableStack": true, "disableMemory": true, "disableStorage": true })).await;
    let bare = bare["structLogs"].as_array().unwrap();
    assert_eq!(bare.len(), logs.len());
    assert!(bare.iter().all(|log| ["stack", "memory", "storage"].iter().all(|name| log.get(name).is_none())));
    assert_eq!(trace(json!({ "limit": 3 })).await["structLogs"].as_array().unwrap().len(), 3);

    let calls = trace(json!({ "tracer": "callTracer" })).await;
    assert_eq!((&calls["calls"][0]["type"], &calls["calls"][0]["input"]), (&json!("CALL"), &json!("0xaabbccdd")));
    assert!(calls.get("logs").is_none());
    let top = trace(json!({ "tracer": "callTracer", "tracerConfig": { "onlyTopCall": true } })).await;
    assert!(top.get("calls").is_none());
    let logged = trace(json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true } })).await;
    assert_eq!(logged["logs"], json!([{ "address": contract, "topics": [], "data": "0x", "position": "0x1" }]));

    let found = trace(json!({ "tracer": "prestateTracer" })).await;
    assert_eq!(found[&contract]["storage"], json!({ format!("{:#066x}", 1): format!("{:#066x}", 0) }));
    let diff = trace(json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } })).await;
    assert_eq!(diff["post"][&contract], json!({ "storage": { format!("{:#066x}", 1): format!("{:#066x}", 7) } }));
    assert_eq!(
        diff["post"][&chain.accounts[0]]["nonce"].as_u64().unwrap(),
        diff["pre"][&chain.accounts[0]]["nonce"].as_u64().unwrap() + 1
    );

    // The identity is one of the oldest precompiled contracts, which are not counted.
    assert_eq!(trace(json!({ "tracer": "4byteTracer" })).await, json!({ "0x11223344-1": 1 }));
    assert_eq!(trace(json!({ "tracer": "opcountTracer" })).await, json!(logs.len()));
    assert_eq!(trace(json!({ "tracer": "noopTracer" })).await, json!({}));
    assert_eq!(trace(json!({ "tracer": "unigramTracer" })).await["SSTORE"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_traced_by_number_hash_and_bytes() {
    let chain = Rpc::instant(Limits::default()).await;
    let contract = chain.deploy(WORKS).await;
    let receipt = chain.send(json!({ "to": contract, "gas": "0x30d40" })).await;
    let config = json!({ "tracer": "callTracer" });
    let by_number = chain.ok("debug_traceBlockByNumber", json!([receipt["blockNumber"], config])).await;
    assert_eq!(by_number[0]["txHash"], receipt["transactionHash"]);
    assert_eq!(by_number[0]["result"]["to"], json!(contract));
    assert_eq!(chain.ok("debug_traceBlockByHash", json!([receipt["blockHash"], config])).await, by_number);
    assert_eq!(chain.ok("klay_getBlockTransactionCountByNumber", json!([receipt["blockNumber"]])).await, "0x1");

    let number = u64::from_str_radix(&receipt["blockNumber"].as_str().unwrap()[2..], 16).unwrap();
    let block = chain.node.chain().block_by_number(number).unwrap().unwrap();
    let transactions: Vec<_> = block.transactions.iter().map(|tx| tx.encoded()).collect();
    let encoded = klay_core::block::body::encode_block(&block.header, &transactions);
    let encoded = format!("0x{}", hex::encode(encoded));
    assert_eq!(chain.ok("debug_traceBlock", json!([encoded, config])).await, by_number);
    assert!(chain.refusal("debug_traceBlock", json!(["0xc0", {}])).await.starts_with("could not decode block: "));
    assert_eq!(chain.refusal("debug_traceBlockByNumber", json!(["0x0"])).await, "genesis is not traceable");
    let unknown = json!([format!("0x{}", "de".repeat(32))]);
    assert_eq!(
        chain.refusal("debug_traceTransaction", unknown).await,
        format!("transaction {} not found", "de".repeat(32))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_is_read_ahead_of_a_transaction() {
    let chain = Rpc::instant(Limits::default()).await;
    // Stores 1, 2 and 3 in slots 1, 2 and 3.
    let contract = chain.deploy("600160015560026002556003600355").await;
    let receipt = chain.send(json!({ "to": contract, "gas": "0x30d40" })).await;
    let range = |block: &Value, start: &str, most: u64| {
        let params = json!([block, 0, contract, start, most]);
        async { chain.ok("debug_storageRangeAt", params).await }
    };
    let ahead = range(&receipt["blockHash"], "0x", 10).await;
    assert_eq!(ahead, json!({ "storage": {}, "nextKey": null }));
    let later = chain.send(json!({ "to": contract, "gas": "0x30d40" })).await;
    let all = range(&later["blockHash"], "0x", 10).await;
    assert_eq!((all["storage"].as_object().unwrap().len(), &all["nextKey"]), (3, &Value::Null));
    let some = range(&later["blockHash"], "0x", 2).await;
    assert_eq!(some["storage"].as_object().unwrap().len(), 2);
    let rest = range(&later["blockHash"], some["nextKey"].as_str().unwrap(), 2).await;
    assert_eq!(rest["storage"].as_object().unwrap().len(), 1);
    let unknown = json!([format!("0x{}", "11".repeat(32)), 0, contract, "0x", 1]);
    assert!(chain.refusal("debug_storageRangeAt", unknown).await.ends_with(" not found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_trace_ends_by_time_or_by_size() {
    let limits = Limits { trace_bytes: 1 << 20, call_timeout: Duration::from_secs(1), ..Limits::default() };
    let chain = Rpc::instant(limits).await;
    let contract = chain.deploy("5b600056").await;
    // A traced call that names no price offers twice the base fee, for which this sender has too little.
    let unpriced = json!({ "to": contract, "gas": "0x1dcd6500" });
    let poor = "tracing failed: insufficient balance of the fee payer to pay for gas";
    assert_eq!(chain.refusal("debug_traceCall", json!([unpriced, "latest"])).await, poor);
    let request = json!({ "to": contract, "gas": "0x1dcd6500", "gasPrice": "0x0" });
    let trace = |config: Value| chain.refusal("debug_traceCall", json!([request, "latest", config]));
    assert_eq!(trace(json!({})).await, "answer exceeds the limit of 1048576 bytes");
    assert_eq!(trace(json!({ "tracer": "opcountTracer", "timeout": "0s" })).await, "execution timeout");
    assert_eq!(trace(json!({ "tracer": "callTracer", "timeout": "soon" })).await, "time: invalid duration \"soon\"");
    assert_eq!(trace(json!({ "tracer": "{}" })).await, "Only predefined tracers are supported");
}

/// A call has no limit on computation cost, but a time: one that no machine spends this much gas in.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_call_ends_by_time() {
    let chain = Rpc::instant(Limits { call_timeout: Duration::from_millis(5), ..Limits::default() }).await;
    let contract = chain.deploy("5b600056").await;
    let request = json!({ "to": contract, "gas": "0x1dcd6500" });
    let text = chain.refusal("eth_call", json!([request, "latest"])).await;
    assert_eq!(text, "execution aborted (timeout = 5ms)");
    assert_eq!(chain.ok("eth_blockNumber", json!([])).await, "0x1", "the node goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_keep_the_bounds_of_gas_and_price() {
    let chain = Rpc::instant(Limits { call_gas_cap: 1_000_000, ..Limits::default() }).await;
    // Answers the gas that is left.
    let contract = chain.deploy("5a60005260206000f3").await;
    let gas = |request: Value| chain.ok("eth_call", json!([request, "latest"]));
    let left = gas(json!({ "to": contract })).await;
    assert!(u64::from_str_radix(&left.as_str().unwrap()[2..], 16).unwrap() < 1_000_000 - 21_000);
    let refused = |request: Value| chain.refusal("eth_call", json!([request, "latest"]));
    assert_eq!(
        refused(json!({ "to": contract, "gas": "0x1dcd6501" })).await,
        "gas limit 500000001 exceeds the upper limit 500000000"
    );
    assert_eq!(
        refused(json!({ "to": contract, "gasPrice": "0x1", "maxFeePerGas": "0x1" })).await,
        "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"
    );
    assert_eq!(
        refused(json!({ "to": contract, "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2" })).await,
        "MaxPriorityFeePerGas is greater than MaxFeePerGas"
    );
    assert_eq!(
        refused(json!({ "data": "0x00", "authorizationList": [] })).await,
        "SetCodeTx must have a non-nil recipient address"
    );
    let poor = "0x0000000000000000000000000000000000aa0000";
    let request = json!({ "from": poor, "to": contract, "value": "0x1" });
    assert_eq!(refused(request).await, "err: insufficient balance for transfer (supplied gas 1000000)");
}

#[tokio::test(flavor = "multi_thread")]
async fn overrides_change_the_state_for_one_request() {
    let chain = Rpc::instant(Limits::default()).await;
    // Answers slot 1.
    let contract = chain.deploy("60015460005260206000f3").await;
    let word = |n: u64| format!("{n:#066x}");
    let ask = |account: &str, with: Value| {
        let params = json!([{ "to": account }, "latest", { account: with }]);
        async { chain.ok("eth_call", params).await }
    };
    assert_eq!(ask(&contract, json!({ "stateDiff": { word(1): word(9) } })).await, json!(word(9)));
    assert_eq!(ask(&contract, json!({ "state": { word(2): word(9) } })).await, json!(word(0)));
    let other = "0x0000000000000000000000000000000000bb0000";
    // Answers its own balance.
    let code = json!({ "code": "0x4760005260206000f3", "balance": "0x2a" });
    assert_eq!(ask(other, code).await, json!(word(42)));
    let both = json!([{ "to": contract }, "latest", { &contract: { "state": {}, "stateDiff": {} } }]);
    assert!(chain.refusal("eth_call", both).await.ends_with("has both 'state' and 'stateDiff'"));
    assert_eq!(chain.ok("eth_call", json!([{ "to": contract }, "latest"])).await, json!(word(0)), "nothing stays");
    let params = json!([{ "to": contract }, "latest", { &contract: {} }]);
    assert_eq!(chain.refusal("kaia_call", params).await, "too many arguments, want at most 2");

    // An estimate that offers a price: eth_ executes with the overrides, kaia_ only believes the balance.
    let rich = json!({ other: { "balance": "0xde0b6b3a7640000" } });
    let params =
        json!([{ "from": other, "to": chain.accounts[0], "value": "0x1", "gasPrice": "0x5d21dba00" }, "latest", rich]);
    assert_eq!(chain.ok("eth_estimateGas", params.clone()).await, "0x5208");
    assert!(
        chain.refusal("kaia_estimateGas", params.clone()).await.starts_with("err: insufficient balance for transfer")
    );
    let poor = json!([params[0].clone(), "latest"]);
    assert_eq!(chain.refusal("kaia_estimateGas", poor).await, "insufficient funds for transfer");
}
