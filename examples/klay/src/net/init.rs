//! `klay init`: the folders of a network whose nodes run on several hosts.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

use super::plan::{GENESIS, Place, Shape};
use crate::cli::Outcome;

/// Write keys, genesis and a folder for each node of a network on several hosts.
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  \
    klay init --validators 4 --endpoints 1 --host cn0.example,cn1.example,cn2.example,cn3.example,en0.example --data ./net\n\n\
    Copy DIR/node<i> to host i and run there: klay node --config node<i>/node.json\n\
    nodekey is the secret key of the node: it must not be on two machines at once.")]
pub(crate) struct Init {
    #[command(flatten)]
    shape: Shape,
    /// Hosts of the nodes in order: validators, endpoints, proxies
    #[arg(long, value_name = "HOST", value_delimiter = ',', required = true)]
    host: Vec<String>,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Port for peers
    #[arg(long, value_name = "PORT", default_value_t = 32323)]
    port: u16,
    /// JSON-RPC over HTTP on each host
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8551")]
    http: String,
    /// JSON-RPC over WebSocket on each host
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8552")]
    ws: String,
}

impl Init {
    pub(crate) fn run(self) -> Outcome {
        let (wanted, got) = (self.shape.roles().len(), self.host.len());
        if wanted != got {
            return Err(format!("{wanted} nodes and {got} hosts").into());
        }
        if self.data.join(GENESIS).exists() {
            return Err(format!("{} holds a network already", self.data.display()).into());
        }
        let place = |host: &String| Place {
            listen: format!("0.0.0.0:{}", self.port),
            reach: format!("{host}:{}", self.port),
            http: self.http.clone(),
            ws: self.ws.clone(),
        };
        let places: Vec<_> = self.host.iter().map(place).collect();
        self.shape.write(&self.data, &places)?;
        for (index, host) in self.host.iter().enumerate() {
            println!("{}\t{host}", self.data.join(format!("node{index}")).display());
        }
        Ok(ExitCode::SUCCESS)
    }
}
