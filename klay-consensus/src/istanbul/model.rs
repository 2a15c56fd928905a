//! The types of a chain with Istanbul headers.

use core::marker::PhantomData;

use alloy_primitives::{Address, B256, Bytes};
use klay_core::block::{ExtraView, Header, IstanbulExtra};

use super::seal::{Seal, WriteError};
use crate::types::{Model, Round, Value};

/// A value that carries a header: a block, whatever its transactions are.
pub trait HeaderValue: Value<Id = B256> + Send + Sync + 'static {
    /// The header.
    fn header(&self) -> &Header;

    /// The same value with another `extra` in its header. The name changes with the proposer's seal.
    #[must_use]
    fn with_extra(self, extra: Bytes) -> Self;

    /// A name that does not change when the proposer seals: what the gate knows a proposal by.
    fn content_id(&self) -> B256 {
        self.header().seal_hash()
    }

    /// Whether the proposer's seal is in the header.
    fn is_sealed(&self) -> bool {
        IstanbulExtra::decode(&self.header().extra).is_ok_and(|extra| !extra.seal.is_empty())
    }

    /// Whether every seal in the header has the length of one. The name covers no committed seal, so it says nothing
    /// about them.
    fn is_well_formed(&self) -> bool {
        IstanbulExtra::decode(&self.header().extra).is_ok()
    }

    /// Whether it is well formed and nobody has committed to it yet, as is right for a proposal.
    fn is_uncommitted(&self) -> bool {
        IstanbulExtra::decode(&self.header().extra).is_ok_and(|extra| extra.committed_seals.is_empty())
    }
}

/// The proof of a decision: seals over the block hash, and the round they were collected in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedSeals {
    /// The round. Its low 8 bits go into the header; no signature covers them.
    pub round: Round,
    /// One seal per committer, at least one.
    pub seals: Vec<Seal>,
}

impl CommittedSeals {
    /// Writes round and seals into a decided value, in place of whatever stands there. Its name stays.
    ///
    /// # Errors
    /// If the value's `extra` does not decode, which no engine accepts, or there is no seal.
    pub fn write<V: HeaderValue>(&self, value: V) -> Result<V, WriteError> {
        if self.seals.is_empty() {
            return Err(WriteError::NoCommittedSeals);
        }
        let extra = ExtraView::decode(&value.header().extra)?.encode_committed(self.round.get() as u8, &self.seals);
        Ok(value.with_extra(extra.into()))
    }
}

/// The model of a chain with Istanbul headers whose blocks are `V`.
pub struct Klaytn<V>(PhantomData<fn() -> V>);

impl<V> Clone for Klaytn<V> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<V> core::fmt::Debug for Klaytn<V> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Klaytn")
    }
}

impl<V> PartialEq for Klaytn<V> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<V> Eq for Klaytn<V> {}

impl<V: HeaderValue> Model for Klaytn<V> {
    type Value = V;
    type Id = B256;
    type Peer = Address;
    type Sig = Seal;
    type Cert = CommittedSeals;
}
