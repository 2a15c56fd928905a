//! The council: who is registered, changed by votes in headers.
//!
//! Source: chapter 50, section 2.6, rules VS-1 to VS-5; KIP of the reference: `kaiax/valset/impl/getter_council.go`.

use alloy_primitives::Address;
use klay_core::codec::Reader;

use super::AddressSet;

/// Longest value of a vote that is read, in bytes: a list of 4096 addresses.
const MAX_VALUE: usize = 4096 * 20;

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
    /// the hex text of an address, and its last 20 characters are a member of the council ever since (VS-4).
    pub fn parse(vote: &[u8]) -> Option<Self> {
        let mut input = Reader::new(vote);
        let mut list = input.list("vote").ok()?;
        input.end("vote").ok()?;
        list.address("vote.voter").ok()?;
        let key = list.bytes("vote.key").ok()?;
        let value = list.bytes("vote.value").ok().filter(|value| value.len() <= MAX_VALUE)?;
        list.end("vote").ok()?;
        let addresses = addresses(value);
        match key {
            b"governance.addvalidator" => Some(Self::Add(addresses)),
            b"governance.removevalidator" => Some(Self::Remove(addresses)),
            _ => None,
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
        let mut next = council.clone();
        for address in self.addresses().iter().copied().filter(|a| Some(*a) != governing_node) {
            match self {
                Self::Add(_) => next.insert(address),
                Self::Remove(_) => next.remove(address),
            };
        }
        next
    }
}

fn addresses(value: &[u8]) -> Vec<Address> {
    if !value.is_empty() && value.len().is_multiple_of(20) {
        return value.chunks_exact(20).map(Address::from_slice).collect();
    }
    let mut address = [0; 20];
    for (to, from) in address.iter_mut().rev().zip(value.iter().rev()) {
        *to = *from;
    }
    vec![address.into()]
}
