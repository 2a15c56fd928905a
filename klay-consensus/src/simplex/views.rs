//! Views, their timers, and proposals of our own.

use std::sync::Arc;

use core::time::Duration;

use alloy_primitives::{Address, B256};

use super::{
    ASK_TIMER, Committee, Cx, Domain, Effect, Floor, Height, Kind, Klaytn, LEADER_TIMER, Missing, PASSED_OVER,
    PROGRESS_TIMER, PROPOSE_TIMER, Place, REPEAT_TIMER, REPROPOSE_TIMER, RETRY_TIMER, Round, Simplex, SimplexRecord,
    Slot, Time, TimerId, Unsigned, Vote, WireValue, config::PATIENCE, proof::with_view, seal,
};
use crate::types::{RoundHistory, Statement, Step, TimerKind, View};

/// A view is the number of its epoch, then its number within.
pub(super) const EPOCH_BITS: u32 = 32;
/// Values above the last applied one that we build upon.
const AHEAD: u64 = 8;
/// The same that others may, who may have applied more.
pub(super) const OTHERS_AHEAD: u64 = 32;

/// What has happened in a view.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Session {
    /// When a proposal can be expected from.
    pub(super) begun: Time,
    pub(super) proposed: bool,
    pub(super) notarized: bool,
    pub(super) nullified: bool,
    /// Views nullified in a row before this one.
    pub(super) failed: u64,
}

/// The epoch of a view, from 0, and the round that the committee of the view is [asked for](super::SimplexConfig::committees)
/// with the epoch's first height.
pub const fn place_of(view: Slot) -> (u64, Round) {
    let number = view.get() & ((1 << EPOCH_BITS) - 1);
    (view.get() >> EPOCH_BITS, Round::new(number.saturating_sub(1)))
}

/// The slot between the views of an epoch and those of the epoch before it.
pub const fn before_epoch(epoch: u64) -> Slot {
    Slot::new(epoch.saturating_mul(1 << EPOCH_BITS))
}

impl<V: WireValue> Simplex<V> {
    pub(super) const fn epoch_of(&self, height: Height) -> u64 {
        height.get().saturating_sub(1) / self.config.epoch
    }

    pub(super) const fn epoch_of_view(&self, view: Slot) -> u64 {
        place_of(view).0
    }

    pub(super) const fn first_view(&self, epoch: u64) -> Slot {
        before_epoch(epoch).saturating_add(1)
    }

    pub(super) const fn height_of_epoch(&self, epoch: u64) -> Height {
        Height::new(epoch.saturating_mul(self.config.epoch).saturating_add(1))
    }

    /// The committee of a view; none while it cannot be looked up.
    pub(super) fn committee_at(&self, view: Slot) -> Option<Arc<Committee<Address>>> {
        let (epoch, round) = place_of(view);
        self.config.committees.at(self.height_of_epoch(epoch), round).ok()
    }

    pub(super) fn span(&self, kind: TimerKind) -> Duration {
        self.config.timeouts.after(kind, Round::new(self.session.failed), &RoundHistory::default())
    }

    pub(super) fn start(&mut self, cx: &mut Cx<'_, V>) {
        if self.started {
            return;
        }
        self.started = true;
        self.decide(cx);
        let reached = self.tree.highest_view().map(|view| view.saturating_add(1));
        let first = self.first_view(self.epoch_of(self.decided.saturating_add(1)));
        let view = self.view.max(first).max(reached.unwrap_or_default()).max(self.restored.unwrap_or_default());
        if self.restored.is_none_or(|restored| restored < view) {
            cx.fx.persist(SimplexRecord::Entered { view });
        }
        self.enter(cx, view);
    }

    /// Goes to the view after the highest finished one.
    pub(super) fn advance(&mut self, cx: &mut Cx<'_, V>) {
        if let Some(highest) = self.tree.highest_view().filter(|highest| *highest >= self.view) {
            let next = highest.saturating_add(1);
            let finished = self.tree.end_of(highest).filter(|c| c.vote.kind == Kind::Notarize).map(|c| c.vote.id);
            // On record first: once finalize is said, nothing may be said in that view again (SX-10).
            cx.fx.persist(SimplexRecord::Entered { view: next });
            if let Some(id) = finished {
                self.finalize(cx, highest, id);
            }
            self.enter(cx, next);
        }
        self.decide(cx);
    }

    /// Begins a view.
    pub(super) fn enter(&mut self, cx: &mut Cx<'_, V>, view: Slot) {
        let restored = self.restored == Some(view);
        self.view = view;
        let oldest = self.oldest();
        self.tallies.retain(|of, _| *of >= oldest);
        self.session = Session {
            begun: cx.now,
            proposed: restored,
            notarized: restored,
            failed: self.nullified_before(view),
            ..Session::default()
        };
        self.pending.take_if(|candidate| candidate.signed.vote.view < view);
        self.checking = None;
        self.vetting = None;
        self.building = None;
        self.spoken.retain(|message| message.vote().is_some_and(|signed| signed.vote.kind == Kind::Finalize));
        let spare = self.spoken.len().saturating_sub(4);
        self.spoken.drain(..spare);
        for timer in [LEADER_TIMER, PROGRESS_TIMER, PROPOSE_TIMER, RETRY_TIMER, REPROPOSE_TIMER] {
            self.cancel(cx, timer);
        }
        self.committee = self.committee_at(view);
        if self.committee.is_none() {
            return;
        }
        cx.trace(if restored { "SX-10" } else { "SX-7" }, view);
        if let Ok(place) = self.place(view) {
            self.session.begun = self.may_begin(&place).max(cx.now);
        }
        let begun = self.session.begun;
        self.set_timer(cx, LEADER_TIMER, begun.after(self.span(TimerKind::Proposal)));
        self.set_timer(cx, PROGRESS_TIMER, begun.after(self.span(TimerKind::Progress)));
        self.set_timer(cx, REPEAT_TIMER, begun.after(self.span(TimerKind::Repeat)));
        self.try_propose(cx);
        self.look_again(cx);
        if self.view == view {
            self.count(cx, view);
        }
    }

    fn place(&self, view: Slot) -> Result<Place, Missing> {
        let epoch = self.epoch_of_view(view);
        let begins = self.height_of_epoch(epoch) == self.tree.height.saturating_add(1);
        self.tree.place(view, self.first_view(epoch), begins)
    }

    fn nullified_before(&self, view: Slot) -> u64 {
        let mut failed = 0;
        let mut at = view.prev();
        while let Some(below) = at.filter(|below| failed < PASSED_OVER && self.tree.is_nullified(*below)) {
            failed += 1;
            at = below.prev();
        }
        failed
    }

    /// When the value at a place may be proposed.
    fn may_begin(&self, place: &Place) -> Time {
        if place.parent_id == self.floor.id {
            return self.floor.next_at;
        }
        self.tree.value(&place.parent_id).map_or(Time::ZERO, |known| known.since.after(self.config.period))
    }

    pub(super) fn timer(&mut self, cx: &mut Cx<'_, V>, id: TimerId) {
        self.timers.remove(&id);
        match id {
            LEADER_TIMER if !self.session.notarized => self.nullify(cx),
            PROGRESS_TIMER => self.nullify(cx),
            REPEAT_TIMER => self.repeat(cx),
            PROPOSE_TIMER | REPROPOSE_TIMER => self.try_propose(cx),
            RETRY_TIMER => self.look_again(cx),
            ASK_TIMER => self.look_everywhere(cx),
            _ => {}
        }
    }

    /// SX-4.
    pub(super) fn nullify(&mut self, cx: &mut Cx<'_, V>) {
        if self.session.nullified || !self.is_member() {
            return;
        }
        cx.trace("SX-4", self.view);
        self.session.nullified = true;
        self.say(cx, Vote { kind: Kind::Nullify, view: self.view, id: Default::default() });
    }

    /// SX-4 for a proposal that is refused: at once, unless so many were that the views would run out. Then the leader's
    /// timer ends it.
    pub(super) fn nullify_refused(&mut self, cx: &mut Cx<'_, V>) {
        if self.session.failed < u64::from(PATIENCE) {
            self.nullify(cx);
        }
    }

    /// SX-3: says that a notarized value is final, unless the view was given up.
    fn finalize(&mut self, cx: &mut Cx<'_, V>, view: Slot, id: B256) {
        let gave_up = view == self.view && self.session.nullified || self.restored == Some(view);
        let member = self.committee_at(view).is_some_and(|c| c.is_member(self.config.me));
        if !gave_up && member {
            cx.trace("SX-3", view);
            self.say_finalize(cx, Vote { kind: Kind::Finalize, view, id });
        }
    }

    /// Whether a value may follow one at `height`, or that one has to become final first (SX-11). At most `ahead`
    /// values may wait to be applied.
    pub(super) fn may_follow(&self, parent: &B256, height: Height, view: Slot, ahead: u64) -> bool {
        let same_epoch = self.epoch_of(height.saturating_add(1)) == self.epoch_of_view(view);
        let near = height.get() < self.tree.height.saturating_add(ahead).get();
        same_epoch && (*parent == self.tree.id || self.config.pipelined && near)
    }

    /// SX-1.
    pub(super) fn try_propose(&mut self, cx: &mut Cx<'_, V>) {
        let idle = !self.session.proposed && !self.session.nullified && self.building.is_none();
        if !idle || !self.is_leader() || !self.started {
            return;
        }
        let place = match self.place(self.view) {
            Ok(place) => place,
            Err(missing) => return self.ask(cx, missing, None),
        };
        if !self.may_follow(&place.parent_id, place.parent_height, self.view, AHEAD) {
            return self.propose_again(cx, place);
        }
        let begin = self.may_begin(&place);
        if cx.now < begin {
            return self.set_timer(cx, PROPOSE_TIMER, begin);
        }
        let deadline = cx.now.after(self.config.build_time);
        let parent = place.parent_id;
        self.building = Some(place);
        cx.push(Effect::Build { slot: self.view, parent, deadline, empty: true });
    }

    /// SX-11: the value itself once more, after it had time to become final.
    fn propose_again(&mut self, cx: &mut Cx<'_, V>, place: Place) {
        if place.parent_height <= self.decided {
            return; // It is final and about to be applied.
        }
        let patience = self.session.begun.after(self.span(TimerKind::Round));
        if cx.now < patience {
            return self.set_timer(cx, REPROPOSE_TIMER, patience);
        }
        match self.accepted(&place.parent_id).cloned() {
            Some(value) => {
                cx.trace("SX-11", self.view);
                self.propose(cx, value, place);
            }
            None => self.vet(cx, &place.parent_id),
        }
    }

    pub(super) fn built(&mut self, cx: &mut Cx<'_, V>, slot: Slot, value: Option<V>) {
        if slot != self.view {
            return;
        }
        let Some(place) = self.building.take() else { return };
        let fits = |v: &V| v.parent() == place.parent_id && v.height() == place.parent_height.saturating_add(1);
        let Some(value) = value.filter(fits).and_then(|value| with_view(value, slot)) else { return };
        if value.is_sealed() {
            return self.propose(cx, value, place);
        }
        let statement = Statement::about(View::first(slot), Step::Proposal, value.content_id().0);
        let digest = seal::proposer_digest(value.header());
        self.session.proposed = true;
        let ticket = cx.fx.sign(statement, Domain::ProposerSeal, digest.0);
        self.unsigned.insert(ticket, Unsigned::Value { view: slot, value, place });
    }

    pub(super) fn propose(&mut self, cx: &mut Cx<'_, V>, value: V, place: Place) {
        cx.trace("SX-1", self.view);
        self.session.proposed = true;
        let vote = Vote { kind: Kind::Proposal, view: self.view, id: value.id() };
        let statement = vote.statement(value.content_id());
        let ticket = cx.fx.sign(statement, Domain::Message, vote.digest(self.config.domain).0);
        self.unsigned.insert(ticket, Unsigned::Proposal { vote, value, place });
    }

    /// The chain has moved.
    pub(super) fn head(&mut self, cx: &mut Cx<'_, V>, floor: Floor<Klaytn<V>>) {
        if floor.height <= self.floor.height {
            return;
        }
        self.floor = floor;
        self.tree.apply(self.floor.height, self.floor.id);
        self.decided = self.decided.max(self.floor.height);
        let tree = &self.tree;
        self.checked.retain(|id| tree.value(id).is_some());
        self.distrusted.clear();
        self.given.retain(|id, _| tree.value(id).is_some());
        if let Some(below) = self.tree.below() {
            self.tallies.retain(|view, _| *view >= below);
            cx.push(Effect::Prune { below: below.saturating_add(1) });
        }
        if !self.started {
            return;
        }
        let first = self.first_view(self.epoch_of(self.decided.saturating_add(1)));
        if first > self.view {
            cx.fx.persist(SimplexRecord::Entered { view: first });
            self.enter(cx, first);
        }
        self.decide(cx);
        self.look_again(cx);
        self.try_propose(cx);
    }
}
