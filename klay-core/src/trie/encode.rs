//! How nodes are written: RLP, with references to children by hash or, below 32 bytes, in place.

use super::nibbles::{hex_prefix_len, push_hex_prefix};
use crate::crypto::keccak256;
use alloy_primitives::B256;
use core::fmt;

const HASH_TAG: u8 = 0xa0;

/// A child as it stands in its parent, header included: `0xa0` and a hash, or a node of less than 32 bytes.
///
/// The first byte tells which and how long: an inlined node is a list of at most 30 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference([u8; 33]);

impl Reference {
    /// To the node with this hash.
    pub(super) fn hash(hash: B256) -> Self {
        let mut bytes = [HASH_TAG; 33];
        bytes[1..].copy_from_slice(hash.as_slice());
        Self(bytes)
    }

    /// To the node with this encoding.
    pub(super) fn to(encoded: &[u8]) -> Self {
        if encoded.len() >= 32 {
            return Self::hash(keccak256(encoded));
        }
        let mut bytes = [0; 33];
        bytes[..encoded.len()].copy_from_slice(encoded);
        Self(bytes)
    }

    /// The bytes in the parent.
    pub(super) fn as_slice(&self) -> &[u8] {
        let len = if self.0[0] == HASH_TAG { 33 } else { usize::from(self.0[0].saturating_sub(0xc0)) + 1 };
        self.0.get(..len).unwrap_or(&self.0)
    }

    /// Whether it is the node itself.
    pub(super) const fn is_in_place(&self) -> bool {
        self.0[0] != HASH_TAG
    }

    /// The hash; `None` for a node in place.
    pub(super) fn as_hash(&self) -> Option<B256> {
        (self.0[0] == HASH_TAG).then(|| B256::from_slice(&self.0[1..]))
    }

    /// The hash of the node, which is what a root is even when the node is short.
    pub(super) fn root(&self) -> B256 {
        self.as_hash().unwrap_or_else(|| keccak256(self.as_slice()))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&alloy_primitives::hex::encode(self.as_slice()))
    }
}

/// Appends a leaf: the nibbles of `key` from `depth` on, and `value`.
pub(super) fn push_leaf(key: &[u8], depth: usize, value: &[u8], out: &mut Vec<u8>) {
    let nibbles = key.len() * 2 - depth;
    push_header(path_len(nibbles) + string_len(value), 0xc0, out);
    push_path(key, depth, key.len() * 2, true, out);
    push_string(value, out);
}

/// Appends an extension by nibbles `from..to` of `key`.
pub(super) fn push_extension(key: &[u8], from: usize, to: usize, child: &Reference, out: &mut Vec<u8>) {
    push_header(path_len(to - from) + child.as_slice().len(), 0xc0, out);
    push_path(key, from, to, false, out);
    out.extend_from_slice(child.as_slice());
}

/// Appends a branch without a value.
pub(super) fn push_branch<'a>(children: impl Iterator<Item = Option<&'a Reference>> + Clone, out: &mut Vec<u8>) {
    let payload: usize = children.clone().map(|child| child.map_or(1, |child| child.as_slice().len())).sum();
    push_header(payload + 1, 0xc0, out);
    for child in children {
        match child {
            Some(child) => out.extend_from_slice(child.as_slice()),
            None => out.push(0x80),
        }
    }
    out.push(0x80);
}

/// Appends the header of a string (`base` 0x80) or list (0xc0) of `len` bytes.
fn push_header(len: usize, base: u8, out: &mut Vec<u8>) {
    if len < 56 {
        out.push(base + len as u8);
        return;
    }
    let bytes = len.to_be_bytes();
    let skip = len.leading_zeros() as usize / 8;
    out.push(base + 55 + (bytes.len() - skip) as u8);
    out.extend_from_slice(&bytes[skip..]);
}

fn push_string(bytes: &[u8], out: &mut Vec<u8>) {
    if !is_own_encoding(bytes) {
        push_header(bytes.len(), 0x80, out);
    }
    out.extend_from_slice(bytes);
}

const fn string_len(bytes: &[u8]) -> usize {
    if is_own_encoding(bytes) {
        return 1;
    }
    let header =
        if bytes.len() < 56 { 1 } else { 1 + (usize::BITS - bytes.len().leading_zeros()).div_ceil(8) as usize };
    header + bytes.len()
}

const fn is_own_encoding(bytes: &[u8]) -> bool {
    matches!(bytes, [byte] if *byte < 0x80)
}

/// A hex-prefix form of one byte is below 0x80 and stands for itself; the longest has 33 bytes.
const fn path_len(nibbles: usize) -> usize {
    let len = hex_prefix_len(nibbles);
    if len == 1 { 1 } else { len + 1 }
}

fn push_path(key: &[u8], from: usize, to: usize, leaf: bool, out: &mut Vec<u8>) {
    let len = hex_prefix_len(to - from);
    if len > 1 {
        out.push(0x80 + len as u8);
    }
    push_hex_prefix(key, from, to, leaf, out);
}
