//! How the engine is set up.

use std::sync::Arc;

use core::time::Duration;

use alloy_primitives::{Address, B256};

use crate::{
    istanbul::{
        Klaytn, WireValue,
        seal::{Authors, Recover},
    },
    types::{Committees, Refuse, Round, RoundHistory, Timeouts, TimerKind, Validate},
};

/// Spans in multiples of Δ, the longest delay of a message when the network behaves: 2Δ for a proposal, 3Δ for the end of
/// a view, 2Δ between repetitions. Δ grows by half with each view that was nullified in a row, up to a cap, so that a
/// guess that is too low mends itself.
///
/// A network that notarizes nothing for hours, as no application builds a value, must not run through its views: the next
/// proposal passes over all of them, which has a limit. After each 256 such views Δ doubles, so the limit is years
/// away, and after the cause is mended the chain goes on within a few hundredths of the time that it stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delta {
    /// Δ after a view that was notarized.
    pub base: Duration,
    /// The largest Δ in the first 256 views nullified in a row.
    pub cap: Duration,
}

/// Views nullified in a row after which Δ doubles, and refused proposals no longer end a view at once.
pub(super) const PATIENCE: u32 = 256;

impl Default for Delta {
    /// Half a second, at most four.
    fn default() -> Self {
        Self { base: Duration::from_millis(500), cap: Duration::from_secs(4) }
    }
}

impl Timeouts for Delta {
    fn after(&self, kind: TimerKind, round: Round, _seen: &RoundHistory) -> Duration {
        let failed = u32::try_from(round.get()).unwrap_or(u32::MAX);
        let grown = self.base.saturating_add((self.base / 2).saturating_mul(failed)).min(self.cap);
        let delta = grown.saturating_mul(1 << (failed / PATIENCE).min(16));
        match kind {
            TimerKind::Proposal | TimerKind::Repeat => delta.saturating_mul(2),
            TimerKind::Progress => delta.saturating_mul(3),
            TimerKind::Round | TimerKind::Retry | TimerKind::Period => delta,
        }
    }
}

/// The settings of [`Simplex`](super::Simplex).
#[derive(Debug, Clone)]
pub struct SimplexConfig<V: WireValue> {
    /// Who we are.
    pub me: Address,
    /// Who decides: asked for the first height of an epoch, with the number of the view in it as round.
    pub committees: Arc<dyn Committees<Klaytn<V>>>,
    /// How long to wait: [`TimerKind::Proposal`], [`TimerKind::Progress`], [`TimerKind::Repeat`], and
    /// [`TimerKind::Round`] for one Δ. The round they are asked for counts the views that were nullified in a row.
    pub timeouts: Arc<dyn Timeouts>,
    /// Who made a signature.
    pub authors: Arc<dyn Authors>,
    /// A digest of the chain: signatures of another chain do not count.
    pub domain: B256,
    /// How long a block may be built.
    pub build_time: Duration,
    /// Least time between a value and the next one.
    pub period: Duration,
    /// Heights with one set of validators.
    pub epoch: u64,
    /// Whether values are built on notarized ones before these are applied.
    pub pipelined: bool,
}

impl<V: WireValue> SimplexConfig<V> {
    /// Δ of half a second, signatures by recovery, one set of validators for ever, no least time between values.
    pub fn new(me: Address, committees: Arc<dyn Committees<Klaytn<V>>>, domain: B256) -> Self {
        Self {
            me,
            committees,
            timeouts: Arc::new(Delta::default()),
            authors: Arc::new(Recover),
            domain,
            build_time: Duration::from_millis(100),
            period: Duration::ZERO,
            epoch: u64::MAX,
            pipelined: true,
        }
    }
}

impl<V: WireValue> Validate for SimplexConfig<V> {
    fn validate(&self) -> Result<(), Refuse> {
        let shortest = self.timeouts.after(TimerKind::Proposal, Round::ZERO, &RoundHistory::default());
        if self.build_time >= shortest {
            return Err(Refuse::Config {
                setting: "build_time",
                reason: "must be shorter than the wait for a proposal",
            });
        }
        if self.epoch == 0 {
            return Err(Refuse::Config { setting: "epoch", reason: "must not be zero" });
        }
        Ok(())
    }
}
