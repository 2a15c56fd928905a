//! Values and what the application says of them.
//!
//! A value's name covers its header and nothing else: another value with the same name may come from anybody. What the
//! application has accepted stays. What nobody has looked at is dropped when it turns out to be wrong, at the latest
//! when it is applied, and asked for again; for this height, its sender gives us no more of them.

use alloy_primitives::{Address, B256};

use super::{Cx, Effect, REPROPOSE_TIMER, RETRY_TIMER, Rejected, Simplex, Slot, Time, Verdict, WireValue};

/// Peers whose values are not taken at a height, at most.
const DISTRUSTED: usize = 1024;

impl<V: WireValue> Simplex<V> {
    /// The value of this name that the application has accepted, if it has.
    pub(super) fn accepted(&self, id: &B256) -> Option<&V> {
        let known = self.tree.value(id).filter(|_| self.checked.contains(id));
        known.map(|known| &known.value)
    }

    /// Keeps a value that is our own or that the application has accepted.
    pub(super) fn keep_checked(&mut self, value: V, now: Time) {
        let id = value.id();
        self.given.remove(&id);
        self.tree.settle(value, now);
        if self.tree.value(&id).is_some() {
            self.checked.insert(id);
        }
    }

    /// Keeps a value that nobody has looked at, unless there is one of its name.
    pub(super) fn keep_unchecked(&mut self, cx: &Cx<'_, V>, from: Address, value: V) {
        let id = value.id();
        if !self.distrusted.contains(&from) && self.tree.add_value(value, cx.now) {
            // What was accepted under this name had to make room meanwhile.
            self.checked.remove(&id);
            self.given.insert(id, from);
        }
    }

    /// The application refuses what is kept under this name. If it has accepted it before, that is no word about it.
    pub(super) fn refuse(&mut self, cx: &mut Cx<'_, V>, id: B256) {
        if self.checked.contains(&id) {
            return;
        }
        self.tree.drop_value(&id);
        if let Some(from) = self.given.remove(&id) {
            if self.distrusted.len() < DISTRUSTED {
                self.distrusted.insert(from);
            }
            cx.push(Effect::Rejected { from, why: Rejected::by_sender("SX-8", "value is refused") });
        }
    }

    pub(super) fn handle_value(&mut self, cx: &mut Cx<'_, V>, from: Address, value: V) -> Result<(), Rejected> {
        if !self.wants(&value.id()) {
            return Err(Rejected::stale("SX-8", "value is not wanted"));
        }
        if !value.is_uncommitted() {
            return Err(Rejected::by_sender("SX-8", "value with committed seals"));
        }
        if self.distrusted.contains(&from) {
            return Err(Rejected::stale("SX-8", "values of this sender were refused"));
        }
        self.keep_unchecked(cx, from, value);
        self.look_everywhere(cx);
        Ok(())
    }

    /// SX-11: a value of others is looked at before we put it forward again.
    pub(super) fn vet(&mut self, cx: &mut Cx<'_, V>, id: &B256) {
        if self.vetting != Some(*id)
            && let Some(known) = self.tree.value(id)
        {
            self.vetting = Some(*id);
            cx.push(Effect::Check { slot: self.view, value: known.value.clone() });
        }
    }

    pub(super) fn verdict(&mut self, cx: &mut Cx<'_, V>, slot: Slot, id: B256, verdict: Verdict) {
        if slot != self.view {
            return;
        }
        match self.checking.take_if(|c| c.signed.vote.id == id) {
            Some(candidate) => match verdict {
                Verdict::Valid => {
                    self.keep_checked(candidate.value.clone(), cx.now);
                    self.notarize(cx, candidate.value);
                }
                Verdict::Invalid(reason) => {
                    let from = candidate.signed.from;
                    cx.push(Effect::Rejected { from, why: Rejected::by_sender("SX-2", reason) });
                    if self.given.get(&id) == Some(&from) && !self.checked.contains(&id) {
                        self.tree.drop_value(&id);
                        self.given.remove(&id);
                    }
                    self.nullify_refused(cx);
                }
                Verdict::NotYet { wait } => {
                    self.pending = Some(candidate);
                    self.set_timer(cx, RETRY_TIMER, cx.now.after(wait));
                }
            },
            None if self.vetting.take_if(|vetted| *vetted == id).is_some() => match verdict {
                Verdict::Valid => {
                    if let Some(known) = self.tree.value(&id) {
                        self.keep_checked(known.value.clone(), cx.now);
                    }
                    self.try_propose(cx);
                }
                Verdict::Invalid(_) => {
                    self.refuse(cx, id);
                    self.try_propose(cx);
                }
                Verdict::NotYet { wait } => self.set_timer(cx, REPROPOSE_TIMER, cx.now.after(wait)),
            },
            None => {}
        }
    }
}
