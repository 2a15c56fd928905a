//! Weighted lists of proposers, from the time before Randao.
//!
//! Floating point is part of the rule here: weights come from a power with a fractional exponent. All operations are
//! exact IEEE 754 ones except that power, for which one software implementation is used on every platform.
//!
//! Source: chapter 50, section 2.3, rules WL-1 to WL-9.

use alloy_primitives::{Address, B256};

use super::{AddressSet, GoRand, Stakes, legacy_seed};

/// The Gini coefficient of stakes, rounded to two decimals; -1 for no stakes, not a number if all are zero.
pub fn gini(stakes: &[u64]) -> f64 {
    if stakes.is_empty() {
        return -1.0;
    }
    let mut sorted = stakes.to_vec();
    sorted.sort_unstable();
    let (mut differences, mut sum) = (0.0, 0.0);
    for (i, stake) in sorted.iter().enumerate() {
        let stake = *stake as f64;
        differences += stake * i as f64 - sum;
        sum += stake;
    }
    (differences / sum / sorted.len() as f64 * 100.0).round() / 100.0
}

/// The weight of each stake in percent, at least 1; all 0 if nothing is at stake.
pub fn weights(stakes: &[u64], use_gini: bool) -> Vec<u64> {
    let mut adjusted: Vec<f64> = stakes.iter().map(|stake| *stake as f64).collect();
    if use_gini {
        let exponent = 1.0 / (1.0 + gini(stakes));
        for stake in &mut adjusted {
            *stake = libm::pow(*stake, exponent).round();
        }
    }
    let total: f64 = adjusted.iter().sum();
    if total > 0.0 {
        // At most 100, so the conversion is exact.
        adjusted.iter().map(|stake| ((stake * 100.0 / total).round() as u64).max(1)).collect()
    } else {
        vec![0; stakes.len()]
    }
}

/// How a list of proposers is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListRule<'a> {
    /// Each candidate as often as its stake weighs (before Kore).
    Weighted {
        /// The stakes.
        stakes: &'a Stakes,
        /// Whether large stakes are damped.
        use_gini: bool,
    },
    /// Each candidate once (from Kore).
    Uniform,
    /// Each candidate once and in order: blocks 1 to 3600 of the main network, whatever the code says today.
    Unshuffled,
}

/// The list of proposers for the blocks after an update block with hash `update_hash`.
pub fn proposer_list(candidates: &AddressSet, rule: ListRule<'_>, update_hash: B256) -> Vec<Address> {
    let mut list = match rule {
        ListRule::Weighted { stakes, use_gini } => {
            let amounts: Vec<_> = candidates.iter().map(|a| stakes.of(a)).collect();
            let weights = weights(&amounts, use_gini);
            let repeated = candidates.iter().zip(weights);
            repeated.flat_map(|(a, weight)| core::iter::repeat_n(a, weight as usize)).collect()
        }
        ListRule::Uniform => Vec::new(),
        ListRule::Unshuffled => return candidates.as_slice().to_vec(),
    };
    if list.is_empty() {
        list = candidates.as_slice().to_vec();
    }
    GoRand::new(legacy_seed(update_hash)).shuffle_legacy(&mut list);
    list
}

/// A vote that removed members of the council, with those that were qualified at that block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveVote {
    /// The block with the vote.
    pub number: u64,
    /// Who is removed and was qualified there.
    pub removed: Vec<Address>,
}

/// The list at block `number`: without those that a vote of an earlier block in the interval has removed (WL-9).
pub fn without_removed(list: &[Address], votes: &[RemoveVote], number: u64) -> Vec<Address> {
    let gone = |a: &Address| votes.iter().any(|vote| vote.number < number && vote.removed.contains(a));
    list.iter().copied().filter(|a| !gone(a)).collect()
}
