//! `klay account`: accounts as they stand in the state.

use klay_accounts::StateAccount;

use super::{
    Outcome,
    lines::{self, BadLine},
};

/// Accounts as they stand in the state.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Account {
    /// Show leaves of the state trie as JSON, one line each, in the shape of kaia_getAccount.
    #[command(
        after_help = "Example:\n  $ klay account decode 0x01c580808001c0\n  {\"accType\":1,\"account\":{\"nonce\":0,...}}"
    )]
    Decode {
        /// The leaf in hex; `-` or nothing reads lines from standard input.
        #[arg(value_name = "HEX|-")]
        input: Option<String>,
    },
}

impl Account {
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Decode { input } => lines::answer(input.as_deref(), decode),
        }
    }
}

fn decode(line: &str) -> Result<String, BadLine> {
    let account = StateAccount::decode(&lines::hex_bytes(line)?)?;
    serde_json::to_string(&account).map_err(BadLine::new)
}
