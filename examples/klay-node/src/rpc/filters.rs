//! Filters that clients poll: new blocks, new transactions, logs (spec 80, section 5).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use parking_lot::Mutex;
use tokio::sync::broadcast::{self, error::TryRecvError};

use super::{
    RpcError,
    connection::random_id,
    decode::{Criteria, FilterId},
    shapes::Flavour,
};
use crate::SharedTx;

/// What a filter waits for.
#[derive(Debug)]
pub(super) enum Kind {
    /// Hashes of blocks from this height on.
    Blocks {
        /// First height that was not shown.
        next: u64,
    },
    /// Hashes of transactions.
    Pending(broadcast::Receiver<SharedTx>),
    /// Logs of blocks from this height on.
    Logs {
        /// Which.
        criteria: Criteria,
        /// First height that was not shown.
        next: u64,
    },
}

/// What a poll has to look at; taken out of the lock, so that a long search holds up no other filter.
#[derive(Debug)]
pub(super) enum Poll {
    /// Blocks `from..=to`.
    Blocks {
        /// First height.
        from: u64,
    },
    /// These transactions.
    Pending(Vec<B256>),
    /// Logs of blocks from a height on.
    Logs {
        /// Which.
        criteria: Criteria,
        /// First height.
        from: u64,
    },
}

#[derive(Debug)]
struct Filter {
    kind: Kind,
    used: Instant,
}

/// eth_ has ids of its own; kaia_ and klay_ share theirs.
#[derive(Debug)]
pub(super) struct Filters {
    max: usize,
    life: Duration,
    map: Mutex<HashMap<(bool, FilterId), Filter>>,
}

fn key(flavour: Flavour, id: &FilterId) -> (bool, FilterId) {
    (flavour == Flavour::Eth, id.clone())
}

impl Filters {
    pub(super) fn new(max: usize, life: Duration) -> Self {
        Self { max, life, map: Mutex::default() }
    }

    pub(super) fn add(&self, flavour: Flavour, kind: Kind) -> Result<FilterId, RpcError> {
        let mut map = self.map.lock();
        if map.len() >= self.max {
            map.retain(|_, filter| filter.used.elapsed() < self.life);
        }
        if map.len() >= self.max {
            return Err(RpcError::failed(format!("limit of {} filters reached", self.max)));
        }
        let id = random_id();
        map.insert(key(flavour, &id), Filter { kind, used: Instant::now() });
        Ok(id)
    }

    pub(super) fn remove(&self, flavour: Flavour, id: &FilterId) -> bool {
        self.map.lock().remove(&key(flavour, id)).is_some_and(|filter| filter.used.elapsed() < self.life)
    }

    /// What is new for a filter, when the head is at `head`. The heights count as shown when [`Self::shown`] says so.
    pub(super) fn poll(&self, flavour: Flavour, id: &FilterId) -> Result<Poll, RpcError> {
        self.with(flavour, id, |kind| match kind {
            Kind::Blocks { next } => Poll::Blocks { from: *next },
            Kind::Logs { criteria, next } => Poll::Logs { criteria: criteria.clone(), from: *next },
            Kind::Pending(receiver) => Poll::Pending(drain(receiver)),
        })
    }

    /// Everything below `next` was shown.
    pub(super) fn shown(&self, flavour: Flavour, id: &FilterId, below: u64) -> Result<(), RpcError> {
        self.with(flavour, id, |kind| match kind {
            Kind::Blocks { next } | Kind::Logs { next, .. } => *next = below.max(*next),
            Kind::Pending(_) => {}
        })
    }

    /// The criteria of a log filter.
    pub(super) fn criteria(&self, flavour: Flavour, id: &FilterId) -> Result<Criteria, RpcError> {
        self.with(flavour, id, |kind| match kind {
            Kind::Logs { criteria, .. } => Some(criteria.clone()),
            _ => None,
        })?
        .ok_or(RpcError::FilterNotFound)
    }

    fn with<T>(&self, flavour: Flavour, id: &FilterId, look: impl FnOnce(&mut Kind) -> T) -> Result<T, RpcError> {
        let mut map = self.map.lock();
        let filter = map
            .get_mut(&key(flavour, id))
            .filter(|filter| filter.used.elapsed() < self.life)
            .ok_or(RpcError::FilterNotFound)?;
        filter.used = Instant::now();
        Ok(look(&mut filter.kind))
    }
}

fn drain(receiver: &mut broadcast::Receiver<SharedTx>) -> Vec<B256> {
    let mut hashes = Vec::new();
    loop {
        match receiver.try_recv() {
            Ok(tx) => hashes.push(tx.hash()),
            // What was pushed out of the channel is lost to a client that polls too rarely.
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return hashes,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_belong_to_one_flavour() {
        let filters = Filters::new(10, Duration::from_secs(60));
        let id = filters.add(Flavour::Eth, Kind::Blocks { next: 1 }).unwrap();
        assert_eq!(filters.poll(Flavour::Kaia, &id).unwrap_err(), RpcError::FilterNotFound);
        assert!(filters.poll(Flavour::Eth, &id).is_ok());
        assert!(!filters.remove(Flavour::Kaia, &id));
        assert!(filters.remove(Flavour::Eth, &id));
    }

    #[test]
    fn unused_filters_are_forgotten() {
        let filters = Filters::new(1, Duration::ZERO);
        let id = filters.add(Flavour::Eth, Kind::Blocks { next: 1 }).unwrap();
        assert_eq!(filters.poll(Flavour::Eth, &id).unwrap_err(), RpcError::FilterNotFound);
        assert!(filters.add(Flavour::Eth, Kind::Blocks { next: 1 }).is_ok());
    }

    #[test]
    fn the_number_of_filters_is_bounded() {
        let filters = Filters::new(1, Duration::from_secs(60));
        filters.add(Flavour::Eth, Kind::Blocks { next: 1 }).unwrap();
        assert!(filters.add(Flavour::Eth, Kind::Blocks { next: 1 }).is_err());
    }
}
