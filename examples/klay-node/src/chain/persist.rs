//! When and how states are written.
//!
//! A state in which little has changed goes into the batch of its block. A state in which much has changed is written by
//! a thread of its own while the chain goes on: the trie is shared and immutable, so that blocks are executed over it
//! meanwhile. What a crash leaves unwritten is executed again from the blocks.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use klay_core::storage::{Batch, chain::put_persisted_state};
use klay_vm::State;

use super::{Chain, ChainError, ChainOptions, Head};

/// What the store does not have of the newest state.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// Blocks since the last state that was written or is being written.
    blocks: u64,
    /// Accounts changed since then, counted in each block.
    accounts: usize,
    /// The state that is being written.
    writer: Option<JoinHandle<Result<State, ChainError>>>,
}

/// What to do with the state of a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Write it together with the block.
    WithBlock,
    /// Write it after the block, in the background.
    Behind,
    /// Leave it for later.
    Later,
}

/// Time in a sum, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Stopwatch(AtomicU64);

impl Stopwatch {
    fn add(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl Unwritten {
    pub(super) const fn count(&mut self, accounts: usize) {
        self.blocks += 1;
        self.accounts += accounts;
    }

    /// Takes a block back that could not be stored.
    pub(super) const fn uncount(&mut self, accounts: usize) {
        self.blocks -= 1;
        self.accounts -= accounts;
    }

    pub(super) const fn is_nothing(&self) -> bool {
        self.blocks == 0 && self.writer.is_none()
    }

    pub(super) const fn clear(&mut self) {
        (self.blocks, self.accounts) = (0, 0);
    }

    /// What to do with the state of a block that has changed this many accounts.
    pub(super) const fn plan(&self, changed: usize, options: &ChainOptions) -> Plan {
        if self.writer.is_some() {
            Plan::Later
        } else if self.accounts <= options.persist_small || options.persist_every <= 1 || options.keeps(changed) {
            Plan::WithBlock
        } else if self.blocks >= options.persist_every || self.accounts > options.persist_changed {
            Plan::Behind
        } else {
            Plan::Later
        }
    }

    /// The state whose writing has ended since this was asked the last time; with `wait`, whose writing is under way.
    pub(super) fn written(&mut self, wait: bool) -> Option<State> {
        let writer = self.writer.take_if(|writer| wait || writer.is_finished())?;
        match writer.join() {
            Ok(Ok(state)) => Some(state),
            Ok(Err(error)) => {
                tracing::error!(%error, "state cannot be written");
                None
            }
            Err(_) => {
                tracing::error!("the thread that writes states has ended");
                None
            }
        }
    }
}

impl ChainOptions {
    /// Whether the state of a block that has changed this many accounts must stay readable.
    pub(super) const fn keeps(&self, changed: usize) -> bool {
        self.persist_every <= 1 || changed <= self.persist_block
    }
}

impl Chain {
    /// Lets a thread write the state of `head`.
    pub(super) fn write_behind(&self, head: &Head, unwritten: &mut Unwritten) {
        let (chain, number, state) = (self.clone(), head.block.number(), head.state.clone());
        let write = move || {
            // The chain has gone on; it drops what is written from its own, newer state.
            let _stored = chain.write_state(number, &state)?;
            Ok(state)
        };
        match thread::Builder::new().name("klay-state".to_owned()).spawn(write) {
            Ok(writer) => {
                unwritten.writer = Some(writer);
                unwritten.clear();
            }
            Err(error) => tracing::error!(%error, "no thread to write the state"),
        }
    }

    /// Writes the newest state, so that the next start executes nothing again.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) fn persist(&self) -> Result<(), ChainError> {
        let mut unwritten = self.0.unwritten.lock();
        if unwritten.is_nothing() {
            return Ok(());
        }
        let _older = unwritten.written(true);
        let head = self.0.head.load_full();
        let state = self.write_state(head.block.number(), &head.state)?;
        self.0.head.store(std::sync::Arc::new(Head { state, ..(*head).clone() }));
        unwritten.clear();
        Ok(())
    }

    /// The commit of `state` as part of `batch`, which is that of block `number`. Many nodes are written ahead of the
    /// batch, which then holds the pointer to them alone: a store may need many times the memory of a batch.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) fn commit_with(
        &self,
        number: u64,
        state: &State,
        batch: &mut Batch,
    ) -> Result<klay_vm::state::StateCommit, ChainError> {
        let began = Instant::now();
        let mut nodes = Batch::default();
        let commit = state.commit(&mut nodes);
        self.write_names()?;
        if nodes.writes.len() > WITH_BLOCK {
            self.0.store.write_nodes(nodes)?;
        } else {
            batch.writes.append(&mut nodes.writes);
        }
        put_persisted_state(batch, number, state.root());
        self.0.writing.add(began.elapsed());
        Ok(commit)
    }

    /// Writes the state of block `number`; gives it without what is stored now.
    fn write_state(&self, number: u64, state: &State) -> Result<State, ChainError> {
        let began = Instant::now();
        let mut nodes = Batch::default();
        let commit = state.commit(&mut nodes);
        self.write_names()?;
        self.0.store.persist_state(number, state.root(), nodes)?;
        let stored = commit.confirm();
        self.0.writing.add(began.elapsed());
        Ok(stored)
    }

    /// How long states have been written since the chain was opened, in the batches of their blocks or behind them.
    pub(crate) fn writing(&self) -> Duration {
        self.0.writing.total()
    }

    /// Names go ahead of the state that has them: known too early they do no harm.
    fn write_names(&self) -> Result<(), ChainError> {
        Ok(self.0.names.lock().write()?)
    }
}

/// Most records of a state in the batch of its block.
const WITH_BLOCK: usize = 512;
