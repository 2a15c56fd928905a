//! Roots over lists of transactions and receipts, in the three derivations that governance chooses from.
//!
//! Which one applies is the parameter `governance.deriveshaimpl` effective at the block, not a constant of the network.
//!
//! Source: spec 30, section 3.4; `blockchain/types/derivesha` in the reference client.

use alloy_primitives::B256;
use sha3::{Digest, Keccak256};

use crate::{crypto::keccak256, trie};

/// `governance.deriveshaimpl`.
///
/// ```
/// use klay_core::block::ListRoot;
///
/// let (one, both) = ([b"first"], [b"first", b"later"]);
/// assert_eq!(ListRoot::Simple.root(&one), ListRoot::Concat.root(&one));
/// assert_ne!(ListRoot::Simple.root(&both), ListRoot::Concat.root(&both));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ListRoot {
    /// 0 and every unknown value: Merkle Patricia trie keyed by the RLP of the index.
    #[default]
    Original,
    /// 1: binary tree over the items' hashes; an odd last one is paired with itself.
    Simple,
    /// 2: hash of the concatenation.
    Concat,
}

impl ListRoot {
    /// The derivation that a parameter value names.
    pub const fn from_parameter(value: u64) -> Self {
        match value {
            1 => Self::Simple,
            2 => Self::Concat,
            _ => Self::Original,
        }
    }

    /// The root over encoded items: transactions in the node's wire form (with `0x78`, without blob sidecar), or
    /// receipts in consensus form.
    pub fn root<T: AsRef<[u8]>>(self, items: &[T]) -> B256 {
        match self {
            Self::Original => trie::ordered_root(items),
            Self::Simple => simple(items),
            Self::Concat => concat(items),
        }
    }

    /// The root of no items.
    pub fn empty(self) -> B256 {
        self.root::<&[u8]>(&[])
    }
}

fn concat<T: AsRef<[u8]>>(items: &[T]) -> B256 {
    let mut hasher = Keccak256::new();
    for item in items {
        hasher.update(item.as_ref());
    }
    B256::from_slice(hasher.finalize().as_slice())
}

fn simple<T: AsRef<[u8]>>(items: &[T]) -> B256 {
    let mut level: Vec<B256> = items.iter().map(keccak256).collect();
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| pair_hash(pair[0], *pair.last().unwrap_or(&pair[0]))).collect();
    }
    level.pop().unwrap_or_else(|| keccak256([]))
}

fn pair_hash(left: B256, right: B256) -> B256 {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(left.as_slice());
    pair[32..].copy_from_slice(right.as_slice());
    keccak256(pair)
}
