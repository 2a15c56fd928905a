//! The host of a node: performs what its engine asks for, and dies where the run says so.

use crate::{
    gate::{Admitted, GateError},
    types::{Domain, Effect, Engine as _, Input, Lsn, Model, Slot, Ticket, Value, Verdict},
    wal::LogError,
};

use super::{Duration, EffectOf, Event, Feed, Inputs, Lab, Made, SLOW_WORK, WORK, World};

/// A signature that is waiting for the log.
struct ToSign {
    ticket: Ticket,
    digest: [u8; 32],
    domain: Domain,
    admitted: Result<Admitted, GateError>,
}

/// What one step leaves to be done once the log is safe.
struct Rest<L: Lab> {
    persisted: Option<Lsn>,
    to_sign: Vec<ToSign>,
    /// What the chain has decided: noted after the records of the step, whose places come before.
    decided: Option<Slot>,
    held: Vec<EffectOf<L>>,
}

impl<L: Lab> World<L> {
    /// One input, and whatever the gate answers to its effects.
    pub(super) fn feed(&mut self, node: usize, input: Feed<L>) {
        let (mut next, mut inputs) = (Some(input), Inputs::<L>::new());
        while let Some(input) = next {
            let local = self.nodes[node].local(self.now);
            let Some((engine, fx)) = self.nodes[node].engine.as_mut() else { return };
            engine.step(local, input, fx);
            self.metrics.steps += 1;
            let mut effects = fx.take(core::mem::take(&mut self.spare));
            let status = engine.status();
            if self.is_honest(node) {
                let lock = status.lock.map(|(round, _)| round.get());
                self.invariants.lock(self.now, node, status.height, lock);
                if status.backlog > 4096 {
                    self.violated("I9", node, format!("backlog of {}", status.backlog));
                }
            }
            let at = self.now.as_nanos();
            self.mix(&[at, node as u64, effects.len() as u64, status.round.get(), status.height.get()]);
            let mut rest = Rest { persisted: None, to_sign: Vec::new(), decided: None, held: Vec::new() };
            for effect in effects.drain(..) {
                if self.nodes[node].dies() {
                    return self.crash(node);
                }
                self.perform(node, effect, &mut rest);
            }
            self.spare = effects;
            if !self.finish(node, rest, &mut inputs) {
                return self.crash(node);
            }
            next = inputs.pop_front();
        }
    }

    fn perform(&mut self, node: usize, effect: EffectOf<L>, rest: &mut Rest<L>) {
        let life = self.nodes[node].life;
        let durable = self.nodes[node].gate.as_ref().map(crate::gate::Gate::durable);
        let early = |after: &Option<Lsn>| durable.is_some_and(|durable| after.is_some_and(|lsn| lsn > durable));
        match effect {
            Effect::Persist { record, lsn } => {
                if let Some(gate) = &mut self.nodes[node].gate
                    && gate.persist(lsn, &record).is_ok()
                {
                    rest.persisted = Some(lsn);
                }
            }
            Effect::Sign { ticket, statement, domain, digest, lsn } => {
                let admitted = match &mut self.nodes[node].gate {
                    Some(gate) => gate.admit(lsn, &statement),
                    None => Err(LogError::Failed.into()),
                };
                rest.to_sign.push(ToSign { ticket, digest, domain, admitted });
            }
            Effect::Send { ref after, .. } | Effect::Broadcast { ref after, .. } | Effect::Decide { ref after, .. }
                if early(after) =>
            {
                rest.held.push(effect);
            }
            Effect::Send { to, msg, .. } => self.send(node, &[to], msg, true),
            Effect::Broadcast { to, msg, .. } => self.send(node, &to, msg, true),
            Effect::Relay { to, msg, .. } => self.send(node, &to, msg, false),
            Effect::SetTimer { id, at } => {
                let set = self.nodes[node].set_timer(id);
                let at = self.nodes[node].global(at).max(self.now);
                self.schedule(at, Event::Timer { node, life, id, set });
            }
            Effect::Cancel(id) => {
                self.nodes[node].set_timer(id);
            }
            Effect::Build { slot, parent, .. } => self.build(node, slot, parent),
            Effect::Check { slot, value } => self.check(node, slot, &value),
            Effect::Decide { value, cert, .. } => self.decide(node, value, cert),
            Effect::Evidence(evidence) => {
                self.metrics.evidence += 1;
                let offender = self.known_as.get(&evidence.offender).and_then(|nodes| nodes[0]);
                if self.is_honest(node) {
                    let what = format!("{:?}", evidence.kind);
                    if offender.is_none_or(|offender| self.is_honest(offender)) {
                        self.violated("I11", node, format!("{what} blamed on an honest node"));
                    }
                    if !self.lab.proves(&evidence) {
                        self.violated("I11", node, format!("{what} is not proven"));
                    }
                    self.lab.reported(self.nodes[node].key, &evidence);
                }
            }
            Effect::Trace(rule, _) => self.rules.add(rule),
            Effect::Rejected { why, .. } => self.rejected.add(why.rule),
            Effect::Prune { below } => rest.decided = rest.decided.max(below.prev()),
            Effect::Need(_) => {}
        }
    }

    fn prune(&mut self, node: usize, decided: Slot) {
        let Some((_, fx)) = self.nodes[node].engine.as_mut() else { return };
        let lsn = fx.reserve();
        if let Some(gate) = &mut self.nodes[node].gate {
            let _full = gate.raise_floor(lsn, decided).is_err();
        }
        self.nodes[node].said_below = self.nodes[node].said_below.max(decided);
    }

    /// Makes what was written durable, then signs and says what rests on it. False if the node dies on the way.
    fn finish(&mut self, node: usize, rest: Rest<L>, inputs: &mut Inputs<L>) -> bool {
        if let Some(decided) = rest.decided {
            self.prune(node, decided);
        }
        if rest.persisted.is_none() && rest.to_sign.is_empty() && rest.held.is_empty() {
            return true;
        }
        if self.nodes[node].dies() {
            self.nodes[node].dies_writing();
            return false;
        }
        if let Some(gate) = &mut self.nodes[node].gate {
            // The disk of a run fails only by crashing.
            let safe = gate.commit().is_ok();
            inputs.extend(rest.persisted.filter(|_| safe).map(Input::Durable));
        }
        for ToSign { ticket, digest, domain, admitted } in rest.to_sign {
            if self.nodes[node].dies() {
                return false;
            }
            let result = match &mut self.nodes[node].gate {
                Some(gate) => admitted.and_then(|a| gate.sign::<L::Model>(a, domain, digest)).map_err(Into::into),
                None => Ok(self.lab.sign(self.nodes[node].key, digest)),
            };
            inputs.push_back(Input::Signed { ticket, result });
        }
        for effect in rest.held {
            if self.nodes[node].dies() {
                return false;
            }
            match effect {
                Effect::Send { to, msg, .. } => self.send(node, &[to], msg, true),
                Effect::Broadcast { to, msg, .. } => self.send(node, &to, msg, true),
                Effect::Decide { value, cert, .. } => self.decide(node, value, cert),
                _ => {}
            }
        }
        true
    }

    /// How long a piece of work of the application takes.
    fn work_time(&mut self, slow: u32) -> Duration {
        let (slow, span) = (self.work.chance(slow), self.work.below(SLOW_WORK));
        if slow && !self.settled() { Duration::from_nanos(span) } else { WORK }
    }

    fn build(&mut self, node: usize, slot: Slot, parent: <L::Model as Model>::Id) {
        let life = self.nodes[node].life;
        let height = self.height_after(node, parent);
        let salt = self.application.next_u64();
        let spoil = self.application.chance(self.run.faults.invalid_values);
        let how = self.nodes[node].byzantine;
        let spoil = how.is_some() && spoil || how == Some(super::Byzantine::InvalidValues);
        let value = self.lab.value(self.nodes[node].key, height, parent, salt, !spoil);
        let time = self.work_time(self.run.faults.slow_builds);
        self.at(time, Event::Built { node, life, slot, value });
    }

    /// A value has been made.
    pub(super) fn note_value(&mut self, node: usize, value: &<L::Model as Model>::Value) {
        if self.is_honest(node) {
            self.invariants.passes(value.id());
        }
        let ahead = if self.nodes[node].byzantine == Some(super::Byzantine::FutureValues) { 3_000_000_000 } else { 0 };
        let stamp = self.calendar(node) + ahead;
        self.made
            .insert(value.id(), Made { height: value.height(), at: self.now, proposed: None, stamp, followed: false });
        if let Some(parent) = self.made.get_mut(&value.parent()).filter(|parent| !parent.followed) {
            parent.followed = true;
            let since = self.now.since(parent.at);
            self.metrics.following += since;
            self.metrics.followed += 1;
        }
    }

    /// The calendar clock of a node. Clocks are set right, nearly, when everything settles.
    fn calendar(&self, node: usize) -> i64 {
        let wall = self.nodes[node].wall;
        let ahead = if self.settled() { wall.clamp(-250_000_000, 250_000_000) } else { wall };
        i64::try_from(self.now.as_nanos()).unwrap_or(i64::MAX).saturating_add(ahead)
    }

    fn height_after(&self, node: usize, parent: <L::Model as Model>::Id) -> crate::types::Height {
        let floor = self.floor(node);
        match self.made.get(&parent) {
            Some(made) if parent != floor.id => made.height.saturating_add(1),
            _ => floor.next_height(),
        }
    }

    fn check(&mut self, node: usize, slot: Slot, value: &<L::Model as Model>::Value) {
        let life = self.nodes[node].life;
        // What hostile nodes have made up has no timestamp.
        let unknown = Made { height: value.height(), at: self.now, proposed: None, stamp: 0, followed: true };
        self.made.entry(value.id()).or_insert(unknown);
        let floor = self.floor(node);
        let stands = value.parent() == floor.id || self.lab.pipelined() && self.made.contains_key(&value.parent());
        let fits = stands && value.height() == self.height_after(node, value.parent());
        let stamp = self.made.get(&value.id()).map_or(0, |made| made.stamp);
        let ahead = stamp.saturating_sub(self.calendar(node));
        let verdict = if !self.lab.is_valid(value) || !fits {
            Verdict::Invalid("refused by the application")
        } else if ahead > 1_000_000_000 {
            Verdict::NotYet { wait: Duration::from_nanos(u64::try_from(ahead - 1_000_000_000).unwrap_or_default()) }
        } else {
            if self.is_honest(node) {
                self.invariants.passes(value.id());
            }
            Verdict::Valid
        };
        let time = self.work_time(self.run.faults.slow_checks);
        self.at(time, Event::Verdict { node, life, slot, id: value.id(), verdict });
    }
}
