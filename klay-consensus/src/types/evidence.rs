//! Proof that a peer contradicted itself.
//!
//! Evidence carries the signed bytes, so that anyone who knows the validators of that height can check it alone:
//! [`istanbul`](crate::istanbul::check_evidence), [`justified`](crate::istanbul::justified::check_evidence) and
//! [`simplex`](crate::simplex::check_evidence) each know their own messages. There is no slashing in Klaytn: evidence is
//! reported and kept, nothing more. A chain of one's own may do more with it: see
//! [`Penalties`](crate::valset::Penalties) (chapter 50, section 5.9).
//!
//! ```text
//! evidence  [kind, offender, height, slot, round, [proof...]]
//! ```
//!
//! in RLP. An offence has one form: as many proofs as its kind needs, all different, the lower bytes first.

use std::collections::BTreeMap;

use klay_core::codec::{DecodeErrorKind, Reader, put_bytes, put_list_header, put_u64};

use super::{Height, Limits, Malformed, Round, Slot, View};

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
    /// A commit whose seal is not the sender's; under the reference's rules, one whose seal is nobody's.
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

    /// Its name in one word, as clients read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DoubleProposal => "doubleProposal",
            Self::DoubleVote => "doubleVote",
            Self::FinalizeAndSkip => "finalizeAndSkip",
            Self::Amnesia => "amnesia",
            Self::BadCertificate => "badCertificate",
            Self::BadSeal => "badSeal",
        }
    }

    /// Signed messages that prove it.
    pub const fn proofs(self) -> usize {
        match self {
            Self::DoubleProposal | Self::DoubleVote | Self::FinalizeAndSkip | Self::Amnesia => 2,
            Self::BadCertificate | Self::BadSeal => 1,
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

impl<P> Evidence<P> {
    /// The same with its proofs in the order of the encoding.
    #[must_use]
    pub fn ordered(mut self) -> Self {
        self.proof.sort_unstable();
        self
    }

    fn size(&self) -> usize {
        const REST: usize = 128;
        self.proof.iter().fold(REST, |sum, message| sum.saturating_add(message.len()))
    }
}

/// Why evidence proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unproven {
    /// A part is no message of the engine.
    #[error(transparent)]
    Message(#[from] Malformed),
    /// The one who is blamed could not speak at that height.
    #[error("the offender is not a validator of that height")]
    NotAValidator,
    /// A message that the one who is blamed has not signed.
    #[error("a message is not signed by the offender")]
    NotSigned,
    /// A message about another view.
    #[error("a message is about view {got}, the evidence about {expected}")]
    Elsewhere {
        /// What the evidence says.
        expected: View,
        /// What the message says.
        got: View,
    },
    /// An honest validator may say all of it.
    #[error("the messages do not contradict each other, or not in this way")]
    NoContradiction,
}

impl<P: PartialEq> Evidence<P> {
    /// What every engine checks: that a validator of the height is blamed, and that every message is about the view and
    /// signed by the offender. `read` says the view of a message and whether the offender has signed it.
    pub(crate) fn check<'m, T: 'm>(
        &self,
        validators: &[P],
        messages: &'m [T],
        read: impl Fn(&'m T) -> (View, bool),
    ) -> Result<(), Unproven> {
        if !validators.contains(&self.offender) {
            return Err(Unproven::NotAValidator);
        }
        for (got, is_signed) in messages.iter().map(read) {
            if got != self.view {
                return Err(Unproven::Elsewhere { expected: self.view, got });
            }
            if !is_signed {
                return Err(Unproven::NotSigned);
            }
        }
        Ok(())
    }
}

impl<P: AsRef<[u8]>> Evidence<P> {
    /// Appends the canonical encoding. Whoever reports the same messages writes the same bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut content = Vec::new();
        put_u64(self.kind as u64, &mut content);
        put_bytes(self.offender.as_ref(), &mut content);
        put_u64(self.height.get(), &mut content);
        put_u64(self.view.slot.get(), &mut content);
        put_u64(self.view.round.get(), &mut content);
        let mut proof: Vec<_> = self.proof.iter().collect();
        proof.sort_unstable();
        let mut list = Vec::new();
        proof.into_iter().for_each(|message| put_bytes(message, &mut list));
        put_list_header(list.len(), &mut content);
        content.extend_from_slice(&list);
        put_list_header(content.len(), out);
        out.extend_from_slice(&content);
    }
}

impl<P: for<'a> TryFrom<&'a [u8]>> Evidence<P> {
    /// Reads exactly one piece. That the messages prove anything is not checked.
    ///
    /// # Errors
    /// If the bytes are not the canonical form of one, or exceed the limits.
    pub fn decode(bytes: &[u8], limits: Limits) -> Result<Self, Malformed> {
        if bytes.len() > limits.message {
            return Err(Malformed::TooLarge { got: bytes.len(), limit: limits.message });
        }
        let mut input = Reader::new(bytes);
        let mut list = input.list("evidence")?;
        input.end("evidence")?;
        let code = list.u64("evidence.kind")?;
        let kind = u8::try_from(code).ok().and_then(Misbehaviour::from_byte);
        let kind = kind.ok_or(Malformed::Unknown { what: "kind of evidence", code })?;
        let nobody = list.error("evidence.offender", DecodeErrorKind::Invalid("not the name of a peer"));
        let offender = P::try_from(list.bytes("evidence.offender")?).map_err(|_| nobody)?;
        let height = Height::new(list.u64("evidence.height")?);
        let slot = Slot::new(list.u64("evidence.slot")?);
        let view = View::new(slot, Round::new(list.u64("evidence.round")?));
        let mut messages = list.list("evidence.proof")?;
        list.end("evidence")?;
        let mut proof: Vec<Vec<u8>> = Vec::new();
        while !messages.is_empty() {
            if proof.len() >= kind.proofs() {
                let (got, limit) = (proof.len() + 1, kind.proofs());
                return Err(Malformed::TooMany { what: "proofs", got, limit });
            }
            let unordered = messages.error("evidence.proof", DecodeErrorKind::Invalid("proofs not in order"));
            let message = messages.bytes("evidence.proof")?;
            if proof.last().is_some_and(|last| last.as_slice() >= message) {
                return Err(unordered.into());
            }
            proof.push(message.to_vec());
        }
        if proof.len() < kind.proofs() {
            return Err(Malformed::Length { what: "proofs", expected: kind.proofs(), got: proof.len() });
        }
        Ok(Self { kind, offender, height, view, proof })
    }
}

/// What makes two pieces of evidence one: kind, offender and view.
type Key<P> = (View, Misbehaviour, P);

/// Evidence by (kind, offender, view), kept for [`EvidencePool::KEPT`] slots.
#[derive(Debug, Clone)]
pub struct EvidencePool<P> {
    kept: BTreeMap<Key<P>, Evidence<P>>,
    size: usize,
    limit: usize,
}

impl<P: Copy + Ord> EvidencePool<P> {
    /// Slots for which evidence is kept.
    pub const KEPT: u64 = 10_000;

    /// A pool of about `limit` bytes at most; a full pool drops the oldest.
    pub const fn new(limit: usize) -> Self {
        Self { kept: BTreeMap::new(), size: 0, limit }
    }

    /// Adds a piece; `false` if the same offence is known, or all that there is room for is newer.
    pub fn insert(&mut self, evidence: Evidence<P>) -> bool {
        let key = (evidence.view, evidence.kind, evidence.offender);
        if self.kept.contains_key(&key) || evidence.size() > self.limit {
            return false;
        }
        self.size = self.size.saturating_add(evidence.size());
        self.kept.insert(key, evidence);
        let mut is_kept = true;
        while self.size > self.limit
            && let Some((dropped, evidence)) = self.kept.pop_first()
        {
            self.size = self.size.saturating_sub(evidence.size());
            is_kept &= dropped != key;
        }
        is_kept
    }

    /// Forgets what is more than [`Self::KEPT`] slots and heights older than the present ones. Engines that decide height
    /// by height count both alike; others may leave out slots.
    pub fn prune(&mut self, slot: Slot, height: Height) {
        let (slot, height) = (slot.saturating_sub(Self::KEPT), height.saturating_sub(Self::KEPT));
        self.kept.retain(|_, evidence| evidence.view.slot >= slot || evidence.height >= height);
        self.size = self.kept.values().map(Evidence::size).sum();
    }

    /// Everything that is kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Evidence<P>> {
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
