//! Questions to one peer: a stream each, one request, one answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::map::B256Set;
use futures::{AsyncRead, io::AsyncWriteExt};
use klay_core::{B256, Bytes, DecodeError, block::body, crypto::RecoverError, tx::HashedTx};
use libp2p::{PeerId, Stream};
use libp2p_stream::OpenStreamError;
use parking_lot::Mutex;
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::{
    FETCH, Misdeed, Network,
    frames::{self, FrameError},
    peers::Session,
    score::Allowance,
    wire::{Answer, MAX_ANSWER, MAX_BODIES, MAX_HEADERS, MAX_REQUEST, Request, SOFT_ANSWER},
};
use crate::{Fee, SharedTx, chain::ChainError};

/// How long an answer may take to begin.
const PATIENCE: Duration = Duration::from_secs(8);
/// Pauses before a question is asked again whose stream was dropped, in milliseconds; at most twice as long.
const AGAIN: [u64; 6] = [3, 10, 30, 90, 200, 400];
/// Bytes a second that a connection carries at least.
const SLOWEST: u64 = 128 << 10;
/// Bytes of an answer that have to be there in time, one piece after the other.
const PIECE: usize = 128 << 10;
/// How long a request may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(5);
/// Questions of one peer that are answered at the same time.
const AT_ONCE: usize = 4;
/// Questions of one peer that wait for it.
const WAITING: usize = 32;
/// Questions of one peer a second, and at once.
const RATE: (f64, f64) = (200.0, 400.0);

/// Answers that are looked up at the same time: for strangers, and for validators, whose proposals wait for them, and
/// peers that the operator has named.
const LOOKED_UP: (usize, usize) = (2, 4);

/// Who may look up an answer, of all peers together: the store has to serve the chain as well.
#[derive(Debug)]
pub(super) struct LookUps {
    strangers: Arc<Semaphore>,
    trusted: Arc<Semaphore>,
}

impl Default for LookUps {
    fn default() -> Self {
        let (strangers, trusted) = LOOKED_UP;
        Self { strangers: Arc::new(Semaphore::new(strangers)), trusted: Arc::new(Semaphore::new(trusted)) }
    }
}

impl LookUps {
    pub(super) fn of(&self, is_trusted: bool) -> Arc<Semaphore> {
        Arc::clone(if is_trusted { &self.trusted } else { &self.strangers })
    }
}

/// What one peer may ask.
#[derive(Debug, Clone)]
pub(super) struct Served {
    permits: Arc<Semaphore>,
    places: Arc<Semaphore>,
    allowance: Arc<Mutex<Allowance>>,
    start: Instant,
}

impl Served {
    fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            places: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            allowance: Arc::new(Mutex::new(Allowance::new(RATE.0, RATE.1))),
            start: Instant::now(),
        }
    }
}

/// How long the slowest connection takes for so many bytes.
pub(super) const fn travel(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64 / SLOWEST)
}

/// Reads what was announced. It has to keep coming: who only announces much does not have the time for it.
async fn content(stream: &mut (impl AsyncRead + Unpin), len: usize, patience: Duration) -> Result<Vec<u8>, AskError> {
    let start = Instant::now();
    let mut content = Vec::new();
    while content.len() < len {
        let piece = PIECE.min(len - content.len());
        let left = (patience + travel(content.len())).saturating_sub(start.elapsed());
        let read = timeout(left, frames::content(stream, piece)).await;
        content.extend_from_slice(&read.map_err(|_| AskError::Silence)??);
    }
    Ok(content)
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum AskError {
    #[error("no stream: {0}")]
    Stream(#[from] OpenStreamError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Garbage(#[from] DecodeError),
    #[error("no answer in time")]
    Silence,
}

impl Network {
    /// Asks a peer; at most `limit` items are accepted.
    pub(super) async fn ask(&self, peer: PeerId, request: &Request, limit: usize) -> Result<Answer, AskError> {
        let begun = self.begin(peer, request).await;
        let ask = async {
            let (mut stream, len) = begun?;
            Ok(Answer::decode(&content(&mut stream, len, PATIENCE).await?, limit)?)
        };
        let answer = ask.await;
        match &answer {
            Ok(_) | Err(AskError::Stream(_) | AskError::Frame(FrameError::Io(_))) => {}
            Err(AskError::Silence) => self.blame(&peer, Misdeed::Silence),
            Err(AskError::Garbage(_) | AskError::Frame(FrameError::TooLong { .. })) => {
                self.blame(&peer, Misdeed::BadAnswer);
            }
        }
        answer
    }

    /// Asks until an answer begins; returns how long it will be. Of streams that come together the library over there
    /// keeps one and drops the others unread, however many peers they come from. Whoever cuts streams on purpose gains
    /// no time by it.
    async fn begin(&self, peer: PeerId, request: &Request) -> Result<(Stream, usize), AskError> {
        let once = async || {
            let mut stream = self.0.streams.clone().open_stream(peer, FETCH).await?;
            frames::write(&mut stream, request.encode()).await.map_err(FrameError::from)?;
            let len = frames::announced(&mut stream, MAX_ANSWER).await?;
            Ok((stream, len))
        };
        // Those who were dropped together do not come back together: their names differ.
        let name = self.0.id.to_bytes();
        let mut pauses = AGAIN.into_iter().zip(name.iter().rev());
        let begin = async {
            loop {
                match (once().await, pauses.next()) {
                    // A connection that is given up is offered until it is closed: another try may get another one.
                    (
                        Err(AskError::Frame(FrameError::Io(_)) | AskError::Stream(OpenStreamError::Io(_))),
                        Some((pause, byte)),
                    ) if self.is_connected(&peer) => {
                        sleep(Duration::from_millis(pause + pause * u64::from(*byte) / 256)).await;
                    }
                    (begun, _) => return begun,
                }
            }
        };
        timeout(PATIENCE, begin).await.unwrap_or(Err(AskError::Silence))
    }

    /// Answers a question, unless the peer asks too much.
    pub(super) fn serve(self, session: &Arc<Session>, stream: Stream) {
        let served = self.0.fetching.lock().entry(session.id).or_insert_with(Served::new).clone();
        let is_allowed = served.allowance.lock().take(served.start.elapsed().as_secs_f64());
        let place = Arc::clone(&served.places).try_acquire_owned().ok().filter(|_| is_allowed);
        let Some(place) = place else {
            self.0.metrics.dropped.add(1);
            // That the places are taken may be this node's own slowness, and the question comes again.
            if !is_allowed {
                self.blame(&session.id, Misdeed::Flood);
            }
            return;
        };
        let (session, closed) = (Arc::clone(session), session.closed.clone());
        tokio::spawn(async move {
            let _place = place;
            // Whoever asks more at once waits for his own answers.
            let Ok(_permit) = served.permits.acquire().await else { return };
            tokio::select! {
                () = closed.cancelled() => {}
                () = self.answer(&session, stream) => {}
            }
        });
    }

    async fn answer(&self, session: &Session, mut stream: Stream) {
        let bytes = match timeout(ARRIVAL, frames::read(&mut stream, MAX_REQUEST)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(FrameError::TooLong { .. })) => return self.blame(&session.id, Misdeed::Garbage),
            Ok(Err(FrameError::Io(_))) | Err(_) => return,
        };
        let request = match Request::decode(&bytes) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(peer = %session.id, %error, "garbage");
                return self.blame(&session.id, Misdeed::Garbage);
            }
        };
        if let Request::Transactions(hashes) = &request {
            let mut known = session.known.lock();
            hashes.iter().for_each(|hash| {
                known.insert(*hash);
            });
        }
        let turn = tokio::select! {
            turn = self.0.look_ups.of(self.is_trusted(session)).acquire_owned() => turn,
            // Whoever asked has given up.
            () = frames::ended(&mut stream) => return,
        };
        let Ok(turn) = turn else { return };
        let network = self.clone();
        let look_up = move || {
            // Until it is done, also if the peer leaves meanwhile.
            let _turn = turn;
            network.find(&request)
        };
        let found = tokio::task::spawn_blocking(look_up).await;
        let answer = match found {
            Ok(Ok(items)) => Answer(items).encode(),
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot answer a peer");
                return;
            }
            Err(_) => return,
        };
        let time = PATIENCE + travel(answer.len());
        let write = async {
            frames::write(&mut stream, answer).await?;
            stream.close().await
        };
        // Whoever does not read gets no more.
        let _gone = timeout(time, write).await;
    }

    fn find(&self, request: &Request) -> Result<Vec<Bytes>, ChainError> {
        let mut items = Vec::new();
        let mut size = 0;
        let mut range = |from: u64, count: u64, item: &dyn Fn(u64) -> Result<Bytes, ChainError>| {
            let last = from.saturating_add(count).min(self.0.chain.head().number().saturating_add(1));
            for number in from..last {
                if size >= SOFT_ANSWER {
                    break;
                }
                let bytes = item(number)?;
                size += bytes.len();
                items.push(bytes);
            }
            Ok::<_, ChainError>(())
        };
        match request {
            Request::Headers { from, count } => {
                range(*from, (*count).min(MAX_HEADERS), &|number| Ok(self.0.chain.header(number)?.encode().into()))?
            }
            Request::Bodies { from, count } => range(*from, (*count).min(MAX_BODIES), &|number| {
                let block = self.0.chain.block_by_number(number)?.ok_or(ChainError::NoBlock { number })?;
                let transactions: Vec<&[u8]> = block.transactions.iter().map(|tx| tx.encoded()).collect();
                Ok(body::encode_body(&transactions).into())
            })?,
            Request::Transactions(hashes) => {
                let mut given = B256Set::default();
                for (hash, waiting) in hashes.iter().zip(self.0.pool.get_all(hashes)) {
                    if size >= SOFT_ANSWER {
                        break;
                    }
                    let found = match waiting {
                        _ if !given.insert(*hash) => None,
                        Some(tx) => Some(tx),
                        None => self.in_chain(*hash)?,
                    };
                    if let Some(tx) = found {
                        size += tx.encoded().len();
                        items.push(Bytes::copy_from_slice(tx.encoded()));
                    }
                }
            }
        }
        Ok(items)
    }

    fn in_chain(&self, hash: B256) -> Result<Option<SharedTx>, ChainError> {
        let found = self.0.chain.transaction(hash)?;
        Ok(found.and_then(|location| location.transaction().cloned()))
    }

    /// Recovers transactions that came as bytes, on all cores.
    pub(super) async fn recovered(
        &self,
        transactions: Vec<HashedTx<Fee>>,
    ) -> Option<Result<Vec<SharedTx>, RecoverError>> {
        use rayon::prelude::*;
        let chain_id = self.0.chain.config().chain_id;
        self.0.metrics.recoveries.add(transactions.len() as u64);
        let (send, receive) = tokio::sync::oneshot::channel();
        rayon::spawn(move || {
            let recovered = transactions.into_par_iter().map(|tx| tx.recover(chain_id).map(Arc::new)).collect();
            // Whoever wanted them may have gone.
            let _gone = send.send(recovered).is_err();
        });
        receive.await.ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::{Duration, Instant};

    use futures::io::{AsyncReadExt, Cursor, repeat};

    use super::{
        super::{frames, wire::MAX_SPOKEN},
        Answer, AskError, Bytes, MAX_ANSWER, MAX_BODIES, PIECE, SOFT_ANSWER, content,
    };

    #[tokio::test]
    async fn the_largest_block_may_stand_behind_as_many_others_as_possible() {
        let others = usize::try_from(MAX_BODIES).unwrap() - 1;
        let mut items = vec![Bytes::from(vec![7; SOFT_ANSWER / others]); others];
        items.push(vec![7; MAX_SPOKEN].into());
        let answer = Answer(items);
        assert!(answer.0.iter().take(others).map(|item| item.len()).sum::<usize>() < SOFT_ANSWER);
        let mut frame = Cursor::new(Vec::new());
        frames::write(&mut frame, answer.encode()).await.unwrap();
        frame.set_position(0);
        let bytes = frames::read(&mut frame, MAX_ANSWER).await.unwrap();
        assert!(Answer::decode(&bytes, others + 1).unwrap() == answer);
    }

    #[tokio::test]
    async fn an_answer_has_to_keep_coming() {
        let patience = Duration::from_millis(50);
        let whole = content(&mut repeat(7), 3 * PIECE + 1, patience).await.unwrap();
        assert_eq!(whole.len(), 3 * PIECE + 1);
        assert!(content(&mut Cursor::new([]), 0, patience).await.unwrap().is_empty());
        assert!(matches!(content(&mut Cursor::new([1]), 2, patience).await, Err(AskError::Frame(_))));

        // At the slowest, what is announced could take a minute and a half.
        let (start, mut some) = (Instant::now(), Cursor::new(vec![7; 1_000]).chain(Silent));
        assert!(matches!(content(&mut some, 12 << 20, patience).await, Err(AskError::Silence)));
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }

    /// Never has anything.
    struct Silent;

    impl futures::AsyncRead for Silent {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut [u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            std::task::Poll::Pending
        }
    }
}
