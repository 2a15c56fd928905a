//! `klay dev`: a chain on this machine.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use klay_core::genesis::Genesis;
use klay_node::{
    Node, NodeConfig,
    chain::ChainOptions,
    dev::{self, DevAccounts},
    node::{Authority, Data},
    ops::NodePages,
    pool::PoolConfig,
    rpc::{self, Limits, NodeTopics, Server, ServerConfig, Services},
};

use crate::{cli::Outcome, logs};

/// Run a chain on this machine: every fork active, funded accounts, blocks sealed by one authority.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  \
    klay dev                              a block each second, data kept under the user's data directory\n  \
    klay dev --ephemeral --block-time 0   a block as soon as a transaction waits, nothing kept\n  \
    klay dev --genesis genesis.json --data ./chain")]
pub(crate) struct Dev {
    /// Seconds between blocks; 0 seals as soon as transactions wait
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    block_time: f64,
    #[command(flatten)]
    start: Start,
    /// Folder for the chain's data
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    data: Option<PathBuf>,
    /// Keep everything in memory
    #[arg(long)]
    ephemeral: bool,
    /// Write the state of every block, so that all of them can be read later
    #[arg(long)]
    archive: bool,
    /// Address of JSON-RPC over HTTP, or `off`
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8551", value_parser = listen)]
    http: Listen,
    /// Address of JSON-RPC over WebSocket, or `off`
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8552", value_parser = listen)]
    ws: Listen,
    /// Serve admin_exportChain and admin_importChain too: they read and write files wherever the caller says
    #[arg(long)]
    admin: bool,
    /// Leave out what the reference client does not have: Klaytn's types in eth_sendRawTransaction, tracerConfig
    #[arg(long)]
    strict: bool,
    /// Gas at which a block is full
    #[arg(long, value_name = "GAS", default_value_t = Authority::GAS_LIMIT)]
    block_gas: u64,
}

/// What a development chain starts from.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Start {
    /// Chain id
    #[arg(long, value_name = "ID", default_value_t = dev::CHAIN_ID, conflicts_with = "genesis")]
    chain_id: u64,
    /// Words that the accounts and the authority are derived from (m/44'/60'/0'/0/i)
    #[arg(long, value_name = "WORDS", default_value = dev::MNEMONIC, env = "KLAY_MNEMONIC", hide_env_values = true)]
    mnemonic: String,
    /// How many accounts have funds
    #[arg(long, value_name = "COUNT", default_value_t = dev::ACCOUNTS)]
    accounts: u32,
    /// A genesis file instead of the chain's own; its first validator must be the authority, or it is put there
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
}

impl Start {
    /// The accounts, and the genesis in which they have funds and the authority seals.
    pub(crate) fn genesis(&self) -> Result<(DevAccounts, Genesis), Box<dyn std::error::Error>> {
        let accounts = DevAccounts::derive(&self.mnemonic, self.accounts)?;
        let Some(file) = &self.genesis else {
            let genesis = accounts.genesis(self.chain_id)?;
            return Ok((accounts, genesis));
        };
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let genesis: Genesis = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        let genesis = accounts.sealed_by_authority(genesis)?.prepared()?;
        Ok((accounts, genesis))
    }
}

/// An address to listen on, if any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listen(pub(crate) Option<SocketAddr>);

pub(crate) fn listen(text: &str) -> Result<Listen, String> {
    if text == "off" {
        return Ok(Listen(None));
    }
    text.parse().map(|address| Listen(Some(address))).map_err(|_| "want an address like 127.0.0.1:8551, or off".into())
}

impl Dev {
    pub(crate) fn run(self) -> Outcome {
        logs::begin(false);
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.serve())
    }

    async fn serve(self) -> Outcome {
        let (accounts, genesis) = self.start.genesis()?;
        let config = NodeConfig {
            data: self.data()?,
            chain: if self.archive { ChainOptions::archive() } else { ChainOptions::default() },
            // Public nodes keep anchoring to their own bridge; here every type is for everyone to try.
            pool: PoolConfig { allow_anchoring: true, ..PoolConfig::default() },
            authority: Some(self.authority(&accounts)?),
            wallet: accounts.wallet(),
            ..NodeConfig::new(genesis)
        };
        let node = Node::start(config).await?;
        let limits = Limits { is_strict: self.strict, ..Limits::default() };
        let services = Services::new(node.clone(), limits.clone());
        let server = ServerConfig::for_all_origins(self.http.0, self.ws.0, limits);
        let mut table = rpc::table(&services);
        if self.admin {
            table = rpc::with_chain_files(table, &services);
        }
        let pages = Arc::new(NodePages(node.clone()));
        let server = Server::start_with_pages(server, table, Arc::new(NodeTopics::new(services)), pages).await?;
        self.greet(&accounts, &node, &server);
        wait_for_the_end().await?;
        tracing::info!("stopping");
        server.stop();
        node.stop().await;
        Ok(ExitCode::SUCCESS)
    }

    fn authority(&self, accounts: &DevAccounts) -> Result<Authority, String> {
        let key = accounts.authority.clone();
        let period = Duration::try_from_secs_f64(self.block_time).map_err(|error| format!("--block-time: {error}"))?;
        let mut authority = if period.is_zero() { Authority::instant(key) } else { Authority::interval(key, period) };
        authority.gas_limit = self.block_gas;
        Ok(authority)
    }

    fn data(&self) -> Result<Data, String> {
        match (&self.data, self.ephemeral) {
            (_, true) => Ok(Data::Memory),
            (Some(folder), false) => Ok(Data::Folder(folder.clone())),
            (None, false) => user_data()
                .map(|folder| Data::Folder(folder.join("klay").join("dev")))
                .ok_or_else(|| "the user has no data directory: use --data or --ephemeral".to_owned()),
        }
    }

    /// Says on standard error what the chain is and who has funds.
    fn greet(&self, accounts: &DevAccounts, node: &Node, server: &Server) {
        let head = node.chain().head();
        eprintln!("klay {}: development chain {}", env!("CARGO_PKG_VERSION"), node.config().chain_id);
        eprintln!("\nThese keys are known to everybody. Never send anything of value to them.\n");
        for (index, key) in accounts.keys.iter().enumerate() {
            eprintln!("({index}) {}  0x{}", key.address(), hex::encode(key.expose()));
        }
        eprintln!("\nAuthority {}", accounts.authority.address());
        eprintln!("Genesis   {}", node.chain().genesis_hash());
        eprintln!("Head      {} {}", head.number(), head.hash);
        match self.data() {
            Ok(Data::Folder(folder)) => eprintln!("Data      {}", folder.display()),
            _ => eprintln!("Data      in memory"),
        }
        for (name, address) in [("HTTP     ", server.http), ("WebSocket", server.ws)] {
            if let Some(address) = address {
                eprintln!("{name} {address}");
            }
        }
        eprintln!();
    }
}

/// Where a user's programs keep their data.
pub(crate) fn user_data() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    if cfg!(target_os = "macos") {
        return home().map(|home| home.join("Library").join("Application Support"));
    }
    if cfg!(windows) {
        return std::env::var_os("LOCALAPPDATA").map(PathBuf::from);
    }
    let set = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| Path::is_absolute(path));
    set.or_else(|| home().map(|home| home.join(".local").join("share")))
}

/// Ends with Ctrl-C or, where there is such a thing, SIGTERM.
pub(crate) async fn wait_for_the_end() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
