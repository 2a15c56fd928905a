//! The node as the consensus host sees it: builds, applies, and knows its head.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use klay_consensus::{
    host::{App, BuildRequest, Tip},
    istanbul::{CommittedSeals, HeaderValue, Klaytn},
    types::{ApplyError, Height, Slot, Verdict, WallTime},
};

use super::{
    build::{self, Author},
    proposal::Proposal,
};
use crate::{Chain, TxPool, chain::SealedBlock, metrics::Metrics};

/// What a host drives: the chain, the pool, and who builds.
#[derive(Debug)]
pub(super) struct NodeApp {
    pub(super) chain: Chain,
    pub(super) pool: TxPool,
    pub(super) author: Arc<Author>,
    pub(super) metrics: Arc<Metrics>,
}

impl NodeApp {
    fn tip(&self, block: &SealedBlock) -> Tip<Klaytn<Proposal>> {
        let next = block.header.timestamp.saturating_add(self.author.period);
        Tip { height: Height::new(block.number()), id: block.hash, next_at: WallTime::from_secs(next) }
    }

    fn append(&self, value: Proposal, cert: &CommittedSeals) -> Result<Tip<Klaytn<Proposal>>, ApplyError> {
        let value = cert.write(value).map_err(|_| ApplyError::Invalid)?;
        let body = value.body();
        let block = SealedBlock::new(
            value.header().clone(),
            klay_consensus::types::Value::id(&value),
            body.transactions.clone(),
            self.author.address,
        );
        let head = self.chain.append(Arc::new(block), &body.result).map_err(|error| {
            tracing::error!(%error, "block cannot be stored");
            ApplyError::Storage
        })?;
        self.metrics.blocks.add(1);
        self.metrics.committed.add(body.transactions.len() as u64);
        self.pool
            .follow(self.chain.pool_head(), body.result.changed.iter().map(|(address, account)| (*address, account)));
        let tip = self.tip(&head.block);
        tracing::info!(
            number = head.block.number(),
            hash = %head.block.hash,
            transactions = body.transactions.len(),
            gas = head.block.header.gas_used,
            "block"
        );
        self.chain.announce(head);
        Ok(tip)
    }
}

#[async_trait]
impl App<Klaytn<Proposal>> for NodeApp {
    async fn build(&self, request: BuildRequest<Klaytn<Proposal>>) -> Option<Proposal> {
        let (chain, pool, author) = (self.chain.clone(), self.pool.clone(), Arc::clone(&self.author));
        let BuildRequest { parent, within, empty, .. } = request;
        let built = tokio::task::spawn_blocking(move || {
            if chain.head().hash != parent {
                return Ok(None);
            }
            build::build(&chain, &pool, &author, within.max(Duration::from_millis(1)), empty)
        });
        match built.await {
            Ok(Ok(proposal)) => proposal,
            Ok(Err(error)) => {
                tracing::error!(%error, "no block can be built");
                None
            }
            // The host no longer wants it.
            Err(_) => None,
        }
    }

    async fn check(&self, _slot: Slot, _value: Proposal) -> Verdict {
        // A single authority never judges somebody else's block.
        Verdict::Invalid("not a validator")
    }

    async fn apply(&self, value: Proposal, cert: CommittedSeals) -> Result<Tip<Klaytn<Proposal>>, ApplyError> {
        let app = Self {
            chain: self.chain.clone(),
            pool: self.pool.clone(),
            author: Arc::clone(&self.author),
            metrics: Arc::clone(&self.metrics),
        };
        tokio::task::spawn_blocking(move || app.append(value, &cert)).await.unwrap_or(Err(ApplyError::Storage))
    }

    async fn head(&self) -> Tip<Klaytn<Proposal>> {
        self.tip(&self.chain.head())
    }
}
