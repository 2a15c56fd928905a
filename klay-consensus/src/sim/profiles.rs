//! Named sets of faults. Each seed of a profile has its own mixture.

use core::time::Duration;

use super::{Byzantine, Concern, Delays, Faults, Stream};
use crate::types::quorum;

/// A named set of faults.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    make: fn(u32, u64) -> Faults,
}

/// Every profile.
pub const PROFILES: [Profile; 12] = [
    Profile { name: "none", about: "delays of 10 to 100 ms", make: |_, _| Faults::none() },
    Profile { name: "steady", about: "every message takes 100 ms", make: |_, _| Faults::steady() },
    Profile {
        name: "wan",
        about: "validators in five places of the world, 100 Mbit/s each way",
        make: |_, _| Faults::wan(),
    },
    Profile {
        name: "network",
        about: "loss, duplicates, damage, long delays, slow nodes for half a minute",
        make: |_, seed| Faults { delays: delays(seed), ..Faults::network() },
    },
    Profile {
        name: "partition",
        about: "the network in parts and one-way links for forty seconds",
        make: |_, seed| Faults {
            partitions: 1 + (seed % 5) as u32,
            one_way: (seed % 4) as u32,
            ..Faults::partitions()
        },
    },
    Profile {
        name: "crash",
        about: "crashes at any effect, disks that lose or tear what was not synced, old copies",
        make: |_, seed| Faults::crashes(3 + (seed % 4) as u32),
    },
    Profile { name: "clock", about: "clocks with offset, drift and jumps", make: |_, _| Faults::clocks() },
    Profile { name: "byzantine", about: "as many hostile nodes as tolerated, of every kind", make: Faults::byzantine },
    Profile {
        name: "twins",
        about: "two copies of a node with one key, a partition and a leader drawn for each view",
        make: Faults::twins,
    },
    Profile { name: "flood", about: "as many nodes as tolerated send as much as they can", make: Faults::flood },
    Profile {
        name: "chain",
        about: "slow builds and checks, failing applies, another set of validators every few heights",
        make: |n, seed| Faults::chain(n, seed),
    },
    Profile { name: "all", about: "every kind of fault at once", make: Faults::all },
];

impl Profile {
    /// The profile with this name.
    pub fn named(name: &str) -> Option<Self> {
        PROFILES.into_iter().find(|profile| profile.name == name)
    }

    /// The faults of one seed among `n` validators.
    pub fn faults(&self, n: u32, seed: u64) -> Faults {
        (self.make)(n, seed)
    }
}

const fn delays(seed: u64) -> Delays {
    match seed % 3 {
        0 => Delays::Uniform,
        1 => Delays::Bimodal,
        _ => Delays::Wan,
    }
}

/// As many hostile nodes as `n` validators tolerate, kinds drawn.
fn hostile(n: u32, seed: u64) -> Vec<Byzantine> {
    let mut draw = Stream::new(seed, Concern::Adversary);
    (0..quorum::tolerated(n)).filter_map(|_| draw.pick(&Byzantine::ALL).copied()).collect()
}

impl Faults {
    /// Every message takes a tenth of a second: for measuring in message delays.
    pub fn steady() -> Self {
        Self { delay_min: Duration::from_millis(100), ..Self::none() }
    }

    /// Validators in five places of the world.
    pub fn wan() -> Self {
        Self { delays: Delays::Wan, delay_max: Duration::from_millis(200), bandwidth: 12_500_000, ..Self::none() }
    }

    /// Loss, duplicates and long delays for half a minute.
    pub fn network() -> Self {
        Self {
            drop: 200,
            duplicate: 100,
            corrupt: 10,
            delay_wild: Duration::from_secs(10),
            settles_at: Duration::from_secs(30),
            slow_nodes: 1,
            clock_offset: Duration::from_secs(5),
            clock_drift: 500,
            ..Self::none()
        }
    }

    /// The network cut into parts, several times in forty seconds.
    pub fn partitions() -> Self {
        Self { partitions: 4, one_way: 2, settles_at: Duration::from_secs(40), ..Self::none() }
    }

    /// Crashes with what they do to unsynced data.
    pub fn crashes(count: u32) -> Self {
        Self {
            crashes: count,
            downtime: Duration::from_secs(10),
            settles_at: Duration::from_secs(30),
            old_copies: 1,
            ..Self::none()
        }
    }

    /// Clocks that are wrong.
    pub fn clocks() -> Self {
        Self {
            clock_offset: Duration::from_secs(5),
            clock_drift: 500,
            clock_steps: 8,
            settles_at: Duration::from_secs(20),
            ..Self::none()
        }
    }

    /// Hostile nodes and nothing else.
    pub fn byzantine(n: u32, seed: u64) -> Self {
        Self {
            byzantine: hostile(n, seed),
            invalid_values: 300,
            starve_votes: 300,
            settles_at: Duration::from_secs(20),
            ..Self::none()
        }
    }

    /// Twins as in the paper of that name: a partition and a leader for each view.
    pub fn twins(n: u32, seed: u64) -> Self {
        Self {
            byzantine: vec![Byzantine::Twin; quorum::tolerated(n) as usize],
            split_views: 1,
            leaders: seed as u32 | 1,
            settles_at: Duration::from_secs(20),
            ..Self::none()
        }
    }

    /// Nodes that send as much as they can.
    pub fn flood(n: u32, _seed: u64) -> Self {
        Self {
            byzantine: vec![Byzantine::Flood; quorum::tolerated(n) as usize],
            settles_at: Duration::from_secs(5),
            ..Self::none()
        }
    }

    /// An application that is slow and fails, and a set of validators that changes where `n` leaves room for that.
    pub fn chain(n: u32, seed: u64) -> Self {
        let room = n > 1 && quorum::tolerated(n - 1) == quorum::tolerated(n);
        Self {
            slow_builds: 100,
            slow_checks: 100,
            apply_failures: 100,
            set_change: if room { 2 + (seed % 3) as u32 } else { 0 },
            settles_at: Duration::from_secs(20),
            ..Self::none()
        }
    }

    /// Everything at once, with as many byzantine nodes as the protocol tolerates among `n`.
    pub fn all(n: u32, seed: u64) -> Self {
        // A network so bad that nothing is decided hides what goes wrong between decisions.
        let calm = (seed / 6 % 4) as u32;
        let wild = [100, 500, 3_000, 20_000];
        let chain = Self::chain(n, seed);
        Self {
            drop: calm * 60,
            delay_wild: Duration::from_millis(wild[calm as usize]),
            delays: delays(seed),
            bandwidth: if seed.is_multiple_of(5) { 1_000_000 } else { 0 },
            partitions: 2,
            one_way: 1,
            isolate_deciders: 500,
            starve_votes: 300,
            crashes: 3,
            downtime: Duration::from_secs(20),
            old_copies: 1,
            settles_at: Duration::from_secs(40),
            clock_steps: 2,
            byzantine: hostile(n, seed),
            invalid_values: 300,
            leaders: (seed % 2) as u32 * (seed as u32 | 1),
            slow_builds: chain.slow_builds / 2,
            slow_checks: chain.slow_checks / 2,
            apply_failures: chain.apply_failures / 2,
            set_change: if (seed / 24).is_multiple_of(3) { chain.set_change } else { 0 },
            ..Self::network()
        }
    }

    /// Everything now and then for so many seconds, for long runs. Clocks are set no more often and drift no faster than
    /// those of hosts that are looked after.
    pub fn soak(n: u32, seed: u64, seconds: u64) -> Self {
        let every = |span: u64| (seconds / span) as u32;
        Self {
            drop: 20,
            duplicate: 20,
            corrupt: 2,
            delay_wild: Duration::from_millis(500),
            partitions: every(300),
            one_way: every(300),
            episode: Duration::from_secs(40),
            isolate_deciders: 2,
            starve_votes: 2,
            crashes: every(60),
            clock_offset: Duration::from_millis(500),
            clock_drift: 20,
            clock_steps: 2,
            settles_at: Duration::from_secs(seconds),
            ..Self::all(n, seed)
        }
    }
}
