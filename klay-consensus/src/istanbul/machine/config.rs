//! How the engine is set up, and in what it deviates from the reference.

use std::sync::Arc;

use alloy_primitives::Address;

use super::super::{
    Klaytn, WireValue,
    seal::{Authors, Recover},
};
use crate::types::{Committees, Refuse, Timeouts, Validate, timeouts::Legacy};

/// The release whose rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rules {
    /// klaytn up to 1.12: the claimed sender need not be the signer.
    V1,
    /// kaia up to 2.2.1.
    V2,
}

/// Who passes messages on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relay {
    /// Everybody passes on everything that it accepted (1.10): for existing networks.
    Flood,
    /// Everybody sends its own messages to everybody: for networks in which all validators are connected.
    Direct,
}

/// Deviations from the reference that its nodes cannot see or accept. All of them on is the default; each one off is
/// how the reference behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compat {
    /// Own messages, replays and head changes are handled in the step that caused them. Off: they wait until the host
    /// fires a timer for each, in any order.
    pub own_at_once: bool,
    /// The signer of a message must be who it claims to be, also under [`Rules::V1`] (D6).
    pub signer_is_sender: bool,
    /// Commits whose seal is not their sender's are dropped (D7), with evidence if it is no seal at all: one over
    /// something else, or none, may come from an honest node of the reference (D9).
    pub verify_seals: bool,
    /// A proposal must have the height of its view and follow the head (D19).
    pub check_number: bool,
    /// The committee of a new height is looked up for round 0, whatever round led to it (D10).
    pub fresh_round: bool,
    /// A proposal for an old view is not answered (D9).
    pub ignore_old_proposals: bool,
    /// Contradictions of one sender in one view are reported, and a second proposal is refused (D18).
    pub keep_evidence: bool,
    /// Requests for higher rounds survive a new round, count from their thresholds on and not only at them, and move a
    /// node that has not timed out too (D11).
    pub eager_round_change: bool,
    /// A request for a new round is repeated while it is not answered (D11).
    pub repeat_round_change: bool,
    /// Messages for later are kept only near the present and in limited number (D13).
    pub bounded_backlog: bool,
    /// The lock, the locked value and the round survive a restart (D2).
    pub remember: bool,
    /// The round timer counts from when the height can begin and rests while a decision is applied (D20).
    pub fair_timer: bool,
    /// A block is built only by the proposer of a round, not by every validator at every height.
    pub build_when_proposer: bool,
    /// A block is put forward only in a round that has begun. Off: also while a round change is waited for, in the round
    /// asked for; nobody hears of that, as the proposer's own copy is too early then and is not passed on.
    pub propose_in_begun_round: bool,
}

impl Compat {
    /// Exactly as the reference: for trace tests, and to show its faults.
    pub const fn faithful() -> Self {
        Self {
            own_at_once: false,
            signer_is_sender: false,
            verify_seals: false,
            check_number: false,
            fresh_round: false,
            ignore_old_proposals: false,
            keep_evidence: false,
            eager_round_change: false,
            repeat_round_change: false,
            bounded_backlog: false,
            remember: false,
            fair_timer: false,
            build_when_proposer: false,
            propose_in_begun_round: false,
        }
    }

    /// As the reference, but own messages are handled at once: for comparisons in simulated networks.
    pub const fn reference() -> Self {
        Self { own_at_once: true, ..Self::faithful() }
    }
}

impl Default for Compat {
    fn default() -> Self {
        Self {
            own_at_once: true,
            signer_is_sender: true,
            verify_seals: true,
            check_number: true,
            fresh_round: true,
            ignore_old_proposals: true,
            keep_evidence: true,
            eager_round_change: true,
            repeat_round_change: true,
            bounded_backlog: true,
            remember: true,
            fair_timer: true,
            build_when_proposer: true,
            propose_in_begun_round: true,
        }
    }
}

/// The settings of [`Istanbul`](super::Istanbul).
#[derive(Debug, Clone)]
pub struct IstanbulConfig<V: WireValue> {
    /// Who we are.
    pub me: Address,
    /// Who decides, by height and round.
    pub committees: Arc<dyn Committees<Klaytn<V>>>,
    /// How long a round may last.
    pub timeouts: Arc<dyn Timeouts>,
    /// Whose rules.
    pub rules: Rules,
    /// Deviations.
    pub compat: Compat,
    /// Who passes messages on.
    pub relay: Relay,
    /// Who made a signature.
    pub authors: Arc<dyn Authors>,
    /// How long a block may be built.
    pub build_time: core::time::Duration,
}

impl<V: WireValue> IstanbulConfig<V> {
    /// The rules of kaia 2.2.1 with all safe deviations, its timeouts, and direct sending.
    pub fn new(me: Address, committees: Arc<dyn Committees<Klaytn<V>>>) -> Self {
        Self {
            me,
            committees,
            timeouts: Arc::new(Legacy::default()),
            rules: Rules::V2,
            compat: Compat::default(),
            relay: Relay::Direct,
            authors: Arc::new(Recover),
            build_time: core::time::Duration::from_millis(250),
        }
    }
}

impl<V: WireValue> Validate for IstanbulConfig<V> {
    fn validate(&self) -> Result<(), Refuse> {
        use crate::types::{Round, RoundHistory, TimerKind};
        let shortest = self.timeouts.after(TimerKind::Round, Round::ZERO, &RoundHistory::default());
        if self.build_time >= shortest {
            return Err(Refuse::Config { setting: "build_time", reason: "must be shorter than the first round" });
        }
        Ok(())
    }
}
