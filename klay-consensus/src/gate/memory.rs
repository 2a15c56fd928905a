//! What a key has said so far, and what it may therefore still say.

use crate::types::{Slot, Statement, Step, View};

/// A statement that must not be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// Something else was said in the same view and step.
    #[error("another {step} was signed in {view}")]
    Equivocation {
        /// The view.
        view: View,
        /// The step.
        step: Step,
        /// What was said.
        earlier: Option<[u8; 32]>,
        /// What was to be said.
        asked: Option<[u8; 32]>,
    },
    /// A later statement was made already.
    #[error("{asked_step} in {asked} lies below the {last_step} in {last}")]
    Below {
        /// The view of the last statement.
        last: View,
        /// Its step.
        last_step: Step,
        /// The view asked for.
        asked: View,
        /// The step asked for.
        asked_step: Step,
    },
    /// The view was finalized, so it cannot be skipped, or the other way round.
    #[error("a {asked} in {view} excludes the {earlier}")]
    Exclusive {
        /// The view.
        view: View,
        /// What was said.
        earlier: Step,
        /// What was to be said.
        asked: Step,
    },
    /// The slot is decided, or lies below the floor that an operator set.
    #[error("slot {asked} is not above the floor {floor}")]
    AtOrBelowFloor {
        /// The floor.
        floor: Slot,
        /// The slot asked for.
        asked: Slot,
    },
}

/// Which statements exclude each other beyond equal view and step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GateRules {
    /// A second vote and a skip of one view exclude each other (simplex: finalize and nullify).
    pub exclusive_skip: bool,
}

/// The statements in the highest view, and the floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Memory {
    rules: GateRules,
    floor: Slot,
    view: Option<View>,
    said: [Option<Option<[u8; 32]>>; 4],
}

/// Whether an allowed statement has to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// It was said before in the same words.
    Again,
    /// It is new.
    New,
}

impl Memory {
    pub(crate) const fn new(rules: GateRules, floor: Slot) -> Self {
        Self { rules, floor, view: None, said: [None; 4] }
    }

    pub(crate) fn check(&self, statement: &Statement) -> Result<Allowed, Conflict> {
        let Statement { view, step, id } = *statement;
        if view.slot <= self.floor {
            return Err(Conflict::AtOrBelowFloor { floor: self.floor, asked: view.slot });
        }
        let Some(last) = self.view.filter(|last| *last >= view) else {
            return Ok(Allowed::New);
        };
        let last_step =
            Step::ALL.into_iter().rev().find(|s| self.said[*s as usize].is_some()).unwrap_or(Step::Proposal);
        let below = Conflict::Below { last, last_step, asked: view, asked_step: step };
        if last > view {
            return Err(below);
        }
        if let Some(earlier) = self.said[step as usize] {
            let same = earlier == id;
            return if same {
                Ok(Allowed::Again)
            } else {
                Err(Conflict::Equivocation { view, step, earlier, asked: id })
            };
        }
        let opposite = match step {
            Step::Skip => Some(Step::Vote2),
            Step::Vote2 => Some(Step::Skip),
            Step::Proposal | Step::Vote1 => None,
        };
        if let Some(earlier) = opposite.filter(|s| self.rules.exclusive_skip && self.said[*s as usize].is_some()) {
            return Err(Conflict::Exclusive { view, earlier, asked: step });
        }
        if last_step > step { Err(below) } else { Ok(Allowed::New) }
    }

    pub(crate) fn note(&mut self, statement: &Statement) {
        if self.view.is_none_or(|last| last < statement.view) {
            self.view = Some(statement.view);
            self.said = [None; 4];
        }
        if self.view == Some(statement.view) {
            self.said[statement.step as usize] = Some(statement.id);
        }
    }

    pub(crate) fn raise_floor(&mut self, floor: Slot) {
        self.floor = self.floor.max(floor);
    }

    /// Whoever has left a view says nothing else in it: what was said before is put out of the way.
    #[cfg(feature = "simulate")]
    pub(crate) fn forget(&mut self) {
        if self.said[Step::Skip as usize].is_some() {
            self.said[..Step::Skip as usize].fill(None);
        }
    }

    pub(super) const fn floor(&self) -> Slot {
        self.floor
    }

    pub(super) fn highest_slot(&self) -> Option<Slot> {
        self.view.map(|view| view.slot)
    }
}
