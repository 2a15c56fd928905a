//! What waits to be sent to one peer on one stream: votes before proposals before everything else, and bounded.

use std::collections::VecDeque;

use klay_consensus::types::Class;
use klay_core::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::frames::CHUNK;

/// Proposals that wait at the same time: only the newest ones matter.
const PROPOSALS: usize = 2;

/// A bounded queue of frames in three classes.
#[derive(Debug)]
pub(super) struct Outbox {
    queues: Mutex<Queues>,
    filled: Notify,
    limit: usize,
    bytes_limit: usize,
}

#[derive(Debug, Default)]
struct Queues {
    votes: VecDeque<Bytes>,
    votes_bytes: usize,
    proposals: VecDeque<Bytes>,
    rest: VecDeque<Bytes>,
    rest_bytes: usize,
}

impl Outbox {
    /// At most `limit` votes and `limit` other frames, each of together `bytes_limit` bytes.
    pub(super) fn new(limit: usize, bytes_limit: usize) -> Self {
        Self { queues: Mutex::default(), filled: Notify::new(), limit, bytes_limit }
    }

    /// Puts a frame in; returns how many were dropped for it: older proposals, or itself where there is no room.
    pub(super) fn push(&self, class: Class, frame: Bytes) -> u64 {
        let mut queues = self.queues.lock();
        let mut dropped = 0;
        match class {
            Class::Vote => {
                // What is short has room however many blocks are sent along with votes.
                let is_short = frame.len() <= CHUNK;
                let is_too_much = !is_short && queues.votes_bytes + frame.len() > self.bytes_limit;
                if queues.votes.len() >= self.limit || is_too_much {
                    return 1;
                }
                queues.votes_bytes += frame.len();
                queues.votes.push_back(frame);
            }
            Class::Proposal => {
                while queues.proposals.len() >= PROPOSALS {
                    queues.proposals.pop_front();
                    dropped += 1;
                }
                queues.proposals.push_back(frame);
            }
            Class::Sync => {
                if queues.rest.len() >= self.limit || queues.rest_bytes + frame.len() > self.bytes_limit {
                    return 1;
                }
                queues.rest_bytes += frame.len();
                queues.rest.push_back(frame);
            }
        }
        drop(queues);
        self.filled.notify_one();
        dropped
    }

    /// The next frames, about `bytes` of them, waiting until there is one.
    pub(super) async fn take(&self, bytes: usize) -> Vec<Bytes> {
        loop {
            let frames = self.try_take(bytes);
            if !frames.is_empty() {
                return frames;
            }
            self.filled.notified().await;
        }
    }

    fn try_take(&self, bytes: usize) -> Vec<Bytes> {
        let mut queues = self.queues.lock();
        let (mut frames, mut size) = (Vec::new(), 0);
        while size < bytes {
            let Queues { votes, votes_bytes, proposals, rest, rest_bytes } = &mut *queues;
            let next = pop(votes, votes_bytes).or_else(|| proposals.pop_front()).or_else(|| pop(rest, rest_bytes));
            let Some(frame) = next else { break };
            size += frame.len();
            frames.push(frame);
        }
        frames
    }
}

/// The first frame of a queue, and its bytes off the count.
fn pop(queue: &mut VecDeque<Bytes>, bytes: &mut usize) -> Option<Bytes> {
    let frame = queue.pop_front()?;
    *bytes -= frame.len();
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::{Bytes, CHUNK, Class, Outbox};

    #[test]
    fn votes_go_first_and_of_proposals_only_the_newest() {
        let outbox = Outbox::new(2, 10);
        let frame = |n: u8| Bytes::from(vec![n; 4]);
        assert_eq!(outbox.push(Class::Sync, frame(1)), 0);
        assert_eq!(outbox.push(Class::Sync, frame(2)), 0);
        assert_eq!(outbox.push(Class::Sync, frame(3)), 1, "neither by number nor by bytes");
        for n in 4..=6 {
            assert_eq!(outbox.push(Class::Proposal, frame(n)), u64::from(n == 6));
        }
        assert_eq!(outbox.push(Class::Vote, frame(7)), 0);
        let order: Vec<u8> = outbox.try_take(usize::MAX).iter().map(|f| f[0]).collect();
        assert_eq!(order, [7, 5, 6, 1, 2]);
        assert_eq!(outbox.push(Class::Sync, frame(8)), 0, "room is given back");
    }

    #[test]
    fn blocks_among_the_votes_are_bounded_and_leave_room_for_votes() {
        let outbox = Outbox::new(100, 3 * CHUNK);
        let block = || Bytes::from(vec![0; CHUNK + 1]);
        let dropped: Vec<_> = (0..4).map(|_| outbox.push(Class::Vote, block())).collect();
        assert_eq!(dropped, [0, 0, 1, 1]);
        assert_eq!(outbox.push(Class::Vote, Bytes::from(vec![0; CHUNK])), 0);
        assert_eq!(outbox.push(Class::Vote, Bytes::from(vec![0; 100])), 0);
        assert_eq!(outbox.try_take(usize::MAX).len(), 4);
        assert_eq!(outbox.push(Class::Vote, block()), 0, "room is given back");
    }
}
