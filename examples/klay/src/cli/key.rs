//! `klay key`: account keys between their encoding and JSON.

use klay_accounts::AccountKey;

use super::{
    Outcome,
    lines::{self, BadLine},
};

/// Account keys to and from JSON.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Key {
    /// Show encoded account keys as JSON, one line each.
    #[command(after_help = "Example:\n  $ klay key decode 0x01c0\n  {\"keyType\":1,\"key\":{}}")]
    Decode {
        /// The encoding in hex; `-` or nothing reads lines from standard input.
        #[arg(value_name = "HEX|-")]
        input: Option<String>,
    },
    /// Encode account keys given as JSON, one line each.
    ///
    /// The key is checked as the node method kaia_encodeAccountKey checks it; whether an account may take it is a
    /// matter of its present key.
    #[command(after_help = "Example:\n  $ klay key encode '{\"keyType\":3,\"key\":{}}'\n  0x03c0")]
    Encode {
        /// The key object of kaia_getAccountKey; `-` or nothing reads lines from standard input.
        #[arg(value_name = "JSON|-")]
        input: Option<String>,
    },
}

impl Key {
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Decode { input } => lines::answer(input.as_deref(), decode),
            Self::Encode { input } => lines::answer(input.as_deref(), encode),
        }
    }
}

fn decode(line: &str) -> Result<String, BadLine> {
    let key = AccountKey::decode(&lines::hex_bytes(line)?)?;
    serde_json::to_string(&key).map_err(BadLine::new)
}

fn encode(line: &str) -> Result<String, BadLine> {
    let value = serde_json::from_str(line).map_err(BadLine::new)?;
    let key = AccountKey::from_rpc_json(&value).map_err(BadLine::new)?;
    Ok(format!("0x{}", hex::encode(key.encode())))
}
