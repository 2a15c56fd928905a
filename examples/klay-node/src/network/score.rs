//! How peers misbehave, and what it costs them.

use std::time::Duration;

/// What a peer did wrong. Each kind costs points; whoever has collected [`Misdeed::BAN_AT`] is cut off for
/// [`Misdeed::BAN`]. Points fade, one each second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Misdeed {
    /// Bytes that are no message, or a frame that is too long.
    Garbage,
    /// Another chain, another engine, or no greeting.
    OtherChain,
    /// More messages than a peer may send.
    Flood,
    /// A block that breaks a rule.
    InvalidBlock,
    /// A transaction that does not decode or whose signature is none.
    InvalidTransaction,
    /// An answer that does not fit the question.
    BadAnswer,
    /// No answer in time.
    Silence,
}

impl Misdeed {
    /// Points at which a peer is cut off.
    pub const BAN_AT: u32 = 100;
    /// How long it stays cut off.
    pub const BAN: Duration = Duration::from_secs(300);

    /// What it costs.
    pub const fn points(self) -> u32 {
        match self {
            Self::Garbage | Self::OtherChain | Self::InvalidBlock => Self::BAN_AT,
            Self::BadAnswer => 34,
            Self::Flood | Self::InvalidTransaction => 5,
            Self::Silence => 4,
        }
    }

    /// Its name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::OtherChain => "other_chain",
            Self::Flood => "flood",
            Self::InvalidBlock => "invalid_block",
            Self::InvalidTransaction => "invalid_transaction",
            Self::BadAnswer => "bad_answer",
            Self::Silence => "silence",
        }
    }
}

/// The points of one peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Score {
    points: u32,
    /// The second they were counted at.
    at: u64,
}

impl Score {
    /// Adds a misdeed at `now`, in seconds; whether the peer is to be cut off.
    pub(super) fn add(&mut self, misdeed: Misdeed, now: u64) -> bool {
        let faded = u32::try_from(now.saturating_sub(self.at)).unwrap_or(u32::MAX);
        self.points = self.points.saturating_sub(faded).saturating_add(misdeed.points());
        self.at = now;
        self.points >= Misdeed::BAN_AT
    }
}

/// How often something may happen: `rate` a second, `burst` at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    rate: f64,
    burst: f64,
    left: f64,
    at: f64,
}

impl Allowance {
    pub(super) const fn new(rate: f64, burst: f64) -> Self {
        Self { rate, burst, left: burst, at: 0.0 }
    }

    /// Takes one at `now`, in seconds; whether there was one.
    pub(super) fn take(&mut self, now: f64) -> bool {
        self.take_many(now, 1)
    }

    /// Takes `count` at `now`, in seconds; whether there were as many.
    pub(super) fn take_many(&mut self, now: f64, count: usize) -> bool {
        self.left = self.rate.mul_add((now - self.at).max(0.0), self.left).min(self.burst);
        self.at = now;
        let is_allowed = self.left >= count as f64;
        if is_allowed {
            self.left -= count as f64;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowance, Misdeed, Score};

    #[test]
    fn garbage_is_enough_and_small_things_fade() {
        assert!(Score::default().add(Misdeed::Garbage, 7));
        let mut score = Score::default();
        assert!((0..10).all(|n| !score.add(Misdeed::Flood, n * 10)));
        let mut score = Score::default();
        assert!((0..30).any(|_| score.add(Misdeed::Flood, 5)));
    }

    #[test]
    fn an_allowance_fills_up_again() {
        let mut allowance = Allowance::new(10.0, 2.0);
        assert!(allowance.take(0.0) && allowance.take(0.0) && !allowance.take(0.0));
        assert!(allowance.take(0.11) && !allowance.take(0.12));
    }
}
