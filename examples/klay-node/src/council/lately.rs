//! Values by block number, the last ones used.

use std::collections::VecDeque;

/// The values that were asked for lately.
#[derive(Debug)]
pub(crate) struct Lately<T> {
    values: VecDeque<(u64, T)>,
    most: usize,
}

impl<T: Clone> Lately<T> {
    /// Keeps up to `most` values.
    pub(crate) const fn new(most: usize) -> Self {
        Self { values: VecDeque::new(), most }
    }

    /// The value of a block, which now counts as used last.
    pub(crate) fn get(&mut self, number: u64) -> Option<T> {
        // Those that are asked for again were mostly used last.
        let at = self.values.iter().rposition(|(of, _)| *of == number)?;
        let found = self.values.remove(at)?;
        self.values.push_back(found.clone());
        Some(found.1)
    }

    /// Keeps the value of a block, instead of an earlier one.
    pub(crate) fn keep(&mut self, number: u64, value: T) {
        self.values.retain(|(of, _)| *of != number);
        self.values.push_back((number, value));
        if self.values.len() > self.most {
            self.values.pop_front();
        }
    }
}
