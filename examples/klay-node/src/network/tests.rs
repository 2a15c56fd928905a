//! A network of one node, and peers that are made by hand.

#![allow(clippy::unwrap_used)]

use std::{sync::atomic::AtomicUsize, time::Duration};

use klay_core::{
    Payload, PublicKey, U256,
    crypto::{keccak256, sign_digest},
    genesis::Genesis,
    storage::Memory,
    tx::{Body, HashedTx, Tx, payload},
};

use super::{sync::SECOND_CHANCE, wire::CompactBlock, *};
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
    start(NetworkConfig::new(SecretKey::from_slice(&[9; 32]).unwrap(), role))
}

/// A node at block 0.
fn start(config: NetworkConfig) -> Network {
    start_with(config, Arc::new(Taking))
}

fn start_with(config: NetworkConfig, importer: Arc<dyn Importer>) -> Network {
    let genesis: Genesis = serde_json::from_str(include_str!("../../tests/vectors/council-4/genesis.json")).unwrap();
    let chain = Chain::open(Arc::new(Memory::new()), &genesis, ChainOptions::default(), &Metrics::default()).unwrap();
    let metrics = Arc::<Metrics>::default();
    let pool = TxPool::new(PoolConfig::default(), chain.pool_head(), Arc::clone(&metrics));
    Network::start(Parts { config, engine: "istanbul".to_owned(), chain, pool, metrics, importer }).unwrap()
}

/// Where a node listens.
async fn place(network: &Network) -> String {
    until(|| !network.addresses().is_empty()).await;
    network.addresses().remove(0)
}

/// A node that connects to the one at this address.
fn beside(key: u8, address: &str) -> Network {
    let mut config = NetworkConfig::new(SecretKey::from_slice(&[key; 32]).unwrap(), Role::Endpoint);
    config.peers = vec![address.parse().unwrap()];
    start(config)
}

/// Waits, but not for ever.
async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came");
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

    let validator = greeted(&network, &VALIDATOR, Role::Consensus, 0);
    for _ in 0..10 {
        network.introduce(&validator);
        network.silenced(&validator);
    }
    let heard: Vec<_> = std::iter::from_fn(|| contacts.try_recv().ok()).map(|contact| contact.is_up).collect();
    assert_eq!(heard, [true, false]);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    network.introduce(&validator);
    assert!(contacts.try_recv().is_ok_and(|contact| contact.is_up));
    network.stop();
}

#[tokio::test]
async fn connections_that_say_nothing_leave_room_for_others() {
    let mut config = NetworkConfig::new(SecretKey::from_slice(&[9; 32]).unwrap(), Role::Endpoint);
    config.listen = vec![([127, 0, 0, 1], 0).into()];
    let network = start(config);
    let address = place(&network).await;
    let port: u16 = address.split('/').nth(4).unwrap().parse().unwrap();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap());
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
