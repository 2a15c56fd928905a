//! JSON-RPC over one kept connection, a batch or a call at a time.

use std::{error::Error, time::Duration};

use serde_json::{Value, json};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a batch; nodes take half a megabyte.
const MAX_BATCH: usize = 256 << 10;
/// Longest answer.
const MAX_ANSWER: u64 = 64 << 20;

pub(super) struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    pub(super) fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        Self { agent: ureq::Agent::new_with_config(config), url }
    }

    /// Posts a request or a batch.
    pub(super) fn post(&self, body: &str) -> Result<Value, Box<dyn Error>> {
        let sent = self.agent.post(&self.url).header("content-type", "application/json").send(body);
        let mut answer = sent.map_err(|error| format!("{}: {error}", self.url))?;
        let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Posts one call; its error is an error.
    pub(super) fn call(&self, method: &str, params: &Value) -> Result<Value, Box<dyn Error>> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut answer = self.post(&request.to_string())?;
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(format!("{}: {method}: {}", self.url, answer["error"]).into()),
        }
    }

    /// The same call for each of `params`, in batches.
    pub(super) fn each(&self, method: &str, params: &[Value]) -> Result<Vec<Value>, Box<dyn Error>> {
        let mut results = Vec::with_capacity(params.len());
        let mut rest = params;
        while !rest.is_empty() {
            let mut size = 0;
            let calls: Vec<String> = rest
                .iter()
                .take(100)
                .enumerate()
                .map(|(id, params)| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string())
                .take_while(|call| {
                    size += call.len();
                    size < MAX_BATCH || size == call.len()
                })
                .collect();
            rest = &rest[calls.len()..];
            let Value::Array(answers) = self.post(&format!("[{}]", calls.join(",")))? else {
                return Err(format!("{}: a batch of {method} was not answered by a list", self.url).into());
            };
            for mut answer in answers {
                match answer.get_mut("result") {
                    Some(result) => results.push(result.take()),
                    None => return Err(format!("{}: {method}: {}", self.url, answer["error"]).into()),
                }
            }
        }
        if results.len() != params.len() {
            return Err(format!("{}: {} answers to {} calls", self.url, results.len(), params.len()).into());
        }
        Ok(results)
    }

    /// A call that answers a quantity.
    pub(super) fn number(&self, method: &str, params: &Value) -> Result<u64, Box<dyn Error>> {
        quantity(&self.call(method, params)?)
    }
}

/// A `0x` quantity of up to 64 bits.
pub(super) fn quantity(value: &Value) -> Result<u64, Box<dyn Error>> {
    let digits =
        value.as_str().and_then(|text| text.strip_prefix("0x")).ok_or_else(|| format!("no quantity: {value}"))?;
    Ok(u64::from_str_radix(digits, 16)?)
}
