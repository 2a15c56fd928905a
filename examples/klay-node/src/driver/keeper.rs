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
    votes::Votes,
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
    /// Votes that wait for a header of this validator.
    votes: Option<(Address, Votes)>,
    writer: Mutex<()>,
}

/// What the chain has at the height of a block.
enum Place {
    /// Nothing yet.
    Free,
    /// This very block.
    Same,
    /// Another one.
    Other(B256),
}

/// What became of a decided block.
pub(super) enum Taken {
    /// It is the head now.
    New(Head),
    /// It was in the chain already.
    Known,
}

impl Keeper {
    pub(crate) fn new(
        chain: Chain,
        pool: TxPool,
        metrics: Arc<Metrics>,
        (engine, period): (EngineKind, u64),
        votes: Option<(Address, Votes)>,
    ) -> Arc<Self> {
        let judge = Judge::new(chain.clone(), engine);
        let (undecided, writer) = (Undecided::default(), Mutex::default());
        Arc::new(Self { chain, pool, metrics, judge, undecided, period, votes, writer })
    }

    /// Whether the chain has this block. Waits for what is being taken over.
    pub(super) fn has(&self, number: u64, hash: B256) -> bool {
        let _writer = self.writer.lock();
        matches!(self.place(number, hash), Ok(Place::Same))
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
        match self.place(header.number, hash)? {
            Place::Free => {}
            Place::Same => return Ok(Taken::Known),
            Place::Other(known) => return Err(self.fork(header.number, known, hash)),
        }
        let head = self.append(header, hash, author, executed, true)?;
        self.chain.announce(head.clone());
        Ok(Taken::New(head))
    }

    fn place(&self, number: u64, hash: B256) -> Result<Place, Refused> {
        if number > self.chain.head().number() {
            return Ok(Place::Free);
        }
        let header = self.chain.header(number);
        let known = header.map_err(|error| Refused::NotNow { number, reason: error.to_string() })?.hash();
        Ok(if known == hash { Place::Same } else { Place::Other(known) })
    }

    /// Raises the alarm: another block was decided where the chain has one. To be asked for only once that is certain,
    /// as anybody can make up a header.
    fn fork(&self, number: u64, known: B256, other: B256) -> Refused {
        tracing::error!(number, %known, %other, "two blocks of one height");
        self.metrics.forks.add(1);
        Refused::Invalid { number, reason: format!("the chain has {known} there, not {other}") }
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
        if let Some((me, votes)) = &self.votes {
            votes.included(author, *me, &head.block.header);
        }
        tracing::info!(number, %hash, transactions = transactions.len(), gas = result.gas_used, "block");
        Ok(head)
    }

    fn take_over(&self, block: Received, is_synced: bool) -> Result<Option<Head>, Refused> {
        let Received { header, transactions } = block;
        let (number, hash) = (header.number, header.hash());
        match self.place(number, hash)? {
            Place::Free => {}
            Place::Same => return Ok(None),
            Place::Other(known) => {
                self.judge.seals(&header, hash).map_err(|error| refused(number, error))?;
                return Err(self.fork(number, known, hash));
            }
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
        self.append(header, hash, author, &executed, is_synced).map(Some)
    }

    fn take_all(&self, blocks: Vec<Received>) -> Result<(), Refused> {
        let _writer = self.writer.lock();
        // One alone, as blocks come when none is missing, is durable before it is seen; many share a sync.
        let is_synced = blocks.len() == 1;
        let mut heads = Vec::new();
        let mut outcome = Ok(());
        for block in blocks {
            match self.take_over(block, is_synced) {
                Ok(head) => heads.extend(head),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        // Durable before anybody hears of them.
        if !is_synced
            && let Some(last) = heads.last()
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

    async fn is_sealed(&self, header: &Header) -> bool {
        let (keeper, header) = (Arc::clone(&self.0), header.clone());
        let judged = tokio::task::spawn_blocking(move || keeper.judge.seals(&header, header.hash())).await;
        !matches!(judged, Ok(Err(Unfit::Invalid { .. })))
    }

    async fn import(&self, blocks: Vec<Received>) -> Result<(), Refused> {
        let number = blocks.first().map_or(0, |block| block.header.number);
        let keeper = Arc::clone(&self.0);
        let taken = tokio::task::spawn_blocking(move || keeper.take_all(blocks)).await;
        taken.unwrap_or_else(|error| Err(Refused::NotNow { number, reason: error.to_string() }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use klay_consensus::{istanbul::HeaderValue as _, types::Value as _};
    use klay_core::{
        block::IstanbulExtra,
        governance::{Vote, VoteAction},
    };
    use klay_vm::randao::RevealSigner;

    use super::*;
    use crate::{
        driver::{
            Author, Votes, build,
            judge::tests::{SECRETS, address, chain, seal_of},
        },
        pool::PoolConfig,
    };

    /// The keeper of a chain with one block, and what that block does.
    fn keeper(engine: EngineKind) -> (Arc<Keeper>, Arc<Executed>) {
        let chain = chain();
        let pool = TxPool::new(PoolConfig::default(), chain.pool_head(), Arc::default());
        let me = address(&SECRETS[0]);
        let votes = Some((me, Votes::default()));
        let keeper = Keeper::new(chain.clone(), pool, Arc::default(), (engine, 1), votes);
        let author = Author {
            address: me,
            rewardbase: me,
            randao: RevealSigner::derive(&SECRETS[0]).unwrap(),
            vanity: Vec::new(),
            gas_limit: 1_000_000,
            period: 1,
        };
        let base = keeper.undecided.base(&chain, chain.head().hash).unwrap().unwrap();
        let votes = Votes::default();
        let built = build::build(&chain, &keeper.pool, (&author, &votes), &base, Duration::from_secs(1), true);
        let block = built.unwrap().unwrap();
        let executed = Arc::clone(block.executed().unwrap());
        assert!(keeper.decided(block.header().clone(), block.id(), me, &executed).is_ok());
        (keeper, executed)
    }

    /// Another block 1, with the seals of these.
    fn other(engine: EngineKind, secrets: &[[u8; 32]]) -> Received {
        let mut extra = IstanbulExtra::genesis(Vec::new());
        extra.vanity[23..31].copy_from_slice(&1u64.to_be_bytes());
        let mut header = Header { number: 1, extra: extra.encode().into(), ..Header::default() };
        let hash = header.hash();
        let digest = engine.sealed(&header, hash, 0).unwrap()[0].digest;
        extra.committed_seals = secrets.iter().map(|secret| seal_of(secret, digest)).collect();
        header.extra = extra.encode().into();
        assert_eq!(header.hash(), hash);
        Received { header, transactions: Vec::new() }
    }

    #[test]
    fn only_seals_of_the_validators_make_a_fork() {
        for engine in [EngineKind::Istanbul, EngineKind::Justified, EngineKind::Simplex] {
            let (keeper, _) = keeper(engine);
            let committee = keeper.chain.council_at(1).unwrap().committee(0).unwrap();
            let inside: Vec<_> = SECRETS.into_iter().filter(|secret| committee.contains(&address(secret))).collect();
            for secrets in [&[][..], &[[9; 32]; 3]] {
                let refused = keeper.take_all(vec![other(engine, secrets)]);
                assert!(matches!(refused, Err(Refused::Invalid { number: 1, .. })), "{engine:?}: {refused:?}");
                assert_eq!(keeper.metrics.forks.value(), 0, "{engine:?}");
            }
            let refused = keeper.take_all(vec![other(engine, &inside)]);
            assert!(matches!(refused, Err(Refused::Invalid { number: 1, .. })), "{engine:?}: {refused:?}");
            assert_eq!(keeper.metrics.forks.value(), 1, "{engine:?}");
        }
    }

    /// Whether it comes from the engine or from a peer.
    #[test]
    fn a_vote_waits_no_longer_once_its_block_is_in_the_chain() {
        let (keeper, executed) = keeper(EngineKind::Istanbul);
        let (me, votes) = keeper.votes.as_ref().unwrap();
        let action = VoteAction::AddValidator(vec![Address::repeat_byte(7)]);
        assert!(votes.cast(action.clone()));
        let vote = Vote { voter: *me, action }.encode().into();
        let last = keeper.chain.head();
        let header = Header { number: 2, parent_hash: last.hash, vote, ..last.header.clone() };
        let hash = header.hash();
        assert!(keeper.append(header, hash, *me, &executed, true).is_ok());
        assert_eq!(votes.waiting(), []);
        assert!(keeper.has(2, hash) && !keeper.has(2, last.hash) && !keeper.has(3, hash));
    }

    #[tokio::test]
    async fn the_network_learns_who_has_sealed_before_it_asks_for_anything() {
        for engine in [EngineKind::Istanbul, EngineKind::Justified, EngineKind::Simplex] {
            let (keeper, _) = keeper(engine);
            let committee = keeper.chain.council_at(1).unwrap().committee(0).unwrap();
            let inside: Vec<_> = SECRETS.into_iter().filter(|secret| committee.contains(&address(secret))).collect();
            let door = Door(keeper);
            for (secrets, is_sealed) in [(&[][..], false), (&[[9; 32]; 3], false), (&inside, true)] {
                assert_eq!(door.is_sealed(&other(engine, secrets).header).await, is_sealed, "{engine:?}");
            }
        }
    }

    #[test]
    fn a_second_decision_of_the_engine_is_a_fork() {
        let (keeper, executed) = keeper(EngineKind::Istanbul);
        let header = other(EngineKind::Istanbul, &[]).header;
        let hash = header.hash();
        assert!(keeper.decided(header, hash, address(&SECRETS[0]), &executed).is_err());
        assert_eq!(keeper.metrics.forks.value(), 1);
    }
}
