//! Opening a chain: a new one from a genesis, an old one from its store.

use std::{io, sync::Arc};

use alloy_primitives::Keccak256;
use arc_swap::ArcSwap;
use klay_core::{
    Address, B256,
    block::Header,
    config::{ChainConfig, ForkCompatError},
    genesis::Genesis,
    governance::ScheduleError,
    keccak256,
    storage::{
        Batch, ChainStore, KeyValue, NewBlock, StorageError, Table,
        chain::put_chain_config,
        receipts::{decode_receipts, encode_receipts},
    },
    trie::TrieError,
    tx::SenderAuth,
};
use klay_vm::{Preimages, State, genesis::genesis_block};
use parking_lot::{Mutex, RwLock};
use rayon::prelude::*;
use tokio::sync::broadcast;

use super::{
    BlockReceipts, Chain, ChainError, ChainOptions, Head, Inner, SealedBlock,
    context::Params,
    council::Councils,
    names::Names,
    persist::{Stopwatch, Unwritten},
    recent::{Loaded, Recent},
    stored,
    supply::SupplyAt,
};
use crate::{SharedTx, council, driver::ExecuteError, metrics::Metrics};

/// Heads that a slow listener may be behind.
const HEADS: usize = 256;

/// Why a chain cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The chain cannot be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The store holds another chain.
    #[error("the data belong to another chain: its genesis is {found}, not {expected}")]
    OtherGenesis {
        /// Of the genesis given.
        expected: B256,
        /// In the store.
        found: B256,
    },
    /// The store holds a chain with another id. (A genesis hash does not cover it.)
    #[error("the data belong to chain {got}, not {expected}")]
    OtherChainId {
        /// Of the genesis given.
        expected: u64,
        /// In the store.
        got: u64,
    },
    /// The store has blocks above a fork that the genesis puts elsewhere.
    #[error(transparent)]
    Forks(#[from] ForkCompatError),
    /// The chain configuration does not parse.
    #[error("chain configuration: {0}")]
    Config(#[from] serde_json::Error),
    /// The state of the genesis cannot be built.
    #[error(transparent)]
    Genesis(#[from] TrieError),
    /// The configuration has no valid governance.
    #[error(transparent)]
    Governance(#[from] ScheduleError),
    /// A stored block cannot be executed again.
    #[error("block {number} cannot be executed again: {source}")]
    Replay {
        /// The block.
        number: u64,
        /// Why.
        source: ExecuteError,
    },
    /// The genesis cannot be hashed.
    #[error("genesis: {0}")]
    Digest(io::ErrorKind),
    /// The store is empty.
    #[error("the data hold no chain")]
    NoChain,
    /// No state is stored that the newest blocks could be executed upon.
    #[error("the store holds no state")]
    NoState,
}

impl From<StorageError> for OpenError {
    fn from(error: StorageError) -> Self {
        Self::Chain(error.into())
    }
}

impl Chain {
    /// Opens the chain of `genesis` in `store`; an empty store gets its first block. Blocks whose state was not written
    /// before the last process ended are executed again.
    ///
    /// # Errors
    /// If the store fails, holds another chain or is damaged.
    pub fn open(
        store: Arc<dyn KeyValue>,
        genesis: &Genesis,
        options: ChainOptions,
        metrics: &Metrics,
    ) -> Result<Self, OpenError> {
        let blocks = ChainStore::open(store)?;
        let header = first_header(&blocks, genesis, options.preimages)?;
        Self::load(blocks, genesis.config.clone(), &header, options, metrics)
    }

    /// Opens the chain that `store` holds, whatever its genesis.
    ///
    /// # Errors
    /// As [`Self::open`], and if there is no chain.
    pub fn open_stored(store: Arc<dyn KeyValue>, options: ChainOptions, metrics: &Metrics) -> Result<Self, OpenError> {
        let blocks = ChainStore::open(store)?;
        let (Some(header), Some(config)) = (blocks.header(0)?, blocks.chain_config()?) else {
            return Err(OpenError::NoChain);
        };
        let config = serde_json::from_slice(&config)?;
        Self::load(blocks, config, &header, options, metrics)
    }

    fn load(
        blocks: ChainStore,
        config: ChainConfig,
        header: &Header,
        options: ChainOptions,
        metrics: &Metrics,
    ) -> Result<Self, OpenError> {
        let store = Arc::clone(blocks.store());
        let genesis_hash = header.hash();
        let mut params = Params::new(&config)?;
        params.record(header)?;
        let written = blocks.persisted_state()?.ok_or(OpenError::NoState)?;
        for number in council::stored::voted(&*store, written.number)? {
            if let Some(header) = blocks.header(number)? {
                params.record(&header)?;
            }
        }
        let councils = Councils::open(&blocks, header, written.number)?;
        let head = blocks.head().ok_or(ChainError::NoBlock { number: 0 })?;
        check_head(&blocks, head.number)?;
        let base = Inner::load(&blocks, written.number)?.ok_or(ChainError::NoBlock { number: written.number })?;
        let receipts = Inner::load_receipts_from(&blocks, written.number)?.unwrap_or_default();
        let first =
            Head { block: Arc::new(base), receipts: Arc::new(receipts), state: State::open(store, written.hash) };
        let supply = SupplyAt::load(&**blocks.store(), head.number)?;
        let names = Names::open(Arc::clone(blocks.store()))?;
        let mut recent = Recent::new(&options);
        recent.push(first.clone());
        let loaded = Loaded::new(&options);
        let chain = Self(Arc::new(Inner {
            config,
            options,
            store: blocks,
            genesis_hash,
            head: ArcSwap::from_pointee(first),
            params: RwLock::new(params),
            councils,
            recent: RwLock::new(recent),
            loaded: Mutex::new(loaded),
            unwritten: Mutex::new(Unwritten::default()),
            writing: Stopwatch::default(),
            supply: Mutex::new(supply),
            names: Mutex::new(names),
            heads: broadcast::Sender::new(HEADS),
        }));
        for number in written.number + 1..=head.number {
            chain.replay(number, metrics)?;
        }
        Ok(chain)
    }

    /// The transactions of a block with the keys behind their signatures, fit for executing again: blocks that are read
    /// from the store do not have them.
    ///
    /// # Errors
    /// If a signature does not recover.
    pub(crate) fn proven(&self, block: &SealedBlock) -> Result<Vec<SharedTx>, ChainError> {
        let (number, chain_id) = (block.number(), self.config().chain_id);
        let prove = |(index, tx): (usize, &SharedTx)| {
            let is_proven = match tx.auth() {
                SenderAuth::Address => true,
                SenderAuth::Keys(keys) => !keys.is_empty(),
            };
            if is_proven {
                return Ok(Arc::clone(tx));
            }
            let recovered = tx.hashed().clone().recover(chain_id);
            recovered.map(Arc::new).map_err(|_| ChainError::BadTransaction { number, index })
        };
        block.transactions.par_iter().enumerate().map(prove).collect()
    }

    fn replay(&self, number: u64, metrics: &Metrics) -> Result<(), OpenError> {
        let block = Arc::new(self.0.load_recovered(number, metrics)?);
        let (_, state) = self.head_state();
        let result =
            crate::driver::replay(self, &block, state).map_err(|source| OpenError::Replay { number, source })?;
        Ok(self.resume(block, result)?)
    }
}

/// The header of block 0, which is written if the store is empty and must be the stored one otherwise.
///
/// The state of a large genesis takes seconds to build. It is not built again for a genesis that was seen before.
fn first_header(blocks: &ChainStore, genesis: &Genesis, preimages: bool) -> Result<Header, OpenError> {
    let digest = digest(genesis)?;
    let stored = blocks.header(0)?;
    if let Some(header) = &stored
        && blocks.store().get(Table::Meta, DIGEST_KEY)?.as_deref() == Some(digest.as_slice())
    {
        check_config(blocks, &genesis.config)?;
        return Ok(header.clone());
    }
    let mut nodes = Batch::default();
    let header = genesis_block(genesis, &mut nodes)?;
    match stored.map(|header| header.hash()) {
        None => {
            if preimages && genesis.alloc.len() <= MAX_NAMED {
                let mut names = Names::open(Arc::clone(blocks.store()))?;
                names.learn(&preimages_of(genesis));
                names.write()?;
            }
            write_genesis(blocks, genesis, &header, nodes)?;
        }
        Some(found) if found != header.hash() => {
            return Err(OpenError::OtherGenesis { expected: header.hash(), found });
        }
        Some(_) => check_config(blocks, &genesis.config)?,
    }
    let mut batch = Batch::default();
    batch.put(Table::Meta, DIGEST_KEY, digest.as_slice());
    blocks.store().write(batch)?;
    Ok(header)
}

/// Most accounts of a genesis whose addresses are kept under their hashes.
const MAX_NAMED: usize = 100_000;

fn preimages_of(genesis: &Genesis) -> Preimages {
    let slots = genesis.alloc.values().flat_map(|account| account.storage.keys());
    Preimages {
        accounts: genesis.alloc.keys().map(|address| (keccak256(address), *address)).collect(),
        slots: slots.map(|slot| (keccak256(slot), *slot)).collect(),
    }
}

/// Where [`Table::Meta`] holds the digest of the genesis.
const DIGEST_KEY: &[u8] = b"genesis";

/// Hash of everything that a genesis says.
fn digest(genesis: &Genesis) -> Result<B256, OpenError> {
    struct Hashed(Keccak256);
    impl io::Write for Hashed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hashed = io::BufWriter::new(Hashed(Keccak256::new()));
    serde_json::to_writer(&mut hashed, genesis)?;
    hashed.into_inner().map(|hashed| hashed.0.finalize()).map_err(|error| OpenError::Digest(error.error().kind()))
}

/// Whether the stored chain was made under a configuration that agrees with this one so far.
fn check_config(blocks: &ChainStore, config: &ChainConfig) -> Result<(), OpenError> {
    let Some(json) = blocks.chain_config()? else { return Ok(()) };
    let stored: ChainConfig = serde_json::from_slice(&json)?;
    if stored.chain_id != config.chain_id {
        return Err(OpenError::OtherChainId { expected: config.chain_id, got: stored.chain_id });
    }
    let head = blocks.head().map_or(0, |head| head.number);
    Ok(stored.forks.check_compatible(&config.forks, head)?)
}

/// Stores the state of block 0, which is in `nodes`, and then the block. A crash in between leaves an empty chain.
fn write_genesis(blocks: &ChainStore, genesis: &Genesis, header: &Header, nodes: Batch) -> Result<(), OpenError> {
    blocks.persist_state(header.number, header.state_root, nodes)?;
    let mut batch = Batch::default();
    put_chain_config(&mut batch, serde_json::to_vec(&genesis.config)?);
    SupplyAt::put_genesis(genesis, &mut batch);
    let new = NewBlock {
        number: header.number,
        hash: header.hash(),
        header: header.encode(),
        body: stored::encode_body(&[]),
        receipts: encode_receipts(&[]),
        tx_hashes: &[],
        sender_tx_hashes: &[],
    };
    Ok(blocks.append(new, batch)?)
}

impl Inner {
    /// A block of the store, senders as stored.
    pub(super) fn load_block(&self, number: u64) -> Result<Option<Arc<SealedBlock>>, ChainError> {
        Ok(Self::load(&self.store, number)?.map(Arc::new))
    }

    fn load(store: &ChainStore, number: u64) -> Result<Option<SealedBlock>, ChainError> {
        let Some((header, hash, body)) = Self::parts(store, number)? else { return Ok(None) };
        let transactions =
            stored::decode_body(&body).map_err(|source| StorageError::Corrupt { what: "body", source })?;
        let proposer = proposer(&header);
        Ok(Some(SealedBlock::new(header, hash, transactions, proposer)))
    }

    fn parts(store: &ChainStore, number: u64) -> Result<Option<(Header, B256, Vec<u8>)>, ChainError> {
        let (Some(header), Some(hash)) = (store.header(number)?, store.hash(number)?) else { return Ok(None) };
        let body = store.body_bytes(number)?.ok_or(StorageError::Missing { what: "body", number })?;
        Ok(Some((header, hash, body)))
    }

    /// A block of the store with every signature recovered, on all cores: fit for executing again.
    fn load_recovered(&self, number: u64, metrics: &Metrics) -> Result<SealedBlock, ChainError> {
        let (header, hash, body) = Self::parts(&self.store, number)?.ok_or(ChainError::NoBlock { number })?;
        let (transactions, _) =
            stored::decode_transactions(&body).map_err(|source| StorageError::Corrupt { what: "body", source })?;
        metrics.recoveries.add(transactions.len() as u64);
        let chain_id = self.config.chain_id;
        let recovered: Result<Vec<_>, ChainError> = transactions
            .into_par_iter()
            .enumerate()
            .map(|(index, tx)| {
                tx.recover(chain_id).map(Arc::new).map_err(|_| ChainError::BadTransaction { number, index })
            })
            .collect();
        let proposer = proposer(&header);
        Ok(SealedBlock::new(header, hash, recovered?, proposer))
    }

    /// Receipts of the store.
    pub(super) fn load_receipts(&self, number: u64) -> Result<Option<BlockReceipts>, ChainError> {
        Self::load_receipts_from(&self.store, number)
    }

    fn load_receipts_from(store: &ChainStore, number: u64) -> Result<Option<BlockReceipts>, ChainError> {
        let Some(bytes) = store.receipts_bytes(number)? else { return Ok(None) };
        let hashes = store.tx_hashes(number)?;
        let receipts =
            decode_receipts(&bytes, &hashes).map_err(|source| StorageError::Corrupt { what: "receipts", source })?;
        Ok(Some(BlockReceipts { receipts }))
    }
}

/// Whether the newest block can be read.
fn check_head(store: &ChainStore, number: u64) -> Result<(), ChainError> {
    let read = Inner::load(store, number).and_then(|_block| Inner::load_receipts_from(store, number));
    read.map(drop).map_err(|error| match error {
        ChainError::Storage(error) => error.of_head(number).into(),
        other => other,
    })
}

/// The sealer; the zero address for genesis, which nobody sealed.
fn proposer(header: &Header) -> Address {
    header.proposer().unwrap_or_default()
}
