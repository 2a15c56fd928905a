//! `klay status`: asks a running node how it is.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use serde_json::Value;

use crate::cli::Outcome;

/// Ask a running node: head, peers, role, engine, round, synchronisation.
#[derive(Debug, Parser)]
pub(crate) struct Status {
    /// HTTP address of the node
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8551")]
    url: String,
    /// The answer as it comes
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(crate) fn run(self) -> Outcome {
        let url = if self.url.contains("://") { self.url.clone() } else { format!("http://{}", self.url) };
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().into();
        let mut answer = agent
            .get(format!("{}/status", url.trim_end_matches('/')))
            .call()
            .map_err(|error| format!("{url}: {error}"))?;
        let status: Value = answer.body_mut().read_json().map_err(|error| format!("{url} is no klay node: {error}"))?;
        if self.json {
            println!("{status}");
        } else {
            print!("{}", lines(&status));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn lines(status: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    };
    let (head, engine, pool) = (&status["head"], &status["engine"], &status["pool"]);
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        out.push_str(&format!("{name:<10}{value}\n"));
    };
    line("version", text(&status["version"]));
    line("chain", format!("{}, genesis {}", text(&status["chainId"]), text(&status["genesis"])));
    line("role", text(&status["role"]));
    line("head", format!("{} {}", text(&head["number"]), text(&head["hash"])));
    line("state", text(&head["stateRoot"]));
    let behind = status["sync"]["behind"].as_u64().unwrap_or_default();
    line("sync", if behind == 0 { "caught up".to_owned() } else { format!("{behind} blocks behind") });
    let mut state = format!("{}: {}", text(&engine["name"]), text(&engine["state"]));
    if engine["round"].is_u64() {
        state += &format!(", height {}, round {}", text(&engine["height"]), text(&engine["round"]));
    }
    line("engine", state);
    line("pool", format!("{} pending, {} queued", text(&pool["pending"]), text(&pool["queued"])));
    let peers = status["peers"].as_array().map_or(&[][..], Vec::as_slice);
    line("peers", peers.len().to_string());
    for peer in peers {
        line(
            "",
            format!(
                "{} {} head {} {}",
                text(&peer["role"]),
                text(&peer["address"]),
                text(&peer["head"]),
                text(&peer["id"])
            ),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::lines;

    #[test]
    fn a_status_with_gaps_is_shown_all_the_same() {
        let text = lines(&json!({ "head": { "number": 7 }, "peers": [{ "role": "cn" }], "sync": { "behind": 3 } }));
        assert!(text.contains("head      7 none"), "{text}");
        assert!(text.contains("3 blocks behind") && text.contains("peers     1"), "{text}");
    }
}
