//! A validator that lies: it has a real key and speaks the real protocol, and says what no honest node would.

#![allow(unreachable_pub, missing_debug_implementations)]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use klay_accounts::wallet::SecretKey;
use klay_consensus::istanbul::{Body, Message, Preprepare, Subject, WireValue, seal};
use klay_consensus::types::{Round, Slot, View};
use klay_core::{
    Address, B256, Bytes, Sign,
    block::Header,
    codec::{Reader, put_list_header},
    crypto::keccak256,
};
use klay_node::{
    driver::Proposal,
    network::wire::{Answer, Gossip, Request, Spoken, Status},
};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, identity,
    multiaddr::Protocol,
    noise, ping,
    swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use libp2p_stream::Control;
use serde_json::Value;
use tokio::{runtime::Runtime, time::sleep};

const GOSSIP: StreamProtocol = StreamProtocol::new("/klay/gossip/1");
const SPEECH: StreamProtocol = StreamProtocol::new("/klay/consensus/1");
const FETCH: StreamProtocol = StreamProtocol::new("/klay/fetch/1");

/// The liar, on a runtime of its own.
pub struct Adversary {
    lies: Arc<Lies>,
    _runtime: Runtime,
}

struct Lies {
    key: SecretKey,
    told: AtomicU64,
    is_raging: AtomicBool,
    head: AtomicU64,
    hash: parking::Cell,
}

/// A hash behind a lock.
mod parking {
    use klay_core::B256;
    use std::sync::Mutex;

    #[derive(Default)]
    pub(super) struct Cell(Mutex<B256>);

    impl Cell {
        pub(super) fn set(&self, hash: B256) {
            *self.0.lock().unwrap() = hash;
        }

        pub(super) fn value(&self) -> B256 {
            *self.0.lock().unwrap()
        }
    }
}

impl Adversary {
    /// Takes the place of the node in this folder.
    pub fn start(folder: &Path) -> Self {
        let config: Value = serde_json::from_slice(&std::fs::read(folder.join("node.json")).unwrap()).unwrap();
        let peers = config["peers"].as_array().unwrap().iter().map(|peer| peer.as_str().unwrap().to_owned()).collect();
        let key = std::fs::read_to_string(folder.join("nodekey")).unwrap();
        let key = SecretKey::from_slice(&klay_core::hex::decode(key.trim()).unwrap()).unwrap();
        let lies = Arc::new(Lies {
            key,
            told: AtomicU64::new(0),
            is_raging: AtomicBool::new(false),
            head: AtomicU64::new(0),
            hash: parking::Cell::default(),
        });
        let runtime = Runtime::new().unwrap();
        runtime.spawn(live(Arc::clone(&lies), peers));
        Self { lies, _runtime: runtime }
    }

    /// From now on: as much as it can, and bytes that mean nothing.
    pub fn rage(&self) {
        self.lies.is_raging.store(true, Ordering::Relaxed);
        thread::sleep(Duration::from_secs(1));
    }

    pub fn told(&self) -> u64 {
        self.lies.told.load(Ordering::Relaxed)
    }
}

#[derive(NetworkBehaviour)]
struct Speech {
    streams: libp2p_stream::Behaviour,
    ping: ping::Behaviour,
}

async fn live(lies: Arc<Lies>, peers: Vec<String>) {
    let secret = identity::secp256k1::SecretKey::try_from_bytes(*lies.key.expose()).unwrap();
    let mut swarm = swarm(identity::secp256k1::Keypair::from(secret).into());
    let control = swarm.behaviour().streams.new_control();
    let mut news = control.clone().accept(GOSSIP).unwrap();
    let heard = Arc::clone(&lies);
    tokio::spawn(async move {
        while let Some((_, stream)) = news.next().await {
            tokio::spawn(hear(Arc::clone(&heard), stream));
        }
    });
    for (index, peer) in peers.into_iter().enumerate() {
        let (id, address) = place(&peer);
        swarm.dial(DialOpts::peer_id(id).addresses(vec![address]).build()).unwrap();
        tokio::spawn(tell(Arc::clone(&lies), control.clone(), id, index as u8));
    }
    loop {
        if let SwarmEvent::ConnectionClosed { peer_id, .. } = swarm.select_next_some().await {
            println!("the liar is cut off by {peer_id}");
        }
    }
}

fn swarm(keypair: identity::Keypair) -> Swarm<Speech> {
    SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| Speech { streams: libp2p_stream::Behaviour::new(), ping: ping::Behaviour::default() })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
        .build()
}

/// `ID@host:port`
fn place(peer: &str) -> (PeerId, Multiaddr) {
    let (id, place) = peer.split_once('@').unwrap();
    let place: std::net::SocketAddr = place.parse().unwrap();
    (id.parse().unwrap(), Multiaddr::from(place.ip()).with(Protocol::Tcp(place.port())))
}

/// A stranger that speaks of blocks which nobody has and answers no question.
pub struct Boaster {
    control: Control,
    runtime: Runtime,
}

impl Boaster {
    /// Tells it to these peers, whenever they can be reached.
    pub fn start(peers: &[String], status: &Status) -> Self {
        let runtime = Runtime::new().unwrap();
        let _inside = runtime.enter();
        let mut swarm = swarm(identity::Keypair::generate_secp256k1());
        let control = swarm.behaviour().streams.new_control();
        let mut questions = control.clone().accept(FETCH).unwrap();
        runtime.spawn(async move {
            let mut kept = Vec::new();
            while let Some((_, stream)) = questions.next().await {
                kept.push(stream);
            }
        });
        let peers: Vec<_> = peers.iter().map(|peer| place(peer)).collect();
        for (id, _) in &peers {
            runtime.spawn(boast(control.clone(), *id, status.clone()));
        }
        runtime.spawn(async move {
            let mut again = tokio::time::interval(Duration::from_millis(100));
            loop {
                tokio::select! {
                    _ = swarm.select_next_some() => {}
                    _ = again.tick() => for (id, address) in &peers {
                        // Refused while it is connected.
                        let _connected = swarm.dial(DialOpts::peer_id(*id).addresses(vec![address.clone()]).build());
                    }
                }
            }
        });
        Self { control, runtime }
    }

    /// What a peer answers.
    pub fn ask(&self, peer: &str, request: &Request) -> Answer {
        let mut control = self.control.clone();
        self.runtime.block_on(async {
            let mut stream = control.open_stream(place(peer).0, FETCH).await.unwrap();
            write_frame(&mut stream, &request.encode()).await.unwrap();
            Answer::decode(&read_frame(&mut stream).await.unwrap(), 1_024).unwrap()
        })
    }
}

async fn boast(mut control: Control, peer: PeerId, status: Status) {
    let head = Gossip::Head { number: status.number, hash: status.hash }.encode();
    loop {
        if let Ok(mut stream) = control.open_stream(peer, GOSSIP).await {
            let mut is_heard = write_frame(&mut stream, &Gossip::Status(status.clone()).encode()).await;
            while is_heard.is_some() {
                sleep(Duration::from_millis(100)).await;
                is_heard = write_frame(&mut stream, &head).await;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn read_frame(stream: &mut Stream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.ok()?;
    let mut content = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut content).await.ok()?;
    Some(content)
}

async fn write_frame(stream: &mut Stream, content: &[u8]) -> Option<()> {
    stream.write_all(&(content.len() as u32).to_be_bytes()).await.ok()?;
    stream.write_all(content).await.ok()?;
    stream.flush().await.ok()
}

/// Learns the head; answers a greeting with the same.
async fn hear(lies: Arc<Lies>, mut stream: Stream) {
    while let Some(frame) = read_frame(&mut stream).await {
        let (number, hash) = match Gossip::decode(&frame) {
            Ok(Gossip::Head { number, hash } | Gossip::Status(Status { number, hash, .. })) => (number, hash),
            _ => continue,
        };
        if number >= lies.head.load(Ordering::Relaxed) {
            lies.hash.set(hash);
            lies.head.store(number, Ordering::Relaxed);
        }
        if let Ok(Gossip::Status(status)) = Gossip::decode(&frame) {
            STATUS.lock().unwrap().replace(status);
        }
    }
}

static STATUS: std::sync::Mutex<Option<Status>> = std::sync::Mutex::new(None);

/// Tells one peer a different story than the others.
async fn tell(lies: Arc<Lies>, mut control: Control, peer: PeerId, salt: u8) -> Option<()> {
    // Refused at first, while the connection is not there yet.
    sleep(Duration::from_secs(1)).await;
    let mut gossip = control.open_stream(peer, GOSSIP).await.ok()?;
    let status = loop {
        if let Some(status) = STATUS.lock().unwrap().clone() {
            break status;
        }
        sleep(Duration::from_millis(50)).await;
    };
    write_frame(&mut gossip, &Gossip::Status(status).encode()).await?;
    let mut stream = control.open_stream(peer, SPEECH).await.ok()?;
    let (mut last, mut old) = (0, Vec::new());
    loop {
        if lies.is_raging.load(Ordering::Relaxed) {
            // Signed once: a flood must not wait for its signatures.
            let vote = lies.vote(&lies.subject(0, salt), false);
            for _ in 0..20_000 {
                write_frame(&mut stream, &vote).await?;
                lies.told.fetch_add(1, Ordering::Relaxed);
            }
            write_frame(&mut stream, &[0xff; 1000]).await?;
        }
        let head = lies.head.load(Ordering::Relaxed);
        if head == last {
            sleep(Duration::from_millis(20)).await;
            continue;
        }
        last = head;
        for frame in lies.of_height(salt).into_iter().chain(old.clone()) {
            write_frame(&mut stream, &frame).await?;
            lies.told.fetch_add(1, Ordering::Relaxed);
        }
        // Said again at the next height.
        old = lies.of_height(salt);
    }
}

impl Lies {
    fn view(&self, round: u64) -> View {
        View::new(Slot::new(self.head.load(Ordering::Relaxed) + 1), Round::new(round))
    }

    fn subject(&self, round: u64, salt: u8) -> Subject {
        let digest = keccak256([salt, round as u8]);
        Subject { view: self.view(round), digest, prev_hash: self.hash.value() }
    }

    /// What it says about one height: two of everything, seals of nobody, rounds far away.
    fn of_height(&self, salt: u8) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        for turn in 0..2 {
            let salt = salt * 2 + turn;
            said.push(self.proposal(salt));
            said.push(self.vote(&self.subject(0, salt), false));
            said.push(self.vote(&self.subject(0, salt), true));
        }
        for round in [1, 2, u64::from(u32::MAX), u64::MAX] {
            let subject = Subject { digest: B256::ZERO, ..self.subject(round, 0) };
            said.push(self.signed(Body::RoundChange(Subject { view: self.view(round), ..subject }), Bytes::new()));
        }
        said
    }

    fn vote(&self, subject: &Subject, is_commit: bool) -> Vec<u8> {
        if is_commit {
            self.signed(Body::Commit(*subject), Bytes::from(vec![7; 65]))
        } else {
            self.signed(Body::Prepare(*subject), Bytes::new())
        }
    }

    /// A block that says nothing true but its parent.
    fn proposal(&self, salt: u8) -> Vec<u8> {
        let view = self.view(0);
        let header = Header {
            parent_hash: self.hash.value(),
            number: view.slot.get(),
            state_root: B256::repeat_byte(salt),
            extra: seal::with_seal(&seal::new_extra(b"", vec![self.address()]), &[9; 65]).unwrap(),
            ..Header::default()
        };
        let encoded = header.encode();
        let mut block = Vec::new();
        put_list_header(encoded.len() + 1, &mut block);
        block.extend_from_slice(&encoded);
        block.push(0xc0);
        let value = Proposal::decode(&mut Reader::new(&block)).unwrap();
        self.signed(Body::Preprepare(Preprepare { view, value }), Bytes::new())
    }

    fn address(&self) -> Address {
        self.key.address()
    }

    fn signed(&self, body: Body<Proposal>, committed_seal: Bytes) -> Vec<u8> {
        let mut message = Message::unsigned(body, self.address(), committed_seal);
        let signature = self.key.sign_digest(message.envelope.digest()).unwrap();
        message.envelope.signature = Bytes::copy_from_slice(&seal::compact(&signature));
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        Spoken::Whole(bytes.into()).encode()
    }
}
