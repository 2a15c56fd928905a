//! `klay node`: one node of a network.

use std::{
    error::Error,
    io::Read as _,
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use klay_consensus::gate::GateState;
use klay_core::Address;
use klay_node::{
    Node, NodeConfig,
    driver::{EngineKind, GateHome},
    network::{NetworkConfig, PeerAddress, Role},
    node::{Data, Membership, Validator},
    ops::NodePages,
    pool::PoolConfig,
    rpc::{self, Limits, NodeTopics, Server, ServerConfig, Services},
};

use super::{
    config::{NodeFile, read_genesis, read_key, role},
    plan::engine,
};
use crate::{cli::Outcome, dev::wait_for_the_end, logs};

/// Set by `klay network`: the node ends when its standard input does, so that none outlives the one who started it.
pub(super) const LIFELINE: &str = "KLAY_LIFELINE";

/// Run one node of a network: consensus, proxy or endpoint.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  \
    klay node --config node0/node.json\n  \
    klay node --role en --data ./en --genesis genesis.json --key nodekey --listen 0.0.0.0:32323 --peer cn0.example:32323 \\\n            \
    --http 127.0.0.1:8551 --ws off\n\n\
    GET /metrics, /health, /ready and /status are served on the HTTP port.")]
pub(crate) struct RunNode {
    /// A file that `klay init` or `klay network` wrote; other options go before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// cn proposes and votes, pn relays, en serves [default: en]
    #[arg(long, value_name = "cn|pn|en", value_parser = role)]
    role: Option<Role>,
    /// Folder for the chain's data
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The genesis file
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// The node's key, in hex; a cn whose key lies outside --data remembers in FILE.anchor how far it has signed
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Where rewards go [default: the key's address]
    #[arg(long, value_name = "ADDRESS")]
    rewardbase: Option<Address>,
    /// Address to listen on for peers; can be given several times
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// A peer to stay connected to: host:port, ID@host:port or a multiaddress; can be given several times
    #[arg(long, value_name = "ADDRESS")]
    peer: Vec<String>,
    /// Look for peers on the local network (mDNS)
    #[arg(long)]
    mdns: bool,
    /// Connections at most
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_peers: u32,
    /// The consensus engine of the chain: istanbul, justified or simplex [default: istanbul]
    #[arg(long, value_name = "NAME", value_parser = engine)]
    engine: Option<EngineKind>,
    /// Seconds between two blocks [default: 1]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    block_time: Option<u64>,
    /// Address of JSON-RPC over HTTP, or `off` [default: 127.0.0.1:8551]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// Address of JSON-RPC over WebSocket, or `off` [default: 127.0.0.1:8552]
    #[arg(long, value_name = "ADDRESS")]
    ws: Option<String>,
    /// Serve admin_addPeer and admin_removePeer too: whoever reaches JSON-RPC says then whom the node connects to
    #[arg(long)]
    admin: bool,
    /// After the consensus log was lost: no copy of the key has signed anything in or above this block
    #[arg(long, value_name = "BLOCK")]
    resume_floor: Option<u64>,
    /// Print what the key has said as one line of JSON, and end; the key must not sign here any more then
    #[arg(long, conflicts_with_all = ["import_gate", "resume_floor"])]
    export_gate: bool,
    /// Take over what `--export-gate` has printed elsewhere (`-`: from standard input), and end
    #[arg(long, value_name = "FILE", conflicts_with = "resume_floor")]
    import_gate: Option<PathBuf>,
    /// Logs as one JSON object a line
    #[arg(long)]
    log_json: bool,
}

/// What options and file make together.
struct Settings {
    config: NodeConfig,
    gate: GateHome,
    http: Option<SocketAddr>,
    ws: Option<SocketAddr>,
}

impl RunNode {
    pub(crate) fn run(self) -> Outcome {
        logs::begin(self.log_json);
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.serve())
    }

    async fn serve(mut self) -> Outcome {
        let file = match self.config.take() {
            Some(path) => NodeFile::read(&path)?,
            None => NodeFile::default(),
        };
        let (exports, import) = (self.export_gate, self.import_gate.take());
        let is_operated = self.admin;
        let Settings { config, gate, http, ws } = self.settings(file)?;
        if exports {
            println!("{}", gate.export()?);
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(from) = import {
            gate.import(&read_state(&from)?)?;
            tracing::info!("the key's memory is taken over");
            return Ok(ExitCode::SUCCESS);
        }
        let node = Node::start(config).await?;
        let limits = Limits::default();
        let services = Services::new(node.clone(), limits.clone());
        let server = ServerConfig::for_all_origins(http, ws, limits);
        let mut table = rpc::table(&services);
        if let Some(network) = node.network().filter(|_| is_operated) {
            table = rpc::with_peers(table, network);
        }
        let pages = Arc::new(NodePages(node.clone()));
        let server = Server::start_with_pages(server, table, Arc::new(NodeTopics::new(services)), pages).await?;
        let head = node.chain().head();
        tracing::info!(
            role = node.network().map_or("", |network| network.role().name()),
            engine = node.engine().name(),
            genesis = %node.chain().genesis_hash(),
            number = head.number(),
            hash = %head.hash,
            http = ?server.http,
            ws = ?server.ws,
            "node"
        );
        if std::env::var_os(LIFELINE).is_some() {
            tokio::select! {
                ended = wait_for_the_end() => ended?,
                () = input_ends() => {}
            }
        } else {
            wait_for_the_end().await?;
        }
        tracing::info!("stopping");
        server.stop();
        node.stop().await;
        Ok(ExitCode::SUCCESS)
    }

    fn settings(self, file: NodeFile) -> Result<Settings, Box<dyn Error>> {
        let role = self.role.map_or_else(|| file.role(), Ok)?;
        let engine = self.engine.map_or_else(|| file.engine(), Ok)?;
        let block_time = self.block_time.unwrap_or_else(|| file.block_time());
        let data = self.data.or(file.data).ok_or("no folder for data: --data")?;
        let genesis = read_genesis(&self.genesis.or(file.genesis).ok_or("no genesis: --genesis")?)?;
        let key_file = self.key.or(file.key).ok_or("no key: --key")?;
        let key = read_key(&key_file)?;
        let gate = GateHome::new(data.clone(), genesis.config.chain_id, key.address(), engine);
        let gate = gate.with_key_file(key_file.clone());
        let mut network = NetworkConfig::new(key.clone(), role);
        for address in if self.listen.is_empty() { file.listen } else { self.listen } {
            network.listen.extend(resolve(&address)?);
        }
        let peers = if self.peer.is_empty() { file.peers } else { self.peer };
        network.peers = peers.iter().map(|peer| peer.parse::<PeerAddress>()).collect::<Result<_, _>>()?;
        network.mdns = self.mdns;
        network.max_peers = self.max_peers;
        let validator = (role == Role::Consensus).then(|| Validator {
            rewardbase: self.rewardbase.or(file.rewardbase),
            resume_above: self.resume_floor,
            key_file: Some(key_file),
            ..Validator::new(key)
        });
        let config = NodeConfig {
            data: Data::Folder(data),
            pool: PoolConfig::network(),
            membership: Some(Membership { network, engine, block_time, validator }),
            ..NodeConfig::new(genesis)
        };
        let listen = |given: Option<String>, file: Option<String>, default: &str| {
            let text = given.or(file).unwrap_or_else(|| default.to_owned());
            if text == "off" { Ok(None) } else { Ok::<_, Box<dyn Error>>(resolve(&text)?.into_iter().next()) }
        };
        let http = listen(self.http, file.http, "127.0.0.1:8551")?;
        let ws = listen(self.ws, file.ws, "127.0.0.1:8552")?;
        Ok(Settings { config, gate, http, ws })
    }
}

/// Longest state of a gate that is read, in bytes.
const LONGEST_STATE: u64 = 256 << 20;

fn read_state(from: &Path) -> Result<GateState, Box<dyn Error>> {
    let mut text = String::new();
    let source: Box<dyn std::io::Read> = if from == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(from).map_err(|error| format!("{}: {error}", from.display()))?)
    };
    source.take(LONGEST_STATE).read_to_string(&mut text).map_err(|error| format!("{}: {error}", from.display()))?;
    Ok(text.parse().map_err(|error| format!("{}: {error}", from.display()))?)
}

fn resolve(address: &str) -> Result<Vec<SocketAddr>, Box<dyn Error>> {
    Ok(address.to_socket_addrs().map_err(|error| format!("{address}: {error}"))?.take(1).collect())
}

/// Ends when standard input does.
async fn input_ends() {
    let read = || {
        let mut bytes = [0; 64];
        while std::io::stdin().read(&mut bytes).is_ok_and(|read| read > 0) {}
    };
    // A thread of its own, not of the runtime: it must not hold up the end of the process.
    let (send, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        read();
        // Whoever waited may have gone.
        let _gone = send.send(());
    });
    let _ended = ended.await;
}
