//! A development chain behind the engine that answers JSON-RPC.

use std::{sync::Arc, time::Duration};

use klay_node::{
    Node, NodeConfig,
    dev::{self, DevAccounts},
    node::Authority,
    rpc::{Engine, Limits, Services, Table, table, with_chain_files},
};
use serde_json::{Value, json};

/// A node and what a client can ask it.
pub(crate) struct Rpc {
    pub(crate) node: Node,
    pub(crate) services: Arc<Services>,
    engine: Engine,
    /// Accounts that the node signs for.
    pub(crate) accounts: Vec<String>,
}

impl Rpc {
    /// A development chain of three accounts with a block for each transaction.
    pub(crate) async fn instant(limits: Limits) -> Self {
        let accounts = DevAccounts::derive(dev::MNEMONIC, 3).unwrap();
        let genesis = accounts.genesis(dev::CHAIN_ID).unwrap();
        let config = NodeConfig {
            wallet: accounts.wallet(),
            authority: Some(Authority::instant(accounts.authority.clone())),
            ..NodeConfig::new(genesis)
        };
        Self::over(config, limits, table).await
    }

    /// A node that reads and writes files of its chain too.
    pub(crate) async fn with_files(config: NodeConfig) -> Self {
        Self::over(config, Limits::default(), |services| with_chain_files(table(services), services)).await
    }

    async fn over(config: NodeConfig, limits: Limits, table: impl FnOnce(&Arc<Services>) -> Table) -> Self {
        let node = Node::start(config).await.unwrap();
        let services = Services::new(node.clone(), limits.clone());
        let engine = Engine::new(table(&services), limits);
        let mut rpc = Self { node, services, engine, accounts: Vec::new() };
        let accounts = rpc.ok("eth_accounts", json!([])).await;
        rpc.accounts = accounts.as_array().unwrap().iter().map(|a| a.as_str().unwrap().to_owned()).collect();
        rpc
    }

    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        let request = json!({ "id": 1, "method": method, "params": params }).to_string();
        serde_json::from_slice(&self.engine.answer(request.as_bytes(), None).await.text).unwrap()
    }

    /// The result of a call that succeeds.
    pub(crate) async fn ok(&self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The error of a call that fails.
    pub(crate) async fn error(&self, method: &str, params: Value) -> Value {
        self.call(method, params).await["error"].clone()
    }

    /// Why a call fails.
    pub(crate) async fn refusal(&self, method: &str, params: Value) -> String {
        self.error(method, params).await["message"].as_str().unwrap().to_owned()
    }

    /// The receipt of a transaction, which is waited for.
    pub(crate) async fn receipt(&self, hash: &Value) -> Value {
        for _ in 0..4_000 {
            let receipt = self.ok("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                return receipt;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{hash} is not in a block");
    }

    /// Sends a transaction of the first account and waits for its receipt.
    pub(crate) async fn send(&self, mut tx: Value) -> Value {
        tx["from"] = json!(self.accounts[0]);
        let hash = self.ok("eth_sendTransaction", json!([tx])).await;
        self.receipt(&hash).await
    }
}
