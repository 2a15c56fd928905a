//! Chains of the reference client, kept with the tests or beside the repository; a node behind its JSON-RPC.

pub(crate) mod rpc;

use std::{
    fs,
    io::Read,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use flate2::read::GzDecoder;
use klay_core::{
    codec::Reader,
    genesis::Genesis,
    storage::{KeyValue, Memory},
};
use klay_node::{
    Chain,
    chain::ChainOptions,
    import::{ImportError, Imported, Refusal, import},
    metrics::Metrics,
};
use serde_json::Value;

/// A genesis and the blocks after it.
pub(crate) struct Recorded {
    pub(crate) genesis: Genesis,
    /// RLP of the blocks from 1 on.
    pub(crate) blocks: Vec<Vec<u8>>,
    pub(crate) folder: PathBuf,
}

impl Recorded {
    /// A chain that is kept with the tests.
    pub(crate) fn kept(name: &str) -> Self {
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
        let of_vm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../klay-vm/tests/vectors/chains").join(name);
        Self::read(if vectors.is_dir() { vectors } else { of_vm })
    }

    /// A chain beside the repository, if it is there.
    pub(crate) fn shared(name: &str) -> Option<Self> {
        let root = std::env::var_os("KLAY_SHARED")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
        let folder = root.join("vectors/chains").join(name);
        if !folder.is_dir() {
            println!("{} is not there", folder.display());
            return None;
        }
        Some(Self::read(folder))
    }

    fn read(folder: PathBuf) -> Self {
        let genesis: Genesis = serde_json::from_slice(&fs::read(folder.join("genesis.json")).unwrap()).unwrap();
        let plain = folder.join("blocks.rlp");
        let bytes = if plain.is_file() { fs::read(plain).unwrap() } else { gunzip(&folder.join("blocks.rlp.gz")) };
        Self { genesis: genesis.prepared().unwrap(), blocks: split(&bytes), folder }
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&gunzip(&self.folder.join(name))).unwrap()
    }

    /// An empty chain of this genesis, in memory.
    pub(crate) fn chain(&self) -> Chain {
        self.chain_in(Arc::new(Memory::new()))
    }

    pub(crate) fn chain_in(&self, store: Arc<dyn KeyValue>) -> Chain {
        Chain::open(store, &self.genesis, ChainOptions::archive(), &Metrics::default()).unwrap()
    }

    /// The whole chain, imported.
    pub(crate) fn imported(&self) -> Chain {
        let chain = self.chain();
        let done = feed(&chain, &self.blocks.concat()).unwrap();
        assert_eq!(done.imported, self.blocks.len() as u64);
        chain
    }
}

pub(crate) fn feed(chain: &Chain, bytes: &[u8]) -> Result<Imported, ImportError> {
    import(chain, bytes, &mut |_| ControlFlow::Continue(()))
}

/// The block that is refused, and why.
pub(crate) fn refused(chain: &Chain, bytes: &[u8]) -> (u64, Refusal) {
    match feed(chain, bytes) {
        Err(ImportError::Refused { number, refusal }) => (number, *refusal),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(bytes);
    let mut blocks = Vec::new();
    while !reader.is_empty() {
        blocks.push(reader.item("block").unwrap().raw.to_vec());
    }
    blocks
}

pub(crate) fn gunzip(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}
