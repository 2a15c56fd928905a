//! Evidence that the engine of this node has found: each offence once, for 10,000 blocks, also after a restart.
//!
//! [`Table::Consensus`] holds each piece in its canonical encoding, under `evidence`, slot and round (8 bytes each, big
//! endian), kind (1 byte) and offender: the order of keys is that of the pool.

use std::{
    ops::{ControlFlow, RangeInclusive},
    sync::Arc,
};

use klay_consensus::types::{Evidence, EvidencePool, Limits};
use klay_core::{
    Address, B256,
    storage::{Batch, KeyValue, StorageError, Table},
};
use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::{EngineKind, domain};
use crate::Chain;

const PREFIX: &[u8] = b"evidence";
/// Most bytes that are kept.
const MOST: usize = 32 << 20;
/// Pieces that a slow listener may be behind.
const LAG: usize = 256;

/// What this node knows against validators. Clones are the same book.
///
/// It is what this node has seen itself, and nobody else's: another node may have seen more. Nothing follows from it but
/// reports, as Klaytn has no penalties.
#[derive(Debug, Clone)]
pub struct EvidenceBook(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: EngineKind,
    domain: Option<B256>,
    store: Arc<dyn KeyValue>,
    pool: Mutex<EvidencePool<Address>>,
    fresh: broadcast::Sender<Evidence<Address>>,
}

impl EvidenceBook {
    /// Opens the book of a chain.
    pub(crate) fn open(store: Arc<dyn KeyValue>, chain: &Chain, engine: EngineKind) -> Result<Self, StorageError> {
        let mut pool = EvidencePool::new(MOST);
        store.scan(Table::Consensus, PREFIX, &mut |key, bytes| {
            if !key.starts_with(PREFIX) {
                return ControlFlow::Break(());
            }
            match Evidence::decode(bytes, Limits { message: bytes.len(), ..Limits::default() }) {
                Ok(evidence) => drop(pool.insert(evidence)),
                Err(error) => tracing::warn!(%error, "stored evidence is damaged"),
            }
            ControlFlow::Continue(())
        })?;
        let domain = matches!(engine, EngineKind::Justified | EngineKind::Simplex)
            .then(|| domain(chain.config().chain_id, chain.genesis_hash(), engine));
        let (pool, fresh) = (Mutex::new(pool), broadcast::Sender::new(LAG));
        Ok(Self(Arc::new(Inner { engine, domain, store, pool, fresh })))
    }

    /// The engine whose messages are the proofs.
    pub fn engine(&self) -> EngineKind {
        self.0.engine
    }

    /// What the messages are bound to, if the engine binds them to a chain.
    pub fn domain(&self) -> Option<B256> {
        self.0.domain
    }

    /// Evidence about these heights, oldest first: one piece at least if there is any, and then no more than `bytes` of
    /// proofs.
    pub fn list(&self, heights: RangeInclusive<u64>, mut bytes: usize) -> Vec<Evidence<Address>> {
        let mut list = Vec::new();
        for evidence in self.0.pool.lock().iter().filter(|evidence| heights.contains(&evidence.height.get())) {
            let size = evidence.proof.iter().map(Vec::len).sum();
            if !list.is_empty() && size > bytes {
                break;
            }
            bytes = bytes.saturating_sub(size);
            list.push(evidence.clone());
        }
        list
    }

    /// Evidence as it is found from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Evidence<Address>> {
        self.0.fresh.subscribe()
    }

    /// Notes what the engine has found; `false` if it is known.
    pub(super) fn note(&self, evidence: Evidence<Address>) -> bool {
        let evidence = evidence.ordered();
        let mut pool = self.0.pool.lock();
        pool.prune(evidence.view.slot, evidence.height);
        if !pool.insert(evidence.clone()) {
            return false;
        }
        let first = pool.iter().next().map(key).unwrap_or_default();
        if let Err(error) = self.store(&evidence, &first) {
            tracing::error!(%error, "evidence cannot be stored");
        }
        drop(pool);
        // Nobody may be listening.
        let _nobody = self.0.fresh.send(evidence).is_err();
        true
    }

    /// Stores a piece, and removes those before `first`.
    fn store(&self, evidence: &Evidence<Address>, first: &[u8]) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        self.0.store.scan(Table::Consensus, PREFIX, &mut |key, _| {
            if key >= first {
                return ControlFlow::Break(());
            }
            batch.delete(Table::Consensus, key);
            ControlFlow::Continue(())
        })?;
        let mut bytes = Vec::new();
        evidence.encode(&mut bytes);
        batch.put(Table::Consensus, key(evidence), bytes);
        self.0.store.write(batch)
    }
}

fn key(evidence: &Evidence<Address>) -> Vec<u8> {
    let (slot, round) = (evidence.view.slot.get().to_be_bytes(), evidence.view.round.get().to_be_bytes());
    [PREFIX, &slot, &round, &[evidence.kind as u8], evidence.offender.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use klay_consensus::types::{Height, Misbehaviour, Round, Slot, View};
    use klay_core::{genesis::Genesis, storage::Memory};

    use super::*;
    use crate::{chain::ChainOptions, metrics::Metrics};

    fn evidence(height: u64, kind: Misbehaviour, size: usize) -> Evidence<Address> {
        let view = View::new(Slot::new(height), Round::new(1));
        let proof = (0..kind.proofs()).map(|n| vec![n as u8; size]).rev().collect();
        Evidence { kind, offender: Address::repeat_byte(7), height: Height::new(height), view, proof }
    }

    #[test]
    fn a_book_is_the_same_after_a_restart_and_forgets_what_is_old() -> Result<(), Box<dyn std::error::Error>> {
        use Misbehaviour::{BadSeal, DoubleVote};
        let genesis: Genesis = serde_json::from_str(include_str!("../../tests/vectors/council-4/genesis.json"))?;
        let chain = Chain::open(Arc::new(Memory::new()), &genesis, ChainOptions::default(), &Metrics::default())?;
        let store: Arc<dyn KeyValue> = Arc::new(Memory::new());
        let open = || EvidenceBook::open(Arc::clone(&store), &chain, EngineKind::Justified);
        let book = open()?;
        let mut heard = book.subscribe();
        assert!(book.note(evidence(5, DoubleVote, 10)) && book.note(evidence(7, BadSeal, 10)));
        assert!(!book.note(evidence(5, DoubleVote, 11)), "the same offence, proven otherwise");
        assert_eq!(heard.try_recv()?, evidence(5, DoubleVote, 10).ordered());

        let all = |book: &EvidenceBook| book.list(0..=u64::MAX, usize::MAX);
        let again = open()?;
        assert_eq!(all(&again), all(&book));
        assert_eq!(all(&again), [evidence(5, DoubleVote, 10).ordered(), evidence(7, BadSeal, 10)]);
        assert_eq!((again.list(6..=9, usize::MAX).len(), again.list(0..=9, 1).len()), (1, 1));
        assert!(again.domain().is_some());

        assert!(again.note(evidence(10_006, BadSeal, 10)));
        let left = [evidence(7, BadSeal, 10), evidence(10_006, BadSeal, 10)];
        assert_eq!((all(&again), all(&open()?)), (left.to_vec(), left.to_vec()));
        Ok(())
    }
}
