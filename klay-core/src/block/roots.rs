//! Roots over lists of transactions and receipts, in the three derivations that governance chooses from.
use alloy_primitives::B256;

/// `governance.deriveshaimpl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ListRoot {
    /// 0 and every unknown value: Merkle Patricia trie.
    #[default]
    Original,
    /// 1: binary tree.
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
    /// The root over encoded items.
    pub fn root<T: AsRef<[u8]>>(self, _items: &[T]) -> B256 {
        todo!()
    }
}
