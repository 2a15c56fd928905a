#![doc = include_str!("../README.md")]

pub mod auth;
pub mod block;
pub mod codec;
pub mod config;
pub mod crypto;
pub mod genesis;
pub mod governance;
pub mod storage;
pub mod trie;
pub mod tx;
pub mod units;

pub use alloy_primitives::{Address, B256, Bloom, Bytes, U256, address, b256, bytes, hex};
pub use auth::{Authority, Role, Sign};
pub use codec::DecodeError;
pub use config::{ChainConfig, Fork, Rules};
pub use crypto::{PublicKey, Signature, Signatures, keccak256};
pub use tx::{Body, FeeMode, FeeRatio, FeeSplit, Payload, SenderPays, Tx, TxEnvelope, TxType, TxView};
