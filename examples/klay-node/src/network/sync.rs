//! Catching up: headers and bodies of missing blocks from several peers at once, taken over in order.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures::{StreamExt, TryFutureExt, stream};
use klay_core::{
    Bytes, DecodeError,
    block::{Header, body},
    tx::HashedTx,
};
use libp2p::PeerId;
use tokio::time::{sleep, timeout};

use super::{
    Misdeed, Network, Received, Refused,
    wire::{MAX_BODIES, Request},
};
use crate::Fee;

/// Blocks asked for at once.
const RANGE: u64 = 64;
/// Ranges under way at the same time.
const PARALLEL: usize = 6;
/// Blocks of one pass; then the peers are asked again how far they are.
const PASS: u64 = 4_096;
/// How long a single missing block may still come by itself.
const GRACE: Duration = Duration::from_millis(600);
/// Attempts at a range before the pass is given up.
const ATTEMPTS: usize = 6;

/// Blocks as they came, with the peer that sent them.
struct Part {
    peer: PeerId,
    blocks: Vec<Received>,
}

impl Network {
    /// Looks for missing blocks whenever a peer is ahead.
    pub(super) async fn catch_up(self) {
        let closed = self.closed();
        let follow = async {
            let mut behind_since: Option<(u64, Instant)> = None;
            loop {
                // Woken by news; otherwise from time to time.
                let _woken = timeout(Duration::from_millis(250), self.0.behind.notified()).await;
                let head = self.0.chain.head().number();
                let best = self.best_known();
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
                self.pass(head + 1..best.min(head + PASS) + 1).await;
                behind_since = None;
            }
        };
        tokio::select! {
            () = closed.cancelled() => {}
            () = follow => {}
        }
    }

    async fn pass(&self, missing: Range<u64>) {
        let (from, to) = (missing.start, missing.end);
        tracing::info!(from, to = to - 1, "catching up");
        let turn = AtomicUsize::new(0);
        let starts = (from..to).step_by(usize::try_from(RANGE).unwrap_or(usize::MAX));
        let mut parts =
            stream::iter(starts).map(|start| self.range(start..to.min(start + RANGE), &turn)).buffered(PARALLEL);
        while let Some(part) = parts.next().await {
            let Some(Part { peer, blocks }) = part else {
                sleep(Duration::from_millis(500)).await;
                return;
            };
            match self.0.importer.import(blocks).await {
                Ok(()) => {}
                Err(Refused::Invalid { number, reason }) => {
                    tracing::warn!(%peer, number, reason, "invalid block");
                    return self.blame(&peer, Misdeed::InvalidBlock);
                }
                Err(Refused::NotNow { number, reason }) => {
                    tracing::debug!(number, reason, "catching up is put off");
                    sleep(Duration::from_millis(200)).await;
                    return;
                }
            }
        }
    }

    /// All blocks of a range, from one peer after the other until one has them.
    async fn range(&self, numbers: Range<u64>, turn: &AtomicUsize) -> Option<Part> {
        for _ in 0..ATTEMPTS {
            let sources = self.sources(numbers.end - 1);
            let at = turn.fetch_add(1, Ordering::Relaxed);
            let peer = sources.get(at % sources.len().max(1)).copied()?;
            match self.blocks_of(peer, numbers.clone()).await {
                Some(blocks) => return Some(Part { peer, blocks }),
                None => sleep(Duration::from_millis(100)).await,
            }
        }
        None
    }

    async fn blocks_of(&self, peer: PeerId, numbers: Range<u64>) -> Option<Vec<Received>> {
        let headers = self.items(peer, numbers.clone(), |from, count| Request::Headers { from, count });
        let bodies = self.items(peer, numbers.clone(), |from, count| Request::Bodies { from, count });
        let (headers, bodies) = futures::try_join!(headers.map_err(|()| ()), bodies).ok()?;
        let blame = |error: &DecodeError| {
            tracing::debug!(%peer, %error, "blocks do not decode");
            self.blame(&peer, Misdeed::BadAnswer);
        };
        let mut blocks = Vec::with_capacity(headers.len());
        for ((header, body), number) in headers.iter().zip(&bodies).zip(numbers) {
            let decoded = Header::decode_all(header)
                .and_then(|header| Ok((header, body::decode_body_with(body, HashedTx::<Fee>::decode_item)?)));
            let (header, transactions) = decoded.inspect_err(blame).ok()?;
            if header.number != number {
                self.blame(&peer, Misdeed::BadAnswer);
                return None;
            }
            blocks.push((header, transactions));
        }
        self.known_or_recovered(peer, blocks).await
    }

    /// Items of a range; a peer may send fewer at once than it was asked for.
    async fn items(
        &self,
        peer: PeerId,
        numbers: Range<u64>,
        request: impl Fn(u64, u64) -> Request,
    ) -> Result<Vec<Bytes>, ()> {
        let mut items = Vec::new();
        let mut from = numbers.start;
        while from < numbers.end {
            let count = (numbers.end - from).min(MAX_BODIES);
            let answer = self.ask(peer, &request(from, count), usize::try_from(count).unwrap_or(0)).await;
            let answer = answer.map_err(|error| tracing::debug!(%peer, %error, "no blocks"))?;
            if answer.0.is_empty() {
                // It has spoken of blocks that it does not have.
                self.blame(&peer, Misdeed::BadAnswer);
                return Err(());
            }
            from += answer.0.len() as u64;
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
        self.remember(recovered.iter().map(|tx| tx.hash()));
        for ((block, index), tx) in places.into_iter().zip(recovered) {
            *received.get_mut(block)?.1.get_mut(index)? = Some(tx);
        }
        let whole = |(header, found): (Header, Vec<_>)| {
            Some(Received { header, transactions: found.into_iter().collect::<Option<_>>()? })
        };
        received.into_iter().map(whole).collect()
    }
}
