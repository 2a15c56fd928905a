//! What goes wrong in a run.

use core::time::Duration;

/// Faults of a run. Rates are in thousandths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// Messages lost.
    pub drop: u32,
    /// Messages delivered twice.
    pub duplicate: u32,
    /// Shortest delay of a message.
    pub delay_min: Duration,
    /// Longest delay of a message once the network behaves.
    pub delay_max: Duration,
    /// Longest delay before the network behaves.
    pub delay_wild: Duration,
    /// When the network begins to behave: no loss, no partition, delays within bounds.
    pub settles_at: Duration,
    /// Episodes in which the network is cut in two.
    pub partitions: u32,
    /// How often the first node to decide a height is cut off at that moment, so that the others have to find its
    /// decision again by themselves.
    pub isolate_deciders: u32,
    /// How many views have their second votes reach a single node only, so that it alone decides.
    pub starve_votes: u32,
    /// Crashes, spread over all honest nodes and the time before the network settles.
    pub crashes: u32,
    /// Longest time that a crashed node stays down.
    pub downtime: Duration,
    /// Largest offset of a clock.
    pub clock_offset: Duration,
    /// Largest drift of a clock, in millionths.
    pub clock_drift: u64,
    /// What byzantine nodes do. One node each, from the last one backwards.
    pub byzantine: Vec<Byzantine>,
    /// Values that the application refuses, in thousandths of those that byzantine nodes propose.
    pub invalid_values: u32,
}

/// What a byzantine node does. It runs the same engine, without a gate, and its messages pass through the adversary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Byzantine {
    /// Says nothing.
    Silent,
    /// Says different things to different peers.
    Equivocate,
    /// Spoils what the chain would keep of its votes.
    BadSeal,
    /// Asks for rounds far ahead.
    FarAhead,
    /// Repeats old messages of anybody.
    Replay,
    /// Sends each message only to some.
    Withhold,
}

impl Byzantine {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Silent, Self::Equivocate, Self::BadSeal, Self::FarAhead, Self::Replay, Self::Withhold];
}

impl Faults {
    /// A network that behaves from the start.
    pub const fn none() -> Self {
        Self {
            drop: 0,
            duplicate: 0,
            delay_min: Duration::from_millis(10),
            delay_max: Duration::from_millis(100),
            delay_wild: Duration::from_millis(100),
            settles_at: Duration::ZERO,
            partitions: 0,
            isolate_deciders: 0,
            starve_votes: 0,
            crashes: 0,
            downtime: Duration::ZERO,
            clock_offset: Duration::ZERO,
            clock_drift: 0,
            byzantine: Vec::new(),
            invalid_values: 0,
        }
    }

    /// Loss, duplicates and long delays for a minute.
    pub fn network() -> Self {
        Self {
            drop: 200,
            duplicate: 100,
            delay_wild: Duration::from_secs(20),
            settles_at: Duration::from_secs(60),
            clock_offset: Duration::from_secs(5),
            clock_drift: 500,
            ..Self::none()
        }
    }

    /// The network cut in two, several times in two minutes.
    pub fn partitions() -> Self {
        Self { partitions: 4, settles_at: Duration::from_secs(120), ..Self::none() }
    }

    /// Crashes with what they do to unsynced data.
    pub fn crashes(count: u32) -> Self {
        Self { crashes: count, downtime: Duration::from_secs(20), settles_at: Duration::from_secs(90), ..Self::none() }
    }

    /// Everything at once, with as many byzantine nodes as the protocol tolerates among `n`.
    pub fn all(n: u32, seed: u64) -> Self {
        let tolerated = crate::types::quorum::tolerated(n) as usize;
        let kinds = Byzantine::ALL.iter().cycle().skip((seed % 6) as usize).take(tolerated);
        // A network so bad that nothing is decided hides what goes wrong between decisions.
        let calm = seed / 6 % 4;
        let delays = [100, 500, 3_000, 20_000];
        Self {
            drop: calm as u32 * 60,
            delay_wild: Duration::from_millis(delays[calm as usize]),
            partitions: 2,
            isolate_deciders: 500,
            starve_votes: 300,
            crashes: 3,
            downtime: Duration::from_secs(20),
            settles_at: Duration::from_secs(90),
            byzantine: kinds.copied().collect(),
            invalid_values: 100,
            ..Self::network()
        }
    }
}
