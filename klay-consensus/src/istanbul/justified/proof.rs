//! What a message must rest on.
//!
//! | Id | Rule |
//! |---|---|
//! | JU-1 | a claim (round, value) holds if a quorum of distinct members has prepared that value in that round |
//! | JU-2 | a round change is used only if its claim holds, lies below the round that it asks for and comes with its value, which is not committed to; without a claim it has no value |
//! | JU-3 | a proposal in round 0 needs nothing |
//! | JU-4 | a proposal in a later round needs a quorum of distinct requests for exactly that round |
//! | JU-5 | the value with the highest claim among them must be proposed again, and that claim must hold; only without any claim is the proposer free |

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256};

use super::{
    JustifiedMessage,
    message::{Claim, Kind, SignedVote, seal_digest, sealed_rounds},
};
use crate::{
    istanbul::{
        CommittedSeals, HeaderValue,
        seal::{self, Authors},
    },
    types::{Committee, View},
};

/// Whether `cert` proves that a value was decided, in the committee of its height (JE-11). All that an importing node
/// needs: what it asks for is what decides. A header has the low 8 bits of the round.
pub fn decision_holds<V: HeaderValue>(
    value: &V,
    cert: &CommittedSeals,
    committee: &Committee<Address>,
    authors: &dyn Authors,
) -> bool {
    let holds = |round| seal::is_quorum(seal_digest(value.id(), round), &cert.seals, committee, authors);
    let others = sealed_rounds(cert.round.get() as u8).filter(|round| *round != cert.round);
    core::iter::once(cert.round).chain(others).any(holds)
}

/// What signatures are checked with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checker<'a> {
    pub(super) domain: B256,
    pub(super) authors: &'a dyn Authors,
    pub(super) committee: &'a Committee<Address>,
}

impl Checker<'_> {
    /// Whether `votes` are of a quorum of distinct members, each fits, and each is signed.
    fn is_quorum(&self, votes: &[SignedVote], fits: impl Fn(&SignedVote) -> bool) -> bool {
        let mut voters = BTreeSet::new();
        // More votes than members would be work for nothing.
        let enough = votes.len() >= self.committee.quorum as usize && votes.len() <= self.committee.members.len();
        enough
            && votes.iter().all(|signed| {
                fits(signed)
                    && self.committee.is_member(signed.from)
                    && voters.insert(signed.from)
                    && signed.is_signed(self.domain, self.authors)
            })
    }

    /// JU-1.
    pub(super) fn holds(&self, view: View, (round, digest): Claim, prepares: &[SignedVote]) -> bool {
        let claimed = View::new(view.slot, round);
        self.is_quorum(prepares, |signed| {
            let vote = &signed.vote;
            vote.kind == Kind::Prepare && vote.view == claimed && vote.digest == digest
        })
    }

    /// JU-2. Without its value, a claim would bind proposers who cannot put the value forward.
    pub(super) fn round_change_holds<V: HeaderValue>(&self, message: &JustifiedMessage<V>) -> bool {
        let vote = &message.signed.vote;
        match (vote.prepared, &message.value) {
            (None, None) => true,
            (Some(claim), Some(value)) => {
                let fits = claim.0 < vote.view.round && value.id() == claim.1 && value.is_uncommitted();
                fits && self.holds(vote.view, claim, &message.prepares)
            }
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// JU-3 to JU-5.
    pub(super) fn proposal_holds<V>(&self, message: &JustifiedMessage<V>) -> bool {
        let vote = &message.signed.vote;
        if vote.view.round.get() == 0 {
            return true;
        }
        let asks = |signed: &SignedVote| {
            let asked = &signed.vote;
            asked.kind == Kind::RoundChange
                && asked.view == vote.view
                && asked.prepared.is_none_or(|(round, _)| round < vote.view.round)
        };
        if !self.is_quorum(&message.round_changes, asks) {
            return false;
        }
        match message.round_changes.iter().filter_map(|signed| signed.vote.prepared).max() {
            Some(claim) => claim.1 == vote.digest && self.holds(vote.view, claim, &message.prepares),
            None => true,
        }
    }
}
