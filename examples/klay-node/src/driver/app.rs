//! The node as the consensus host sees it: builds, checks, applies, and knows its head.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use klay_consensus::{
    host::{App, BuildRequest, Tip},
    istanbul::{CommittedSeals, HeaderValue, Klaytn},
    types::{ApplyError, Slot, Value, Verdict},
};
use klay_core::{codec::Reader, tx::HashedTx};
use rayon::prelude::*;

use super::{
    EngineKind,
    build::{self, Author},
    judge::Unfit,
    keeper::{Keeper, Taken},
    proposal::{Executed, Proposal},
    rest::Rest,
    votes::Votes,
};
use crate::{
    Fee, SharedTx,
    network::{Network, Refused},
};

/// How long before its time a block is begun, so that it is ready then and holds what arrived meanwhile.
const LEAD: Duration = Duration::from_millis(120);

/// What a host drives: the keeper of the chain, and who builds. Cloning is cheap.
#[derive(Debug, Clone)]
pub(super) struct NodeApp {
    pub(super) keeper: Arc<Keeper>,
    pub(super) author: Arc<Author>,
    pub(super) votes: Votes,
    /// How long transactions are selected.
    pub(super) build_time: Duration,
    /// Between blocks that are made on demand.
    pub(super) rest: Arc<Rest>,
    /// Where proposals come from, if there are others.
    pub(super) network: Option<Network>,
}

impl NodeApp {
    /// A block that is executed: from the proposal itself, from an earlier check, or executed now.
    fn executed(&self, value: &Proposal) -> Result<Arc<Executed>, Unfit> {
        // The name covers the header alone: other transactions under it are another proposal.
        let same = |executed: &Arc<Executed>| executed.payload() == value.payload();
        let known = value.executed().cloned().or_else(|| self.keeper.undecided.get(value.id()).filter(same));
        known.map_or_else(|| self.execute(value), Ok)
    }

    fn execute(&self, value: &Proposal) -> Result<Arc<Executed>, Unfit> {
        let (keeper, header) = (&self.keeper, value.header());
        let Some(base) = keeper.undecided.base(&keeper.chain, header.parent_hash)? else {
            return Err(Unfit::Early { wait: Duration::from_millis(200) });
        };
        let author = keeper.judge.header(header, &base)?;
        let transactions = self.transactions(value)?;
        let result = keeper.judge.execute(header, author, &transactions, &base)?;
        let executed = Arc::new(Executed::received(transactions, result, value.payload().clone()));
        keeper.undecided.keep(value.id(), header.clone(), Arc::clone(&executed));
        Ok(executed)
    }

    /// The objects behind the bytes of a proposal: those that it was put together from, or recovered now.
    fn transactions(&self, value: &Proposal) -> Result<Vec<SharedTx>, Unfit> {
        let payload = value.payload();
        if let Some(known) = self.network.as_ref().and_then(|network| network.assembled().find(payload)) {
            return Ok(Vec::clone(&known));
        }
        let invalid = |detail: String| Unfit::Invalid { rule: "transactions", detail };
        let mut reader = Reader::new(payload);
        let mut hashed = Vec::new();
        while !reader.is_empty() {
            hashed.push(HashedTx::<Fee>::decode_item(&mut reader).map_err(|error| invalid(error.to_string()))?);
        }
        let names: Vec<_> = hashed.iter().map(HashedTx::hash).collect();
        let waiting = self.keeper.pool.get_all(&names);
        let chain_id = self.keeper.chain.config().chain_id;
        let found = hashed.into_par_iter().zip(waiting).map(|(tx, waiting)| match waiting {
            Some(waiting) => Ok(waiting),
            None => {
                self.keeper.metrics.recoveries.add(1);
                tx.recover(chain_id).map(Arc::new)
            }
        });
        found.collect::<Result<_, _>>().map_err(|error| invalid(error.to_string()))
    }

    fn judge(&self, value: &Proposal) -> Verdict {
        let fits = self.keeper.judge.uncommitted(value.header(), value.id());
        match fits.and_then(|()| self.executed(value)) {
            Ok(_) => Verdict::Valid,
            Err(Unfit::Early { wait }) => Verdict::NotYet { wait },
            Err(Unfit::Invalid { rule, detail }) => {
                tracing::warn!(number = value.header().number, id = %value.id(), rule, detail, "proposal is refused");
                Verdict::Invalid(rule)
            }
            Err(Unfit::Failed(error)) => {
                tracing::error!(%error, number = value.header().number, "proposal cannot be judged");
                Verdict::NotYet { wait: Duration::from_millis(500) }
            }
        }
    }

    fn take(&self, value: Proposal, cert: &CommittedSeals) -> Result<Tip<Klaytn<Proposal>>, ApplyError> {
        if self.keeper.has(value.header().number, value.id()) {
            return Ok(self.keeper.tip());
        }
        let executed = self.executed(&value).map_err(|error| match error {
            // A name that Istanbul has decided was found good: what is wrong is what came here under it. Others may have
            // applied the block, so the lock stays (VT-8) until it comes from them. Other engines ask for it again.
            Unfit::Invalid { .. } if self.keeper.judge.engine == EngineKind::Istanbul => ApplyError::Storage,
            Unfit::Invalid { .. } => ApplyError::Invalid,
            Unfit::Early { .. } | Unfit::Failed(_) => ApplyError::Storage,
        })?;
        // Whatever is wrong with the form in which it came here says nothing about what others have.
        let value = cert.write(value).map_err(|_| ApplyError::Storage)?;
        let (header, hash) = (value.header().clone(), value.id());
        let author = match value.executed() {
            Some(_) => self.author.address,
            None => header.proposer().ok_or(ApplyError::Invalid)?,
        };
        self.keeper.metrics.round_changes.add(cert.round.get());
        match self.keeper.decided(header, hash, author, &executed) {
            Ok(Taken::New(head)) => {
                self.rest.after(executed.transactions.len());
                Ok(self.keeper.tip_of(&head.block))
            }
            Ok(Taken::Known) => Ok(self.keeper.tip()),
            Err(Refused::Invalid { .. }) => Err(ApplyError::Invalid),
            Err(Refused::NotNow { .. }) => Err(ApplyError::Storage),
        }
    }

    /// How long a block for a time that has not come may still be filled before it is begun.
    fn patience(&self, within: Duration) -> Duration {
        within.saturating_sub(self.build_time + LEAD)
    }
}

#[async_trait]
impl App<Klaytn<Proposal>> for NodeApp {
    async fn build(&self, request: BuildRequest<Klaytn<Proposal>>) -> Option<Proposal> {
        let BuildRequest { parent, within, empty, .. } = request;
        let patience = if empty { self.patience(within) } else { self.rest.left() };
        if !patience.is_zero() {
            tokio::time::sleep(patience).await;
        }
        let (app, within) = (self.clone(), within.saturating_sub(patience).max(Duration::from_millis(1)));
        let built = tokio::task::spawn_blocking(move || {
            let keeper = &app.keeper;
            let Some(base) = keeper.undecided.base(&keeper.chain, parent)? else { return Ok(None) };
            build::build(&keeper.chain, &keeper.pool, (&app.author, &app.votes), &base, within, empty)
        });
        match built.await {
            Ok(Ok(proposal)) => proposal,
            Ok(Err(error)) => {
                let error: super::ExecuteError = error;
                tracing::error!(%error, "no block can be built");
                None
            }
            // The host no longer wants it.
            Err(_) => None,
        }
    }

    async fn check(&self, _slot: Slot, value: Proposal) -> Verdict {
        let app = self.clone();
        let judged = tokio::task::spawn_blocking(move || app.judge(&value)).await;
        judged.unwrap_or(Verdict::NotYet { wait: Duration::from_millis(500) })
    }

    async fn apply(&self, value: Proposal, cert: CommittedSeals) -> Result<Tip<Klaytn<Proposal>>, ApplyError> {
        let app = self.clone();
        tokio::task::spawn_blocking(move || app.take(value, &cert)).await.unwrap_or(Err(ApplyError::Storage))
    }

    async fn head(&self) -> Tip<Klaytn<Proposal>> {
        self.keeper.tip()
    }
}
