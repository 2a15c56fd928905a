//! The seeded generator of Go's `math/rand`, bit for bit.
//!
//! An additive lagged Fibonacci generator with lags 607 and 273. The order of validators on a Klaytn chain depends on it,
//! so it is part of consensus.
//!
//! Source: chapter 50, section 2.1.

use super::go_rand_table::TABLE;

const LEN: usize = 607;
const TAP: usize = 273;
const PRIME: i64 = (1 << 31) - 1;

/// The generator.
///
/// ```
/// use klay_consensus::valset::GoRand;
///
/// let mut rand = GoRand::new(1);
/// assert_eq!(rand.int63(), 5_577_006_791_947_779_410);
/// assert_eq!(rand.int63(), 8_674_665_223_082_153_551);
/// ```
#[derive(Debug, Clone)]
pub struct GoRand {
    words: Box<[u64; LEN]>,
    tap: usize,
    feed: usize,
}

impl GoRand {
    /// The words that every seeded generator starts from, before its seed is mixed in.
    pub const TABLE: [u64; LEN] = TABLE;

    /// The generator that Go makes of `seed`.
    pub fn new(seed: i64) -> Self {
        let mut state = match seed.wrapping_rem(PRIME) {
            0 => 89_482_311,
            negative @ ..0 => negative + PRIME,
            positive => positive,
        } as u64;
        let mut draw = || {
            // Below 2^31 * 48271, far from the end of the range.
            state = state * 48_271 % PRIME as u64;
            state
        };
        for _ in 0..20 {
            draw();
        }
        let mut words = Box::new([0; LEN]);
        for (word, constant) in words.iter_mut().zip(TABLE) {
            *word = (draw() << 40) ^ (draw() << 20) ^ draw() ^ constant;
        }
        Self { words, tap: 0, feed: LEN - TAP }
    }

    /// 64 random bits.
    pub fn uint64(&mut self) -> u64 {
        self.tap = self.tap.checked_sub(1).unwrap_or(LEN - 1);
        self.feed = self.feed.checked_sub(1).unwrap_or(LEN - 1);
        // Both stay below `LEN`.
        let sum = self.words[self.feed].wrapping_add(self.words[self.tap]);
        self.words[self.feed] = sum;
        sum
    }

    /// 63 random bits.
    pub fn int63(&mut self) -> u64 {
        self.uint64() & (u64::MAX >> 1)
    }

    /// 31 random bits.
    pub fn int31(&mut self) -> u32 {
        (self.int63() >> 32) as u32
    }

    /// 32 random bits.
    pub fn uint32(&mut self) -> u32 {
        (self.int63() >> 31) as u32
    }

    /// A number below `n` the way `Intn` makes it; 0 for `n` 0 or above 2^31 - 1.
    pub fn intn(&mut self, n: u32) -> u32 {
        if n == 0 || n > PRIME as u32 {
            return 0;
        }
        if n.is_power_of_two() {
            return self.int31() & (n - 1);
        }
        let max = PRIME as u32 - (1 << 31) % n;
        loop {
            let v = self.int31();
            if v <= max {
                return v % n;
            }
        }
    }

    /// A number below `n` the way `Shuffle` makes it; 0 for `n` 0.
    pub fn bounded(&mut self, n: u32) -> u32 {
        if n == 0 {
            return 0;
        }
        let mut product = u64::from(self.uint32()) * u64::from(n);
        if (product as u32) < n {
            let threshold = n.wrapping_neg() % n;
            while (product as u32) < threshold {
                product = u64::from(self.uint32()) * u64::from(n);
            }
        }
        (product >> 32) as u32
    }

    /// The shuffle of the time before Randao: each place in turn is swapped with any. Biased, and so it must stay.
    pub fn shuffle_legacy<T>(&mut self, list: &mut [T]) {
        let n = list.len() as u32;
        for i in 0..list.len() {
            let j = self.intn(n) as usize;
            list.swap(i, j);
        }
    }

    /// The shuffle since Randao (Fisher-Yates from the end).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            let j = self.bounded(i as u32 + 1) as usize;
            list.swap(i, j);
        }
    }
}
