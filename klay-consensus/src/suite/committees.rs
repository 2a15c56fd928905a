//! Rules of committees.

use std::ops::RangeInclusive;

use super::{Outcome, keeps};
use crate::types::{Committees, Height, Model, Round, quorum};

/// Asks for the committees of some heights and of the rounds below `rounds`.
///
/// | Id | Rule |
/// |---|---|
/// | CS-1 | the same question gets the same answer, whatever was asked before |
/// | CS-2 | a height whose round 0 is known is known in every round |
/// | CS-3 | a committee has members, no one twice, and its proposer is one of them |
/// | CS-4 | every member is a sender, no sender is there twice |
/// | CS-5 | two quorums share more members than may fail, and the members who do not fail are a quorum |
/// | CS-6 | the weak number proves an honest member and is not more than the quorum |
///
/// # Errors
/// The first rule that is broken.
pub fn committees<M: Model>(committees: &dyn Committees<M>, heights: RangeInclusive<u64>, rounds: u64) -> Outcome {
    let mut forwards = Vec::new();
    for height in heights.clone() {
        for round in 0..rounds {
            forwards.push(committees.at(Height::new(height), Round::new(round)));
        }
    }
    let mut answers = forwards.iter().rev();
    for height in heights.rev() {
        for round in (0..rounds).rev() {
            let place = || format!("height {height}, round {round}");
            let again = committees.at(Height::new(height), Round::new(round));
            keeps("CS-1", answers.next() == Some(&again), || format!("{}: another answer the second time", place()))?;
            let first = committees.at(Height::new(height), Round::ZERO);
            keeps("CS-2", first.is_ok() == again.is_ok(), || format!("{}: round 0 is known, this is not", place()))?;
            let Ok(committee) = again else { continue };
            let members = &committee.members;
            keeps("CS-3", distinct(members) && members.contains(&committee.proposer), || {
                format!("{}: {members:?} with proposer {:?}", place(), committee.proposer)
            })?;
            let senders = &committee.senders;
            keeps("CS-4", distinct(senders) && members.iter().all(|who| senders.contains(who)), || {
                format!("{}: members {members:?}, senders {senders:?}", place())
            })?;
            let n = u32::try_from(members.len()).unwrap_or(u32::MAX);
            let (quorum, weak, tolerated) = (committee.quorum, committee.weak, quorum::tolerated(n));
            let overlap = (2 * u64::from(quorum)).saturating_sub(u64::from(n));
            let live = n < 4 && quorum <= n || quorum <= n - tolerated;
            keeps("CS-5", overlap > u64::from(tolerated) && live, || format!("{}: {quorum} of {n}", place()))?;
            keeps("CS-6", weak > tolerated && weak <= quorum, || format!("{}: {weak} of {n}", place()))?;
        }
    }
    Ok(())
}

fn distinct<P: Ord + Copy>(peers: &[P]) -> bool {
    let mut sorted = peers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    !peers.is_empty() && sorted.len() == peers.len()
}
