//! Catching up: headers and bodies of missing blocks from several peers at once, taken over in order.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use klay_core::{
    Bytes, DecodeError,
    block::{Header, body},
    tx::HashedTx,
};
use libp2p::PeerId;
use tokio::time::{sleep, timeout};

use super::{
    Misdeed, Network, Received, Refused,
    fetch::travel,
    peers::Session,
    wire::{Answer, MAX_BODIES, Request, SOFT_ANSWER},
};
use crate::Fee;

/// Most blocks that are asked for at once.
const RANGE: u64 = 64;
/// Bytes of headers or bodies of one range; what is longer waits for the next pass.
const RANGE_BYTES: usize = 8 << 20;
/// Most ranges that are under way at the same time.
const PARALLEL: usize = 6;
/// Blocks of one pass; then the peers are asked again how far they are.
const PASS: u64 = 4_096;
/// How long a single missing block may still come by itself.
const GRACE: Duration = Duration::from_millis(600);
/// How long nothing is asked after a pass without blocks.
const REST: Duration = Duration::from_millis(500);
/// How long a range may take, beside the time that its bytes need at the slowest.
const RANGE_TIME: Duration = Duration::from_secs(30);
/// How long nothing is asked of peers whose word is doubted, if nobody else is ahead.
pub(super) const SECOND_CHANCE: Duration = Duration::from_secs(3);
/// Peers that are asked for a range before the pass is given up.
const ATTEMPTS: usize = 6;

/// Whether a peer gives what it can: all that was asked for, or so many bytes that it may have stopped for that; a
/// quarter of [`SOFT_ANSWER`] is enough, in case that it draws the line elsewhere. Whoever gives one small block after
/// the other would hold up a range for as many answers as it has blocks.
fn is_enough(answer: &Answer, count: u64) -> bool {
    let bytes: usize = answer.0.iter().map(|item| item.len()).sum();
    answer.0.len() as u64 >= count || bytes >= SOFT_ANSWER / 4
}

/// Blocks as they came, with the peer that sent them.
pub(super) struct Part {
    source: Arc<Session>,
    blocks: Vec<Received>,
    /// Of their bodies.
    bytes: usize,
    /// Whether it is all that was asked for.
    is_whole: bool,
}

/// How much is asked for: less of large blocks, and less at once of peers that are slow.
struct Pace {
    blocks: u64,
    ranges: usize,
}

impl Pace {
    const fn new() -> Self {
        Self { blocks: RANGE, ranges: PARALLEL }
    }

    /// So many blocks had so many bytes: the next ranges take half of what a range may.
    fn saw(&mut self, blocks: usize, bytes: usize) {
        let each = bytes.checked_div(blocks).unwrap_or(0).max(1);
        self.blocks = u64::try_from(RANGE_BYTES / 2 / each).unwrap_or(RANGE).clamp(1, RANGE);
    }

    fn went_well(&mut self) {
        self.ranges = PARALLEL.min(self.ranges + 1);
    }

    fn failed(&mut self) {
        self.ranges = (self.ranges / 2).max(1);
    }
}

impl Network {
    /// Looks for missing blocks whenever a peer is ahead.
    pub(super) async fn catch_up(self) {
        let closed = self.closed();
        let follow = async {
            let mut behind_since: Option<(u64, Instant)> = None;
            let mut asked = Instant::now();
            let mut pace = Pace::new();
            loop {
                // Woken by news; otherwise from time to time.
                let _woken = timeout(Duration::from_millis(250), self.0.behind.notified()).await;
                let head = self.0.chain.head().number();
                let best = self.goal(head, asked.elapsed());
                if best <= head {
                    behind_since = None;
                    continue;
                }
                let since = match behind_since {
                    Some((at, since)) if at == head => since,
                    _ => behind_since.insert((head, Instant::now())).1,
                };
                if best == head + 1 && since.elapsed() < GRACE {
                    continue;
                }
                let is_doubtful = self.trusted_ahead(head).is_none();
                tokio::select! {
                    () = self.pass(head + 1..best.min(head + PASS) + 1, &mut pace) => {}
                    () = self.somebody_ahead(), if is_doubtful => {}
                }
                asked = Instant::now();
                behind_since = None;
            }
        };
        tokio::select! {
            () = closed.cancelled() => {}
            () = follow => {}
        }
    }

    /// How far to catch up: as far as those say who are no strangers and whose word is good. If none of them is ahead, as
    /// far as strangers say, and after a pause as far as anybody: whoever failed once may be the only one who has the
    /// blocks.
    pub(super) fn goal(&self, head: u64, rested: Duration) -> u64 {
        if let Some(best) = self.trusted_ahead(head) {
            return best;
        }
        let best = self.0.peers.best().unwrap_or(0);
        if best > head || rested < SECOND_CHANCE {
            best
        } else {
            self.0.peers.claimed(&self.0.peers.greeted(), true).unwrap_or(0)
        }
    }

    /// How far those say who are no strangers and whose word is good, if that is ahead.
    pub(super) fn trusted_ahead(&self, head: u64) -> Option<u64> {
        let is_good = |session: &Arc<Session>| self.0.peers.doubt(&session.id) == 0 && self.is_trusted(session);
        let ahead = self.0.peers.greeted().into_iter().filter(|session| session.head() > head && is_good(session));
        ahead.map(|session| session.head()).max()
    }

    /// Ends when one of them is: until then it does no harm to wait for others.
    async fn somebody_ahead(&self) {
        while self.trusted_ahead(self.0.chain.head().number()).is_none() {
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// Takes over what peers have of these blocks, until one of them is not to be had.
    async fn pass(&self, missing: Range<u64>, pace: &mut Pace) {
        let (from, to) = (missing.start, missing.end);
        tracing::info!(from, to = to - 1, "catching up");
        let (blocks, ranges) = (pace.blocks, pace.ranges);
        let turn = AtomicUsize::new(0);
        let starts = (from..to).step_by(usize::try_from(blocks).unwrap_or(usize::MAX));
        let mut parts =
            stream::iter(starts).map(|start| self.range(start..to.min(start + blocks), &turn)).buffered(ranges);
        while let Some(part) = parts.next().await {
            let Some(Part { source, blocks, bytes, is_whole }) = part else {
                pace.failed();
                return sleep(REST).await;
            };
            pace.saw(blocks.len(), bytes);
            match self.0.importer.import(blocks).await {
                Ok(()) => self.0.peers.kept_its_word(&source.id),
                Err(Refused::Invalid { number, reason }) => {
                    tracing::warn!(peer = %source.id, number, reason, "invalid block");
                    return self.blame(&source.id, Misdeed::InvalidBlock);
                }
                Err(Refused::NotNow { number, reason }) => {
                    tracing::debug!(number, reason, "catching up is put off");
                    return sleep(Duration::from_millis(200)).await;
                }
            }
            if !is_whole {
                // What was asked of the others does not follow.
                self.0.behind.notify_one();
                return;
            }
        }
        pace.went_well();
    }

    /// The blocks of a range, or the first ones of it, from one peer after the other until one has them. Where those
    /// have failed who are trusted, strangers are left to another pass: it ends when one of the former can be asked again.
    pub(super) async fn range(&self, numbers: Range<u64>, turn: &AtomicUsize) -> Option<Part> {
        let mut asked = Vec::new();
        let mut has_trusted = false;
        while asked.len() < ATTEMPTS {
            let source = self.source(&numbers, turn, &asked)?;
            let is_trusted = self.is_trusted(&source);
            if has_trusted && !is_trusted {
                return None;
            }
            has_trusted |= is_trusted;
            asked.push(source.id);
            match self.blocks_of(&source, numbers.clone()).await {
                Some(part) => return Some(part),
                None => self.0.peers.broke_its_word(source.id),
            }
        }
        None
    }

    /// Whom to ask next. A peer's height is only its word, so those come last that have broken it, the last of all who
    /// did so most often, and before strangers those who decide about blocks or are named by the operator; among equals,
    /// those that have all of the range, in turn.
    pub(super) fn source(&self, numbers: &Range<u64>, turn: &AtomicUsize, asked: &[PeerId]) -> Option<Arc<Session>> {
        let rank = |session: &Session| {
            let is_stranger = !self.is_trusted(session);
            (self.0.peers.doubt(&session.id), is_stranger, session.head() < numbers.end - 1)
        };
        let greeted = self.0.peers.greeted().into_iter();
        let has_some = greeted.filter(|session| session.head() >= numbers.start && !asked.contains(&session.id));
        let ranked: Vec<_> = has_some.map(|session| (rank(&session), session)).collect();
        let best = ranked.iter().map(|(rank, _)| *rank).min()?;
        let equals: Vec<_> = ranked.into_iter().filter(|(rank, _)| *rank == best).map(|(_, session)| session).collect();
        equals.get(turn.fetch_add(1, Ordering::Relaxed) % equals.len()).cloned()
    }

    async fn blocks_of(&self, source: &Arc<Session>, numbers: Range<u64>) -> Option<Part> {
        let peer = source.id;
        let known = numbers.start..source.head().saturating_add(1).min(numbers.end);
        let headers = self.items(peer, known.clone(), |from, count| Request::Headers { from, count });
        let bodies = self.items(peer, known.clone(), |from, count| Request::Bodies { from, count });
        let (headers, bodies) = futures::try_join!(headers, bodies).ok()?;
        let blame = |error: &DecodeError| {
            tracing::debug!(%peer, %error, "blocks do not decode");
            self.blame(&peer, Misdeed::BadAnswer);
        };
        let mut blocks = Vec::with_capacity(headers.len().min(bodies.len()));
        for ((header, body), number) in headers.iter().zip(&bodies).zip(known) {
            let decoded = Header::decode_all(header)
                .and_then(|header| Ok((header, body::decode_body_with(body, HashedTx::<Fee>::decode_item)?)));
            let (header, transactions) = decoded.inspect_err(blame).ok()?;
            if header.number != number {
                self.blame(&peer, Misdeed::BadAnswer);
                return None;
            }
            blocks.push((header, transactions));
        }
        let bytes = bodies.iter().take(blocks.len()).map(|item| item.len()).sum();
        let is_whole = blocks.len() as u64 == numbers.end - numbers.start;
        let blocks = self.known_or_recovered(peer, blocks).await?;
        Some(Part { source: Arc::clone(source), blocks, bytes, is_whole })
    }

    /// Items of a range, at least one. A peer may send fewer at once than it was asked for if they are long; whoever
    /// sends few of few bytes, or is slow with many, does not hold up the others by it.
    async fn items(
        &self,
        peer: PeerId,
        numbers: Range<u64>,
        request: impl Fn(u64, u64) -> Request,
    ) -> Result<Vec<Bytes>, ()> {
        let (mut items, mut bytes) = (Vec::new(), 0);
        let (mut from, start) = (numbers.start, Instant::now());
        while from < numbers.end && bytes < RANGE_BYTES && start.elapsed() < RANGE_TIME + travel(bytes) {
            let count = (numbers.end - from).min(MAX_BODIES);
            let answer = self.ask(peer, &request(from, count), usize::try_from(count).unwrap_or(0)).await;
            let answer = answer.map_err(|error| tracing::debug!(%peer, %error, "no blocks"))?;
            if answer.0.is_empty() {
                // It has spoken of blocks that it does not have.
                self.blame(&peer, Misdeed::BadAnswer);
                return Err(());
            }
            if !is_enough(&answer, count) {
                tracing::debug!(%peer, got = answer.0.len(), count, "few blocks");
                return Err(());
            }
            from += answer.0.len() as u64;
            bytes += answer.0.iter().map(|item| item.len()).sum::<usize>();
            items.extend(answer.0);
        }
        Ok(items)
    }

    /// Blocks with their signatures recovered; what waits in the pool is taken from there.
    async fn known_or_recovered(
        &self,
        peer: PeerId,
        blocks: Vec<(Header, Vec<HashedTx<Fee>>)>,
    ) -> Option<Vec<Received>> {
        let mut received = Vec::with_capacity(blocks.len());
        let mut unknown = Vec::new();
        let mut places = Vec::new();
        for (header, transactions) in blocks {
            let names: Vec<_> = transactions.iter().map(HashedTx::hash).collect();
            let mut found = Vec::with_capacity(names.len());
            for (tx, waiting) in transactions.into_iter().zip(self.0.pool.get_all(&names)) {
                if waiting.is_none() {
                    places.push((received.len(), found.len()));
                    unknown.push(tx);
                }
                found.push(waiting);
            }
            received.push((header, found));
        }
        let recovered = match self.recovered(unknown).await? {
            Ok(recovered) => recovered,
            Err(error) => {
                tracing::debug!(%peer, %error, "transaction of a block");
                self.blame(&peer, Misdeed::BadAnswer);
                return None;
            }
        };
        for ((block, index), tx) in places.into_iter().zip(recovered) {
            *received.get_mut(block)?.1.get_mut(index)? = Some(tx);
        }
        let whole = |(header, found): (Header, Vec<_>)| {
            Some(Received { header, transactions: found.into_iter().collect::<Option<_>>()? })
        };
        received.into_iter().map(whole).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Bytes, SOFT_ANSWER, is_enough};

    #[test]
    fn few_items_of_few_bytes_are_not_enough() {
        let answer = |items: usize, bytes: usize| Answer(vec![Bytes::from(vec![0; bytes]); items]);
        assert!(is_enough(&answer(64, 1), 64));
        assert!(is_enough(&answer(1, SOFT_ANSWER), 64));
        assert!(!is_enough(&answer(1, 1_000), 64));
        assert!(!is_enough(&answer(63, 1_000), 64));
    }
}
