//! The secure Merkle Patricia trie (contract set by its module's author; see docs/architecture.md).
