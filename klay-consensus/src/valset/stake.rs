//! Stakes: what each validator has at stake, and who has too little.
//!
//! Source: chapter 50, section 2.6, rules VS-6 to VS-9, and WL-2.

use std::collections::BTreeMap;

use alloy_primitives::Address;

use super::AddressSet;

/// One entry of the address book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StakingEntry {
    /// The validator.
    pub node: Address,
    /// Where its rewards go. Entries with one reward address are one validator's.
    pub reward: Address,
    /// Its stake, in whole KAIA.
    pub stake: u64,
}

/// Stakes of validators, entries with the same reward address added up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stakes(BTreeMap<Address, u64>);

impl Stakes {
    /// Adds up `entries`. Each node of a reward address counts the full sum.
    pub fn consolidate(entries: &[StakingEntry]) -> Self {
        let mut sums = BTreeMap::<Address, u64>::new();
        for entry in entries {
            let sum = sums.entry(entry.reward).or_default();
            *sum = sum.saturating_add(entry.stake);
        }
        let stake_of = |entry: &StakingEntry| sums.get(&entry.reward).copied().unwrap_or_default();
        Self(entries.iter().map(|entry| (entry.node, stake_of(entry))).collect())
    }

    /// The stake of a validator, 0 if unknown, in whole KAIA.
    pub fn of(&self, validator: Address) -> u64 {
        self.0.get(&validator).copied().unwrap_or_default()
    }
}

/// Who of the council is set aside for having too little at stake.
///
/// Nobody if that would be everybody. `spared` is the governing node in "single" mode.
pub fn demoted(council: &AddressSet, stakes: &Stakes, minimum: u64, spared: Option<Address>) -> AddressSet {
    let demoted = council.iter().filter(|a| stakes.of(*a) < minimum).collect::<AddressSet>();
    if demoted.len() == council.len() {
        return AddressSet::default();
    }
    demoted.iter().filter(|a| Some(*a) != spared).collect()
}

/// Whether stakes set anybody aside at block `number`: only where proposers are drawn by weight, from the Istanbul fork
/// on, and not in the genesis block (VS-6).
pub const fn demotes(number: u64, weighted_random: bool, is_istanbul: bool) -> bool {
    number > 0 && weighted_random && is_istanbul
}

/// The block whose staking information counts at block `number` (VS-9).
pub const fn staking_block(number: u64, interval: u64, is_kaia: bool) -> u64 {
    let parent = number.saturating_sub(1);
    if is_kaia {
        return parent;
    }
    if interval == 0 || number <= 2 * interval {
        return 0;
    }
    parent - parent % interval - interval
}
