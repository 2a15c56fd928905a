//! The council over time, changed by votes.

use std::{collections::BTreeMap, sync::Arc};

use klay_consensus::valset::{AddressSet, CouncilVote};
use klay_core::{Address, block::Header};

/// What the vote of one header does to the council.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// The block with the vote.
    pub(crate) number: u64,
    /// The council from the next block on.
    pub(crate) council: Arc<AddressSet>,
    /// Whom a vote to remove names, whether it was a member or not.
    pub(crate) removed: Vec<Address>,
}

/// The council of every block so far.
#[derive(Debug)]
pub(crate) struct History {
    /// Councils by the first block that they serve.
    councils: BTreeMap<u64, Arc<AddressSet>>,
    /// Addresses that votes remove, by the block of the vote.
    removals: BTreeMap<u64, Vec<Address>>,
}

impl History {
    /// The council of a genesis.
    pub(crate) fn new(genesis: AddressSet) -> Self {
        Self { councils: BTreeMap::from([(0, Arc::new(genesis))]), removals: BTreeMap::new() }
    }

    /// The council of block `number`.
    pub(crate) fn at(&self, number: u64) -> Arc<AddressSet> {
        let found = self.councils.range(..=number).next_back();
        found.map_or_else(Arc::default, |(_, council)| Arc::clone(council))
    }

    /// What the vote in `header` changes, if anything. Votes that change nothing leave no trace, as in the reference
    /// client.
    pub(crate) fn change(&self, header: &Header, governing_node: Address) -> Option<Change> {
        let number = header.number;
        if number == 0 || header.vote.is_empty() {
            return None;
        }
        let vote = CouncilVote::parse(&header.vote)?;
        let council = self.at(number);
        let next = vote.apply(&council, Some(governing_node));
        let removed = match &vote {
            CouncilVote::Remove(addresses) => addresses.clone(),
            CouncilVote::Add(_) => Vec::new(),
        };
        (next != *council).then(|| Change { number, council: Arc::new(next), removed })
    }

    /// Takes over a change.
    pub(crate) fn apply(&mut self, change: Change) {
        if !change.removed.is_empty() {
            self.removals.insert(change.number, change.removed);
        }
        self.councils.insert(change.number.saturating_add(1), change.council);
    }

    /// Whom votes in these blocks remove.
    pub(crate) fn removals(&self, blocks: core::ops::Range<u64>) -> Vec<(u64, Vec<Address>)> {
        if blocks.is_empty() {
            return Vec::new();
        }
        self.removals.range(blocks).map(|(number, removed)| (*number, removed.clone())).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use klay_core::governance::{Vote, VoteAction};

    use super::*;

    fn node(n: u8) -> Address {
        Address::with_last_byte(n)
    }

    fn voted(history: &mut History, number: u64, action: VoteAction) -> bool {
        let vote = Vote { voter: node(3), action }.encode().into();
        let change = history.change(&Header { number, vote, ..Header::default() }, node(3));
        change.map(|change| history.apply(change)).is_some()
    }

    /// The history of the reference client's own test (chapter 50, section 2.6).
    #[test]
    fn votes_change_the_council_one_block_later() {
        let mut history = History::new(AddressSet::new([2, 3, 5].map(node)));
        assert!(voted(&mut history, 1024, VoteAction::AddValidator(vec![node(1)])));
        assert!(voted(&mut history, 1025, VoteAction::RemoveValidator(vec![node(2)])));
        assert!(!voted(&mut history, 1026, VoteAction::RemoveValidator(vec![node(3)])));
        assert!(voted(&mut history, 1027, VoteAction::AddValidator(vec![node(4)])));
        for (number, council) in [
            (0, vec![2, 3, 5]),
            (1024, vec![2, 3, 5]),
            (1025, vec![1, 2, 3, 5]),
            (1026, vec![1, 3, 5]),
            (1027, vec![1, 3, 5]),
            (1028, vec![1, 3, 4, 5]),
            (u64::MAX, vec![1, 3, 4, 5]),
        ] {
            assert_eq!(*history.at(number), AddressSet::new(council.into_iter().map(node)), "{number}");
        }
        assert_eq!(history.removals(1000..1027), [(1025, vec![node(2)])]);
        assert!(history.removals(1026..1028).is_empty());
    }

    #[test]
    fn a_vote_that_changes_nothing_leaves_no_trace() {
        let mut history = History::new(AddressSet::new([1, 3].map(node)));
        assert!(!voted(&mut history, 7, VoteAction::AddValidator(vec![node(1)])));
        assert!(!voted(&mut history, 8, VoteAction::RemoveValidator(vec![node(9)])));
        assert!(!voted(&mut history, 0, VoteAction::AddValidator(vec![node(5)])));
        assert!(!voted(&mut history, 6, VoteAction::AddValidator(Vec::new())));
        assert!(history.removals(0..9).is_empty());
    }
}
