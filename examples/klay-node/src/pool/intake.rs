//! The way into the pool: raw bytes to recovered transactions.
//!
//! The hash comes first, and whatever is known goes no further; rules that need no signer come next; then every
//! signature is recovered, once per process. What is under way is bounded: beyond that the answer is `txpool is full`
//! at once, so that a flood of transactions cannot starve the rest of the node. The same answer is given while too much
//! waits already: what a chain cannot execute in time is better refused than kept.

use std::{sync::Arc, time::Duration};

use alloy_primitives::map::B256Set;
use arc_swap::ArcSwap;
use klay_core::{B256, Bytes, crypto::RecoverError, tx::HashedTx};
use parking_lot::Mutex;
use rayon::prelude::*;
use tokio::sync::{Semaphore, oneshot};

use super::{Entry, Origin, PoolConfig, PoolError, TxPool, entry::new_key, head::PoolHead, validate};
use crate::{Fee, KlaytnTx, SharedTx};

/// Batches up to this size are done on the spot: handing them over would cost more than it brings.
const ON_THE_SPOT: usize = 2;

/// What the way in has to remember.
#[derive(Debug)]
pub(super) struct Intake {
    head: ArcSwap<PoolHead>,
    permits: Semaphore,
    max_in_flight: usize,
    under_way: Mutex<B256Set>,
}

impl Intake {
    pub(super) fn new(config: &PoolConfig, head: Arc<PoolHead>) -> Self {
        let max_in_flight = config.max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            head: ArcSwap::new(head),
            permits: Semaphore::new(max_in_flight),
            max_in_flight,
            under_way: Mutex::default(),
        }
    }

    pub(super) fn follow(&self, head: Arc<PoolHead>) {
        self.head.store(head);
    }

    /// Pretends that `count` transactions are under way.
    #[cfg(test)]
    pub(super) fn occupy(&self, count: u32) -> tokio::sync::SemaphorePermit<'_> {
        self.permits.try_acquire_many(count).expect("no more than the limit in a test")
    }

    pub(super) fn check_form(&self, tx: &HashedTx<Fee>, origin: Origin, config: &PoolConfig) -> Result<(), PoolError> {
        let tx_type = tx.tx().tx_type();
        let is_anchoring = tx_type.family() == ANCHORING && !tx_type.is_ethereum();
        if origin == Origin::Local && is_anchoring && !config.allow_anchoring {
            return Err(PoolError::Anchoring);
        }
        if let Some(Err(error)) = new_key(tx.tx()) {
            return Err(PoolError::Decode(error));
        }
        validate::check_form(tx, &self.head.load())
    }
}

const ANCHORING: u8 = 0x48;

/// Decodes, recovers and admits a batch.
pub(super) async fn add_batch(pool: &TxPool, raw: Vec<Bytes>, origin: Origin) -> Vec<Result<B256, PoolError>> {
    let intake = &pool.0.intake;
    let wanted = raw.len().min(intake.max_in_flight);
    let permits = u32::try_from(wanted).ok().and_then(|wanted| intake.permits.try_acquire_many(wanted).ok());
    let permits = permits.filter(|_| pool.has_room(origin));
    let Some(_permits) = permits else {
        return vec![Err(PoolError::Full); raw.len()];
    };
    if raw.len() <= ON_THE_SPOT {
        let prepared = raw.iter().map(|raw| prepare(pool, raw, origin)).collect();
        return admit(pool, prepared, origin);
    }
    let (answer, answers) = oneshot::channel();
    let (worker, count) = (pool.clone(), raw.len());
    rayon::spawn(move || {
        let prepared = raw.par_iter().map(|raw| prepare(&worker, raw, origin)).collect();
        // The one who asked may have gone; the transactions are admitted all the same.
        let _gone = answer.send(admit(&worker, prepared, origin));
    });
    answers.await.unwrap_or_else(|_| vec![Err(PoolError::Full); count])
}

/// A transaction before the rules that need the state.
struct Prepared {
    /// Its hash, if this call is the one that handles it.
    claimed: Option<B256>,
    entry: Result<Entry, PoolError>,
}

fn prepare(pool: &TxPool, raw: &[u8], origin: Origin) -> Prepared {
    let decoded = match raw.first() {
        Some(0x01..=0x04) => HashedTx::decode_ethereum(raw),
        _ => HashedTx::decode(raw),
    };
    let tx = match decoded {
        Ok(tx) => tx,
        Err(error) => return Prepared { claimed: None, entry: Err(PoolError::Decode(error)) },
    };
    let hash = tx.hash();
    if pool.contains(hash) || !claim(pool, hash) {
        return Prepared { claimed: None, entry: Err(PoolError::Known(hash)) };
    }
    Prepared { claimed: Some(hash), entry: recover(pool, tx, raw, origin) }
}

/// Makes this caller the one who recovers a transaction; `false` if there is another one, or it waits here by now.
fn claim(pool: &TxPool, hash: B256) -> bool {
    if !pool.0.intake.under_way.lock().insert(hash) {
        return false;
    }
    // It may have been admitted between the question whether it waits and the claim.
    if pool.contains(hash) {
        pool.0.intake.under_way.lock().remove(&hash);
        return false;
    }
    true
}

fn release(pool: &TxPool, hashes: impl IntoIterator<Item = B256>) {
    let mut under_way = pool.0.intake.under_way.lock();
    for hash in hashes {
        under_way.remove(&hash);
    }
}

/// How long a transaction that somebody else recovers is waited for, a moment at a time.
const MOMENT: Duration = Duration::from_millis(2);
/// Moments.
const PATIENCE: usize = 250;

/// Waits until none of these is under way.
pub(super) async fn settled(pool: &TxPool, hashes: &[B256]) {
    for _ in 0..PATIENCE {
        let is_under_way = {
            let under_way = pool.0.intake.under_way.lock();
            hashes.iter().any(|hash| under_way.contains(hash))
        };
        if !is_under_way {
            return;
        }
        tokio::time::sleep(MOMENT).await;
    }
}

/// The transactions of a block, recovered once per process: those that wait are taken from there, those that somebody
/// else recovers are waited for. What can wait for another block is admitted.
pub(super) async fn for_block(pool: &TxPool, transactions: Vec<HashedTx<Fee>>) -> Result<Vec<SharedTx>, RecoverError> {
    let names: Vec<B256> = transactions.iter().map(HashedTx::hash).collect();
    let mut hashed: Vec<_> = transactions.into_iter().map(Some).collect();
    let mut found = pool.get_all(&names);
    for turn in 0..=PATIENCE {
        let mut claimed = Vec::new();
        for (index, hash) in names.iter().enumerate().filter(|(index, _)| found[*index].is_none()) {
            // Whoever recovers it is not heard of any more: done here then.
            if claim(pool, *hash) || turn == PATIENCE {
                claimed.extend(hashed[index].take().map(|tx| (index, tx)));
            }
        }
        if !claimed.is_empty() {
            let hashes: Vec<B256> = claimed.iter().map(|(index, _)| names[*index]).collect();
            let recovered = recover_all(pool, claimed).await;
            if let Ok(recovered) = &recovered {
                for (index, tx) in recovered {
                    // If the block is not decided they wait like any other; if they cannot wait, the block decides.
                    let _refused = pool.add(Arc::clone(tx), Origin::Remote);
                    found[*index] = Some(Arc::clone(tx));
                }
            }
            release(pool, hashes);
            recovered?;
        }
        if found.iter().all(Option::is_some) {
            break;
        }
        tokio::time::sleep(MOMENT).await;
        for (index, waiting) in pool.get_all(&names).into_iter().enumerate() {
            found[index] = found[index].take().or(waiting);
        }
    }
    Ok(found.into_iter().flatten().collect())
}

async fn recover_all(
    pool: &TxPool,
    transactions: Vec<(usize, HashedTx<Fee>)>,
) -> Result<Vec<(usize, SharedTx)>, RecoverError> {
    let chain_id = pool.0.intake.head.load().chain_id;
    pool.0.metrics.recoveries.add(transactions.len() as u64);
    let (answer, answers) = oneshot::channel();
    rayon::spawn(move || {
        let recover = |(index, tx): (usize, HashedTx<Fee>)| Ok((index, Arc::new(tx.recover(chain_id)?)));
        // The one who asked may have gone.
        let _gone = answer.send(transactions.into_par_iter().map(recover).collect());
    });
    // The sender is dropped only if the pool of threads is gone.
    answers.await.unwrap_or(Err(RecoverError::InvalidSignature))
}

fn recover(pool: &TxPool, tx: HashedTx<Fee>, raw: &[u8], origin: Origin) -> Result<Entry, PoolError> {
    let intake = &pool.0.intake;
    intake.check_form(&tx, origin, &pool.0.config)?;
    let chain_id = intake.head.load().chain_id;
    pool.0.metrics.recoveries.add(1);
    match tx.recover(chain_id) {
        Ok(tx) => Ok(Entry::new(Arc::new(tx))),
        Err(error) => Err(blame(raw, chain_id, error)),
    }
}

/// Whose signature it was that could not be recovered.
fn blame(raw: &[u8], chain_id: u64, error: RecoverError) -> PoolError {
    let sender_is_fine = KlaytnTx::decode_any(raw).is_ok_and(|tx| tx.recover_senders(chain_id).is_ok());
    if sender_is_fine { PoolError::FeePayer(error.into()) } else { PoolError::Sender(error.into()) }
}

/// Admits what is prepared. Hashes stay claimed until then, so that nobody recovers them a second time.
fn admit(pool: &TxPool, prepared: Vec<Prepared>, origin: Origin) -> Vec<Result<B256, PoolError>> {
    let claimed: Vec<B256> = prepared.iter().filter_map(|item| item.claimed).collect();
    let answers = pool.admit(prepared.into_iter().map(|item| item.entry), origin);
    release(pool, claimed);
    answers
}
