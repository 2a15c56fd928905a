//! Counters by name, for names that are written down in the code.

use std::collections::BTreeMap;

/// How often each name was met. Names are compared by their place first: nearly always the first comparison holds.
#[derive(Debug, Default)]
pub(super) struct Counts(Vec<(&'static str, u64)>);

impl Counts {
    pub(super) fn add(&mut self, name: &'static str) {
        match self.0.iter_mut().find(|(known, _)| core::ptr::eq(*known, name)) {
            Some((_, count)) => *count += 1,
            None => self.0.push((name, 1)),
        }
    }

    /// The sums, names that are written in several places taken together.
    pub(super) fn into_map(self) -> BTreeMap<&'static str, u64> {
        let mut map = BTreeMap::new();
        for (name, count) in self.0 {
            *map.entry(name).or_default() += count;
        }
        map
    }
}
