//! How long an engine waits before it gives up on a round.
//!
//! Source: chapter 50, sections 1.8 and 5.8.

use core::{fmt::Debug, time::Duration};

use super::Round;

/// What a timer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TimerKind {
    /// The end of a round.
    Round,
    /// A proposal from the leader.
    Proposal,
    /// Any progress.
    Progress,
    /// Sending something again.
    Repeat,
    /// A verdict that was postponed.
    Retry,
    /// The next block period.
    Period,
}

/// What an engine has seen of recent rounds, for policies that adapt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoundHistory {
    /// 99th percentile of the message delays observed, if any.
    pub delay: Option<Duration>,
}

/// A policy of timeouts. Must be a pure function of its arguments.
pub trait Timeouts: Debug + Send + Sync {
    /// The span of a timer of `kind` in `round`.
    fn after(&self, kind: TimerKind, round: Round, seen: &RoundHistory) -> Duration;
}

/// The reference client's policy: 10 s for round 0, 10 s + 2^round s above, clamped at round 20.
///
/// Without the clamp the span leaves the range of a 64-bit nanosecond count at round 34.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Legacy {
    /// The span of round 0 and the constant part of the others.
    pub base: Duration,
}

impl Default for Legacy {
    fn default() -> Self {
        Self { base: Duration::from_secs(10) }
    }
}

impl Timeouts for Legacy {
    fn after(&self, _kind: TimerKind, round: Round, _seen: &RoundHistory) -> Duration {
        match round.get() {
            0 => self.base,
            r => self.base.saturating_add(Duration::from_secs(1 << r.min(20))),
        }
    }
}

/// `base + step * round`, at most `cap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// The span of round 0.
    pub base: Duration,
    /// What each round adds.
    pub step: Duration,
    /// The longest span.
    pub cap: Duration,
}

impl Default for Linear {
    fn default() -> Self {
        Self { base: Duration::from_secs(3), step: Duration::from_secs(1), cap: Duration::from_secs(30) }
    }
}

impl Timeouts for Linear {
    fn after(&self, _kind: TimerKind, round: Round, _seen: &RoundHistory) -> Duration {
        let rounds = u32::try_from(round.get()).unwrap_or(u32::MAX);
        self.base.saturating_add(self.step.saturating_mul(rounds)).min(self.cap)
    }
}

/// `base * 2^round`, at most `cap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exponential {
    /// The span of round 0.
    pub base: Duration,
    /// The longest span.
    pub cap: Duration,
}

impl Timeouts for Exponential {
    fn after(&self, _kind: TimerKind, round: Round, _seen: &RoundHistory) -> Duration {
        let factor = u32::try_from(round.get()).ok().and_then(|r| 1u32.checked_shl(r)).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

/// Four times the 99th percentile of the observed delay, between a quarter of `base` and `cap`, growing by `base` a
/// round; `base` while nothing is observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adaptive {
    /// The span without observations, and the growth per round.
    pub base: Duration,
    /// The longest span.
    pub cap: Duration,
}

impl Timeouts for Adaptive {
    fn after(&self, _kind: TimerKind, round: Round, seen: &RoundHistory) -> Duration {
        let start = seen.delay.map_or(self.base, |d| d.saturating_mul(4).max(self.base / 4));
        let rounds = u32::try_from(round.get()).unwrap_or(u32::MAX);
        start.saturating_add(self.base.saturating_mul(rounds)).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Exponential, Legacy, Linear, Round, RoundHistory, Timeouts, TimerKind};

    fn span(policy: &impl Timeouts, round: u64) -> Duration {
        policy.after(TimerKind::Round, Round::new(round), &RoundHistory::default())
    }

    #[test]
    fn legacy_spans_of_the_reference() {
        let seconds = [10, 12, 14, 18, 26, 42, 74, 138, 266, 522, 1034];
        for (round, s) in seconds.into_iter().enumerate() {
            assert_eq!(span(&Legacy::default(), round as u64), Duration::from_secs(s));
        }
        assert_eq!(span(&Legacy::default(), u64::MAX), span(&Legacy::default(), 20));
    }

    #[test]
    fn capped_policies_reach_their_cap_and_stay() {
        assert_eq!(span(&Linear::default(), 5), Duration::from_secs(8));
        assert_eq!(span(&Linear::default(), u64::MAX), Duration::from_secs(30));
        let double = Exponential { base: Duration::from_secs(1), cap: Duration::from_secs(60) };
        assert_eq!(span(&double, 3), Duration::from_secs(8));
        assert_eq!(span(&double, 400), Duration::from_secs(60));
    }
}
