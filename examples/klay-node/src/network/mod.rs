//! The network of nodes: libp2p over TCP, noise and yamux.
//!
//! | File | What |
//! |---|---|
//! | `wire` | what is said, byte by byte |
//! | `frames`, `outbox`, `inbound` | frames on a stream; what waits to be sent; what may be read |
//! | `swarm` | connections: listening, dialling, discovery, limits |
//! | `peers`, `score` | who is connected; misdeeds and what they cost |
//! | `gossip` | transactions and blocks as news |
//! | `fetch`, `asked` | questions and answers; what is being asked for |
//! | `assemble` | blocks from hashes |
//! | `transport` | messages of the consensus engine |
//! | `sync` | catching up |
//!
//! A node is named by its key, so that whoever connects has shown which address is his. Validators send each other their
//! consensus messages directly. A peer that sends garbage, invalid blocks or a flood is cut off; see [`Misdeed`].
//!
//! Nothing that peers send is kept without bound: each peer has one reader per stream that waits until its last frame is
//! dealt with, every queue has a length, and what overflows is counted and dropped.

mod asked;
mod assemble;
mod fetch;
mod frames;
mod gossip;
mod inbound;
mod outbox;
mod peers;
mod recent;
mod score;
mod swarm;
mod sync;
#[cfg(test)]
mod tests;
mod transport;
pub mod wire;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use alloy_primitives::map::B256Set;
use async_trait::async_trait;
use klay_accounts::wallet::SecretKey;
use klay_consensus::types::Class;
use klay_core::{Address, B256, Bytes, block::Header};
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    asked::Asked,
    assemble::Assembled,
    peers::{Peers, Session},
    recent::Recent,
    swarm::{Command, Connections},
    wire::{Gossip, Status},
};
use crate::{Chain, SharedTx, TxPool, metrics::Metrics};

pub use score::Misdeed;
pub use swarm::{BadPeerAddress, PeerAddress, peer_id};
pub(crate) use transport::Speech;
pub use transport::{Carries, Compacting};

const GOSSIP: StreamProtocol = StreamProtocol::new("/klay/gossip/1");
const SPEECH: StreamProtocol = StreamProtocol::new("/klay/consensus/1");
const FETCH: StreamProtocol = StreamProtocol::new("/klay/fetch/1");

/// Transactions that are remembered, so that none is recovered twice.
const SEEN: usize = 262_144;
/// KiB of consensus messages that the host has not taken yet, of all peers.
const INBOX_KIB: usize = 96 << 10;

/// A consensus message: from whom, what, and the room that it takes among those of its sender and among all.
type Letter = (Address, Vec<u8>, [OwnedSemaphorePermit; 2]);

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A consensus node: proposes and votes once it is in the council.
    Consensus,
    /// A proxy node: stands between consensus nodes and the world.
    Proxy,
    /// An endpoint node: serves reads and takes transactions.
    Endpoint,
}

impl Role {
    /// Its number on the wire.
    pub const fn code(self) -> u64 {
        match self {
            Self::Consensus => 0,
            Self::Endpoint => 1,
            Self::Proxy => 2,
        }
    }

    /// The role with this number.
    pub const fn from_code(code: u64) -> Option<Self> {
        match code {
            0 => Some(Self::Consensus),
            1 => Some(Self::Endpoint),
            2 => Some(Self::Proxy),
            _ => None,
        }
    }

    /// Its short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consensus => "cn",
            Self::Proxy => "pn",
            Self::Endpoint => "en",
        }
    }

    /// The role with this short name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Consensus, Self::Proxy, Self::Endpoint].into_iter().find(|role| role.name() == name)
    }
}

/// How a node takes part in a network.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The key that names the node.
    pub key: SecretKey,
    /// What it is for.
    pub role: Role,
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// Peers that it keeps connecting to.
    pub peers: Vec<PeerAddress>,
    /// Whether it looks for peers on the local network.
    pub mdns: bool,
    /// Connections of others at most, and of those that are found on the local network; those to [`Self::peers`] do not
    /// count.
    pub max_peers: u32,
}

impl NetworkConfig {
    /// Listens nowhere and knows nobody.
    pub const fn new(key: SecretKey, role: Role) -> Self {
        Self { key, role, listen: Vec::new(), peers: Vec::new(), mdns: false, max_peers: 64 }
    }
}

/// Why a node cannot take part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The key does not name a node.
    #[error("the key cannot be used as the name of a node")]
    Key,
    /// The library refuses.
    #[error("network: {0}")]
    Setup(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        reason: String,
    },
    /// A protocol is registered twice.
    #[error("protocol {0} is taken")]
    Protocol(StreamProtocol),
}

impl From<io::Error> for NetworkError {
    fn from(error: io::Error) -> Self {
        Self::Setup(error.to_string())
    }
}

/// A block from the network: its header, sealed, and its transactions.
#[derive(Debug, Clone)]
pub struct Received {
    /// The header.
    pub header: Header,
    /// The transactions; `assemble` or sync have recovered them.
    pub transactions: Vec<SharedTx>,
}

/// Why a block from the network is not taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It breaks a rule.
    #[error("block {number}: {reason}")]
    Invalid {
        /// Its height.
        number: u64,
        /// Which rule.
        reason: String,
    },
    /// It cannot be judged here and now: the parent is missing, its time lies ahead, or the store failed.
    #[error("block {number} cannot be taken over now: {reason}")]
    NotNow {
        /// Its height.
        number: u64,
        /// Why.
        reason: String,
    },
}

/// What the network asks of the rest of the node.
#[async_trait]
pub trait Importer: Send + Sync + 'static {
    /// Whether this address may take part in consensus now.
    fn is_validator(&self, address: Address) -> bool;

    /// Whether a block up to the one after the head has the seals that decide it; `true` if that cannot be told. It is
    /// asked before anything is done for a block that a peer sends by itself.
    async fn is_sealed(&self, _header: &Header) -> bool {
        true
    }

    /// Checks blocks that follow the head and makes them part of the chain, in order. A block that is there already is
    /// passed over.
    ///
    /// # Errors
    /// The first block that is not taken over, and why; those before it are.
    async fn import(&self, blocks: Vec<Received>) -> Result<(), Refused>;
}

/// A peer as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its name.
    pub id: String,
    /// The address of its key.
    pub address: Address,
    /// What it is for.
    pub role: Role,
    /// Height of its newest block, as far as it has said.
    pub head: u64,
}

/// A validator came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contact {
    pub(crate) address: Address,
    pub(crate) is_up: bool,
}

/// What a network is made of.
pub(crate) struct Parts {
    pub(crate) config: NetworkConfig,
    /// Name of the consensus engine: nodes with another one are not talked to.
    pub(crate) engine: String,
    pub(crate) chain: Chain,
    pub(crate) pool: TxPool,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) importer: Arc<dyn Importer>,
}

/// The node's part in the network. Cloning is cheap.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    role: Role,
    engine: String,
    chain: Chain,
    pool: TxPool,
    metrics: Arc<Metrics>,
    importer: Arc<dyn Importer>,
    id: PeerId,
    listening: Mutex<Vec<Multiaddr>>,
    peers: Peers,
    /// Peers that the operator has named.
    kept: Mutex<HashSet<PeerId>>,
    streams: libp2p_stream::Control,
    commands: mpsc::Sender<Command>,
    /// Transactions that were here: waiting, in a block, or refused for good.
    seen: Mutex<Recent>,
    /// Transactions that were refused for now: not asked for until somebody reminds of them.
    refused: Mutex<B256Set>,
    /// Transactions that are being fetched.
    asked: Asked,
    assembled: Assembled,
    inbox: mpsc::UnboundedSender<Letter>,
    speech: tokio::sync::Mutex<mpsc::UnboundedReceiver<Letter>>,
    /// Room for consensus messages that wait, in KiB.
    waiting: Arc<Semaphore>,
    contacts: broadcast::Sender<Contact>,
    behind: Notify,
    fetching: Mutex<HashMap<PeerId, fetch::Served>>,
    look_ups: fetch::LookUps,
    closed: CancellationToken,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("id", &self.0.id).field("peers", &self.0.peers.len()).finish_non_exhaustive()
    }
}

impl Network {
    /// Opens the ports and begins to connect.
    pub(crate) fn start(parts: Parts) -> Result<Self, NetworkError> {
        let (network, connections) = Self::new(parts)?;
        tokio::spawn(connections.run());
        Ok(network)
    }

    /// Nobody is connected before the connections run.
    fn new(parts: Parts) -> Result<(Self, Connections), NetworkError> {
        let Parts { config, engine, chain, pool, metrics, importer } = parts;
        let mut swarm = swarm::build(&config)?;
        for address in &config.listen {
            let listen = swarm.listen_on(swarm::multiaddr(*address));
            listen.map_err(|error| NetworkError::Listen { address: *address, reason: error.to_string() })?;
        }
        let (commands, orders) = mpsc::channel(256);
        let (inbox, speech) = mpsc::unbounded_channel();
        let network = Self(Arc::new(Inner {
            role: config.role,
            engine,
            chain,
            pool,
            metrics,
            importer,
            id: *swarm.local_peer_id(),
            listening: Mutex::default(),
            peers: Peers::new(),
            kept: Mutex::new(config.peers.iter().filter_map(PeerAddress::id).collect()),
            streams: swarm.behaviour().control(),
            commands,
            seen: Mutex::new(Recent::new(SEEN)),
            refused: Mutex::default(),
            asked: Asked::default(),
            assembled: Assembled::default(),
            waiting: Arc::new(Semaphore::new(INBOX_KIB)),
            inbox,
            speech: tokio::sync::Mutex::new(speech),
            contacts: broadcast::Sender::new(256),
            behind: Notify::new(),
            fetching: Mutex::default(),
            look_ups: fetch::LookUps::default(),
            closed: CancellationToken::new(),
        }));
        for protocol in [GOSSIP, SPEECH, FETCH] {
            let streams = network.0.streams.clone().accept(protocol.clone());
            let streams = streams.map_err(|_| NetworkError::Protocol(protocol.clone()))?;
            tokio::spawn(network.clone().accept(protocol, streams));
        }
        tokio::spawn(network.clone().spread_transactions());
        tokio::spawn(network.clone().spread_blocks());
        tokio::spawn(network.clone().catch_up());
        let connections = Connections {
            swarm,
            network: network.clone(),
            max_peers: usize::try_from(config.max_peers).unwrap_or(usize::MAX),
            commands: orders,
            peers: config.peers,
            lookups: JoinSet::new(),
            looked_up: BTreeSet::new(),
            places: HashMap::new(),
            unanswered: HashMap::new(),
            lingering: HashSet::new(),
            turns: HashMap::new(),
            met: HashMap::new(),
            found: BTreeMap::new(),
        };
        Ok((network, connections))
    }

    /// Closes all connections.
    pub(crate) fn stop(&self) {
        self.0.closed.cancel();
    }

    /// The node's name.
    pub fn id(&self) -> PeerId {
        self.0.id
    }

    /// What the node is for.
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<String> {
        let named = |address: &Multiaddr| format!("{address}/p2p/{}", self.0.id);
        self.0.listening.lock().iter().map(named).collect()
    }

    /// Everybody who has greeted.
    pub fn peers(&self) -> Vec<PeerInfo> {
        let info = |session: Arc<Session>| {
            let role = session.role()?;
            Some(PeerInfo { id: session.id.to_string(), address: session.address, role, head: session.head() })
        };
        self.0.peers.greeted().into_iter().filter_map(info).collect()
    }

    /// Keeps connecting to a peer, beyond the limit of connections. Returns whether the connections have taken note.
    pub fn keep(&self, peer: PeerAddress) -> bool {
        self.0.commands.try_send(Command::Keep(peer)).is_ok()
    }

    /// Connects to a peer no longer and closes what there is. Returns whether the connections have taken note.
    pub fn forget(&self, peer: PeerAddress) -> bool {
        self.0.commands.try_send(Command::Forget(peer)).is_ok()
    }

    /// The highest block that a peer has spoken of: a validator or one that the operator has named, or anybody as long as
    /// none of them is there, since a height costs nothing to say. Whoever spoke of blocks again and again and did not
    /// send them is not listened to. A node that only follows listens to him all the same if there is nobody else: it
    /// cannot know that it is up to date. A consensus node makes the blocks itself, and nobody must keep it from that by
    /// words.
    pub fn best_known(&self) -> u64 {
        let everybody = self.0.peers.greeted();
        let trusted: Vec<_> = everybody.iter().filter(|session| self.is_trusted(session)).cloned().collect();
        let heard = if trusted.is_empty() { everybody } else { trusted };
        self.0.peers.claimed(&heard, self.0.role != Role::Consensus).unwrap_or(0)
    }

    /// Whether a validator or a peer that the operator has named is there.
    pub fn has_company(&self) -> bool {
        self.0.peers.greeted().iter().any(|session| self.is_trusted(session))
    }

    /// Misdeeds of peers so far, by kind.
    pub fn misdeeds(&self) -> Vec<(&'static str, u64)> {
        self.0.peers.misdeeds.lock().iter().map(|(misdeed, count)| (misdeed.name(), *count)).collect()
    }

    /// Peers that are cut off for what they did.
    pub fn banned(&self) -> usize {
        self.0.peers.banned()
    }

    /// Validators that can be spoken to, this node not counted.
    pub(crate) fn reachable(&self) -> Vec<Address> {
        let speaks = |session: &Arc<Session>| session.speaks.load(Ordering::Relaxed);
        self.0.peers.greeted().into_iter().filter(speaks).map(|session| session.address).collect()
    }

    /// Validators coming and going.
    pub(crate) fn contacts(&self) -> broadcast::Receiver<Contact> {
        self.0.contacts.subscribe()
    }

    pub(crate) fn assembled(&self) -> &Assembled {
        &self.0.assembled
    }

    fn closed(&self) -> CancellationToken {
        self.0.closed.clone()
    }

    fn listens_on(&self, address: Multiaddr) {
        self.0.listening.lock().push(address);
    }

    fn admits(&self, id: &PeerId) -> bool {
        !self.0.peers.is_banned(id) && swarm::address_of(id).is_some()
    }

    fn is_connected(&self, id: &PeerId) -> bool {
        self.0.peers.is_connected(id)
    }

    /// Whether a peer is a validator or named by the operator. Everybody else can have as many names as he likes.
    fn is_trusted(&self, session: &Session) -> bool {
        self.0.kept.lock().contains(&session.id) || self.0.importer.is_validator(session.address)
    }

    /// A connection stands: greets the peer.
    fn connected(&self, id: PeerId) -> Option<Arc<Session>> {
        let (session, is_new) = self.0.peers.open(id, swarm::address_of(&id)?);
        if is_new {
            tokio::spawn(self.clone().write_gossip(Arc::clone(&session)));
            tokio::spawn(self.clone().expect_greeting(Arc::clone(&session)));
        }
        Some(session)
    }

    fn disconnected(&self, id: &PeerId) {
        self.0.fetching.lock().remove(id);
        if let Some(session) = self.0.peers.close(id) {
            self.silenced(&session);
        }
    }

    /// Nothing can be said to a validator any more.
    fn silenced(&self, session: &Session) {
        session.speaks.store(false, Ordering::Relaxed);
        if session.is_met.swap(false, Ordering::Relaxed) {
            // Fails only when nobody listens.
            let _nobody = self.0.contacts.send(Contact { address: session.address, is_up: false });
        }
    }

    /// Counts a misdeed, and cuts the peer off if it is one too many.
    fn blame(&self, id: &PeerId, misdeed: Misdeed) {
        if self.0.peers.blame(id, misdeed) {
            tracing::warn!(peer = %id, misdeed = misdeed.name(), "peer is cut off");
            self.drop_peer(*id);
        }
    }

    fn drop_peer(&self, id: PeerId) {
        // A full queue means that connections are being closed faster than that.
        let _full = self.0.commands.try_send(Command::Disconnect(id));
    }

    fn status(&self) -> Status {
        let head = self.0.chain.head();
        Status {
            role: self.0.role,
            chain_id: self.0.chain.config().chain_id,
            genesis: self.0.chain.genesis_hash(),
            engine: self.0.engine.clone(),
            number: head.number(),
            hash: head.hash,
        }
    }

    /// Puts news into a peer's queue.
    fn tell(&self, session: &Session, news: &Gossip) {
        self.push(session, Class::Sync, news.encode().into());
    }

    fn push(&self, session: &Session, class: Class, frame: Bytes) {
        let dropped = session.gossip.push(class, frame);
        self.0.metrics.dropped.add(dropped);
    }

    fn remember(&self, hashes: impl IntoIterator<Item = B256>) {
        let mut seen = self.0.seen.lock();
        for hash in hashes {
            seen.insert(hash);
        }
    }
}
