//! Positions: numbers that must not be mixed up with one another.
//!
//! None of them converts from a bare `u64` by `From`, so that a round never lands where a height is meant. `next` and
//! `prev` return `None` at the ends of the range, `saturating_*` stay there; nothing wraps and nothing panics.

use core::fmt;

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(u64);

        impl $name {
            /// The lowest value.
            pub const ZERO: Self = Self(0);

            /// Wraps a number that is known to be one of these.
            pub const fn new(n: u64) -> Self {
                Self(n)
            }

            /// The number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// One more; `None` at the end of the range.
            pub const fn next(self) -> Option<Self> {
                match self.0.checked_add(1) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// One less; `None` at zero.
            pub const fn prev(self) -> Option<Self> {
                match self.0.checked_sub(1) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// `n` more, staying at the end of the range.
            #[must_use]
            pub const fn saturating_add(self, n: u64) -> Self {
                Self(self.0.saturating_add(n))
            }

            /// `n` less, staying at zero.
            #[must_use]
            pub const fn saturating_sub(self, n: u64) -> Self {
                Self(self.0.saturating_sub(n))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// The number of a value in the chain; the first decided value has height 1, height 0 is agreed beforehand.
    Height
}
counter! {
    /// An attempt at one slot, counted from 0.
    Round
}
counter! {
    /// What an engine decides one after the other: the height for chains that decide height by height, the view number
    /// for engines that let several undecided heights overlap.
    Slot
}
counter! {
    /// The place of a record in the write-ahead log. Strictly increasing over the life of a log; gaps are allowed.
    Lsn
}
counter! {
    /// A timer, named by the engine that set it.
    TimerId
}
counter! {
    /// A request whose answer comes back as a later input.
    Ticket
}

impl Height {
    /// The slot of an engine that decides height by height.
    pub const fn slot(self) -> Slot {
        Slot(self.0)
    }
}

/// An attempt at a slot: what a vote is about besides the value. Ordered by slot, then round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct View {
    /// What is being decided.
    pub slot: Slot,
    /// Which attempt.
    pub round: Round,
}

impl View {
    /// A view from its parts.
    pub const fn new(slot: Slot, round: Round) -> Self {
        Self { slot, round }
    }

    /// The first attempt at a slot.
    pub const fn first(slot: Slot) -> Self {
        Self { slot, round: Round::ZERO }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.slot, self.round)
    }
}

#[cfg(test)]
mod tests {
    use super::{Height, Round, Slot, View};

    #[test]
    fn the_ends_of_the_range_are_reported_not_crossed() {
        assert_eq!(Height::new(u64::MAX).next(), None);
        assert_eq!(Round::ZERO.prev(), None);
        assert_eq!(Round::new(u64::MAX).saturating_add(7), Round::new(u64::MAX));
        assert_eq!(Slot::new(3).saturating_sub(9), Slot::ZERO);
    }

    #[test]
    fn views_are_ordered_by_slot_first() {
        assert!(View::new(Slot::new(1), Round::new(9)) < View::first(Slot::new(2)));
    }
}
