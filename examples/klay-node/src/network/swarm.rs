//! Connections: listening, dialling static peers again and again, discovery on a local network, limits.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    io,
    net::SocketAddr,
    str::FromStr,
    time::{Duration, Instant},
};

use futures::StreamExt;
use klay_accounts::wallet::SecretKey;
use klay_core::{Address, PublicKey};
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, connection_limits, identify, identity, mdns,
    multiaddr::Protocol,
    noise, ping,
    swarm::{
        ConnectionId, NetworkBehaviour, SwarmEvent,
        behaviour::toggle::Toggle,
        dial_opts::{DialOpts, PeerCondition},
    },
    tcp, yamux,
};
use tokio::{sync::mpsc, task::JoinSet, time::MissedTickBehavior};

use super::{Network, NetworkConfig, NetworkError, Role, score::Misdeed};

/// Time between two attempts to reach a peer.
const REDIAL: Duration = Duration::from_millis(500);
/// How long the validator with the higher id leaves dialling to the other one, so that they do not meet half way.
const COURTESY: Duration = Duration::from_secs(3);
/// Peers found on the local network that are kept in mind.
const MAX_FOUND: usize = 256;
/// Addresses of one of them.
const MAX_ADDRESSES: usize = 8;
/// Peers to which connections are kept.
const MAX_KEPT: usize = 1_024;
/// Connections of others that have not said yet who they are. Each of them that says nothing keeps somebody out for as
/// long as [`HANDSHAKE`].
const MAX_PENDING: u32 = 256;
/// How long a connection may take until both sides know who the other one is.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Time from the answer to a ping to the next one.
const PING: Duration = Duration::from_secs(4);
/// A connection on which no ping is answered for so many times [`REDIAL`] is closed. That is three times [`PING`]: neither
/// a busy machine nor a block that is sent before it must end a good connection. It is counted and not taken from the
/// clock: while this node itself stands still, it is nobody else who is silent.
pub(super) const SILENT: u32 = 24;

/// Where a peer can be reached: `/ip4/../tcp/../p2p/ID`, or `ID@host:port`, or `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    text: String,
    id: Option<PeerId>,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Multi(Multiaddr),
    /// Resolved each time.
    Host(String),
}

/// An address that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text} is no address of a peer: want host:port, ID@host:port or /ip4/../tcp/../p2p/ID")]
pub struct BadPeerAddress {
    text: String,
}

impl FromStr for PeerAddress {
    type Err = BadPeerAddress;

    fn from_str(text: &str) -> Result<Self, BadPeerAddress> {
        let bad = || BadPeerAddress { text: text.to_owned() };
        if text.starts_with('/') {
            let mut address: Multiaddr = text.parse().map_err(|_| bad())?;
            let id = match address.iter().last() {
                Some(Protocol::P2p(id)) => Some(id),
                _ => None,
            };
            if id.is_some() {
                address.pop();
            }
            return Ok(Self { text: text.to_owned(), id, place: Place::Multi(address) });
        }
        let (id, host) = match text.split_once('@') {
            Some((id, host)) => (Some(id.parse().map_err(|_| bad())?), host),
            None => (None, text),
        };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if !has_port {
            return Err(bad());
        }
        Ok(Self { text: text.to_owned(), id, place: Place::Host(host.to_owned()) })
    }
}

impl std::fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl PeerAddress {
    /// The peer's name, if it is part of the address.
    pub(super) const fn id(&self) -> Option<PeerId> {
        self.id
    }

    /// Where that is now, with what was asked for. A name server may take its time.
    async fn resolve(self) -> (Self, io::Result<Vec<Multiaddr>>) {
        let places = match &self.place {
            Place::Multi(address) => Ok(vec![address.clone()]),
            Place::Host(host) => tokio::net::lookup_host(host).await.map(|found| found.map(multiaddr).collect()),
        };
        (self, places)
    }
}

/// A socket address as libp2p writes it.
pub(super) fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// The name of a node in the network, from its key.
///
/// # Errors
/// Never for a valid key.
pub fn peer_id(key: &SecretKey) -> Result<PeerId, NetworkError> {
    Ok(keypair(key)?.public().to_peer_id())
}

pub(super) fn keypair(key: &SecretKey) -> Result<identity::Keypair, NetworkError> {
    let secret = identity::secp256k1::SecretKey::try_from_bytes(*key.expose()).map_err(|_| NetworkError::Key)?;
    Ok(identity::secp256k1::Keypair::from(secret).into())
}

/// The account address behind a peer's name: its key is in there.
pub(super) fn address_of(id: &PeerId) -> Option<Address> {
    let multihash: &libp2p::multihash::Multihash<64> = id.as_ref();
    let key = identity::PublicKey::try_decode_protobuf(multihash.digest()).ok()?;
    let key = key.try_into_secp256k1().ok()?;
    PublicKey::from_compressed(&key.to_bytes()).map(|key| key.address())
}

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
    streams: libp2p_stream::Behaviour,
}

/// What the rest of the node asks of the connections.
#[derive(Debug)]
pub(super) enum Command {
    /// Close everything with a peer.
    Disconnect(PeerId),
    /// Keep connecting to a peer.
    Keep(PeerAddress),
    /// Do so no longer, and close everything with it.
    Forget(PeerAddress),
}

/// What connections there may be, beside `lingering` ones that are given up and not closed yet: as many again at most.
/// One peer has two, if both sides dial, and may have given up some more.
fn limits(max_peers: u32, lingering: usize) -> connection_limits::ConnectionLimits {
    let lingering = u32::try_from(lingering).unwrap_or(u32::MAX).min(max_peers);
    connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(MAX_PENDING))
        .with_max_pending_outgoing(Some(64))
        .with_max_established_incoming(Some(max_peers.saturating_add(lingering)))
        .with_max_established_per_peer(Some(8))
}

pub(super) fn build(config: &NetworkConfig) -> Result<Swarm<Behaviour>, NetworkError> {
    let mut limits = connection_limits::Behaviour::new(limits(config.max_peers, 0));
    for id in config.peers.iter().filter_map(|peer| peer.id) {
        limits.bypass_peer_id(&id);
    }
    let agent = concat!("klay/", env!("CARGO_PKG_VERSION")).to_owned();
    let with_mdns = config.mdns;
    let build = |key: &identity::Keypair| -> Result<Behaviour, Box<dyn std::error::Error + Send + Sync>> {
        let id = key.public().to_peer_id();
        Ok(Behaviour {
            limits,
            identify: identify::Behaviour::new(
                identify::Config::new("/klay/1".to_owned(), key.public()).with_agent_version(agent),
            ),
            // A late answer counts, too. What the library takes for a failure would be known later than by `SILENT`.
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING).with_timeout(REDIAL * SILENT)),
            mdns: with_mdns.then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), id)).transpose()?.into(),
            streams: libp2p_stream::Behaviour::new(),
        })
    };
    let other = |error: Box<dyn std::error::Error + Send + Sync>| NetworkError::Setup(error.to_string());
    let swarm = SwarmBuilder::with_existing_identity(keypair(&config.key)?)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| other(error.into()))?
        .with_behaviour(build)
        .map_err(|error| other(error.into()))?
        .with_swarm_config(|c| c.with_idle_connection_timeout(Duration::from_secs(3_600)))
        .with_connection_timeout(HANDSHAKE)
        .build();
    Ok(swarm)
}

impl Behaviour {
    pub(super) fn control(&self) -> libp2p_stream::Control {
        self.streams.new_control()
    }
}

/// The loop that owns the connections.
pub(super) struct Connections {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) network: Network,
    /// Connections beside the static ones at most.
    pub(super) max_peers: usize,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) peers: Vec<PeerAddress>,
    /// Static peers that are being looked up.
    pub(super) lookups: JoinSet<(PeerAddress, io::Result<Vec<Multiaddr>>)>,
    pub(super) looked_up: BTreeSet<String>,
    /// Where they were last.
    pub(super) places: HashMap<String, Vec<Multiaddr>>,
    /// Whose connections there are, and how many times [`REDIAL`] ago a ping was answered on them.
    pub(super) unanswered: HashMap<ConnectionId, (PeerId, u32)>,
    /// Connections that are given up and not closed yet.
    pub(super) lingering: HashSet<ConnectionId>,
    /// How often those without a name were dialled.
    pub(super) turns: HashMap<String, usize>,
    /// Whom a static peer without a name turned out to be.
    pub(super) met: HashMap<Multiaddr, PeerId>,
    /// Who is on the local network, where, and since when that is known.
    pub(super) found: BTreeMap<PeerId, (Instant, Vec<Multiaddr>)>,
}

impl Connections {
    pub(super) async fn run(mut self) {
        let mut redial = tokio::time::interval(REDIAL);
        redial.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let start = Instant::now();
        let closed = self.network.closed();
        loop {
            tokio::select! {
                () = closed.cancelled() => return,
                event = self.swarm.select_next_some() => self.handle(event),
                _ = redial.tick() => {
                    self.hang_up();
                    self.bury();
                    self.redial(start.elapsed());
                }
                Some(found) = self.lookups.join_next() => {
                    if let Ok((peer, places)) = found {
                        self.found_static(&peer, places);
                    }
                }
                command = self.commands.recv() => match command {
                    Some(Command::Disconnect(peer)) => {
                        // Fails only if it is gone already.
                        let _gone = self.swarm.disconnect_peer_id(peer);
                    }
                    Some(Command::Keep(peer)) => self.keep(peer),
                    Some(Command::Forget(peer)) => self.forget(&peer),
                    None => return,
                },
            }
        }
    }

    fn keep(&mut self, peer: PeerAddress) {
        if self.peers.contains(&peer) || self.peers.len() >= MAX_KEPT {
            return;
        }
        if let Some(id) = &peer.id {
            self.swarm.behaviour_mut().limits.bypass_peer_id(id);
            self.network.0.kept.lock().insert(*id);
        }
        self.peers.push(peer);
    }

    /// By its name, if it has one: its other addresses are forgotten as well.
    fn forget(&mut self, peer: &PeerAddress) {
        self.peers.retain(|kept| kept != peer && (kept.id.is_none() || kept.id != peer.id));
        self.turns.remove(&peer.text);
        let places = self.places.remove(&peer.text).unwrap_or_default();
        let met = || places.iter().find_map(|address| self.met.get(address).copied());
        if let Some(id) = peer.id.or_else(met) {
            self.swarm.behaviour_mut().limits.remove_peer_id(&id);
            self.network.0.kept.lock().remove(&id);
            let _gone = self.swarm.disconnect_peer_id(id);
        }
    }

    pub(super) fn handle(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, peer = %self.swarm.local_peer_id(), "listening for peers");
                self.network.listens_on(address);
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                if endpoint.is_dialer() {
                    self.meet(without_name(endpoint.get_remote_address()), peer_id);
                }
                if !self.network.admits(&peer_id) {
                    let _gone = self.swarm.disconnect_peer_id(peer_id);
                    return;
                }
                tracing::debug!(peer = %peer_id, "connected");
                self.unanswered.insert(connection_id, (peer_id, 0));
                self.network.connected(peer_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                tracing::debug!(peer = %peer_id, ?cause, "disconnected");
                self.unanswered.remove(&connection_id);
                if self.lingering.remove(&connection_id) {
                    self.make_room();
                }
                if !self.is_heard(&peer_id) {
                    self.network.disconnected(&peer_id);
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event { peer, connection, result })) => match result {
                Ok(_) => {
                    if let Some((_, count)) = self.unanswered.get_mut(&connection) {
                        *count = 0;
                    }
                }
                Err(error) => {
                    tracing::debug!(%peer, %error, "no answer");
                    self.give_up(connection, peer);
                }
            },
            SwarmEvent::Behaviour(BehaviourEvent::Mdns(mdns::Event::Discovered(found))) => {
                for (id, address) in found {
                    if self.found.len() < MAX_FOUND || self.found.contains_key(&id) {
                        tracing::debug!(peer = %id, %address, "found on the local network");
                        let (_, addresses) = self.found.entry(id).or_insert_with(|| (Instant::now(), Vec::new()));
                        if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
                            addresses.push(address);
                        }
                    }
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Mdns(mdns::Event::Expired(gone))) => {
                for (id, address) in gone {
                    if let Some((_, addresses)) = self.found.get_mut(&id) {
                        addresses.retain(|known| *known != address);
                    }
                }
                self.found.retain(|_, (_, addresses)| !addresses.is_empty());
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                tracing::trace!(?peer_id, %error, "cannot connect");
            }
            _ => {}
        }
    }

    /// Notes who was met at an address. If a static peer without a name is there, that is its name.
    fn meet(&mut self, address: Multiaddr, id: PeerId) {
        let is_there = |peer: &&PeerAddress| {
            peer.id.is_none() && self.places.get(&peer.text).is_some_and(|places| places.contains(&address))
        };
        if self.peers.iter().any(|peer| is_there(&peer)) {
            self.network.0.kept.lock().insert(id);
        }
        if let Some(before) = self.met.insert(address, id)
            && !self.met.values().any(|met| *met == before)
            && !self.peers.iter().any(|peer| peer.id == Some(before))
        {
            // Another one stands there now.
            self.network.0.kept.lock().remove(&before);
        }
    }

    /// Whether there is a connection to a peer that is not given up.
    fn is_heard(&self, id: &PeerId) -> bool {
        self.unanswered.values().any(|(peer, _)| peer == id)
    }

    /// Closes connections on which nothing is answered any more.
    pub(super) fn hang_up(&mut self) {
        self.unanswered.values_mut().for_each(|(_, count)| *count += 1);
        let silent = self.unanswered.iter().filter(|(_, (_, count))| *count > SILENT);
        let silent: Vec<_> = silent.map(|(connection, (id, _))| (*connection, *id)).collect();
        for (connection, id) in silent {
            tracing::debug!(peer = %id, "no answer");
            self.give_up(connection, id);
        }
    }

    /// Closes a connection on which a peer does not answer. With bytes that cannot be sent that takes until the system
    /// gives up, many minutes, and who waits to write on it is not woken: the session ends now, and begins again on
    /// another connection, if there is one.
    fn give_up(&mut self, connection: ConnectionId, id: PeerId) {
        if self.unanswered.remove(&connection).is_none() {
            return;
        }
        self.network.blame(&id, Misdeed::Silence);
        if self.swarm.close_connection(connection) {
            self.lingering.insert(connection);
            self.make_room();
        }
        self.network.disconnected(&id);
        if self.is_heard(&id) {
            self.network.connected(id);
        }
    }

    /// Connections that are given up and not closed yet take nobody's place.
    fn make_room(&mut self) {
        let limits = limits(u32::try_from(self.max_peers).unwrap_or(u32::MAX), self.lingering.len());
        *self.swarm.behaviour_mut().limits.limits_mut() = limits;
    }

    /// Ends sessions without a connection: a stream may be taken in after the news that its connection is closed, and
    /// begins one that nothing else would end.
    fn bury(&self) {
        for id in self.network.0.peers.ids() {
            if !self.is_heard(&id) {
                self.network.disconnected(&id);
            }
        }
        self.network.0.fetching.lock().retain(|id, _| self.is_heard(id));
    }

    fn redial(&mut self, up: Duration) {
        for peer in &self.peers {
            if let Some(id) = peer.id {
                let is_mutual = self.network.role() == Role::Consensus;
                let waits = is_mutual && id < *self.swarm.local_peer_id() && up < COURTESY;
                if waits || id == *self.swarm.local_peer_id() || self.network.is_connected(&id) {
                    continue;
                }
            }
            if self.looked_up.insert(peer.text.clone()) {
                self.lookups.spawn(peer.clone().resolve());
            }
        }
        if self.network.0.peers.len() >= self.max_peers {
            return;
        }
        // Of two that find each other the one with the lower id dials, unless the other one waits in vain.
        let me = *self.swarm.local_peer_id();
        let is_due = |(id, (since, _)): &(&PeerId, &(Instant, Vec<Multiaddr>))| {
            (**id > me || since.elapsed() > COURTESY) && !self.network.is_connected(id)
        };
        let due = self.found.iter().filter(|(id, _)| **id != me).filter(is_due);
        let due: Vec<_> = due.map(|(id, (_, addresses))| (*id, addresses.clone())).collect();
        for (id, addresses) in due {
            self.dial(Some(id), addresses);
        }
    }

    /// It is known where a static peer is: connects to it, unless that stands.
    pub(super) fn found_static(&mut self, peer: &PeerAddress, places: io::Result<Vec<Multiaddr>>) {
        self.looked_up.remove(&peer.text);
        let Ok(mut places) = places else { return };
        if !self.peers.contains(peer) {
            return;
        }
        self.places.insert(peer.text.clone(), places.clone());
        let is_met = |address| self.met.get(address).is_some_and(|id| self.network.is_connected(id));
        if peer.id.is_none() {
            if places.iter().any(is_met) {
                return;
            }
            // Without a name only one place is dialled at a time; the peer may not be at the first one.
            let turn = self.turns.entry(peer.text.clone()).or_default();
            let first = *turn % places.len().max(1);
            places.rotate_left(first);
            *turn = turn.wrapping_add(1);
        }
        self.dial(peer.id, places);
    }

    fn dial(&mut self, id: Option<PeerId>, addresses: Vec<Multiaddr>) {
        if id.is_some_and(|id| !self.network.admits(&id) || self.network.is_connected(&id)) {
            return;
        }
        let result = match (id, addresses.first()) {
            // A connection that is given up but not closed yet does not count.
            (Some(id), Some(_)) => {
                let condition = PeerCondition::NotDialing;
                self.swarm.dial(DialOpts::peer_id(id).condition(condition).addresses(addresses).build())
            }
            (None, Some(address)) => self.swarm.dial(DialOpts::unknown_peer_id().address(address.clone()).build()),
            (_, None) => return,
        };
        if let Err(error) = result {
            // On its way already, or over the limit: tried again soon.
            tracing::trace!(%error, "not dialled");
        }
    }
}

fn without_name(address: &Multiaddr) -> Multiaddr {
    let is_name = |protocol: &Protocol<'_>| matches!(protocol, Protocol::P2p(_));
    address.iter().filter(|protocol| !is_name(protocol)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{PeerAddress, SecretKey, address_of, peer_id};

    #[test]
    fn a_name_holds_the_address_of_its_key() {
        let key = SecretKey::from_slice(&[7; 32]).unwrap();
        assert_eq!(address_of(&peer_id(&key).unwrap()), Some(key.address()));
    }

    #[test]
    fn addresses_in_three_forms() {
        let id = peer_id(&SecretKey::from_slice(&[7; 32]).unwrap()).unwrap();
        for text in [format!("/ip4/127.0.0.1/tcp/32323/p2p/{id}"), format!("{id}@localhost:32323")] {
            assert_eq!(text.parse::<PeerAddress>().unwrap().id, Some(id));
        }
        assert_eq!("node.example:32323".parse::<PeerAddress>().unwrap().id, None);
        for text in ["", "node", "node:port", "/ip4/1.2.3", "x@y:1"] {
            assert!(text.parse::<PeerAddress>().is_err(), "{text}");
        }
    }
}
