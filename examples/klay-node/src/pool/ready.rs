//! The accounts whose next transaction can be executed, in the order in which a block takes them.
//!
//! A block wants the highest effective tip, `min(tip cap, fee cap - base fee)`, then the earliest arrival. The base fee
//! changes with every block, so keeping accounts sorted by effective tip would mean sorting all of them again for each
//! block. Two sets avoid that. Where the fee cap binds, effective tips differ by the fee caps alone; where the tip cap
//! binds, by the tip caps alone; both orders stand still when the base fee moves. Only the accounts that pass from one
//! group to the other move, and two more sets name those.

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    ops::Bound::{Excluded, Unbounded},
};

use klay_core::Address;

/// The next transaction of an account, as far as order is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Most the sender pays per gas, in peb.
    pub(super) fee_cap: u128,
    /// Most of it that may go beyond the base fee.
    pub(super) tip_cap: u128,
    /// Number of the transaction's arrival.
    pub(super) arrival: u64,
}

impl Place {
    /// The base fee up to which the tip cap binds; above it the fee cap does.
    const fn threshold(&self) -> u128 {
        self.fee_cap.saturating_sub(self.tip_cap)
    }

    /// What is offered beyond `base` per gas.
    pub(super) fn effective_tip(&self, base: u128) -> u128 {
        self.tip_cap.min(self.fee_cap.saturating_sub(base))
    }

    /// Whether the fee cap binds whatever the base fee is: types with one price.
    const fn has_one_price(&self) -> bool {
        self.tip_cap >= self.fee_cap
    }
}

/// Best first: a high price, then an early arrival.
type Key = (Reverse<u128>, u64, Address);

/// Where a walk over the ready accounts stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    capped: Option<Key>,
    tipped: Option<Key>,
}

/// The ready accounts.
#[derive(Debug, Default)]
pub(super) struct Ready {
    base: u128,
    /// The fee cap binds: by fee cap.
    capped: BTreeSet<Key>,
    /// The tip cap binds: by tip cap.
    tipped: BTreeSet<Key>,
    /// Members of `capped` with two prices, by threshold: the highest change over first when the base fee falls.
    falling: BTreeSet<(u128, Address, u64, u128)>,
    /// Members of `tipped`, by threshold: the lowest change over first when the base fee rises.
    rising: BTreeSet<(u128, Address, u64, u128)>,
}

impl Ready {
    /// Adds an account that is not yet here.
    pub(super) fn insert(&mut self, address: Address, place: Place) {
        if place.has_one_price() {
            self.capped.insert((Reverse(place.fee_cap), place.arrival, address));
        } else if place.threshold() >= self.base {
            self.tipped.insert((Reverse(place.tip_cap), place.arrival, address));
            self.rising.insert((place.threshold(), address, place.arrival, place.tip_cap));
        } else {
            self.capped.insert((Reverse(place.fee_cap), place.arrival, address));
            self.falling.insert((place.threshold(), address, place.arrival, place.tip_cap));
        }
    }

    /// Takes an account out; `place` is what it was inserted with.
    pub(super) fn remove(&mut self, address: Address, place: Place) {
        self.capped.remove(&(Reverse(place.fee_cap), place.arrival, address));
        if !place.has_one_price() {
            self.tipped.remove(&(Reverse(place.tip_cap), place.arrival, address));
            let crossing = (place.threshold(), address, place.arrival, place.tip_cap);
            self.falling.remove(&crossing);
            self.rising.remove(&crossing);
        }
    }

    /// Moves the accounts that change from one order to the other at the new base fee.
    pub(super) fn set_base(&mut self, base: u128) {
        self.base = base;
        while let Some(&crossing) = self.rising.first().filter(|c| c.0 < base) {
            let (threshold, address, arrival, tip_cap) = crossing;
            self.rising.remove(&crossing);
            self.tipped.remove(&(Reverse(tip_cap), arrival, address));
            self.insert(address, Place { fee_cap: threshold.saturating_add(tip_cap), tip_cap, arrival });
        }
        while let Some(&crossing) = self.falling.last().filter(|c| c.0 >= base) {
            let (threshold, address, arrival, tip_cap) = crossing;
            let fee_cap = threshold.saturating_add(tip_cap);
            self.falling.remove(&crossing);
            self.capped.remove(&(Reverse(fee_cap), arrival, address));
            self.insert(address, Place { fee_cap, tip_cap, arrival });
        }
    }

    /// The best account behind `cursor`, which moves to it; the number is its effective tip.
    pub(super) fn next(&self, cursor: &mut Cursor) -> Option<(u128, u64, Address)> {
        let capped = after(&self.capped, cursor.capped).map(|key| (key.0.0.saturating_sub(self.base), key));
        let tipped = after(&self.tipped, cursor.tipped).map(|key| (key.0.0, key));
        let capped_first = match (&capped, &tipped) {
            (Some(c), Some(t)) => (Reverse(c.0), c.1.1) <= (Reverse(t.0), t.1.1),
            (c, _) => c.is_some(),
        };
        let (tip, key) = if capped_first { capped } else { tipped }?;
        if capped_first {
            cursor.capped = Some(key)
        } else {
            cursor.tipped = Some(key)
        }
        Some((tip, key.1, key.2))
    }

    /// How many accounts are ready.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.capped.len() + self.tipped.len()
    }
}

fn after(set: &BTreeSet<Key>, last: Option<Key>) -> Option<Key> {
    match last {
        Some(last) => set.range((Excluded(last), Unbounded)).next().copied(),
        None => set.first().copied(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(n: usize) -> Address {
        Address::left_padding_from(&(n as u64).to_be_bytes())
    }

    proptest! {
        #[test]
        fn the_walk_is_sorted_by_effective_tip_whatever_the_base_fee_did(
            places in proptest::collection::vec((60u128..110, 0u128..110), 1..40), // none below the base fee
            bases in proptest::collection::vec(0u128..60, 1..6),
        ) {
            let mut ready = Ready::default();
            let places: Vec<Place> = places
                .iter()
                .enumerate()
                .map(|(n, &(a, b))| Place { fee_cap: a, tip_cap: a.min(b), arrival: n as u64 })
                .collect();
            for (n, place) in places.iter().enumerate() {
                ready.insert(address(n), *place);
            }
            for base in bases {
                ready.set_base(base);
                prop_assert_eq!(ready.len(), places.len());
                let mut cursor = Cursor::default();
                let mut walk = Vec::new();
                while let Some((tip, arrival, _)) = ready.next(&mut cursor) {
                    walk.push((Reverse(tip), arrival));
                }
                let mut wanted: Vec<_> = places.iter().map(|p| (Reverse(p.effective_tip(base)), p.arrival)).collect();
                wanted.sort();
                prop_assert_eq!(walk, wanted);
            }
            for (n, place) in places.iter().enumerate() {
                ready.remove(address(n), *place);
            }
            prop_assert_eq!(ready.len(), 0);
            prop_assert!(ready.rising.is_empty() && ready.falling.is_empty());
        }
    }
}
