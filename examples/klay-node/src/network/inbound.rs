//! The stream of one kind that is read from a peer: always its newest.
//!
//! Whoever loses a connection opens a new stream long before the other side can know that the old one is dead. Holding on
//! to the old one would leave the peer unheard for as long as nothing ends that stream.

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::score::Allowance;

/// New streams a second, and at once.
const STREAMS: (f64, f64) = (5.0, 20.0);

/// What is read from a peer, and how much of it is left, whichever stream it comes on.
#[derive(Debug)]
pub(super) struct Inbound {
    reader: Mutex<CancellationToken>,
    left: Mutex<Left>,
}

#[derive(Debug)]
struct Left {
    streams: Allowance,
    frames: Allowance,
    bytes: Allowance,
}

impl Inbound {
    /// At most so many frames and bytes a second, and at once.
    pub(super) fn new(frames: (f64, f64), bytes: (f64, f64)) -> Self {
        let allowance = |(rate, burst)| Allowance::new(rate, burst);
        let left = Left { streams: allowance(STREAMS), frames: allowance(frames), bytes: allowance(bytes) };
        Self { reader: Mutex::default(), left: Mutex::new(left) }
    }

    /// A new stream at `now`, in seconds: ends the reading of the one before and returns what ends its own, `closed` at
    /// the latest. `None` if there are too many.
    pub(super) fn begin(&self, closed: &CancellationToken, now: f64) -> Option<CancellationToken> {
        if !self.left.lock().streams.take(now) {
            return None;
        }
        let fresh = closed.child_token();
        let before = core::mem::replace(&mut *self.reader.lock(), fresh.clone());
        before.cancel();
        Some(fresh)
    }

    /// Takes in a frame of so many bytes at `now`, in seconds; whether that is allowed.
    pub(super) fn take(&self, now: f64, bytes: usize) -> bool {
        let mut left = self.left.lock();
        left.frames.take(now) && left.bytes.take_many(now, bytes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{CancellationToken, Inbound};

    #[test]
    fn the_newest_stream_is_read_and_limits_outlive_it() {
        let (inbound, closed) = (Inbound::new((1.0, 2.0), (10.0, 100.0)), CancellationToken::new());
        let first = inbound.begin(&closed, 0.0).unwrap();
        assert!(inbound.take(0.0, 50));
        let second = inbound.begin(&closed, 0.0).unwrap();
        assert!(first.is_cancelled() && !second.is_cancelled());
        assert!(!inbound.take(0.0, 51) && !inbound.take(0.1, 1), "frames are used up too");
        closed.cancel();
        assert!(second.is_cancelled());
    }

    #[test]
    fn streams_are_limited() {
        let (inbound, closed) = (Inbound::new((1.0, 1.0), (1.0, 1.0)), CancellationToken::new());
        let opened = (0..100).filter(|_| inbound.begin(&closed, 0.0).is_some()).count();
        assert_eq!(opened, 20);
        assert!(inbound.begin(&closed, 1.0).is_some());
    }
}
