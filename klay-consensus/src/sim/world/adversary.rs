//! What is sent: by honest nodes as it is, by hostile ones as they like.

use std::sync::Arc;

use crate::types::{Limits, Round, Slot, Statement, Step, View};

use super::{Byzantine, Event, Lab, MsgOf, OVERHEARD, PeerOf, World};

/// Forged votes for each message of a flooding node.
const FLOOD: u64 = 16;
/// One in so many steps leaves the signatures of honest nodes to the engines.
const UNCHECKED: u64 = 8;

impl<L: Lab> World<L> {
    pub(super) fn send(&mut self, from: usize, to: &[PeerOf<L>], msg: MsgOf<L>, own: bool) {
        let claim = self.lab.claim(&msg);
        if own && self.is_honest(from) {
            if let Some((who, statement)) = &claim {
                self.invariants.speak(self.now, from, *who, statement);
            }
            self.check_wire(from, &msg);
        }
        if let Some(id) = self.lab.proposes(&msg)
            && let Some(made) = self.made.get_mut(&id)
        {
            made.proposed.get_or_insert(self.now);
        }
        let msg = Arc::new(msg);
        if self.nodes[from].byzantine.is_some() || !self.run.faults.byzantine.is_empty() {
            self.overhear(&msg);
        }
        for peer in to {
            let nodes = self.known_as.get(peer).copied().unwrap_or_default();
            for to in nodes.into_iter().flatten() {
                match self.nodes[from].byzantine {
                    None | Some(Byzantine::Twin | Byzantine::InvalidValues | Byzantine::FutureValues) => {
                        let vouched = own && self.is_honest(from);
                        self.transmit(from, to, Arc::clone(&msg), claim.map(|(_, statement)| statement), vouched);
                    }
                    Some(how) => {
                        for msg in self.hostile(from, how, to, &msg) {
                            let claim = self.lab.claim(&msg).map(|(_, statement)| statement);
                            self.transmit(from, to, msg, claim, false);
                        }
                    }
                }
            }
        }
    }

    fn overhear(&mut self, msg: &Arc<MsgOf<L>>) {
        if self.overheard.len() < OVERHEARD {
            self.overheard.push(Arc::clone(msg));
        } else {
            let at = self.adversary.below(OVERHEARD as u64) as usize;
            self.overheard[at] = Arc::clone(msg);
        }
    }

    /// I14 and strictness: what honest nodes send decodes to itself. Tried on a sample: encoding is most of the work.
    fn check_wire(&mut self, from: usize, msg: &MsgOf<L>) {
        if !self.metrics.steps.is_multiple_of(64) {
            return;
        }
        let (mut bytes, mut again) = (Vec::new(), Vec::new());
        self.lab.codec().encode(msg, &mut bytes);
        if let Ok(decoded) = self.lab.codec().decode(&bytes, Limits::default()) {
            self.lab.codec().encode(&decoded, &mut again);
        }
        if bytes != again {
            self.violated("I14", from, "a message does not decode to itself");
        }
    }

    /// `vouched`: an honest node says it in its own name. Its host would find the signature good, and most of the time
    /// says so (EN-5).
    fn transmit(&mut self, from: usize, to: usize, msg: Arc<MsgOf<L>>, claim: Option<Statement>, vouched: bool) {
        let (kind, size) = self.lab.describe(&msg);
        self.messages.add(kind);
        self.metrics.bytes += size as u64;
        if claim.is_some_and(|claim| self.links.withholds(self.now, from, to, &claim)) {
            return;
        }
        for at in self.links.arrivals(self.now, from, to, size).into_iter().flatten() {
            let damaged = self.links.damages(self.now);
            let msg = if damaged { self.damaged(&msg) } else { Some(Arc::clone(&msg)) };
            let checked = vouched && !damaged && !self.metrics.steps.is_multiple_of(UNCHECKED);
            match msg {
                Some(msg) => self.schedule(at, Event::Message { to, from, msg, checked }),
                None => self.metrics.malformed += 1,
            }
        }
    }

    /// The message with a bit changed; none if it does not decode any more.
    fn damaged(&mut self, msg: &MsgOf<L>) -> Option<Arc<MsgOf<L>>> {
        let mut bytes = Vec::new();
        self.lab.codec().encode(msg, &mut bytes);
        let at = self.damage.below(bytes.len() as u64) as usize;
        let bit = self.damage.below(8);
        *bytes.get_mut(at)? ^= 1 << bit;
        self.lab.codec().decode(&bytes, Limits::default()).ok().map(Arc::new)
    }

    fn hostile(&mut self, from: usize, how: Byzantine, to: usize, msg: &Arc<MsgOf<L>>) -> Vec<Arc<MsgOf<L>>> {
        let claim = self.lab.claim(msg).map(|(_, statement)| statement);
        let mut sent = vec![Arc::clone(msg)];
        match how {
            Byzantine::Silent => sent.clear(),
            Byzantine::Withhold => {
                if self.adversary.chance(500) {
                    sent.clear();
                }
            }
            Byzantine::Replay => sent.extend(self.adversary.pick(&self.overheard).cloned()),
            Byzantine::Garbage => self.garbage(),
            Byzantine::Stale => {
                let past = |view: View| View::new(view.slot, Round::new(view.round.get().saturating_sub(1)));
                sent.extend(claim.and_then(|c| self.forged(from, from, Statement::skip(past(c.view)))));
            }
            Byzantine::Impersonate => {
                let other = self.adversary.below(self.lab.nodes() as u64) as usize;
                sent.extend(claim.and_then(|c| self.forged(from, other, c)));
            }
            Byzantine::Flood => {
                for _ in 0..FLOOD {
                    let forged = claim.and_then(|c| self.flooding(from, c));
                    sent.extend(forged);
                }
            }
            _ => {
                let made = self.lab.corrupt(self.nodes[from].key, how, to, msg, &mut self.adversary);
                sent = made.into_iter().map(Arc::new).collect();
            }
        }
        sent
    }

    fn flooding(&mut self, from: usize, claim: Statement) -> Option<Arc<MsgOf<L>>> {
        let slot = Slot::new(claim.view.slot.get() + self.adversary.below(8));
        let view = View::new(slot, Round::new(claim.view.round.get() + self.adversary.below(300)));
        let step = self.adversary.pick(&[Step::Vote1, Step::Vote2, Step::Skip]).copied()?;
        let mut id = [0; 32];
        id[..8].copy_from_slice(&self.adversary.next_u64().to_le_bytes());
        let statement = if step == Step::Skip { Statement::skip(view) } else { Statement::about(view, step, id) };
        self.forged(from, from, statement)
    }

    fn forged(&self, from: usize, claimed: usize, statement: Statement) -> Option<Arc<MsgOf<L>>> {
        let claimed = self.nodes.get(claimed)?.key;
        self.lab.forge(self.nodes[from].key, claimed, &statement).map(Arc::new)
    }

    fn garbage(&mut self) {
        let length = self.adversary.below(64) as usize;
        let bytes: Vec<_> = (0..length).map(|_| self.adversary.next_u64() as u8).collect();
        if self.lab.codec().decode(&bytes, Limits::default()).is_err() {
            self.metrics.malformed += 1;
        }
    }

    /// A hostile node that votes for everything hears of something.
    pub(super) fn hear(&mut self, node: usize, msg: &MsgOf<L>) {
        if self.nodes[node].byzantine != Some(Byzantine::VoteForAnything) {
            return;
        }
        let Some((_, claim)) = self.lab.claim(msg) else { return };
        let Some(id) = claim.id.filter(|_| matches!(claim.step, Step::Proposal | Step::Vote1)) else { return };
        // Once each: others like it may listen.
        if !self.voted_for.insert((node, claim.view, id)) {
            return;
        }
        for step in [Step::Vote1, Step::Vote2, Step::Skip] {
            let statement = Statement { step, id: claim.id.filter(|_| step != Step::Skip), ..claim };
            let Some(msg) = self.forged(node, node, statement) else { continue };
            for to in (0..self.nodes.len()).filter(|to| *to != node) {
                self.transmit(node, to, Arc::clone(&msg), Some(statement), false);
            }
        }
    }
}
