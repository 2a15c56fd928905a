//! What is at stake, as far as rewards are concerned.
//!
//! Source: spec 30, section 6.5; `kaiax/staking` in the reference client.

use klay_core::{Address, U256};

use super::full::mul_div;

/// Stakes and funds after a block. Amounts in whole KLAY, rounded down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StakingInfo {
    /// The block after which it was read.
    pub source: u64,
    /// Entries of the AddressBook, in its order.
    pub nodes: Vec<StakingNode>,
    /// The fund KIF (formerly PoC, KGF, KFF); zero for none.
    pub kif: Address,
    /// The fund KEF (formerly KIR, KCF); zero for none.
    pub kef: Address,
    /// Pools of KIP-226, from Prague.
    pub pools: Vec<LiquidityPool>,
}

/// An entry of the AddressBook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StakingNode {
    /// The validator.
    pub node: Address,
    /// Holds the stake.
    pub contract: Address,
    /// Where rewards go.
    pub reward: Address,
    /// In whole KLAY.
    pub stake: u64,
}

/// A liquidity pool that stakes with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiquidityPool {
    /// The validator.
    pub node: Address,
    /// Where the pool's rewards go.
    pub pool: Address,
    /// In whole KLAY.
    pub stake: u64,
}

/// Entries with one reward address are one validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsolidatedNode {
    /// The validator's nodes.
    pub nodes: Vec<Address>,
    /// The reward address.
    pub reward: Address,
    /// Sum of the stakes, in whole KLAY; the pool's is not part of it.
    pub stake: u64,
    /// The pool that stakes with one of the nodes.
    pub pool: Option<LiquidityPool>,
}

impl StakingInfo {
    /// Nothing at stake and no funds.
    pub fn empty(source: u64) -> Self {
        Self { source, ..Self::default() }
    }

    /// Nodes with one reward address taken together, in the order of their first entry. A pool of a node that is not in
    /// the book is left out.
    pub fn consolidated(&self) -> Vec<ConsolidatedNode> {
        let mut all: Vec<ConsolidatedNode> = Vec::new();
        for entry in &self.nodes {
            match all.iter_mut().find(|node| node.reward == entry.reward) {
                Some(node) => {
                    node.nodes.push(entry.node);
                    node.stake = node.stake.saturating_add(entry.stake);
                }
                None => all.push(ConsolidatedNode {
                    nodes: vec![entry.node],
                    reward: entry.reward,
                    stake: entry.stake,
                    pool: None,
                }),
            }
        }
        for pool in &self.pools {
            // A node that occurs twice belongs to its last entry.
            let Some(entry) = self.nodes.iter().rev().find(|entry| entry.node == pool.node) else { continue };
            if let Some(node) = all.iter_mut().find(|node| node.reward == entry.reward) {
                node.pool = Some(*pool);
            }
        }
        all
    }

    /// Stakes of at least `minimum`, each with its pool's: what the Gini coefficient is taken of.
    pub fn stakes_of_at_least(&self, minimum: u64) -> Vec<u64> {
        self.consolidated()
            .iter()
            .filter(|node| node.stake >= minimum)
            .map(|node| node.stake.saturating_add(node.pool.map_or(0, |pool| pool.stake)))
            .collect()
    }

    /// The reward address of a node.
    pub fn reward_address(&self, node: Address) -> Option<Address> {
        self.nodes.iter().find(|entry| entry.node == node).map(|entry| entry.reward)
    }
}

impl ConsolidatedNode {
    /// Divides an amount between the node and its pool, by stake; the node gets what rounding leaves.
    pub fn split(&self, amount: U256) -> (U256, U256) {
        let pool = U256::from(self.pool.map_or(0, |pool| pool.stake));
        let total = U256::from(self.stake) + pool;
        if total.is_zero() {
            return (amount, U256::ZERO);
        }
        let pooled = mul_div(amount, pool, total);
        (amount - pooled, pooled)
    }
}

/// The block after which the staking information of block `number` is read: from Kaia the parent, before one to two
/// intervals earlier.
pub const fn staking_source(number: u64, interval: u64, is_kaia: bool) -> u64 {
    let parent = number.saturating_sub(1);
    if is_kaia {
        parent
    } else if interval == 0 || number <= interval.saturating_mul(2) {
        0
    } else {
        parent - parent % interval - interval
    }
}
