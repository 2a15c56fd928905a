//! `klay genesis`: genesis files and the genesis of the public networks.

use std::{fs, path::PathBuf, process::ExitCode};

use klay_core::{config::Network, genesis::Genesis, storage::Batch};
use serde_json::json;

use super::Outcome;
use crate::dev::Start;

/// Genesis files.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum GenesisCommand {
    /// Build the genesis block and show its hash, state root and header.
    #[command(
        after_help = "Example:\n  $ klay genesis hash --network cypress\n  {\"hash\":\"0xc72e5293...\",\"stateRoot\":\"0x23a9977c...\",\"header\":{...}}"
    )]
    Hash {
        /// A genesis file in the reference client's form.
        #[arg(value_name = "FILE", required_unless_present = "network", conflicts_with = "network")]
        file: Option<PathBuf>,
        /// A public network: cypress (mainnet) or baobab (Kairos).
        #[arg(long)]
        network: Option<String>,
    },
    /// Print the genesis file that `klay dev` starts from with the same options, for `klay import` and others.
    Dev(Start),
}

impl GenesisCommand {
    pub(crate) fn run(self) -> Outcome {
        let (file, network) = match self {
            Self::Hash { file, network } => (file, network),
            Self::Dev(start) => {
                println!("{}", serde_json::to_string(&start.genesis()?.1)?);
                return Ok(ExitCode::SUCCESS);
            }
        };
        let genesis = match (file, network) {
            (Some(path), _) => {
                let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                serde_json::from_str::<Genesis>(&text).map_err(|error| format!("{}: {error}", path.display()))?
            }
            (None, Some(name)) => {
                let network = Network::from_name(&name)
                    .ok_or_else(|| format!("no public network is called {name}: cypress or baobab"))?;
                Genesis::of_network(network)
            }
            (None, None) => return Err("give a file or --network".into()),
        };
        let header = klay_vm::genesis::genesis_block(&genesis.prepared()?, &mut Batch::default())?;
        println!("{}", json!({"hash": header.hash(), "stateRoot": header.state_root, "header": header}));
        Ok(ExitCode::SUCCESS)
    }
}
