//! How close blocks that are made on demand follow each other.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Rest for each transaction of the block before.
const EACH: Duration = Duration::from_micros(200);

/// The longest rest.
const LONGEST: Duration = Duration::from_millis(50);

/// A rest after a large block, so that transactions which come faster than blocks share one.
///
/// A block costs its author two to four milliseconds beside its transactions: seals, the Randao reveal, writes that
/// are synced. One after the other, whoever sends and waits, never notices; a stream of them fills larger blocks.
#[derive(Debug, Default)]
pub(super) struct Rest(Mutex<Option<Instant>>);

impl Rest {
    /// A block of so many transactions has just been stored.
    pub(super) fn after(&self, transactions: usize) {
        *self.0.lock() = Some(Instant::now() + length(transactions));
    }

    /// How much of it is left.
    pub(super) fn left(&self) -> Duration {
        self.0.lock().map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }
}

fn length(transactions: usize) -> Duration {
    EACH.saturating_mul(u32::try_from(transactions).unwrap_or(u32::MAX)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_grows_with_the_block_and_is_bounded() {
        assert!(Rest::default().left().is_zero());
        assert_eq!(length(0), Duration::ZERO);
        assert_eq!(length(1), EACH);
        assert_eq!(length(usize::MAX), LONGEST);
    }
}
