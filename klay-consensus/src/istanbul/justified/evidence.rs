//! Evidence of this engine, for anybody who did not see it happen.

use alloy_primitives::{Address, B256};

use super::{JustifiedMessage, Kind};
use crate::{
    istanbul::{WireValue, seal::Authors},
    types::{Evidence, Limits, Misbehaviour, Unproven},
};

/// Checks that evidence proves what it says about one of the `validators` who could speak at its height, on the chain of
/// this `domain`. Anybody can who knows them; without a chain, [`RawBlock`](crate::istanbul::RawBlock) will do for `V`.
///
/// # Errors
/// If it proves nothing.
pub fn check_evidence<V: WireValue>(
    evidence: &Evidence<Address>,
    validators: &[Address],
    domain: B256,
    authors: &dyn Authors,
) -> Result<(), Unproven> {
    let decode =
        |bytes: &Vec<u8>| JustifiedMessage::<V>::decode(bytes, Limits::default()).map(|message| message.signed);
    let votes = evidence.proof.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    evidence.check(validators, &votes, |signed| {
        (signed.vote.view, signed.from == evidence.offender && signed.is_signed(domain, authors))
    })?;
    let contradict = match (evidence.kind, &votes[..]) {
        (Misbehaviour::BadSeal, [one]) => one.vote.kind == Kind::Commit && !one.is_sealed(authors),
        (kind @ (Misbehaviour::DoubleProposal | Misbehaviour::DoubleVote), [a, b]) => {
            let is_proposal = kind == Misbehaviour::DoubleProposal;
            a.vote.kind == b.vote.kind && (a.vote.kind == Kind::Proposal) == is_proposal && a.vote != b.vote
        }
        _ => false,
    };
    if contradict { Ok(()) } else { Err(Unproven::NoContradiction) }
}
