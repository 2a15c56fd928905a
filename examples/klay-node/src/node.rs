//! The handle on a running node, and how a node is put together.

use std::{
    fmt,
    io::{self, Read},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use klay_accounts::wallet::SecretKey;
use klay_consensus::{
    dev::DevConfig,
    types::{Timeouts, timeouts::Linear},
};
use klay_core::{
    Address, B256, ChainConfig, Signature,
    auth::SignError,
    genesis::Genesis,
    storage::{KeyValue, Memory, Sled, StorageError},
};
use klay_vm::randao::{RandaoError, RevealSigner};
use parking_lot::Mutex;

use crate::{
    chain::{Chain, ChainOptions, OpenError},
    driver::{
        Author, Door, Driver, DriverError, EngineFault, EngineKind, EngineStatus, EvidenceBook, Keeper, LogFolder,
        Pace, Parts, Votes,
    },
    import::{ImportError, Imported, import},
    metrics::Metrics,
    network::{self, Network, NetworkConfig, NetworkError},
    pool::{PoolConfig, TxPool},
};

/// Accounts that the node signs for (`eth_accounts`, `kaia_sendTransaction`): dev accounts or a keystore.
pub trait NodeWallet: fmt::Debug + Send + Sync + 'static {
    /// The addresses, in their own order.
    fn addresses(&self) -> Vec<Address>;

    /// Signs `digest` for `address`; `v` of the result is the parity, 0 or 1.
    ///
    /// # Errors
    /// If there is no such key or it is locked.
    fn sign(&self, address: Address, digest: B256) -> Result<Signature, SignError>;
}

/// A wallet without keys.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWallet;

impl NodeWallet for NoWallet {
    fn addresses(&self) -> Vec<Address> {
        Vec::new()
    }

    fn sign(&self, address: Address, _digest: B256) -> Result<Signature, SignError> {
        Err(SignError::NoKey(address))
    }
}

/// Where a node keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// In memory: gone when the process ends.
    Memory,
    /// In this folder, on sled: `chain` and `consensus` lie in it, and `key` unless the key lies elsewhere.
    Folder(PathBuf),
}

impl Data {
    /// The store of the chain; made if there is none.
    ///
    /// # Errors
    /// If the folder cannot be made, or the store is open elsewhere or damaged.
    pub fn open(&self) -> Result<Arc<dyn KeyValue>, StartError> {
        Ok(match self {
            Self::Memory => Arc::new(Memory::new()),
            Self::Folder(folder) => Arc::new(Sled::open(made(folder.join(CHAIN_FOLDER))?)?),
        })
    }

    /// Whether there is something to open.
    pub fn exists(&self) -> bool {
        matches!(self, Self::Folder(folder) if folder.join(CHAIN_FOLDER).is_dir())
    }
}

/// Where the store lies in a node's folder.
const CHAIN_FOLDER: &str = "chain";

/// What makes blocks.
#[derive(Debug)]
pub struct Authority {
    /// The key that seals.
    pub key: SecretKey,
    /// Where rewards go; the key's own address if not given.
    pub rewardbase: Option<Address>,
    /// When blocks are made.
    pub pace: DevConfig,
    /// Seconds that must lie between the times of two blocks; 0 lets blocks share a second.
    pub period: u64,
    /// Gas at which a block is full.
    pub gas_limit: u64,
}

impl Authority {
    /// Gas of a block unless told otherwise: about 20,000 transfers.
    pub const GAS_LIMIT: u64 = 420_000_000;

    /// A block as soon as transactions wait.
    ///
    /// By the rule of the public networks a block's time lies at least a second behind its parent's. So where several
    /// blocks are made within a second, their times run ahead of the clock until a pause lets it catch up.
    pub fn instant(key: SecretKey) -> Self {
        Self { pace: DevConfig::instant(key.address()), key, rewardbase: None, period: 1, gas_limit: Self::GAS_LIMIT }
    }

    /// A block each `interval`, empty or not. Whole seconds keep the rule of the public networks, by which a block's
    /// time lies at least a second behind its parent's; below a second it does not apply.
    pub fn interval(key: SecretKey, interval: Duration) -> Self {
        let pace = DevConfig::interval(key.address(), interval);
        Self { pace, key, rewardbase: None, period: interval.as_secs().min(1), gas_limit: Self::GAS_LIMIT }
    }
}

/// A node's part in the consensus of a network.
#[derive(Debug)]
pub struct Validator {
    /// The key that proposes, votes and seals. In the council or not: it takes part as soon as it is.
    pub key: SecretKey,
    /// Where rewards go; the key's own address if not given.
    pub rewardbase: Option<Address>,
    /// How long a round may last.
    pub timeouts: Arc<dyn Timeouts>,
    /// How long transactions are selected for a block.
    pub build_time: Duration,
    /// Gas at which a block is full.
    pub gas_limit: u64,
    /// After the consensus log was lost: no copy of the key has signed anything in or above this block.
    pub resume_above: Option<u64>,
    /// The file that holds the key, if one does: outside the data folder it has its anchor beside it.
    pub key_file: Option<PathBuf>,
}

impl Validator {
    /// Takes part with `key`: rounds of 4 s, 2 s more each, 30 s at most; transactions are selected for 250 ms.
    pub fn new(key: SecretKey) -> Self {
        let secs = Duration::from_secs;
        Self {
            key,
            rewardbase: None,
            timeouts: Arc::new(Linear { base: secs(4), step: secs(2), cap: secs(30) }),
            build_time: Duration::from_millis(250),
            gas_limit: Authority::GAS_LIMIT,
            resume_above: None,
            key_file: None,
        }
    }
}

/// A network that a node takes part in.
#[derive(Debug)]
pub struct Membership {
    /// Where it listens and whom it knows.
    pub network: NetworkConfig,
    /// The engine of the chain: the same on all nodes.
    pub engine: EngineKind,
    /// Seconds between two blocks, at least 1.
    pub block_time: u64,
    /// The node's part in consensus, if it is a consensus node.
    pub validator: Option<Validator>,
}

/// What a node is made of.
#[derive(Debug)]
pub struct NodeConfig {
    /// The chain's beginning, prepared ([`Genesis::prepared`]); `None` takes the chain that the data hold.
    pub genesis: Option<Genesis>,
    /// Where it is kept.
    pub data: Data,
    /// What is kept, and when states are written.
    pub chain: ChainOptions,
    /// Limits of the pool.
    pub pool: PoolConfig,
    /// The number in `net_version`; the chain id if not given.
    pub network_id: Option<u64>,
    /// Who makes blocks; nobody if not given.
    pub authority: Option<Authority>,
    /// The network that it takes part in, if any; there is no authority then.
    pub membership: Option<Membership>,
    /// Accounts the node signs for.
    pub wallet: Arc<dyn NodeWallet>,
}

impl NodeConfig {
    /// A node in memory that makes no blocks.
    pub fn new(genesis: Genesis) -> Self {
        Self {
            genesis: Some(genesis),
            data: Data::Memory,
            chain: ChainOptions::default(),
            pool: PoolConfig::default(),
            network_id: None,
            authority: None,
            membership: None,
            wallet: Arc::new(NoWallet),
        }
    }

    /// A node over the chain in this folder that makes no blocks.
    pub fn stored(folder: PathBuf) -> Self {
        Self {
            genesis: None,
            data: Data::Folder(folder),
            chain: ChainOptions::default(),
            pool: PoolConfig::default(),
            network_id: None,
            authority: None,
            membership: None,
            wallet: Arc::new(NoWallet),
        }
    }
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store cannot be opened.
    #[error("store: {0}")]
    Storage(#[from] StorageError),
    /// The folder cannot be made.
    #[error("{path}: {source}")]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The chain cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Blocks cannot be made.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The key gives no randomness.
    #[error(transparent)]
    Randao(#[from] RandaoError),
    /// The network cannot be joined.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// The public part of the BLS key that a node derives from its own: what a validator registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RandomnessKey {
    /// The key.
    pub public: [u8; 48],
    /// That its holder has the secret.
    pub proof: [u8; 96],
}

impl RandomnessKey {
    fn of(key: &SecretKey) -> Result<Self, RandaoError> {
        let signer = RevealSigner::derive(key.expose())?;
        Ok(Self { public: signer.public_key(), proof: signer.proof() })
    }
}

/// A running node. Cloning is cheap; all clones are the same node.
#[derive(Debug, Clone)]
pub struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    chain: Chain,
    pool: TxPool,
    wallet: Arc<dyn NodeWallet>,
    metrics: Arc<Metrics>,
    network_id: u64,
    engine: EngineKind,
    network: Option<Network>,
    has_static_peers: bool,
    votes: Votes,
    evidence: EvidenceBook,
    author: Option<Address>,
    randomness: Option<RandomnessKey>,
    folder: Option<PathBuf>,
    driver: Mutex<Option<Driver>>,
}

impl Node {
    /// Opens the chain, executes what a crash left over, and begins to make blocks if there is an authority.
    ///
    /// # Errors
    /// If the data cannot be used or belong to another chain, or the key must not sign.
    pub async fn start(config: NodeConfig) -> Result<Self, StartError> {
        let NodeConfig { genesis, data, chain, pool, network_id, authority, membership, wallet } = config;
        let metrics = Arc::new(Metrics::default());
        let store = data.open()?;
        let chain = match genesis {
            Some(genesis) => Chain::open(Arc::clone(&store), &genesis, chain, &metrics)?,
            None => Chain::open_stored(Arc::clone(&store), chain, &metrics)?,
        };
        let engine = membership.as_ref().map_or(EngineKind::Dev, |membership| membership.engine);
        let evidence = EvidenceBook::open(store, &chain, engine)?;
        let pool = TxPool::new(pool, chain.pool_head(), Arc::clone(&metrics));
        let (votes, evidence) = (Votes::default(), &evidence);
        let parts = Shared { chain: &chain, pool: &pool, metrics: &metrics, data: &data, votes, evidence };
        let has_static_peers = membership.as_ref().is_some_and(|membership| !membership.network.peers.is_empty());
        let key = match (&authority, &membership) {
            (Some(authority), _) => Some(&authority.key),
            (None, Some(Membership { validator: Some(validator), .. })) => Some(&validator.key),
            (None, _) => None,
        };
        let author = key.map(SecretKey::address);
        let randomness = key.map(RandomnessKey::of).transpose()?;
        let folder = match &data {
            Data::Memory => None,
            Data::Folder(folder) => Some(folder.clone()),
        };
        let (network, driver) = match (membership, authority) {
            (Some(membership), _) => parts.join(membership).await?,
            (None, Some(authority)) => (None, Some(parts.alone(authority).await?)),
            (None, None) => (None, None),
        };
        let (votes, evidence) = (parts.votes.clone(), evidence.clone());
        let network_id = network_id.unwrap_or(chain.config().chain_id);
        Ok(Self(Arc::new(Inner {
            chain,
            pool,
            wallet,
            metrics,
            network_id,
            engine,
            network,
            has_static_peers,
            votes,
            evidence,
            author,
            randomness,
            folder,
            driver: Mutex::new(driver),
        })))
    }

    /// Imports blocks behind the head and lets the pool follow: see [`crate::import::import`].
    ///
    /// # Errors
    /// As there. Blocks before the one that was refused stay.
    pub fn import(&self, source: impl Read + Send) -> Result<Imported, ImportError> {
        let imported = import(&self.0.chain, source, &mut |_| ControlFlow::Continue(()));
        self.0.pool.follow(self.0.chain.pool_head(), core::iter::empty());
        imported
    }

    /// Stops making blocks and writes the newest state. The handles stay readable.
    pub async fn stop(&self) {
        let driver = self.0.driver.lock().take();
        if let Some(driver) = driver {
            driver.stop().await;
        }
        if let Some(network) = &self.0.network {
            network.stop();
        }
        let chain = self.0.chain.clone();
        let written = tokio::task::spawn_blocking(move || chain.persist()).await;
        if let Ok(Err(error)) = written {
            // Nothing is lost: the blocks are stored, the next start executes them again.
            tracing::error!(%error, "state cannot be written");
        }
    }

    /// The chain as stored.
    pub fn chain(&self) -> &Chain {
        &self.0.chain
    }

    /// Transactions that wait.
    pub fn pool(&self) -> &TxPool {
        &self.0.pool
    }

    /// What the genesis says about the chain: id and forks.
    pub fn config(&self) -> &ChainConfig {
        self.0.chain.config()
    }

    /// The number in `net_version`.
    pub fn network_id(&self) -> u64 {
        self.0.network_id
    }

    /// Accounts the node signs for.
    pub fn wallet(&self) -> &dyn NodeWallet {
        &*self.0.wallet
    }

    /// Counters.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The network that it takes part in, if any.
    pub fn network(&self) -> Option<&Network> {
        self.0.network.as_ref()
    }

    /// The engine that decides blocks.
    pub fn engine(&self) -> EngineKind {
        self.0.engine
    }

    /// Whether there are peers that it should always be connected to.
    pub fn has_static_peers(&self) -> bool {
        self.0.has_static_peers
    }

    /// Where the consensus engine stands; `None` while it is not running.
    pub async fn engine_status(&self) -> Option<EngineStatus> {
        let status = self.0.driver.lock().as_ref().map(Driver::status)?;
        status.await
    }

    /// Why the consensus engine does nothing any more; `None` while it works, waits, or there is none.
    pub fn engine_fault(&self) -> Option<EngineFault> {
        self.0.driver.lock().as_ref().and_then(Driver::fault)
    }

    /// The address that it proposes and votes with, if it does.
    pub fn author(&self) -> Option<Address> {
        self.0.author
    }

    /// The BLS key behind the randomness of its blocks, if it proposes any.
    pub fn randomness(&self) -> Option<&RandomnessKey> {
        self.0.randomness.as_ref()
    }

    /// Where its data lie; none for a node in memory.
    pub fn folder(&self) -> Option<&Path> {
        self.0.folder.as_deref()
    }

    /// Governance votes that wait for a header of this node.
    pub fn votes(&self) -> &Votes {
        &self.0.votes
    }

    /// What its engine has found against validators.
    pub fn evidence(&self) -> &EvidenceBook {
        &self.0.evidence
    }
}

/// What the parts of a node share while it is put together.
struct Shared<'a> {
    chain: &'a Chain,
    pool: &'a TxPool,
    metrics: &'a Arc<Metrics>,
    data: &'a Data,
    votes: Votes,
    evidence: &'a EvidenceBook,
}

impl Shared<'_> {
    /// Lets one authority make blocks.
    async fn alone(&self, authority: Authority) -> Result<Driver, StartError> {
        let Authority { key, rewardbase, pace, period, gas_limit } = authority;
        let author = author(&key, rewardbase, gas_limit, period)?;
        let keeper = self.keeper(EngineKind::Dev, period, Some(author.address));
        let memory = (self.log_folder(None)?, None);
        self.drive(keeper, author, key, Pace::Dev(pace), memory, None).await
    }

    /// Joins a network.
    async fn join(&self, membership: Membership) -> Result<(Option<Network>, Option<Driver>), StartError> {
        let Membership { network, engine, block_time, validator } = membership;
        let keeper = self.keeper(engine, block_time, validator.as_ref().map(|validator| validator.key.address()));
        let key_file = validator.as_ref().and_then(|validator| validator.key_file.as_deref());
        let log = self.log_folder(key_file)?;
        let network = Network::start(network::Parts {
            config: network,
            engine: engine.name().to_owned(),
            chain: self.chain.clone(),
            pool: self.pool.clone(),
            metrics: Arc::clone(self.metrics),
            importer: Arc::new(Door(Arc::clone(&keeper))),
        })?;
        let Some(validator) = validator else { return Ok((Some(network), None)) };
        let Validator { key, rewardbase, timeouts, build_time, gas_limit, resume_above, .. } = validator;
        let author = author(&key, rewardbase, gas_limit, block_time)?;
        let pace = Pace::Bft { engine, timeouts, build_time };
        let driver = self.drive(keeper, author, key, pace, (log, resume_above), Some(network.clone())).await;
        match driver {
            Ok(driver) => Ok((Some(network), Some(driver))),
            Err(error) => {
                network.stop();
                Err(error)
            }
        }
    }

    /// `me` is who votes, if anybody does.
    fn keeper(&self, engine: EngineKind, period: u64, me: Option<Address>) -> Arc<Keeper> {
        let votes = me.map(|me| (me, self.votes.clone()));
        Keeper::new(self.chain.clone(), self.pool.clone(), Arc::clone(self.metrics), (engine, period), votes)
    }

    /// Where the memory of the key lies.
    fn log_folder(&self, key_file: Option<&Path>) -> Result<LogFolder, StartError> {
        let Data::Folder(folder) = self.data else { return Ok(LogFolder::Memory) };
        let found = LogFolder::of(folder, key_file, self.chain.config().chain_id);
        Ok(found.map_err(DriverError::Folder)?)
    }

    async fn drive(
        &self,
        keeper: Arc<Keeper>,
        author: Author,
        key: SecretKey,
        pace: Pace,
        (log, resume_above): (LogFolder, Option<u64>),
        network: Option<Network>,
    ) -> Result<Driver, StartError> {
        let (metrics, votes, evidence) = (Arc::clone(self.metrics), self.votes.clone(), self.evidence.clone());
        let parts = Parts { keeper, metrics, evidence, author, votes, key, pace, log, resume_above, network };
        Ok(Driver::start(parts).await?)
    }
}

fn author(key: &SecretKey, rewardbase: Option<Address>, gas_limit: u64, period: u64) -> Result<Author, StartError> {
    Ok(Author {
        address: key.address(),
        rewardbase: rewardbase.unwrap_or_else(|| key.address()),
        randao: RevealSigner::derive(key.expose())?,
        vanity: concat!("klay ", env!("CARGO_PKG_VERSION")).as_bytes().to_vec(),
        gas_limit,
        period,
    })
}

fn made(path: PathBuf) -> Result<PathBuf, StartError> {
    let make = |path: &Path| std::fs::create_dir_all(path);
    make(&path).map_err(|source| StartError::Folder { path: path.clone(), source })?;
    Ok(path)
}
