//! `klay key`: account keys between their encoding and JSON.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use klay_accounts::AccountKey;
use klay_core::Bytes;
use klay_vm::{
    randao::RevealSigner,
    system::{BLS_REGISTRY_ADDRESS, register_call},
};
use serde_json::json;

use super::{
    Outcome,
    lines::{self, BadLine},
};
use crate::net::config;

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
    /// Show the BLS key that belongs to a node's key, and the call that registers it.
    ///
    /// A validator that joins a network after its genesis proposes blocks once this key is in the network's registry:
    /// whoever may write there (`--registrar`) sends `input` to `to`.
    #[command(
        after_help = "Example:\n  $ klay key bls node4/nodekey\n  {\"address\":\"0x..\",\"publicKey\":\"0x..\",\"pop\":\"0x..\",\"register\":{\"to\":\"0x..\",\"input\":\"0x..\"}}"
    )]
    Bls {
        /// The node's key, in hex.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

impl Key {
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Decode { input } => lines::answer(input.as_deref(), decode),
            Self::Encode { input } => lines::answer(input.as_deref(), encode),
            Self::Bls { file } => bls(&file),
        }
    }
}

fn bls(file: &Path) -> Outcome {
    let key = config::read_key(file)?;
    let (address, randao) = (key.address(), RevealSigner::derive(key.expose())?);
    let (public, pop) = (randao.public_key(), randao.proof());
    let register = json!({"to": BLS_REGISTRY_ADDRESS, "input": register_call(address, &public, &pop)});
    let shown = json!({
        "address": address,
        "publicKey": Bytes::copy_from_slice(&public),
        "pop": Bytes::copy_from_slice(&pop),
        "register": register,
    });
    println!("{shown}");
    Ok(ExitCode::SUCCESS)
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
