//! Values and what the application says of them.
//!
//! A value's name covers its header and nothing else: another value with the same name may come from anybody. Only what
//! the application has accepted is voted for, proposed and kept; nothing takes its place.

use std::collections::BTreeMap;

use core::fmt;

use alloy_primitives::B256;

use super::{Cx, Effect, Justified, JustifiedMessage, Kind, PROPOSE_TIMER, RETRY_TIMER, Rejected, Verdict, WireValue};

/// Values of a height that are kept by name.
const VALUES: usize = 16;

/// Values of a height that the application has accepted, with their names, oldest first.
#[derive(Clone)]
pub(super) struct Accepted<V>(Vec<(B256, V)>);

/// How they came in shows only once they are too many, so it makes no other state.
impl<V: fmt::Debug> fmt::Debug for Accepted<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sorted: BTreeMap<_, _> = self.0.iter().map(|(id, value)| (id, value)).collect();
        f.debug_map().entries(sorted).finish()
    }
}

impl<V> Accepted<V> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn get(&self, id: &B256) -> Option<&V> {
        self.0.iter().find(|(name, _)| name == id).map(|(_, value)| value)
    }

    /// Takes a value in. If there are too many, the oldest one that is not `needed` makes room.
    fn insert(&mut self, id: B256, value: V, needed: impl Fn(&B256) -> bool) {
        if self.0.len() >= VALUES
            && let Some(oldest) = self.0.iter().position(|(name, _)| !needed(name))
        {
            self.0.remove(oldest);
        }
        self.0.push((id, value));
    }
}

impl<V: WireValue> Justified<V> {
    /// The value of this name that the application has accepted, if it has.
    pub(super) fn accepted(&self, id: &B256) -> Option<&V> {
        let prepared = self.prepared.as_ref().map(|p| &p.value).filter(|v| v.id() == *id);
        self.values.get(id).or(prepared)
    }

    /// Keeps a value that the application has accepted. The newest is kept in any case: whoever has had a value looked at
    /// to put it forward would have it looked at for ever.
    pub(super) fn remember(&mut self, value: V) {
        let id = value.id();
        if self.values.get(&id).is_none() {
            let prepared = self.prepared.as_ref().map(|p| &p.value);
            let needed = [self.proposal.as_ref(), prepared].map(|value| value.map(V::id));
            self.values.insert(id, value, |name| needed.contains(&Some(*name)));
        }
    }

    /// Has a value looked at; the one of its name that is accepted, if there is one. While another one of its name is looked
    /// at, it waits for that verdict.
    pub(super) fn examine(&mut self, cx: &mut Cx<'_, V>, value: V) {
        let id = value.id();
        // A verdict says a name and no more: one question about a name at a time.
        if self.examined.contains_key(&id) {
            return;
        }
        if self.examined.len() >= VALUES {
            self.examined.pop_first();
        }
        let value = self.accepted(&id).cloned().unwrap_or(value);
        self.examined.insert(id, value.clone());
        cx.push(Effect::Check { slot: self.view.slot, value });
    }

    /// JE-8: a value that we do not know is looked at before we put it forward.
    pub(super) fn vet(&mut self, cx: &mut Cx<'_, V>, request: JustifiedMessage<V>) {
        let Some(value) = request.value else { return };
        let asked = (request.signed.from, value.id());
        if self.vetting != Some(asked) {
            self.vetting = Some(asked);
            self.examine(cx, value);
        }
    }

    pub(super) fn verdict(&mut self, cx: &mut Cx<'_, V>, id: B256, verdict: Verdict) {
        let Some(looked_at) = self.examined.remove(&id) else { return };
        if matches!(verdict, Verdict::Invalid(_)) && self.accepted(&id).is_none() {
            let proposed = self.checking.as_ref().filter(|m| m.signed.vote.digest == id);
            let claimed = self.vetting.filter(|(_, vetted)| *vetted == id);
            let claimed = claimed.and_then(|(from, _)| self.round_changes.get(&from));
            let value = proposed.or(claimed).and_then(|m| m.value.clone());
            if let Some(value) = value.filter(|value| value.id() == id && !same(value, &looked_at)) {
                // It was said of another form.
                return self.examine(cx, value);
            }
        }
        let proposal = self.checking.take_if(|m| m.signed.vote.digest == id);
        let request = self.vetting.take_if(|(_, vetted)| *vetted == id);
        match verdict {
            Verdict::Valid => {
                let value = looked_at;
                self.remember(value.clone());
                if proposal.is_some() {
                    self.accept(cx, value);
                } else if request.is_some() {
                    self.try_propose(cx);
                }
                // Its commits may have come before.
                self.try_decide(cx);
            }
            Verdict::Invalid(reason) => {
                if let Some(message) = proposal {
                    let from = message.signed.from;
                    cx.push(Effect::Rejected { from, why: Rejected::by_sender("JE-2", reason) });
                    self.leave_round(cx);
                } else if let Some((from, _)) = request {
                    cx.push(Effect::Rejected { from, why: Rejected::by_sender("JU-2", reason) });
                    self.spoilt.insert(from);
                    self.try_propose(cx);
                }
            }
            Verdict::NotYet { wait } => {
                if let Some(message) = proposal {
                    self.first_votes.remove(&(message.signed.from, Kind::Proposal));
                    self.early = Some(message);
                    self.set_timer(cx, RETRY_TIMER, cx.now.after(wait));
                } else if request.is_some() {
                    self.set_timer(cx, PROPOSE_TIMER, cx.now.after(wait));
                }
            }
        }
    }
}

/// Whether two values of one name are the same in all that they carry.
pub(in crate::istanbul) fn same<V: WireValue>(a: &V, b: &V) -> bool {
    let [mut left, mut right] = [Vec::new(), Vec::new()];
    a.encode(&mut left);
    b.encode(&mut right);
    left == right
}
