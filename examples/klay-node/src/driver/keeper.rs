//! The one who makes the chain longer: blocks that an engine has decided, and blocks that others have decided.

use std::sync::Arc;

use async_trait::async_trait;
use klay_consensus::{
    host::Tip,
    istanbul::Klaytn,
    types::{Height, WallTime},
};
use klay_core::{Address, B256, block::Header};
use parking_lot::Mutex;

use super::{
    EngineKind, Proposal,
    base::Undecided,
    judge::{Judge, Unfit},
    proposal::Executed,
};
use crate::{
    Chain, TxPool,
    chain::{Head, SealedBlock},
    metrics::Metrics,
    network::{Importer, Received, Refused},
};

/// Takes blocks over, one at a time.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(super) chain: Chain,
    pub(super) pool: TxPool,
    pub(super) metrics: Arc<Metrics>,
    pub(super) judge: Judge,
    pub(super) undecided: Undecided,
    /// Seconds between two blocks.
    pub(super) period: u64,
    writer: Mutex<()>,
}

/// What became of a decided block.
pub(super) enum Taken {
    /// It is the head now.
    New(Head),
    /// It was in the chain already.
    Known,
}

impl Keeper {
    pub(crate) fn new(chain: Chain, pool: TxPool, metrics: Arc<Metrics>, engine: EngineKind, period: u64) -> Arc<Self> {
        let judge = Judge::new(chain.clone(), engine);
        let (undecided, writer) = (Undecided::default(), Mutex::default());
        Arc::new(Self { chain, pool, metrics, judge, undecided, period, writer })
    }

    /// The newest block as an engine sees it.
    pub(super) fn tip(&self) -> Tip<Klaytn<Proposal>> {
        self.tip_of(&self.chain.head())
    }

    pub(super) const fn tip_of(&self, block: &SealedBlock) -> Tip<Klaytn<Proposal>> {
        let next = block.header.timestamp.saturating_add(self.period);
        Tip { height: Height::new(block.number()), id: block.hash, next_at: WallTime::from_secs(next) }
    }

    /// Takes over a block that was executed here and that the engine has decided.
    pub(super) fn decided(
        &self,
        header: Header,
        hash: B256,
        author: Address,
        executed: &Executed,
    ) -> Result<Taken, Refused> {
        let _writer = self.writer.lock();
        if self.is_known(header.number, hash)? {
            return Ok(Taken::Known);
        }
        let head = self.append(header, hash, author, executed, true)?;
        self.chain.announce(head.clone());
        Ok(Taken::New(head))
    }

    /// Whether the chain has this very block. Another one at its height would be a fork.
    fn is_known(&self, number: u64, hash: B256) -> Result<bool, Refused> {
        if number > self.chain.head().number() {
            return Ok(false);
        }
        let not_now = |reason: String| Refused::NotNow { number, reason };
        let known = self.chain.header(number).map_err(|error| not_now(error.to_string()))?.hash();
        if known == hash {
            return Ok(true);
        }
        tracing::error!(number, %known, other = %hash, "two blocks of one height");
        self.metrics.forks.add(1);
        Err(Refused::Invalid { number, reason: format!("the chain has {known} there, not {hash}") })
    }

    fn append(
        &self,
        header: Header,
        hash: B256,
        author: Address,
        executed: &Executed,
        is_synced: bool,
    ) -> Result<Head, Refused> {
        let number = header.number;
        let Executed { transactions, result, .. } = executed;
        let block = Arc::new(SealedBlock::new(header, hash, transactions.clone(), author));
        let appended = match is_synced {
            true => self.chain.append(block, result),
            false => self.chain.append_unsynced(block, result),
        };
        let head = appended.map_err(|error| {
            tracing::error!(%error, number, "block cannot be stored");
            Refused::NotNow { number, reason: error.to_string() }
        })?;
        self.metrics.blocks.add(1);
        self.metrics.committed.add(transactions.len() as u64);
        self.pool.follow(self.chain.pool_head(), result.changed.iter().map(|(address, account)| (*address, account)));
        self.undecided.decided(number);
        tracing::info!(number, %hash, transactions = transactions.len(), gas = result.gas_used, "block");
        Ok(head)
    }

    fn take_over(&self, block: Received) -> Result<Option<Head>, Refused> {
        let Received { header, transactions } = block;
        let (number, hash) = (header.number, header.hash());
        if self.is_known(number, hash)? {
            return Ok(None);
        }
        let base = match self.undecided.base(&self.chain, header.parent_hash) {
            Ok(Some(base)) if base.header.number == self.chain.head().number() => base,
            Ok(_) if number > self.chain.head().number() + 1 => {
                return Err(Refused::NotNow { number, reason: "the parent is missing".to_owned() });
            }
            Ok(_) => return Err(Refused::Invalid { number, reason: "it does not follow the head".to_owned() }),
            Err(error) => return Err(refused(number, error.into())),
        };
        self.judge.seals(&header, hash).map_err(|error| refused(number, error))?;
        let (author, executed) = match self.undecided.get(hash) {
            Some(executed) => (header.proposer().unwrap_or_default(), executed),
            None => {
                let author = self.judge.header(&header, &base).map_err(|error| refused(number, error))?;
                let result = self.judge.execute(&header, author, &transactions, &base);
                let result = result.map_err(|error| refused(number, error))?;
                (author, Arc::new(Executed::new(transactions, result)))
            }
        };
        self.append(header, hash, author, &executed, false).map(Some)
    }

    fn take_all(&self, blocks: Vec<Received>) -> Result<(), Refused> {
        let _writer = self.writer.lock();
        let mut heads = Vec::new();
        let mut outcome = Ok(());
        for block in blocks {
            match self.take_over(block) {
                Ok(head) => heads.extend(head),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        // Durable before anybody hears of them.
        if let Some(last) = heads.last()
            && let Err(error) = self.chain.sync()
        {
            tracing::error!(%error, "blocks cannot be made durable");
            return Err(Refused::NotNow { number: last.block.number(), reason: error.to_string() });
        }
        heads.into_iter().for_each(|head| self.chain.announce(head));
        outcome
    }
}

fn refused(number: u64, error: Unfit) -> Refused {
    match error {
        Unfit::Invalid { .. } => Refused::Invalid { number, reason: error.to_string() },
        Unfit::Early { .. } | Unfit::Failed(_) => Refused::NotNow { number, reason: error.to_string() },
    }
}

/// The keeper as the network sees it.
#[derive(Debug, Clone)]
pub(crate) struct Door(pub(crate) Arc<Keeper>);

#[async_trait]
impl Importer for Door {
    fn is_validator(&self, address: Address) -> bool {
        let next = self.0.chain.head().number().saturating_add(1);
        self.0.chain.registered_at(next).is_ok_and(|council| council.contains(address))
    }

    async fn import(&self, blocks: Vec<Received>) -> Result<(), Refused> {
        let number = blocks.first().map_or(0, |block| block.header.number);
        let keeper = Arc::clone(&self.0);
        let taken = tokio::task::spawn_blocking(move || keeper.take_all(blocks)).await;
        taken.unwrap_or_else(|error| Err(Refused::NotNow { number, reason: error.to_string() }))
    }
}
