//! Blocks from hashes: what the pool has is taken from there, the same objects; the rest is asked for.

use std::{collections::VecDeque, sync::Arc};

use alloy_primitives::map::B256Map;
use klay_core::{B256, tx::HashedTx};
use libp2p::PeerId;
use parking_lot::Mutex;

use super::{
    Misdeed, Network,
    wire::{MAX_HASHES, MAX_SPOKEN, Request},
};
use crate::SharedTx;

/// Lists of transactions that are kept.
const KEPT: usize = 8;

/// Transactions of blocks that were put together lately, found again by their bytes.
///
/// An engine handles a proposal as bytes; this leads back to the objects that they were made of, so that nothing is
/// decoded or recovered a second time.
#[derive(Debug, Default)]
pub(crate) struct Assembled(Mutex<VecDeque<Arc<Vec<SharedTx>>>>);

impl Assembled {
    /// Keeps a list.
    pub(crate) fn keep(&self, transactions: Arc<Vec<SharedTx>>) {
        let mut kept = self.0.lock();
        kept.push_back(transactions);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }

    /// The list whose encodings, one after the other, are `payload`.
    pub(crate) fn find(&self, payload: &[u8]) -> Option<Arc<Vec<SharedTx>>> {
        self.0.lock().iter().rev().find(|transactions| spell(transactions, payload)).cloned()
    }
}

/// Whether the encodings, one after the other, are exactly `payload`.
fn spell(transactions: &[SharedTx], payload: &[u8]) -> bool {
    let mut rest = payload;
    transactions.iter().all(|tx| match rest.strip_prefix(tx.encoded()) {
        Some(left) => {
            rest = left;
            true
        }
        None => false,
    }) && rest.is_empty()
}

/// Whether a block of these is not longer than a message may be: the same transaction could be named many times.
fn fits(transactions: &[SharedTx]) -> bool {
    let mut room = MAX_SPOKEN;
    transactions.iter().all(|tx| match room.checked_sub(tx.encoded().len()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    })
}

impl Network {
    /// The transactions with these hashes, in order; `peer` is asked for those that are not here.
    pub(super) async fn assemble(&self, peer: PeerId, hashes: &[B256]) -> Option<Vec<SharedTx>> {
        // What is on its way in will be there in a moment.
        self.0.pool.settled(hashes).await;
        let found = self.0.pool.get_all(hashes);
        let missing: Vec<B256> =
            hashes.iter().zip(&found).filter(|(_, tx)| tx.is_none()).map(|(hash, _)| *hash).collect();
        if missing.is_empty() {
            return found.into_iter().collect::<Option<Vec<_>>>().filter(|all| fits(all));
        }
        tracing::debug!(%peer, missing = missing.len(), of = hashes.len(), "asking for transactions of a block");
        let mut fetched: B256Map<SharedTx> = B256Map::default();
        let mut room = MAX_SPOKEN;
        for part in missing.chunks(MAX_HASHES) {
            let mut left = part.to_vec();
            while !left.is_empty() {
                let (came, is_full) = self.fetch_transactions(peer, &left).await?;
                let before = left.len();
                for (hash, tx) in came {
                    room = room.checked_sub(tx.encoded().len())?;
                    fetched.insert(hash, tx);
                }
                left.retain(|hash| !fetched.contains_key(hash));
                if !is_full || left.len() == before {
                    break;
                }
            }
        }
        let transactions: Option<Vec<SharedTx>> =
            hashes.iter().zip(found).map(|(hash, tx)| tx.or_else(|| fetched.get(hash).cloned())).collect();
        if transactions.is_none() {
            tracing::debug!(%peer, "transactions of a block are missing");
        }
        transactions.filter(|all| fits(all))
    }

    /// Those of them that the peer has, and whether there may be more where the answer ended.
    async fn fetch_transactions(&self, peer: PeerId, hashes: &[B256]) -> Option<(Vec<(B256, SharedTx)>, bool)> {
        let answer = self.ask(peer, &Request::Transactions(hashes.to_vec()), hashes.len()).await.ok()?;
        let decoded: Result<Vec<_>, _> = answer.0.iter().map(|raw| HashedTx::decode(raw)).collect();
        let Ok(decoded) = decoded else {
            self.blame(&peer, Misdeed::BadAnswer);
            return None;
        };
        match self.0.pool.for_block(decoded).await {
            Ok(found) => {
                // The block may never be decided: what the pool refused may be good for another one.
                self.remember(found.iter().map(|tx| tx.hash()).filter(|hash| self.0.pool.contains(*hash)));
                Some((found.into_iter().map(|tx| (tx.hash(), tx)).collect(), answer.is_full()))
            }
            Err(error) => {
                tracing::debug!(%peer, %error, "transaction of a block");
                self.blame(&peer, Misdeed::BadAnswer);
                None
            }
        }
    }
}
