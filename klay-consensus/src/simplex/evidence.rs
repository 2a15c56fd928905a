//! Evidence of this engine, for anybody who did not see it happen.

use alloy_primitives::{Address, B256};

use super::{Kind, SignedVote, SimplexMessage};
use crate::{
    istanbul::{WireValue, seal::Authors},
    types::{Evidence, Limits, Malformed, Misbehaviour, Unproven, View},
};

/// Checks that evidence proves what it says about one of the `validators` who could speak at its height, on the chain of
/// this `domain`. Anybody can who knows them; without a chain, [`RawBlock`](crate::istanbul::RawBlock) will do for `V`.
///
/// A finalize vote is a seal in a header and signs no domain: a key must not serve two chains of this engine, or what it
/// says on one can be held against it on the other. It seals unproven ancestors in the same words, so two finalize votes
/// of one view contradict each other only if neither value leads to the other, which votes do not tell: they prove nothing.
///
/// # Errors
/// If it proves nothing.
pub fn check_evidence<V: WireValue>(
    evidence: &Evidence<Address>,
    validators: &[Address],
    domain: B256,
    authors: &dyn Authors,
) -> Result<(), Unproven> {
    let decode = |bytes: &Vec<u8>| match SimplexMessage::<V>::decode(bytes, Limits::default())? {
        SimplexMessage::Vote(signed) => Ok(signed),
        _ => Err(Malformed::Unknown { what: "part of a proof", code: 0 }),
    };
    let votes = evidence.proof.iter().map(decode).collect::<Result<Vec<SignedVote>, _>>()?;
    evidence.check(validators, &votes, |signed| {
        let signer = authors.author(signed.vote.digest(domain), &signed.signature);
        (View::first(signed.vote.view), signed.from == evidence.offender && signer == Some(evidence.offender))
    })?;
    let [a, b] = &votes[..] else { return Err(Unproven::NoContradiction) };
    let (kinds, differ) = ((a.vote.kind, b.vote.kind), a.vote.id != b.vote.id);
    let contradict = match evidence.kind {
        Misbehaviour::DoubleProposal => kinds == (Kind::Proposal, Kind::Proposal) && differ,
        Misbehaviour::DoubleVote => kinds == (Kind::Notarize, Kind::Notarize) && differ,
        Misbehaviour::FinalizeAndSkip => {
            matches!(kinds, (Kind::Finalize, Kind::Nullify) | (Kind::Nullify, Kind::Finalize))
        }
        _ => false,
    };
    if contradict { Ok(()) } else { Err(Unproven::NoContradiction) }
}
