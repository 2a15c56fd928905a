//! A sponsor: a policy and a signer, here or behind a network.

use alloy_primitives::Address;
use async_trait::async_trait;
use klay_core::{Sign, crypto::RecoverError};

use crate::{
    partial::SignAsPayerError,
    policy::{Policy, Refusal},
    request::{Requested, Sponsored},
};

/// Somebody who pays fees for others.
///
/// Asynchronous, as the signer or the whole sponsor may be elsewhere.
#[async_trait]
pub trait Sponsor: Send + Sync {
    /// Pays for `request`, or says why not.
    async fn sponsor(&self, request: Requested) -> Result<Sponsored, SponsorError>;
}

/// Why a request was not sponsored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SponsorError {
    /// The policy refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The sender's signatures are invalid, or made for another chain.
    #[error("invalid sender: {0}")]
    InvalidSender(#[from] RecoverError),
    /// The sponsor's own key failed.
    #[error(transparent)]
    Sign(#[from] SignAsPayerError),
    /// The sponsor cannot be reached at the moment.
    #[error("the sponsor cannot be reached")]
    Unreachable,
}

/// A sponsor with its keys in this process.
///
/// It pays only for what its policy accepts, what carries valid signatures for its chain, and shares from 1 to 99
/// percent. Whether the sender's keys speak for the sender's account it cannot know without the state; a node refuses
/// such a transaction, and nothing is charged.
#[derive(Debug)]
pub struct LocalSponsor<S, P> {
    chain_id: u64,
    address: Address,
    signers: Vec<S>,
    policy: P,
}

impl<S: Sign, P: Policy> LocalSponsor<S, P> {
    /// Pays from the account at `address`, whose fee payer role the keys of `signers` satisfy.
    pub const fn new(chain_id: u64, address: Address, signers: Vec<S>, policy: P) -> Self {
        Self { chain_id, address, signers, policy }
    }

    /// The account that pays.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// For what it pays.
    pub const fn policy(&self) -> &P {
        &self.policy
    }

    /// As [`Sponsor::sponsor`], at once.
    ///
    /// # Errors
    /// If the policy refuses, the sender's signatures are invalid, or a key fails.
    pub fn sponsor_now(&self, request: Requested) -> Result<Sponsored, SponsorError> {
        if let Some(ratio) = request.ratio().filter(|ratio| !ratio.is_in_range()) {
            return Err(Refusal::Ratio(ratio.percent()).into());
        }
        self.policy.check(&request)?;
        request.recover_senders(self.chain_id)?;
        self.policy.reserve(&request)?;
        let signers: Vec<&dyn Sign> = self.signers.iter().map(|signer| signer as &dyn Sign).collect();
        let sponsored = request.clone().sponsor(self.address, self.chain_id, &signers);
        Ok(sponsored.inspect_err(|_| self.policy.release(&request))?)
    }
}

#[async_trait]
impl<S: Sign + Send + Sync, P: Policy + Send + Sync> Sponsor for LocalSponsor<S, P> {
    async fn sponsor(&self, request: Requested) -> Result<Sponsored, SponsorError> {
        self.sponsor_now(request)
    }
}
