//! What is going to happen, by time; what happens at one time comes in the order in which it was planned.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::types::Time;

/// A queue of events. The heap orders small keys, the events themselves stay where they are.
#[derive(Debug)]
pub(super) struct Queue<E> {
    keys: BinaryHeap<Reverse<(Time, u64, usize)>>,
    events: Vec<Option<E>>,
    free: Vec<usize>,
    planned: u64,
}

impl<E> Queue<E> {
    pub(super) const fn new() -> Self {
        Self { keys: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), planned: 0 }
    }

    pub(super) fn push(&mut self, at: Time, event: E) {
        let place = self.free.pop().unwrap_or(self.events.len());
        match self.events.get_mut(place) {
            Some(slot) => *slot = Some(event),
            None => self.events.push(Some(event)),
        }
        self.keys.push(Reverse((at, self.planned, place)));
        self.planned += 1;
    }

    pub(super) fn pop(&mut self) -> Option<(Time, E)> {
        let Reverse((at, _, place)) = self.keys.pop()?;
        self.free.push(place);
        Some((at, self.events.get_mut(place)?.take()?))
    }
}

#[cfg(test)]
mod tests {
    use super::{Queue, Time};

    #[test]
    fn events_come_by_time_and_then_as_planned() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b')] {
            queue.push(Time::from_nanos(at), event);
        }
        let first = queue.pop();
        queue.push(Time::from_nanos(5), 'e');
        let rest = core::iter::from_fn(|| queue.pop()).map(|(_, event)| event);
        assert_eq!((first, rest.collect::<String>()), (Some((Time::from_nanos(1), 'a')), "bcde".to_owned()));
    }
}
