//! What several integration tests share: keys, blocks, a chain in memory.

use alloy_primitives::{Address, B256, Bytes, U256};
use klay_consensus::{
    istanbul::{HeaderValue, Klaytn, WireValue, seal::KeySigner},
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

/// The vectors in the repository, and the full file if it lies beside the repository (or in `KLAY_SHARED`).
pub fn vectors(compact: &str, full: &str) -> Vec<serde_json::Value> {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read =
        |path: &std::path::Path| std::fs::read_to_string(path).ok().map(|text| serde_json::from_str(&text).unwrap());
    let shared = std::env::var_os("KLAY_SHARED").map_or_else(|| here.join("../../shared"), Into::into);
    let full_path = shared.join("vectors").join(full);
    let mut found = vec![read(&here.join("tests/vectors").join(compact)).unwrap()];
    match read(&full_path) {
        Some(full) => found.push(full),
        None => println!("{full} is not there: only the vectors of the repository are used"),
    }
    found
}

/// Shorthands to take vectors apart.
pub trait Json {
    fn list(&self, key: &str) -> &[serde_json::Value];
    fn text(&self, key: &str) -> &str;
    fn num(&self, key: &str) -> u64;
    fn hex(&self, key: &str) -> Vec<u8>;
    fn hash(&self, key: &str) -> B256;
    fn nums(&self, key: &str) -> Vec<u64>;
    fn addresses(&self, key: &str) -> Vec<Address>;
}

pub fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).unwrap()
}

/// A JSON number of any form.
pub fn number(value: &serde_json::Value) -> u64 {
    match value {
        serde_json::Value::String(text) => text.parse().unwrap(),
        other => other.to_string().parse().unwrap(),
    }
}

impl Json for serde_json::Value {
    fn list(&self, key: &str) -> &[serde_json::Value] {
        self[key].as_array().map_or(&[], Vec::as_slice)
    }
    fn text(&self, key: &str) -> &str {
        self[key].as_str().unwrap_or_else(|| panic!("{key} in {self}"))
    }
    fn num(&self, key: &str) -> u64 {
        number(&self[key])
    }
    fn hex(&self, key: &str) -> Vec<u8> {
        unhex(self.text(key))
    }
    fn hash(&self, key: &str) -> B256 {
        B256::from_slice(&self.hex(key))
    }
    fn nums(&self, key: &str) -> Vec<u64> {
        self.list(key).iter().map(number).collect()
    }
    fn addresses(&self, key: &str) -> Vec<Address> {
        self.list(key).iter().map(|a| Address::from_slice(&unhex(a.as_str().unwrap()))).collect()
    }
}

impl WireValue for TestBlock {
    fn encode(&self, out: &mut Vec<u8>) {
        let content = [self.header.encode(), vec![0xc0]].concat();
        klay_core::codec::put_list_header(content.len(), out);
        out.extend_from_slice(&content);
    }

    fn decode(reader: &mut klay_core::codec::Reader<'_>) -> Result<Self, klay_core::DecodeError> {
        let mut list = reader.list("block")?;
        let header = Header::decode(&mut list)?;
        list.list("block.transactions")?.end("block.transactions")?;
        list.end("block")?;
        Ok(Self { header })
    }
}

/// Where an engine stands that does nothing of its own.
#[cfg(feature = "runtime")]
pub const fn idle<M: klay_consensus::types::Model>(state: &'static str) -> klay_consensus::types::Status<M> {
    klay_consensus::types::Status {
        height: Height::new(1),
        round: klay_consensus::types::Round::ZERO,
        state,
        waiting: false,
        proposer: None,
        proposal: None,
        lock: None,
        vote1: 0,
        vote2: 0,
        skips: 0,
        backlog: 0,
    }
}
