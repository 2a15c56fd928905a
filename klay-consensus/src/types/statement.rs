//! What a signature says, in words that are the same for every engine.

use core::fmt;

use super::View;

/// The kind of a statement, in the order in which one node makes them within a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Step {
    /// A proposal.
    Proposal = 0,
    /// The first vote: prepare, notarize, prevote.
    Vote1 = 1,
    /// The second vote: commit, finalize, precommit.
    Vote2 = 2,
    /// Leaving the round without a decision: round change, nullify.
    Skip = 3,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 4] = [Self::Proposal, Self::Vote1, Self::Vote2, Self::Skip];

    /// The step with this number.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Proposal),
            1 => Some(Self::Vote1),
            2 => Some(Self::Vote2),
            3 => Some(Self::Skip),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proposal => "proposal",
            Self::Vote1 => "first vote",
            Self::Vote2 => "second vote",
            Self::Skip => "skip",
        })
    }
}

/// What a key is about to say. The [`Gate`](crate::gate::Gate) allows one statement per view and step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Statement {
    /// What it is about.
    pub view: View,
    /// What kind it is.
    pub step: Step,
    /// The value it supports; `None` for a vote for nothing and for [`Step::Skip`].
    pub id: Option<[u8; 32]>,
}

impl Statement {
    /// A statement about a value.
    pub const fn about(view: View, step: Step, id: [u8; 32]) -> Self {
        Self { view, step, id: Some(id) }
    }

    /// Leaving a round.
    pub const fn skip(view: View) -> Self {
        Self { view, step: Step::Skip, id: None }
    }

    /// Its place in the order in which an honest node speaks.
    pub const fn position(&self) -> (View, Step) {
        (self.view, self.step)
    }
}
