//! Proposer and committee of a block.
//!
//! Source: chapter 50, sections 2.3 and 2.4.

use alloy_primitives::{Address, B256};

use super::{AddressSet, GoRand, legacy_seed, randao_seed};
use crate::types::quorum;

/// How a proposer is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy<'a> {
    /// The one after the author of the last block (policy 0).
    RoundRobin {
        /// Author of the last block; the first of the set for block 1.
        previous: Address,
    },
    /// The author of the last block, as long as rounds succeed (policy 1).
    Sticky {
        /// Author of the last block; the first of the set for block 1.
        previous: Address,
    },
    /// From a list made each interval (policy 2 before Randao).
    List {
        /// The list, without removed members.
        list: &'a [Address],
        /// The block that the list was made at.
        made_at: u64,
        /// Blocks that a list serves.
        interval: u64,
    },
    /// From a shuffle of the set (policy 2 from Randao).
    Randao {
        /// `mixHash` of the parent; zero at the fork block.
        mix_hash: B256,
    },
}

/// What one block's selection depends on.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// The block to be decided.
    pub number: u64,
    /// Who may take part.
    pub qualified: &'a AddressSet,
    /// How a proposer is chosen.
    pub policy: Policy<'a>,
    /// Largest committee.
    pub committee_size: u64,
    /// Hash of the parent.
    pub parent_hash: B256,
    /// Whether the round takes part in the committee's seed (klaytn 1.12 from the Istanbul fork).
    pub add_round: bool,
}

/// Why nobody is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// Nobody is qualified.
    #[error("no validator is qualified at block {number}")]
    NoValidator {
        /// The block.
        number: u64,
    },
    /// The list of proposers is empty or made at a later block.
    #[error("the proposer list made at block {made_at} does not serve block {number}")]
    NoList {
        /// The block.
        number: u64,
        /// Where the list comes from.
        made_at: u64,
    },
}

impl Selection<'_> {
    /// The proposer of a round.
    ///
    /// # Errors
    /// If nobody is qualified, or there is no list.
    pub fn proposer(&self, round: u64) -> Result<Address, SelectError> {
        let (number, set) = (self.number, self.qualified.as_slice());
        let none = SelectError::NoValidator { number };
        let after = |previous, steps: u64| {
            let index = self.qualified.index_of(previous).unwrap_or_default() as u64;
            at(set, u128::from(index) + u128::from(steps)).ok_or(none)
        };
        match self.policy {
            Policy::RoundRobin { previous } => after(previous, round.saturating_add(1)),
            Policy::Sticky { previous } => after(previous, round),
            Policy::List { list, made_at, .. } => {
                let no_list = SelectError::NoList { number, made_at };
                let age = number.checked_sub(made_at).and_then(|n| n.checked_sub(1)).ok_or(no_list)?;
                at(list, u128::from(age) + u128::from(round)).ok_or(no_list)
            }
            Policy::Randao { mix_hash } => at(&self.randao(mix_hash), round.into()).ok_or(none),
        }
    }

    /// The committee of a round, in the order that the chain gives it.
    ///
    /// # Errors
    /// As [`Self::proposer`].
    pub fn committee(&self, round: u64) -> Result<Vec<Address>, SelectError> {
        let all = || self.qualified.as_slice().to_vec();
        if self.number == 0 || self.qualified.len() as u64 <= self.committee_size {
            return Ok(all()); // CM-1
        }
        if let Policy::Randao { mix_hash } = self.policy {
            return Ok(self.randao(mix_hash)); // CM-2
        }
        let proposer = self.proposer(round)?;
        if self.committee_size == 1 {
            return Ok(vec![proposer]); // CM-3
        }
        let Some(next) = self.next_distinct(proposer, round)? else { return Ok(all()) };
        Ok(self.legacy_committee(proposer, next, round)) // CM-4
    }

    /// The committee around a proposer and the next one, drawn with the seed of the parent's hash (CM-4, CM-6).
    pub fn legacy_committee(&self, proposer: Address, next: Address, round: u64) -> Vec<Address> {
        let mut rest: Vec<_> = self.qualified.iter().filter(|a| *a != proposer && *a != next).collect();
        let added = if self.add_round { round as i64 } else { 0 };
        GoRand::new(legacy_seed(self.parent_hash).wrapping_add(added)).shuffle_legacy(&mut rest);
        let size = usize::try_from(self.committee_size).unwrap_or(usize::MAX);
        [proposer, next].into_iter().chain(rest).take(size).collect()
    }

    /// Members whose number decides about quorums: not the length of [`Self::committee`] (CM-7).
    pub fn voting_size(&self) -> u32 {
        let size = (self.qualified.len() as u64).min(self.committee_size);
        u32::try_from(size).unwrap_or(u32::MAX)
    }

    /// Votes that decide.
    pub fn quorum(&self) -> u32 {
        quorum::live(self.voting_size())
    }

    /// Members that may fail.
    pub fn tolerated(&self) -> u32 {
        quorum::tolerated(self.voting_size())
    }

    /// The first different proposer in the rounds ahead (CM-5).
    fn next_distinct(&self, proposer: Address, round: u64) -> Result<Option<Address>, SelectError> {
        match self.policy {
            Policy::List { list, interval, .. } => {
                // The list repeats itself, so nothing new comes after one turn.
                let ahead = interval.min(list.len() as u64);
                for step in 1..=ahead {
                    let next = self.proposer(round.saturating_add(step))?;
                    if next != proposer {
                        return Ok(Some(next));
                    }
                }
                Ok(None)
            }
            _ => self.proposer(round.saturating_add(1)).map(Some),
        }
    }

    fn randao(&self, mix_hash: B256) -> Vec<Address> {
        let mut shuffled = self.qualified.as_slice().to_vec();
        GoRand::new(randao_seed(mix_hash)).shuffle(&mut shuffled);
        shuffled.truncate(usize::try_from(self.committee_size).unwrap_or(usize::MAX));
        shuffled
    }
}

fn at(list: &[Address], index: u128) -> Option<Address> {
    let index = index.checked_rem(list.len() as u128)?;
    list.get(usize::try_from(index).ok()?).copied()
}

/// The last block at which a list of proposers was made before block `number`.
pub const fn list_made_at(number: u64, interval: u64) -> u64 {
    let parent = number.saturating_sub(1);
    match parent.checked_rem(interval) {
        Some(past) => parent - past,
        None => parent,
    }
}
