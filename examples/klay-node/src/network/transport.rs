//! Messages of the consensus engine: a stream to every validator, and blocks by the hashes of their transactions.
//!
//! An engine's message that carries a block is sent without the transactions' bodies: what stands before them, their
//! hashes, and what stands behind. The receiver puts the engine's own bytes together again, so that signatures over
//! them hold. See [`wire::Spoken`](super::wire::Spoken).

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use futures::io::AsyncWriteExt;
use klay_consensus::{
    host::Transport,
    istanbul::Klaytn,
    types::{Class, Codec, Limits, Malformed},
};
use klay_core::{Address, B256, Bytes};
use libp2p::Stream;
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Contact, Misdeed, Network, Role, SPEECH,
    frames::{self, CHUNK},
    gossip::{frame, garbage},
    peers::{LETTER, Session},
    wire::{MAX_SPOKEN, Spoken},
};
use crate::driver::Proposal;

/// How often it is looked whether a consensus node has become a validator.
const MEETING: Duration = Duration::from_millis(250);
/// Messages of one validator a second, and at once.
pub(super) const RATE: (f64, f64) = (400.0, 2_000.0);
/// Bytes of them.
pub(super) const BYTES: (f64, f64) = ((12 << 20) as f64, (36 << 20) as f64);

/// A message that may carry a block.
pub trait Carries {
    /// The block, if there is one.
    fn proposal(&self) -> Option<&Proposal>;
}

/// A codec that leaves out the bodies of transactions that the other side is likely to have.
#[derive(Debug)]
pub struct Compacting<C>(pub C);

impl<C> Codec<Klaytn<Proposal>> for Compacting<C>
where
    C: Codec<Klaytn<Proposal>>,
    C::Msg: Carries,
{
    type Msg = C::Msg;

    fn encode(&self, msg: &C::Msg, out: &mut Vec<u8>) {
        let mut bytes = Vec::new();
        self.0.encode(msg, &mut bytes);
        let compact = msg.proposal().and_then(|proposal| compact(&bytes, proposal));
        out.extend_from_slice(&compact.unwrap_or_else(|| Spoken::Whole(bytes.into())).encode());
    }

    /// Reads a message that stands there as a whole: the transport has put it together.
    fn decode(&self, bytes: &[u8], limits: Limits) -> Result<C::Msg, Malformed> {
        if bytes.len() > limits.message {
            return Err(Malformed::TooLarge { got: bytes.len(), limit: limits.message });
        }
        match Spoken::decode(bytes)? {
            Spoken::Whole(bytes) => self.0.decode(&bytes, limits),
            Spoken::Compact { .. } => Err(Malformed::Unknown { what: "form of a message", code: 1 }),
        }
    }
}

/// The message around the transactions, if they stand in it as they are.
fn compact(bytes: &[u8], proposal: &Proposal) -> Option<Spoken> {
    let hashes: Vec<B256> = proposal.hashes()?;
    let payload = proposal.payload();
    if payload.is_empty() {
        return None;
    }
    let at = bytes.windows(payload.len()).position(|window| window == &payload[..])?;
    Some(Spoken::Compact {
        before: Bytes::copy_from_slice(&bytes[..at]),
        hashes,
        after: Bytes::copy_from_slice(&bytes[at + payload.len()..]),
    })
}

/// The engine's way to other validators.
#[derive(Debug)]
pub(crate) struct Speech(pub(crate) Network);

#[async_trait]
impl Transport<Klaytn<Proposal>> for Speech {
    async fn send(&self, to: Address, class: Class, bytes: Vec<u8>) {
        self.0.speak(to, class, bytes.into());
    }

    async fn broadcast(&self, to: &[Address], class: Class, bytes: Vec<u8>) {
        let bytes = Bytes::from(bytes);
        for peer in to {
            self.0.speak(*peer, class, bytes.clone());
        }
    }

    async fn next(&self) -> Option<(Address, Vec<u8>)> {
        let (from, message, _room) = self.0.0.speech.lock().await.recv().await?;
        Some((from, message))
    }
}

impl Network {
    fn speak(&self, to: Address, class: Class, frame: Bytes) {
        let Some(session) = self.0.peers.validator(to) else {
            self.0.metrics.dropped.add(1);
            return;
        };
        // Help for somebody behind is a vote's size and must not wait behind a proposal.
        let class = if class == Class::Sync { Class::Vote } else { class };
        self.0.metrics.dropped.add(session.spoken.push(class, frame));
    }

    /// Opens the stream of consensus messages to another consensus node and keeps it open.
    pub(super) async fn write_speech(self, session: Arc<Session>) {
        let closed = session.closed.clone();
        let write = async {
            let mut frames = Vec::new();
            loop {
                if let Ok(mut stream) = self.0.streams.clone().open_stream(session.id, SPEECH).await {
                    session.speaks.store(true, Ordering::Relaxed);
                    loop {
                        // What could not be said is said again on the next stream.
                        if frames.is_empty() {
                            frames = tokio::select! {
                                frames = self.words_for(&session) => frames,
                                () = frames::ended(&mut stream) => break,
                            };
                        }
                        if let Err(error) = frames::write_all(&mut stream, &frames).await {
                            tracing::debug!(peer = %session.id, %error, "cannot speak");
                            break;
                        }
                        frames.clear();
                    }
                    self.silenced(&session);
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
        self.silenced(&session);
    }

    /// What is to be said to a consensus node next. Meanwhile the engine hears of it as soon as it is a validator.
    async fn words_for(&self, session: &Session) -> Vec<Bytes> {
        loop {
            self.introduce(session);
            if let Ok(frames) = timeout(MEETING, session.spoken.take(CHUNK)).await {
                return frames;
            }
        }
    }

    /// Tells the engine that a validator is there, unless it knows. Of others it does not hear: anybody may call himself
    /// a consensus node, and the engine says again what it has said to whoever comes.
    pub(super) fn introduce(&self, session: &Session) {
        let is_due = !session.is_met.load(Ordering::Relaxed)
            && self.0.importer.is_validator(session.address)
            && self.0.peers.may_meet(session.address);
        if is_due {
            session.is_met.store(true, Ordering::Relaxed);
            // Fails only when nobody listens.
            let _nobody = self.0.contacts.send(Contact { address: session.address, is_up: true });
        }
    }

    pub(super) async fn read_speech(self, session: Arc<Session>, mut stream: Stream, ends: CancellationToken) {
        let result = tokio::select! {
            () = ends.cancelled() => Ok(()),
            () = self.0.closed.cancelled() => Ok(()),
            result = self.listen(&session, &mut stream) => result,
        };
        if let Err(misdeed) = result {
            self.blame(&session.id, misdeed);
        }
    }

    async fn listen(&self, session: &Arc<Session>, stream: &mut Stream) -> Result<(), Misdeed> {
        while let Some(len) = frame(frames::announced(stream, MAX_SPOKEN).await)? {
            let is_allowed = session.speech.take(session.now(), len);
            if !is_allowed {
                self.blame(&session.id, Misdeed::Flood);
            }
            // Of somebody who is no validator nothing is kept, and nothing where no engine listens. It is no offence:
            // perhaps the council has changed and we are behind.
            let is_heard = self.0.role == Role::Consensus && self.0.importer.is_validator(session.address);
            if !is_allowed || !is_heard {
                self.0.metrics.dropped.add(1);
                let Some(()) = frame(frames::skip(stream, len).await)? else { break };
                continue;
            }
            let Some(bytes) = frame(frames::content(stream, len).await)? else { break };
            match Spoken::decode(&bytes).map_err(|error| garbage(session.id, &error))? {
                Spoken::Whole(_) => self.deliver(session, bytes),
                Spoken::Compact { before, hashes, after } => {
                    let Ok(permit) = Arc::clone(&session.assembling).try_acquire_owned() else {
                        self.0.metrics.dropped.add(1);
                        continue;
                    };
                    let (network, session) = (self.clone(), Arc::clone(session));
                    tokio::spawn(async move {
                        let _permit = permit;
                        let Some(transactions) = network.assemble(session.id, &hashes).await else { return };
                        let mut whole = before.to_vec();
                        for tx in &transactions {
                            whole.extend_from_slice(tx.encoded());
                        }
                        whole.extend_from_slice(&after);
                        network.0.assembled.keep(Arc::new(transactions));
                        network.deliver(&session, Spoken::Whole(whole.into()).encode());
                    });
                }
            }
        }
        Ok(())
    }

    fn deliver(&self, from: &Session, message: Vec<u8>) {
        let room = u32::try_from(message.len() / 1_024 + LETTER).unwrap_or(u32::MAX);
        let take = |of: &Arc<Semaphore>| Arc::clone(of).try_acquire_many_owned(room).ok();
        let rooms = take(&from.unheard).zip(take(&self.0.waiting));
        let delivered =
            rooms.is_some_and(|(mine, all)| self.0.inbox.send((from.address, message, [mine, all])).is_ok());
        if !delivered {
            self.0.metrics.dropped.add(1);
        }
    }
}
