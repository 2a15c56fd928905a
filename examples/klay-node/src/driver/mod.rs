//! The write side: a consensus engine behind a gate makes blocks, the chain stores them, the pool and everybody who
//! listens follow.
//!
//! A block is durable before anybody hears of it. Its transactions are the objects that the pool held: nothing is
//! decoded or recovered a second time, nothing is executed twice.
//!
//! | File | What |
//! |---|---|
//! | `engine` | which engine |
//! | `app`, `build`, `rest` | what the engine asks of the node |
//! | `judge`, `finalise` | whether a block may follow, and what it does |
//! | `keeper`, `base` | taking blocks over; blocks that are executed but not decided |
//! | `committees`, `votes` | who decides; governance in headers |
//! | `evidence` | what the engine has found against validators |
//! | `fault` | why the engine does nothing any more |
//! | `folders` | where a key's memory lies |
//! | `moving` | a key's memory, taken to another machine |

mod app;
mod base;
mod build;
mod committees;
mod engine;
mod evidence;
mod fault;
mod finalise;
mod folders;
mod judge;
mod keeper;
mod moving;
mod proposal;
mod rest;
mod running;
mod votes;

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use klay_accounts::wallet::SecretKey;
use klay_consensus::{
    dev::{Dev, DevConfig},
    gate::{Gate, GateOpenError, GateOptions},
    host::{self, Counters, HostHandle, OnHalt, Setup, StartError, Tip},
    istanbul::{
        Istanbul, IstanbulCodec, IstanbulConfig, Klaytn, Message,
        justified::{Justified, JustifiedCodec, JustifiedConfig, JustifiedMessage},
        seal::KeySigner,
    },
    simplex::{Delta, Simplex, SimplexCodec, SimplexConfig, SimplexMessage},
    types::{Codec, Engine, Evidence, Slot, Status, Timeouts},
    wal::{Disk, Entry, Identity, MemoryDisk},
};
use klay_core::{Address, B256, crypto::keccak256};

use self::{app::NodeApp, committees::ChainCommittees, fault::Faults, folders::Disks};
use crate::{
    metrics::Metrics,
    network::{Carries, Compacting, Network, Speech},
};

pub use build::Author;
pub use engine::EngineKind;
pub use evidence::EvidenceBook;
pub use fault::EngineFault;
pub use finalise::ExecuteError;
pub(crate) use finalise::{encoded_receipts, finish, replay};
pub use folders::LogFolder;
pub(crate) use keeper::{Door, Keeper};
pub use moving::{GateHome, MoveGateError};
pub use proposal::Proposal;
pub(crate) use running::Driver;
pub use running::EngineStatus;
pub use votes::{VoteProblem, Votes};

/// Why a node cannot start to make blocks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The gate refuses the key or its log.
    #[error(transparent)]
    Gate(#[from] GateOpenError),
    /// The key has signed, but the log is missing or an older copy.
    #[error("the key has signed in block {signed}, the log ends at {}", log.map_or_else(|| "none".to_owned(), |n| n.to_string()))]
    LostLog {
        /// Highest block that something was signed about.
        signed: u64,
        /// Highest block in the log, if any.
        log: Option<u64>,
    },
    /// The operator's word on a lost log is not true.
    #[error("cannot resume above block {resume}: the key has signed in block {signed}")]
    ResumeTooLow {
        /// The operator's block.
        resume: u64,
        /// Highest block that something was signed about.
        signed: u64,
    },
    /// The engine refuses.
    #[error(transparent)]
    Host(#[from] StartError),
    /// The folder of the log cannot be used.
    #[error("consensus log: {0}")]
    Folder(#[from] io::Error),
}

/// What a driver is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) evidence: EvidenceBook,
    pub(crate) author: Author,
    pub(crate) votes: Votes,
    pub(crate) key: SecretKey,
    pub(crate) pace: Pace,
    pub(crate) log: LogFolder,
    /// An operator's word on a lost log: a block, see [`EngineKind::resume`].
    pub(crate) resume_above: Option<u64>,
    pub(crate) network: Option<Network>,
}

/// The engine and its times.
#[derive(Debug, Clone)]
pub(crate) enum Pace {
    /// Alone.
    Dev(DevConfig),
    /// With others.
    Bft {
        /// Which engine.
        engine: EngineKind,
        /// How long a round may last.
        timeouts: Arc<dyn Timeouts>,
        /// How long transactions are selected.
        build_time: Duration,
    },
}

impl Pace {
    const fn engine(&self) -> EngineKind {
        match self {
            Self::Dev(_) => EngineKind::Dev,
            Self::Bft { engine, .. } => *engine,
        }
    }

    const fn build_time(&self) -> Duration {
        match self {
            Self::Dev(config) => config.build_time,
            Self::Bft { build_time, .. } => *build_time,
        }
    }
}

/// An engine that is hosted, whichever it is.
#[async_trait]
trait Hosted: Send + Sync {
    fn demand(&self);
    /// The chain has moved; the validators of the next block are known now.
    fn head(&self, tip: Tip<Klaytn<Proposal>>);
    fn peer(&self, peer: Address, is_up: bool);
    async fn status(&self) -> Option<Status<Klaytn<Proposal>>>;
    fn counters(&self) -> &Counters;
    async fn stop(self: Box<Self>);
}

#[async_trait]
impl<Msg: Send + 'static> Hosted for HostHandle<Klaytn<Proposal>, Msg> {
    fn demand(&self) {
        Self::demand(self);
    }

    fn head(&self, tip: Tip<Klaytn<Proposal>>) {
        let next = tip.height.saturating_add(1);
        Self::head(self, tip);
        Self::sets(self, next);
    }

    fn peer(&self, peer: Address, is_up: bool) {
        Self::peer(self, peer, is_up);
    }

    async fn status(&self) -> Option<Status<Klaytn<Proposal>>> {
        Self::status(self).await
    }

    fn counters(&self) -> &Counters {
        Self::counters(self)
    }

    async fn stop(self: Box<Self>) {
        Self::stop(*self).await;
    }
}

impl Carries for Message<Proposal> {
    fn proposal(&self) -> Option<&Proposal> {
        match &self.body {
            klay_consensus::istanbul::Body::Preprepare(preprepare) => Some(&preprepare.value),
            _ => None,
        }
    }
}

impl Carries for JustifiedMessage<Proposal> {
    fn proposal(&self) -> Option<&Proposal> {
        self.value.as_ref()
    }
}

impl Carries for SimplexMessage<Proposal> {
    fn proposal(&self) -> Option<&Proposal> {
        match self {
            Self::Proposal { value, .. } | Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// The gate of a node.
type NodeGate<D> = Gate<KeySigner<SecretKey>, D>;

/// Spans of Simplex: 3 s for a proposal, 4.5 s for the end of a view.
const DELTA: Delta = Delta { base: Duration::from_millis(1_500), cap: Duration::from_secs(10) };

/// What an engine needs to be hosted, whichever it is.
struct Stage<D> {
    app: NodeApp,
    gate: NodeGate<D>,
    entries: Vec<Entry>,
    network: Option<Network>,
    metrics: Arc<Metrics>,
    evidence: EvidenceBook,
    faults: Faults,
}

impl<D: Disk + 'static> Stage<D> {
    /// Hosts the engine that `pace` names. Swapping an engine is one arm here.
    async fn host(self, pace: Pace) -> Result<Box<dyn Hosted>, StartError> {
        let chain = self.app.keeper.chain.clone();
        let committees = Arc::new(ChainCommittees { chain: chain.clone(), engine: pace.engine() });
        let me = self.app.author.address;
        match pace {
            Pace::Dev(config) => self.alone::<Dev<Proposal>>(config).await,
            Pace::Bft { engine: EngineKind::Justified, timeouts, build_time } => {
                let domain = domain(chain.config().chain_id, chain.genesis_hash(), EngineKind::Justified);
                let config = JustifiedConfig { timeouts, build_time, ..JustifiedConfig::new(me, committees, domain) };
                self.with_peers::<Justified<Proposal>, _>(config, JustifiedCodec).await
            }
            Pace::Bft { engine: EngineKind::Simplex, build_time, .. } => {
                let domain = domain(chain.config().chain_id, chain.genesis_hash(), EngineKind::Simplex);
                let config = SimplexConfig {
                    timeouts: Arc::new(DELTA),
                    build_time,
                    period: Duration::from_secs(self.app.keeper.period),
                    // The validators of a block follow from the block before it.
                    epoch: 1,
                    ..SimplexConfig::new(me, committees, domain)
                };
                self.with_peers::<Simplex<Proposal>, _>(config, SimplexCodec).await
            }
            Pace::Bft { engine: EngineKind::Istanbul | EngineKind::Dev, timeouts, build_time } => {
                let config = IstanbulConfig { timeouts, build_time, ..IstanbulConfig::new(me, committees) };
                self.with_peers::<Istanbul<Proposal>, _>(config, IstanbulCodec).await
            }
        }
    }

    async fn alone<E>(self, config: E::Config) -> Result<Box<dyn Hosted>, StartError>
    where
        E: Engine<Klaytn<Proposal>> + Send + 'static,
    {
        let mut setup: Setup<Klaytn<Proposal>, E, _, _> =
            Setup::alone(config, self.gate, self.entries, Arc::new(self.app));
        setup.on_halt = Some(on_halt(self.faults));
        Ok(Box::new(host::start(setup).await?))
    }

    async fn with_peers<E, C>(self, config: E::Config, codec: C) -> Result<Box<dyn Hosted>, StartError>
    where
        E: Engine<Klaytn<Proposal>> + Send + 'static,
        E::Msg: Carries,
        C: Codec<Klaytn<Proposal>, Msg = E::Msg> + Send + Sync + 'static,
    {
        let mut setup: Setup<Klaytn<Proposal>, E, _, _> =
            Setup::alone(config, self.gate, self.entries, Arc::new(self.app));
        if let Some(network) = self.network {
            let transport = Arc::new(Speech(network));
            setup = setup.with_network(host::Network { transport, codec: Arc::new(Compacting(codec)) });
        }
        setup.on_halt = Some(on_halt(self.faults));
        let (metrics, book) = (self.metrics, self.evidence);
        setup.on_evidence = Some(Box::new(move |evidence: Evidence<Address>| {
            let Evidence { kind, offender, view, .. } = evidence;
            if book.note(evidence) {
                tracing::error!(?kind, %offender, %view, "evidence of misbehaviour");
                metrics.evidence.add(1);
            }
        }));
        Ok(Box::new(host::start(setup).await?))
    }
}

fn on_halt(faults: Faults) -> OnHalt {
    Box::new(move |halt| faults.note(EngineFault::Halt(halt)))
}

/// Opens the gate over a log.
fn open_gate<D: Disk>(
    parts: &Parts,
    disk: D,
    anchor: Option<D>,
    anchored: Option<Slot>,
) -> Result<(NodeGate<D>, Vec<Entry>), DriverError> {
    let engine = parts.pace.engine();
    let chain_id = parts.keeper.chain.config().chain_id;
    let identity = Identity { chain_id, key: parts.author.address.to_vec(), engine: engine.name().to_owned() };
    let options = GateOptions {
        rules: engine.gate_rules(),
        floor: engine.last_slot(parts.keeper.chain.head().number()),
        anchored,
        resume: parts.resume_above.map(|number| engine.resume(number)),
    };
    let opened = Gate::open(KeySigner::new(parts.key.clone()), disk, anchor, identity, options);
    opened.map_err(|error| engine.refusal(error))
}

/// Names chain and protocol, so that no signature of one is good for another.
fn domain(chain_id: u64, genesis: B256, engine: EngineKind) -> B256 {
    let mut text = engine.name().as_bytes().to_vec();
    text.extend_from_slice(&chain_id.to_be_bytes());
    text.extend_from_slice(genesis.as_slice());
    keccak256(text)
}

/// A disk for a chain that ends with its process.
fn no_disk() -> MemoryDisk {
    MemoryDisk::new()
}
