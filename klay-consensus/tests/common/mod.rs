//! What several integration tests share: keys, blocks, a chain in memory.
#![allow(dead_code)]

use alloy_primitives::{Address, B256, Bytes, U256};
use klay_consensus::{
    istanbul::{HeaderValue, Klaytn, seal::KeySigner},
    types::{Height, Value},
    wal::Identity,
};
use klay_core::{PublicKey, Sign, Signature, auth::SignError, block::Header, crypto};

/// Private key `i`, as all signed vectors use it.
#[derive(Debug, Clone)]
pub struct Key(pub [u8; 32]);

impl Key {
    pub fn new(i: u64) -> Self {
        Self(U256::from(i).to_be_bytes())
    }

    pub fn address(&self) -> Address {
        self.public_key().address()
    }
}

impl Sign for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_secret(&self.0).unwrap()
    }

    fn sign_digest(&self, digest: B256) -> Result<Signature, SignError> {
        crypto::sign_digest(&self.0, digest)
    }
}

pub type Signer = KeySigner<Key>;

pub fn signer(i: u64) -> Signer {
    KeySigner::new(Key::new(i))
}

/// A block without transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestBlock {
    pub header: Header,
}

pub type Chain = Klaytn<TestBlock>;

impl TestBlock {
    /// A block whose content is told apart by its state root.
    pub fn new(height: u64, parent: B256, content: u8, extra: Bytes) -> Self {
        let header = Header {
            parent_hash: parent,
            state_root: B256::repeat_byte(content),
            block_score: U256::from(1),
            number: height,
            timestamp: height,
            extra,
            ..empty_header()
        };
        Self { header }
    }
}

pub fn empty_header() -> Header {
    Header::default()
}

impl Value for TestBlock {
    type Id = B256;

    fn id(&self) -> B256 {
        self.header.hash()
    }
    fn parent(&self) -> B256 {
        self.header.parent_hash
    }
    fn height(&self) -> Height {
        Height::new(self.header.number)
    }
    fn size(&self) -> usize {
        600
    }
}

impl HeaderValue for TestBlock {
    fn header(&self) -> &Header {
        &self.header
    }
    fn with_extra(mut self, extra: Bytes) -> Self {
        self.header.extra = extra;
        self
    }
}

pub fn identity(engine: &str, key: u64) -> Identity {
    Identity { chain_id: 1337, key: Key::new(key).address().to_vec(), engine: engine.to_owned() }
}
