//! Proof that a peer contradicted itself.
//!
//! Evidence carries the signed bytes, so that anyone who knows the committee of that slot can check it alone. There is
//! no slashing in Klaytn: evidence is reported and kept, nothing more (chapter 50, section 5.9).

use std::collections::BTreeMap;

use super::{Height, Model, Slot, View};

/// What a peer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// Two proposals in one view.
    DoubleProposal = 0,
    /// Two votes of one kind in one view.
    DoubleVote = 1,
    /// Finalize and nullify of one view.
    FinalizeAndSkip = 2,
    /// A commit, then a vote for something else in a later round without a certificate between.
    Amnesia = 3,
    /// A proposal whose justification does not hold.
    BadCertificate = 4,
    /// A commit whose seal is not the sender's.
    BadSeal = 5,
}

impl Misbehaviour {
    /// The kind with this number.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::DoubleProposal),
            1 => Some(Self::DoubleVote),
            2 => Some(Self::FinalizeAndSkip),
            3 => Some(Self::Amnesia),
            4 => Some(Self::BadCertificate),
            5 => Some(Self::BadSeal),
            _ => None,
        }
    }
}

/// A contradiction and its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence<P> {
    /// What happened.
    pub kind: Misbehaviour,
    /// Who did it.
    pub offender: P,
    /// The height whose committee the offender belonged to.
    pub height: Height,
    /// Where it happened.
    pub view: View,
    /// The signed messages in the engine's wire form; two of them, or one for bad seals and certificates.
    pub proof: Vec<Vec<u8>>,
}

/// What makes two pieces of evidence one: kind, offender and view.
type Key<P> = (View, Misbehaviour, P);

/// Evidence by (kind, offender, view), kept for [`EvidencePool::KEPT_SLOTS`] slots.
#[derive(Debug, Clone)]
pub struct EvidencePool<M: Model> {
    kept: BTreeMap<Key<M::Peer>, Evidence<M::Peer>>,
    limit: usize,
}

impl<M: Model> EvidencePool<M> {
    /// Slots for which evidence is kept.
    pub const KEPT_SLOTS: u64 = 10_000;

    /// A pool of at most `limit` pieces; a full pool drops the oldest.
    pub const fn new(limit: usize) -> Self {
        Self { kept: BTreeMap::new(), limit }
    }

    /// Adds a piece; `false` if the same offence is already known or the pool holds only newer ones.
    pub fn insert(&mut self, evidence: Evidence<M::Peer>) -> bool {
        let key = (evidence.view, evidence.kind, evidence.offender);
        if self.kept.contains_key(&key) {
            return false;
        }
        self.kept.insert(key, evidence);
        if self.kept.len() > self.limit {
            return self.kept.pop_first().is_some_and(|(oldest, _)| oldest != key);
        }
        true
    }

    /// Forgets what is older than [`Self::KEPT_SLOTS`] before `now`.
    pub fn prune(&mut self, now: Slot) {
        let first = View::first(now.saturating_sub(Self::KEPT_SLOTS));
        self.kept.retain(|(view, _, _), _| *view >= first);
    }

    /// Everything that is kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Evidence<M::Peer>> {
        self.kept.values()
    }

    /// How many pieces are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}
