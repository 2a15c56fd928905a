//! Whose turn it is. What a full pool turns away stays with its sender, who sends it again before anything newer, so
//! that no nonce is left out.

use std::collections::VecDeque;

/// Transactions by sender, in the order in which they are to be sent.
#[derive(Debug)]
pub(super) struct Turns {
    /// The sender of each arrival.
    senders: Vec<usize>,
    waiting: Vec<VecDeque<usize>>,
    next: usize,
    again: VecDeque<usize>,
}

impl Turns {
    /// An arrival for each transaction, given the senders of all.
    pub(super) fn new(senders: Vec<usize>) -> Self {
        let mut waiting = vec![VecDeque::new(); senders.iter().max().map_or(0, |most| most + 1)];
        for (index, sender) in senders.iter().enumerate() {
            waiting[*sender].push_back(index);
        }
        Self { senders, waiting, next: 0, again: VecDeque::new() }
    }

    /// The arrival whose turn comes next; their number, if all have been.
    pub(super) const fn arrival(&self) -> usize {
        self.next
    }

    /// Whether there is nothing left to be sent.
    pub(super) fn is_over(&self) -> bool {
        self.next >= self.senders.len() && self.again.is_empty()
    }

    /// Whether the next turn is another one of a sender who was turned away.
    pub(super) fn is_again(&self) -> bool {
        !self.again.is_empty()
    }

    /// The next transaction: of a sender who has a turn left over, then of the next arrival.
    pub(super) fn take(&mut self) -> Option<usize> {
        let sender = match self.again.pop_front() {
            Some(sender) => sender,
            None => {
                let sender = self.senders.get(self.next).copied()?;
                self.next += 1;
                sender
            }
        };
        self.waiting[sender].pop_front()
    }

    /// What is left of senders of whom something later was accepted: without it that waits for ever.
    pub(super) fn gaps(&self, is_accepted: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut last = vec![None; self.waiting.len()];
        for (index, sender) in self.senders.iter().enumerate().filter(|(index, _)| is_accepted(*index)) {
            last[*sender] = Some(index);
        }
        let mut gaps: Vec<usize> = self
            .waiting
            .iter()
            .zip(last)
            .flat_map(|(waiting, last)| waiting.iter().copied().filter(move |index| Some(*index) < last))
            .collect();
        gaps.sort_unstable();
        gaps
    }

    /// These are being sent out of turn.
    pub(super) fn take_out(&mut self, sent: &[usize]) {
        for index in sent {
            self.waiting[self.senders[*index]].retain(|waiting| waiting != index);
        }
    }

    /// These were turned away, in the order in which they were sent: their senders send them at their next turn, and
    /// get another one for each if `anew`.
    pub(super) fn give_back(&mut self, turned_away: &[usize], anew: bool) {
        for index in turned_away.iter().rev() {
            self.waiting[self.senders[*index]].push_front(*index);
        }
        if anew {
            self.again.extend(turned_away.iter().map(|index| self.senders[*index]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;

    #[test]
    fn what_was_turned_away_is_the_next_of_its_sender() {
        let mut turns = Turns::new(vec![0, 1, 0, 0, 1]);
        assert_eq!([turns.take(), turns.take(), turns.take()], [Some(0), Some(1), Some(2)]);
        turns.give_back(&[0, 2], false);
        assert_eq!([turns.take(), turns.take(), turns.take()], [Some(0), Some(4), None]);
        assert!(turns.is_over());
    }

    #[test]
    fn what_later_ones_wait_for_is_a_gap() {
        let mut turns = Turns::new(vec![0, 1, 0, 1, 0]);
        while turns.take().is_some() {}
        turns.give_back(&[0, 3, 4], false);
        assert_eq!(turns.gaps(|index| index == 1 || index == 2), [0]);
    }

    #[test]
    fn a_new_turn_comes_before_later_arrivals() {
        let mut turns = Turns::new(vec![0, 1, 0]);
        assert_eq!([turns.take(), turns.take()], [Some(0), Some(1)]);
        turns.give_back(&[0, 1], true);
        assert_eq!([turns.take(), turns.take(), turns.take()], [Some(0), Some(1), Some(2)]);
        assert!(turns.is_over());
        turns.give_back(&[2], true);
        assert!(!turns.is_over());
    }
}
