//! Randomness from a seed: one ChaCha8 stream for each concern, so that switching one fault off leaves the others as
//! they were.

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Concern {
    /// Delays, losses, duplicates.
    Network = 1,
    /// Partitions.
    Partition = 2,
    /// Crashes and what a disk keeps.
    Disk = 3,
    /// What byzantine nodes do.
    Adversary = 4,
    /// Clocks.
    Clock = 5,
    /// The application.
    Application = 6,
    /// One-way links.
    OneWay = 7,
    /// Slow nodes.
    Slow = 8,
    /// Votes kept from their receivers.
    Starving = 9,
    /// Partitions of single views.
    Split = 10,
    /// Nodes cut off after a decision.
    Isolate = 11,
    /// Damage to messages.
    Damage = 12,
    /// Slow and failing work of the application.
    Work = 13,
    /// Jumps of clocks.
    Steps = 14,
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 8],
    concern: u32,
    counter: u64,
    block: [u32; 16],
    used: usize,
}

impl Stream {
    /// The stream of a concern under a seed.
    pub const fn new(seed: u64, concern: Concern) -> Self {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let key = [low, high, !low, !high, 0x6b6c_6179, 0x6c61_6200, low ^ high, 8];
        Self { key, concern: concern as u32, counter: 0, block: [0; 16], used: 16 }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        if self.used + 2 > 16 {
            self.refill();
        }
        // `used` is at most 14 here.
        let (low, high) = (self.block[self.used], self.block[self.used + 1]);
        self.used += 2;
        u64::from(high) << 32 | u64::from(low)
    }

    /// A number below `n`; 0 for `n` 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// True in `thousandths` of a thousand cases.
    pub fn chance(&mut self, thousandths: u32) -> bool {
        self.below(1000) < u64::from(thousandths)
    }

    /// One of a list.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len() as u64) as usize)
    }

    fn refill(&mut self) {
        let [a, b, c, d] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
        let k = self.key;
        let counter = [self.counter as u32, (self.counter >> 32) as u32, self.concern, 0];
        let start = [
            a, b, c, d, k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7], counter[0], counter[1], counter[2], counter[3],
        ];
        let mut x = start;
        for _ in 0..4 {
            for i in 0..4 {
                quarter(&mut x, [i, 4 + i, 8 + i, 12 + i]);
            }
            for i in 0..4 {
                quarter(&mut x, [i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4]);
            }
        }
        for (out, (mixed, first)) in self.block.iter_mut().zip(x.iter().zip(start)) {
            *out = mixed.wrapping_add(first);
        }
        self.counter = self.counter.wrapping_add(1);
        self.used = 0;
    }
}

const fn quarter(x: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    x[a] = x[a].wrapping_add(x[b]);
    x[d] = (x[d] ^ x[a]).rotate_left(16);
    x[c] = x[c].wrapping_add(x[d]);
    x[b] = (x[b] ^ x[c]).rotate_left(12);
    x[a] = x[a].wrapping_add(x[b]);
    x[d] = (x[d] ^ x[a]).rotate_left(8);
    x[c] = x[c].wrapping_add(x[d]);
    x[b] = (x[b] ^ x[c]).rotate_left(7);
}

#[cfg(test)]
mod tests {
    use super::{Concern, Stream};

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, concern| {
            let mut stream = Stream::new(seed, concern);
            (0..100).map(|_| stream.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, Concern::Network), draw(7, Concern::Network));
        assert_ne!(draw(7, Concern::Network), draw(7, Concern::Disk));
        assert_ne!(draw(7, Concern::Network), draw(8, Concern::Network));
    }

    #[test]
    fn bounds_hold() {
        let mut stream = Stream::new(1, Concern::Clock);
        let mut seen = [0; 7];
        for _ in 0..7000 {
            seen[stream.below(7) as usize] += 1;
            assert!((3..=5).contains(&stream.between(3, 5)));
        }
        assert!(seen.iter().all(|n| (800..1200).contains(n)), "{seen:?}");
        assert_eq!(stream.below(0), 0);
    }
}
