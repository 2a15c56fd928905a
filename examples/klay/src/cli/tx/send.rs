//! `klay tx send`: raw transactions to a node.

use std::time::Duration;

use klay_feedeleg::KlaytnTx;
use serde_json::{Value, json};

use crate::cli::{
    Outcome,
    lines::{self, BadLine, hex_bytes},
};

/// Longest wait for a node's answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where to and what.
#[derive(Debug, clap::Args)]
pub(crate) struct Sending {
    /// A raw transaction in hex; `-` or nothing reads lines from standard input.
    #[arg(value_name = "HEX|-")]
    input: Option<String>,
    /// The node's JSON-RPC address.
    #[arg(long, env = "KLAY_RPC", default_value = "http://127.0.0.1:8551")]
    rpc: String,
}

impl Sending {
    pub(super) fn run(&self) -> Outcome {
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        let agent = ureq::Agent::new_with_config(config);
        lines::answer(self.input.as_deref(), |line| {
            // Read here first: what is malformed never leaves, and Ethereum's form goes out behind its 0x78.
            let tx = KlaytnTx::decode_any(&hex_bytes(line)?)?;
            self.send(&agent, &tx.encode_network())
        })
    }

    fn send(&self, agent: &ureq::Agent, raw: &[u8]) -> Result<String, BadLine> {
        let params = json!([format!("0x{}", hex::encode(raw))]);
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "kaia_sendRawTransaction", "params": params});
        let answer: Value = agent
            .post(&self.rpc)
            .send_json(&request)
            .and_then(|mut response| response.body_mut().read_json())
            .map_err(|error| BadLine::new(format!("{}: {error}", self.rpc)))?;
        match (&answer["result"], &answer["error"]["message"]) {
            (Value::String(hash), _) => Ok(hash.clone()),
            (_, Value::String(message)) => Err(BadLine::new(message)),
            _ => Err(BadLine::new(format!("{}: not a JSON-RPC answer", self.rpc))),
        }
    }
}
