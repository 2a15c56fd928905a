//! Requests for a higher round.
//!
//! Source: chapter 50, section 1.9.

use super::{
    Address, B256, Body, Code, Handled, Istanbul, REPEAT_TIMER, Rejected, Round, Step, TimerKind, View, WireValue,
};
use crate::{istanbul::Subject, types::RoundHistory};

/// Rounds for which requests are kept when bounds apply.
const KEPT_ROUNDS: usize = 256;

impl<V: WireValue> Istanbul<V> {
    /// RC-1.
    pub(super) fn send_round_change(&mut self, cx: &mut Step<'_, V>, round: Round) {
        if self.view.round >= round {
            return;
        }
        cx.trace("RC-1", View::new(self.view.slot, round));
        self.catch_up(cx, round);
        self.speech.repeats = 0;
        self.say_round_change(cx);
        if self.config.compat.repeat_round_change {
            self.arm_repeat(cx);
        }
    }

    pub(super) fn say_round_change(&mut self, cx: &mut Step<'_, V>) {
        let subject = Subject { view: self.view, digest: B256::ZERO, prev_hash: self.floor.id };
        self.say(cx, Body::RoundChange(subject));
    }

    /// An identical message would be dropped as known, so a counter stands where a commit has its seal: the signature
    /// covers it and nobody reads it.
    pub(super) fn repeat_round_change(&mut self, cx: &mut Step<'_, V>) {
        if self.waiting {
            cx.trace("RC-1", self.view);
            self.speech.repeats = self.speech.repeats.wrapping_add(1).max(1);
            self.say_round_change(cx);
            self.arm_repeat(cx);
        }
    }

    fn arm_repeat(&mut self, cx: &mut Step<'_, V>) {
        let span = self.config.timeouts.after(TimerKind::Repeat, Round::ZERO, &RoundHistory::default());
        self.set_timer(cx, REPEAT_TIMER, cx.now.after(span));
    }

    pub(super) fn handle_round_change(
        &mut self,
        cx: &mut Step<'_, V>,
        sender: Address,
        subject: Subject,
    ) -> Result<Handled, Rejected> {
        self.check_view(Code::RoundChange, subject.view)?; // RC-2
        let Some(committee) = self.committee.clone() else { return Err(Rejected::retry("RL-7", "no committee")) };
        let round = subject.view.round;
        let Some(count) = self.count_request(sender, round) else {
            return Err(Rejected::by_sender("RC-3", "too many rounds ahead"));
        };
        let (quorum, weak) = (committee.quorum as usize, committee.weak as usize);
        let eager = self.config.compat.eager_round_change;
        let reached = |threshold: usize| if eager { count >= threshold } else { count == threshold };
        let higher = self.view.round < round;
        if reached(quorum) && (self.waiting || higher) {
            cx.trace("RC-4", subject.view);
            self.start_round(cx, round);
            return Ok(Handled::Done);
        }
        if (self.waiting || (eager && higher)) && reached(weak) {
            cx.trace("RC-5", subject.view);
            if higher {
                self.send_round_change(cx, round);
            }
            return Ok(Handled::Done);
        }
        if higher && !eager {
            cx.trace("RC-6", subject.view);
            return Err(Rejected::stale("RC-6", "message is ignored"));
        }
        cx.trace("RC-7", subject.view);
        Ok(Handled::Done)
    }

    /// How many ask for exactly that round (RC-3); `None` if it lies too far ahead to be kept.
    fn count_request(&mut self, sender: Address, round: Round) -> Option<usize> {
        let bounded = self.config.compat.bounded_backlog;
        if bounded && !self.round_changes.contains_key(&round) {
            // A sender asks for one round after the other; what it asked for before is of no use.
            for senders in self.round_changes.values_mut() {
                senders.remove(&sender);
            }
            self.round_changes.retain(|_, senders| !senders.is_empty());
            if self.round_changes.len() >= KEPT_ROUNDS {
                return None;
            }
        }
        let senders = self.round_changes.entry(round).or_default();
        senders.insert(sender);
        Some(senders.len())
    }
}
