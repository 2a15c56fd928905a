//! A network of one node, and peers that are made by hand.

#![allow(clippy::unwrap_used)]

use std::{sync::atomic::AtomicUsize, time::Duration};

use futures::StreamExt;
use klay_core::{
    Payload, PublicKey, U256,
    crypto::{keccak256, sign_digest},
    genesis::Genesis,
    storage::Memory,
    tx::{Body, HashedTx, Tx, payload},
};

use super::{swarm::SILENT, sync::SECOND_CHANCE, wire::CompactBlock, *};
use crate::{
    Fee, KlaytnTx, Origin, PoolError, SealedBlock,
    chain::ChainOptions,
    pool::{PoolConfig, SignerError},
};

/// The only validator that the node knows.
pub(super) const VALIDATOR: [u8; 32] = [1; 32];

/// Takes every block and knows one validator.
struct Taking;

#[async_trait]
impl Importer for Taking {
    fn is_validator(&self, address: Address) -> bool {
        address == PublicKey::from_secret(&VALIDATOR).unwrap().address()
    }

    async fn import(&self, _blocks: Vec<Received>) -> Result<(), Refused> {
        Ok(())
    }
}

/// A consensus node at block 0 that listens nowhere.
pub(super) fn network() -> Network {
    node(Role::Consensus)
}

/// A node at block 0 that listens nowhere.
fn node(role: Role) -> Network {
    unattended(NetworkConfig::new(SecretKey::from_slice(&[9; 32]).unwrap(), role))
}

/// A node at block 0 that does not look after its connections: sessions that are made by hand, without a connection,
/// stay.
fn unattended(config: NetworkConfig) -> Network {
    let (network, mut connections) = new(config, Arc::new(Taking));
    tokio::spawn(async move {
        loop {
            let event = connections.swarm.select_next_some().await;
            connections.handle(event);
        }
    });
    network
}

/// A node at block 0.
fn start(config: NetworkConfig) -> Network {
    start_with(config, Arc::new(Taking))
}

fn start_with(config: NetworkConfig, importer: Arc<dyn Importer>) -> Network {
    let (network, connections) = new(config, importer);
    tokio::spawn(connections.run());
    network
}

fn new(config: NetworkConfig, importer: Arc<dyn Importer>) -> (Network, Connections) {
    let genesis: Genesis = serde_json::from_str(include_str!("../../tests/vectors/council-4/genesis.json")).unwrap();
    let chain = Chain::open(Arc::new(Memory::new()), &genesis, ChainOptions::default(), &Metrics::default()).unwrap();
    let metrics = Arc::<Metrics>::default();
    let pool = TxPool::new(PoolConfig::default(), chain.pool_head(), Arc::clone(&metrics));
    Network::new(Parts { config, engine: "istanbul".to_owned(), chain, pool, metrics, importer }).unwrap()
}

/// A node that connects to the one at this address.
fn beside(key: u8, address: &str) -> Network {
    let mut config = NetworkConfig::new(SecretKey::from_slice(&[key; 32]).unwrap(), Role::Endpoint);
    config.peers = vec![address.parse().unwrap()];
    start(config)
}

/// A node at block 0 that listens.
fn listening() -> Network {
    let mut config = NetworkConfig::new(SecretKey::from_slice(&[9; 32]).unwrap(), Role::Endpoint);
    config.listen = vec![([127, 0, 0, 1], 0).into()];
    start(config)
}

/// Where a node listens.
async fn place(network: &Network) -> String {
    until(|| !network.addresses().is_empty()).await;
    network.addresses().remove(0)
}

/// The port of that.
fn port(place: &str) -> u16 {
    place.split('/').nth(4).unwrap().parse().unwrap()
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A peer with this key that has not greeted.
pub(super) fn session(network: &Network, secret: &[u8; 32]) -> Arc<Session> {
    let id = peer_id(&SecretKey::from_slice(secret).unwrap()).unwrap();
    network.0.peers.open(id, swarm::address_of(&id).unwrap()).0
}

/// A peer with this key that has greeted and speaks of a block.
fn greeted(network: &Network, secret: &[u8; 32], role: Role, number: u64) -> Arc<Session> {
    let session = session(network, secret);
    *session.status.lock() = Some(Status { role, number, ..network.status() });
    session.saw_head(number);
    session
}

/// A cancellation in the name of `from`, signed by the key of another account.
fn signed_by_another(network: &Network, from: Address) -> Bytes {
    let (chain_id, price) = (network.0.chain.config().chain_id, U256::from(u64::MAX));
    let body = Body { nonce: 0, gas_price: price, gas_limit: 100_000, from, payload: Payload::Cancel(payload::Cancel) };
    let mut tx: Tx<Fee> = body.paid_by(Fee::Sender(klay_core::SenderPays));
    let digest = KlaytnTx::Klaytn(tx.clone()).signing_hash(Some(chain_id));
    tx.signatures.push(sign_digest(&[7; 32], digest).unwrap().with_chain_id(chain_id));
    KlaytnTx::Klaytn(tx).encode().into()
}

fn misdeeds(network: &Network, misdeed: Misdeed) -> u64 {
    network.0.peers.misdeeds.lock().get(&misdeed).copied().unwrap_or(0)
}

#[tokio::test]
async fn a_peer_is_not_blamed_for_a_key_that_its_state_may_know() {
    let network = network();
    let session = session(&network, &[5; 32]);
    let raw: Vec<Bytes> = (0..40).map(|n| signed_by_another(&network, Address::repeat_byte(n))).collect();
    let answer = network.0.pool.add_raw(raw[0].clone(), Origin::Remote).await;
    assert_eq!(answer, Err(PoolError::Sender(SignerError::Key)));
    network.take_transactions(&session, raw.clone()).await;
    assert_eq!(misdeeds(&network, Misdeed::InvalidTransaction), 0);

    // They are not forgotten for that, but looked at once between two reminders.
    let hashes: Vec<B256> = raw.iter().map(keccak256).collect();
    let is_seen = || hashes.iter().any(|hash| network.0.seen.lock().contains(hash));
    let offered = network.0.metrics.offered.value();
    network.take_transactions(&session, raw.clone()).await;
    assert!(!is_seen() && network.0.metrics.offered.value() == offered);
    network.remind();
    network.take_transactions(&session, raw.clone()).await;
    assert_eq!(network.0.metrics.offered.value(), offered + 40);

    network.take_transactions(&session, vec![Bytes::from_static(b"none")]).await;
    assert_eq!(misdeeds(&network, Misdeed::InvalidTransaction), 1);
    // With a byte before it, a good transaction is none. Its name is not spoilt by that.
    network.remind();
    let spoilt = raw.iter().map(|raw| [&[0x78], &raw[..]].concat().into()).collect();
    network.take_transactions(&session, spoilt).await;
    assert!(misdeeds(&network, Misdeed::InvalidTransaction) > 1 && !is_seen());
    network.stop();
}

#[tokio::test]
async fn the_only_peer_is_believed_although_it_failed() {
    for role in [Role::Endpoint, Role::Consensus] {
        let network = node(role);
        let peer = greeted(&network, &[5; 32], Role::Proxy, 1_000);
        let peers = &network.0.peers;
        assert_eq!((network.best_known(), network.goal(0, Duration::ZERO)), (1_000, 1_000));
        peers.broke_its_word(peer.id);
        assert_eq!(network.best_known(), 1_000, "once is no proof");
        assert_eq!(network.goal(0, Duration::ZERO), 0, "not at once again");
        assert_eq!(network.goal(0, SECOND_CHANCE), 1_000);
        network.disconnected(&peer.id);
        greeted(&network, &[5; 32], Role::Proxy, 1_000);
        assert_eq!(network.goal(0, Duration::ZERO), 0, "it cannot clear itself by coming back");
        peers.kept_its_word(&peer.id);
        assert_eq!(network.goal(0, Duration::ZERO), 1_000);
        network.stop();
    }
}

#[tokio::test]
async fn a_boaster_is_not_listened_to_for_ever() {
    for (role, alone) in [(Role::Endpoint, u64::MAX), (Role::Consensus, 0)] {
        let network = node(role);
        let boaster = greeted(&network, &[5; 32], Role::Endpoint, u64::MAX);
        network.0.peers.disprove(boaster.id);
        assert_eq!(network.best_known(), alone, "{role:?}");
        greeted(&network, &[6; 32], Role::Consensus, 7);
        assert_eq!((network.best_known(), network.goal(7, SECOND_CHANCE)), (7, 7));
        network.stop();
    }
}

#[tokio::test]
async fn the_engine_hears_of_validators_alone_and_not_too_often() {
    let network = network();
    let mut contacts = network.contacts();
    let stranger = greeted(&network, &[5; 32], Role::Consensus, 0);
    network.introduce(&stranger);
    network.silenced(&stranger);
    assert!(contacts.try_recv().is_err());

    for _ in 0..10 {
        // Coming again makes no difference.
        let validator = greeted(&network, &VALIDATOR, Role::Consensus, 0);
        network.introduce(&validator);
        network.silenced(&validator);
        network.disconnected(&validator.id);
    }
    let validator = greeted(&network, &VALIDATOR, Role::Consensus, 0);
    let heard: Vec<_> = std::iter::from_fn(|| contacts.try_recv().ok()).map(|contact| contact.is_up).collect();
    assert_eq!(heard, [true, false]);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    network.introduce(&validator);
    assert!(contacts.try_recv().is_ok_and(|contact| contact.is_up));
    network.stop();
}

#[tokio::test]
async fn connections_that_say_nothing_leave_room_for_others() {
    let network = listening();
    let address = place(&network).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(tokio::net::TcpStream::connect(("127.0.0.1", port(&address))).await.unwrap());
        tokio::task::yield_now().await;
    }

    let other = beside(8, &address);
    assert!(tokio::time::timeout(Duration::from_secs(4), until(|| !other.peers().is_empty())).await.is_ok());
    other.stop();
    network.stop();
    drop(silent);
}

/// A node that listens, and nodes beside it that have greeted it.
async fn meeting(keys: std::ops::Range<u8>) -> (Network, Vec<Network>) {
    meeting_with(keys, Arc::new(Taking)).await
}

async fn meeting_with(keys: std::ops::Range<u8>, importer: Arc<dyn Importer>) -> (Network, Vec<Network>) {
    let mut config = NetworkConfig::new(SecretKey::from_slice(&[9; 32]).unwrap(), Role::Endpoint);
    config.listen = vec![([127, 0, 0, 1], 0).into()];
    let network = start_with(config, importer);
    let address = place(&network).await;
    let others: Vec<_> = keys.map(|key| beside(key, &address)).collect();
    until(|| network.peers().len() == others.len() && others.iter().all(|other| !other.peers().is_empty())).await;
    (network, others)
}

#[tokio::test]
async fn questions_that_come_together_are_all_answered() {
    let (network, others) = meeting(10..14).await;
    let request = wire::Request::Headers { from: 0, count: 1 };
    let ask = |turn: usize| others[turn % 4].ask(network.id(), &request, 1);
    let answers = futures::future::join_all((0..32).map(ask)).await;
    let failed: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(failed.is_empty(), "{}: {failed:?}", failed.len());
    others.iter().for_each(Network::stop);
    network.stop();
}

#[tokio::test]
async fn a_session_without_a_connection_ends() {
    let network = start(NetworkConfig::new(SecretKey::from_slice(&[9; 32]).unwrap(), Role::Consensus));
    let ghost = greeted(&network, &[5; 32], Role::Endpoint, 7);
    let ended = tokio::time::timeout(Duration::from_secs(10), ghost.closed.cancelled()).await;
    assert!(ended.is_ok() && network.peers().is_empty());
    network.stop();
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_opened_again_although_nobody_has_anything_to_say() {
    let (network, others) = meeting(10..11).await;
    let session = network.0.peers.greeted().remove(0);
    *session.status.lock() = None;
    // As if the library had dropped it: nobody reads it any more.
    assert!(session.news.begin(&session.closed, session.now()).is_some());
    let greeted = until(|| session.role().is_some());
    assert!(tokio::time::timeout(Duration::from_secs(3), greeted).await.is_ok());
    others.iter().for_each(Network::stop);
    network.stop();
}

#[tokio::test]
async fn strangers_look_up_a_few_answers_at_once_and_keep_no_validator_waiting() {
    let (network, others) = meeting(VALIDATOR[0]..VALIDATOR[0] + 2).await;
    let request = wire::Request::Bodies { from: 0, count: 1 };
    let busy = network.0.look_ups.of(false).acquire_many_owned(2).await.unwrap();
    assert!(others[0].ask(network.id(), &request, 1).await.is_ok());
    let answer = others[1].ask(network.id(), &request, 1);
    tokio::pin!(answer);
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut answer).await.is_err());
    drop(busy);
    assert!(answer.await.is_ok());
    others.iter().for_each(Network::stop);
    network.stop();
}

#[tokio::test]
async fn a_block_that_is_too_long_for_a_frame_is_only_spoken_of() {
    let network = network();
    let peer = greeted(&network, &[5; 32], Role::Endpoint, 0);
    let tx = HashedTx::<Fee>::decode(&signed_by_another(&network, Address::ZERO)).unwrap();
    let tx: SharedTx = Arc::new(tx.recover(network.0.chain.config().chain_id).unwrap());
    let header = Header { number: 1, ..Header::default() };
    let hash = header.hash();
    for (number, is_whole) in [(1, true), (wire::MAX_GOSSIP / 32, false)] {
        peer.head.store(0, Ordering::Relaxed);
        let transactions = vec![Arc::clone(&tx); number];
        network.spread_block(&SealedBlock::new(header.clone(), hash, transactions, Address::ZERO));
        let news: Vec<_> = peer.gossip.take(1).await.iter().map(|news| Gossip::decode(news).unwrap()).collect();
        match &news[..] {
            [Gossip::Block(block)] => assert!(is_whole && block.hashes.len() == 1),
            [Gossip::Head { number: 1, .. }] => assert!(!is_whole),
            news => panic!("{news:?}"),
        }
    }
    network.stop();
}

/// Knows sealed blocks by their extra-data, and counts what it takes.
#[derive(Default)]
struct Sealed(AtomicUsize);

#[async_trait]
impl Importer for Sealed {
    fn is_validator(&self, _address: Address) -> bool {
        false
    }

    async fn is_sealed(&self, header: &Header) -> bool {
        !header.extra.is_empty()
    }

    async fn import(&self, blocks: Vec<Received>) -> Result<(), Refused> {
        self.0.fetch_add(blocks.len(), Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test]
async fn wrong_transactions_under_a_header_do_not_keep_the_right_ones_out() {
    let importer = Arc::new(Sealed::default());
    let (network, others) = meeting_with(10..11, importer.clone()).await;
    let (peer, other) = (network.0.peers.greeted().remove(0), &others[0]);
    let is_asked = || other.0.fetching.lock().drain().count() > 0;
    let block = |extra: &'static [u8], hashes: &[B256]| {
        let header = Header { number: 1, extra: Bytes::from_static(extra), ..Header::default() };
        CompactBlock { header: header.encode().into(), hashes: hashes.to_vec() }
    };
    network.take_block(&peer, block(b"sealed", &[B256::ZERO])).unwrap();
    until(|| peer.assembling.available_permits() == 3).await;
    assert!(importer.0.load(Ordering::Relaxed) == 0 && is_asked());
    for _ in 0..3 {
        network.take_block(&peer, block(b"sealed", &[])).unwrap();
        until(|| peer.assembling.available_permits() == 3).await;
        assert_eq!(importer.0.load(Ordering::Relaxed), 1);
    }
    assert_eq!(misdeeds(&network, Misdeed::InvalidBlock), 0);

    network.take_block(&peer, block(b"", &[B256::repeat_byte(1)])).unwrap();
    until(|| misdeeds(&network, Misdeed::InvalidBlock) == 1).await;
    assert!(!is_asked(), "nothing is asked about a block that nobody has decided");
    others.iter().for_each(Network::stop);
    network.stop();
}

#[tokio::test]
async fn the_height_of_a_stranger_counts_only_if_there_is_nobody_else() {
    let network = network();
    let validator = greeted(&network, &VALIDATOR, Role::Consensus, 7);
    greeted(&network, &[5; 32], Role::Endpoint, u64::MAX);
    assert_eq!((network.best_known(), network.has_company()), (7, true));
    network.disconnected(&validator.id);
    assert_eq!((network.best_known(), network.has_company()), (u64::MAX, false));
    network.stop();
}

#[tokio::test]
async fn a_peer_that_the_operator_has_named_is_asked_before_strangers() {
    let named = peer_id(&SecretKey::from_slice(&[5; 32]).unwrap()).unwrap();
    let mut config = NetworkConfig::new(SecretKey::from_slice(&[9; 32]).unwrap(), Role::Endpoint);
    config.peers = vec![format!("{named}@localhost:1").parse().unwrap()];
    let network = unattended(config);
    for n in 10..16 {
        greeted(&network, &[n; 32], Role::Endpoint, u64::MAX);
    }
    assert_eq!((network.trusted_ahead(0), network.goal(0, Duration::ZERO)), (None, u64::MAX));
    greeted(&network, &[5; 32], Role::Proxy, 100);
    assert_eq!((network.trusted_ahead(0), network.goal(0, Duration::ZERO)), (Some(100), 100));
    assert_eq!(network.trusted_ahead(100), None);
    assert_eq!((network.best_known(), network.has_company()), (100, true));
    for turn in 0..7 {
        let source = network.source(&(1..65), &turn.into(), &[]).unwrap();
        assert_eq!(source.id, named);
    }
    assert_ne!(network.source(&(1..65), &0.into(), &[named]).unwrap().id, named, "strangers come after it");
    assert!(network.range(1..65, &0.into()).await.is_none(), "it cannot be reached");
    let doubted = network.0.peers.greeted().into_iter().filter(|session| network.0.peers.doubt(&session.id) > 0);
    assert_eq!(doubted.map(|session| session.id).collect::<Vec<_>>(), [named], "strangers are left to another pass");
    network.stop();
}

#[tokio::test]
async fn a_named_place_gives_its_peer_a_name() {
    let network = listening();
    let address = place(&network).await;
    let mut config = NetworkConfig::new(SecretKey::from_slice(&[8; 32]).unwrap(), Role::Endpoint);
    config.peers = vec![format!("127.0.0.1:{}", port(&address)).parse().unwrap()];
    let other = start(config);
    assert!(tokio::time::timeout(Duration::from_secs(10), until(|| other.has_company())).await.is_ok());
    assert!(!network.has_company(), "nobody has named the other one");
    other.stop();
    network.stop();
}

#[tokio::test]
async fn transactions_go_to_validators_before_those_who_say_that_they_are_some() {
    let network = network();
    for n in 10..20 {
        greeted(&network, &[n; 32], Role::Consensus, 0);
    }
    let validator = greeted(&network, &VALIDATOR, Role::Consensus, 0);
    for n in 0..20 {
        let raw = signed_by_another(&network, Address::repeat_byte(n));
        let tx = HashedTx::decode(&raw).unwrap().with_sender_unchecked(Address::repeat_byte(n));
        network.spread(&[Arc::new(tx)]);
        let frames = validator.gossip.take(usize::MAX).await;
        assert!(matches!(Gossip::decode(&frames[0]), Ok(Gossip::Transactions(_))));
    }
    network.stop();
}

#[tokio::test]
async fn a_peer_without_a_name_is_looked_for_in_all_its_places() {
    let network = listening();
    let open = swarm::multiaddr(([127, 0, 0, 1], port(&place(&network).await)).into());
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut config = NetworkConfig::new(SecretKey::from_slice(&[8; 32]).unwrap(), Role::Endpoint);
    let peer: PeerAddress = "nowhere.invalid:1".parse().unwrap();
    config.peers = vec![peer.clone()];
    let (other, mut connections) = new(config, Arc::new(Taking));
    for _ in 0..2 {
        connections.found_static(&peer, Ok(vec![swarm::multiaddr(closed), open.clone()]));
    }
    tokio::spawn(connections.run());
    assert!(tokio::time::timeout(Duration::from_secs(10), until(|| other.has_company())).await.is_ok());
    other.stop();
    network.stop();
}

/// Handles what happens on connections until something is so.
async fn handle_until(connections: &mut Connections, is_so: impl Fn(&Connections) -> bool) {
    let handle = async {
        while !is_so(connections) {
            let event = connections.swarm.select_next_some().await;
            connections.handle(event);
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), handle).await.is_ok());
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_answered_is_given_up() {
    let network = listening();
    let (id, address) = (network.id(), place(&network).await);
    let mut config = NetworkConfig::new(SecretKey::from_slice(&[8; 32]).unwrap(), Role::Endpoint);
    let peer: PeerAddress = address.parse().unwrap();
    config.peers = vec![peer.clone()];
    let (other, mut connections) = new(config, Arc::new(Taking));
    connections.found_static(&peer, Ok(vec![swarm::multiaddr(([127, 0, 0, 1], port(&address)).into())]));
    handle_until(&mut connections, |_| other.is_connected(&id)).await;
    (0..SILENT).for_each(|_| connections.hang_up());
    assert!(other.is_connected(&id));
    // One answer makes up for all that were missing.
    handle_until(&mut connections, |connections| connections.unanswered.values().all(|(_, count)| *count == 0)).await;
    (0..SILENT).for_each(|_| connections.hang_up());
    assert!(other.is_connected(&id));
    connections.hang_up();
    assert!(!other.is_connected(&id), "it may not be closed for long, but nobody waits for that");
    handle_until(&mut connections, |connections| !connections.swarm.is_connected(&id)).await;
    other.stop();
    network.stop();
}
