//! The full mode: proposer, stakers and two funds.

use klay_core::{Address, Fork, U256, governance::GovParams};

use super::{Reward, RewardContext, StakingInfo, burnt_fee, half, staking::ConsolidatedNode};

pub(super) fn reward(context: RewardContext<'_>, total_fee: U256, staking: &StakingInfo) -> Reward {
    let (total_fee, burnt_fee) = match context.params.deferred_tx_fee {
        true => (total_fee, burnt_fee(context, total_fee)),
        false => (U256::ZERO, U256::ZERO),
    };
    let minted = context.params.minting_amount;
    let base = Reward { minted, total_fee, burnt_fee, ..Reward::default() };
    if context.rules.has(Fork::Kore) { since_kore(context, base, staking) } else { legacy(context, base, staking) }
}

/// Half of the fees, and of the rest as much as the proposer's part of the minted amount.
pub(super) fn burnt_since_kore(params: &GovParams, total_fee: U256) -> U256 {
    let first = half(total_fee);
    let [validator, ..] = shares(params.minting_amount, params.ratio.parts());
    let [proposer, _] = shares(validator, params.kip82_ratio.parts());
    first + (total_fee - first).min(proposer)
}

fn legacy(context: RewardContext<'_>, reward: Reward, staking: &StakingInfo) -> Reward {
    let total = reward.minted.saturating_add(reward.total_fee - reward.burnt_fee);
    let [proposer, kif, kef] = shares(total, context.params.ratio.parts());
    let kif = kif + (total - proposer - kif - kef);
    pay(context, reward, Parts { proposer, kif, kef }, staking)
}

fn since_kore(context: RewardContext<'_>, mut reward: Reward, staking: &StakingInfo) -> Reward {
    let minted = reward.minted;
    let [validator, kif, kef] = shares(minted, context.params.ratio.parts());
    let [proposer, stakers] = shares(validator, context.params.kip82_ratio.parts());
    let kif = kif + (minted - proposer - stakers - kif - kef);

    let left = pay_stakers(context, &mut reward, stakers, staking);
    reward.stakers = stakers - left;
    let proposer = (proposer + left).saturating_add(reward.total_fee - reward.burnt_fee);
    pay(context, reward, Parts { proposer, kif, kef }, staking)
}

/// Pays nodes by what they have at stake above the minimum, and gives back the remainder. A node needs the minimum
/// without its pool; the pool then counts along.
fn pay_stakers(context: RewardContext<'_>, reward: &mut Reward, amount: U256, staking: &StakingInfo) -> U256 {
    let minimum = context.params.minimum_stake.saturating_to::<u64>();
    let is_prague = context.rules.has(Fork::Prague);
    let excess = |node: &ConsolidatedNode| {
        if node.stake < minimum {
            return U256::ZERO;
        }
        let pool = node.pool.filter(|_| is_prague).map_or(0, |pool| pool.stake);
        U256::from(node.stake - minimum) + U256::from(pool)
    };
    let nodes = staking.consolidated();
    let total = nodes.iter().map(excess).fold(U256::ZERO, |sum, excess| sum + excess);
    let mut left = amount;
    // Amounts are assigned, not added: two nodes with one pool would leave the latter's.
    let mut credits = std::collections::BTreeMap::<Address, U256>::new();
    for node in &nodes {
        let excess = excess(node);
        if excess.is_zero() {
            continue;
        }
        let share = mul_div(amount, excess, total);
        if share.is_zero() {
            continue;
        }
        match node.pool.filter(|_| is_prague) {
            Some(pool) => {
                let (own, pooled) = node.split(share);
                credits.insert(node.reward, own);
                credits.insert(pool.pool, pooled);
            }
            None => {
                credits.insert(node.reward, share);
            }
        }
        left -= share;
    }
    for (address, amount) in credits {
        reward.credit(address, amount);
    }
    left
}

struct Parts {
    proposer: U256,
    kif: U256,
    kef: U256,
}

/// Pays funds and proposer; a fund without address leaves its part to the proposer.
fn pay(context: RewardContext<'_>, mut reward: Reward, mut parts: Parts, staking: &StakingInfo) -> Reward {
    for (fund, part, sum) in [(staking.kif, parts.kif, &mut reward.kif), (staking.kef, parts.kef, &mut reward.kef)] {
        if fund.is_zero() {
            parts.proposer = parts.proposer.saturating_add(part);
        } else {
            *sum = part;
            let credit = reward.credits.entry(fund).or_default();
            *credit = credit.saturating_add(part);
        }
    }
    reward.proposer = parts.proposer;
    let nodes = if context.rules.has(Fork::Prague) { staking.consolidated() } else { Vec::new() };
    let node = nodes.iter().find(|node| node.reward == context.rewardbase);
    match node.and_then(|node| Some((node, node.pool?))) {
        Some((node, pool)) => {
            let (own, pooled) = node.split(parts.proposer);
            reward.credit(node.reward, own);
            reward.credit(pool.pool, pooled);
        }
        None => reward.credit(context.rewardbase, parts.proposer),
    }
    reward
}

/// Percentages of an amount, each rounded down.
fn shares<const N: usize>(amount: U256, parts: [u8; N]) -> [U256; N] {
    parts.map(|part| mul_div(amount, U256::from(part), U256::from(100)))
}

/// `amount * factor / divisor`, rounded down, without overflow on the way.
pub(super) fn mul_div(amount: U256, factor: U256, divisor: U256) -> U256 {
    let (whole, rest) = (amount / divisor, amount % divisor);
    // A factor is at most its divisor, which is a percentage or a number of whole coins, far below 2^128.
    whole * factor + rest * factor / divisor
}
