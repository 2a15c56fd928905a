//! News: transactions and blocks, from and to every peer.
//!
//! A transaction that was submitted here goes as a whole to two peers; everybody else hears its hash and asks for it if
//! it is new to him. Of a transaction that came from a peer only the hash is passed on.

use std::{sync::Arc, time::Duration};

use alloy_primitives::map::{B256Map, B256Set};
use futures::{AsyncRead, StreamExt, io::AsyncWriteExt};
use klay_consensus::types::Class;
use klay_core::{B256, Bytes, block::Header, crypto::keccak256};
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::IncomingStreams;
use tokio::{
    sync::broadcast::error::RecvError,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    FETCH, GOSSIP, Misdeed, Network, Received, Refused, Role, SEEN, SPEECH,
    frames::{self, CHUNK, FrameError},
    peers::Session,
    wire::{CompactBlock, Gossip, MAX_GOSSIP, MAX_HASHES, Request, Status},
};
use crate::{PoolError, SealedBlock, SharedTx, pool::Origin};

/// How long transactions are collected before they are passed on.
const COLLECT: Duration = Duration::from_millis(15);
/// Peers that get a new transaction as a whole.
const BODIES: usize = 2;
/// Bytes of transactions in one frame.
const FRAME: usize = 256 << 10;
/// How often waiting transactions are announced again.
const REMIND: Duration = Duration::from_secs(4);
/// How long a greeting may take, once its stream is there.
const GREETING: Duration = Duration::from_secs(5);
/// How long a connection may stand without a greeting.
const STRANGER: Duration = Duration::from_secs(15);
/// Peers that get a new block; the others hear of it.
const BLOCK_PEERS: usize = 8;
/// Frames of gossip a second, and at once.
pub(super) const RATE: (f64, f64) = (500.0, 2_000.0);

impl Network {
    /// Takes in the streams of one protocol.
    pub(super) async fn accept(self, protocol: StreamProtocol, mut streams: IncomingStreams) {
        let closed = self.closed();
        loop {
            let next = tokio::select! {
                () = closed.cancelled() => return,
                next = streams.next() => next,
            };
            let Some((peer, stream)) = next else { return };
            // The stream may be here before the news that its connection stands.
            let Some(session) = self.admits(&peer).then(|| self.connected(peer)).flatten() else {
                self.drop_peer(peer);
                continue;
            };
            let network = self.clone();
            if protocol == FETCH {
                network.serve(&session, stream);
                continue;
            }
            let kind = if protocol == SPEECH { &session.speech } else { &session.news };
            match kind.begin(&session.closed, session.now()) {
                None => self.blame(&peer, Misdeed::Flood),
                Some(ends) if protocol == SPEECH => {
                    tokio::spawn(network.read_speech(session, stream, ends));
                }
                Some(ends) => {
                    tokio::spawn(network.read_gossip(session, stream, ends));
                }
            }
        }
    }

    /// Opens the stream of news to a peer and keeps it open.
    pub(super) async fn write_gossip(self, session: Arc<Session>) {
        let closed = session.closed.clone();
        let write = async {
            loop {
                if let Ok(mut stream) = self.0.streams.clone().open_stream(session.id, GOSSIP).await {
                    let greeting = Gossip::Status(self.status()).encode();
                    let mut frames = vec![Bytes::from(greeting)];
                    while frames::write_all(&mut stream, &frames).await.is_ok() {
                        frames = tokio::select! {
                            frames = session.gossip.take(CHUNK) => frames,
                            () = frames::ended(&mut stream) => break,
                        };
                    }
                    // It is broken anyway.
                    let _broken = stream.close().await;
                }
                sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::select! {
            () = closed.cancelled() => {}
            () = self.0.closed.cancelled() => {}
            () = write => {}
        }
    }

    /// Whoever does not say who he is takes no place.
    pub(super) async fn expect_greeting(self, session: Arc<Session>) {
        let is_due = tokio::select! {
            () = session.closed.cancelled() => false,
            () = self.0.closed.cancelled() => false,
            () = sleep(STRANGER) => true,
        };
        if is_due && session.role().is_none() {
            tracing::debug!(peer = %session.id, "no greeting");
            self.drop_peer(session.id);
        }
    }

    async fn read_gossip(self, session: Arc<Session>, mut stream: Stream, ends: CancellationToken) {
        let result = tokio::select! {
            () = ends.cancelled() => Ok(()),
            () = self.0.closed.cancelled() => Ok(()),
            result = self.hear(&session, &mut stream) => result,
        };
        if let Err(misdeed) = result {
            self.blame(&session.id, misdeed);
        }
    }

    /// Reads news until the stream ends.
    async fn hear(&self, session: &Arc<Session>, stream: &mut (impl AsyncRead + Unpin)) -> Result<(), Misdeed> {
        let Ok(greeting) = timeout(GREETING, frames::read(stream, MAX_GOSSIP)).await else {
            return Err(Misdeed::Silence);
        };
        let Some(greeting) = frame(greeting)? else { return Ok(()) };
        match Gossip::decode(&greeting) {
            Ok(Gossip::Status(status)) => self.greet(session, status)?,
            Ok(_) => return Err(Misdeed::OtherChain),
            Err(error) => return Err(garbage(session.id, &error)),
        }
        while let Some(bytes) = frame(frames::read(stream, MAX_GOSSIP).await)? {
            if !session.news.take(session.now(), 0) {
                self.blame(&session.id, Misdeed::Flood);
                self.0.metrics.dropped.add(1);
                continue;
            }
            match Gossip::decode(&bytes).map_err(|error| garbage(session.id, &error))? {
                Gossip::Status(status) => self.greet(session, status)?,
                Gossip::Transactions(raw) => self.take_transactions(session, raw).await,
                Gossip::Hashes(hashes) => self.take_hashes(session, hashes).await,
                Gossip::Block(block) => self.take_block(session, block)?,
                Gossip::Head { number, .. } => self.saw_head(session, number),
            }
        }
        Ok(())
    }

    fn greet(&self, session: &Arc<Session>, status: Status) -> Result<(), Misdeed> {
        let own = self.status();
        if (status.chain_id, status.genesis, &status.engine) != (own.chain_id, own.genesis, &own.engine) {
            tracing::warn!(peer = %session.id, ?status, "peer of another chain");
            return Err(Misdeed::OtherChain);
        }
        session.saw_head(status.number);
        let is_first = session.status.lock().replace(status.clone()).is_none();
        if is_first {
            tracing::info!(peer = %session.id, address = %session.address, role = status.role.name(), head = status.number, "peer");
            if self.0.role == Role::Consensus && status.role == Role::Consensus {
                tokio::spawn(self.clone().write_speech(Arc::clone(session)));
            }
        }
        self.0.behind.notify_one();
        Ok(())
    }

    fn saw_head(&self, session: &Session, number: u64) {
        session.saw_head(number);
        if number > self.0.chain.head().number() {
            self.0.behind.notify_one();
        }
    }

    /// Offers transactions to the pool. What was here already is dropped before anything else is done with it.
    pub(super) async fn take_transactions(&self, session: &Session, raw: Vec<Bytes>) {
        let hashes: Vec<B256> = raw.iter().map(|raw| hash_of(raw)).collect();
        {
            let mut known = session.known.lock();
            hashes.iter().for_each(|hash| {
                known.insert(*hash);
            });
        }
        let (mut fresh, mut names) = (Vec::new(), Vec::new());
        {
            let (seen, refused) = (self.0.seen.lock(), self.0.refused.lock());
            for (raw, hash) in raw.into_iter().zip(hashes) {
                if !seen.contains(&hash) && !refused.contains(&hash) {
                    fresh.push(raw);
                    names.push(hash);
                }
            }
        }
        if fresh.is_empty() {
            return;
        }
        let answers = self.0.pool.add_raw_batch(fresh, Origin::Remote).await;
        let (mut done, mut later) = (Vec::with_capacity(names.len()), Vec::new());
        for (hash, answer) in names.into_iter().zip(answers) {
            match answer {
                Err(PoolError::Full) => self.0.metrics.dropped.add(1),
                // Nothing is remembered: with another first byte these may be the bytes of a good transaction.
                Err(PoolError::Decode(_)) => self.blame(&session.id, Misdeed::InvalidTransaction),
                Err(error) if error.is_for_ever() => {
                    self.blame(&session.id, Misdeed::InvalidTransaction);
                    done.push(hash);
                }
                Ok(_) | Err(PoolError::NonceTooLow) => done.push(hash),
                // If somebody else offers it at this moment, his answer counts.
                Err(PoolError::Known(known)) if self.0.pool.contains(known) => done.push(hash),
                Err(_) => later.push(hash),
            }
        }
        self.remember(done);
        let mut refused = self.0.refused.lock();
        if refused.len() < SEEN {
            refused.extend(later);
        }
    }

    /// Asks for those that are new, each from one peer at a time.
    async fn take_hashes(&self, session: &Session, hashes: Vec<B256>) {
        {
            let mut known = session.known.lock();
            hashes.iter().for_each(|hash| {
                known.insert(*hash);
            });
        }
        if !self.0.pool.has_room(Origin::Remote) {
            // They are announced again while they wait.
            return;
        }
        let asking = {
            let (seen, refused) = (self.0.seen.lock(), self.0.refused.lock());
            let is_new = |hash: &B256| !seen.contains(hash) && !refused.contains(hash);
            self.0.asked.take(hashes.into_iter().filter(is_new))
        };
        let mut left = asking.hashes().to_vec();
        while !left.is_empty()
            && let Ok(answer) = self.ask(session.id, &Request::Transactions(left.clone()), left.len()).await
        {
            let came: B256Set = answer.0.iter().map(|raw| hash_of(raw)).collect();
            // The others may have had no room in the answer.
            let (is_full, before) = (answer.is_full(), left.len());
            left.retain(|hash| !came.contains(hash));
            self.take_transactions(session, answer.0).await;
            if !is_full || left.len() == before {
                break;
            }
        }
    }

    pub(super) fn take_block(&self, session: &Arc<Session>, block: CompactBlock) -> Result<(), Misdeed> {
        let header = Header::decode_all(&block.header).map_err(|error| garbage(session.id, &error))?;
        session.saw_head(header.number);
        let head = self.0.chain.head().number();
        if header.number <= head {
            return Ok(());
        }
        if header.number > head + 1 {
            self.0.behind.notify_one();
            return Ok(());
        }
        // Named by its transactions too: others under the same header must not keep the right ones out.
        let hash = header.hash();
        let named: Vec<u8> = core::iter::once(&hash).chain(&block.hashes).flat_map(|hash| hash.0).collect();
        let name = keccak256(named);
        if self.0.seen.lock().contains(&name) {
            return Ok(());
        }
        let Ok(permit) = Arc::clone(&session.assembling).try_acquire_owned() else {
            self.0.metrics.dropped.add(1);
            return Ok(());
        };
        let (network, session) = (self.clone(), Arc::clone(session));
        tokio::spawn(async move {
            let _permit = permit;
            // Anybody can make up a header. Only for one that is decided anything is asked, recovered and remembered.
            if !network.0.importer.is_sealed(&header).await {
                // Once the chain has passed it by, it no longer counts who was to seal it.
                if network.0.chain.head().number() < header.number {
                    tracing::warn!(peer = %session.id, number = header.number, %hash, "block without its seals");
                    network.blame(&session.id, Misdeed::InvalidBlock);
                }
                return;
            }
            let is_in_time = network.0.chain.head().number() < header.number;
            if !is_in_time || !network.0.seen.lock().insert(name) {
                return;
            }
            let Some(transactions) = network.assemble(session.id, &block.hashes).await else { return };
            match network.0.importer.import(vec![Received { header, transactions }]).await {
                Ok(()) => {}
                Err(Refused::Invalid { number, reason }) => {
                    tracing::warn!(peer = %session.id, number, %hash, reason, "invalid block");
                    network.blame(&session.id, Misdeed::InvalidBlock);
                }
                Err(Refused::NotNow { number, reason }) => {
                    tracing::debug!(number, reason, "block is left to synchronisation");
                    network.0.behind.notify_one();
                }
            }
        });
        Ok(())
    }

    /// Passes on transactions that became executable, and reminds of those that wait long.
    pub(super) async fn spread_transactions(self) {
        let mut pending = self.0.pool.subscribe_pending();
        let closed = self.closed();
        let mut remind = tokio::time::interval(REMIND);
        loop {
            let mut batch = Vec::new();
            tokio::select! {
                () = closed.cancelled() => return,
                _ = remind.tick() => self.remind(),
                next = pending.recv() => match next {
                    Ok(tx) => batch.push(tx),
                    // Whoever was left out hears of them by the reminder.
                    Err(RecvError::Lagged(missed)) => self.0.metrics.dropped.add(missed),
                    Err(RecvError::Closed) => return,
                },
            }
            if batch.is_empty() {
                continue;
            }
            sleep(COLLECT).await;
            while batch.len() < MAX_HASHES
                && let Ok(tx) = pending.try_recv()
            {
                batch.push(tx);
            }
            self.spread(&batch);
        }
    }

    pub(super) fn spread(&self, batch: &[SharedTx]) {
        self.remember(batch.iter().map(|tx| tx.hash()));
        let mut peers = self.0.peers.greeted();
        if peers.is_empty() {
            return;
        }
        // Those nearest to a proposer first, in turn among equals, and strangers last: a role is only said.
        let rank = |session: &Arc<Session>| (!self.is_trusted(session), session.role());
        peers.sort_by_cached_key(rank);
        let turn = usize::from(batch[0].hash()[0]);
        for equals in peers.chunk_by_mut(|a, b| rank(a) == rank(b)) {
            equals.rotate_left(turn % equals.len());
        }
        let mut whole: B256Map<usize> = batch.iter().map(|tx| (tx.hash(), BODIES)).collect();
        for session in &peers {
            let known = session.known.lock();
            whole.retain(|hash, _| !known.contains(hash));
        }
        for session in &peers {
            let (mut bodies, mut hashes) = (Vec::new(), Vec::new());
            {
                let mut known = session.known.lock();
                for tx in batch.iter().filter(|tx| known.insert(tx.hash())) {
                    match whole.get_mut(&tx.hash()) {
                        Some(left) if *left > 0 => {
                            *left -= 1;
                            bodies.push(Bytes::copy_from_slice(tx.encoded()));
                        }
                        _ => hashes.push(tx.hash()),
                    }
                }
            }
            self.send_bodies(session, bodies);
            if !hashes.is_empty() {
                self.tell(session, &Gossip::Hashes(hashes));
            }
        }
    }

    fn send_bodies(&self, session: &Session, bodies: Vec<Bytes>) {
        let (mut frame, mut size) = (Vec::new(), 0);
        for body in bodies {
            size += body.len();
            frame.push(body);
            if size >= FRAME {
                self.tell(session, &Gossip::Transactions(core::mem::take(&mut frame)));
                size = 0;
            }
        }
        if !frame.is_empty() {
            self.tell(session, &Gossip::Transactions(frame));
        }
    }

    /// Announces the transactions that a block would take next, in case that somebody has missed them. Of what was
    /// refused here the reminders of others are listened to again: fees fall, and accounts are filled.
    pub(super) fn remind(&self) {
        self.0.refused.lock().clear();
        if self.0.pool.status().pending == 0 {
            return;
        }
        let hashes: Vec<B256> = self.0.pool.pending(MAX_HASHES).iter().map(|tx| tx.hash()).collect();
        let frame: Bytes = Gossip::Hashes(hashes).encode().into();
        for session in self.0.peers.greeted() {
            self.push(&session, Class::Sync, frame.clone());
        }
    }

    /// Passes on every new block.
    pub(super) async fn spread_blocks(self) {
        let mut heads = self.0.chain.subscribe_heads();
        let closed = self.closed();
        loop {
            let next = tokio::select! {
                () = closed.cancelled() => return,
                next = heads.recv() => next,
            };
            match next {
                Ok(event) => self.spread_block(&event.block),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    pub(super) fn spread_block(&self, block: &SealedBlock) {
        self.remember(block.transactions.iter().map(|tx| tx.hash()));
        let head: Bytes = Gossip::Head { number: block.number(), hash: block.hash }.encode().into();
        let mut whole: Option<Bytes> = None;
        let mut left = BLOCK_PEERS;
        for session in self.0.peers.greeted() {
            // Validators decide blocks themselves; whoever is far behind catches up by asking.
            let is_validator = self.0.role == Role::Consensus && session.role() == Some(Role::Consensus);
            if is_validator || session.head().saturating_add(1) != block.number() || left == 0 {
                self.push(&session, Class::Vote, head.clone());
                continue;
            }
            left -= 1;
            let frame = whole.get_or_insert_with(|| {
                let hashes = block.transactions.iter().map(|tx| tx.hash()).collect();
                let news = Gossip::Block(CompactBlock { header: block.header.encode().into(), hashes }).encode();
                // Who hears too long a frame cuts us off. He asks for the block if he hears of it.
                if news.len() > MAX_GOSSIP { head.clone() } else { news.into() }
            });
            session.saw_head(block.number());
            self.push(&session, Class::Proposal, frame.clone());
        }
    }
}

/// The hash of a transaction in the node's wire form, without decoding it. With a sidecar it is another one, which does
/// no harm: the pool then looks closer.
fn hash_of(raw: &[u8]) -> B256 {
    match raw {
        [0x78, rest @ ..] => keccak256(rest),
        raw => keccak256(raw),
    }
}

/// A frame, or a part of it, that was read; `None` at the end of the stream.
pub(super) fn frame<T>(read: Result<T, FrameError>) -> Result<Option<T>, Misdeed> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(FrameError::Io(_)) => Ok(None),
        Err(FrameError::TooLong { .. }) => Err(Misdeed::Garbage),
    }
}

pub(super) fn garbage(peer: PeerId, error: &klay_core::DecodeError) -> Misdeed {
    tracing::debug!(%peer, %error, "garbage");
    Misdeed::Garbage
}
