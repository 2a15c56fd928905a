//! A development chain through its JSON-RPC: transactions of both worlds, receipts, calls, filters, subscriptions.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use klay_node::rpc::{Limits, NodeTopics, Server, ServerConfig, table};
use serde_json::{Value, json};
use soketto::handshake::{Client, ServerResponse};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::common::rpc::Rpc;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_calls_of_every_client() {
    let chain = Rpc::instant(Limits::default()).await;
    assert_eq!(chain.ok("eth_chainId", json!([])).await, "0x539");
    assert_eq!(chain.ok("klay_chainID", json!([])).await, "0x539");
    assert_eq!(chain.ok("net_version", json!([])).await, "1337");
    assert_eq!(chain.ok("net_networkID", json!([])).await, 1337);
    assert_eq!(chain.ok("eth_blockNumber", json!([])).await, "0x0");
    assert!(chain.ok("web3_clientVersion", json!([])).await.as_str().unwrap().starts_with("Klaytn/"));
    assert_eq!(chain.ok("rpc_modules", json!([])).await["kaia"], "1.0");
    let block = chain.ok("eth_getBlockByNumber", json!(["latest", true])).await;
    assert_eq!((&block["gasLimit"], &block["uncles"]), (&json!("0x1dcd6500"), &json!([])));
    assert_eq!(chain.ok("eth_gasPrice", json!([])).await, "0x66720b300");
    assert_eq!(chain.ok("eth_maxPriorityFeePerGas", json!([])).await, "0x0");
    let history = chain.ok("eth_feeHistory", json!(["0x1", "latest", [50]])).await;
    assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 2);
    assert_eq!(history["reward"], json!([["0x0"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_sent_and_seen_in_both_flavours() {
    let chain = Rpc::instant(Limits::default()).await;
    let [from, to, _] = &chain.accounts[..] else { panic!("three accounts") };
    let before = chain.ok("eth_getBalance", json!([to, "latest"])).await;
    let hash = chain.ok("eth_sendTransaction", json!([{"from": from, "to": to, "value": "0x5"}])).await;
    let receipt = chain.receipt(&hash).await;
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["gasUsed"], "0x5208");
    assert_eq!(receipt["type"], "0x2");
    let after = chain.ok("kaia_getBalance", json!([to, "latest"])).await;
    let number = |v: &Value| u128::from_str_radix(&v.as_str().unwrap()[2..], 16).unwrap();
    assert_eq!(number(&after) - number(&before), 5);
    assert_eq!(chain.ok("eth_getTransactionCount", json!([from, "pending"])).await, "0x1");
    let kaia = chain.ok("klay_getTransactionByHash", json!([hash])).await;
    assert_eq!((&kaia["typeInt"], &kaia["from"]), (&json!(0x7802), &json!(from)));
    let raw = chain.ok("eth_getRawTransactionByHash", json!([hash])).await;
    assert!(raw.as_str().unwrap().starts_with("0x02"));
    assert!(chain.ok("kaia_getRawTransactionByHash", json!([hash])).await.as_str().unwrap().starts_with("0x7802"));
    let twice = chain.error("eth_sendRawTransaction", json!([raw])).await;
    assert_eq!(twice["code"], -32000);
    let info = chain.ok("kaia_getBlockWithConsensusInfoByNumber", json!(["latest"])).await;
    assert_eq!(info["committee"], json!([info["proposer"]]));
    assert_eq!(info["transactions"][0]["transactionHash"], hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_payer_signs_what_the_sender_signed() {
    let chain = Rpc::instant(Limits::default()).await;
    let [from, to, payer] = &chain.accounts[..] else { panic!("three accounts") };
    let request = json!({
        "typeInt": 9, "from": from, "to": to, "value": "0x1", "gas": "0x186a0", "gasPrice": "0xba43b7400",
        "nonce": "0x0", "feePayer": payer,
    });
    let signed = chain.ok("kaia_signTransaction", json!([request])).await;
    assert_eq!(signed["tx"]["type"], "TxTypeFeeDelegatedValueTransfer");
    let mut with_signatures = request.clone();
    with_signatures["signatures"] = signed["tx"]["signatures"].clone();
    let hash = chain.ok("kaia_sendTransactionAsFeePayer", json!([with_signatures])).await;
    let receipt = chain.receipt(&hash).await;
    assert_eq!((&receipt["status"], &receipt["type"]), (&json!("0x1"), &json!("0x0")));
    let kaia = chain.ok("kaia_getTransactionReceipt", json!([hash])).await;
    assert_eq!(kaia["feePayer"], json!(payer));
    let by_sender = chain.ok("kaia_getTransactionBySenderTxHash", json!([kaia["senderTxHash"]])).await;
    assert_eq!(by_sender["hash"], hash);
    let mut foreign = request;
    foreign["chainId"] = json!("0x539");
    assert_eq!(
        chain.error("kaia_signTransaction", json!([foreign])).await["message"],
        "json:\"chainId,omitempty\" is not a field of TxTypeFeeDelegatedValueTransfer"
    );
}

/// Emits a log with topic 7 and the word 9.
const LOGGING: &str = "0x6009600052600760206000a100";

#[tokio::test(flavor = "multi_thread")]
async fn logs_reach_queries_and_filters() {
    let chain = Rpc::instant(Limits::default()).await;
    let from = &chain.accounts[0];
    let logs = chain.ok("eth_newFilter", json!([{"topics": [format!("0x{:064x}", 7)]}])).await;
    let none = chain.ok("eth_newFilter", json!([{"topics": [format!("0x{:064x}", 8)]}])).await;
    let blocks = chain.ok("kaia_newBlockFilter", json!([])).await;
    let pending = chain.ok("eth_newPendingTransactionFilter", json!([])).await;
    let hash = chain.ok("eth_sendTransaction", json!([{"from": from, "data": LOGGING, "gas": "0x30d40"}])).await;
    let receipt = chain.receipt(&hash).await;
    assert!(receipt["contractAddress"].is_string() && receipt["to"].is_null());
    let found = chain.ok("eth_getFilterChanges", json!([logs])).await;
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0], receipt["logs"][0]);
    assert_eq!(found[0]["data"], format!("0x{:064x}", 9));
    assert_eq!(chain.ok("eth_getFilterChanges", json!([logs])).await, json!([]));
    assert_eq!(chain.ok("eth_getFilterChanges", json!([none])).await, json!([]));
    assert_eq!(chain.ok("eth_getFilterChanges", json!([pending])).await, json!([hash]));
    assert_eq!(chain.ok("klay_getFilterChanges", json!([blocks])).await[0], receipt["blockHash"]);
    assert_eq!(chain.error("eth_getFilterChanges", json!([blocks])).await["message"], "filter not found");
    assert_eq!(chain.ok("eth_getLogs", json!([{"fromBlock": "0x0"}])).await, found);
    assert_eq!(chain.ok("kaia_getLogs", json!([{"blockHash": receipt["blockHash"]}])).await, found);
    assert_eq!(chain.ok("eth_uninstallFilter", json!([logs])).await, true);
    assert_eq!(chain.ok("eth_uninstallFilter", json!([logs])).await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_show_why_they_failed() {
    let chain = Rpc::instant(Limits::default()).await;
    let [from, to, _] = &chain.accounts[..] else { panic!("three accounts") };
    assert_eq!(chain.ok("eth_estimateGas", json!([{"from": from, "to": to, "value": "0x1"}])).await, "0x5208");
    assert_eq!(chain.ok("eth_call", json!([{"to": to}, "latest"])).await, "0x");
    // Reverts with the word 1; returns the word 42; loops.
    let code = |code: &str| json!({ to: { "code": code } });
    let reverted = chain.error("eth_call", json!([{"to": to}, "latest", code("0x600160005260206000fd")])).await;
    assert_eq!(reverted, json!({"code": 3, "message": "execution reverted", "data": format!("0x{:064x}", 1)}));
    let bare = chain.error("eth_call", json!([{"to": to}, "latest", code("0x60006000fd")])).await;
    assert_eq!(bare, json!({"code": -32000, "message": "evm: execution reverted"}));
    let value = chain.ok("eth_call", json!([{"to": to}, "latest", code("0x602a60005260206000f3")])).await;
    assert_eq!(value, format!("0x{:064x}", 42));
    let endless = chain.error("eth_call", json!([{"to": to, "gas": "0xf4240"}, "latest", code("0x5b600056")])).await;
    assert_eq!(endless["message"], "out of gas");
    let too_much = chain.error("eth_call", json!([{"to": to, "gas": "0x3b9aca00"}, "latest"])).await;
    assert_eq!(too_much["message"], "gas limit 1000000000 exceeds the upper limit 500000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_keys_have_klaytns_form() {
    let chain = Rpc::instant(Limits::default()).await;
    let account = chain.ok("kaia_getAccount", json!([chain.accounts[0], "latest"])).await;
    assert_eq!(account["accType"], 1);
    assert_eq!(account["account"]["nonce"], 0);
    assert_eq!(account["account"]["key"], json!({"keyType": 1, "key": {}}));
    assert_eq!(account["account"]["codeHash"], "xdJGAYb3IzySfn2y3McDwOUAtlPKgic7e/rYBF2FpHA=");
    let absent = "0x00000000000000000000000000000000000abcde";
    assert_eq!(chain.ok("kaia_getAccount", json!([absent, "latest"])).await, Value::Null);
    assert_eq!(chain.ok("kaia_accountCreated", json!([absent, "latest"])).await, false);
    let key = chain.ok("kaia_decodeAccountKey", json!(["0x01c0"])).await;
    assert_eq!(key, json!({"keyType": 1, "key": {}}));
    assert_eq!(chain.ok("kaia_encodeAccountKey", json!([key])).await, "0x01c0");
    let signature = chain.ok("kaia_sign", json!([chain.accounts[0], "0xdead"])).await;
    let signer = chain.ok("kaia_recoverFromMessage", json!([chain.accounts[0], "0xdead", signature, "latest"])).await;
    assert_eq!(signer, json!(chain.accounts[0]));
    let params = chain.ok("governance_getParams", json!(["latest"])).await;
    assert_eq!(params["istanbul.epoch"], 604_800);
    assert_eq!(chain.ok("kaia_getChainConfig", json!([])).await["chainId"], 1337);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_clients_send_transfers_and_updates() {
    let chain = Rpc::instant(Limits::default()).await;
    let key = "8f2a55949038a9610f50fb23b5883af3b4ecb3c3bb792cbcefbd1542c692be63";
    let own = chain.ok("personal_importRawKey", json!([key, "pass"])).await;
    let fund = json!([{"from": chain.accounts[0], "to": own, "value": "0xde0b6b3a7640000"}]);
    let hash = chain.ok("eth_sendTransaction", fund).await;
    chain.receipt(&hash).await;
    let transfer = json!([{"from": own, "to": chain.accounts[1], "value": "0x5"}, "pass"]);
    let hash = chain.ok("personal_sendValueTransfer", transfer).await;
    let receipt = chain.receipt(&hash).await;
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(chain.ok("kaia_getTransactionByHash", json!([hash])).await["type"], "TxTypeValueTransfer");
    let update = json!([{"from": own, "key": "0x03c0"}, "pass"]);
    let hash = chain.ok("personal_sendAccountUpdate", update).await;
    assert_eq!(chain.receipt(&hash).await["status"], "0x1");
    assert_eq!(chain.ok("kaia_getAccountKey", json!([own, "latest"])).await["keyType"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_are_half_burnt_and_half_earned() {
    let chain = Rpc::instant(Limits::default()).await;
    let [from, to, _] = &chain.accounts[..] else { panic!("three accounts") };
    let before = chain.ok("kaia_getTotalSupply", json!([])).await;
    assert_eq!((&before["burntFee"], &before["totalMinted"]), (&json!("0x0"), &before["totalSupply"]));
    let hash = chain.ok("eth_sendTransaction", json!([{"from": from, "to": to, "value": "0x5"}])).await;
    let block = chain.receipt(&hash).await["blockNumber"].clone();
    let rewards = chain.ok("kaia_getRewards", json!([block])).await;
    let amount = |name: &str| rewards[name].as_u64().unwrap();
    assert_eq!((amount("minted"), amount("burntFee") * 2), (0, amount("totalFee")));
    assert_eq!(amount("proposer"), amount("totalFee") - amount("burntFee"));
    let after = chain.ok("kaia_getTotalSupply", json!([block])).await;
    assert_eq!(after["burntFee"], format!("{:#x}", amount("burntFee")));
    let sum = chain.ok("governance_getRewardsAccumulated", json!(["0x1", "latest"])).await;
    assert_eq!((&sum["totalTxFee"], &sum["rewards"]), (&rewards["totalFee"], &rewards["rewards"]));

    let changed = chain.ok("debug_getModifiedAccountsByNumber", json!([block])).await;
    let changed: Vec<_> = changed.as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    for account in [from, to] {
        assert!(changed.contains(&account.as_str()), "{account} of {changed:?}");
    }
    let orphan = chain.error("debug_getModifiedAccountsByNumber", json!(["earliest"])).await;
    assert_eq!(orphan["message"], "block number #0 has no parent");

    let node = chain.ok("kaia_nodeAddress", json!([])).await;
    for method in ["kaia_getCouncil", "kaia_getCommittee", "istanbul_getValidators"] {
        assert_eq!(chain.ok(method, json!(["latest"])).await, json!([node]), "{method}");
    }
    assert_eq!(chain.ok("istanbul_getDemotedValidators", json!(["pending"])).await, json!([]));
    assert_eq!(chain.error("kaia_getCommittee", json!(["pending"])).await["message"], "pending is not allowed");
    let config = chain.ok("eth_config", json!([])).await;
    assert_eq!((&config["current"]["chainId"], &config["next"]), (&json!("0x539"), &Value::Null));
    let registry = chain.ok("kaia_getActiveAddressFromRegistry", json!(["KIP113", "latest"])).await;
    assert_eq!(registry, "0x0000000000000000000000000000000000000403");
    let keys = chain.ok("kaia_getBlsInfos", json!(["latest"])).await;
    assert!(keys.as_object().unwrap().values().all(|info| info["verifyErr"].is_null()), "{keys}");
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_show_heads_logs_and_transactions() {
    let chain = Rpc::instant(Limits::default()).await;
    let config = ServerConfig { http: Some(SocketAddr::from(([127, 0, 0, 1], 0))), ..ServerConfig::default() };
    let topics = Arc::new(NodeTopics::new(Arc::clone(&chain.services)));
    let server = Server::start(config, table(&chain.services), topics).await.unwrap();
    let address = server.http.unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let host = address.to_string();
    let mut client = Client::new(stream.compat(), &host, "/");
    assert!(matches!(client.handshake().await.unwrap(), ServerResponse::Accepted { .. }));
    let (mut sender, mut receiver) = client.into_builder().finish();
    let mut subscribed = Vec::new();
    let mut message = Vec::new();
    for (id, params) in
        [json!(["newHeads"]), json!(["logs", {"topics": [format!("0x{:064x}", 7)]}]), json!(["newPendingTransactions"])]
            .into_iter()
            .enumerate()
    {
        let method = if id == 0 { "klay_subscribe" } else { "eth_subscribe" };
        sender.send_text(json!({"id": id, "method": method, "params": params}).to_string()).await.unwrap();
        sender.flush().await.unwrap();
        message.clear();
        receiver.receive_data(&mut message).await.unwrap();
        let answer: Value = serde_json::from_slice(&message).unwrap();
        subscribed.push(answer["result"].clone());
    }
    let hash =
        chain.ok("eth_sendTransaction", json!([{"from": chain.accounts[0], "data": LOGGING, "gas": "0x30d40"}])).await;
    let receipt = chain.receipt(&hash).await;
    let mut seen = [false; 3];
    while seen != [true; 3] {
        message.clear();
        let received = tokio::time::timeout(Duration::from_secs(60), receiver.receive_data(&mut message));
        received.await.unwrap().unwrap();
        let note: Value = serde_json::from_slice(&message).unwrap();
        let which = subscribed.iter().position(|id| *id == note["params"]["subscription"]).unwrap();
        let result = &note["params"]["result"];
        match which {
            0 => {
                assert_eq!(note["method"], "klay_subscription");
                assert_eq!(result["hash"], receipt["blockHash"]);
                assert!(result["mixhash"].is_string() && result.get("transactions").is_none());
            }
            1 => assert_eq!(*result, receipt["logs"][0]),
            _ => assert_eq!(*result, hash),
        }
        seen[which] = true;
    }
}

/// Texts as the reference client gave them, with the same requests to a chain of its own.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_the_reference_says() {
    let chain = Rpc::instant(Limits::default()).await;
    let [from, to, _] = &chain.accounts[..] else { panic!("three accounts") };
    let hash = chain.ok("eth_sendTransaction", json!([{"from": from, "to": to, "value": "0x5"}])).await;
    chain.receipt(&hash).await;
    let raw = chain.ok("kaia_getRawTransactionByHash", json!([hash])).await;
    let longer = format!("{}00", raw.as_str().unwrap());
    let low = |gas: Value| json!([{ "from": from, "to": to, "gasPrice": "0x1", "gas": gas }, "latest"]);
    let cases = [
        ("kaia_sendRawTransaction", json!([longer]), "rlp: input contains more than one value"),
        ("kaia_sendRawTransaction", json!(["0x82ffff"]), "rlp: expected input list for types.TxInternalDataLegacy"),
        ("kaia_forkStatus", json!(["0x2"]), "the block does not exist (block number: 2)"),
        (
            "debug_getModifiedAccountsByNumber",
            json!(["0x1", "0x0"]),
            "start block height (1) must be less than end block height (0)",
        ),
    ];
    for (method, params, text) in cases {
        assert_eq!(chain.error(method, params).await["message"], text, "{method}");
    }
    // The first gas limit that the search tries is refused for its price.
    let error = chain.error("eth_estimateGas", low(json!("0x186a0"))).await;
    let text = error["message"].as_str().unwrap();
    assert!(text.starts_with("err: max fee per gas less than block base fee: address 0x"), "{text}");
    assert!(text.ends_with(" (supplied gas 60499)"), "{text}");
    assert_eq!(chain.ok("kaia_recoverFromTransaction", json!([raw, "latest"])).await, *from.to_lowercase());
}
