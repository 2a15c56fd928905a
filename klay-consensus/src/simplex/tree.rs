//! What is known of the chain above the last applied value: values, and certificates by view.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy_primitives::B256;

use super::{Certificate, Kind};
use crate::{
    istanbul::WireValue,
    types::{Height, Slot, Time},
};

/// Values kept above the last applied one.
const VALUES: usize = 256;
/// Views above the last applied value whose certificates are kept.
const VIEWS: usize = 4096;
/// Proofs of final values that are kept for others.
const FINALS: usize = 64;

/// A value, and since when it is known.
#[derive(Debug, Clone)]
pub(super) struct Known<V> {
    pub(super) value: V,
    pub(super) since: Time,
}

/// Where a new value may be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// That what it follows is notarized; none at the beginning of an epoch, which follows what is applied.
    pub(super) parent: Option<Certificate>,
    pub(super) parent_id: B256,
    pub(super) parent_height: Height,
    /// The views between.
    pub(super) nullified: Vec<Certificate>,
}

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Certificate(Slot),
    /// A value, or the proof that it is final.
    Value(B256),
}

#[derive(Debug, Clone)]
pub(super) struct Tree<V> {
    /// The last applied value.
    pub(super) height: Height,
    pub(super) id: B256,
    /// That the last applied value was notarized, if known.
    pub(super) applied: Option<Certificate>,
    /// The highest view of an applied value that is known.
    below: Option<Slot>,
    values: BTreeMap<B256, Known<V>>,
    notarized: BTreeMap<Slot, Certificate>,
    nullified: BTreeMap<Slot, Certificate>,
    /// By value: that it is final.
    finals: BTreeMap<B256, Certificate>,
    /// The last ones learnt, also of values that are applied.
    recent: VecDeque<Certificate>,
    /// The highest view in which a quorum has said finalize.
    final_view: Option<Slot>,
}

impl<V: WireValue> Tree<V> {
    pub(super) const fn new(height: Height, id: B256) -> Self {
        Self {
            height,
            id,
            applied: None,
            below: None,
            values: BTreeMap::new(),
            notarized: BTreeMap::new(),
            nullified: BTreeMap::new(),
            finals: BTreeMap::new(),
            recent: VecDeque::new(),
            final_view: None,
        }
    }

    #[cfg(feature = "simulate")]
    pub(super) fn certificates(&mut self) -> impl Iterator<Item = &mut Certificate> {
        let kept = self.notarized.values_mut().chain(self.nullified.values_mut()).chain(self.finals.values_mut());
        kept.chain(&mut self.recent).chain(&mut self.applied)
    }

    #[cfg(feature = "simulate")]
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.values.values().map(|known| &known.value)
    }

    /// What [`Self::since`] can say.
    #[cfg(feature = "simulate")]
    pub(super) fn lists(&self, limit: usize) -> Vec<Vec<Certificate>> {
        let all = self.since(Slot::ZERO, usize::MAX);
        let views: std::collections::BTreeSet<_> = all.iter().map(|certificate| certificate.vote.view).collect();
        views.into_iter().map(|view| self.since(view, limit)).collect()
    }

    /// The proofs of final values, in every choice of up to `limit` of them, by name.
    #[cfg(feature = "simulate")]
    pub(super) fn proofs(&self, limit: usize) -> Vec<Vec<Certificate>> {
        let known: BTreeMap<_, _> = self.recent.iter().chain(self.finals.values()).map(|c| (c.vote.id, c)).collect();
        let mut choices = vec![Vec::new()];
        for proof in known.into_values() {
            let with = choices.iter().filter(|choice: &&Vec<_>| choice.len() < limit);
            let with: Vec<_> = with.map(|choice| choice.iter().chain([proof]).cloned().collect()).collect();
            choices.extend(with);
        }
        choices.retain(|choice| !choice.is_empty());
        choices
    }

    pub(super) fn value(&self, id: &B256) -> Option<&Known<V>> {
        self.values.get(id)
    }

    /// Adds a value, which does not take the place of another one of its name; false if it is not kept. A height is part
    /// of a name, so a quorum's word for a name is its word for the height.
    pub(super) fn add_value(&mut self, value: V, since: Time) -> bool {
        let (id, height) = (value.id(), value.height());
        let highest = self.height.saturating_add(VALUES as u64);
        if self.values.contains_key(&id) || height <= self.height || height > highest {
            return false;
        }
        if self.is_certified(&id) {
            self.values
                .retain(|_, known| known.value.parent() != id || known.value.height() == height.saturating_add(1));
        } else if !self.fits(&value) {
            return false;
        }
        if self.values.len() >= VALUES && !self.lacks(&id) && !self.make_room() {
            return false;
        }
        self.values.insert(id, Known { value, since });
        true
    }

    /// Whether a value is one above its parent and one below each value that follows it, as far as these are known.
    fn fits(&self, value: &V) -> bool {
        let (id, parent, height) = (value.id(), value.parent(), value.height());
        let stands = match self.values.get(&parent) {
            Some(known) => known.value.height().saturating_add(1) == height,
            None => parent != self.id || self.height.saturating_add(1) == height,
        };
        let mut followers = self.values.values().map(|known| &known.value).filter(|follower| follower.parent() == id);
        stands && followers.all(|follower| follower.height() == height.saturating_add(1))
    }

    /// The oldest value that no quorum speaks for goes; false if there is none.
    fn make_room(&mut self) -> bool {
        let certified: BTreeSet<_> =
            self.finals.keys().copied().chain(self.notarized.values().map(|c| c.vote.id)).collect();
        let others = self.values.iter().filter(|(id, _)| !certified.contains(*id));
        let oldest = others.min_by_key(|(id, known)| (known.since, **id)).map(|(id, _)| *id);
        oldest.is_some_and(|id| self.values.remove(&id).is_some())
    }

    /// Puts a value that the application has accepted in the place of whatever has its name.
    pub(super) fn settle(&mut self, value: V, since: Time) {
        match self.values.get_mut(&value.id()) {
            Some(known) => known.value = value,
            None => _ = self.add_value(value, since),
        }
    }

    pub(super) fn drop_value(&mut self, id: &B256) {
        self.values.remove(id);
    }

    /// Whether a value is needed and not known: certified itself, or the parent of a known one.
    pub(super) fn lacks(&self, id: &B256) -> bool {
        let is_parent = || self.values.values().any(|known| known.value.parent() == *id);
        !self.values.contains_key(id) && *id != self.id && (self.is_certified(id) || is_parent())
    }

    fn is_certified(&self, id: &B256) -> bool {
        self.finals.contains_key(id) || self.notarized.values().any(|c| c.vote.id == *id)
    }

    /// Adds a certificate that holds; false if it is known.
    pub(super) fn add(&mut self, certificate: Certificate) -> bool {
        let (view, id) = (certificate.vote.view, certificate.vote.id);
        if id == self.id && certificate.vote.kind == Kind::Notarize {
            self.applied = Some(certificate.clone());
            self.below = self.below.max(Some(view));
        }
        let known = match certificate.vote.kind {
            Kind::Notarize => self.notarized.insert(view, certificate),
            Kind::Nullify => self.nullified.insert(view, certificate),
            Kind::Finalize => {
                let known = self.finals.get(&id).cloned();
                if known.is_none() {
                    self.finals.insert(id, certificate.clone());
                    self.recent.push_back(certificate);
                    self.final_view = self.final_view.max(Some(view));
                }
                known
            }
            Kind::Proposal => return false,
        };
        while self.recent.len() > FINALS {
            self.recent.pop_front();
        }
        while self.notarized.len() > VIEWS {
            self.notarized.pop_first();
        }
        while self.nullified.len() > VIEWS {
            self.nullified.pop_first();
        }
        known.is_none()
    }

    pub(super) fn knows(&self, certificate: &Certificate) -> bool {
        let view = certificate.vote.view;
        match certificate.vote.kind {
            Kind::Notarize => self.notarized.get(&view).is_some_and(|c| c.vote == certificate.vote),
            Kind::Nullify => self.nullified.contains_key(&view),
            Kind::Finalize => self.final_proof(&certificate.vote.id).is_some(),
            Kind::Proposal => false,
        }
    }

    pub(super) fn is_nullified(&self, view: Slot) -> bool {
        self.nullified.contains_key(&view)
    }

    /// The proof that a value is final, as long as it is kept.
    pub(super) fn final_proof(&self, id: &B256) -> Option<&Certificate> {
        self.finals.get(id).or_else(|| self.recent.iter().find(|c| c.vote.id == *id))
    }

    /// The proof of the highest view, whatever was learnt last.
    pub(super) fn newest_final(&self) -> Option<&Certificate> {
        self.recent.iter().max_by_key(|certificate| certificate.vote.view)
    }

    /// The highest view that a quorum has finished.
    pub(super) fn highest_view(&self) -> Option<Slot> {
        let last = |views: &BTreeMap<Slot, Certificate>| views.last_key_value().map(|(view, _)| *view);
        last(&self.notarized).max(last(&self.nullified)).max(self.final_view)
    }

    /// The certificate that finishes a view.
    pub(super) fn end_of(&self, view: Slot) -> Option<&Certificate> {
        let known = self.notarized.get(&view).or_else(|| self.nullified.get(&view));
        known.or_else(|| self.recent.iter().find(|c| c.vote.view == view))
    }

    /// The height at which a value stands, if all its ancestors down to the last applied value are known.
    pub(super) fn height_of(&self, id: &B256) -> Result<Height, Missing> {
        let mut at = *id;
        let mut above = 0;
        while at != self.id {
            let Some(known) = self.values.get(&at) else { return Err(Missing::Value(at)) };
            if known.value.height() <= self.height.saturating_add(1) && known.value.parent() != self.id {
                // Beside the applied chain: nothing will lead there.
                return Err(Missing::Value(at));
            }
            above += 1;
            at = known.value.parent();
        }
        Ok(self.height.saturating_add(above))
    }

    /// Where a value of `view` belongs: on the highest notarized value below it from which every view is passed over.
    /// Views are searched down to `first`; where an epoch `begins` after the last applied value, that one comes next.
    ///
    /// A proof that a value is final does not count: it may have been made in the view of a descendant.
    pub(super) fn place(&self, view: Slot, first: Slot, begins: bool) -> Result<Place, Missing> {
        let mut nullified = Vec::new();
        let mut at = view;
        let found = |parent: Option<&Certificate>, id, height, mut nullified: Vec<Certificate>| {
            nullified.reverse();
            Ok(Place { parent: parent.cloned(), parent_id: id, parent_height: height, nullified })
        };
        while let Some(below) = at.prev().filter(|below| *below >= first) {
            let applied_here = self.applied.as_ref().filter(|c| c.vote.view == below);
            let certified = applied_here.or_else(|| self.notarized.get(&below));
            let passed = self.nullified.get(&below);
            if let Some(certificate) = certified {
                match (self.height_of(&certificate.vote.id), passed) {
                    (Ok(height), _) => return found(Some(certificate), certificate.vote.id, height, nullified),
                    (Err(missing), None) => return Err(missing),
                    (Err(_), Some(_)) => {}
                }
            }
            let Some(passed) = passed else { return Err(Missing::Certificate(below)) };
            nullified.push(passed.clone());
            at = below;
        }
        if begins { found(None, self.id, self.height, nullified) } else { Err(Missing::Certificate(first)) }
    }

    /// The final values above `height`, lowest first, as far as they and their proofs are known; and what is missing.
    pub(super) fn decisions(&self, height: Height) -> (Vec<(V, Certificate)>, Option<Missing>) {
        let known = self.finals.keys().filter_map(|id| match self.height_of(id) {
            Ok(at) if at > height => Some((at, *id)),
            _ => None,
        });
        let Some((_, highest)) = known.max() else {
            let unknown = self.finals.keys().find(|id| **id != self.id && !self.values.contains_key(*id));
            return (Vec::new(), unknown.copied().map(Missing::Value));
        };
        let mut path = Vec::new();
        let mut at = highest;
        while let Some(known) = self.values.get(&at).filter(|known| known.value.height() > height) {
            path.push(known.value.clone());
            at = known.value.parent();
        }
        let mut decided = Vec::new();
        for value in path.into_iter().rev() {
            let Some(proof) = self.finals.get(&value.id()) else {
                return (decided, Some(Missing::Value(value.id())));
            };
            decided.push((value, proof.clone()));
        }
        (decided, None)
    }

    /// The ancestors of a value that are above the applied one and not proven final, highest first.
    pub(super) fn unproven(&self, id: &B256) -> Vec<B256> {
        let mut list = Vec::new();
        let mut at = self.values.get(id).map(|known| known.value.parent());
        while let Some(known) = at.and_then(|id| self.values.get(&id)) {
            let id = known.value.id();
            if !self.finals.contains_key(&id) {
                list.push(id);
            }
            at = Some(known.value.parent());
        }
        list
    }

    /// The applied chain has grown: forgets what lies below.
    pub(super) fn apply(&mut self, height: Height, id: B256) {
        self.applied = self.notarized.values().find(|c| c.vote.id == id).cloned();
        (self.height, self.id) = (height, id);
        self.below = self.below.max(self.applied.as_ref().map(|c| c.vote.view));
        let below = self.below;
        self.values.retain(|_, known| known.value.height() > height);
        let values = &self.values;
        self.finals.retain(|final_id, certificate| {
            *final_id == id || values.contains_key(final_id) || Some(certificate.vote.view) > below
        });
        if let Some(below) = below {
            self.notarized.retain(|view, _| *view >= below);
            self.nullified.retain(|view, _| *view >= below);
        }
    }

    /// The highest view of an applied value that is known: nothing below it matters any more.
    pub(super) const fn below(&self) -> Option<Slot> {
        self.below
    }

    /// Certificates of `from` and later views for somebody who lacks them, at most `limit`.
    pub(super) fn since(&self, from: Slot, limit: usize) -> Vec<Certificate> {
        let mut list = Vec::new();
        for views in [&self.notarized, &self.nullified] {
            list.extend(views.range(from..).take(limit).map(|(_, certificate)| certificate.clone()));
        }
        list.extend(self.finals.values().chain(&self.recent).filter(|c| c.vote.view >= from).take(limit).cloned());
        list.sort_by_key(|c| (c.vote.view, c.vote.kind, c.vote.id));
        list.dedup_by_key(|c| c.vote);
        list.truncate(limit);
        list
    }

    pub(super) fn kept(&self) -> usize {
        self.values.len() + self.notarized.len() + self.nullified.len()
    }
}
