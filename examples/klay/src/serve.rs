//! `klay serve`: JSON-RPC on a chain that is there.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Parser;
use klay_node::{
    Node, NodeConfig,
    node::Data,
    rpc::{self, Limits, NodeTopics, Server, ServerConfig, Services},
};

use crate::{
    cli::Outcome,
    dev::{Listen, listen, wait_for_the_end},
    import::data_folder,
    logs,
};

/// Answer JSON-RPC on an imported chain, without making blocks.
#[derive(Debug, Parser)]
pub(crate) struct Serve {
    /// Folder of the chain's data
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address of JSON-RPC over HTTP, or `off`
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8551", value_parser = listen)]
    http: Listen,
    /// Address of JSON-RPC over WebSocket, or `off`
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8552", value_parser = listen)]
    ws: Listen,
    /// Serve admin_exportChain and admin_importChain too: they read and write files wherever the caller says
    #[arg(long)]
    admin: bool,
    /// The number in `net_version`; the chain id if not given
    #[arg(long, value_name = "N")]
    network_id: Option<u64>,
}

impl Serve {
    pub(crate) fn run(self) -> Outcome {
        logs::begin(false);
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.serve())
    }

    async fn serve(self) -> Outcome {
        let folder = data_folder(self.data.as_deref())?;
        if !Data::Folder(folder.clone()).exists() {
            return Err(format!("there is no chain in {}: `klay import` makes one", folder.display()).into());
        }
        let config = NodeConfig { network_id: self.network_id, ..NodeConfig::stored(folder) };
        let node = Node::start(config).await?;
        // The chain is the reference client's, and so are the answers.
        let limits = Limits { is_strict: true, ..Limits::default() };
        let services = Services::new(node.clone(), limits.clone());
        let server = ServerConfig::for_all_origins(self.http.0, self.ws.0, limits);
        let mut table = rpc::table(&services);
        if self.admin {
            table = rpc::with_chain_files(table, &services);
        }
        let server = Server::start(server, table, Arc::new(NodeTopics::new(services))).await?;
        let head = node.chain().head();
        eprintln!("Chain     {}", node.config().chain_id);
        eprintln!("Genesis   {}", node.chain().genesis_hash());
        eprintln!("Head      {} {}", head.number(), head.hash);
        for (name, address) in [("HTTP     ", server.http), ("WebSocket", server.ws)] {
            if let Some(address) = address {
                eprintln!("{name} {address}");
            }
        }
        wait_for_the_end().await?;
        server.stop();
        node.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}
