//! Values and what the application says of them.
//!
//! A value's name covers its header and nothing else: another value with the same name may come from anybody. Only what
//! the application has accepted is voted for, proposed and kept; nothing takes its place.

use alloy_primitives::B256;

use super::{Cx, Effect, Justified, JustifiedMessage, Kind, PROPOSE_TIMER, RETRY_TIMER, Rejected, Verdict, WireValue};

/// Values of a height that are kept by name.
const VALUES: usize = 16;

impl<V: WireValue> Justified<V> {
    /// The value of this name that the application has accepted, if it has.
    pub(super) fn accepted(&self, id: &B256) -> Option<&V> {
        let prepared = self.prepared.as_ref().map(|p| &p.value).filter(|v| v.id() == *id);
        self.values.get(id).or(prepared)
    }

    pub(super) fn remember(&mut self, value: V) {
        if self.values.len() < VALUES {
            self.values.entry(value.id()).or_insert(value);
        }
    }

    /// Has a value looked at; the one of its name that is accepted or looked at already, if there is one.
    pub(super) fn examine(&mut self, cx: &mut Cx<'_, V>, value: V) {
        let id = value.id();
        if self.examined.len() >= VALUES && !self.examined.contains_key(&id) {
            self.examined.pop_first();
        }
        let value = self.accepted(&id).cloned().unwrap_or(value);
        let value = self.examined.entry(id).or_insert(value).clone();
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
        let proposal = self.checking.take_if(|m| m.signed.vote.digest == id);
        let request = self.vetting.take_if(|(_, vetted)| *vetted == id);
        match verdict {
            Verdict::Valid => {
                let Some(value) = self.examined.remove(&id) else { return };
                self.remember(value.clone());
                if proposal.is_some() {
                    self.accept(cx, value);
                } else if request.is_some() {
                    self.try_propose(cx);
                }
            }
            Verdict::Invalid(reason) => {
                self.examined.remove(&id);
                if let Some(message) = proposal {
                    let from = message.signed.from;
                    cx.push(Effect::Rejected { from, why: Rejected::by_sender("JE-2", reason) });
                    self.next_round(cx);
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
