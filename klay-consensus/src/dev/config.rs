//! How the engine is set up.

use core::time::Duration;

use alloy_primitives::Address;

use crate::types::{Refuse, Validate};

/// When a block is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As soon as transactions wait.
    Instant,
    /// One a period.
    Interval {
        /// The period.
        period: Duration,
        /// Whether a block is made when no transaction waits.
        empty: bool,
    },
}

/// The settings of [`Dev`](super::Dev).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevConfig {
    /// The only authority: the address of the gate's key.
    pub me: Address,
    /// When a block is made.
    pub pace: Pace,
    /// How long the application may select transactions.
    pub build_time: Duration,
}

impl DevConfig {
    /// A block as soon as transactions wait.
    pub const fn instant(me: Address) -> Self {
        Self { me, pace: Pace::Instant, build_time: Duration::from_millis(250) }
    }

    /// A block each `period`, empty ones too. Transactions are selected for at most a quarter of the period.
    pub fn interval(me: Address, period: Duration) -> Self {
        Self { me, pace: Pace::Interval { period, empty: true }, build_time: period / 4 }
    }

    /// The same without blocks that hold no transaction.
    #[must_use]
    pub const fn without_empty_blocks(mut self) -> Self {
        if let Pace::Interval { period, .. } = self.pace {
            self.pace = Pace::Interval { period, empty: false };
        }
        self
    }
}

impl Validate for DevConfig {
    fn validate(&self) -> Result<(), Refuse> {
        if let Pace::Interval { period, .. } = self.pace {
            if period.is_zero() {
                return Err(Refuse::Config { setting: "period", reason: "must not be zero" });
            }
            if self.build_time >= period {
                return Err(Refuse::Config { setting: "build_time", reason: "must be shorter than the period" });
            }
        }
        Ok(())
    }
}
