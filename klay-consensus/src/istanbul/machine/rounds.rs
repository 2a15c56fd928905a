//! Heights, rounds and their timer.
//!
//! Source: chapter 50, sections 1.6 (SR, CU) and 1.8 (TM).

use super::{
    ApplyError, B256, Effect, Floor, Istanbul, IstanbulRecord, Klaytn, Queued, REMEMBERED_BAD, REMEMBERED_BLOCKS,
    REPEAT_TIMER, RETRY_TIMER, ROUND_TIMER, Round, State, Step, TimerKind, View, WireValue,
};
use crate::types::RoundHistory;

impl<V: WireValue> Istanbul<V> {
    pub(super) fn start(&mut self, cx: &mut Step<'_, V>) {
        self.start_round(cx, Round::ZERO);
        if self.started
            && let Some(spoken) = self.restored.take()
        {
            // What was said in that round is not known exactly, so it is left behind.
            self.send_round_change(cx, spoken.saturating_add(1));
        }
    }

    pub(super) fn start_round(&mut self, cx: &mut Step<'_, V>, asked: Round) {
        let next = self.floor.next_slot();
        let change = if !self.started {
            cx.trace("SR-1", View::first(next));
            false
        } else if next > self.view.slot {
            cx.trace("SR-2", View::first(next));
            false
        } else if next < self.view.slot {
            return cx.trace("SR-6", self.view);
        } else if asked == Round::ZERO {
            return cx.trace("SR-3", self.view);
        } else if asked < self.view.round {
            return cx.trace("SR-4", self.view);
        } else {
            cx.trace("SR-5", View::new(next, asked));
            true
        };
        let view = if change { View::new(self.view.slot, asked) } else { View::first(next) };
        let lookup = if self.config.compat.fresh_round { view.round } else { asked };
        let height = crate::types::Height::new(view.slot.get());
        let Ok(committee) = self.config.committees.at(height, lookup) else {
            self.committee = None;
            self.wanted_round = Some(asked);
            return cx.trace("SR-7", view);
        };
        let first = !self.started;
        (self.started, self.wanted_round) = (true, None);
        self.committee = Some(committee);
        self.relay_view = view;
        if change && self.config.compat.eager_round_change {
            self.round_changes.retain(|round, _| *round > view.round);
        } else {
            self.round_changes.clear();
        }
        // What was restored belongs to the height that the engine begins with.
        let keep = change || (first && self.lock.is_some());
        self.enter(cx, view, keep);
        self.waiting = false;
        self.cancel(cx, REPEAT_TIMER);
        cx.trace("SR-8", view);
        self.set_state(cx, State::AcceptRequest);
        if change && self.is_proposer() {
            cx.trace("SR-9", view);
            self.propose_again(cx);
        }
        self.want_block(cx, change);
        cx.trace("SR-10", view);
        self.arm(cx);
    }

    /// Tries again when a committee was missing.
    pub(super) fn retry_round(&mut self, cx: &mut Step<'_, V>) {
        if let Some(round) = self.wanted_round {
            self.start_round(cx, round);
        }
    }

    /// Leaves for a higher round without starting it yet.
    pub(super) fn catch_up(&mut self, cx: &mut Step<'_, V>, round: Round) {
        let view = View::new(self.view.slot, round);
        cx.trace("CU", view);
        self.waiting = true;
        self.enter(cx, view, true);
        self.round_changes.retain(|r, _| *r >= round);
        self.arm(cx);
    }

    fn enter(&mut self, cx: &mut Step<'_, V>, view: View, keep: bool) {
        if !(keep && self.is_locked()) {
            self.lock = None;
            self.proposal = None;
        }
        if !keep {
            self.request = None;
            self.building = false;
        }
        let entered = core::mem::replace(&mut self.view, view) != view;
        self.prepares.clear();
        self.commits.clear();
        self.first_prepares.clear();
        self.first_proposal = None;
        self.checking = None;
        if self.config.compat.remember && entered && view.round > Round::ZERO {
            cx.fx.persist(IstanbulRecord::Entered { view });
        }
    }

    fn arm(&mut self, cx: &mut Step<'_, V>) {
        self.early = None;
        self.cancel(cx, RETRY_TIMER);
        let span = self.config.timeouts.after(TimerKind::Round, self.view.round, &RoundHistory::default());
        let from = if self.config.compat.fair_timer { cx.now.max(self.floor.next_at) } else { cx.now };
        self.timer_view = self.view;
        self.set_timer(cx, ROUND_TIMER, from.after(span));
    }

    pub(super) fn round_timer(&mut self, cx: &mut Step<'_, V>) {
        let armed = self.timer_view;
        if self.floor.height.slot() >= armed.slot {
            return cx.trace("TM-2", armed);
        }
        let Some(committee) = self.committee.clone() else { return };
        if self.config.compat.remember && !committee.is_sender(self.config.me) {
            return cx.trace("TM-1", armed);
        }
        if !self.waiting {
            let weak = committee.weak as usize;
            let highest = self.round_changes.iter().rev().find(|(_, senders)| senders.len() >= weak);
            if let Some(round) = highest.map(|(round, _)| *round).filter(|round| *round > self.view.round) {
                cx.trace("TM-3", View::new(self.view.slot, round));
                return self.send_round_change(cx, round);
            }
        }
        if self.floor.height.slot() >= self.view.slot {
            cx.trace("TM-4", armed);
            self.start_round(cx, Round::ZERO);
        } else {
            cx.trace("TM-5", armed);
            self.send_round_change(cx, armed.round.saturating_add(1));
        }
    }

    pub(super) fn head(&mut self, cx: &mut Step<'_, V>, floor: Floor<Klaytn<V>>) {
        if floor.height <= self.floor.height {
            return;
        }
        self.floor = floor;
        self.blocks.insert(self.floor.height, self.floor.id);
        while self.blocks.len() > REMEMBERED_BLOCKS {
            self.blocks.pop_first();
        }
        self.restored = None;
        cx.push(Effect::Prune { below: self.floor.next_slot() });
        self.enqueue(cx, Queued::Head);
    }

    /// The application's answer to a decision. VT-8: a refusal unlocks and moves on.
    pub(super) fn applied(&mut self, cx: &mut Step<'_, V>, id: B256, result: Result<(), ApplyError>) {
        let Err(error) = result else { return };
        if error == ApplyError::Invalid && self.bad.len() < REMEMBERED_BAD {
            self.bad.insert(id);
        }
        if self.state == State::Committed && self.proposal.as_ref().is_some_and(|v| v.id() == id) {
            cx.trace("VT-8", self.view);
            // A store that fails says nothing about the value, which others may have applied.
            if error == ApplyError::Invalid || !self.config.compat.remember {
                let held = self.lock.take().is_some();
                // Otherwise it would come back with the log.
                if held && self.config.compat.remember {
                    cx.fx.persist(IstanbulRecord::Released { view: self.view });
                }
            }
            self.send_round_change(cx, self.view.round.saturating_add(1));
        }
    }
}
