//! The order of every validator set: by the EIP-55 text of the address, compared as ASCII.
//!
//! Upper case stands before lower case, so this is not the order of the bytes: `...120C` comes before `...120b`.
//!
//! Source: chapter 50, section 1.1.

use alloy_primitives::Address;

/// Addresses without duplicates in the order of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressSet(Vec<Address>);

impl AddressSet {
    /// Sorts and removes duplicates.
    pub fn new(addresses: impl IntoIterator<Item = Address>) -> Self {
        let mut list: Vec<_> = addresses.into_iter().collect();
        list.sort_by_cached_key(text);
        list.dedup();
        Self(list)
    }

    /// The addresses in order.
    pub fn as_slice(&self) -> &[Address] {
        &self.0
    }

    /// The addresses in order.
    pub fn into_vec(self) -> Vec<Address> {
        self.0
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `address` is in the set.
    pub fn contains(&self, address: Address) -> bool {
        self.0.contains(&address)
    }

    /// The place of `address`.
    pub fn index_of(&self, address: Address) -> Option<usize> {
        self.0.iter().position(|a| *a == address)
    }

    /// Adds an address; `false` if it was there.
    pub fn insert(&mut self, address: Address) -> bool {
        if self.contains(address) {
            return false;
        }
        let key = text(&address);
        let at = self.0.partition_point(|a| text(a) < key);
        self.0.insert(at, address);
        true
    }

    /// Removes an address; `false` if it was not there.
    pub fn remove(&mut self, address: Address) -> bool {
        let before = self.0.len();
        self.0.retain(|a| *a != address);
        self.0.len() < before
    }

    /// The set without the members of `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().copied().filter(|a| !other.contains(*a)).collect())
    }

    /// The addresses in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Address> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Address> for AddressSet {
    fn from_iter<I: IntoIterator<Item = Address>>(addresses: I) -> Self {
        Self::new(addresses)
    }
}

fn text(address: &Address) -> [u8; 42] {
    let mut text = [0; 42];
    // The checksummed text has 42 characters: "0x" and 40 digits.
    for (to, from) in text.iter_mut().zip(address.to_checksum_buffer(None).as_str().bytes()) {
        *to = from;
    }
    text
}
