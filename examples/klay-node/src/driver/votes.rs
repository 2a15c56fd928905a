//! Governance in the headers that this node proposes: votes that its operator has cast, and what an epoch ratifies.
//!
//! Source: spec 30, sections 7.2 and 7.3.

use std::{collections::VecDeque, sync::Arc};

use klay_core::{
    Address, Bytes,
    block::Header,
    governance::{Vote, VoteAction, VoteContext, VoteRefusal, verify_vote},
};
use parking_lot::Mutex;

use crate::Chain;

/// Votes that wait at the same time.
const MOST: usize = 64;

/// Votes that wait for a header of this node. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Votes(Arc<Mutex<VecDeque<VoteAction>>>);

impl Votes {
    /// Adds a vote; `false` if too many wait already. The same vote is kept once.
    pub fn cast(&self, action: VoteAction) -> bool {
        let mut waiting = self.0.lock();
        if waiting.contains(&action) {
            return true;
        }
        if waiting.len() >= MOST {
            return false;
        }
        waiting.push_back(action);
        true
    }

    /// Whether this vote could stand in the next header, if `author` proposes it.
    ///
    /// # Errors
    /// If not, and why.
    pub fn check(&self, chain: &Chain, author: Address, action: &VoteAction) -> Result<(), VoteProblem> {
        let field = Vote { voter: author, action: action.clone() }.encode();
        check(chain, author, chain.head().number().saturating_add(1), &field)
    }

    /// The votes that wait, oldest first.
    pub fn waiting(&self) -> Vec<VoteAction> {
        self.0.lock().iter().cloned().collect()
    }

    /// Fills in the vote and the governance field of a header that `author` proposes.
    pub(super) fn write(&self, chain: &Chain, author: Address, header: &mut Header) {
        let ratified = chain.with_schedule(|schedule| {
            let is_epoch = header.number.is_multiple_of(schedule.epoch());
            is_epoch.then(|| schedule.expected_at(header.number)).filter(|data| !data.is_empty())
        });
        header.governance = ratified.map_or_else(Bytes::new, |data| data.encode().into());
        let mut waiting = self.0.lock();
        while let Some(action) = waiting.front() {
            let field: Bytes = Vote { voter: author, action: action.clone() }.encode().into();
            match check(chain, author, header.number, &field) {
                Ok(()) => {
                    header.vote = field;
                    return;
                }
                Err(VoteProblem::Chain(error)) => {
                    tracing::error!(%error, key = action.key(), "vote cannot be checked");
                    return;
                }
                Err(VoteProblem::Refused(error)) => {
                    tracing::warn!(%error, key = action.key(), "vote is dropped");
                    waiting.pop_front();
                }
            }
        }
    }

    /// A block of `author` is in the chain: its vote waits no longer.
    pub(super) fn included(&self, author: Address, me: Address, header: &Header) {
        if author != me || header.vote.is_empty() {
            return;
        }
        if let Ok(vote) = Vote::decode(&header.vote) {
            self.0.lock().retain(|action| *action != vote.action);
        }
    }
}

/// Why a vote cannot stand in a header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VoteProblem {
    /// The chain cannot be read.
    #[error(transparent)]
    Chain(#[from] crate::chain::ChainError),
    /// It breaks a rule.
    #[error(transparent)]
    Refused(#[from] VoteRefusal),
}

/// Checks the vote field of block `number`, which follows the head.
pub(super) fn check(chain: &Chain, author: Address, number: u64, field: &[u8]) -> Result<(), VoteProblem> {
    if field.is_empty() {
        return Ok(());
    }
    let (council, previous) = (chain.registered_at(number)?, chain.registered_at(number.saturating_sub(1))?);
    let params = chain.with_schedule(|schedule| schedule.header_only_at(number));
    let context =
        VoteContext { author, council: council.as_slice(), previous_council: previous.as_slice(), params: &params };
    let (_, state) = chain.head_state();
    let mut failure = None;
    let checked = verify_vote(field, &context, |address| match state.account(address) {
        Ok(account) => account.map(|account| account.is_contract() && !account.is_empty()),
        Err(error) => {
            failure = Some(error);
            None
        }
    });
    match failure {
        Some(error) => Err(crate::chain::ChainError::from(error).into()),
        None => Ok(checked.map(|_| ())?),
    }
}
