//! The council: who is registered, changed by votes in headers.
//!
//! Source: chapter 50, section 2.6, rules VS-1 to VS-5; KIP of the reference: `kaiax/valset/impl/getter_council.go`.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use klay_core::governance::{Vote, VoteAction};

use super::AddressSet;

/// A vote about the council.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CouncilVote {
    /// `governance.addvalidator`.
    Add(Vec<Address>),
    /// `governance.removevalidator`.
    Remove(Vec<Address>),
}

impl CouncilVote {
    /// Reads the vote field of a header; `None` if it is empty, about something else, or not a vote.
    ///
    /// A value whose length is not a multiple of 20 is cut to its last 20 bytes: two blocks of the main network carry
    /// the hex text of an address, and its last 20 characters are a member of the council ever since (VS-4). An empty
    /// value names nobody.
    pub fn parse(vote: &[u8]) -> Option<Self> {
        match Vote::decode(vote).ok()?.action {
            VoteAction::AddValidator(addresses) => Some(Self::Add(addresses)),
            VoteAction::RemoveValidator(addresses) => Some(Self::Remove(addresses)),
            VoteAction::Param(..) => None,
        }
    }

    /// The addresses voted on.
    pub fn addresses(&self) -> &[Address] {
        match self {
            Self::Add(addresses) | Self::Remove(addresses) => addresses,
        }
    }

    /// The council after the vote of one block, for the next block. The governing node is neither added nor removed.
    #[must_use]
    pub fn apply(&self, council: &AddressSet, governing_node: Option<Address>) -> AddressSet {
        let named: BTreeSet<_> = self.addresses().iter().copied().filter(|a| Some(*a) != governing_node).collect();
        match self {
            Self::Add(_) => council.iter().chain(named).collect(),
            Self::Remove(_) => council.iter().filter(|address| !named.contains(address)).collect(),
        }
    }
}
