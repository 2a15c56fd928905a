//! Imports blocks of the reference client's export format and verifies everything about them.
//!
//! ```text
//! bytes -> split into blocks -> decode, hash, recover signers -> verify, execute, compare -> store
//!          one thread           all cores, ahead                 one thread, in order
//! ```
//!
//! | Checked | Against |
//! |---|---|
//! | header | fork, parent, clock, base fee, blob gas; the author's seal; Randao against the author's BLS key |
//! | committed seals | council and committee of the block: [`crate::council`] |
//! | vote, governance field | council, author, parameters, votes of the epoch before |
//! | body | transactions root, size, prices, blobs |
//! | execution | every signature; gas, bloom, receipts root, state root with rewards and system writes in it |
//!
//! A block is stored when all of it holds. The first that does not ends the import with the rule, what the rule expects
//! and what was found ([`Refusal`]); the blocks before it stay. Blocks are written in order, synced four times a second and
//! then announced: a process that is killed has lost at most that, and the next import skips what is there.
//!
//! Source: spec 30, sections 1.5, 1.6 and 10; spec 50, section 1.11.

mod prepare;
mod refusal;
mod stream;
mod verify;

use std::{
    io::{self, Read},
    ops::ControlFlow,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use klay_consensus::{istanbul::import::HeaderError, types::WallTime};
use klay_core::B256;
use klay_vm::randao::ProposerKeys;

pub use refusal::Refusal;
pub use stream::{BlockStream, StreamError, unpacked};

use self::{
    prepare::{Ahead, Item, KnownKeys, Prepared},
    verify::Keys,
};
use crate::{
    Chain,
    chain::{ChainError, HeadEvent},
    council::CouncilError,
    driver::ExecuteError,
};

/// How long blocks may stay in the store's buffers.
const SYNC_EVERY: Duration = Duration::from_millis(250);
/// Groups of prepared blocks that wait for their verification.
const GROUPS_AHEAD: usize = 3;
/// How far ahead of the clock a block may be to be waited for, in seconds; the reference client keeps such blocks in a
/// queue.
const MAX_WAIT: u64 = 30;

/// Why an import ended before the end of its source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A block breaks a rule.
    #[error("block {number} is refused by the rule on {}: {refusal}", refusal.rule())]
    Refused {
        /// The block.
        number: u64,
        /// Which rule, and why.
        refusal: Box<Refusal>,
    },
    /// The source cannot be read.
    #[error("after block {number}: {source}")]
    Read {
        /// The last block that was read.
        number: u64,
        /// Why.
        source: io::Error,
    },
    /// The chain cannot be read or written.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Validators cannot be determined.
    #[error(transparent)]
    Council(#[from] CouncilError),
    /// A block cannot be executed for a reason that is not its own.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
}

/// What an import has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// Blocks that were new.
    pub imported: u64,
    /// Blocks that were there already.
    pub skipped: u64,
    /// Transactions of the new blocks.
    pub transactions: u64,
    /// Gas of the new blocks.
    pub gas_used: u64,
    /// Height of the newest block.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Whether the observer ended the import before the source did.
    pub is_interrupted: bool,
    /// What the thread that verifies in order did with its time.
    pub spent: Spent,
}

/// Time of the thread that verifies and stores blocks in order. Decoding and recovery run beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Waiting for blocks.
    pub waiting: Duration,
    /// Headers, seals, governance, bodies with their roots, and the comparison of what came out.
    pub checks: Duration,
    /// Transactions.
    pub execution: Duration,
    /// Rewards and the state root.
    pub roots: Duration,
    /// Storing blocks, receipts, index and states.
    pub storage: Duration,
    /// Writing states, part of `storage`; what was written behind the blocks ran beside everything.
    pub states: Duration,
}

/// A block that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The block.
    pub number: u64,
    /// Its transactions.
    pub transactions: usize,
    /// Their gas.
    pub gas_used: u64,
    /// Whether it was there already.
    pub is_skipped: bool,
}

/// Imports the blocks of `source`, plain or gzip, behind the head of `chain`. Blocks that are there already are skipped.
/// `observe` hears of each block before it is durable, and may end the import.
///
/// # Errors
/// If a block is refused, the source cannot be read, or the chain fails. Everything before that is stored.
pub fn import(
    chain: &Chain,
    source: impl Read + Send,
    observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
) -> Result<Imported, ImportError> {
    let (sender, receiver) = mpsc::sync_channel(GROUPS_AHEAD);
    let (known, chain_id, written) = (chain.head().number(), chain.config().chain_id, chain.writing());
    let keys = KnownKeys::default();
    let mut importer = Importer::new(chain, &keys);
    let outcome = thread::scope(|scope| {
        let ahead = Ahead { known, chain_id, keys: &keys };
        scope.spawn(move || prepare::prepare(source, ahead, |group| sender.send(group).is_ok()));
        // The channel closes when this ends, and with it the thread.
        importer.run(receiver, observe)
    });
    // What was good is kept, however it ended.
    let mut done = importer.end()?;
    outcome.map(|()| {
        done.spent.states = chain.writing() - written;
        done
    })
}

struct Importer<'a> {
    chain: &'a Chain,
    keys: Keys<'a>,
    synced: Instant,
    /// What was stored since the last sync.
    unsynced: Vec<HeadEvent>,
    done: Imported,
}

impl<'a> Importer<'a> {
    fn new(chain: &'a Chain, known: &'a KnownKeys) -> Self {
        let head = chain.head();
        let done = Imported {
            imported: 0,
            skipped: 0,
            transactions: 0,
            gas_used: 0,
            number: head.number(),
            hash: head.hash,
            is_interrupted: false,
            spent: Spent::default(),
        };
        let keys = Keys { registered: ProposerKeys::default(), known };
        Self { chain, keys, synced: Instant::now(), unsynced: Vec::new(), done }
    }

    fn run(
        &mut self,
        groups: mpsc::Receiver<Vec<Item>>,
        observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Result<(), ImportError> {
        loop {
            match timed(&mut self.done.spent.waiting, || groups.recv_timeout(SYNC_EVERY)) {
                Ok(group) => {
                    if self.group(group, observe)?.is_break() {
                        self.done.is_interrupted = true;
                        break;
                    }
                }
                // What came already does not wait for a slow source.
                Err(RecvTimeoutError::Timeout) => self.sync_pending()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    /// Writes the newest state and makes everything durable.
    fn end(mut self) -> Result<Imported, ImportError> {
        timed(&mut self.done.spent.storage, || self.chain.persist())?;
        self.sync()?;
        Ok(self.done)
    }

    /// Makes durable what was stored, and announces it.
    fn sync(&mut self) -> Result<(), ChainError> {
        timed(&mut self.done.spent.storage, || self.chain.sync())?;
        self.synced = Instant::now();
        self.unsynced.drain(..).for_each(|head| self.chain.announce(head));
        Ok(())
    }

    fn sync_pending(&mut self) -> Result<(), ChainError> {
        if self.unsynced.is_empty() { Ok(()) } else { self.sync() }
    }

    fn group(
        &mut self,
        group: Vec<Item>,
        observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ImportError> {
        for item in group {
            let step = match item {
                Item::Block(block) => self.block(*block)?,
                Item::Wrong { number, refusal } => {
                    return Err(ImportError::Refused { number, refusal: Box::new(refusal) });
                }
                Item::Unreadable { number, source } => return Err(ImportError::Read { number, source }),
            };
            if observe(step).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn block(&mut self, block: Prepared) -> Result<Step, ImportError> {
        let number = block.header.number;
        let mut step = Step { number, transactions: 0, gas_used: block.header.gas_used, is_skipped: true };
        if number <= self.done.number {
            self.skip(&block)?;
            self.done.skipped += u64::from(number > 0);
            return Ok(step);
        }
        let (sealed, result) = loop {
            match verify::verify(self.chain, &self.keys, &block, now(), &mut self.done.spent) {
                Ok(verified) => break verified,
                Err(verify::Stop::Refused(Refusal::Header(HeaderError::Future { timestamp, limit })))
                    if timestamp - limit <= MAX_WAIT =>
                {
                    self.sync_pending()?;
                    thread::sleep(Duration::from_secs(timestamp - limit).min(Duration::from_millis(200)));
                }
                Err(stop) => return Err(stop.at(number)),
            }
        };
        step.transactions = sealed.transactions.len();
        step.is_skipped = false;
        let head = timed(&mut self.done.spent.storage, || self.chain.append_unsynced(Arc::new(sealed), &result))?;
        self.done.imported += 1;
        self.done.transactions += step.transactions as u64;
        self.done.gas_used = self.done.gas_used.saturating_add(step.gas_used);
        (self.done.number, self.done.hash) = (number, head.block.hash);
        self.unsynced.push(head.into());
        if self.synced.elapsed() >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(step)
    }

    /// A block at a height that the chain has must be the chain's own.
    fn skip(&self, block: &Prepared) -> Result<(), ImportError> {
        let number = block.header.number;
        let stored = self.chain.hash_of(number)?.ok_or(ChainError::NoBlock { number })?;
        if stored == block.signers.hash {
            return Ok(());
        }
        let refusal = Box::new(Refusal::OtherBlock { expected: stored, got: block.signers.hash });
        Err(ImportError::Refused { number, refusal })
    }
}

/// Does something and adds the time it took to `spent`.
fn timed<R>(spent: &mut Duration, run: impl FnOnce() -> R) -> R {
    let began = Instant::now();
    let done = run();
    *spent += began.elapsed();
    done
}

fn now() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
