//! Evidence of this engine, for anybody who did not see it happen.

use alloy_primitives::{Address, B256};

use super::{
    Body, Message, WireValue,
    seal::{self, Authors, Seal},
};
use crate::types::{Evidence, Limits, Misbehaviour, Unproven};

/// Checks that evidence proves what it says about one of the `validators` who could speak at its height. Anybody can who
/// knows them; without a chain, [`RawBlock`](super::RawBlock) will do for `V`.
///
/// The protocol of the reference signs no chain id. Two messages are therefore held against their sender only if they
/// name the same parent: a key that serves two chains is not blamed for having spoken on both. And a node of the
/// reference that answers a proposal for a block it has already seals what it discusses now, or nothing (D9), so a seal is
/// held against its sender only if nobody can have made it, and two commits of one view prove nothing: the second may be
/// such an answer, whose view the proposer of the old block chooses.
///
/// # Errors
/// If it proves nothing.
pub fn check_evidence<V: WireValue>(
    evidence: &Evidence<Address>,
    validators: &[Address],
    authors: &dyn Authors,
) -> Result<(), Unproven> {
    let decode = |bytes: &Vec<u8>| Message::<V>::decode(bytes, Limits::default());
    let messages = evidence.proof.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    evidence.check(validators, &messages, |message| {
        let signed = Seal::try_from(&message.envelope.signature[..]);
        let signer = signed.ok().and_then(|signed| authors.author(message.envelope.digest(), &signed));
        (message.view(), message.from() == evidence.offender && signer == Some(evidence.offender))
    })?;
    let contradict = match (evidence.kind, &messages[..]) {
        (Misbehaviour::DoubleProposal, [a, b]) => match (&a.body, &b.body) {
            (Body::Preprepare(a), Body::Preprepare(b)) => {
                a.value.id() != b.value.id() && a.value.parent() == b.value.parent()
            }
            _ => false,
        },
        (Misbehaviour::DoubleVote, [a, b]) => match (&a.body, &b.body) {
            (Body::Prepare(a), Body::Prepare(b)) => a.digest != b.digest && a.prev_hash == b.prev_hash,
            _ => false,
        },
        (Misbehaviour::BadSeal, [one]) => match &one.body {
            Body::Commit(subject) => is_no_seal(subject.digest, &one.envelope.committed_seal, authors),
            _ => false,
        },
        _ => false,
    };
    if contradict { Ok(()) } else { Err(Unproven::NoContradiction) }
}

/// Whether these bytes are no seal over anything, which no honest node sends in a commit. A seal over something else is
/// one: it recovers to somebody, if not to its maker.
pub(super) fn is_no_seal(id: B256, bytes: &[u8], authors: &dyn Authors) -> bool {
    let author = |sealed| authors.author(seal::committed_digest(id), &sealed);
    !bytes.is_empty() && Seal::try_from(bytes).ok().and_then(author).is_none()
}
