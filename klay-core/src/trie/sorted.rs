//! The root of a trie that is needed once, from its sorted content and without nodes in memory.

use super::{
    EMPTY_ROOT,
    encode::{Reference, push_branch, push_extension, push_leaf},
    nibbles::{common_prefix, nibble},
};
use alloy_primitives::B256;

/// The root of the trie that maps `rlp(index)` to each item: the list root "original" of transactions and receipts.
///
/// ```
/// use klay_core::trie::{EMPTY_ROOT, ordered_root};
///
/// assert_eq!(ordered_root::<&[u8]>(&[]), EMPTY_ROOT);
/// ```
///
/// Source: spec 30, section 3.4.
pub fn ordered_root<T: AsRef<[u8]>>(items: &[T]) -> B256 {
    // In the byte order of rlp(index): 0x01..=0x7f, 0x80 for index 0, then 0x81.., 0x82.. .
    let split = items.len().min(0x80);
    let order = (1..split).chain(0..split.min(1)).chain(split..items.len());
    let entries: Vec<_> = order.map(|index| (IndexKey::new(index), &items[index])).collect();
    reference_of(&entries, 0, &mut Hasher::default()).map_or(EMPTY_ROOT, |reference| reference.root())
}

/// What a parent at `depth` holds for the trie of `entries`, which share their first `depth` nibbles; `None` for none.
///
/// The entries are sorted by key, no key is the start of another and no value is empty.
pub(super) fn reference_of<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    entries: &[(K, V)],
    depth: usize,
    hasher: &mut Hasher,
) -> Option<Reference> {
    let ((first, value), (last, _)) = (entries.first()?, entries.last()?);
    let first = first.as_ref();
    if entries.len() == 1 {
        return Some(hasher.reference(|out| push_leaf(first, depth, value.as_ref(), out)));
    }
    let fork = common_prefix(first, last.as_ref());
    let branch = branch_of(entries, fork, hasher);
    if fork == depth {
        return Some(branch);
    }
    Some(hasher.reference(|out| push_extension(first, depth, fork, &branch, out)))
}

fn branch_of<K: AsRef<[u8]>, V: AsRef<[u8]>>(entries: &[(K, V)], depth: usize, hasher: &mut Hasher) -> Reference {
    let mut children = [None; 16];
    for group in entries.chunk_by(|(a, _), (b, _)| nibble(a.as_ref(), depth) == nibble(b.as_ref(), depth)) {
        children[nibble(group[0].0.as_ref(), depth)] = reference_of(group, depth + 1, hasher);
    }
    hasher.reference(|out| push_branch(children.iter().map(Option::as_ref), out))
}

/// Hashes nodes, and remembers the last ones: a list of receipts is mostly the same receipt, whose leaves are equal
/// wherever they stand, and so are the branches above them.
#[derive(Debug, Default)]
pub(super) struct Hasher {
    node: Vec<u8>,
    known: [Option<(Vec<u8>, Reference)>; KNOWN],
    next: usize,
}

/// Nodes that are remembered: leaves of the usual receipts, and a branch.
const KNOWN: usize = 6;

impl Hasher {
    fn reference(&mut self, push: impl FnOnce(&mut Vec<u8>)) -> Reference {
        self.node.clear();
        push(&mut self.node);
        if let Some((_, reference)) = self.known.iter().flatten().find(|(node, _)| *node == self.node) {
            return *reference;
        }
        let reference = Reference::to(&self.node);
        let place = &mut self.known[self.next];
        self.next = (self.next + 1) % KNOWN;
        let (node, known) = place.get_or_insert_with(|| (Vec::new(), reference));
        node.clone_from(&self.node);
        *known = reference;
        reference
    }
}

/// `rlp(index)`.
#[derive(Clone, Copy)]
struct IndexKey {
    bytes: [u8; 9],
    len: u8,
}

impl IndexKey {
    fn new(index: usize) -> Self {
        let mut bytes = [0; 9];
        let number = (index as u64).to_be_bytes();
        let significant = &number[index.checked_ilog(256).map_or(8, |top| 7 - top as usize)..];
        if let [byte @ 0x01..0x80] = *significant {
            bytes[0] = byte;
            return Self { bytes, len: 1 };
        }
        bytes[0] = 0x80 + significant.len() as u8;
        bytes[1..=significant.len()].copy_from_slice(significant);
        Self { bytes, len: 1 + significant.len() as u8 }
    }
}

impl AsRef<[u8]> for IndexKey {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_keys_are_rlp_and_ordered_as_they_are_generated() {
        for index in [0usize, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000] {
            assert_eq!(IndexKey::new(index).as_ref(), alloy_rlp::encode(index as u64));
        }
    }
}
