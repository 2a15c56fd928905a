//! A network on paper: keys, genesis, who talks to whom; and the folder of each node.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use klay_accounts::wallet::SecretKey;
use klay_core::{
    Address,
    config::ChainConfig,
    genesis::{Genesis, GenesisAccount},
};
use klay_node::{
    dev::{self, DevAccounts},
    driver::EngineKind,
    network::{Role, peer_id},
};
use serde_json::{Value, json};

use super::config::{DEFAULT_BLOCK_TIME, DEFAULT_ENGINE, NodeFile, write_key};

/// Of what a network consists, as far as it was said.
#[derive(Debug, Clone, Args)]
pub(super) struct Shape {
    /// Nodes that propose and vote [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(super) validators: Option<u16>,
    /// Nodes that serve reads and take transactions [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=100))]
    pub(super) endpoints: Option<u16>,
    /// Nodes between the validators and the endpoints [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=100))]
    pub(super) proxies: Option<u16>,
    /// The consensus engine: istanbul, justified or simplex [default: istanbul]
    #[arg(long, value_name = "NAME", value_parser = engine)]
    pub(super) engine: Option<EngineKind>,
    /// Seconds between two blocks [default: 1]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(super) block_time: Option<u64>,
    /// Chain id [default: 1337]
    #[arg(long, value_name = "ID")]
    pub(super) chain_id: Option<u64>,
    /// Blocks of a governance epoch
    #[arg(long, value_name = "BLOCKS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) epoch: Option<u64>,
    /// Who registers BLS keys of validators that join later [default: the first development account]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) registrar: Option<Address>,
    /// A file with more accounts: the `alloc` of a genesis file, or a whole one
    #[arg(long, value_name = "FILE")]
    pub(super) alloc: Option<PathBuf>,
}

/// The engine with this name, for networks.
pub(super) fn engine(name: &str) -> Result<EngineKind, String> {
    EngineKind::from_name(name)
        .filter(|engine| *engine != EngineKind::Dev)
        .ok_or_else(|| format!("no engine for networks is called {name}: {}", engines()))
}

fn engines() -> String {
    let names: Vec<_> = EngineKind::ALL.into_iter().filter(|e| *e != EngineKind::Dev).map(EngineKind::name).collect();
    names.join(", ")
}

/// Where a node of the plan is to be found.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Where it listens for peers, as it binds it.
    pub(super) listen: String,
    /// Where its peers find it.
    pub(super) reach: String,
    pub(super) http: String,
    pub(super) ws: String,
}

/// The name of a file in the folder of a node.
pub(super) const CONFIG: &str = "node.json";
const KEY: &str = "nodekey";
pub(super) const GENESIS: &str = "genesis.json";

impl Shape {
    /// The roles of the nodes in order.
    pub(super) fn roles(&self) -> Vec<Role> {
        let repeat = |role, count: u16| std::iter::repeat_n(role, count.into());
        repeat(Role::Consensus, self.validators())
            .chain(repeat(Role::Endpoint, self.endpoints.unwrap_or_default()))
            .chain(repeat(Role::Proxy, self.proxies.unwrap_or_default()))
            .collect()
    }

    fn validators(&self) -> u16 {
        self.validators.unwrap_or(4)
    }

    /// Writes keys, genesis and a folder for each node, `node0` and so on.
    pub(super) fn write(&self, folder: &Path, places: &[Place]) -> Result<(), Box<dyn Error>> {
        let roles = self.roles();
        let keys = roles.iter().map(|_| SecretKey::random()).collect::<Result<Vec<_>, _>>()?;
        let validators = keys.get(..usize::from(self.validators())).unwrap_or_default();
        let genesis = serde_json::to_string_pretty(&self.genesis(validators)?)?;
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for (index, ((role, key), place)) in roles.iter().zip(&keys).zip(places).enumerate() {
            let node = folder.join(format!("node{index}"));
            fs::create_dir_all(&node).map_err(|error| format!("{}: {error}", node.display()))?;
            write_key(&node.join(KEY), key)?;
            fs::write(node.join(GENESIS), &genesis)?;
            let mut peers = Vec::new();
            for (other, (peer, place)) in roles.iter().zip(places).enumerate() {
                if other != index && talks_to(*role, *peer, roles.contains(&Role::Proxy)) {
                    let key = keys.get(other).ok_or("a node without a key")?;
                    peers.push(format!("{}@{}", peer_id(key)?, place.reach));
                }
            }
            let file = NodeFile {
                role: Some(role.name().to_owned()),
                engine: Some(self.engine.unwrap_or(DEFAULT_ENGINE).name().to_owned()),
                block_time: Some(self.block_time.unwrap_or(DEFAULT_BLOCK_TIME)),
                genesis: Some(GENESIS.into()),
                key: Some(KEY.into()),
                data: Some(".".into()),
                rewardbase: None,
                listen: vec![place.listen.clone()],
                peers,
                http: Some(place.http.clone()),
                ws: Some(place.ws.clone()),
            };
            file.write(&node.join(CONFIG))?;
        }
        // Last: a network is there when its genesis is.
        Ok(fs::write(folder.join(GENESIS), genesis)?)
    }

    fn genesis(&self, validators: &[SecretKey]) -> Result<Genesis, Box<dyn Error>> {
        let accounts = DevAccounts::derive(dev::MNEMONIC, dev::ACCOUNTS)?;
        let mut config = ChainConfig::all_forks(self.chain_id.unwrap_or(dev::CHAIN_ID));
        if let (Some(istanbul), Some(epoch)) = (&mut config.istanbul, self.epoch) {
            istanbul.epoch = epoch;
        }
        if let Some(istanbul) = &mut config.istanbul {
            // Everybody votes.
            istanbul.sub = istanbul.sub.max(self.validators().into());
        }
        let first = accounts.keys.first().map(SecretKey::address).unwrap_or_default();
        let mut genesis = accounts.network_genesis(config, validators, self.registrar.unwrap_or(first));
        if let Some(file) = &self.alloc {
            for (address, account) in read_alloc(file)? {
                genesis.alloc.insert(address, account);
            }
        }
        Ok(genesis.prepared()?)
    }
}

/// Validators are all connected; endpoints hang on proxies if there are any.
const fn talks_to(role: Role, peer: Role, has_proxies: bool) -> bool {
    match (role, peer) {
        (Role::Consensus | Role::Proxy, Role::Consensus) => true,
        (Role::Endpoint, Role::Proxy) => true,
        (Role::Endpoint, Role::Consensus) => !has_proxies,
        _ => false,
    }
}

pub(super) fn read_alloc(path: &Path) -> Result<Vec<(Address, GenesisAccount)>, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let alloc = value.get("alloc").cloned().unwrap_or(value);
    let around = json!({ "config": serde_json::to_value(ChainConfig::new(0))?, "alloc": alloc });
    let genesis: Genesis = serde_json::from_value(around).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(genesis.alloc.into_iter().collect())
}
