//! Why a message was not used, and whose fault that is.

use core::fmt;

/// Who is to blame for a message that was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The sender broke a rule; hosts may score it down.
    Sender,
    /// Our own state is the reason: not started, no committee, a limit of ours.
    Ours,
    /// Nobody: late, early, or made pointless by progress.
    Nobody,
}

/// What to do with a message that was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Keep {
    /// It will never be of use.
    Drop,
    /// The engine has stored it and will look at it again by itself.
    Stored,
    /// The host should offer it again after the next [`Head`](super::Input::Head) or [`Sets`](super::Input::Sets).
    Retry,
}

/// A message that was not used. `rule` is the id of chapter 50 or of the engine's own documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    /// The rule that refused it.
    pub rule: &'static str,
    /// Why, in the words of the reference client where it has some.
    pub reason: &'static str,
    /// Whose fault it is.
    pub fault: Fault,
    /// Whether to keep it.
    pub keep: Keep,
}

impl Rejected {
    /// The sender broke a rule.
    pub const fn by_sender(rule: &'static str, reason: &'static str) -> Self {
        Self { rule, reason, fault: Fault::Sender, keep: Keep::Drop }
    }

    /// Nobody's fault and of no further use.
    pub const fn stale(rule: &'static str, reason: &'static str) -> Self {
        Self { rule, reason, fault: Fault::Nobody, keep: Keep::Drop }
    }

    /// Too early; the engine keeps it.
    pub const fn stored(rule: &'static str, reason: &'static str) -> Self {
        Self { rule, reason, fault: Fault::Nobody, keep: Keep::Stored }
    }

    /// Our own state is the reason; worth another try later.
    pub const fn retry(rule: &'static str, reason: &'static str) -> Self {
        Self { rule, reason, fault: Fault::Ours, keep: Keep::Retry }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.rule)
    }
}
